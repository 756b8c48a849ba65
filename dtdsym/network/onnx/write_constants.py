"""Exact rational constants as float constants: x w + b, for fractions w and b, as Mul, Add and Div by floats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import zip_longest
from typing import Any

import numpy as np

from dtdsym.arithmetic.factors import short_factors

Step = tuple[str, np.ndarray]
"""Mul, Add or Div, and its constants (channels,) float64."""


class TooLong(Exception):
    """No floats of so few bits give these constants exactly."""


def steps(weights: Sequence[Fraction], summands: Sequence[Fraction], bits: int, fresh: bool) -> list[Step]:
    """What turns x into x w + b exactly, one after another; constants of at most `bits` bits.

    x w + b = (x N + B) / D with an odd whole D, and N, B whole but for a power of two. fresh: x comes from a linear
    map without bias, which a reader may give a summand that stands alone: so several are kept from standing alone.
    Raises TooLong."""
    divisors = [math.lcm(_odd(w.denominator), _odd(b.denominator)) for w, b in zip(weights, summands, strict=True)]
    factors = [w * d for w, d in zip(weights, divisors, strict=True)]
    added = [_addends(b * d, bits) for b, d in zip(summands, divisors, strict=True)]
    multiplied, divided = [_factors(f, bits) for f in factors], [_factors(Fraction(d), bits) for d in divisors]
    plain = all(f == 1 for f in factors)
    if fresh and plain and any(added) and (max(map(len, added)) > 1 or any(d != 1 for d in divisors)):
        multiplied = [[2.0, *part] for part in multiplied]
        added = [[2 * a for a in part] for part in added]
        divided = [[*part, 2.0] for part in divided]
    return [*_columns("Mul", multiplied, 1.0), *_columns("Add", added, 0.0), *_columns("Div", divided, 1.0)]


def is_float(number: Any, bits: int) -> bool:
    """Whether all these float64 are floats of this many bits."""
    if bits == 53:
        return bool(np.isfinite(number).all())
    with np.errstate(over="ignore"):
        return bool((np.asarray(number).astype(np.float32).astype(np.float64) == number).all())


def _odd(number: int) -> int:
    return number // (number & -number)


def _columns(kind: str, lists: Sequence[Sequence[float]], neutral: float) -> list[Step]:
    columns = [np.array(column, dtype=np.float64) for column in zip_longest(*lists, fillvalue=neutral)]
    return [(kind, column) for column in columns if (column != neutral).any()]


def _factors(number: Fraction, bits: int) -> list[float]:
    """A fraction whose denominator is a power of two, as a product of floats."""
    if number in (0, 1):
        return [] if number else [0.0]
    odd = _odd(abs(number.numerator))
    parts = short_factors(odd, bits)
    if parts is None:
        raise TooLong
    exponent = (abs(number.numerator) // odd).bit_length() - number.denominator.bit_length()
    most = 100 if bits == 24 else 900
    powers = [math.copysign(most, exponent)] * (abs(exponent) // most)
    rest = exponent - int(sum(powers))
    first = math.copysign(math.ldexp(parts[0], rest), number.numerator)
    return [first, *map(float, parts[1:]), *(math.ldexp(1.0, int(power)) for power in powers)]


def _addends(number: Fraction, bits: int) -> list[float]:
    """A fraction whose denominator is a power of two, as a sum of floats."""
    parts: list[float] = []
    while number:
        try:
            with np.errstate(over="ignore"):
                part = float(number) if bits == 53 else float(np.float32(float(number)))
        except OverflowError as err:
            raise TooLong from err
        if part == 0 or not math.isfinite(part):
            raise TooLong
        parts.append(part)
        number -= Fraction(part)
    return parts
