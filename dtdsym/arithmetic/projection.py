"""The point nearest to the origin where all rows are >= 0, in the Euclidean norm, exactly.

By the dual active-set method of Goldfarb and Idnani: a set of independent rows with multipliers u >= 0, whose nearest
common zero is x = sum_k u_k a_k; while a row is negative at x it enters, and rows whose multiplier would fall below 0
leave. Floats propose the last set; every set is solved afresh in integers, so the method starts there, or with no rows.
The answer satisfies the conditions of Karush, Kuhn and Tucker exactly, which for a convex program suffice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from flint import fmpq, fmpz, fmpz_mat

from dtdsym.arithmetic.closed import Forms, Infeasible, heights
from dtdsym.arithmetic.closed import check as check_infeasible
from dtdsym.arithmetic.highs import Model, scaled_floats, solved
from dtdsym.arithmetic.linear_program import no_deadline
from dtdsym.arithmetic.simplex import Row


@dataclass(frozen=True)
class Projection:
    """point (d,) = sum_k y_k a_k, with all rows >= 0 there, and zero where y_k > 0. multipliers y (m,) >= 0."""

    point: tuple[fmpq, ...]
    multipliers: tuple[fmpq, ...]


def project(rows: Forms, deadline: Callable[[], None] | None = None) -> Projection | Infeasible:
    """The point of least Euclidean norm with a.x + c >= 0 for all rows (a_1, ..., a_d, c), or the proof of none.

    rows: integers of any size, at least one. deadline: called now and then; what it raises ends the search."""
    forms: list[Row] = [[fmpz(entry) for entry in row] for row in rows]
    pause = deadline or no_deadline
    outcome = _Active(forms, _proposed(forms, pause)).found(pause)
    check(forms, outcome)
    return outcome


def check(rows: Forms, outcome: Projection | Infeasible) -> None:
    """Accept iff the outcome holds for these rows, exactly. Raises ArithmeticError with the law that is broken."""
    if isinstance(outcome, Infeasible):
        check_infeasible(rows, outcome)
        return
    pairs = zip(heights(rows, outcome.point), outcome.multipliers, strict=True)
    for k, (height, y) in enumerate(pairs):
        if height < 0:
            raise ArithmeticError(f"row {k} is negative at the point, expected >= 0")
        if y < 0 or (y > 0 and height > 0):
            raise ArithmeticError(f"multiplier {k} is {y} where the row is {height}")
    used = [(y, row) for y, row in zip(outcome.multipliers, rows, strict=True) if y != 0]
    for i, entry in enumerate(outcome.point):
        if sum((y * row[i] for y, row in used), fmpq(0)) != entry:
            raise ArithmeticError("the rows do not add up to the point")


class _Active:
    """Independent rows with multipliers u >= 0; the point sum_k u_k a_k, where they are zero."""

    def __init__(self, rows: list[Row], proposal: Sequence[int]) -> None:
        self.rows = rows
        self.weights = [fmpz(1) << max(map(fmpz.bit_length, row[:-1])) for row in rows]
        self.active: list[int] = []
        self.u: list[fmpq] = []
        self.point = [fmpq(0)] * (len(rows[0]) - 1)
        self._begin(proposal)

    def _begin(self, proposal: Sequence[int]) -> None:
        """Keep of the proposed rows those that have multipliers >= 0 together."""
        kept = [k for k in proposal if any(self.rows[k][:-1])]
        while kept:
            try:
                u = self._solve(kept, [-self.rows[k][-1] for k in kept])
            except ZeroDivisionError:
                return
            if all(y >= 0 for y in u):
                self.active, self.u = kept, u
                self._move()
                return
            kept = [k for k, y in zip(kept, u, strict=True) if y >= 0]

    def found(self, pause: Callable[[], None]) -> Projection | Infeasible:
        """The nearest point, or the multipliers by which there is none."""
        while True:
            pause()
            at = heights(self.rows, self.point)
            low = [k for k, height in enumerate(at) if height < 0]
            if not low:
                return Projection(tuple(self.point), self._spread(dict(zip(self.active, self.u, strict=True))))
            proof = self._enter(min(low, key=lambda k: at[k] / self.weights[k]), pause)
            if proof is not None:
                return proof

    def _enter(self, row: int, pause: Callable[[], None]) -> Infeasible | None:
        """Make a row zero that is negative, dropping those that stand against it: its multiplier rises by steps, in
        which the point moves by `way`, and the others fall by `rates`, for each unit."""
        own = fmpq(0)
        while True:
            pause()
            rates = self._solve(self.active, [self._product(k, row) for k in self.active])
            way = [fmpq(a) - s for a, s in zip(self.rows[row][:-1], self._sum(self.active, rates), strict=True)]
            height = heights([self.rows[row]], self.point)[0]
            rise = sum((x * a for x, a in zip(way, self.rows[row][:-1], strict=True)), fmpq(0))
            bounds = [(y / rate, place) for place, (y, rate) in enumerate(zip(self.u, rates, strict=True)) if rate > 0]
            step, leaving = min(bounds, default=(None, -1))
            if rise == 0 and step is None:
                return Infeasible(
                    self._spread({row: fmpq(1), **dict(zip(self.active, [-r for r in rates], strict=True))})
                )
            full = None if rise == 0 else -height / rise
            if full is not None and (step is None or full <= step):
                self.active.append(row)
                self.u = [*(y - full * rate for y, rate in zip(self.u, rates, strict=True)), own + full]
                self._move()
                return None
            assert step is not None
            self.u = [y - step * rate for y, rate in zip(self.u, rates, strict=True)]
            own += step
            self.point = [x + step * w for x, w in zip(self.point, way, strict=True)]
            del self.active[leaving], self.u[leaving]

    def _move(self) -> None:
        self.point = self._sum(self.active, self.u)

    def _product(self, one: int, other: int) -> fmpz:
        return sum((a * b for a, b in zip(self.rows[one][:-1], self.rows[other][:-1], strict=True)), fmpz(0))

    def _sum(self, rows: Sequence[int], factors: Sequence[fmpq]) -> list[fmpq]:
        total = [fmpq(0)] * (len(self.rows[0]) - 1)
        for k, y in zip(rows, factors, strict=True):
            total = [t + y * a for t, a in zip(total, self.rows[k][:-1], strict=True)]
        return total

    def _solve(self, rows: Sequence[int], right: Sequence[fmpz]) -> list[fmpq]:
        """Factors of the rows whose sum has these products with them. Raises ZeroDivisionError for dependent rows."""
        if not rows:
            return []
        normals = fmpz_mat([self.rows[k][:-1] for k in rows])
        return list((normals * normals.transpose()).solve(fmpz_mat([[entry] for entry in right])).entries())

    def _spread(self, known: dict[int, fmpq]) -> tuple[fmpq, ...]:
        return tuple(known.get(k, fmpq(0)) for k in range(len(self.rows)))


def _proposed(rows: list[Row], pause: Callable[[], None]) -> list[int]:
    """Rows that are active at the nearest point, in HiGHS's opinion."""
    floats, _ = scaled_floats(rows, columns=False)
    count, size = len(rows), len(rows[0]) - 1
    free, none = np.full(count, np.inf), np.full(size, np.inf)
    solver = solved(Model(np.zeros(size), floats[:, :-1], -floats[:, -1], free, -none, none, hessian=True), pause)
    if solver is None:
        return []
    return [k for k, y in enumerate(solver.getSolution().row_dual) if abs(y) > 0]
