"""Expansions with true values in them, at every magnitude, and the law that they must obey, over Fractions."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import numpy as np
import torch
from enclosure_oracle import finite, frozen, places, radius
from hypothesis import strategies as st

from dtdsym.arithmetic.error_free import normal
from dtdsym.arithmetic.expansion import PAIR, Expansion, ExpansionArithmetic
from dtdsym.arithmetic.windows import Windows

TRIPLE = ExpansionArithmetic(3)
ARITHMETICS = {2: PAIR, 3: TRIPLE, 4: ExpansionArithmetic(4)}
counts = st.sampled_from(sorted(ARITHMETICS))
shrinks = st.sampled_from([0.0, 2.0**-54, -(2.0**-53), 2.0**-60, -(2.0**-60) * 1.1, 2.0**-100, 2.0**-900])


def ops(value):
    """The arithmetic of as many parts."""
    return ARITHMETICS[len(value.parts)]


@st.composite
def known(draw, count=2):
    """(*parts, rad, a true value in the interval)."""
    parts, rad, place = [draw(finite)], draw(radius), draw(places)
    for _ in range(count - 1):
        parts.append(parts[-1] * draw(shrinks))
    found, lost = normal([torch.tensor([part], dtype=torch.float64) for part in parts])
    parts = [part.item() for part in found] if lost is None or not lost.any() else [parts[0]] + [0.0] * (count - 1)
    middle = sum(map(Fraction, parts))
    return *parts, rad, middle + (place * 10**400 if rad == inf else place * Fraction(rad))


def paired(entries):
    """The expansion (n,) of entries (*parts, rad, truth), and the truths."""
    *parts, rad = (torch.tensor(side, dtype=torch.float64) for side in list(zip(*entries, strict=True))[:-1])
    return Expansion(tuple(parts), rad), [entry[-1] for entry in entries]


def lawful(value):
    """The value, checked again by its constructor."""
    return Expansion(value.parts, value.rad, value.ball)


def centers(value):
    """The exact centres, in order."""
    sides = zip(*(part.flatten().tolist() for part in value.parts), strict=True)
    return [sum(map(Fraction, parts)) for parts in sides]


def alone(value):
    """The centres alone, as an expansion."""
    return Expansion(value.parts, torch.zeros_like(value.rad))


def of_radius(numbers, rad, ball=None, count=2):
    """Floats, as an expansion, with these radii and this ball."""
    numbers = torch.as_tensor(numbers, dtype=torch.float64)
    rad = torch.as_tensor(rad, dtype=torch.float64).expand_as(numbers)
    ball = None if ball is None else torch.as_tensor(ball, dtype=torch.float64)
    return Expansion((numbers, *(torch.zeros_like(numbers),) * (count - 1)), rad, ball)


def holds(value, truths):
    """Asserts that the value is lawful and encloses the truths: each by its radius, each row by its ball."""
    lawful(value)
    assert value.high.isfinite().all()
    distances = []
    assert len(truths) == value.high.numel()
    for center, rad, truth in zip(centers(value), value.rad.flatten().tolist(), truths, strict=True):
        distances.append(abs(truth - center))
        assert rad == inf or distances[-1] <= Fraction(rad), (float(center), rad, float(truth))
    if value.ball is not None and value.high.numel():
        width = value.shape[-1]
        for row, ball in enumerate(value.ball.flatten().tolist()):
            square = sum(distance**2 for distance in distances[row * width : (row + 1) * width])
            assert ball == inf or square <= Fraction(ball) ** 2, (row, ball, float(square) ** 0.5)


def with_ball(draw, entries):
    """The expansion of these entries, with the least ball that holds their truths, or none."""
    value, truths = paired(entries)
    if not draw(st.booleans()):
        return value, truths
    square = sum((truth - center) ** 2 for truth, center in zip(truths, centers(value), strict=True))
    try:
        ball = float(square) ** 0.5 * (1 + 2.0**-50) if square < 2**1000 and (square > 2**-1000 or square == 0) else inf
    except OverflowError:
        ball = inf
    return Expansion(value.parts, value.rad, torch.tensor(ball, dtype=torch.float64)), truths


@st.composite
def rows(draw, least=1, most=6):
    """A value (n,) of some parts, sometimes with a tight ball, and its truths."""
    count = draw(counts)
    return with_ball(draw, draw(st.lists(known(count), min_size=least, max_size=most)))


@st.composite
def twins(draw, most=6):
    """Two values of one width and as many parts, and their truths."""
    count = draw(counts)
    pairs = draw(st.lists(st.tuples(known(count), known(count)), min_size=1, max_size=most))
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
