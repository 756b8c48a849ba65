"""Hinge roots where a skip passes the layer by: what is added to the neuron's exact 0 tells whether anything bends."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from expansion_oracle import TRIPLE
from hinge_roots import hinge_roots, places
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plane_oracle import Plane
from strategies import layers, points_near

import dtdsym
from dtdsym.arithmetic.ball import BALL
from dtdsym.arithmetic.enclosure import ENCLOSURE
from dtdsym.arithmetic.expansion import PAIR
from dtdsym.network.builder import Builder
from dtdsym.network.network import Network

ALL_OPS = pytest.mark.parametrize("ops", [ENCLOSURE, BALL, PAIR, TRIPLE], ids=["enclosure", "ball", "pair", "triple"])


class Skip(NamedTuple):
    """factor z + summand + skip, where z = w.a + b: the skip is [v.x + c], and a itself if moved."""

    weight: list
    bias: list
    factor: float
    summand: float
    moved: bool


def skipped(pairs, final_relu: bool, skip: Skip) -> Network:
    """Layer 2 copies x, layer 3 and those above are of the pairs; the skip passes layer 3 by."""
    builder = Builder((2,))
    passing = builder.relu(
        builder.linear(builder.input, np.array(skip.weight, dtype=float), np.array(skip.bias, dtype=float))
    )
    value = builder.linear(builder.input, np.eye(2), np.zeros(2))
    for number, (weight, bias) in enumerate(pairs):
        z = builder.linear(value, np.array(weight, dtype=float), np.array(bias, dtype=float))
        if not number:
            z = builder.add(builder.scale(z, skip.factor, skip.summand), passing)
            z = builder.add(z, value) if skip.moved else z
        value = builder.relu(z) if final_relu or number < len(pairs) - 1 else z
    return builder.network(value)


def plain(pairs, skip: Skip, x) -> list:
    """The same function of a, at this x, as a plain network."""
    (weight, bias), *rest = pairs
    summand = [
        max(sum(Fraction(v) * xi for v, xi in zip(row, x, strict=True)) + Fraction(c), 0) + Fraction(skip.summand)
        for row, c in zip(skip.weight, skip.bias, strict=True)
    ]
    factor = Fraction(skip.factor)
    copy = np.eye(len(weight), 2, dtype=int) * skip.moved
    first = [[factor * Fraction(w) + int(copy[i, j]) for j, w in enumerate(row)] for i, row in enumerate(weight)]
    return [(first, [factor * Fraction(b) + s for b, s in zip(bias, summand, strict=True)]), *rest]


@st.composite
def skips(draw, width: int):
    numbers = st.integers(-1, 1).map(float)
    weight = draw(st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=width, max_size=width))
    bias = draw(st.lists(numbers, min_size=width, max_size=width))
    factor, summand = draw(st.sampled_from([1.0, 1.0, 2.0, -1.0])), draw(st.sampled_from([0.0, 0.0, 1.0, -0.5]))
    return Skip(weight, bias, factor, summand, width == 2 and draw(st.booleans()))


@given(st.data(), layers(depths=(1, 2)), st.booleans(), st.sampled_from(["w2", "x", "flat"]))
@settings(max_examples=50)
def test_places_beside_a_skip_never_contradict_the_oracle(data, pairs, final_relu, rule):
    skip = data.draw(skips(len(pairs[0][0])))
    network = skipped(pairs, final_relu, skip)
    x = data.draw(points_near(Plane(pairs, final_relu).lines))
    neurons, roots = hinge_roots(network, x, rule, 3)
    assume(roots)
    plane = Plane(plain(pairs, skip, x), final_relu)
    expected = [plane.place(x, root) for root in roots]
    for ops in (ENCLOSURE, BALL, PAIR, TRIPLE):
        for place, found in zip(expected, places(network, x, 3, neurons, roots, ops), strict=True):
            assert found in (None, place)


WIDE = [([[1, 0], [0, 1], [-1, 1]], [1, 1, 3]), ([[1, 1, 1]], [1])]
"""x1 + 1, x2 + 1 and x2 - x1 + 3, all active at (1, 1), added up."""


@ALL_OPS
@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (Skip([[0, 0]] * 3, [0, 0, 0], 1, 0, False), "boundary"),  # the skip is exactly 0: the neuron behind it bends
        (Skip([[0, 0]] * 3, [1, 0, 0], 1, 0, False), "same_cell"),  # 0 + 1 is active as it was: nothing bends
        (Skip([[0, 0]] * 3, [0, 0, 0], 1, -1, False), "outside"),  # a shift of -1 makes it inactive
        (Skip([[0, 0]] * 3, [1, 0, 0], 1, -1, False), "boundary"),  # the shift of -1 and the skip of 1 cancel
    ],
)
def test_the_value_of_the_skip_tells_what_the_root_is(ops, first, expected):
    network, x = skipped(WIDE, False, first), [1, 1]
    root = [-1, 1]
    assert dtdsym.place(network, x, root, layer=3).name == expected
    assert places(network, x, 3, [0], [root], ops) == [expected]
