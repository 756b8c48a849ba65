"""Z3 finds, unaided, networks with non-positive biases and inputs to whose linear region the origin does not belong."""

from __future__ import annotations

from fractions import Fraction as Q

import numpy as np
import pytest

import dtdsym
from dtdsym.errors import InputError, NotExact, Unknown
from dtdsym.lifts.nonpositive_bias import (
    nonpositive_bias_counterexample,
    nonpositive_bias_question,
    whole_network,
)
from dtdsym.lifts.question import Found, Question, Unsat
from dtdsym.network.layers import Affine


@pytest.mark.parametrize("widths", [(1, 1), (2, 1), (1, 1, 1), (2, 2, 1), (2, 1, 2, 1)])
def test_a_counterexample_is_found_and_is_one(widths):
    found = nonpositive_bias_counterexample(widths)
    layers = [node for node in found.network.nodes if isinstance(node, Affine)]
    assert found.network.widths == widths
    assert all((node.bias <= 0).all() for node in layers)
    assert all((node.weight == np.round(node.weight)).all() for node in layers)
    assert found.network(found.x)[0] > 0
    placed = dtdsym.place(found.network, found.x, [0] * widths[0])
    assert placed.name == "outside"
    assert any(placed.gradient)


def test_the_numbers_of_the_question_are_in_their_box():
    found = nonpositive_bias_question((2, 2, 1), side=1).ask()
    assert isinstance(found, Found)
    assert set(found.points) == {"weight_1", "bias_1", "weight_2", "bias_2", "x"}
    assert all(abs(number) <= 1 for numbers in found.points.values() for number in numbers)
    assert not found.question.verified({**found.points, "x": (0, 0)})
    assert not found.question.verified({**found.points, "bias_1": (1, 1)})


def test_without_room_for_one_none_is_found():
    for side in (0, -1, "-1/2"):
        with pytest.raises(InputError, match=r"side=.*: give a number above 0"):
            nonpositive_bias_counterexample((1, 1), side=side)
    for side in ("a", None, float("nan"), [1, 2]):
        with pytest.raises(NotExact, match="side"):
            nonpositive_bias_counterexample((1, 1), side=side)
    with pytest.raises(Unknown, match="larger budget"):
        nonpositive_bias_counterexample((4, 4, 4, 1), steps=1)
    with pytest.raises(InputError, match="steps='a'"):
        nonpositive_bias_counterexample((1, 1), steps="a")
    with pytest.raises(InputError, match="budget=1: give"):
        nonpositive_bias_counterexample((1, 1), budget=1)
    for widths in [(1,), (2, 2), (0, 1), (2, 2.5, 1), (2, "2", 1), None, 3, "21", (2, None, 1)]:
        with pytest.raises(InputError, match="widths"):
            nonpositive_bias_counterexample(widths)


@pytest.mark.parametrize("side", [Q(1, 10**6), 1e-3, "7/3", np.int64(2)])
def test_any_room_is_enough(side):
    found = nonpositive_bias_question((1, 1), side=side).ask()
    assert all(abs(number) <= Q(side) for numbers in found.points.values() for number in numbers)


def test_numbers_that_no_network_holds_are_told_as_such():
    question = nonpositive_bias_question((1, 1), side=10**30)
    huge = {"weight_1": (Q(10**30 + 1, 3),), "bias_1": (Q(-1),), "x": (Q(1),)}
    with pytest.raises(Unknown, match=r"are no network's: .*give a smaller side"):
        question.verified(huge)
    with pytest.raises(Unknown, match=r"a number beyond the largest float64.*give a smaller side"):
        question.verified({**huge, "weight_1": (Q(10**400),)})


def test_a_proof_that_there_is_none_is_no_unknown(monkeypatch):
    monkeypatch.setattr(Question, "ask", lambda self, budget, steps: Unsat(self))
    with pytest.raises(InputError, match=r"Z3 answers that no network 1-1 .*, of numbers within 4 of 0"):
        nonpositive_bias_counterexample((1, 1))


def test_numbers_made_whole_are_the_same_network_up_to_one_factor():
    numbers = {"weight_1": (Q(1, 2),), "bias_1": (Q(-1, 3),), "weight_2": (Q(6, 5),), "bias_2": (Q(-1, 7),)}
    network = whole_network((1, 1, 1), numbers)
    ratios = set()
    for x in (Q(2), Q(3), Q(17, 5), Q(0)):
        value = max(Q(6, 5) * max(x / 2 - Q(1, 3), 0) - Q(1, 7), 0)
        assert (network([x])[0] == 0) == (value == 0)
        ratios |= {network([x])[0] / value} if value else set()
    assert len(ratios) == 1
    assert ratios.pop() > 0
