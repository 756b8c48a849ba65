"""Whatever the bytes, the checker answers in one line and goes on: no traceback, no long wait."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dtdsym.checker.__main__ import Checker, read_lines
from dtdsym.checker.reading import Refused, number

VALID = Path(__file__).parent.parent / "certificates" / "valid"
LINES = (VALID / "outside_by_cells.jsonl").read_bytes().splitlines(keepends=True)


def answered(lines):
    return list(Checker().answers(read_lines(io.BytesIO(b"".join(lines)))))


MANY = 200_000
HOSTILE = {
    "no UTF-8": (b"\xff\xfe{}\n", "no JSON"),
    "a byte order mark": (b"\xef\xbb\xbf{}\n", "no JSON"),
    "a list": (b"[]\n", "an object was expected"),
    "a string without an end": (b'{"claim": "' + b"\\" * (MANY - 1) + b"\n", "no JSON"),
    "brackets, quotes and backslashes": (b"[]" * 20 + b'"\\' * MANY + b"\n", "no JSON"),
    "very many keys, one twice": (
        b"{" + b"".join(b'"%d":0,' % k for k in range(MANY)) + b'"%d":0}\n' % (MANY - 1), "199999' stands twice"
    ),
    "a long key twice": (b'{"' + b"a" * 999 + b'":0,"' + b"a" * 999 + b'":0}\n', "stands twice"),
    "no claim's name": (LINES[2].replace(b'"place"', b"{}", 1), "claim is no string"),
    "control characters": (LINES[2].replace(b'"place"', b'"\\u001b[2J\\n"', 1), "claim '\\x1b[2J\\n' is unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_line_is_refused_by_name_and_the_next_is_read(name):
    line, words = HOSTILE[name]
    (_, good, told), *rest = answered([*LINES[:2], line, *LINES])
    assert not good
    assert words in told
    assert len(told) < 300
    assert told.isprintable()
    assert [accepted for _, accepted, _ in rest] == [True]


@given(st.binary(max_size=200))
@example(b'{"format":[]}')
@example(b'{"input":{},"network":[],"values":{}}')
@example(b'{"network":1,"format":2,"nodes":{}}')
def test_any_bytes_are_answered_and_none_accepted(content):
    found = answered([*LINES[:2], content + b"\n"])
    assert found
    assert not any(good for _, good, _ in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | st.sampled_from(["0", "-1/2", "++", "input"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["pattern", "no_facet", "t", "cones", "entry", "wall", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(path=st.sampled_from(sorted(VALID.glob("*.jsonl"))), data=st.data(), value=JSON)
def test_any_json_in_any_place_is_answered_and_no_other_kind_is_accepted(path, data, value):
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    holder = data.draw(st.sampled_from(lines))
    while True:
        name = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else list(range(len(holder)))))
        if not holder[name] or not isinstance(holder[name], dict | list) or data.draw(st.booleans()):
            break
        holder = holder[name]
    another = type(holder[name]) is not type(value)
    holder[name] = value
    found = answered([(json.dumps(text) + "\n").encode() for text in lines])
    assert found
    if another:
        assert not all(good for _, good, _ in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+1",
        "01",
        "1/0",
        "1/01",
        "1/1",
        "0/2",
        "2/4",
        "-0",
        "1.5",
        "1e3",
        "1_000",
        "nan",
        " 1",
        "1\n",
        "\u0661",
        "9" * 200_001,
    ],
)
def test_number_not_in_the_one_form_is_refused(text):
    with pytest.raises(Refused) as caught:
        number(text, "n")
    assert len(str(caught.value)) < 200


@given(st.fractions())
def test_number_is_read_exactly(value):
    assert number(str(value), "n") == value


def test_long_number_is_read_whatever_the_interpreter_limits():
    code = (
        "from dtdsym.checker.reading import number; "
        "print(number('-' + '7' * 199_990, 'n') == -7 * (10**199_990 - 1) // 9)"
    )
    words = [sys.executable, "-X", "int_max_str_digits=640", "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "True\n"


def test_nodes_that_double_are_refused_before_they_are_held():
    """Twenty nodes of a million entries each, from a file of two kilobytes."""
    nodes = [{"node": "Input", "size": 1}, *({"node": "Concat", "sources": [k, k]} for k in range(20))]
    nodes += [{"node": "Relu", "sources": [20]}] * 20
    line = {"format": "dtdsym-certificates/2", "network": "0" * 64, "nodes": nodes}
    ((_, good, told),) = answered([json.dumps(line).encode() + b"\n"])
    assert not good
    assert "all nodes: " in told
