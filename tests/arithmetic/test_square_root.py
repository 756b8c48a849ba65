"""Roots of rationals, rounded once: no float is nearer, by squares compared exactly."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from dtdsym.arithmetic.square_root import nearest_square_root

LARGEST = sys.float_info.max
NUMBERS = st.builds(
    lambda p, q, e: Fraction(p, q) * Fraction(2) ** e,
    st.integers(0, 2**140), st.integers(1, 2**140), st.integers(-2300, 2300),
)  # fmt: skip


def midway(one: float, other: float) -> Fraction:
    return (Fraction(one) + Fraction(other)) / 2


@given(NUMBERS | st.floats(0, 1e308).map(lambda x: Fraction(x) ** 2))
@example(Fraction(0))
@example(Fraction(2) ** 1200)
@example(Fraction(2) ** -1200)
@example(Fraction(2) ** -2148)  # the least float, squared
@example(midway(1.0, 1.0 + 2**-52) ** 2)
@example(midway(1.0, 1.0 + 2**-52) ** 2 + Fraction(1, 2**4000))
@example(midway(0.0, 5e-324) ** 2)
def test_no_float_is_nearer(square):
    root = nearest_square_root(square)
    below, above = math.nextafter(root, 0.0), math.nextafter(root, math.inf)
    even = math.frexp(root)[0] * 2**53 % 2 == 0 if root > sys.float_info.min else (root / 5e-324) % 2 == 0
    if root > 0:
        low = midway(below, root) ** 2
        assert low < square or (low == square and even)
    if root < LARGEST:
        high = midway(root, above) ** 2
        assert square < high or (square == high and even)


def test_what_is_beyond_floats_is_the_largest():
    assert nearest_square_root(Fraction(10) ** 1000) == LARGEST
