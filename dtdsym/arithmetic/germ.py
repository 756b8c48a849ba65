"""Germs: a point with ordered infinitesimals, x + e d_1 + e^2 d_2 + ... + e^(k+1) (1, e, e^2, ...), and the affine
forms that hold on the open cell it lies in.

A number's sign is that of its first non-zero coefficient. The last directions are the unit vectors, so a germ is
generic: what is zero there is zero on a whole open cell. One forward pass gives the activation pattern of that cell,
every value at x, and every pre-activation as an affine form a.x + c on the cell, all in integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import fmpq, fmpz, fmpz_mat

from dtdsym.arithmetic.rational import convolve_columns, homogeneous_columns, homogeneous_matrix
from dtdsym.arithmetic.windows import Pools, Windows

Row = list[Any]
"""Integers (a_1, ..., a_d, c): the affine form a.x + c, up to a positive factor."""


@dataclass(frozen=True, eq=False)
class Germ:
    """Integers (n + 1, k + d + 1): columns [x | d_1 .. d_k-1 | e_1 .. e_d | origin], the last row their denominators.

    `size` is d, the dimension of the space that the germ started in. `stretch` is the factor by which d_1 was
    multiplied to make it whole.
    """

    matrix: fmpz_mat
    size: int
    stretch: Any = 1

    @property
    def unit(self) -> Any:
        """The integer > 0 that a row's form is to be divided by."""
        return self.matrix[self.matrix.nrows() - 1, self.matrix.ncols() - 1]

    def first_zero(self) -> Any:
        """Least t > 0 at which an entry that is not 0 at x reaches 0 along x + t d_1; None if none does."""
        *rows, last = self.matrix.tolist()
        scale = self.stretch * last[-1]
        steps = [fmpq(-row[0] * scale, row[1] * last[0]) for row in rows if row[0] * row[1] < 0]
        return min(steps, default=None)

    def along(self, entry: int) -> tuple[fmpq, fmpq]:
        """One entry's value at x, and its slope along d_1."""
        row, last = self.matrix.tolist()[entry], self.matrix.tolist()[-1]
        return fmpq(row[0], last[0]), fmpq(row[1], self.stretch * last[-1])

    def rows(self) -> list[Row]:
        """The n rows without the denominators."""
        rows: list[Row] = self.matrix.tolist()
        rows.pop()
        return rows

    def with_rows(self, rows: Sequence[Row]) -> Germ:
        """Other rows over the same denominators."""
        return Germ(fmpz_mat([*rows, self._last()]), self.size, self.stretch)

    def _last(self) -> Row:
        """The denominators, without a list of all that is above them."""
        last = self.matrix.nrows() - 1
        return [self.matrix[last, column] for column in range(self.matrix.ncols())]

    def with_unit(self, unit: Any) -> Germ:
        """The same germ over a unit that is a multiple of its own."""
        factor, rest = divmod(unit, self.unit)
        if rest:
            raise ValueError(f"a germ with unit {self.unit} has no multiple with unit {unit}")
        return self if factor == 1 else replace(self, matrix=self.matrix * factor)

    def __getitem__(self, index: tuple[Any, slice]) -> Germ:
        """Entries of the last axis, as for arrays: germ[..., i:j]."""
        rows = self.matrix.tolist()
        return replace(self, matrix=fmpz_mat([*rows[:-1][index[1]], rows[-1]]))


def germ(point: np.ndarray, *directions: np.ndarray) -> Germ:
    """The generic germ at `point` (d,), first along `directions` (d,); all exact."""
    size = len(point)
    columns = homogeneous_columns(np.array([point, *directions], dtype=object)).transpose().tolist()
    stretch = columns[1][-1] if directions else fmpz(1)
    for column in columns[1:]:
        column[-1] = fmpz(0)
    unit = [[fmpz(i == j) for j in range(size + 1)] for i in range(size + 1)]
    return Germ(fmpz_mat([*columns, *unit]).transpose(), size, stretch)


def germ_along(point: np.ndarray, direction: np.ndarray) -> Germ:
    """The germ at `point` (d,) along one direction (d,), exact: for what happens on that line alone.

    Columns [x | d_1 | origin]: no forms in other directions, so what is zero on the line counts as zero."""
    columns = homogeneous_columns(np.array([point, direction], dtype=object)).transpose().tolist()
    stretch = columns[1][-1]
    columns[1][-1] = fmpz(0)
    return Germ(fmpz_mat([*columns, [fmpz(0)] * len(point) + [fmpz(1)]]).transpose(), 0, stretch)


def affine_forms(origin: np.ndarray, basis: np.ndarray) -> Germ:
    """The entries of origin (n,) + t basis (k, n) as affine forms in t, exact. Columns [e_1 .. e_k | origin]: there is
    no point, so that neither ReLUs nor maxima have an answer; all linear maps do."""
    columns = homogeneous_columns(np.array([*basis, origin], dtype=object)).transpose().tolist()
    common = fmpz(1)
    for column in columns:
        common = common.lcm(column[-1])
    whole = [[entry * (common // column[-1]) for entry in column[:-1]] for column in columns]
    ends = [fmpz(0)] * len(basis) + [common]
    return Germ(fmpz_mat([[*column, end] for column, end in zip(whole, ends, strict=True)]).transpose(), len(basis))


def constant(value: np.ndarray, like: Germ) -> Germ:
    """An exact value (n,) that does not depend on the germ's variable: its forms are constants."""
    columns = homogeneous_columns(np.array([value], dtype=object)).transpose().tolist()
    *entries, denominator = columns[0]
    last = like.matrix.tolist()[-1]
    scaled = [[entry * head for head in last] for entry in entries]
    return replace(like, matrix=fmpz_mat([*scaled, [denominator * head for head in last]]))


def no_slopes(width: int, count: int) -> Germ:
    """Columns for `count` derivatives (width,), all zero: affine maps act on them by their linear part."""
    return Germ(fmpz_mat([[0] * (count + 1)] * width + [[0] * count + [1]]), count)


class GermArithmetic(Pools):
    """The forward pass over germs: affine maps, sums and ReLUs by lexicographic sign."""

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: Germ) -> Germ:
        """W x + b in every column, bias only where the denominator is not 0."""
        return replace(value, matrix=homogeneous_matrix(weight, bias) * value.matrix)

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: Germ) -> Germ:
        """The convolution of every column."""
        return replace(value, matrix=convolve_columns(weight, bias, windows, value.matrix))

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: Germ) -> Germ:
        """value * weight + bias, channel by channel, over one common denominator."""
        *rows, last = value.matrix.tolist()
        common = math.lcm(*(number.denominator for number in (*weight, *bias)))
        pairs = [(fmpz(int(w * common)), fmpz(int(b * common))) for w, b in zip(weight, bias, strict=True)]
        repeat = len(rows) // len(pairs)
        scaled = []
        for i, row in enumerate(rows):
            w, b = pairs[i // repeat]
            scaled.append([w * a + b * d for a, d in zip(row, last, strict=True)])
        return replace(value, matrix=fmpz_mat([*scaled, [entry * common for entry in last]]))

    def take(self, value: Germ, index: np.ndarray) -> Germ:
        """Entries (k,), zero where the index is -1."""
        *rows, last = value.matrix.tolist()
        rows.append([fmpz(0)] * len(last))
        return replace(value, matrix=fmpz_mat([*(rows[place] for place in index), last]))

    def join(self, parts: Sequence[Germ]) -> Germ:
        """Germs of one variable, one after another, over a common denominator."""
        tables = [part.matrix.tolist() for part in parts]
        scales = [table[-1][-1] for table in tables]
        common = fmpz(1)
        for scale in scales:
            common = common.lcm(scale)
        rows = [
            [entry * (common // scale) for entry in row]
            for table, scale in zip(tables, scales, strict=True)
            for row in table[:-1]
        ]
        last = [entry * (common // scales[0]) for entry in tables[0][-1]]
        return replace(parts[0], matrix=fmpz_mat([*rows, last]))

    def maximum(self, left: Germ, right: Germ) -> Germ:
        """The greater of each two rows; the left one where they are equal."""
        both = self.join([left, right]).matrix.tolist()
        size = len(both) // 2
        pairs = zip(both[:size], both[size:-1], strict=True)
        kept = [
            one if lexicographic_sign([a - b for a, b in zip(one, two, strict=True)]) >= 0 else two
            for one, two in pairs
        ]
        return replace(left, matrix=fmpz_mat([*kept, both[-1]]))

    def add(self, left: Germ, right: Germ) -> Germ:
        """left + right, brought to common denominators, which differ by one factor throughout."""
        tops, bottoms = left.matrix.tolist(), right.matrix.tolist()
        p, q = tops[-1][-1], bottoms[-1][-1]
        rows = [
            [q * a + p * b for a, b in zip(r, s, strict=True)] for r, s in zip(tops[:-1], bottoms[:-1], strict=True)
        ]
        return replace(left, matrix=fmpz_mat([*rows, [q * a for a in tops[-1]]]))

    def relu(self, value: Germ) -> Germ:
        """Rows of negative sign become zero."""
        rows = value.matrix.tolist()
        nothing = [fmpz(0)] * len(rows[-1])
        kept = [row if lexicographic_sign(row) > 0 else nothing for row in rows[:-1]]
        return replace(value, matrix=fmpz_mat([*kept, rows[-1]]))


GERM = GermArithmetic()


def margins(value: Germ, index: np.ndarray) -> tuple[Germ, np.ndarray]:
    """How much the greatest entry of each window exceeds its entries, (out k) rows, and which one it is, (out,).

    index (out, k): places in `value`. Of entries that are equal throughout the first is the greatest."""
    *rows, last = value.matrix.tolist()
    keys = [row[:-1] for row in rows]
    found: list[Row] = []
    winners = []
    for window in index.tolist():
        winner = max(range(len(window)), key=lambda entry: keys[window[entry]])
        greatest = rows[window[winner]]
        winners.append(winner)
        found.extend([a - b for a, b in zip(greatest, rows[place], strict=True)] for place in window)
    return replace(value, matrix=fmpz_mat([*found, last])), np.array(winners)


def lexicographic_sign(row: Sequence[Any]) -> int:
    """Sign of the first non-zero coefficient; the origin's column, the last, has no say."""
    for entry in row[:-1]:
        if entry != 0:
            return 1 if entry > 0 else -1
    return 0


def primitive(row: Row) -> tuple[Any, ...]:
    """The row divided by the greatest common divisor of its entries: one name for one half-space."""
    common = fmpz(0)
    for entry in row:
        common = common.gcd(entry)
        if common == 1:
            return tuple(row)
    return tuple(entry // common for entry in row) if common else tuple(row)


def is_zero(row: Row) -> bool:
    """Whether all entries vanish."""
    return all(entry == 0 for entry in row)


def over(row: Row, denominator: Any) -> np.ndarray:
    """The row's entries over a denominator, as rationals."""
    out = np.empty(len(row), dtype=object)
    out[:] = [fmpq(entry, denominator) for entry in row]
    return out


def values(rows: Sequence[Sequence[Any]], point: np.ndarray) -> list[Any]:
    """Every form at the point, times the point's common denominator (> 0): the right signs and ratios."""
    if not rows:
        return []
    column = homogeneous_columns(np.array([point], dtype=object))
    return [entry for (entry,) in (fmpz_mat([list(row) for row in rows]) * column).tolist()]


def slopes(rows: Sequence[Sequence[Any]], directions: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """a . u for every form (row of the result) and every integer direction u (column)."""
    matrix = fmpz_mat([list(row[:-1]) for row in rows])
    product: list[list[Any]] = (matrix * fmpz_mat([list(u) for u in directions]).transpose()).tolist()
    return product


def integers(numbers: Sequence[int]) -> Row:
    """A row of this module's integers."""
    return [fmpz(number) for number in numbers]
