"""Systems of weak linear inequalities, decided exactly: a point, or Farkas multipliers that prove there is none.

By facial reduction: where the open system has a point, that is one. Otherwise multipliers y >= 0 add its rows up to a
constant c <= 0. If c < 0 there is no point at all; if c = 0 the rows with y > 0 are zero at every point, so the search
goes on in the flat where they are, which has a lower dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import fmpq, fmpq_mat, fmpz, fmpz_mat

from dtdsym.arithmetic.linear_program import Empty, Interior, interior
from dtdsym.arithmetic.rational import homogeneous_columns

Forms = Sequence[Sequence[Any]]
"""Integers (a_1, ..., a_d, c), each for the form a.x + c."""


@dataclass(frozen=True)
class Feasible:
    """point (d,): no row is negative there."""

    point: tuple[fmpq, ...]


@dataclass(frozen=True)
class Infeasible:
    """multipliers (m,) >= 0 with sum_k y_k row_k = (0, ..., 0, c), c < 0: no point makes all rows >= 0."""

    multipliers: tuple[fmpq, ...]


def feasible(rows: Forms, deadline: Callable[[], None] | None = None) -> Feasible | Infeasible:
    """A point x of R^d with a.x + c >= 0 for all rows, or the proof that there is none.

    deadline: called now and then; what it raises ends the search."""
    search = _Search([[fmpq(entry) for entry in row] for row in rows])
    while True:
        outcome = search.step(deadline)
        if outcome is not None:
            check(rows, outcome)
            return outcome


def heights(rows: Forms, point: Sequence[fmpq]) -> list[fmpq]:
    """The forms' values at a point (d,)."""
    if not rows:
        return []
    column = homogeneous_columns(np.array([point], dtype=object))
    return [fmpq(z, column[len(point), 0]) for z in (fmpz_mat([list(row) for row in rows]) * column).entries()]


def check(rows: Forms, outcome: Feasible | Infeasible) -> None:
    """Accept iff the outcome holds for these forms, exactly. Raises ArithmeticError with the law that is broken."""
    if isinstance(outcome, Feasible):
        for k, height in enumerate(heights(rows, outcome.point)):
            if height < 0:
                raise ArithmeticError(f"row {k} is negative at the point, expected >= 0")
        return
    if any(y < 0 for y in outcome.multipliers):
        raise ArithmeticError("a multiplier is negative, expected >= 0")
    *slopes, constant = _combined(list(outcome.multipliers), [[fmpq(entry) for entry in row] for row in rows])
    if any(slopes):
        raise ArithmeticError("the rows do not add up to a constant")
    if not constant < 0:
        raise ArithmeticError("the rows add up to a constant that is not negative")


class _Search:
    """The flat base + basis^T s in which the rows named in `tight` are zero.

    positive: multipliers > 0 of exactly the tight rows, which add them up to zero."""

    def __init__(self, rows: list[list[fmpq]]) -> None:
        self.rows, size = rows, len(rows[0]) - 1
        self.base = [fmpq(0)] * size
        self.basis = [[fmpq(i == k) for k in range(size)] for i in range(size)]
        self.positive: dict[int, fmpq] = {}

    def step(self, deadline: Callable[[], None] | None) -> Feasible | Infeasible | None:
        """The outcome, or None after the flat has become smaller."""
        here = {k: self._restricted(row) for k, row in enumerate(self.rows) if k not in self.positive}
        for k, form in here.items():
            if not any(form[:-1]) and form[-1] < 0:
                return self._infeasible({k: fmpq(1)})
        bent = {k: form for k, form in here.items() if any(form[:-1])}
        if not bent:
            return Feasible(tuple(self.base))
        match interior([_whole(form) for form in bent.values()], deadline=deadline):
            case Interior(point):
                return Feasible(tuple(self._at(point)))
            case Empty(multipliers, _):
                scales = (_scale(form) for form in bent.values())
                used = {k: y * s for k, y, s in zip(bent, multipliers, scales, strict=True) if y != 0}
        if sum((y * here[k][-1] for k, y in used.items()), fmpq(0)) < 0:
            return self._infeasible(used)
        return self._smaller(used)

    def _smaller(self, used: dict[int, fmpq]) -> Infeasible | None:
        """Make these rows, which add up to zero in the flat, zero too."""
        self.positive = self._completed(used)
        forms = [self.rows[k] for k in self.positive]
        solution = _solve([form[:-1] for form in forms], [-form[-1] for form in forms])
        if solution is None:  # no flat: some combination of the rows, of any signs, is -1
            size = len(self.base)
            factors = _solve(_transposed(forms), [fmpq(0)] * size + [fmpq(-1)])
            assert factors is not None, "equations without a solution combine to 0 = 1"
            return self._lifted(dict(zip(self.positive, factors[0], strict=True)))
        self.base, self.basis = solution
        return None

    def _infeasible(self, used: dict[int, fmpq]) -> Infeasible:
        """From multipliers that add the rows up to a negative constant in the flat."""
        constant = sum((y * self._restricted(self.rows[k])[-1] for k, y in used.items()), fmpq(0))
        return self._lifted(self._with_tight(used, constant))

    def _completed(self, used: dict[int, fmpq]) -> dict[int, fmpq]:
        """Positive multipliers of the tight rows and of these, which add up to zero everywhere."""
        return self._raised(self._with_tight(used, fmpq(0)))

    def _with_tight(self, used: dict[int, fmpq], constant: fmpq) -> dict[int, fmpq]:
        """With multipliers of the tight rows, of any sign, such that the sum is this constant everywhere."""
        if not self.positive:
            return used
        total = _combined(list(used.values()), [self.rows[k] for k in used])
        left = [-entry for entry in total[:-1]] + [constant - total[-1]]
        factors = _solve(_transposed([self.rows[k] for k in self.positive]), left)
        assert factors is not None, "what is constant in the flat is, up to the rows that are zero there"
        return {**used, **dict(zip(self.positive, factors[0], strict=True))}

    def _raised(self, factors: dict[int, fmpq]) -> dict[int, fmpq]:
        """Made positive by adding the tight rows' positive multipliers, which add nothing."""
        need = [-factors[k] / y for k, y in self.positive.items() if factors.get(k, fmpq(0)) <= 0]
        more = max(need, default=fmpq(-1)) + 1
        return {k: factors.get(k, fmpq(0)) + more * self.positive.get(k, fmpq(0)) for k in {**self.positive, **factors}}

    def _lifted(self, factors: dict[int, fmpq]) -> Infeasible:
        raised = self._raised(factors)
        return Infeasible(tuple(raised.get(k, fmpq(0)) for k in range(len(self.rows))))

    def _restricted(self, row: list[fmpq]) -> list[fmpq]:
        if not self.positive:  # the flat is still the whole space
            return row
        slopes = [_dot(row, direction) for direction in self.basis]
        return [*slopes, _value(row, self.base)]

    def _at(self, s: Sequence[fmpq]) -> list[fmpq]:
        columns = zip(*self.basis, strict=True)
        return [p + _dot(s, column) for p, column in zip(self.base, columns, strict=True)]


def _solve(matrix: Sequence[Sequence[fmpq]], right: Sequence[fmpq]) -> tuple[list[fmpq], list[list[fmpq]]] | None:
    """(one solution of matrix x = right, a basis of the solutions of matrix x = 0); None if there is no solution."""
    size = len(matrix[0])
    table = fmpq_mat([[*row, entry] for row, entry in zip(matrix, right, strict=True)])
    reduced, rank = table.rref()
    rows = reduced.tolist()[:rank]
    pivots = [next(j for j, entry in enumerate(row) if entry != 0) for row in rows]
    if size in pivots:
        return None
    solution = [fmpq(0)] * size
    for row, pivot in zip(rows, pivots, strict=True):
        solution[pivot] = row[-1]
    kernel = []
    for free in (j for j in range(size) if j not in pivots):
        vector = [fmpq(j == free) for j in range(size)]
        for row, pivot in zip(rows, pivots, strict=True):
            vector[pivot] = -row[free]
        kernel.append(vector)
    return solution, kernel


def _transposed(rows: Sequence[Sequence[fmpq]]) -> list[list[fmpq]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _dot(one: Sequence[fmpq], other: Sequence[fmpq]) -> fmpq:
    return sum((x * y for x, y in zip(one, other, strict=False)), fmpq(0))


def _value(form: Sequence[fmpq], point: Sequence[fmpq]) -> fmpq:
    return _dot(point, form) + form[-1]


def _combined(factors: Sequence[fmpq], forms: Sequence[Sequence[fmpq]]) -> list[fmpq]:
    return [_dot(factors, column) for column in zip(*forms, strict=True)]


def _scale(form: Sequence[fmpq]) -> fmpz:
    """The least number that makes all entries whole."""
    common = fmpz(1)
    for entry in form:
        common = common.lcm(entry.q)
    return common


def _whole(form: Sequence[fmpq]) -> list[fmpz]:
    common = _scale(form)
    return [(entry * common).p for entry in form]
