"""Max-pools: every place against the oracle of the plane, planted ties by name, and what bounds decide about them."""

from __future__ import annotations

from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hinge_roots import named
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pool_oracle import PoolPlane, network_of, pooled
from strategies import points_near

from dtdsym.arithmetic.enclosure import ENCLOSURE
from dtdsym.errors import OnHinge
from dtdsym.geometry import regularity
from dtdsym.geometry.batch import Home, place_batch
from dtdsym.geometry.placement import place
from dtdsym.geometry.region import region
from dtdsym.network.builder import Builder
from dtdsym.network.evaluate import evaluate


class Example(NamedTuple):
    """steps: see pool_oracle; place: where `other` lies relative to N_f(x)."""

    steps: list
    x: tuple
    other: tuple
    place: str


LARGER = [("affine", [[1, 0], [0, 1]], [0, 0]), ("pool", [[0, 1]])]
LARGER_ACTIVE = [("affine", [[1, 0], [0, 1]], [0, 0]), ("relu",), ("pool", [[0, 1]])]
SUM = [("affine", [[1, 0], [0, 1], [-1, 0], [0, -1]], [0, 0, 0, 0]), ("pool", [[0, 1], [2, 3]]),
       ("affine", [[1, -1]], [0])]  # fmt: skip
AS_MAXIMA = [("affine", [[1, 0], [1, -1], [0, 0]], [0, 0, 0]), ("pool", [[0, 2], [2, 1]]), ("affine", [[1, -1]], [0]),
             ("relu",)]  # fmt: skip
TWINS = [("affine", [[1, 1], [1, 1], [0, 1]], [0, 0, 0]), ("pool", [[0, 1, 2]])]
WAKE = [("affine", [[1, 0], [1, 0]], [0, 0]), ("relu",), ("affine", [[1, 0], [0, 1], [0, 0]], [0, 0, 0]),
        ("pool", [[2, 0], [1, 2]]), ("affine", [[1, -1]], [3])]  # fmt: skip

TIES = {
    "a tie of raw inputs is a hinge: max(x1, x2)": Example(LARGER, (1, 1), (2, 1), "on_hinge"),
    "the winner stays: max(x1, x2)": Example(LARGER, (2, 1), (3, -7), "same_cell"),
    "the winner changes: max(x1, x2)": Example(LARGER, (2, 1), (1, 2), "outside"),
    "a tie is in the closure only: max(x1, x2)": Example(LARGER, (2, 1), (1, 1), "boundary"),
    "an accidental tie of zeros: max(x1, x2)": Example(LARGER, (0, 0), (2, 1), "on_hinge"),
    "|x1| as max(x1, -x1) bends at 0": Example(
        [("affine", [[1, 0], [-1, 0]], [0, 0]), ("pool", [[0, 1]])], (0, 3), (1, 3), "on_hinge"
    ),
    "an entry that stands twice in its window": Example(
        [("affine", [[1, 0], [0, 1]], [0, 0]), ("pool", [[0, 0]])], (0, 0), (5, -7), "same_cell"
    ),
    "equal neurons in one window tie everywhere": Example(TWINS, (1, 1), (2, 0), "same_cell"),
    "equal neurons lose together": Example(TWINS, (1, 1), (-1, 3), "outside"),
    "inactive neurons tie in their window": Example(LARGER_ACTIVE, (-1, -1), (-2, -3), "same_cell"),
    "one of them becomes active": Example(LARGER_ACTIVE, (-1, -1), (-2, 3), "outside"),
    "the edge of a dead window": Example(LARGER_ACTIVE, (-1, -1), (0, -1), "boundary"),
    "a loser's hinge is no hinge of the maximum": Example(LARGER_ACTIVE, (1, 0), (2, 1), "same_region_segment"),
    "a loser may change its state": Example(LARGER_ACTIVE, (3, -1), (3, 1), "same_region_segment"),
    "bends of two pools cancel: max(x1, x2) + min(x1, x2)": Example(SUM, (2, 1), (1, 2), "same_region_segment"),
    "and a tie there is regular": Example(SUM, (1, 1), (1, 2), "same_region_segment"),
    "[[x1] - [x1-x2]] with maxima for ReLUs: the segment leaves": Example(AS_MAXIMA, (3, -1), (-1, 2), "same_region"),
    "the same: in the closure through another cell": Example(AS_MAXIMA, (3, -1), (0, 5), "boundary"),
    "zeros that tie in dead windows wake together: max(0, [x]) - max([x], 0) + 3": Example(
        WAKE, (-1, 0), (1, 0), "same_region_segment"
    ),
    "and there nothing bends": Example(WAKE, (0, 0), (1, 0), "same_region_segment"),
}

BENT_AT_ORIGIN = {
    "max(-[x1], -x1) + [x1]: zero where x1 > 0, where the first two tie": [
        ("affine", [[1, 0]], [0]), ("relu",), ("skip",), ("affine", [[-1, 0, 0], [0, -1, 0], [1, 0, 0]], [0, 0, 0]),
        ("pool", [[0, 1], [2, 2]]), ("affine", [[1, 1]], [0]),
    ],
    "max(u, v, w) - max(u, v) - max(u, w): around u bends cancel, beyond v = w none does": [
        ("affine", [[1, 0], [0, 1], [-1, -1], [0, 0]], [0, 0, 0, -9]), ("pool", [[0, 1, 2], [0, 1, 3], [0, 2, 3]]),
        ("affine", [[1, -1, -1]], [0]),
    ],
}  # fmt: skip


def named_place(network, x, other):
    try:
        return place(network, x, other).name
    except OnHinge:
        return "on_hinge"


@pytest.mark.parametrize("name", TIES)
def test_every_planted_tie(name):
    example = TIES[name]
    assert named_place(network_of(example.steps), example.x, example.other) == example.place
    plane = PoolPlane(example.steps, most_lines=30)
    assert plane.place(example.x, example.other) == example.place


@pytest.mark.parametrize("steps", BENT_AT_ORIGIN.values(), ids=BENT_AT_ORIGIN)
def test_a_bend_is_found_without_proposed_directions(steps):
    with patch.object(regularity, "PROPOSED_DIRECTIONS", 0):
        assert named_place(network_of(steps), (0, 0), (2, 1)) == "on_hinge"


@given(st.data(), pooled())
@settings(max_examples=300, deadline=None)
def test_places_in_networks_with_pools_are_the_oracles(data, steps):
    plane = PoolPlane(steps, most_lines=14)
    assume(not plane.too_many)
    network = network_of(steps)
    x = data.draw(points_near(plane.lines), "x")
    others = data.draw(st.lists(points_near(plane.lines), min_size=1, max_size=6), "others")
    proposals = data.draw(st.sampled_from([0, regularity.PROPOSED_DIRECTIONS]), "proposed directions")
    with patch.object(regularity, "PROPOSED_DIRECTIONS", proposals):
        for other in [*others, x]:
            assert named_place(network, x, other) == plane.place(x, other)


@pytest.mark.parametrize(("x", "cells"), [((2, 1), 2), ((-1, -1), 1)])
def test_a_region_lists_each_cell_once_however_many_entries_tie_on_its_walls(x, cells):
    """Of max([x1], [x2]): where x1 wins, x2 is active or not; the dead window is one cell."""
    assert len(region(network_of(LARGER_ACTIVE), x).cells) == cells


def decisions(network, x, roots) -> list[str | None]:
    """The batch route's answer for each root: a place, or None where it abstains."""
    values = evaluate(network, ENCLOSURE, {0: ENCLOSURE.lift([list(x)])})
    return named(place_batch(Home.at(network, 0, values), ENCLOSURE.lift([[list(root) for root in roots]])))


@given(st.data(), pooled())
@settings(max_examples=150, deadline=None)
def test_the_batch_route_never_contradicts_the_oracle_on_pools(data, steps):
    plane = PoolPlane(steps, most_lines=14)
    assume(not plane.too_many)
    x = data.draw(points_near(plane.lines))
    roots = data.draw(st.lists(points_near(plane.lines).filter(lambda p: p != x), min_size=1, max_size=5))
    for mine, root in zip(decisions(network_of(steps), x, roots), roots, strict=True):
        assert mine in (None, plane.place(x, root))


@pytest.mark.parametrize(
    ("steps", "x", "root", "answer"),
    [
        (LARGER, (0, 0), (0, -1), None),
        (LARGER, (0, 0), (-1, 0), None),
        (LARGER, (0, -1), (0, 0), None),
        (LARGER, (-1, 0), (0, 0), None),
        (LARGER_ACTIVE, (-1, -1), (-2, -3), "same_cell"),
        (LARGER_ACTIVE, (-1, -1), (0, -3), "boundary"),
        (LARGER_ACTIVE, (1, -1), (0, -3), "boundary"),
        (LARGER_ACTIVE, (-1, -1), (0, 2), "outside"),
        (LARGER_ACTIVE, (1, -1), (0, 0), None),
        (LARGER_ACTIVE, (-1, -1), (2, -3), "outside"),
        (TIES["an entry that stands twice in its window"].steps, (0, 0), (5, -7), "same_cell"),
        (TWINS, (1, 1), (2, 0), None),
    ],
)
def test_ties_are_decided_by_bounds_where_all_but_one_are_zeros_that_stay_zero(steps, x, root, answer):
    assert decisions(network_of(steps), x, [root]) == [answer]


def test_in_general_position_the_batch_route_decides_every_choice_of_a_convolutional_network():
    """ReLU then max-pool: most windows hold inactive neurons, many nothing else; and these feed a second ReLU."""
    rng = np.random.default_rng(3)
    made = Builder((1, 6, 6))
    value = made.relu(made.convolve(made.input, rng.standard_normal((3, 1, 3, 3)), rng.standard_normal(3) - 1))
    value = made.relu(made.max_pool(value, 2))
    flat = made.flatten(value)
    network = made.network(made.linear(flat, rng.standard_normal((1, flat.size)), None))
    x, roots = rng.standard_normal(36), rng.standard_normal((100, 36))
    roots[:50] = x + 1e-3 * roots[:50]
    values = evaluate(network, ENCLOSURE, {0: ENCLOSURE.lift([x])})
    home = Home.at(network, 0, values)
    assert home.decided.all()
    pool, second = home.choices[3], home.choices[4]
    assert (pool.reshape(-1, 4) == torch.tensor([1, 0, 0, 0])).all(1).any()  # a dead window
    assert (second == 0).any()
    answers = decisions(network, x, roots)
    assert None not in answers
    assert {"same_cell", "outside"} == set(answers)
    for answer, root in zip(answers[40:60], roots[40:60], strict=True):
        assert place(network, x, root).name == answer
