"""The nearest point of a polyhedron: against all sets of at most d rows, with HiGHS's proposals and without."""

from __future__ import annotations

from itertools import combinations

import pytest
from flint import fmpq, fmpq_mat
from hypothesis import given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import projection
from dtdsym.arithmetic.closed import Feasible, Infeasible, feasible
from dtdsym.arithmetic.projection import Projection, check, project

SMALL = st.integers(-3, 3)
ROWS = st.integers(1, 3).flatmap(
    lambda d: st.lists(st.lists(SMALL, min_size=d + 1, max_size=d + 1), min_size=1, max_size=6)
)


def nearest(rows) -> fmpq | None:
    """The least squared length of a point with all rows >= 0: that of the common zero of some independent rows."""
    size, best = len(rows[0]) - 1, None
    for count in range(size + 1):
        for chosen in combinations(rows, count):
            point = [fmpq(0)] * size
            if chosen:
                normals = fmpq_mat([row[:-1] for row in chosen])
                gram = normals * normals.transpose()
                if gram.det() == 0:
                    continue
                factors = gram.solve(fmpq_mat([[-row[-1]] for row in chosen]))
                point = (normals.transpose() * factors).entries()
            if all(sum((a * x for a, x in zip(row, point, strict=False)), fmpq(row[-1])) >= 0 for row in rows):
                squared = sum((x * x for x in point), fmpq(0))
                best = squared if best is None else min(best, squared)
    return best


@pytest.mark.parametrize("proposals", ["HiGHS", "none", "all"])
@given(rows=ROWS)
@settings(deadline=None)
def test_no_point_is_nearer(proposals, rows):
    with pytest.MonkeyPatch.context() as patch:
        if proposals != "HiGHS":
            patch.setattr(projection, "_proposed", lambda forms, _: list(range(len(forms))) * (proposals == "all"))
        outcome = project(rows)
    assert isinstance(outcome, Projection) == isinstance(feasible(rows), Feasible)
    if isinstance(outcome, Projection):
        assert sum((x * x for x in outcome.point), fmpq(0)) == nearest(rows)


def test_numbers_beyond_floats():
    huge = 10**400
    assert project([[huge, 0, -huge], [0, 1, -3]]).point == (1, 3)


@pytest.mark.parametrize(
    ("outcome", "law"),
    [
        (Projection((fmpq(0),), (fmpq(1), fmpq(0))), "row 0 is negative at the point"),
        (Projection((fmpq(3),), (fmpq(0), fmpq(-3))), "multiplier 1 is -3"),
        (Projection((fmpq(3),), (fmpq(3), fmpq(0))), "multiplier 0 is 3 where the row is 2"),
        (Projection((fmpq(1),), (fmpq(2), fmpq(0))), "do not add up to the point"),
        (Infeasible((fmpq(1), fmpq(1))), "a constant that is not negative"),
    ],
)
def test_outcomes_that_do_not_hold_are_refused_by_their_law(outcome, law):
    """The point of [1, 3] nearest to 0."""
    with pytest.raises(ArithmeticError, match=law):
        check([[1, -1], [-1, 3]], outcome)
