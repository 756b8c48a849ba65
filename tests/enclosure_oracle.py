"""Enclosures with true values in them, at every magnitude, and the law that they must obey, over Fractions."""

from __future__ import annotations

import sys
from fractions import Fraction
from math import inf, isfinite

import numpy as np
import torch
from hypothesis import strategies as st

from dtdsym.arithmetic.enclosure import Enclosure, exact
from dtdsym.arithmetic.rounding import ETA, UNIT

MAX = sys.float_info.max
EXTREMES = [0.0, -0.0, ETA, -ETA, 3 * ETA, 2.0**-1022, 2.0**-537, 2.0**-538 * 3, 1e308, -1e308, MAX, -MAX, 2.0**512]
ORDINARY = [1.0, -1.0, 0.5, 0.1, -0.1, 1 / 3, 1 + 2.0**-52, 1 - 2.0**-53, -1 - 2.0**-52, 2.0**53, 3.0, -7.0]

finite = st.one_of(
    st.sampled_from(EXTREMES + ORDINARY),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-2, 2),
    st.integers(-2048, 2048).map(float),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
)
radius = st.one_of(st.sampled_from([0.0, 0.0, ETA, 2.0**-1022, UNIT, 1.0, 1e308, MAX, inf]), st.floats(0, 1))
places = st.sampled_from([Fraction(-1), Fraction(0), Fraction(1), Fraction(1, 3)])


@st.composite
def known(draw):
    """(mid, rad, a true value in the interval)."""
    mid, rad, place = draw(finite), draw(radius), draw(places)
    return mid, rad, Fraction(mid) + (place * 10**400 if rad == inf else place * Fraction(rad))


def enclosed(entries):
    """The enclosure (n,) of entries (mid, rad, truth), and the truths."""
    mid, rad = (torch.tensor([entry[i] for entry in entries], dtype=torch.float64) for i in (0, 1))
    return Enclosure(mid, rad), [entry[2] for entry in entries]


def holds(value, truths):
    """Asserts that every entry of `value` encloses its truth, and is lawful."""
    mids, rads = value.mid.flatten().tolist(), value.rad.flatten().tolist()
    assert len(mids) == len(truths)
    for mid, rad, truth in zip(mids, rads, truths, strict=True):
        assert isfinite(mid)
        assert rad >= 0
        assert rad == inf or abs(truth - Fraction(mid)) <= Fraction(rad), (mid, rad, float(truth))


def points(*numbers):
    return exact(torch.tensor(numbers, dtype=torch.float64))


def frozen(numbers):
    array = np.array(numbers, dtype=np.float64)
    array.setflags(write=False)
    return array


def sums(weight, bias, truths):
    """W x + b, exactly."""
    return [
        sum((Fraction(float(w)) * x for w, x in zip(row, truths, strict=True)), Fraction(float(b)))
        for row, b in zip(weight, bias, strict=True)
    ]


def random_layer(inputs, outputs, seed):
    generator = np.random.default_rng(seed)
    return frozen(generator.standard_normal((outputs, inputs))), frozen(generator.standard_normal(outputs))


def random_points(*shape, seed):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
