"""Witnesses in words: every part has a name, points are fractions, and no brace of JSON is left."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from networks import SEPARATIONS

import dtdsym
from dtdsym.claims.decide import CLAIMS, decide
from dtdsym.network.network import sequential
from dtdsym.report.witnesses import LONGEST_JSON, MOST_ENTRIES, MOST_PARTS, as_json, parts

SUM = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claims_witness_is_told_without_keys_or_json(claim):
    asked = {"target": (3, -1)} if claim == "c3" else {}
    cases = [(SUM, (1, 1)), *((example.network, example.x) for example in SEPARATIONS.values())]
    found = [decide(claim, net, x, **asked) for net, x in cases if claim != "c3" or len(x) == 2]
    told = [part for one in found for part in parts(claim, one.witness)]
    assert bool(told) == any(one.witness for one in found)
    for name, value in told:
        assert "_" not in name
        assert not re.search(r'[\[\]{}"_]', value), value


@pytest.mark.parametrize("claim", ["c2", "c5"])
def test_witnesses_about_a_box_are_told_too(claim):
    found = dtdsym.decide_in_box(claim, SUM, [(0, 1), (0, 1)], rule="w2")
    told = dict(parts(claim, found.witness))
    assert told
    assert not any("_" in name for name in told)


def test_points_are_exact_fractions():
    told = parts("c1", {"neuron": 3, "point": ["-7/4", "37/8", "0"]})
    assert told == [("neuron", "3"), ("point with another gradient", "(-7/4, 37/8, 0)")]


def test_all_neurons_together_are_no_neuron_of_their_own():
    assert parts("c1", {"neuron": -1, "point": ["1"]})[0] == ("neurons", "all that count, together")


def test_what_is_long_is_rounded_and_cut_and_says_so():
    long = f"{10**30 + 1}/{3 * 10**30}"
    ((_, told),) = parts("admissible_root", {"root": [long] * (MOST_ENTRIES + 5)})
    assert told.count("≈ 0.333333") == MOST_ENTRIES
    assert f"{MOST_ENTRIES + 5} numbers" in told
    changes = [{"logits": [0, other], "l1": "1/3"} for other in range(1, MOST_PARTS + 4)]
    told = parts("c7", {"tau": "1/3", "l1_bound": "2/3", "exact": True, "columns": [0, 2], "changes": changes})
    assert ("the map moves in L1 by at most", "2/3") in told
    assert ("attained by neurons", "0 and 2") in told
    assert told[-1] == ("further pairs of logits", "3")
    assert as_json({"x": ["1"] * 500}, "the rest is elsewhere").startswith('{"x": ["1", ')
    assert as_json({"x": ["1"] * 500}, "the rest is elsewhere").endswith("the rest is elsewhere)")
    assert len(as_json({"x": ["1"] * 500}, "")) < LONGEST_JSON + 50


def test_a_change_that_is_known_by_bounds_is_told_by_the_upper_one():
    """Rounded up, never down."""
    change = {"logits": [0, 1], "at_least": f"{2**60}/{3 * 2**60 + 1}", "at_most": f"{2**60 + 1}/{3 * 2**60}"}
    assert parts("c7", {"changes": [change]}) == [("maps of logits 0 and 1 differ in L1 by", "at most 0.3334")]


def test_a_derivative_is_told_with_the_width_of_its_enclosure():
    low, high = Fraction(1, 4), Fraction(1, 4) + Fraction(1, 10**9)
    witness = {"derivatives": [{"layer": 2, "neuron": 5, "low": str(low), "high": str(high)}]}
    told = ("derivative of order 2 at neuron 5 of layer 2", "0.25, enclosed to within 1e-09")
    assert parts("c4", witness) == [told]
