"""Numbers as people write them: one number read, whatever its kind, exact numbers written out, and things counted."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dtdsym.arithmetic.rational import fractions, text, vector
from dtdsym.errors import NotExact, ShapeMismatch

LONGEST = 20
"""Digits of a decimal that is still short."""


def exact_number(value: Any, *, name: str) -> Fraction:
    """The rational that one number is: a float, int, Fraction, "1/3" or "0.25", or an array or tensor of one number.

    Raises NotExact for all else, infinities and NaN among it."""
    try:
        single = value.reshape(-1) if hasattr(value, "reshape") else [value]
        return fractions(vector(single, size=1, name=name))[0]
    except ShapeMismatch as err:
        raise NotExact(f"{name}={value!r:.70}: expected one number, such as 0.5, Fraction(1, 3) or '1/3'") from err


def decimal(number: Fraction) -> str | None:
    """The number in digits, exactly, -0.5 or 3.0; None where no finite decimal is equal to it."""
    twos, fives = (_times(number.denominator, prime) for prime in (2, 5))
    places = max(twos, fives)
    if number.denominator != 2**twos * 5**fives:
        return None
    digits = text(Fraction(abs(number.numerator) * 10**places // number.denominator)).rjust(places + 1, "0")
    whole, after = digits[: len(digits) - places], digits[len(digits) - places :]
    return f"{'-' if number < 0 else ''}{whole}.{after or '0'}"


def shown(number: Fraction) -> str:
    """The number for people, exactly: a whole number, a short decimal, or p/q, with the float that it is, if any."""
    if number.denominator == 1:
        return text(number)
    short = decimal(number) if number.denominator.bit_length() < 4 * LONGEST else None
    if short is not None and len(short) <= LONGEST:
        return short
    near = float(number) if abs(number) < 2**1000 else 0.0
    return text(number) + (f" (the float {near!r})" if Fraction(near) == number else "")


def counted(number: float, one: str, many: str = "") -> str:
    """ "1 cell", "0 cells", "1,000 cells"."""
    return f"{number:,} {plural(number, one, many)}"


def plural(number: float, one: str, many: str = "") -> str:
    """The noun or verb that goes with a number; many: where that is not `one` with an s."""
    return one if number == 1 else many or f"{one}s"


def _times(number: int, prime: int) -> int:
    """How often the prime divides the number."""
    count = 0
    while number % prime == 0:
        number, count = number // prime, count + 1
    return count
