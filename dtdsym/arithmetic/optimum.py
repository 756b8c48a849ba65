"""Linear programs with an objective, decided exactly: the least value of a form where all rows are >= 0.

HiGHS proposes a basis in floats, and exact pivots go on from it: hardly any, where it is right. Every basis is solved
afresh from the given integers. Nothing is returned that `check` has not accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from flint import fmpq, fmpz, fmpz_mat, nmod_mat

from dtdsym.arithmetic.closed import Forms, Infeasible, feasible, heights
from dtdsym.arithmetic.highs import Model, scaled_floats, solved
from dtdsym.arithmetic.linear_program import no_deadline
from dtdsym.arithmetic.rational import homogeneous_columns
from dtdsym.arithmetic.simplex import PRIME, Row

BOX = 1e4
"""Floats are looked for up to this size, in units of the rows' slopes."""


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
    outcome = _Simplex(goal, forms, _proposed(goal, forms, pause)).outcome(pause)
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
    length = len(rows[0]) if wanted is None else len(wanted)
    *slopes, constant = _added(rows, multipliers, length)
    if wanted is None:
        if any(slopes) or not constant < 0:
            raise ArithmeticError("the rows do not add up to a negative constant")
    elif [*slopes, constant] != list(wanted):
        raise ArithmeticError("the rows do not add up to what the objective has above its least value")


def _added(rows: Forms, multipliers: Sequence[fmpq], length: int) -> list[fmpq]:
    used = [k for k, y in enumerate(multipliers) if y != 0]
    if not used:
        return [fmpq(0)] * length
    *whole, common = homogeneous_columns(np.array([[multipliers[k] for k in used]], dtype=object)).entries()
    return [fmpq(z, common) for z in (fmpz_mat([whole]) * fmpz_mat([list(rows[k]) for k in used])).entries()]


def _proposed(goal: Row, rows: list[Row], pause: Callable[[], None]) -> list[int]:
    """The rows and walls of HiGHS's last basis, with walls at a finite distance; none if it has none."""
    if not any(any(row[:-1]) for row in rows):
        return []
    floats, _ = scaled_floats([*rows, goal], columns=False)
    box = np.full(len(goal) - 1, BOX)
    solver = solved(
        Model(floats[-1, :-1], floats[:-1, :-1], -floats[:-1, -1], np.full(len(rows), np.inf), -box, box), pause
    )
    if solver is None:
        return []
    basis = solver.getBasis()
    statuses = [*basis.row_status, *basis.col_status]
    return [k for k, status in enumerate(statuses) if status != highspy.HighsBasisStatus.kBasic]


class _Simplex:
    """The dual simplex method: a basis of d independent rows with multipliers y >= 0 that add up to the objective.

    Its vertex, where they are zero, is the optimum once no row is negative there; until then the most negative one
    enters, and one whose multiplier would fall below 0 leaves. Where the proposed rows do not make up a basis with
    y >= 0, walls at a distance M that is larger than all numbers stand in; a wall that leaves never comes back.
    """

    def __init__(self, goal: Row, rows: list[Row], proposal: Sequence[int]) -> None:
        self.goal, self.rows, self.size = goal, rows, len(goal) - 1
        self.weights = [fmpz(1) << max(map(fmpz.bit_length, row[:-1])) for row in rows]
        self.columns = [row[:-1] for row in rows] + [[fmpz(i == k) for i in range(self.size)] for k in range(self.size)]
        self.basis = self._independent(proposal)
        self.y = self._combination(goal[:-1])
        for place, y in enumerate(self.y):
            if y < 0:
                self.columns.append([-entry for entry in self.columns[self.basis[place]]])
                self.basis[place], self.y[place] = len(self.columns) - 1, -y

    def outcome(self, pause: Callable[[], None]) -> Outcome:
        """Pivot to the end."""
        stalled = 0
        while True:
            pause()
            near, far = self._vertex()
            low = self._negative(near, far)
            if not low:
                return self._optimum(near, far)
            entering = min(low)[1] if stalled <= 2 * self.size else min(k for _, k in low)
            rates = self._combination(self.rows[entering][:-1])
            bounds = [
                (y / rate, k < len(self.rows), k, place)
                for place, (k, y, rate) in enumerate(zip(self.basis, self.y, rates, strict=True))
                if rate > 0
            ]
            if not bounds:
                return self._infeasible(entering, rates, pause)
            step, _, _, place = min(bounds)
            self.y = [y - step * rate for y, rate in zip(self.y, rates, strict=True)]
            self.basis[place], self.y[place] = entering, step
            stalled = stalled + 1 if step == 0 else 0

    def _independent(self, proposal: Sequence[int]) -> list[int]:
        """d independent columns: of the proposed ones as many as can be, then walls."""
        count = len(self.rows)
        order = [*dict.fromkeys([*proposal, *range(count, count + self.size)])]
        reduced, rank = nmod_mat(fmpz_mat([self.columns[k] for k in order]).transpose(), PRIME).rref()
        basis: list[int] = []
        for j, label in enumerate(order):
            if len(basis) < rank and int(reduced[len(basis), j]) != 0:
                basis.append(label)
        return basis

    def _combination(self, slopes: Row) -> list[fmpq]:
        """The multipliers of the basis that add up to these slopes."""
        matrix = fmpz_mat([self.columns[k] for k in self.basis]).transpose()
        return list(matrix.solve(fmpz_mat([[entry] for entry in slopes])).entries())

    def _vertex(self) -> tuple[list[fmpq], list[fmpq]]:
        """Where the basis is zero: near + M far."""
        count = len(self.rows)
        right = [[-self.rows[k][-1], fmpz(0)] if k < count else [fmpz(0), fmpz(-1)] for k in self.basis]
        near, far = zip(*fmpz_mat([self.columns[k] for k in self.basis]).solve(fmpz_mat(right)).tolist(), strict=True)
        return list(near), list(far)

    def _negative(self, near: list[fmpq], far: list[fmpq]) -> list[tuple[tuple[fmpq, fmpq], int]]:
        """Rows that are negative at the vertex, with how much, for their length."""
        at = heights(self.rows, near)
        beyond = heights([[*row[:-1], 0] for row in self.rows], far) if any(far) else [fmpq(0)] * len(at)
        pairs = enumerate(zip(beyond, at, self.weights, strict=True))
        return [((b / weight, a / weight), k) for k, (b, a, weight) in pairs if b < 0 or (b == 0 and a < 0)]

    def _optimum(self, near: list[fmpq], far: list[fmpq]) -> Outcome:
        """At an M that is large enough."""
        rises = heights([[*row[:-1], 0] for row in self.rows], far)
        m = max((-a / b for a, b in zip(heights(self.rows, near), rises, strict=True) if b > 0), default=fmpq(0))
        point = tuple(p + max(m, fmpq(0)) * q for p, q in zip(near, far, strict=True))
        found = dict(zip(self.basis, self.y, strict=True))
        if any(y > 0 for k, y in found.items() if k >= len(self.rows)):
            return Unbounded(point, tuple(far))
        return Minimum(
            point, heights([self.goal], point)[0], tuple(found.get(k, fmpq(0)) for k in range(len(self.rows)))
        )

    def _infeasible(self, entering: int, rates: list[fmpq], pause: Callable[[], None]) -> Infeasible:
        """The rates of the basis are what the entering row is made of, all <= 0: it cannot be positive."""
        found = {k: -rate for k, rate in zip(self.basis, rates, strict=True) if rate != 0}
        if any(k >= len(self.rows) for k in found):
            outcome = feasible(self.rows, pause)
            assert isinstance(outcome, Infeasible), "no point lies within walls at any distance"
            return outcome
        return Infeasible(tuple({**found, entering: fmpq(1)}.get(k, fmpq(0)) for k in range(len(self.rows))))
