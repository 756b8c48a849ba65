"""Weak inequalities: against Fourier-Motzkin elimination, and every proof against its law."""

from __future__ import annotations

from fractions import Fraction

import pytest
from flint import fmpq
from hypothesis import given
from hypothesis import strategies as st
from oracles import eliminated

from dtdsym.arithmetic.closed import Feasible, Infeasible, check, feasible

SMALL = st.integers(-2, 2)


@given(
    st.integers(1, 3).flatmap(
        lambda d: st.lists(st.lists(SMALL, min_size=d + 1, max_size=d + 1), min_size=1, max_size=6)
    )
)
def test_a_point_is_found_iff_there_is_one(rows):
    outcome = feasible(rows)
    assert isinstance(outcome, Feasible) == eliminated([[Fraction(entry) for entry in row] for row in rows])


@pytest.mark.parametrize(
    ("rows", "exists"),
    [
        ([[1, 0], [-1, 0]], True),  # x = 0 alone
        ([[1, 0], [-1, -1]], False),
        ([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], True),  # the origin alone
        ([[1, 1, 0], [-1, 0, 0], [0, -1, 0]], True),  # a vertex alone: three rows that add up to zero
        ([[1, 1, -1], [-1, 0, 0], [0, -1, 0]], False),
        ([[1, 0, 0], [-1, 0, 0], [0, 1, -1], [0, -1, 0]], False),  # a line, and on it nothing
        ([[0, 1]], True),
        ([[0, -1]], False),
    ],
)
def test_faces(rows, exists):
    assert isinstance(feasible(rows), Feasible) == exists


def test_outcomes_that_do_not_hold_are_refused_by_their_law():
    rows = [[1, 0], [-1, -1]]
    with pytest.raises(ArithmeticError, match="row 1 is negative at the point"):
        check(rows, Feasible((fmpq(0),)))
    with pytest.raises(ArithmeticError, match="a multiplier is negative"):
        check(rows, Infeasible((fmpq(-1), fmpq(-1))))
    with pytest.raises(ArithmeticError, match="do not add up to a constant"):
        check(rows, Infeasible((fmpq(1), fmpq(2))))
    with pytest.raises(ArithmeticError, match="a constant that is not negative"):
        check(rows, Infeasible((fmpq(0), fmpq(0))))
