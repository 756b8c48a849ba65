"""A whole number as a product of numbers that floats hold."""

from __future__ import annotations

from flint import fmpz

MOST_BITS = 200  # of what is left for a search that finds everything, within seconds


def short_factors(number: int, bits: int) -> list[int] | None:
    """number > 0 as a product of factors of at most `bits` bits each; None where no such factors were found.

    They are found if a number of at most MOST_BITS bits has any, and nearly always otherwise."""
    if number.bit_length() <= bits:
        return [number]
    products = [1]
    for prime in sorted(_primes(number, bits), reverse=True):
        if prime.bit_length() > bits:
            return None
        longer = products[-1] * prime
        products[-1:] = [longer] if longer.bit_length() <= bits else [products[-1], prime]
    return products


def _primes(number: int, bits: int) -> list[int]:
    """Factors with their powers. Elliptic curves find those of so few bits quickly, but may miss one."""
    found: list[int] = []
    for factor, power in fmpz(number).factor_smooth(bits + 1):
        long = bits < int(factor).bit_length() <= MOST_BITS
        parts = factor.factor() if long and not factor.is_probable_prime() else [(factor, 1)]
        found += [int(part) for part, times in parts for _ in range(times * power)]
    return found
