"""A layer's neurons as affine forms of its whole input, and whether a ReLU reads them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from builders import conv_networks
from hypothesis import given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.network.builder import Builder
from dtdsym.network.evaluate import evaluate


@settings(max_examples=40, deadline=None)
@given(network=conv_networks(), seed=st.integers(0, 2**20), fold=st.booleans())
def test_forms_are_what_neurons_compute(network, seed, fold):
    """Convolutions with padding, pools and batch normalisation, folded or not."""
    network = network if fold else network.unfolded()
    x = np.random.default_rng(seed).integers(-8, 9, network.sizes[0])
    values = evaluate(network, RATIONAL, {0: RATIONAL.lift(x)})
    for layer in network.linear.values():
        a = values[layer.source]
        for neuron in range(layer.size):
            w, b = layer.form(neuron)
            assert len(w) == layer.width
            assert (
                sum((RATIONAL.lift([p])[0] * q for p, q in zip(w, a, strict=True)), RATIONAL.lift([b])[0])
                == (values[layer.output][neuron])
            )


def test_a_padded_neuron_has_no_weights_outside():
    build = Builder((1, 2))
    value = build.convolve(build.input, np.array([[[1.0, 2.0, 3.0]]]), np.array([0.5]), padding=1)
    layer = build.network(value).layer(1)
    assert layer.form(0) == ((2, 3), Fraction(1, 2))
    assert layer.form(1) == ((1, 2), Fraction(1, 2))


@pytest.mark.parametrize("fold", [True, False])
def test_which_layers_a_relu_reads(fold):
    """Batch normalisation stands between a layer and its ReLU: folded, the layer's neurons are what the ReLU reads."""
    build = Builder((2,))
    ones, zeros = np.ones(2), np.zeros(2)
    first = build.batch_norm(build.linear(build.input, np.eye(2), None), ones, zeros, ones, ones, 0.0)
    last = build.linear(build.relu(first), np.ones((1, 2)), None)
    network = build.network(last)
    network = network if fold else network.unfolded()
    assert [layer.rectified for layer in network.layers] == ([True, False] if fold else [False, True, False])


def test_a_relu_elsewhere_does_not_count():
    build = Builder((2,))
    one = build.linear(build.input, np.eye(2), None)
    network = build.network(build.linear(build.relu(build.add(one, build.input)), np.ones((1, 2)), None))
    assert [layer.rectified for layer in network.layers] == [False, False]


@settings(max_examples=40, deadline=None)
@given(network=conv_networks(), data=st.data(), fold=st.booleans())
def test_some_neurons_have_the_rows_of_all(network, data, fold):
    """By their numbers, in any order and more than once, as by slices."""
    network = network if fold else network.unfolded()
    for layer in network.linear.values():
        numbers = data.draw(st.lists(st.integers(0, layer.size - 1), min_size=1, max_size=5))
        low, high = sorted(data.draw(st.tuples(st.integers(0, layer.size), st.integers(0, layer.size))))
        for chosen in (np.array(numbers), slice(low, high)):
            count = len(range(layer.size)[chosen]) if isinstance(chosen, slice) else len(numbers)
            for ask in (layer.fields, layer.weights, layer.factors, layer.biases):
                whole, some = ask(), ask(chosen)
                assert (whole is None) == (some is None)
                assert whole is None or (len(some) == count and np.array_equal(some, whole[chosen]))


@settings(max_examples=40, deadline=None)
@given(network=conv_networks(), fold=st.booleans())
def test_neurons_of_one_channel_have_one_bias(network, fold):
    network = network if fold else network.unfolded()
    for layer in network.linear.values():
        channel, first = layer.channels
        assert len(channel) == layer.size
        assert channel[first].tolist() == list(range(len(first)))
        assert layer.biases(first)[channel].tolist() == layer.biases().tolist()
        assert layer.biased == any(bias != 0 for bias in layer.biases())
