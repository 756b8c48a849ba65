"""`python -m dtdsym.checker`: what it says of files, whole, torn, compressed and hostile, and how it ends."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pytest
from certified import certificates, said
from networks import EVIDENCE, SEPARATIONS

from dtdsym.__main__ import main as dtdsym_command
from dtdsym.checker.__main__ import main
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
