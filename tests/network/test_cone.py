"""A neuron's cone gives its exact value, and leaves out what it does not depend on."""

from __future__ import annotations

import numpy as np
from builders import at_points, conv_networks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.network.builder import Builder
from dtdsym.network.cone import cone, values_of, work_of
from dtdsym.network.evaluate import evaluate


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(at_points(conv_networks(), floats=True), st.data())
def test_a_cone_has_the_values_of_the_whole_pass(drawn, data):
    network, point = drawn
    x = np.array([float(entry) for entry in point])
    whole = evaluate(network, RATIONAL, {0: RATIONAL.lift(x)})
    node = data.draw(st.integers(0, len(network.nodes) - 1))
    entries = np.array(data.draw(st.lists(st.integers(0, network.sizes[node] - 1), min_size=1, max_size=4)))
    needed = cone(network, node, entries)
    found = values_of(network, needed, x)
    for index, places in needed.items():
        assert fractions(found[index]) == fractions(whole[index][places])


def test_a_neuron_of_the_first_layer_needs_its_receptive_field_only():
    builder = Builder((1, 6, 6))
    kernel = np.arange(9.0).reshape(1, 1, 3, 3)
    first = builder.relu(builder.convolve(builder.input, kernel, np.zeros(1)))
    network = builder.network(builder.flatten(builder.convolve(first, kernel, np.zeros(1))))
    needed = cone(network, 1, np.array([0]))
    assert needed[0].tolist() == [0, 1, 2, 6, 7, 8, 12, 13, 14]
    assert work_of(network, needed) == 9
    deeper = cone(network, 3, np.array([0]))
    assert len(deeper[0]) == 25
    assert work_of(network, deeper) == 9 * 9 + 9
