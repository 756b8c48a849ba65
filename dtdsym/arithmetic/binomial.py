"""Exact confidence intervals for a share, from how often it was seen in independent draws."""

from __future__ import annotations

from fractions import Fraction

from flint import arb

from dtdsym.arithmetic.precision import precision

BITS = 128
STEPS = 56
"""Halvings: ends are found to about the last bit of a float."""


def clopper_pearson(seen: int, draws: int, confidence: Fraction = Fraction(95, 100)) -> tuple[float, float]:
    """(low, high) that hold the true share with at least this confidence, seen times out of `draws` >= 1.

    With t = (1 - confidence) / 2: low is the share at which `seen` or more has probability t, high that at which `seen`
    or fewer has, both rounded outwards: P(seen or more) is the regularised incomplete beta function I_p(seen,
    draws - seen + 1). Source: Clopper and Pearson, Biometrika 26 (1934), 404-413."""
    if not 0 <= seen <= draws or draws < 1:
        raise ValueError(f"{seen} of {draws} draws")
    tail = (1 - confidence) / 2
    low = 0.0 if seen == 0 else _end(seen, draws - seen + 1, tail, below=True)
    high = 1.0 if seen == draws else _end(seen + 1, draws - seen, 1 - tail, below=False)
    return low, high


def _end(a: int, b: int, level: Fraction, *, below: bool) -> float:
    """The greatest float of a bisection at which I_p(a, b) < level for certain, or the least at which it is above."""
    with precision(BITS):
        target = arb(level.numerator) / level.denominator
        low, high = 0.0, 1.0
        for _ in range(STEPS):
            middle = (low + high) / 2
            value = arb(middle).beta_lower(a, b, True)
            less, more = bool(value < target), bool(value > target)
            if less or (not more and not below):
                low = middle
            else:
                high = middle
    return low if below else high
