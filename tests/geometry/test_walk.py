"""The walk along a segment: chains of layers against one exact pass a piece, and both against F_l itself."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from builders import at_points, conv_networks
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import SEPARATIONS
from strategies import COORDINATES, PLANE_POINTS, layers

import dtdsym
from dtdsym.arithmetic.chain import Chain
from dtdsym.arithmetic.enclosure import UNDECIDED
from dtdsym.arithmetic.rational import vector
from dtdsym.errors import BudgetSpent, InputError, ShapeMismatch
from dtdsym.geometry import line
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.line import as_chain, walk_chain
from dtdsym.geometry.walk import walk, walk_pieces, walk_slice
from dtdsym.network.network import sequential
from dtdsym.network.slice import slice_at

SHARES = [Fraction(0), Fraction(1, 7), Fraction(1, 2), Fraction(9, 10), Fraction(1)]


def meter():
    return Budget().start()


def along(start, end, t):
    return [a + t * (b - a) for a, b in zip(start, end, strict=True)]


@given(layers(), st.booleans(), PLANE_POINTS, PLANE_POINTS)
@settings(max_examples=200)
def test_a_chain_of_layers_has_the_pieces_of_the_plain_way(pairs, final_relu, x, other):
    """Hinges at the ends, neurons that vanish together or are dead, and weights 2^-60 apart among them."""
    network = sequential(*pairs, final_relu=final_relu)
    function, start = slice_at(network, x)
    end = vector(other, size=2, name="other")
    chain = as_chain(function)
    assert chain is not None
    assert walk_chain(chain, start, end, meter()) == walk_pieces(function, start, end, meter())


@given(layers(), PLANE_POINTS, PLANE_POINTS)
@settings(max_examples=60)
def test_signs_that_bounds_leave_open_are_decided_exactly(pairs, x, other):
    """With bounds that tell nothing everything is decided by the exact forms."""
    network = sequential(*pairs)
    function, start = slice_at(network, x)
    end = vector(other, size=2, name="other")
    expected = walk_pieces(function, start, end, meter())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line, "sign", lambda value: torch.full(value.shape, UNDECIDED, dtype=torch.int8))
        assert walk_chain(as_chain(function), start, end, meter()) == expected


@given(at_points(conv_networks()), st.data())
@settings(max_examples=60)
def test_pieces_are_the_function(case, data):
    """Pools, branches, convolutions: exact at the breakpoints and between, and every breakpoint is one."""
    network, x = case
    other = data.draw(st.lists(COORDINATES, min_size=len(x), max_size=len(x)))
    found = walk(network, x, other)
    one = network.logit(0)
    for t in (*SHARES, *found.times[:4]):
        assert found(t) == one(along(x, other, t))[0]
    assert list(found.times) == sorted(set(found.times))
    assert all(0 < t < 1 for t in found.times)
    back = walk(network, other, x)
    assert [1 - t for t in reversed(back.times)] == list(found.times)
    assert [-slope for slope in reversed(back.slopes)] == list(found.slopes)


@given(layers(inputs=3, depths=(2, 3)), st.integers(1, 2), st.tuples(*[COORDINATES] * 3), st.data())
@settings(max_examples=60)
def test_from_every_layer_on(pairs, layer, x, data):
    network = sequential(*pairs)
    layer = min(layer, len(network.layers))
    function, a = slice_at(network, x, layer=layer)
    other = data.draw(st.lists(COORDINATES, min_size=function.size, max_size=function.size))
    found = walk(network, x, other, layer=layer)
    end = vector(other, size=function.size, name="other")
    for t in SHARES:
        point = a + vector([t], size=1, name="t")[0] * (end - a)
        assert found(t) == Fraction(int(function(point).p), int(function(point).q))
    assert found == walk_slice(function, a, end, meter())


@given(layers(), PLANE_POINTS, PLANE_POINTS)
@settings(max_examples=60)
def test_residuals_are_those_of_the_expansion_at_the_start(pairs, x, other):
    network = sequential(*pairs)
    try:
        region = dtdsym.region(network, x)
    except dtdsym.OnHinge:
        return
    found = walk(network, x, other)
    slope = sum(g * (b - a) for g, a, b in zip(region.gradient, x, other, strict=True))
    for t, residual in zip((Fraction(0), *found.times, Fraction(1)), found.residuals, strict=True):
        assert residual == network(along(x, other, t))[0] - network(x)[0] - slope * t


def test_known_walks():
    found = walk(SEPARATIONS["the same with gradient 1: [2 - [-x] + [x-1]]"].network, (-1,), (2,))
    assert found.times == (Fraction(1, 3), Fraction(2, 3))
    assert found.slopes == (3, 0, 3)
    assert found.residuals == (0, 0, -1, -1)
    gap = Fraction(2) ** -60
    close = walk(sequential(([[1], [1]], [0, float(gap)]), ([[1, 1]], [0])), (-1,), (1,))
    assert close.times == (Fraction(1, 2) - gap / 2, Fraction(1, 2))
    same = walk(sequential(([[1], [2], [-3]], [0, 0, 0]), ([[1, 1, 1]], [0])), (-1,), (1,))
    assert same.times == (Fraction(1, 2),)
    assert same.slopes == (-6, 6)


def test_a_walk_that_goes_nowhere():
    found = walk(sequential(([[1], [0]], [0, 0]), ([[1, 1]], [1])), (0,), (0,))
    assert (found.times, found.slopes, found.values) == ((), (0,), (1,))


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_wide_networks_in_float64(depth):
    rng = np.random.default_rng(depth)
    sizes = [5, *[40] * depth, 1]
    pairs = [(rng.standard_normal((o, i)), rng.standard_normal(o)) for i, o in pairwise(sizes)]
    network = sequential(*pairs, final_relu=depth % 2 == 0)
    x, other = rng.standard_normal((2, 5)) * 3
    function, start = slice_at(network, x.tolist())
    end = vector(other.tolist(), size=5, name="other")
    found = walk_chain(as_chain(function), start, end, meter())
    assert len(found[0]) > 20
    assert found == walk_pieces(function, start, end, meter())


def test_flips_bring_the_forms_up_to_date():
    """In any order, on any layer, as if all masks had been set at once."""
    rng = np.random.default_rng(0)
    sizes = [3, 6, 5, 4, 1]
    layers_ = [(rng.integers(-3, 4, (o, i)).astype(float), rng.integers(-3, 4, o).astype(float))
               for i, o in pairwise(sizes)]  # fmt: skip
    start, direction = (vector(rng.integers(-3, 4, 3).tolist(), size=3, name="p") for _ in range(2))
    walked, fresh = (Chain(layers_, start, direction) for _ in range(2))
    masks = [rng.random(size) < 0.5 for size in sizes[1:-1]]
    walked.restart(masks)
    for _ in range(60):
        layer = int(rng.integers(1, 4))
        neuron = int(rng.integers(sizes[layer]))
        walked.form(layer, neuron)
        walked.output()
        walked.flip(layer, neuron)
        masks[layer - 1][neuron] = not masks[layer - 1][neuron]
        fresh.restart(masks)
        assert walked.output() == fresh.output()
        assert [walked.form(k, 0) for k in (1, 2, 3, 4)] == [fresh.form(k, 0) for k in (1, 2, 3, 4)]


def test_bad_arguments_are_refused():
    network = sequential(([[1, 2]], [0]))
    with pytest.raises(ShapeMismatch, match="other has shape"):
        walk(network, (1, 2), (1, 2, 3))
    with pytest.raises(InputError, match="from t = 0 to t = 1"):
        walk(network, (1, 2), (1, 3))(Fraction(3, 2))
    crossing = sequential(([[1], [1]], [0, 1]), ([[1, 1]], [0]))
    with pytest.raises(BudgetSpent):
        walk(crossing, (-3,), (3,), budget=Budget(cells=1))
