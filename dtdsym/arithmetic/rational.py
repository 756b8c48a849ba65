"""The exact world: numpy object arrays of rationals (flint's fmpq), and dyadic integers where they serve.

A point is made homogeneous, (N, D) with integers N and one denominator D > 0, and a layer is the integer matrix
[[W 2^e, b 2^e], [0, 2^e]]: a whole affine map is one exact integer matrix product.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from fractions import Fraction
from numbers import Rational as ExactNumber
from typing import Any

import numpy as np
from flint import fmpq, fmpz, fmpz_mat

from dtdsym.arithmetic import windows as windowed
from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.windows import Pools, Windows
from dtdsym.errors import NotExact, ShapeMismatch


class Rational(Pools):
    """The exact arithmetic. Values are numpy object arrays of rationals; the last axis is a layer's width."""

    def lift(self, numbers: Any) -> np.ndarray:
        """Floats, ints and Fractions (nested sequences or arrays of them), read exactly."""
        array = np.asarray(numbers, dtype=object)
        return _each(_rational, array)

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: np.ndarray) -> np.ndarray:
        """value (..., in) @ weight.T + bias, floats or Fractions: one integer matrix product, homogeneous."""
        flat = value.reshape(-1, value.shape[-1])
        image = (homogeneous_matrix(weight, bias) * homogeneous_columns(flat)).tolist()
        denominators = image.pop()
        out = np.empty((len(flat), len(image)), dtype=object)
        for i, row in enumerate(image):
            out[:, i] = [fmpq(z, d) for z, d in zip(row, denominators, strict=True)]
        return out.reshape(*value.shape[:-1], len(image))

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: np.ndarray) -> np.ndarray:
        """The convolution of value (..., in), by one integer matrix product a group."""
        flat = value.reshape(-1, value.shape[-1])
        image = convolve_columns(weight, bias, windows, homogeneous_columns(flat)).tolist()
        denominators = image.pop()
        out = np.empty((len(flat), len(image)), dtype=object)
        for i, row in enumerate(image):
            out[:, i] = [fmpq(z, d) for z, d in zip(row, denominators, strict=True)]
        return out.reshape(*value.shape[:-1], len(image))

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: np.ndarray) -> np.ndarray:
        """The transposed convolution."""
        return windowed.convolve_back(self, weight, bias, windows, row)

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: np.ndarray) -> np.ndarray:
        """value * weight + bias, channel by channel."""
        return windowed.scale(self, weight, bias, value)

    def take(self, value: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Entries of the last axis; index -1 is the zero at the end."""
        padding = np.full((*value.shape[:-1], 1), ZERO, dtype=object)
        return np.concatenate([value, padding], axis=-1)[..., index]

    def take_back(self, row: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        """Sums of the entries at inverse (size, m)."""
        return self.total(self.take(row, inverse))

    def add(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """left + right."""
        return left + right

    def relu(self, value: np.ndarray) -> np.ndarray:
        """max(value, 0)."""
        return self.where(value > 0, value, ZERO)

    def maximum(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """max(left, right)."""
        return self.where(left >= right, left, right)

    def first_maximum(self, entries: np.ndarray) -> np.ndarray:
        """Boolean mask."""
        greatest = entries.max(axis=-1, keepdims=True) == entries
        mask = np.asarray(greatest, dtype=bool)
        return mask & (np.cumsum(mask, axis=-1) == 1)

    def where(self, mask: Any, yes: Any, no: Any) -> np.ndarray:
        """yes where mask holds, else no; plain numbers among them become rationals."""
        return np.where(np.asarray(mask, dtype=bool), _as_objects(yes), _as_objects(no))

    def ratio(self, numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
        """numerator / denominator, and 0 where the denominator is 0."""
        zero = np.asarray(denominator == 0, dtype=bool)
        return self.where(zero, ZERO, numerator / self.where(zero, ONE, denominator))

    def join(self, parts: list[np.ndarray]) -> np.ndarray:
        """Parts (..., k) side by side along the last axis."""
        return np.concatenate(parts, axis=-1)

    def total(self, value: np.ndarray, axis: int = -1) -> np.ndarray:
        """Sum over one axis."""
        return np.asarray(value.sum(axis=axis), dtype=object)


RATIONAL = Rational()
ZERO, ONE = fmpq(0), fmpq(1)


def vector(numbers: Any, *, size: int, name: str, what: str = "one point without a batch dimension") -> np.ndarray:
    """Exact vector (size,) from a sequence, array or tensor of numbers. what: it is, for people.

    Raises ShapeMismatch if it is not a flat sequence of `size` numbers, NotExact if one of them is not finite."""
    if hasattr(numbers, "detach"):
        numbers = numbers.detach().cpu()
        numbers = (numbers.double() if numbers.is_floating_point() else numbers).numpy()
    array = np.asarray(numbers, dtype=object)
    if array.shape != (size,):
        raise ShapeMismatch(f"{name} has shape {array.shape}; expected ({size},), {what}")
    try:
        return _each(lambda number: _rational(_written(number)), array)
    except NotExact as err:
        raise NotExact(f"{name}: {err}") from err


def _written(number: Any) -> Any:
    """A number that a person wrote out, "3/7" or "1e-6", as a Fraction; all else as it stands."""
    if not isinstance(number, str):
        return number
    try:
        return Fraction(number)
    except (ValueError, ZeroDivisionError) as err:
        raise NotExact(f"{number!r} is no number; expected for example '3/7', '0.25' or '1e-6'") from err


def fractions(value: np.ndarray) -> tuple[Fraction, ...]:
    """The public form of an exact vector (n,)."""
    return tuple(Fraction(int(q.p), int(q.q)) for q in value)


def text(value: Fraction) -> str:
    """ "p/q", or "p" for a whole number, exact however long it is: Python's own str stops at 4,300 digits."""
    numerator = str(fmpz(value.numerator))
    return numerator if value.denominator == 1 else f"{numerator}/{fmpz(value.denominator)}"


def from_text(written: str) -> Fraction:
    """The number that `text` wrote."""
    numerator, _, denominator = written.partition("/")
    return Fraction(int(fmpz(numerator)), int(fmpz(denominator or "1")))


def exact_floats(numbers: Any, *, name: str) -> np.ndarray:
    """float64 array equal to these numbers, exactly. Raises NotExact where float64 cannot hold one of them."""
    array = np.asarray(numbers, dtype=object)
    try:
        floats = np.array([float(number) for number in array.ravel()], dtype=np.float64).reshape(array.shape)
    except OverflowError as err:
        raise NotExact(
            f"{name}: a number beyond the largest float64; weights are floats and are never rounded"
        ) from err
    for number, stored in zip(array.ravel(), floats.ravel(), strict=True):
        if np.isfinite(stored) and Fraction(number) != Fraction(float(stored)):
            raise NotExact(f"{name}: {number!r} is not exactly a float64; weights are floats and are never rounded")
    return floats


def rational(numerator: Any, denominator: Any = 1) -> fmpq:
    """Exact quotient of two integers."""
    return fmpq(numerator, denominator)


def nearest_float(number: Fraction) -> float:
    """The number for reading; the largest float stands for all that is larger in size."""
    largest = Fraction(sys.float_info.max)
    return float(max(min(number, largest), -largest))


def fraction(number: Any) -> Fraction:
    """The rational that this number already is; nothing is rounded. Raises NotExact for anything else."""
    if isinstance(number, fmpz):
        return Fraction(int(number))
    if isinstance(number, fmpq):
        return Fraction(int(number.p), int(number.q))
    if isinstance(number, ExactNumber):  # Fraction, int, bool, and numpy's integers: int() leaves their overflow behind
        return Fraction(int(number.numerator), int(number.denominator))
    narrow = isinstance(number, np.floating) and number.itemsize <= 8
    if (isinstance(number, float) or narrow) and math.isfinite(number):
        return Fraction(float(number))
    raise NotExact(f"{number!r}: expected finite floats of at most 64 bits, ints or Fractions")


def _rational(number: Any) -> fmpq:
    if isinstance(number, fmpq):
        return number
    exact = fraction(number)
    return fmpq(exact.numerator, exact.denominator)


def _each(function: Callable[[Any], fmpq], array: np.ndarray) -> np.ndarray:
    out = np.empty(array.shape, dtype=object)
    out.ravel()[:] = [function(entry) for entry in array.ravel()]
    return out


def _as_objects(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value
    out = np.empty((), dtype=object)
    out[()] = _rational(value)
    return out


def homogeneous_columns(points: np.ndarray) -> fmpz_mat:
    """Rationals (batch, n) as integer columns (N, D), one per point, with D > 0 the point's common denominator."""
    columns = []
    for point in points:
        common = fmpz(1)
        for q in point:
            common = common.lcm(q.q)
        columns.append([q.p * (common // q.q) for q in point] + [common])
    return fmpz_mat(columns).transpose()


Proportions = tuple[list[fmpz], fmpz]
"""Whole numbers in the proportions of a vector's entries, and the sum of their sizes."""


def proportions(value: np.ndarray) -> Proportions:
    """Of a vector (n,) of rationals that are not all 0."""
    *numbers, _ = homogeneous_columns(value[None]).transpose().tolist()[0]
    return numbers, sum(map(abs, numbers), fmpz(0))


def apart(one: Proportions, other: Proportions) -> Fraction:
    """The L1 distance of two vectors that are each divided by the sum of their sizes; reduced only at the end, since
    the entries may have many thousands of digits."""
    (left, size), (right, total) = one, other
    gaps = (abs(a * total - b * size) for a, b in zip(left, right, strict=True))
    return fraction(fmpq(sum(gaps, fmpz(0)), size * total))


_MATRICES: Kept[fmpz_mat] = Kept()
_GROUPS: Kept[list[fmpz_mat]] = Kept()


def convolve_columns(weight: np.ndarray, bias: np.ndarray, windows: Windows, columns: fmpz_mat) -> fmpz_mat:
    """The convolution of homogeneous integer columns (in + 1, c): (out positions + 1, c)."""
    rows = columns.tolist()
    last, width = rows[-1], len(rows[-1])
    rows[-1] = [fmpz(0)] * width  # what index -1 stands for
    out: list[list[fmpz]] = []
    for matrix, index in zip(_group_matrices(weight, bias, windows.groups), windows.index, strict=True):
        patches = [[entry for place in column for entry in rows[place]] for column in index.T]
        *image, denominators = (matrix * fmpz_mat([*patches, last * len(index)])).tolist()
        for row in image:
            out.extend(row[start : start + width] for start in range(0, len(row), width))
    return fmpz_mat([*out, denominators[:width]])


def _group_matrices(weight: np.ndarray, bias: np.ndarray, groups: int) -> list[fmpz_mat]:
    """Homogeneous matrices of the groups' weights, all with one scale."""

    def cut() -> list[fmpz_mat]:
        *rows, last = _homogeneous(weight.reshape(len(weight), -1), bias).tolist()
        each = len(rows) // groups
        return [fmpz_mat([*rows[start : start + each], last]) for start in range(0, len(rows), each)]

    return _GROUPS.get((weight, bias), groups, cut)


def homogeneous_matrix(weight: np.ndarray, bias: np.ndarray) -> fmpz_mat:
    """[[W s, b s], [0, s]] as integers (out + 1, in + 1), s the least that makes them whole: 2^e for floats."""
    return _MATRICES.get((weight, bias), None, lambda: _homogeneous(weight, bias))


def _homogeneous(weight: np.ndarray, bias: np.ndarray) -> fmpz_mat:
    rows = np.concatenate([weight, bias[:, None]], axis=1).tolist()
    ratios = [[entry.as_integer_ratio() for entry in row] for row in rows]
    scale = math.lcm(*{q for row in ratios for _, q in row})
    integers = [[p * (scale // q) for p, q in row] for row in ratios]
    return fmpz_mat([*integers, [0] * weight.shape[1] + [scale]])
