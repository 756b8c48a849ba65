"""Roots that are on a neuron's hinge by construction: enclosures place them as the exact search does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from builders import conv_networks
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from plane_oracle import Plane
from strategies import layers, points_near

import dtdsym
from dtdsym.arithmetic.ball import BALL
from dtdsym.arithmetic.enclosure import ENCLOSURE
from dtdsym.arithmetic.expansion import PAIR, TRIPLE
from dtdsym.errors import NoRoot
from dtdsym.geometry.batch import Home, place_batch
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.own_hinges import OwnHinges
from dtdsym.network.builder import Builder
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network, sequential

CPU = torch.device("cpu")
SMALL = Budget(cells=50)


def places(network: Network, x, layer: int, neurons, roots, ops=ENCLOSURE) -> list[str | None]:
    """What the batch route says of roots, each on the hinge of one neuron; None where it abstains."""
    values = evaluate(network, ops, {0: ops.lift([list(x)])})
    where = network.layer(layer)
    own = OwnHinges.of(network, where.output, np.asarray(neurons), CPU)
    placed = place_batch(Home.at(network, where.source, values, ops), ops.lift([[list(root) for root in roots]]), own)
    found: list[str | None] = [None] * len(roots)
    for name, mask in (
        ("same_cell", placed.same_cell), ("same_region_segment", placed.same_segment),
        ("boundary", placed.boundary), ("outside", placed.outside),
    ):  # fmt: skip
        for column in mask[0].nonzero()[:, 0].tolist():
            assert found[column] is None
            found[column] = name
    return found


def hinge_roots(network: Network, x, rule: str, layer: int = 1):
    """(neurons, exact hinge roots) that exist and are not the input itself."""
    found = dtdsym.roots(network, x, rule=rule, layer=layer, root="hinge")
    pairs = [(j, root) for j, root in enumerate(found) if not isinstance(root, NoRoot) and tuple(root) != tuple(x)]
    return [j for j, _ in pairs], [root for _, root in pairs]


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


def test_where_only_the_far_side_has_the_gradient_a_search_must_decide():
    """f = 1 + min([x1], [x2]) is constant around (1, -1), and beyond the hinge at (0, 1), but not before it."""
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 0], [1, -1]], [1, 0]), ([[1, -1]], [0]))
    assert places(network, [1, -1], 1, [0], [[0, 1]]) == [None]
    assert dtdsym.place(network, [1, -1], [0, 1]).name == "boundary"


def test_two_neurons_of_one_hinge_are_left_to_the_exact_search():
    twice = sequential(([[1, 0], [2, 0], [0, 1]], [0, 0, 1]), ([[3, -1, 1]], [0]))
    assert places(twice, [1, 1], 1, [0, 1, 2], [[0, 1], [0, 1], [1, -1]]) == [None, None, "boundary"]


def test_a_preactivation_that_bends_twice_or_never_has_no_hinge_of_its_own():
    builder = Builder((1, 2, 2))
    z = builder.convolve(builder.input, np.ones((1, 1, 1, 1)), np.zeros(1))
    pooled = builder.flatten(builder.max_pool(z, (2, 2), (1, 1)))
    both = builder.concat([pooled, builder.flatten(builder.relu(z))], 0)
    network = builder.network(builder.linear(both, np.ones((1, 5)), np.zeros(1)))
    assert OwnHinges.of(network, network.layer(1).output, np.arange(4), CPU) is None
    assert OwnHinges.of(network, network.layer(2).output, np.arange(1), CPU) is None


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
        if not roots or OwnHinges.of(network, network.layer(layer).output, np.array([0]), CPU) is None:
            continue
        for root, found in zip(roots, places(network, x, layer, neurons, roots, ops), strict=True):
            if found is not None:
                assert dtdsym.place(network, x, root, layer=layer, budget=SMALL).name in (found, "undecided")
