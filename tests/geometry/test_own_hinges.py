"""Roots that are on a neuron's hinge by construction: enclosures place them as the exact search does."""

from __future__ import annotations

import numpy as np
import pytest
from builders import conv_networks
from expansion_oracle import TRIPLE
from hinge_roots import hinge_roots, places
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from plane_oracle import Plane
from strategies import layers, points_near

import dtdsym
from dtdsym.arithmetic.ball import BALL
from dtdsym.arithmetic.enclosure import ENCLOSURE
from dtdsym.arithmetic.expansion import PAIR
from dtdsym.geometry.budget import Budget
from dtdsym.network.builder import Builder
from dtdsym.network.network import sequential

SMALL = Budget(cells=50)


@given(st.data(), layers(), st.booleans(), st.sampled_from(["w2", "x", "flat"]))
@settings(max_examples=150)
def test_places_never_contradict_the_oracle(data, pairs, final_relu, rule):
    plane = Plane(pairs, final_relu)
    network = sequential(*pairs, final_relu=final_relu)
    x = data.draw(points_near(plane.lines))
    neurons, roots = hinge_roots(network, x, rule)
    assume(roots)
    for root, found in zip(roots, places(network, x, 1, neurons, roots), strict=True):
        assert found in (None, plane.place(x, root))


@pytest.mark.parametrize("ops", [ENCLOSURE, BALL, PAIR, TRIPLE], ids=["enclosure", "ball", "pair", "triple"])
def test_in_general_position_only_what_takes_a_search_is_left(ops):
    generator = np.random.default_rng(3)
    shapes = [(12, 5), (9, 12), (1, 9)]
    network = sequential(*[(generator.standard_normal(s), generator.standard_normal(s[0]) / 2) for s in shapes])
    seen = set()
    for _ in range(10):
        x = generator.standard_normal(5)
        neurons, roots = hinge_roots(network, x, "w2")
        for root, found in zip(roots, places(network, x, 1, neurons, roots, ops), strict=True):
            expected = dtdsym.place(network, x, root).name
            assert found == expected or (found is None and expected.startswith("same_region"))
            seen.add(found)
    assert seen >= {"boundary", "outside"}


def test_a_neuron_that_nothing_depends_on_leaves_its_hinge_in_the_region():
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1], [-1, 0]], [0, -1]), ([[0, 1]], [2]))
    assert places(network, [1, 1], 1, [0, 1], [[0, 1], [1, 0]]) == ["same_region_segment"] * 2


def test_a_neuron_that_would_win_the_window_it_ties_in_is_not_idle():
    """Behind x = 0 the second neuron is active, in a window with a dead one that stands first; the third counts for
    nothing, so that turning it over alone changes no gradient."""
    builder = Builder((1,))
    z = builder.linear(builder.input, np.array([[0.0], [-1.0], [1.0], [1.0]]), np.array([-1.0, 0.0, 0.0, 5.0]))
    pooled = builder.maxima(builder.relu(z), np.array([[0, 1], [2, 2], [3, 3]]))
    for weight, expected in ((1.0, "boundary"), (0.0, "same_region_segment")):
        network = builder.network(builder.linear(pooled, np.array([[weight, 0.0, 1.0]]), np.zeros(1)))
        assert dtdsym.place(network, [1], [0]).name == expected
        assert places(network, [1], 1, [2], [[0]]) == [None if expected == "boundary" else expected]


def test_where_only_the_far_side_has_the_gradient_a_search_must_decide():
    """f = 1 + min([x1], [x2]) is constant around (1, -1), and beyond the hinge at (0, 1), but not before it."""
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 0], [1, -1]], [1, 0]), ([[1, -1]], [0]))
    assert places(network, [1, -1], 1, [0], [[0, 1]]) == [None]
    assert dtdsym.place(network, [1, -1], [0, 1]).name == "boundary"


def test_neurons_that_share_a_hinge_are_turned_over_in_every_way():
    """Their jumps add up to a bend; where they cancel, no bound can tell."""
    pairs = [([[1, 0], [2, 0], [0, 1]], [0, 0, 1])]
    for weight, expected in (([3, -1, 1], "boundary"), ([2, -1, 1], None)):
        twice = sequential(*pairs, ([weight], [1]))
        found = places(twice, [1, 1], 1, [0, 1, 2], [[0, 1], [0, 1], [1, -1]])
        assert found == [expected, expected, "boundary"]
        assert dtdsym.place(twice, [1, 1], [0, 1]).name == (expected or "same_region_segment")


@pytest.mark.parametrize(("copies", "expected"), [(4, "boundary"), (5, None)])
def test_cells_are_listed_of_no_more_than_four_neurons(copies, expected):
    network = sequential(([[1, 0]] * copies + [[0, 1]], [0] * copies + [1]), ([[1] * copies + [1]], [0]))
    assert places(network, [1, 1], 1, [0], [[0, 1]]) == [expected]


def test_a_preactivation_may_bend_twice_or_never():
    """It is read by a ReLU, and by windows without a tie; below a linear output there is nothing to bend."""
    builder = Builder((1, 2, 2))
    z = builder.convolve(builder.input, np.ones((1, 1, 1, 1)), np.zeros(1))
    pooled = builder.flatten(builder.max_pool(z, (2, 2), (1, 1)))
    both = builder.concat([pooled, builder.flatten(builder.relu(z))], 0)
    network = builder.network(builder.linear(both, np.ones((1, 5)), np.zeros(1)))
    x = [1, 2, 3, 4]
    assert places(network, x, 1, [0, 3], [[0, 2, 3, 4], [1, 2, 3, 0]]) == ["boundary", "outside"]
    assert places(network, x, 2, [0], [[0, 0, 0, 0, -1]]) == ["same_cell"]


@pytest.mark.parametrize("rule", ["w2", "zplus", "gamma:1", "zbox:-2:2", "flat", "x"])
def test_an_audit_counts_hinge_roots_as_the_rationals_do(rule):
    generator = np.random.default_rng(5)
    shapes = [(5, 3), (4, 5), (1, 4)]
    network = sequential(*[(generator.standard_normal(s), generator.standard_normal(s[0]) / 2) for s in shapes])
    inputs = abs(generator.standard_normal((6, 3)))
    asked = {"rules": [rule], "layers": "all", "root": "hinge", "min_logit": -100, "domain": "real"}
    mine, exact = (dtdsym.audit(network, inputs, engine=engine, **asked) for engine in ("auto", "exact"))
    for one, other in zip(mine.roots, exact.roots, strict=True):
        same = set(one) - {"decided_by", "seconds"}
        assert {key: one[key] for key in same} == {key: other[key] for key in same}
    assert sum(row["decided_by"]["enclosure"] for row in mine.roots) > sum(row["total"] for row in mine.roots) / 2


@pytest.mark.parametrize("ops", [ENCLOSURE, BALL, PAIR, TRIPLE], ids=["enclosure", "ball", "pair", "triple"])
@given(network=conv_networks(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
def test_in_every_layer_of_convolutional_networks(ops, network, seed):
    x = np.random.default_rng(seed).integers(-8, 9, network.sizes[0]) / 8
    network = network.logit(0)
    for layer in range(1, len(network.layers) + 1):
        neurons, roots = (side[:4] for side in hinge_roots(network, x, "w2", layer))
        if not roots:
            continue
        for root, found in zip(roots, places(network, x, layer, neurons, roots, ops), strict=True):
            if found is not None:
                assert dtdsym.place(network, x, root, layer=layer, budget=SMALL).name in (found, "undecided")
