"""The lowest relevance of a region: nothing is lower, by Fourier-Motzkin elimination on every cell."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import sequential
from oracles import eliminated
from strategies import PLANE_POINTS, layers

import dtdsym
from dtdsym.errors import InputError, OnHinge
from dtdsym.relevance.lowest_relevance import LowestRelevance, UnboundedRelevance
from dtdsym.relevance.root_search import AdmissibleRoot

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
UNIT = [[Fraction(1), Fraction(0), Fraction(0)], [Fraction(0), Fraction(1), Fraction(0)]]


@SLOW
@given(pairs=layers(), x=PLANE_POINTS, relu=st.booleans(), domain=st.sampled_from([None, "nonnegative"]))
def test_nothing_is_lower(pairs, x, relu, domain):
    network = sequential(*pairs, final_relu=relu)
    try:
        region = dtdsym.region(network, x)
        found = dtdsym.lowest_relevance(network, x, domain=domain)
    except (OnHinge, InputError):
        return
    sign = 1 if network(x)[0] > 0 else -1
    constant = network(x)[0] - sum(g * p for g, p in zip(region.gradient, x, strict=True))
    form = [sign * entry for entry in (*region.gradient, constant)]

    def reached(bound):
        below = [-entry for entry in form[:-1]] + [bound - form[-1]]
        walls = ([[Fraction(int(e)) for e in wall.row] for wall in cell.walls] for cell in region.cells.values())
        return any(eliminated([*rows, below, *(UNIT if domain else [])]) for rows in walls)

    if isinstance(found, UnboundedRelevance):
        assert not relu
        assert reached(Fraction(-(10**9)))
        return
    assert sum(a * p for a, p in zip(form, found.point, strict=False)) + form[-1] == found.value
    assert reached(found.value)
    assert not reached(found.value - Fraction(1, 10**9))
    if relu:
        exists = isinstance(dtdsym.exact_root(network, x, domain=domain), AdmissibleRoot)
        assert (found.value == 0) == exists


def test_a_positive_minimum():
    """[[x] + 1] with x > 0 is lowest at x = 0, where it is 1."""
    network = sequential(([[1]], [0]), ([[1]], [1]))
    assert dtdsym.lowest_relevance(network, (2,)) == LowestRelevance((Fraction(0),), Fraction(1), 1)


def test_a_scaled_form_has_its_own_value():
    """x / 3 - 1/7 at x = 2 is lowest, with x >= 0, at 0."""
    network = sequential(([[0.25]], [0.125]), final_relu=False)
    assert dtdsym.lowest_relevance(network, (2,), domain="nonnegative").value == Fraction(1, 8)
    assert isinstance(dtdsym.lowest_relevance(network, (2,)), UnboundedRelevance)


def test_a_neurons():
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))
    assert dtdsym.lowest_relevance(network, (2, 3), neuron=1).value == 0


def test_the_domain_may_leave_nothing():
    network = sequential(([[-1]], [-1]), ([[1]], [0]))  # positive below -1 alone
    with pytest.raises(InputError, match="no point of the region has only coordinates from 0 on"):
        dtdsym.lowest_relevance(network, (-2,), domain="nonnegative")
