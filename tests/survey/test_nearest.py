"""Audits of nearest roots: every place, the comparison with the rules, certificates, resumed runs and budgets."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from certified import refusals
from networks import sequential
from rich.console import Console

import dtdsym
from dtdsym.errors import InputError
from dtdsym.relevance.nearest_explanation import apart, explain_by_nearest_roots
from dtdsym.survey.apart import Apart

PAPER = Path(__file__).parents[2] / "examples" / "paper_mlp.pt"


@pytest.fixture
def network():
    rng = np.random.default_rng(3)
    shapes = [(4, 3), (3, 4), (2, 3)]
    return sequential(*((rng.integers(-4, 5, s).tolist(), rng.integers(-2, 3, s[0]).tolist()) for s in shapes))


@pytest.fixture
def inputs():
    return np.random.default_rng(5).integers(-3, 4, (12, 3)) / 4


def asked(network, inputs, **more):
    return dtdsym.audit(network, inputs, layers="all", root="nearest", rules=["zplus", "w2"], **more)


def test_every_root_is_placed_and_exists_or_not_as_nearest_root_says(network, inputs):
    report = asked(network, inputs)
    rows = report.to_json()["roots"]
    assert [(row["rule"], row["parameter"], row["root"], row["layer"]) for row in rows] == [
        ("nearest", ["l2"], "nearest", layer) for layer in (1, 2, 3)
    ]
    for row in report.rows:
        assert {name for name, number in row.tally.places.items() if number} <= {
            "boundary", "same_cell", "same_region", "same_region_segment", "no_root", "degenerate",
        }  # fmt: skip
    assert report.inputs.audited > 3
    assert {claim["claim"] for claim in report.claims} == set()


def test_rules_are_compared_with_the_explanation_of_nearest_roots(network, inputs):
    report = asked(network, inputs)
    distances = {"zplus": [], "w2": []}
    for x in inputs:
        output = network(x.tolist())
        logit = max(range(2), key=lambda k: output[k])
        if output[logit] <= 0:
            continue
        try:
            own = explain_by_nearest_roots(network, x.tolist(), logit=logit)
        except dtdsym.OnHinge:
            continue
        for rule, found in distances.items():
            distance = apart(own.relevance, dtdsym.explain(network, x.tolist(), rule=rule, logit=logit))
            found += [] if distance is None else [float(distance)]
    for row in report.apart:
        assert row.tally.count == len(distances[row.rule.label]) > 3
        assert row.tally.maximum == max(distances[row.rule.label])
        assert row.tally.median == pytest.approx(float(np.median(sorted(distances[row.rule.label]))), abs=0.2)


def test_certificates_of_nearest_roots_are_accepted(network, inputs, tmp_path):
    path = tmp_path / "c.jsonl"
    report = asked(network, inputs, certificates=str(path))
    lines = path.read_text().splitlines()
    assert refusals(lines) == []
    claims = [line for line in map(json.loads, lines) if "claim" in line]
    nearest = [line for line in claims if line["claim"] == "nearest_root"]
    missing = sum(row.tally.places["no_root"] for row in report.rows)
    assert sum(line["verdict"] == "refuted" for line in nearest) == missing > 0
    moved = sum(row.tally.total - row.tally.places["degenerate"] for row in report.rows)
    assert len(nearest) == moved


def test_a_resumed_run_says_the_same(network, inputs, tmp_path):
    journal = str(tmp_path / "run.json")
    one = asked(network, inputs, journal=journal).to_json()
    two = asked(network, inputs, journal=journal).to_json()
    assert one["apart"] == two["apart"]
    assert [{**row, "seconds": 0} for row in one["roots"]] == [{**row, "seconds": 0} for row in two["roots"]]


def test_a_spent_budget_leaves_them_undecided():
    network = dtdsym.load(str(PAPER))
    x = np.abs(np.random.default_rng(0).normal(size=(8, 10)))
    report = dtdsym.audit(network, x, logit=0, root="nearest", budget=dtdsym.Budget(seconds=1e-9))
    row = report.rows[0]
    assert row.tally.places["undecided"] == row.tally.total > 0
    assert all(own.tally.open == report.inputs.audited for own in report.apart)


@pytest.mark.parametrize("root", ["nearest:l3", "nearest:l2:box", "nearest:", "closest"])
def test_unknown_roots_are_refused(network, inputs, root):
    with pytest.raises(InputError, match=f"root '{root}': expected"):
        dtdsym.audit(network, inputs, root=root)


def test_tallies_add_up_in_any_order():
    one, other = Apart(), Apart()
    for number, distance in enumerate([0.1, 0.9, 0.5]):
        one.record(distance, number)
    other.record(0.9, 7)
    other.open, other.losing = 2, 1
    both, swapped = Apart.from_json(one.to_json()), Apart.from_json(other.to_json())
    both.merge(other)
    swapped.merge(one)
    assert both == swapped
    assert (both.count, both.open, both.losing, both.maximum, both.input) == (4, 2, 1, 0.9, 1)


def test_the_median_is_never_above_the_maximum_and_none_of_nothing():
    tally = Apart()
    assert tally.median is None
    for number in range(3):
        tally.record(0.0, number)
    assert (tally.median, tally.maximum) == (0.0, 0.0)
    tally.record(0.50049, 4)
    for number in range(5, 9):
        tally.record(0.50049, number)
    assert tally.median == pytest.approx(0.5)
    assert tally.median <= tally.maximum


def told(network, x, **asked):
    report = dtdsym.audit(network, [x], root=asked.pop("root", "nearest"), logit=0, **asked)
    console = Console(width=200, file=io.StringIO())
    console.print(report)
    return " ".join(console.file.getvalue().split()), report


def test_a_bounded_question_is_not_answered_for_all_points():
    """[x + 1]: its root is -1, which is negative."""
    said, _ = told(sequential(([[1]], [1])), [2], root="nearest:l2:nonnegative", domain="real")
    assert "For 0 of 1 neuron there is an admissible root without negative coordinates" in said
    assert "no admissible root without negative coordinates exists" in said
    assert "(that the domain allows)" in said


def test_an_input_on_the_hinge_is_no_admissible_root():
    said, report = told(sequential(([[1, -1]], [0]), final_relu=False), [2, 2], min_logit=-1)
    assert "For 0 of 1 neuron there is an admissible root" in said
    assert report.rows[0].tally.places["degenerate"] == 1


def test_nearest_roots_on_the_edge_are_no_violation(network):
    """[x1] + [x2] + 1 and its neurons' hinges, which bound the region."""
    plain = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [1]))
    _, report = told(plain, [1, 2])
    assert report.rows[0].tally.places["boundary"] == 2
    assert not report.violated
    assert told(sequential(([[1], [1]], [0, 1]), ([[1, 1]], [0])), [2])[1].violated  # the second neuron has none


@pytest.mark.parametrize("claim", ["c5", "c6"])
def test_claims_about_rules_roots_are_refused_beside_nearest_ones(network, inputs, claim):
    with pytest.raises(InputError, match=f"claim {claim} speaks of the rules' own roots"):
        asked(network, inputs, claims=[claim])
