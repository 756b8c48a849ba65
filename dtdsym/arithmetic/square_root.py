"""Square roots of rationals, rounded once."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from dtdsym.arithmetic.rational import nearest_float

BITS = 64
"""At least so many bits of the root are found before it is rounded to a float's 53."""


def nearest_square_root(square: Fraction) -> float:
    """The float nearest to the root of a rational >= 0, ties to even; the largest float stands for all larger roots."""
    length = square.numerator.bit_length() - square.denominator.bit_length()
    half = BITS - length // 2  # 4^half makes the square so long that its whole root has at least BITS bits
    numerator, denominator = square.numerator << max(2 * half, 0), square.denominator << max(-2 * half, 0)
    root = isqrt(numerator // denominator)
    above = root * root * denominator != numerator
    # A last bit stands for all that is cut off: neither a float nor midway between two, it leaves the rounding right.
    return nearest_float(Fraction(2 * root + above) / (2 * Fraction(2) ** half))
