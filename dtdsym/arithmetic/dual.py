"""The differential world: rationals with nilpotent infinitesimals, so that every derivative is exact.

A value is a polynomial sum_S c_S prod_{k in S} with rational c_S, in two kinds of infinitesimals whose squares are 0:
- e_1, e_2, ... (`infinitesimal`): f(a + e_k v) has the coefficient Df(a) v at e_k. Nested derivatives take a new one.
- s_1, s_2, ... (`side`) are positive: a ReLU at a + s_k v behaves as it does just beyond a in direction v.
s_1 is far greater than e_1, this than s_2, this than e_2, and so on: an outer derivative moves what an inner side looks
at. Signs are decided to first order in each. Where an e_k would have to decide one, there is no derivative: OnHinge,
never a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.rational import ONE, RATIONAL, ZERO, fraction
from dtdsym.arithmetic.windows import Pools, Windows
from dtdsym.errors import InputError, OnHinge

_NO_BIAS: Kept[np.ndarray] = Kept()


class Dual:
    """Coefficients by monomial, numpy object arrays of one shape. Bit 2k of a monomial: s_k; bit 2k + 1: e_k."""

    __array_ufunc__ = None  # numpy leaves array * Dual to Dual

    def __init__(self, numbers: Mapping[int, Any], shape: tuple[int, ...] = ()) -> None:
        """All coefficients are broadcast to one shape, at least `shape`; what is repeated is stored once."""
        parts = {monomial: _array(part) for monomial, part in numbers.items()}
        shape = np.broadcast_shapes(shape, *(part.shape for part in parts.values()))
        parts = {m: part for m, part in parts.items() if m and part.any()} | {0: parts[0]}
        if not parts[0].any():
            parts[0] = _array(ZERO)
        self.parts: dict[int, np.ndarray] = {m: np.broadcast_to(part, shape) for m, part in parts.items()}
        self.real = self.parts[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of every coefficient."""
        return self.real.shape

    def derivative(self, k: int) -> Dual:
        """The coefficient of e_k, in which e_k no longer stands."""
        found = {m ^ _bit(k): part for m, part in self.parts.items() if m & _bit(k)}
        return Dual({0: np.full(self.shape, ZERO, dtype=object)} | found)

    def at_side_zero(self, k: int) -> Dual:
        """The limit s_k -> 0."""
        return Dual({m: part for m, part in self.parts.items() if not m & _bit(k, side=True)})

    def sign(self) -> np.ndarray:
        """-1, 0, 1 as the greatest non-zero term says. Raises OnHinge where that term holds an e_k."""
        found = _signs(self.real)
        for monomial, part in sorted(self.parts.items())[1:]:
            here = np.where(found == 0, _signs(part), 0)
            if monomial & _E_BITS and here.any():
                raise OnHinge("two values tie here that part nearby: there is no derivative at this point")
            found = found + here
        return found

    def _each(self, function: Callable[[np.ndarray], Any]) -> Dual:
        return Dual({monomial: function(part) for monomial, part in self.parts.items()})

    def __getitem__(self, key: Any) -> Dual:
        return self._each(lambda part: part[key])

    def __len__(self) -> int:
        return len(self.real)

    def __iter__(self) -> Iterator[Dual]:
        return (self[i] for i in range(len(self)))

    def reshape(self, *shape: int) -> Dual:
        """As numpy's."""
        return self._each(lambda part: part.reshape(*shape))

    def swapaxes(self, first: int, second: int) -> Dual:
        """As numpy's."""
        return self._each(lambda part: part.swapaxes(first, second))

    def __add__(self, other: Any) -> Dual:
        right = DUAL.lift(other)
        sums = {monomial: _once(part) for monomial, part in self.parts.items()}
        for monomial, part in right.parts.items():
            sums[monomial] = sums[monomial] + _once(part) if monomial in sums else part
        return Dual(sums, np.broadcast_shapes(self.shape, right.shape))

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return self._each(lambda part: -part)

    def __sub__(self, other: Any) -> Dual:
        return self + -DUAL.lift(other)

    def __rsub__(self, other: Any) -> Dual:
        return DUAL.lift(other) - self

    def __mul__(self, other: Any) -> Dual:
        if isinstance(other, np.ndarray | np.bool_) and other.dtype == bool:
            return self._each(lambda part: np.where(other, part, _array(ZERO)))
        second = DUAL.lift(other)
        products: dict[int, np.ndarray] = {}
        factors = {monomial: _once(part) for monomial, part in second.parts.items()}
        for m, part in self.parts.items():
            left = _once(part)
            for k, right in factors.items():
                if not m & k:
                    product = left * right
                    products[m | k] = products[m | k] + product if m | k in products else product
        return Dual(products, np.broadcast_shapes(self.shape, second.shape))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Dual:
        return self * _inverse(DUAL.lift(other))

    def __rtruediv__(self, other: Any) -> Dual:
        return DUAL.lift(other) / self

    def __pow__(self, exponent: int) -> Dual:
        """To a whole power from 0."""
        if not isinstance(exponent, int) or exponent < 0:
            raise InputError(f"a power of {exponent!r}; only whole powers from 0 are exact")
        power = self * 0 + 1
        for _ in range(exponent):
            power = power * self
        return power

    def __abs__(self) -> Dual:
        """Raises OnHinge at 0, where it has no derivative."""
        return DUAL.maximum(self, -self)

    def __gt__(self, other: Any) -> np.ndarray:
        return (self - other).sign() > 0

    def __lt__(self, other: Any) -> np.ndarray:
        return (self - other).sign() < 0

    def __ge__(self, other: Any) -> np.ndarray:
        return (self - other).sign() >= 0

    def __le__(self, other: Any) -> np.ndarray:
        return (self - other).sign() <= 0

    def __repr__(self) -> str:
        terms = [f"{part.tolist()}{_name(monomial)}" for monomial, part in sorted(self.parts.items())]
        return f"Dual({' + '.join(terms)})"


class DualArithmetic(Pools):
    """The arithmetic protocol over Dual values, each coefficient exact; the last axis is a layer's width."""

    def lift(self, numbers: Any) -> Dual:
        """Floats, ints, Fractions, Duals, nested sequences of them and arrays, read exactly; a Dual as it stands."""
        if isinstance(numbers, Dual):
            return numbers
        if isinstance(numbers, list | tuple) and any(_holds_dual(entry) for entry in numbers):
            rows = [self.lift(entry) for entry in numbers]
            monomials = {monomial for row in rows for monomial in row.parts}
            return Dual({m: np.stack([row.parts.get(m, row.real * 0) for row in rows]) for m in monomials})
        return Dual({0: RATIONAL.lift(numbers)})

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: Dual) -> Dual:
        """value (..., in) @ weight.T + bias."""
        return _linear(lambda part, b: RATIONAL.affine(weight, b, part), bias, value)

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: Dual) -> Dual:
        """The convolution of value (..., in)."""
        return _linear(lambda part, b: RATIONAL.convolve(weight, b, windows, part), bias, value)

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: Dual) -> Dual:
        """The transposed convolution."""
        return row._each(lambda part: RATIONAL.convolve_back(weight, bias, windows, part))

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: Dual) -> Dual:
        """value * weight + bias, channel by channel."""
        return _linear(lambda part, b: RATIONAL.scale(weight, b, part), bias, value)

    def take(self, value: Dual, index: np.ndarray) -> Dual:
        """Entries of the last axis; index -1 is a zero."""
        return value._each(lambda part: RATIONAL.take(part, index))

    def take_back(self, row: Dual, inverse: np.ndarray) -> Dual:
        """Sums of the entries at inverse (size, m)."""
        return row._each(lambda part: RATIONAL.take_back(part, inverse))

    def add(self, left: Dual, right: Dual) -> Dual:
        """left + right."""
        return left + right

    def relu(self, value: Dual) -> Dual:
        """max(value, 0). Raises OnHinge where it has no derivative."""
        return value * (value.sign() > 0)

    def maximum(self, left: Any, right: Any) -> Dual:
        """max(left, right). Raises OnHinge likewise."""
        return self.where(self.lift(left) >= right, left, right)

    def first_maximum(self, entries: Dual) -> np.ndarray:
        """Boolean mask. Raises OnHinge where two greatest entries part nearby."""
        columns = [entries[..., i] for i in range(entries.shape[-1])]
        greatest = reduce(self.maximum, columns)
        mask = (entries - greatest[..., None]).sign() == 0
        return mask & (np.cumsum(mask, axis=-1) == 1)

    def where(self, mask: Any, yes: Any, no: Any) -> Dual:
        """yes where mask holds, else no."""
        chosen = np.asarray(mask, dtype=bool)
        left, right = self.lift(yes), self.lift(no)
        monomials = left.parts.keys() | right.parts.keys()
        zero = _array(ZERO)
        return Dual({m: np.where(chosen, left.parts.get(m, zero), right.parts.get(m, zero)) for m in monomials})

    def ratio(self, numerator: Any, denominator: Any) -> Dual:
        """numerator / denominator, and 0 where the denominator is exactly 0."""
        below = self.lift(denominator)
        nothing = ~reduce(np.logical_or, [part.astype(bool) for part in below.parts.values()])
        return self.where(nothing, 0, self.lift(numerator) / self.where(nothing, 1, below))

    def join(self, parts: Any) -> Dual:
        """Parts (..., k) side by side along the last axis."""
        monomials = {monomial for value in parts for monomial in value.parts}
        return Dual({m: np.concatenate([v.parts.get(m, v.real * 0) for v in parts], axis=-1) for m in monomials})

    def total(self, value: Dual, axis: int = -1) -> Dual:
        """Sum over one axis."""
        return value._each(lambda part: RATIONAL.total(part, axis))


DUAL = DualArithmetic()


def infinitesimal(k: int) -> Dual:
    """e_k, k >= 0, whose coefficient is a derivative."""
    return Dual({0: ZERO, _bit(k): ONE})


def side(k: int) -> Dual:
    """s_k, k >= 0, positive, which decides ties that nothing greater decides."""
    return Dual({0: ZERO, _bit(k, side=True): ONE})


def _bit(k: int, *, side: bool = False) -> int:
    return 1 << (2 * k + (not side))


_E_BITS = sum(_bit(k) for k in range(512))


def _name(monomial: int) -> str:
    bits = [bit for bit in range(monomial.bit_length()) if monomial >> bit & 1]
    return "".join(f" {'e' if bit % 2 else 's'}_{bit // 2}" for bit in bits)


def _linear(function: Callable[[np.ndarray, np.ndarray], np.ndarray], bias: np.ndarray, value: Dual) -> Dual:
    """An affine map: its linear part alone acts on what is infinitesimal."""
    none = _NO_BIAS.get((bias,), None, lambda: _zeros(bias))
    parts = {m: function(_once(part, but=1), none if m else bias) for m, part in value.parts.items()}
    return Dual(parts, (*value.shape[:-1], 1))


def _zeros(bias: np.ndarray) -> np.ndarray:
    none = np.full(bias.shape, Fraction(0), dtype=object) if bias.dtype == object else np.zeros(bias.shape)
    none.setflags(write=False)
    return none


def _inverse(value: Dual) -> Dual:
    """1/(r + h) = sum_m (-h/r)^m / r: finite, for h is nilpotent."""
    if not value.real.all():
        raise OnHinge("division by a value that is 0 here and not nearby: the quotient has no derivative")
    power = found = inverse = Dual({0: ONE / value.real})
    step = -Dual({m: part for m, part in value.parts.items() if m} | {0: value.real * 0}) * inverse
    while len(power.parts) > 1 or power.real.any():
        power = power * step
        found = found + power
    return found


def _once(part: np.ndarray, but: int = 0) -> np.ndarray:
    """Without the repetitions that broadcasting made along the axes, but for the last `but` ones."""
    axes = zip(part.strides[: part.ndim - but], part.shape, strict=False)
    return part[tuple(slice(0, 1) if stride == 0 and size else slice(None) for stride, size in axes)]


def _signs(part: np.ndarray) -> np.ndarray:
    return np.asarray(part > 0, dtype=np.int8) - np.asarray(part < 0, dtype=np.int8)


def _array(value: Any) -> np.ndarray:
    """An object array, of one entry if numpy unpacked it."""
    if isinstance(value, np.ndarray):
        return value
    out = np.empty((), dtype=object)
    out[()] = value
    return out


def _holds_dual(entry: Any) -> bool:
    return isinstance(entry, Dual) or (isinstance(entry, list | tuple) and any(map(_holds_dual, entry)))


def rationals(value: Dual) -> tuple[Fraction, ...]:
    """The public form of the real part of a vector (n,)."""
    return tuple(fraction(entry) for entry in value.real)
