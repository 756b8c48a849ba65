"""Nearest admissible roots: no vertex of any cell's roots is nearer, and smaller distances have none at all."""

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
from dtdsym.relevance.root_search import AdmissibleRoot

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)


def reachable(network, x, distance) -> bool:
    """Whether a cell's closure holds a root at most so far away in L-infinity, by Fourier-Motzkin elimination."""
    region = dtdsym.region(network, x)
    constant = network(x)[0] - sum(g * p for g, p in zip(region.gradient, x, strict=True))
    form = [*region.gradient, constant]
    near = [[s * Fraction(i == k) for k in range(2)] + [distance - s * x[i]] for i in range(2) for s in (1, -1)]
    both = [form, [-entry for entry in form]]
    walls = [[[Fraction(int(e)) for e in wall.row] for wall in cell.walls] for cell in region.cells.values()]
    return any(eliminated([*rows, *both, *near]) for rows in walls)


@SLOW
@given(pairs=layers(), x=PLANE_POINTS, relu=st.booleans())
def test_no_root_is_nearer(pairs, x, relu):
    network = sequential(*pairs, final_relu=relu)
    try:
        exists = isinstance(dtdsym.exact_root(network, x), AdmissibleRoot)
    except (OnHinge, InputError):
        return
    found = dtdsym.nearest_root(network, x)
    assert (found is not None) == exists
    if found is not None:
        gaps = [abs(p - q) for p, q in zip(found.point, x, strict=True)]
        assert max(gaps) == found.distance
        assert network(found.point)[0] == 0
        assert not reachable(network, x, found.distance * Fraction(999, 1000))
        city = dtdsym.nearest_root(network, x, norm="l1")
        steps = [abs(p - q) for p, q in zip(city.point, x, strict=True)]
        assert sum(steps) == city.distance
        assert max(gaps) <= city.distance <= sum(gaps)


def test_distances_of_a_plane():
    """x1 + 2 x2 = 0 from (3, 1): 5/3 in L-infinity, 5/2 in L1, by the larger weight alone."""
    network = sequential(([[1, 2]], [0]), final_relu=False)
    assert dtdsym.nearest_root(network, (3, 1)).distance == Fraction(5, 3)
    city = dtdsym.nearest_root(network, (3, 1), norm="l1")
    assert (city.distance, city.point) == (Fraction(5, 2), (3, Fraction(-3, 2)))


def test_the_domain_moves_it():
    network = sequential(([[1, 2]], [0]), final_relu=False)
    assert dtdsym.nearest_root(network, (3, 1), domain="nonnegative").point == (0, 0)


def test_there_may_be_none():
    assert dtdsym.nearest_root(sequential(([[1]], [0]), ([[1]], [1])), (2,)) is None


def test_other_norms_are_refused():
    with pytest.raises(InputError, match="norm 'l3': expected linf or l1"):
        dtdsym.nearest_root(sequential(([[1]], [0])), (2,), norm="l3")
