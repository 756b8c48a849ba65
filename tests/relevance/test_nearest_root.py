"""Nearest admissible roots: no common zero of the form and of walls is nearer, and smaller distances have none."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import sequential
from oracles import eliminated
from strategies import PLANE_POINTS, layers

import dtdsym
from dtdsym.errors import BudgetSpent, InputError, OnHinge
from dtdsym.relevance.nearest_root import NearestRoot
from dtdsym.relevance.root_search import AdmissibleRoot, NoAdmissibleRoot

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)


def reachable(network, x, distance, cells) -> bool:
    """Whether a cell's closure holds a root at most so far away in L-infinity, by Fourier-Motzkin elimination."""
    region = dtdsym.region(network, x)
    constant = network(x)[0] - sum(g * p for g, p in zip(region.gradient, x, strict=True))
    form = [*region.gradient, constant]
    near = [[s * Fraction(i == k) for k in range(2)] + [distance - s * x[i]] for i in range(2) for s in (1, -1)]
    both = [form, [-entry for entry in form]]
    walls = [[[Fraction(int(e)) for e in wall.row] for wall in cell.walls] for cell in cells]
    return any(eliminated([*rows, *both, *near]) for rows in walls)


def squares(network, x, cells) -> Fraction | None:
    """The least squared distance of a root in the closed cells, over all common zeros of the form and of walls."""
    region = dtdsym.region(network, x)
    constant = network(x)[0] - sum(g * p for g, p in zip(region.gradient, x, strict=True))
    form = [*region.gradient, constant]
    best = None
    for cell in cells:
        walls = [[Fraction(int(e)) for e in wall.row] for wall in cell.walls]
        for point in [foot(form, x), *(meeting(form, wall) for wall in walls)]:
            if point is not None and all(a * point[0] + b * point[1] + c >= 0 for a, b, c in walls):
                squared = sum((p - q) ** 2 for p, q in zip(point, x, strict=True))
                best = squared if best is None else min(best, squared)
    return best


def foot(form, x):
    """The point of the line nearest to x."""
    a, b, c = form
    if a == b == 0:
        return None
    step = (a * x[0] + b * x[1] + c) / (a * a + b * b)
    return x[0] - step * a, x[1] - step * b


def meeting(one, other):
    """Where two lines meet."""
    (a, b, c), (d, e, f) = one, other
    if a * e == b * d:
        return None
    return (b * f - c * e) / (a * e - b * d), (c * d - a * f) / (a * e - b * d)


@SLOW
@given(pairs=layers(), x=PLANE_POINTS, relu=st.booleans(), within=st.sampled_from(["region", "cell"]))
def test_no_root_is_nearer(pairs, x, relu, within):
    network = sequential(*pairs, final_relu=relu)
    try:
        exists = isinstance(dtdsym.exact_root(network, x, within=within), AdmissibleRoot)
    except (OnHinge, InputError):
        return
    found = dtdsym.nearest_root(network, x, norm="linf", within=within)
    assert isinstance(found, NearestRoot) == exists
    home = dtdsym.region(network, x)
    cells = [home.cell] if within == "cell" else home.cells.values()
    assert len(found.cells) <= len(cells)
    if isinstance(found, NearestRoot):
        gaps = [abs(p - q) for p, q in zip(found.point, x, strict=True)]
        assert max(gaps) == found.distance
        assert network(found.point)[0] == 0
        assert not reachable(network, x, found.distance * Fraction(999, 1000), cells)
        city = dtdsym.nearest_root(network, x, norm="l1", within=within)
        steps = [abs(p - q) for p, q in zip(city.point, x, strict=True)]
        assert sum(steps) == city.distance
        assert max(gaps) <= city.distance <= sum(gaps)
        straight = dtdsym.nearest_root(network, x, within=within)
        assert straight.squared == sum((p - q) ** 2 for p, q in zip(straight.point, x, strict=True))
        assert straight.squared == squares(network, x, cells)


def test_distances_of_a_plane():
    """x1 + 2 x2 = 0 from (3, 1): 5/3 in L-infinity, 5/2 in L1, by the larger weight alone, and 5 squared in L2."""
    network = sequential(([[1, 2]], [0]), final_relu=False)
    assert dtdsym.nearest_root(network, (3, 1), norm="linf").distance == Fraction(5, 3)
    city = dtdsym.nearest_root(network, (3, 1), norm="l1")
    assert (city.distance, city.point) == (Fraction(5, 2), (3, Fraction(-3, 2)))
    straight = dtdsym.nearest_root(network, (3, 1))
    assert (straight.point, straight.squared, straight.distance) == ((2, -1), 5, 5**0.5)


@pytest.mark.parametrize("exponent", [600, -600, 0, 1, -1, 1030])
def test_distances_neither_overflow_nor_vanish(exponent):
    """x1 + x2 = 0 from (s, s): s sqrt(2)."""
    scale = Fraction(2) ** exponent
    network = sequential(([[1, 1]], [0]), final_relu=False)
    found = dtdsym.nearest_root(network, (scale, scale))
    assert found.squared == 2 * scale**2
    expected = math.ldexp(math.sqrt(2), exponent) if exponent < 1024 else sys.float_info.max
    assert found.distance == expected
    assert isinstance(found.distance, float)
    assert dtdsym.nearest_root(network, (scale, scale), norm="linf").distance == scale


def test_the_domain_moves_it():
    network = sequential(([[1, 2]], [0]), final_relu=False)
    assert dtdsym.nearest_root(network, (3, 1), domain="nonnegative").point == (0, 0)


def test_the_cell_alone_may_hold_none():
    """[[x] + [x - 2] - [x - 2]] at 3: one region from 0 on, which x = 2 divides into two cells."""
    network = sequential(([[1], [1], [1]], [0, -2, -2]), ([[1, 1, -1]], [0]))
    assert isinstance(dtdsym.nearest_root(network, (3,), within="cell"), NoAdmissibleRoot)
    assert isinstance(dtdsym.exact_root(network, (3,), within="cell"), NoAdmissibleRoot)
    assert dtdsym.nearest_root(network, (3,)).distance == 3


def test_there_may_be_none():
    found = dtdsym.nearest_root(sequential(([[1]], [0]), ([[1]], [1])), (2,))
    assert isinstance(found, NoAdmissibleRoot)
    assert found.cells.keys() == found.bounds.keys()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"norm": "l3"}, "norm 'l3': expected l1, l2 or linf"),
        ({"within": "box"}, "within 'box': expected region or cell"),
        ({"domain": "real"}, "domain 'real': expected nonnegative, or None"),
    ],
)
def test_what_is_unknown_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        dtdsym.nearest_root(sequential(([[1]], [0])), (2,), **asked)


def test_it_obeys_its_budget():
    network = sequential(([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 0]], [0]))
    with pytest.raises(BudgetSpent, match="the budget of 1e-09 seconds"):
        dtdsym.nearest_root(network, (2, 3), budget=dtdsym.Budget(seconds=1e-9))


def test_a_quadratic_program_that_cycles_in_floats_is_decided(repository):
    """HiGHS's active-set method goes round for ever on this one, if it is let."""
    network = dtdsym.load(str(repository / "examples" / "digits_mlp.pt"))
    x = np.load(repository / "examples" / "digits_inputs.npy")[0].tolist()
    logit = max(range(10), key=network(x).__getitem__)
    found = dtdsym.nearest_root(network, x, logit=logit, layer=2, neuron=15)
    assert isinstance(found, NearestRoot)
    assert found.distance > 0
