"""The exact simplex method: pivots for the systems that floats could not settle.

For forms a_i.x + c_i with weights w_i > 0 it solves max t such that a_i.x + c_i >= w_i t for all i, and t <= 1, through
the dual: min c.y + z such that sum_i y_i a_i = 0, w.y + z = 1, y >= 0, z >= 0. A basis is d + 1 independent columns of
that dual; its y has value t, and its vertex x has a_i.x + c_i = w_i t for the rows i in the basis.

The dual has a feasible basis from the start (z = 1, y = 0), and its value falls from 1. The search ends as soon as
t <= 0, when y are the multipliers of Empty, or x is strictly inside. Otherwise some a_i.x + c_i <= 0 < w_i t, and row i
may enter the basis: there is no third outcome. Every basis is solved afresh from the given integers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import fmpq, fmpz, fmpz_mat, nmod_mat

from dtdsym.arithmetic.rational import homogeneous_columns

PRIME = 2**61 - 1
"""Independent modulo a prime means independent; the converse only costs pivots when it fails."""


@dataclass(frozen=True)
class Interior:
    """point (d,): every row is positive there, and the equality zero."""

    point: tuple[fmpq, ...]


@dataclass(frozen=True)
class Empty:
    """Motzkin's multipliers y (m,) >= 0 and mu: sum_k y_k row_k + mu equality = (0, ..., 0, c) with c < 0, or with
    c = 0 and y != 0. At a point where all rows are positive and the equality is zero, the sum would be above c."""

    multipliers: tuple[fmpq, ...]
    equality_multiplier: fmpq


@dataclass(frozen=True, eq=False)
class System:
    """m >= 1 integer forms (a_1, ..., a_d, c), d >= 1, a != 0. weights (m,): powers of two, the units of the rows."""

    rows: list[list[fmpz]]
    weights: list[fmpz]

    @property
    def size(self) -> int:
        """Dimension d of the space."""
        return len(self.rows[0]) - 1

    @cached_property
    def matrix(self) -> fmpz_mat:
        """The forms as one integer matrix (m, d + 1)."""
        return fmpz_mat(self.rows)

    def heights(self, point: Sequence[fmpq]) -> tuple[list[fmpz], fmpz]:
        """Numerators of all forms at the point, and their common denominator > 0."""
        column = homogeneous_columns(np.array([point], dtype=object))
        return (self.matrix * column).entries(), column[self.size, 0]


def solve(system: System, support: Sequence[int], deadline: Callable[[], None]) -> Interior | Empty:
    """The exact outcome. support: rows thought to make up the last basis; none are needed.

    Raises what `deadline` raises; it is called before every pivot."""
    program = _Program(system)
    basis, amounts = _start(program, support)
    stalled = 0
    while True:
        level = sum((program.costs[k] * y for k, y in zip(basis, amounts, strict=True)), fmpq(0))
        if level <= 0:
            return Empty(program.multipliers(basis, amounts), fmpq(0))
        point = program.vertex(basis)
        heights, denominator = system.heights(point)
        if all(height > 0 for height in heights):
            return Interior(tuple(point))
        deadline()
        scores = [height * unit for height, unit in zip(heights, program.units, strict=True)]
        entering = _entering(scores, level * denominator * program.largest, bland=stalled > program.patience)
        step = _exchange(program, basis, amounts, entering)
        stalled = stalled + 1 if step == 0 else 0


class _Program:
    """The dual's columns by label: 0..m-1 the rows, m is z, and m + 1 + k a marker that stands in for coordinate k.

    Markers have amount 0 and leave the basis at the first chance: x_k is 0 as long as nothing bounds it."""

    def __init__(self, system: System) -> None:
        m, d = len(system.rows), system.size
        self.system, self.z = system, m
        self.columns = [[*row[:-1], w] for row, w in zip(system.rows, system.weights, strict=True)]
        self.columns.append([fmpz(0)] * d + [fmpz(1)])
        self.columns.extend([fmpz(i == k) for i in range(d + 1)] for k in range(d))
        self.costs = [*(row[-1] for row in system.rows), fmpz(1), *[fmpz(0)] * d]
        self.largest = max(system.weights)
        self.units = [self.largest // w for w in system.weights]
        self.patience = 2 * (d + 1)

    def independent(self, *first: int) -> list[int]:
        """A basis that holds as many of the `first` columns as it can, in this order."""
        order = list(dict.fromkeys([*first, *range(len(self.columns))]))
        reduced, rank = nmod_mat(self._matrix(order).transpose(), PRIME).rref()
        basis: list[int] = []
        for j, label in enumerate(order):
            if len(basis) < rank and reduced[len(basis), j] != 0:
                basis.append(label)
        return basis

    def vertex(self, basis: list[int]) -> list[fmpq]:
        """The x (d,) with a_i.x + c_i = w_i t for the rows of the basis, t = 1 if z is in it, x_k = 0 for markers."""
        *negative, _ = self._matrix(basis).solve(fmpz_mat([[self.costs[k]] for k in basis])).entries()
        return [-x for x in negative]

    def combination(self, basis: list[int], column: list[fmpz]) -> list[fmpq]:
        """The amounts of the basis columns that add up to `column`."""
        found: list[fmpq] = self._matrix(basis).transpose().solve(fmpz_mat([[entry] for entry in column])).entries()
        return found

    def multipliers(self, basis: list[int], amounts: list[fmpq]) -> tuple[fmpq, ...]:
        """The amounts of all rows, (m,)."""
        found = dict(zip(basis, amounts, strict=True))
        return tuple(found.get(k, fmpq(0)) for k in range(self.z))

    def _matrix(self, labels: list[int]) -> fmpz_mat:
        return fmpz_mat([self.columns[k] for k in labels])


def _start(program: _Program, support: Sequence[int]) -> tuple[list[int], list[fmpq]]:
    """A feasible basis and its amounts: the supposed one if it is feasible, else one at z = 1 from the same rows."""
    basis = program.independent(*support)
    amounts = program.combination(basis, program.columns[program.z])
    if all(y == 0 if k > program.z else y >= 0 for k, y in zip(basis, amounts, strict=True)):
        return basis, amounts
    basis = program.independent(program.z, *support)
    return basis, [fmpq(k == program.z) for k in basis]


def _entering(scores: list[fmpz], least: fmpq, bland: bool) -> int:
    """The row furthest below the level, or, by Bland's rule, the first one below it."""
    if bland:
        return next(i for i, score in enumerate(scores) if score < least)
    return scores.index(min(scores))


def _exchange(program: _Program, basis: list[int], amounts: list[fmpq], entering: int) -> fmpq:
    """Pivot: `entering` takes the place of the column that bounds it first; returns its amount.

    Ties go to the least label, as Bland's rule wants."""
    rates = program.combination(basis, program.columns[entering])
    places = [p for p, k in enumerate(basis) if k > program.z and rates[p] != 0]
    if not places:
        places = [p for p, rate in enumerate(rates) if rate > 0]
    leaving = min(places, key=lambda p: (amounts[p] / rates[p], basis[p]))
    step = amounts[leaving] / rates[leaving]
    amounts[:] = [y - step * rate for y, rate in zip(amounts, rates, strict=True)]
    basis[leaving], amounts[leaving] = entering, step
    return step
