"""Linear programs with an objective, decided exactly: the least value of a form where all rows are >= 0.

HiGHS proposes a basis in floats; integers solve it and verify both sides, the point and the multipliers. Where that
fails, the least value is raised to step by step: multipliers by which no point has a value up to r prove a bound above
r, and the first r that a point attains is the least value. Nothing is returned that `check` has not accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import fmpq, fmpz, fmpz_mat

from dtdsym.arithmetic.closed import Feasible, Forms, Infeasible, feasible, heights
from dtdsym.arithmetic.highs import Model, scaled_floats, solved
from dtdsym.arithmetic.linear_program import no_deadline
from dtdsym.arithmetic.rational import homogeneous_columns
from dtdsym.arithmetic.simplex import Row


@dataclass(frozen=True)
class Minimum:
    """point (d,) with all rows >= 0 there, and the objective equal to `value`. multipliers (m,) >= 0 with objective =
    value + sum_k y_k row_k, which no point with all rows >= 0 has below `value`."""

    point: tuple[fmpq, ...]
    value: fmpq
    multipliers: tuple[fmpq, ...]


@dataclass(frozen=True)
class Unbounded:
    """point (d,) with all rows >= 0, direction (d,) along which no row falls, and the objective does."""

    point: tuple[fmpq, ...]
    direction: tuple[fmpq, ...]


Outcome = Minimum | Unbounded | Infeasible


def minimise(objective: Sequence[Any], rows: Forms, deadline: Callable[[], None] | None = None) -> Outcome:
    """The least value of the objective (a_1, ..., a_d, c), the form a.x + c, where all rows are >= 0.

    objective, rows: integers of any size. deadline: called now and then; what it raises ends the search."""
    forms: list[Row] = [[fmpz(entry) for entry in row] for row in rows]
    goal = [fmpz(entry) for entry in objective]
    pause = deadline or no_deadline
    found = _proposed(goal, forms, pause) if any(goal[:-1]) and forms else None
    outcome = found or _raised(goal, forms, pause)
    check(goal, forms, outcome)
    return outcome


def check(objective: Sequence[Any], rows: Forms, outcome: Outcome) -> None:
    """Accept iff the outcome holds for this program, exactly. Raises ArithmeticError with the law that is broken."""
    if isinstance(outcome, Infeasible):
        _check_sum(None, rows, outcome.multipliers)
        return
    value, *others = heights([objective, *rows], outcome.point)
    low = next((k for k, height in enumerate(others) if height < 0), None)
    if low is not None:
        raise ArithmeticError(f"row {low} is negative at the point, expected >= 0")
    if isinstance(outcome, Unbounded):
        fall, *rises = heights([[*form[:-1], 0] for form in (objective, *rows)], outcome.direction)
        if fall >= 0 or any(rise < 0 for rise in rises):
            raise ArithmeticError("the direction does not lead down, or not inside all rows")
        return
    if value != outcome.value:
        raise ArithmeticError("the objective has another value at the point")
    _check_sum([*objective[:-1], objective[-1] - outcome.value], rows, outcome.multipliers)


def _check_sum(wanted: Sequence[Any] | None, rows: Forms, multipliers: Sequence[fmpq]) -> None:
    """The rows must add up to this form, or, without one, to a negative constant."""
    if any(y < 0 for y in multipliers):
        raise ArithmeticError("a multiplier is negative, expected >= 0")
    *slopes, constant = _added(rows, multipliers)
    if wanted is None:
        if any(slopes) or not constant < 0:
            raise ArithmeticError("the rows do not add up to a negative constant")
    elif [*slopes, constant] != list(wanted):
        raise ArithmeticError("the rows do not add up to what the objective has above its least value")


def _added(rows: Forms, multipliers: Sequence[fmpq]) -> list[fmpq]:
    used = [k for k, y in enumerate(multipliers) if y != 0]
    if not used:
        return [fmpq(0)] * (len(rows[0]) if rows else 1)
    *whole, common = homogeneous_columns(np.array([[multipliers[k] for k in used]], dtype=object)).entries()
    return [fmpq(z, common) for z in (fmpz_mat([whole]) * fmpz_mat([list(rows[k]) for k in used])).entries()]


def _proposed(goal: Row, rows: list[Row], pause: Callable[[], None]) -> Minimum | None:
    """The vertex and the multipliers of HiGHS's basis, if they are optimal exactly."""
    floats, _ = scaled_floats([*rows, goal])
    count, size = len(rows), len(goal) - 1
    free = np.full(count, np.inf)
    solver = solved(Model(floats[-1, :-1], floats[:-1, :-1], -floats[:-1, -1], free, np.full(size, np.inf)), pause)
    if solver is None:
        return None
    basic = set(solver.getBasicVariables()[1].tolist())
    support = [k for k in range(count) if -1 - k not in basic]
    zero = [j for j in range(size) if j not in basic]
    matrix = fmpz_mat([*(rows[k][:-1] for k in support), *([fmpz(i == j) for i in range(size)] for j in zero)])
    right = fmpz_mat([*([-rows[k][-1]] for k in support), *([fmpz(0)] for _ in zero)])
    try:
        point = matrix.solve(right).entries()
        factors = matrix.transpose().solve(fmpz_mat([[entry] for entry in goal[:-1]])).entries()
    except ZeroDivisionError:
        return None
    found = dict(zip(support, factors, strict=False))
    multipliers = tuple(found.get(k, fmpq(0)) for k in range(count))
    minimum = Minimum(tuple(point), heights([goal], point)[0], multipliers)
    try:
        check(goal, rows, minimum)
    except ArithmeticError:
        return None
    return minimum


def _raised(goal: Row, rows: list[Row], pause: Callable[[], None]) -> Outcome:
    """By proofs of ever higher bounds: each is that of a basis, of which there are finitely many."""
    start = feasible(rows, pause)
    if isinstance(start, Infeasible):
        return start
    falling = [[-entry for entry in goal[:-1]] + [fmpz(-1)]]
    outcome = feasible([*([*row[:-1], fmpz(0)] for row in rows), *falling], pause)
    if isinstance(outcome, Feasible):
        return Unbounded(start.point, outcome.point)
    unit = fmpz(1)
    while True:
        multipliers = tuple(y / (outcome.multipliers[-1] * unit) for y in outcome.multipliers[:-1])
        least = goal[-1] - _added(rows, multipliers)[-1]
        unit = (least - goal[-1]).q
        below = [-entry * unit for entry in goal[:-1]] + [(least - goal[-1]).p]
        outcome = feasible([*rows, below], pause)
        if isinstance(outcome, Feasible):
            return Minimum(outcome.point, least, multipliers)
