"""Linear programs with an objective: against Fourier-Motzkin elimination, Z3, and without proposals."""

from __future__ import annotations

from fractions import Fraction

import pytest
import z3
from flint import fmpq
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import eliminated

from dtdsym.arithmetic import optimum
from dtdsym.arithmetic.closed import Infeasible
from dtdsym.arithmetic.optimum import Minimum, Unbounded, check, minimise
from dtdsym.errors import BudgetSpent

SMALL = st.integers(-3, 3)
LOW = 10**6  # below what a vertex of rows with such entries can reach in three dimensions


@st.composite
def programs(draw):
    size = draw(st.integers(1, 3))
    form = st.lists(SMALL, min_size=size + 1, max_size=size + 1)
    return draw(form), draw(st.lists(form, min_size=1, max_size=6))


def reached(objective, rows, bound) -> bool:
    """Whether some point with all rows >= 0 has an objective of at most `bound`."""
    below = [-Fraction(entry) for entry in objective[:-1]] + [Fraction(bound) - objective[-1]]
    return eliminated([*([Fraction(entry) for entry in row] for row in rows), below])


def fraction(number):
    return Fraction(int(number.p), int(number.q))


@pytest.mark.parametrize("proposals", ["HiGHS", "none", "all", "backwards"])
@given(program=programs())
@settings(deadline=None)
def test_the_least_value(proposals, program):
    objective, rows = program
    chosen = {"none": [], "all": list(range(len(rows))), "backwards": list(range(len(rows)))[::-1]}
    with pytest.MonkeyPatch.context() as patch:
        if proposals in chosen:
            patch.setattr(optimum, "_proposed", lambda *_: chosen[proposals])
        outcome = minimise(objective, rows)
    if isinstance(outcome, Minimum):
        least = fraction(outcome.value)
        assert reached(objective, rows, least)
        assert not reached(objective, rows, least - Fraction(1, LOW))
    else:
        assert isinstance(outcome, Unbounded) == reached(objective, rows, -LOW)


@given(program=programs())
@settings(deadline=None, max_examples=50)
def test_z3_finds_the_same(program):
    objective, rows = program
    x = [*(z3.Real(f"x{j}") for j in range(len(objective) - 1)), z3.RealVal(1)]
    solver = z3.Optimize()
    for row in rows:
        solver.add(z3.Sum([a * v for a, v in zip(row, x, strict=True)]) >= 0)
    goal = solver.minimize(z3.Sum([a * v for a, v in zip(objective, x, strict=True)]))
    feasible = solver.check() == z3.sat
    outcome = minimise(objective, rows)
    assert feasible != isinstance(outcome, Infeasible)
    if feasible:
        text = str(solver.lower(goal))
        assert ("oo" in text) == isinstance(outcome, Unbounded)
        if isinstance(outcome, Minimum):
            assert Fraction(text) == fraction(outcome.value)


@pytest.mark.parametrize(
    ("outcome", "law"),
    [
        (Minimum((fmpq(0),), fmpq(0), (fmpq(1), fmpq(0))), "row 0 is negative at the point"),
        (Minimum((fmpq(2),), fmpq(1), (fmpq(1), fmpq(0))), "another value at the point"),
        (Minimum((fmpq(2),), fmpq(2), (fmpq(1), fmpq(0))), "do not add up to what the objective has"),
        (Minimum((fmpq(1),), fmpq(1), (fmpq(0), fmpq(-1))), "a multiplier is negative"),
        (Unbounded((fmpq(1),), (fmpq(1),)), "does not lead down"),
        (Unbounded((fmpq(1),), (fmpq(-1),)), "does not lead down"),
        (Infeasible((fmpq(1), fmpq(1))), "do not add up to a negative constant"),
    ],
)
def test_outcomes_that_do_not_hold_are_refused_by_their_law(outcome, law):
    """The least x from 1 to 3."""
    with pytest.raises(ArithmeticError, match=law):
        check([1, 0], [[1, -1], [-1, 3]], outcome)


def test_a_constant_objective_and_no_rows():
    assert minimise([0, 0, 7], [[1, 0, 0]]).value == 7
    assert isinstance(minimise([1, 0], [[0, 1]]), Unbounded)
    assert isinstance(minimise([1, 0], []), Unbounded)
    assert minimise([0, 7], []).value == 7


def test_a_spent_budget_ends_it(monkeypatch):
    def deadline():
        raise BudgetSpent("at once")

    monkeypatch.setattr(optimum, "_proposed", lambda *_: [])
    with pytest.raises(BudgetSpent):
        minimise([1, 0], [[1, -1]], deadline)
