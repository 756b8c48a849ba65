"""The exact simplex method: pivots for the systems that floats could not settle.

For forms a_i.x + c_i with weights w_i > 0, on the hyperplane e.x + e_0 = 0 if there is one, it solves max t such that
a_i.x + c_i >= w_i t for all i and t <= 1, through the dual: min c.y + e_0 u + z such that sum_i y_i a_i + u e = 0,
w.y + z = 1, y >= 0, z >= 0. A basis is d + 1 independent columns of that dual; its amounts y, u, z have value t, and
its vertex x is on the hyperplane with a_i.x + c_i = w_i t for the rows i in the basis.

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

Row = list[fmpz]
"""Integers (a_1, ..., a_d, c): the form a.x + c."""
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
    """m >= 1 forms in d >= 1 variables, and a hyperplane or none; all with a != 0."""

    rows: list[Row]
    plane: Row | None

    @property
    def size(self) -> int:
        """Dimension d of the space."""
        return len(self.rows[0]) - 1

    @cached_property
    def matrix(self) -> fmpz_mat:
        """The forms as one integer matrix (m, d + 1)."""
        return fmpz_mat(self.rows)

    @cached_property
    def weights(self) -> list[fmpz]:
        """The unit of each row: the least power of two above all |a_j|."""
        return [fmpz(1) << max(map(fmpz.bit_length, row[:-1])) for row in self.rows]

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
            return program.multipliers(basis, amounts)
        point = program.vertex(basis)
        heights, denominator = system.heights(point)
        if all(height > 0 for height in heights):
            return Interior(point)
        deadline()
        scores = [height * unit for height, unit in zip(heights, program.units, strict=True)]
        entering = _entering(scores, level * denominator * program.largest, bland=stalled > program.patience)
        step = _exchange(program, basis, amounts, entering)
        stalled = stalled + 1 if step == 0 else 0


class _Program:
    """The dual's columns by label: 0..m-1 are the rows, then z, then d markers, then the hyperplane.

    A marker stands in for a coordinate: its amount is 0, and it leaves the basis at the first chance; until then x_k is
    0. The hyperplane's amount may have any sign, and it never leaves."""

    def __init__(self, system: System) -> None:
        d = system.size
        self.z = len(system.rows)
        self.plane = self.z + 1 + d
        self.columns = [[*row[:-1], w] for row, w in zip(system.rows, system.weights, strict=True)]
        self.columns.append([fmpz(0)] * d + [fmpz(1)])
        self.columns.extend([fmpz(i == k) for i in range(d + 1)] for k in range(d))
        self.costs = [*(row[-1] for row in system.rows), fmpz(1), *[fmpz(0)] * d]
        if system.plane is not None:
            self.columns.append([*system.plane[:-1], fmpz(0)])
            self.costs.append(system.plane[-1])
        self.largest = max(system.weights)
        self.units = [self.largest // w for w in system.weights]
        self.patience = 2 * (d + 1)

    def is_marker(self, label: int) -> bool:
        """Whether the label is a marker's."""
        return self.z < label < self.plane

    def independent(self, *first: int) -> list[int]:
        """A basis that holds the hyperplane and as many of the `first` columns as it can, in this order."""
        order = list(dict.fromkeys([*range(self.plane, len(self.columns)), *first, *range(self.z, self.plane)]))
        reduced, rank = nmod_mat(self._matrix(order).transpose(), PRIME).rref()
        basis: list[int] = []
        for j, label in enumerate(order):
            if len(basis) < rank and int(reduced[len(basis), j]) != 0:
                basis.append(label)
        return basis

    def vertex(self, basis: list[int]) -> tuple[fmpq, ...]:
        """The basis's x (d,); t = 1 if z is in it, x_k = 0 for markers."""
        *negative, _ = self._matrix(basis).solve(fmpz_mat([[self.costs[k]] for k in basis])).entries()
        return tuple(-x for x in negative)

    def combination(self, basis: list[int], label: int) -> list[fmpq]:
        """The amounts of the basis's columns that add up to the column of this label."""
        column = fmpz_mat([[entry] for entry in self.columns[label]])
        return self._matrix(basis).transpose().solve(column).entries()

    def multipliers(self, basis: list[int], amounts: list[fmpq]) -> Empty:
        """The amounts of the rows and of the hyperplane."""
        found = dict(zip(basis, amounts, strict=True))
        return Empty(tuple(found.get(k, fmpq(0)) for k in range(self.z)), found.get(self.plane, fmpq(0)))

    def _matrix(self, labels: list[int]) -> fmpz_mat:
        return fmpz_mat([self.columns[k] for k in labels])


def _start(program: _Program, support: Sequence[int]) -> tuple[list[int], list[fmpq]]:
    """A feasible basis and its amounts: the supposed one if it is feasible, else one at z = 1."""
    basis = program.independent(*support)
    amounts = program.combination(basis, program.z)
    signs = {k: y for k, y in zip(basis, amounts, strict=True) if k != program.plane}
    if all(y == 0 if program.is_marker(k) else y >= 0 for k, y in signs.items()):
        return basis, amounts
    basis = program.independent(program.z, *support, *range(program.z))
    return basis, [fmpq(k == program.z) for k in basis]


def _entering(scores: list[fmpz], least: fmpq, bland: bool) -> int:
    """The row furthest below the level, or, by Bland's rule, the first one below it."""
    if bland:
        return next(i for i, score in enumerate(scores) if score < least)
    return scores.index(min(scores))


def _exchange(program: _Program, basis: list[int], amounts: list[fmpq], entering: int) -> fmpq:
    """Pivot: `entering` takes the place of the column that bounds it first; returns its amount.

    Ties go to the least label, as Bland's rule wants."""
    rates = program.combination(basis, entering)
    places = [p for p, k in enumerate(basis) if program.is_marker(k) and rates[p] != 0]
    if not places:
        places = [p for p, k in enumerate(basis) if k <= program.z and rates[p] > 0]
    leaving = min(places, key=lambda p: (amounts[p] / rates[p], basis[p]))
    step = amounts[leaving] / rates[leaving]
    amounts[:] = [y - step * rate for y, rate in zip(amounts, rates, strict=True)]
    basis[leaving], amounts[leaving] = entering, step
    return step
