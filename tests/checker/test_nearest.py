"""Certificates of nearest roots: all are accepted, and neither a farther one nor none passes for the nearest."""

from __future__ import annotations

import json

import pytest
from certified import nearest_lines, refusals, said
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import sequential
from strategies import PLANE_POINTS, layers

import dtdsym
from dtdsym.arithmetic.rational import from_text, text
from dtdsym.errors import InputError, OnHinge
from dtdsym.relevance.root_search import AdmissibleRoot

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
ASKED = st.fixed_dictionaries(
    {
        "norm": st.sampled_from(["l1", "l2", "linf"]),
        "domain": st.sampled_from([None, "nonnegative"]),
        "within": st.sampled_from(["region", "cell"]),
        "neuron": st.sampled_from([None, 0]),
    }
)


@SLOW
@given(pairs=layers(), x=PLANE_POINTS, relu=st.booleans(), asked=ASKED)
def test_every_nearest_root_is_accepted_and_a_farther_one_is_not(pairs, x, relu, asked):
    network = sequential(*pairs, final_relu=relu)
    try:
        lines = nearest_lines(network, x, **asked)
    except (OnHinge, InputError):
        return
    assert refusals(lines) == []
    line = json.loads(lines[2])
    if line["verdict"] == "refuted":
        return
    claimed = {**line, "verdict": "refuted", "evidence": {k: v for k, v in line["evidence"].items() if k != "root"}}
    claimed["evidence"].pop("path")
    assert refusals([*lines[:2], json.dumps(claimed)])
    other = dtdsym.exact_root(network, x, **{k: v for k, v in asked.items() if k != "norm"})
    assert isinstance(other, AdmissibleRoot)
    if size(other.point, x, asked["norm"]) > size(map(from_text, line["evidence"]["root"]), x, asked["norm"]):
        path = [[text(p) for p in crossing.point] for crossing in other.path]
        farther = {**line["evidence"], "root": [text(p) for p in other.point], "path": path}
        assert refusals([*lines[:2], json.dumps({**line, "evidence": farther})])


def size(point, x, norm):
    gaps = [abs(p - q) for p, q in zip(point, x, strict=True)]
    return max(gaps) if norm == "linf" else sum(gap if norm == "l1" else gap * gap for gap in gaps)


def test_another_norm_needs_another_bound():
    """x1 + 2 x2 = 0 from (3, 1): the nearest in L2, (2, -1), is not the nearest in L1."""
    lines = nearest_lines(sequential(([[1, 2]], [0]), final_relu=False), (3, 1))
    line = json.loads(lines[2])
    mutants = [json.dumps({**line, "norm": norm}) for norm in ("l1", "linf")]
    assert [said([*lines[:2], mutant])[-1][1] for mutant in mutants] == [False, False]


@pytest.mark.parametrize("sign", [1, -1])
def test_no_open_cell_holds_an_input_on_a_hinge_that_cancels(sign):
    """[x1] + [x2] - [x2] at x2 = 0: the cell on one side has a root of the last neuron, that on the other has none."""
    rows = [[1, 0], [0, 1], [0, 1], [0, sign]]
    network = sequential((rows, [0, 0, 0, 1]), ([[1, 1, -1, 0]], [0]), final_relu=False)
    with pytest.raises(OnHinge, match="so in no open cell"):
        nearest_lines(network, (3, 0), 3, within="cell")
    found = json.loads(nearest_lines(network, (3, 0.5), 3, within="cell")[2])
    lines = nearest_lines(network, (3, 0), 3)
    inside = json.loads(lines[2])
    forged = {**inside, "within": "cell", "verdict": found["verdict"], "evidence": found["evidence"]}
    told = refusals([*lines[:2], json.dumps(forged) + "\n"])
    assert any("lies on a hinge, so in no open cell" in words for words in map(str, told))
