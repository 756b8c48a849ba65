"""The journal: what is finished stays finished, whatever happens to the process."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from networks import sequential

import dtdsym
from dtdsym.errors import InputError
from dtdsym.relevance import rule as rules
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.rule import families, parse_rule
from dtdsym.survey import alone, cells, run
from dtdsym.survey.cells import count_cells
from dtdsym.survey.journal import Journal

# Threads that wait for each other on a busy machine would make this test many times slower.
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
IDENTITY = {"network": "abc", "layers": [1]}


def test_what_was_written_is_found_again(tmp_path):
    path = tmp_path / "run.jsonl"
    Journal(path, IDENTITY).write(3, {"n": 1})
    Journal(path, IDENTITY).write(5, {"n": 2})
    assert Journal(path, IDENTITY).finished == {3: {"n": 1}, 5: {"n": 2}}


@pytest.mark.parametrize("cut", range(1, 30, 3))
def test_a_torn_last_line_is_cut_off_and_its_chunk_done_again(tmp_path, cut):
    path = tmp_path / "run.jsonl"
    Journal(path, IDENTITY).write(0, {"n": 1})
    whole = path.read_bytes()
    Journal(path, IDENTITY).write(1, {"n": 2, "more": "x" * 40})
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, IDENTITY) as again:
        assert again.finished == {0: {"n": 1}}
        assert path.read_bytes() == whole
        again.write(1, {"n": 2})
    assert Journal(path, IDENTITY).finished == {0: {"n": 1}, 1: {"n": 2}}


def test_a_torn_first_line_starts_anew(tmp_path):
    path = tmp_path / "run.jsonl"
    Journal(path, IDENTITY)
    path.write_bytes(path.read_bytes()[:-5])
    assert Journal(path, IDENTITY).finished == {}
    assert Journal(path, IDENTITY).finished == {}


def test_the_journal_of_another_run_is_refused_with_what_differs(tmp_path):
    path = tmp_path / "run.jsonl"
    Journal(path, IDENTITY)
    with pytest.raises(InputError, match=r"another run: layers was \[1\], now \[1, 2\]"):
        Journal(path, {**IDENTITY, "layers": [1, 2]})


@pytest.mark.parametrize("line", [b"\0\0\0\n", b'{"chunk": 0}\n', b"[]\n"])
def test_a_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "run.jsonl"
    Journal(path, IDENTITY)
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(InputError, match="line 2 is damaged"):
        Journal(path, IDENTITY)


@pytest.mark.parametrize("content", [b"my thesis\n", b"my thesis", b"{}\n", b'{"format": "other"}\n'])
def test_a_file_of_something_else_is_left_alone(tmp_path, content):
    path = tmp_path / "thesis.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a journal"):
        Journal(path, IDENTITY)
    assert path.read_bytes() == content


def test_a_journal_that_is_open_is_refused_to_another(tmp_path):
    path = tmp_path / "run.jsonl"
    with Journal(path, IDENTITY) as first:
        with pytest.raises(
            InputError, match=r"run.jsonl: another run is writing to it; wait .* or give --resume a file"
        ):
            Journal(path, IDENTITY)
        first.write(0, {"n": 1})
    assert Journal(path, IDENTITY).finished == {0: {"n": 1}}
    assert [file.name for file in tmp_path.iterdir()] == ["run.jsonl"]


def test_a_run_that_fails_gives_its_journal_back(tmp_path):
    """Even while its error is held, as notebooks hold the last one."""

    def stop(done: int, count: int) -> None:
        raise KeyboardInterrupt

    network = sequential(([[1, 2]], [0]), final_relu=False)
    with pytest.raises(KeyboardInterrupt) as held:
        dtdsym.audit(network, [[1.0, 2.0]], journal=str(tmp_path / "j"), progress=stop)
    with pytest.raises(KeyboardInterrupt) as counting:
        count_cells(network, journal=str(tmp_path / "k"), progress=stop)
    dtdsym.audit(network, [[1.0, 2.0]], journal=str(tmp_path / "j"))
    assert count_cells(network, journal=str(tmp_path / "k")) == 1
    assert held.tb is not None
    assert counting.tb is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be forked here")
def test_a_forked_child_does_not_hold_its_parents_journal(tmp_path):
    """Workers of a pool outlive a driver that is killed."""
    path, (told, tell), (waits, ends) = tmp_path / "run.jsonl", os.pipe(), os.pipe()
    journal = Journal(path, IDENTITY)
    child = os.fork()
    if child == 0:
        os.close(ends)
        os.write(tell, b".")
        os.read(waits, 1)  # until the other end is closed
        os._exit(0)
    try:
        os.read(told, 1)
        with journal, pytest.raises(InputError, match="another run"):
            Journal(path, IDENTITY)
        assert Journal(path, IDENTITY).finished == {}
    finally:
        os.close(ends)
        os.waitpid(child, 0)


@pytest.mark.parametrize("where", ["a folder without locks", "Windows"])
def test_without_locks_a_journal_works_as_ever(tmp_path, monkeypatch, where):
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    path = tmp_path / "run.jsonl"
    if where == "Windows":
        monkeypatch.setattr(sys, "platform", "win32")
    else:
        monkeypatch.setattr(alone.fcntl, "flock", refuse)
    first = Journal(path, IDENTITY)
    assert first.finished == {}
    Journal(path, IDENTITY).write(0, {"n": 1})
    assert Journal(path, IDENTITY).finished == {0: {"n": 1}}


def halved(ops, w, a):
    return w * 0 + a


def audited(journal, rule="zplus") -> list:
    network = sequential(([[1, 2], [3, -1]], [0, 1]), final_relu=False)
    rows = dtdsym.audit(network, [[1.0, 2.0]], rules=[rule], journal=str(journal)).rows
    return [row.tally.places for row in rows]


@pytest.mark.parametrize("rule", ["NAME", "first=zplus,*=NAME"])
def test_rules_registered_outside_are_refused(tmp_path, monkeypatch, rule):
    """Under the name that a journal would know, another rule may be registered tomorrow."""
    monkeypatch.setattr(rules, "_FAMILIES", families())
    dtdsym.register_rule("journaled", halved)
    with pytest.raises(InputError, match="is none of dtdsym's own: a journal cannot tell"):
        audited(tmp_path / "j", rule.replace("NAME", "journaled"))
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize("label", ["zplus", "w3"])
def test_a_composite_that_its_label_does_not_say_is_refused(tmp_path, label):
    with pytest.raises(InputError, match=f"rule '{label}' is none of dtdsym's own"):
        audited(tmp_path / "j", Composite(label, (("*", parse_rule("w2")),)))


@pytest.mark.parametrize("rule", ["zplus", "gamma:1/3", "zennit.zplus", "epsilon_gamma_box:0:1", "conv=w2,*=flat"])
def test_rules_of_dtdsym_go_on(tmp_path, rule):
    assert audited(tmp_path / "j", rule) == audited(tmp_path / "j", rule)


def test_another_version_is_refused(tmp_path, monkeypatch):
    network = sequential(([[1, 2]], [0]))
    audited(tmp_path / "j")
    count_cells(network, journal=str(tmp_path / "k"))
    for module in (run, cells):
        monkeypatch.setattr(module, "__version__", "9.9")
    for work in (lambda: audited(tmp_path / "j"), lambda: count_cells(network, journal=str(tmp_path / "k"))):
        with pytest.raises(InputError, match=r"another run: dtdsym was .*, now 9.9"):
            work()


def test_a_second_audit_is_refused_and_a_killed_one_goes_on_and_counts_nothing_twice(tmp_path, repository):
    command = [
        sys.executable, "-m", "dtdsym.verify", "examples/paper_mlp.pt", "--samples", "7000", "--logit", "0",
        "--rule", "zplus", "--json", "-", "--resume",
    ]  # fmt: skip
    killed = subprocess.Popen(
        [*command, str(tmp_path / "a")], cwd=repository, stdout=subprocess.DEVNULL, env=ONE_THREAD
    )
    while not (tmp_path / "a").exists() or (tmp_path / "a").read_bytes().count(b"\n") < 3:
        assert killed.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGSTOP)
    second = subprocess.run(
        [*command, str(tmp_path / "a")], cwd=repository, capture_output=True, text=True, env=ONE_THREAD
    )
    assert (second.returncode, second.stdout, second.stderr.count("\n")) == (2, "", 1)
    assert f"{tmp_path / 'a'}: another run is writing to it" in second.stderr
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = (tmp_path / "a").read_bytes()
    kept = before[: before.rfind(b"\n") + 1]
    reports = [finished(command, tmp_path / name, repository) for name in ("a", "b")]
    assert (tmp_path / "a").read_bytes().startswith(kept)
    assert kept.count(b"\n") < (tmp_path / "b").read_bytes().count(b"\n")
    assert reports[0] == reports[1]


def finished(command, journal, repository) -> dict:
    done = subprocess.run([*command, str(journal)], cwd=repository, capture_output=True, text=True, env=ONE_THREAD)
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    del report["seconds"]
    for row in [*report["roots"], *report["claims"]]:
        del row["seconds"]
    return report
