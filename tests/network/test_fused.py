"""ReLUs taken into max-pools: the same function with fewer choices."""

import numpy as np
from builders import at_points, conv_networks
from hypothesis import given, settings
from hypothesis import strategies as st

import dtdsym
from dtdsym.arithmetic.rational import vector
from dtdsym.geometry.arrangement import arrangement
from dtdsym.network.builder import Builder
from dtdsym.network.fused import fused
from dtdsym.network.layers import MaxPool, Relu
from dtdsym.network.slice import slice_at


@given(at_points(conv_networks()), st.data())
@settings(max_examples=100)
def test_the_function_is_the_same_from_every_layer_on(case, data):
    network, x = case
    layer = data.draw(st.integers(1, len(network.layers)))
    function, a = slice_at(network, x, logit=0, layer=layer)
    other = fused(function)
    for shift in (0, 1, -2):
        point = vector([entry + shift for entry in a], size=len(a), name="a")
        assert other(point) == function(point)
    assert not any(_pairs(other.network, {other.start, *other.bypass}))


def _pairs(network, fixed):
    """ReLUs next to pools that could still be one, but for those whose values are given."""
    for index, node in enumerate(network.nodes):
        if isinstance(node, MaxPool) and index not in fixed and node.source not in fixed:
            yield isinstance(network.nodes[node.source], Relu)


def pooled(order):
    """Six convolution outputs, ReLU and a max-pool over pairs, in either order, then a layer."""
    builder = Builder((1, 6))
    value = builder.convolve(builder.input, np.array([[[1.0, -1.0, 0.5]]]), np.array([0.25]), padding=1)
    for step in order:
        value = builder.relu(value) if step == "relu" else builder.max_pool(value, (2,), (2,))
    value = builder.linear(builder.reshape(value, (3,)), np.array([[1.0, -2.0, 0.5]]), np.array([0.1]))
    return builder.network(value)


def test_both_orders_become_one_pool_with_a_zero():
    for order in (("relu", "pool"), ("pool", "relu")):
        function, _ = slice_at(pooled(order), [1, 2, 3, 4, 5, 6])
        found = fused(function)
        bending = [found.network.nodes[node] for node in found.bending]
        assert [type(node) for node in bending] == [MaxPool]
        assert bending[0].index.shape == (3, 3)


def test_the_region_has_fewer_cells_and_the_same_places():
    network = pooled(("relu", "pool"))
    x = (3, -1, 2, 0, -2, 5)
    region = dtdsym.region(network, x)
    fewer = region.search
    while not fewer.exhausted:
        fewer.grow(region.budget.start())
    assert len(fewer.cells) < len(region.cells)
    for cell in arrangement(network, points=[x, (1, 1, 1, 1, 1, 1), (0, 2, 0, -3, 1, 0)], box=[(-2, 2)] * 2).cells:
        point = tuple(a + t * (b - a) + s * (c - a) for (t, s) in [cell.point] for a, b, c in zip(
            x, (1, 1, 1, 1, 1, 1), (0, 2, 0, -3, 1, 0), strict=True))  # fmt: skip
        assert (point in region) == any(other.holds(vector(point, size=6, name="p")) for other in region.cells.values())
