"""Pairs with true values in them, at every magnitude, and the law that they must obey, over Fractions."""

from __future__ import annotations

from fractions import Fraction
from math import inf, isfinite

import numpy as np
import torch
from enclosure_oracle import finite, frozen, places, radius
from hypothesis import strategies as st

from dtdsym.arithmetic.pair import Pair
from dtdsym.arithmetic.windows import Windows

shrinks = st.sampled_from([0.0, 2.0**-54, 2.0**-60, -(2.0**-60) * 1.1, 2.0**-100, 2.0**-900])


@st.composite
def known(draw):
    """(high, low, rad, a true value in the interval)."""
    high, rad, place = draw(finite), draw(radius), draw(places)
    low = high * draw(shrinks)
    low = low if high + low == high else 0.0
    return high, low, rad, Fraction(high) + Fraction(low) + (place * 10**400 if rad == inf else place * Fraction(rad))


def paired(entries):
    """The pair (n,) of entries (high, low, rad, truth), and the truths."""
    high, low, rad = (torch.tensor([entry[i] for entry in entries], dtype=torch.float64) for i in (0, 1, 2))
    return Pair(high, low, rad), [entry[3] for entry in entries]


def lawful(value):
    """The value, checked again by its constructor."""
    return Pair(value.high, value.low, value.rad, value.ball)


def holds(value, truths):
    """Asserts that the value is lawful and encloses the truths: each by its radius, each row by its ball."""
    lawful(value)
    flat = zip(value.high.flatten().tolist(), value.low.flatten().tolist(), value.rad.flatten().tolist(), strict=True)
    distances = []
    assert len(truths) == value.high.numel()
    for (high, low, rad), truth in zip(flat, truths, strict=True):
        assert isfinite(high)
        distances.append(abs(truth - Fraction(high) - Fraction(low)))
        assert rad == inf or distances[-1] <= Fraction(rad), (high, low, rad, float(truth))
    if value.ball is not None and value.high.numel():
        width = value.shape[-1]
        for row, ball in enumerate(value.ball.flatten().tolist()):
            square = sum(distance**2 for distance in distances[row * width : (row + 1) * width])
            assert ball == inf or square <= Fraction(ball) ** 2, (row, ball, float(square) ** 0.5)


def with_ball(draw, entries):
    """The pair of these entries, with the least ball that holds their truths, or none."""
    value, truths = paired(entries)
    if not draw(st.booleans()):
        return value, truths
    gaps = [t - Fraction(h) - Fraction(lo) for h, lo, _, t in entries]
    square = sum(gap**2 for gap in gaps)
    try:
        ball = float(square) ** 0.5 * (1 + 2.0**-50) if square < 2**1000 and (square > 2**-1000 or square == 0) else inf
    except OverflowError:
        ball = inf
    return Pair(value.high, value.low, value.rad, torch.tensor(ball, dtype=torch.float64)), truths


@st.composite
def rows(draw, least=1, most=6):
    """A value (n,), sometimes with a tight ball, and its truths."""
    return with_ball(draw, draw(st.lists(known(), min_size=least, max_size=most)))


@st.composite
def twins(draw, most=6):
    """Two values of one width, and their truths."""
    pairs = draw(st.lists(st.tuples(known(), known()), min_size=1, max_size=most))
    return with_ball(draw, [p[0] for p in pairs]), with_ball(draw, [p[1] for p in pairs])


SIDES = st.tuples(
    st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), st.integers(1, 3), st.integers(0, 4)
)


@st.composite
def convolutions(draw, groups=(1, 2)):
    """(weight, windows) of a small convolution of one or two dimensions."""
    sides = draw(st.lists(SIDES, min_size=1, max_size=2))
    count, inputs, outputs = draw(st.sampled_from(groups)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, stride, before, after, dilation, _ = zip(*sides, strict=True)
    length = [max(1, d * (k - 1) + 1 - b - a) + e for k, _, b, a, d, e in sides]
    padding = tuple(zip(before, after, strict=True))
    windows = Windows((count * inputs, *length), kernel, stride, padding, dilation, count)
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    return frozen(generator.standard_normal((count * outputs, inputs, *kernel))), windows
