"""What enclosures decide about batches of roots is what the exact search says, hardest of all at the hinges."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from builders import conv_networks
from expansion_oracle import TRIPLE
from hinge_roots import named
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plane_oracle import Plane
from strategies import layers, points_near

from dtdsym.arithmetic.ball import BALL
from dtdsym.arithmetic.enclosure import ENCLOSURE, exact
from dtdsym.arithmetic.expansion import PAIR
from dtdsym.geometry.batch import Home, place_batch
from dtdsym.geometry.placement import place
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import sequential
from dtdsym.network.slice import bypassing

WIDTHS = (6, 9, 9, 1)


def random_layers(seed: int):
    generator = torch.Generator().manual_seed(seed)
    shapes = list(pairwise(WIDTHS))
    return [
        (torch.randn(out, size, generator=generator).tolist(), (torch.randn(out, generator=generator) / 2).tolist())
        for size, out in shapes
    ]


def bisected_pairs(network, start: np.ndarray, end: np.ndarray) -> list[np.ndarray]:
    """Neighbouring floats along the segment between which torch, in float64, sees the activation pattern change."""
    steps = np.linspace(0, 1, 65)
    found = []
    for low, high in pairwise(steps):
        before = torch_pattern(network, start + low * (end - start))
        while np.nextafter(low, high) < high and not np.array_equal(
            before, torch_pattern(network, start + high * (end - start))
        ):
            middle = (low + high) / 2
            if np.array_equal(before, torch_pattern(network, start + middle * (end - start))):
                low = middle
            else:
                high = middle
            if high - low < 2e-16:
                found += [start + low * (end - start), start + high * (end - start)]
                break
    return found


def torch_pattern(network, point: np.ndarray) -> np.ndarray:
    value, signs = torch.from_numpy(point)[None], []
    for layer in range(1, len(network.layers) + 1):
        node = network.layer(layer).linear
        value = torch.nn.functional.linear(value, torch.tensor(node.weight), torch.tensor(node.bias))
        signs.append((value > 0).numpy().ravel())
        value = value.relu()
    return np.concatenate(signs)


@pytest.mark.parametrize("seed", range(3))
def test_decisions_at_points_bisected_to_adjacent_floats_are_the_exact_ones(seed):
    network = sequential(*random_layers(seed), final_relu=False)
    rng = np.random.default_rng(seed)
    start, end = rng.standard_normal(6), rng.standard_normal(6)
    points = np.array(bisected_pairs(network, start, end) or [end])
    assert len(points) > 4
    reference = [place(network, start, point.tolist()).name for point in points]
    for size in (1, 3, len(points)):
        decided = []
        for first in range(0, len(points), size):
            decided += decisions(network, start, points[first : first + size])
        for mine, exact_name in zip(decided, reference, strict=True):
            assert mine in (exact_name, None)


def decisions(network, x: np.ndarray, roots: np.ndarray) -> list[str | None]:
    """The batch route's answer for each root: a place, or None where it abstains."""
    values = evaluate(network, ENCLOSURE, {0: exact(torch.from_numpy(x)[None])})
    return named(place_batch(Home.at(network, 0, values), exact(torch.from_numpy(roots)[None])))


@given(st.data(), layers(), st.booleans())
@settings(max_examples=150)
def test_the_batch_route_never_contradicts_the_oracle(data, pairs, final_relu):
    plane = Plane(pairs, final_relu)
    network = sequential(*pairs, final_relu=final_relu)
    x = data.draw(points_near(plane.lines))
    roots = data.draw(st.lists(points_near(plane.lines).filter(lambda p: p != x), min_size=1, max_size=5))
    values = evaluate(network, ENCLOSURE, {0: ENCLOSURE.lift([list(x)])})
    found = named(place_batch(Home.at(network, 0, values), ENCLOSURE.lift([[list(root) for root in roots]])))
    for name, root in zip(found, roots, strict=True):
        assert name in (None, plane.place(x, root))


def test_in_general_position_the_batch_route_decides_everything():
    network = sequential(*random_layers(7), final_relu=False)
    rng = np.random.default_rng(7)
    answers = decisions(network, rng.standard_normal(6), rng.standard_normal((200, 6)))
    assert None not in answers
    assert {"same_cell", "outside"} >= set(answers)


@pytest.mark.parametrize("ops", [ENCLOSURE, BALL, PAIR, TRIPLE], ids=["enclosure", "ball", "pair", "triple"])
@given(network=conv_networks(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_roots_that_stream_through_a_network_have_the_choices_of_points_that_are_evaluated(ops, network, seed):
    """Of every layer's function: choices, output and gradient at roots are those at inputs that lie there."""
    generator = np.random.default_rng(seed)
    values = evaluate(network, ops, {0: ops.lift(torch.tensor(generator.integers(-8, 9, (2, network.sizes[0])) / 8))})
    for start in {layer.source for layer in network.linear.values()}:
        home = Home.at(network, start, values, ops)
        roots = ops.lift(torch.tensor(generator.integers(-8, 9, (2, 3, network.sizes[start])) / 8))
        placed = place_batch(home, roots)
        beside = {
            node: values[node].unsqueeze(1).expand(2, 3, network.sizes[node]) for node in bypassing(network, start)
        }
        there = Home.at(network, start, evaluate(network, ops, {**beside, start: roots}), ops)
        equal = torch.ones(2, 3, dtype=torch.bool)
        for node, choices in there.choices.items():
            equal &= (choices == home.choices[node].unsqueeze(1)).all(-1)
        told = there.decided & home.decided.unsqueeze(1)  # elsewhere a gradient has no meaning
        assert torch.equal(placed.same_cell, equal & told)
        assert torch.equal(placed.output.mid, there.values[len(network.nodes) - 1].mid[..., 0])
        apart = abs(placed.gradient - there.gradient)  # other batches add up in another order
        assert (apart.lower()[told] <= 0).all()
        assert (placed.gradient.rad[told] <= 2 * there.gradient.rad[told]).all()
