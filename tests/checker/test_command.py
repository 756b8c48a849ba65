"""`python -m dtdsym.checker`: what it says of files, whole, torn, compressed and hostile, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time

import pytest
from certified import certificates, said
from networks import EVIDENCE, SEPARATIONS

from dtdsym.__main__ import main as dtdsym_command
from dtdsym.checker import __main__ as command
from dtdsym.checker import processes
from dtdsym.checker.__main__ import CLAIMS, Checker, main
from dtdsym.checker.reading import DEEPEST


@pytest.fixture
def lines() -> list[str]:
    found = []
    for example in [*SEPARATIONS.values(), *EVIDENCE.values()]:
        found += certificates(example.network, example.x, points=[example.other, (1,) * len(example.x)])
    return found


@pytest.fixture
def file(tmp_path, lines):
    path = tmp_path / "c.jsonl"
    path.write_text("".join(lines))
    return path


def claims(lines) -> int:
    return sum('"claim"' in line for line in lines)


def test_a_good_file(file, lines, capsys):
    assert main([str(file)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == claims(lines) + 1
    assert out[0] == "line 3: accepted: place same_gradient_elsewhere"
    assert out[-1] == f"{claims(lines)} accepted, 0 refused"


def test_quiet_says_counts_and_refusals_only(file, capsys):
    assert main([str(file), "--quiet"]) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_a_compressed_file(tmp_path, lines, capsys):
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(b"".join(gzip.compress(line.encode()) for line in lines))  # a member a line, as runs append them
    assert main([str(path), "--quiet"]) == 0


def test_processes_give_the_same_answers_in_order(file, capsys):
    main([str(file)])
    alone = capsys.readouterr().out
    assert main([str(file), "--jobs", "2"]) == 0
    assert capsys.readouterr().out == alone


BETWEEN = {
    "a bad network": '{"format":"x"}',
    "a network that claims": '{"nodes":[],"claim":"place"}',
    "a network's key with an escape": '{"n\\u006fdes":[]}',
    "a torn network": '{"format":"dtdsym-certificates/2","nodes":[',
    "a claim's key with an escape": '{"cl\\u0061im":"place"}',
    "words that look like keys": '{"a":"\\"nodes\\"","claim":"\\"format\\""}',
    "a bad input": '{"values":[]}',
    "a bad input that speaks of claims": '{"values":"claim"}',
    "no JSON": "damaged",
}


@pytest.mark.parametrize("name", BETWEEN)
@pytest.mark.parametrize("block", [1, 2, 500])
def test_processes_say_the_same_of_lines_below_a_bad_one(lines, monkeypatch, name, block):
    monkeypatch.setattr(processes, "BLOCK", block)
    one, other = lines[:4], lines[4:8]
    assert ["claim" in json.loads(line) for line in one] == [False, False, True, True]
    mixed = [*one, *one[1:], one[2], BETWEEN[name], one[2], one[3], *one[1:], *one[2:] * 3, *other, one[1], one[2]]
    numbered = [(number, line.rstrip("\n")) for number, line in enumerate(mixed, start=1)]
    alone = list(Checker().answers(numbered))
    assert 4 < sum(good for _, good, _ in alone) < len(alone)
    assert list(processes.in_parallel(iter(numbered), Checker(), 2)) == alone


def of_standard_input(content: bytes, program: str = "code = main(['-', '--quiet'])") -> subprocess.CompletedProcess:
    script = f"import os, sys; from dtdsym.checker.__main__ import main; {program}; os.fstat(0); sys.exit(code)"
    return subprocess.run([sys.executable, "-c", script], input=content, capture_output=True)


@pytest.mark.parametrize("compressed", [False, True])
def test_standard_input_is_read_and_left_open(lines, compressed):
    content = "".join(lines).encode()
    done = of_standard_input(gzip.compress(content) if compressed else content)
    assert (done.returncode, done.stdout.decode()) == (0, f"{claims(lines)} accepted, 0 refused\n")


def test_a_pipe_whose_first_byte_comes_alone(lines):
    words = [sys.executable, "-m", "dtdsym.checker", "-", "--quiet"]
    content = gzip.compress("".join(lines).encode())
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdin.write(content[:1])
        running.stdin.flush()
        time.sleep(0.5)
        out, _ = running.communicate(content[1:])
    assert (running.returncode, out.decode()) == (0, f"{claims(lines)} accepted, 0 refused\n")


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08damaged"])
def test_standard_input_that_holds_nothing_good(content):
    done = of_standard_input(content)
    assert done.returncode == (2 if content else 1)
    assert (b"-: cannot be read" in done.stderr) == bool(content)


def test_standard_input_is_given_once(capsys):
    assert main(["-", "-"]) == 2
    assert capsys.readouterr().err == "dtdsym.checker: -: standard input can be read once; give it once\n"


def test_without_standard_input_it_says_so():
    done = of_standard_input(b"", "os.close(0); code = main(['-']); os.open(os.devnull, os.O_RDONLY)")
    assert done.returncode == 2
    assert b"-: cannot be read ([Errno 9] Bad file descriptor)" in done.stderr


def ended(part, checker):
    """Instead of an answer the process ends, as if it had been killed."""
    os._exit(9)


def test_a_process_that_is_killed_ends_the_check_in_one_line(file, capsys, monkeypatch):
    monkeypatch.setattr(processes, "_on_worker", ended)
    assert main([str(file), "--jobs", "2"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"dtdsym.checker: {file}: not checked to the end: one of its processes was ended")
    assert said.count("\n") == 1


def test_dtdsym_check_is_the_same(file, capsys):
    assert dtdsym_command(["check", str(file), "--quiet"]) == 0


def test_the_checker_loads_nothing_but_itself(file):
    script = (
        "import sys; from dtdsym.checker.__main__ import main; code = main(sys.argv[1:]); "
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'numpy', 'torch', 'flint', 'rich', 'sympy'}), "
        "[name for name in sys.modules if name.startswith('dtdsym.') and not name.startswith('dtdsym.checker')], code)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] ['dtdsym._version'] 0"


def test_another_network_than_was_asked_about_is_refused(file, lines, capsys):
    assert main([str(file), "--expect", "0" * 64]) == 1
    assert "this is not the network that was asked about" in capsys.readouterr().out
    first = json.loads(lines[0])["network"]
    assert main([str(file), "--expect", first, "--quiet"]) == 1  # the others are refused
    assert not capsys.readouterr().out.startswith("0 accepted")


def test_another_input_than_was_asked_about_is_refused(tmp_path, lines, capsys):
    path = tmp_path / "c.jsonl"
    path.write_text("".join(lines[:4]))
    assert main([str(path), "--expect-input", json.loads(lines[1])["input"]]) == 0
    assert main([str(path), "--expect-input", "0" * 64]) == 1
    assert "this is not an input that was asked about" in capsys.readouterr().out


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("claims", [0, 1])
def test_an_input_that_was_asked_about_but_that_no_claim_is_about_is_refused_by_name(
    tmp_path, lines, capsys, jobs, claims
):
    """Nothing is wrong with the file, but it does not speak of all that was asked."""
    path = tmp_path / "c.jsonl"
    path.write_text("".join(lines[: 2 + claims]))
    own, missing = json.loads(lines[1])["input"], "1" * 64
    asked = [str(path), "--jobs", jobs, "--expect-input", own]
    assert main(asked) == 1 - claims
    capsys.readouterr()
    assert main([*asked, "--expect-input", missing]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[-2] == f"refused: no claim is about input '{missing}', which was asked about"
    assert out[-1] == f"{claims} accepted, {2 - claims} refused"


def test_a_network_that_was_asked_about_but_that_no_claim_is_about_is_refused_by_name(tmp_path, lines, capsys):
    path = tmp_path / "c.jsonl"
    path.write_text("".join(lines[:3]))
    asked = [str(path), "--expect", json.loads(lines[0])["network"]]
    assert main(asked) == 0
    assert main([*asked, "--expect", "1" * 64]) == 1
    assert f"refused: no claim is about network '{'1' * 64}', which was asked about" in capsys.readouterr().out


def test_what_was_asked_about_may_stand_in_any_of_the_files(tmp_path, capsys):
    examples = [*SEPARATIONS.values()][:2]
    files, asked = [], []
    for number, example in enumerate(examples):
        found = certificates(example.network, example.x, points=[example.other])
        files.append(str(tmp_path / f"{number}.jsonl"))
        (tmp_path / f"{number}.jsonl").write_text("".join(found))
        asked += ["--expect", json.loads(found[0])["network"], "--expect-input", json.loads(found[1])["input"]]
    assert main([*files, *asked]) == 0
    assert main([files[0], *asked]) == 1


UNEXPECTED = [
    RecursionError("too deep"),
    MemoryError(),
    OverflowError("too large"),
    ZeroDivisionError("by 0"),
    KeyError("x\n"),
]


@pytest.mark.parametrize("error", UNEXPECTED, ids=lambda error: type(error).__name__)
def test_an_error_that_nobody_expected_refuses_its_line_alone(lines, monkeypatch, error):
    check, seen = CLAIMS["place"], []

    def fail_once(*given):
        seen.append(given)
        if len(seen) == 1:
            raise error
        return check(*given)

    monkeypatch.setitem(CLAIMS, "place", fail_once)
    (_, good, told), (_, next_good, _) = said(lines[:4])
    assert not good
    assert next_good
    assert told.startswith(f"line 3: refused: it cannot be checked: {type(error).__name__}")
    assert told.isprintable()


def test_an_error_that_nobody_expected_leaves_no_network_behind(lines, monkeypatch):
    monkeypatch.setattr(command, "read_network", lambda _: 1 // 0)
    answers = said(lines[:3])
    assert [good for _, good, _ in answers] == [False, False, False]
    assert "ZeroDivisionError" in answers[0][2]
    assert "no network stands above it, or that was refused" in answers[1][2]


def test_a_file_without_a_claim_is_not_accepted(tmp_path, lines):
    path = tmp_path / "c.jsonl"
    path.write_text("".join(lines[:2]))
    assert main([str(path)]) == 1


def test_a_torn_file_is_refused(file, capsys):
    file.write_text(file.read_text()[:-9])
    assert main([str(file)]) == 1
    assert "the line is cut off: its end is missing" in capsys.readouterr().out


UNREADABLE = [None, b"\x1f\x8b\x08damaged", gzip.compress(b"{}\n" * 1000, mtime=0)[:-12]]


@pytest.mark.parametrize("content", UNREADABLE, ids=["not there", "damaged", "cut off"])
def test_what_cannot_be_read_ends_with_status_2(tmp_path, capsys, content):
    path = tmp_path / "c.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert main([str(path)]) == 2
    assert "cannot be read" in capsys.readouterr().err


NETWORK = '{"format": "dtdsym-certificates/%s", "network": "", "nodes": [%s]}'
HOSTILE = {
    '{"claim": "place", "claim": "place"}': "key 'claim' stands twice",
    "[" * 100_000: "nested deeper",
    "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1): "nested deeper",
    '{"a": NaN}': "is not exact",
    '{"a": -Infinity}': "is not exact",
    '{"a": 0.5}': "is not exact",
    '{"a": 1e400}': "is not exact",
    '{"a": ' + "9" * 10_000 + "}": "is huge",
    '"text"': "an object was expected",
    "": "no JSON",
    "\xff\xfe": "no JSON",
    '{"a": "\\ud800"}': "no network stands above it",
    NETWORK % (3, ""): "is unknown",
    NETWORK % (2, ""): "without a layer",
    NETWORK % (2, '{"node": "Eval"}'): "no other, is the Input",
    NETWORK % (2, '{"node": "Input", "size": 99999999999}'): "takes from 1 to",
    '{"claim": "place"}': "no network stands above it",
}


@pytest.mark.parametrize("line", HOSTILE)
def test_hostile_lines_are_refused_by_name(line):
    ((_, good, told),) = said([line])
    assert not good
    assert HOSTILE[line] in told


def test_nothing_that_stands_above_a_refused_line_is_used_below_it(lines):
    broken = lines[1].replace('"values":["', '"values":["1')
    answers = said([lines[0], broken, lines[2]])
    assert [good for _, good, _ in answers] == [False, False]
    assert "no input stands above it, or that was refused" in answers[1][2]
