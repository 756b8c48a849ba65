"""Clopper and Pearson's interval, against exact binomial tails."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic.binomial import clopper_pearson


def at_least(k: int, n: int, p: Fraction) -> Fraction:
    """P(k or more of n), exactly."""
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)), Fraction(0))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_ends_are_where_the_tails_are_two_and_a_half_percent(drawn):
    k, n = drawn
    low, high = (Fraction(end) for end in clopper_pearson(k, n))
    tail, grain = Fraction(1, 40), Fraction(1, 2**48)
    assert low <= Fraction(k, n) <= high
    assert at_least(k, n, low) <= tail if k else low == 0
    assert 1 - at_least(k + 1, n, high) <= tail if k < n else high == 1
    if k:
        assert at_least(k, n, low + grain) > tail
    if k < n:
        assert 1 - at_least(k + 1, n, high - grain) > tail


def test_the_textbook_values():
    assert clopper_pearson(0, 10) == (0.0, pytest.approx(0.3084971, abs=1e-6))
    assert clopper_pearson(5, 10) == (pytest.approx(0.1870860, abs=1e-6), pytest.approx(0.8129140, abs=1e-6))
    assert clopper_pearson(1000, 1000)[1] == 1.0


def test_it_covers_at_least_as_often_as_it_says():
    n = 12
    for p in (Fraction(1, 100), Fraction(1, 10), Fraction(1, 3), Fraction(1, 2)):
        covered = sum(
            comb(n, k) * p**k * (1 - p) ** (n - k)
            for k in range(n + 1)
            if Fraction(clopper_pearson(k, n)[0]) <= p <= Fraction(clopper_pearson(k, n)[1])
        )
        assert covered >= Fraction(95, 100)


@pytest.mark.parametrize(("seen", "draws"), [(-1, 3), (4, 3), (0, 0)])
def test_what_cannot_be_is_refused(seen, draws):
    with pytest.raises(ValueError, match="draws"):
        clopper_pearson(seen, draws)
