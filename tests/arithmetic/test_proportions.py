"""Distances of normalised vectors, without a quotient on the way."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from dtdsym.arithmetic.rational import RATIONAL, apart, proportions

NUMBERS = st.fractions(min_value=-3, max_value=3, max_denominator=12)


@given(st.integers(1, 5).flatmap(lambda n: st.tuples(*[st.lists(NUMBERS, min_size=n, max_size=n)] * 2)))
def test_the_distance_is_that_of_the_quotients(pair):
    assume(all(map(any, pair)))
    one, other = ([entry / sum(map(abs, vector)) for entry in vector] for vector in pair)
    expected = sum((abs(p - q) for p, q in zip(one, other, strict=True)), Fraction(0))
    assert apart(*(proportions(RATIONAL.lift(vector)) for vector in pair)) == expected
