"""Relevances, roots and gradients in expansions hold the exact ones: to some ninety bits, ordinarily, of two parts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from enclosure_oracle import frozen
from expansion_oracle import ARITHMETICS, holds, of_radius
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import layers

from dtdsym.arithmetic.expansion import PAIR, exact
from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.arithmetic.windows import Windows
from dtdsym.network.evaluate import differentiate, evaluate, max_masks
from dtdsym.network.layers import Add, AveragePool, Convolution, Input, MaxPool, Relu, Scale
from dtdsym.network.network import Network, sequential
from dtdsym.relevance.root import layer_roots
from dtdsym.relevance.rule import parse_rule as parse
from dtdsym.relevance.train_free import propagate

RULES = ["lrp0", "epsilon:1/2", "gamma:1/3", "zplus", "alpha_beta:2:1", "w2", "x", "flat", "zbox:-1:3", "pinv"]
HIGHS = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
RADS = st.sampled_from([0.0, 0.0, 2.0**-90, 2.0**-40, 0.25])
PLACES = st.sampled_from([Fraction(-1), Fraction(-1, 3), Fraction(0), Fraction(1)])
COORDINATES = st.tuples(*[st.tuples(HIGHS, RADS, PLACES)] * 3)


def asked(network, arithmetic, x, rule, layer):
    """Relevances of all nodes, and the roots of a layer."""
    values = evaluate(network, arithmetic, {0: x})
    relevances = propagate(network, arithmetic, values, parse(rule))
    return relevances, layer_roots(network, arithmetic, values, relevances, layer, parse(rule), "relevance")


def assert_encloses(network, box, point, rule, layer):
    relevances, found = asked(network, ARITHMETICS[len(box.parts)], box, rule, layer)
    truths, true_roots = asked(network, RATIONAL, RATIONAL.lift(point), rule, layer)
    for node, value in truths.at.items():
        holds(relevances.at[node], fractions(value.ravel()))
    for what in ("roots", "displacement", "denominator"):
        holds(getattr(found, what), fractions(getattr(true_roots, what).ravel()))
    return relevances


@pytest.mark.parametrize("rule", RULES)
@given(drawn=layers(3), coordinates=COORDINATES, final_relu=st.booleans(), data=st.data())
@settings(max_examples=30)
def test_what_holds_the_input_holds_its_relevances_and_roots(rule, drawn, coordinates, final_relu, data):
    network = sequential(*drawn, final_relu=final_relu)
    high, rad = (torch.tensor([[entry[i] for entry in coordinates]], dtype=torch.float64) for i in (0, 1))
    point = [Fraction(m) + place * Fraction(r) for m, r, place in coordinates]
    layer = data.draw(st.integers(1, len(drawn)))
    assert_encloses(network, of_radius(high, rad, count=data.draw(st.sampled_from([2, 3]))), point, rule, layer)


@pytest.mark.parametrize("rule", RULES)
def test_on_ordinary_networks_bounds_are_ninety_bits_below(rule):
    generator = np.random.default_rng(5)
    shapes = [(8, 6), (8, 8), (1, 8)]
    drawn = [(generator.standard_normal(s).tolist(), generator.standard_normal(s[0]).tolist()) for s in shapes]
    network = sequential(*drawn[:2], (drawn[2][0], [6.0]))
    x = np.abs(generator.standard_normal(6))
    relevances = assert_encloses(network, exact(x[None]), x.tolist(), rule, 1)
    assert (relevances.input.rad <= 2.0**-90 * relevances.input.high.abs().amax()).all()


def convolutional(generator):
    """Convolution, batch norm, ReLU, max pool, a skip around another convolution, average pool: (1, 6, 6) to 2 x 2."""
    first, second = (Windows((c, n, n), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)) for c, n in ((1, 6), (4, 3)))
    pool = Windows((1, 6, 6), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)).index[0]
    average = Windows((1, 3, 3), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1)).index[0]
    kernels = [frozen(generator.standard_normal(s).astype(np.float32)) for s in ((4, 1, 3, 3), (4, 4, 3, 3))]
    shares = np.array([Fraction(1, 3), Fraction(2, 7), Fraction(-5, 3), Fraction(1)], dtype=object)
    return Network(
        (
            Input((1, 6, 6)),
            Convolution(kernels[0], frozen(generator.standard_normal(4)), 0, first),
            Scale(shares, shares[::-1].copy(), 36, 1),
            Relu(2),
            MaxPool(np.concatenate([pool + 36 * c for c in range(4)]), 3),
            Convolution(kernels[1], frozen(np.zeros(4)), 4, second),
            Relu(5),
            Add(4, 6),
            AveragePool(np.concatenate([average + 9 * c for c in range(4)]), np.full(16, 4), 7),
        )
    )


@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_of_convolutional_networks_are_enclosed(seed):
    generator = np.random.default_rng(seed)
    network = convolutional(generator)
    x = generator.standard_normal((2, 36)) * (generator.random((2, 36)) < 0.7)
    rational = RATIONAL.lift(x)
    found, truths = evaluate(network, PAIR, {0: exact(x)}), evaluate(network, RATIONAL, {0: rational})
    for node in range(1, 9):
        holds(found[node], fractions(truths[node].ravel()))
    assert (found[8].rad < 2.0**-88).all()
    gradients = []
    for ops, values in ((PAIR, found), (RATIONAL, truths)):
        masks = {3: values[2] > 0, 6: values[5] > 0, 4: max_masks(network, 4, ops, values)}
        seeds = ops.lift(np.ones((2, 16)))
        gradients.append(differentiate(network, ops, masks, seeds))
    for node in range(8):
        holds(gradients[0][node], fractions(gradients[1][node].ravel()))
    assert (gradients[0][0].rad < 2.0**-85).all()
