"""Every place against a brute-force oracle in the plane, and the table of what separates one place from the next."""

from __future__ import annotations

from fractions import Fraction
from unittest.mock import patch

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from networks import SEPARATIONS
from plane_oracle import Plane
from strategies import layers, points_near

from dtdsym.errors import NotExact, OnHinge
from dtdsym.geometry import regularity
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.placement import place
from dtdsym.geometry.region import region
from dtdsym.network.network import sequential


@pytest.mark.parametrize("name", SEPARATIONS)
def test_every_row_of_the_table_of_separations(name):
    example = SEPARATIONS[name]
    assert place(example.network, example.x, example.other).name == example.place


@given(st.data(), layers(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_places_are_the_oracles(data, pairs, final_relu):
    plane = Plane(pairs, final_relu)
    assume(len(plane.lines) <= 14)
    network = sequential(*pairs, final_relu=final_relu)
    x = data.draw(points_near(plane.lines), "x")
    others = data.draw(st.lists(points_near(plane.lines), min_size=1, max_size=6), "others")
    proposals = data.draw(st.sampled_from([0, regularity.PROPOSED_DIRECTIONS]), "proposed directions")
    with patch.object(regularity, "PROPOSED_DIRECTIONS", proposals):
        for other in [*others, x]:
            assert named_place(network, x, other) == plane.place(x, other)


def named_place(network, x, other):
    try:
        return place(network, x, other).name
    except OnHinge:
        return "on_hinge"


@given(st.data(), layers(depths=(2,), widths=(2, 3)))
@settings(max_examples=25, deadline=None)
def test_places_in_space_are_those_of_the_plane_it_is_projected_to(data, pairs):
    """(u, v, w) -> (u + w, v - w) is onto, so it pulls every region, closure and segment back."""
    plane = Plane(pairs, True)
    lifted = [([[row[0], row[1], row[0] - row[1]] for row in pairs[0][0]], pairs[0][1]), *pairs[1:]]
    network = sequential(*lifted)
    x, other = data.draw(points_near(plane.lines)), data.draw(points_near(plane.lines))
    assume(x != other)
    heights = data.draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
    up = [(p[0] - h, p[1] + h, Fraction(h)) for p, h in zip((x, other), heights, strict=True)]
    assert named_place(network, *up) == plane.place(x, other)


def test_a_spent_budget_answers_undecided_and_loses_nothing():
    """Six independent pairs [x_i] - [-x_i] = x_i: one region of 64 cells, bent nowhere."""
    pairs = [[sign * (i == j) for j in range(6)] for i in range(6) for sign in (1, -1)]
    network = sequential((pairs, [0] * 12), ([[1, -1] * 6], [100]), final_relu=False)
    corner = [Fraction(-1)] * 6
    home = region(network, [1] * 6, budget=Budget(cells=5))
    with pytest.raises(Exception, match="budget of 5 cells"):
        _ = home.cells
    home.budget = Budget()
    assert len(home.cells) == 64
    assert home.graph.number_of_edges() == 6 * 32
    assert corner in home


def test_a_neuron_that_wakes_beyond_a_facet_can_cancel_the_bend_there():
    """[[x] + 1] - [[x]] + 5 is 6 everywhere: the second neuron is identically zero on x < 0 and wakes at 0."""
    network = sequential(([[1]], [0]), ([[1], [1]], [1, 0]), ([[1, -1]], [5]), final_relu=False)
    assert len(region(network, [-1]).cells) == 2
    assert len(region(network, [1]).cells) == 2


def test_a_wake_is_seen_without_proposed_directions():
    """[[x]] + [[-x]] + 1 = |x| + 1 at 0: on x > 0 the second layer's second neuron is identically zero."""
    pairs = [([[1, 0], [-1, 0]], [0, 0]), ([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [1])]
    network = sequential(*pairs)
    with patch.object(regularity, "PROPOSED_DIRECTIONS", 0), pytest.raises(OnHinge):
        place(network, (0, 1), (2, 2))


def test_three_hyperplanes_through_one_point_make_a_ring_of_six_cells():
    """Each line as a pair [z] - [-z], so that nothing bends and the region is everything."""
    lines = [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]]
    network = sequential((lines, [0] * 6), ([[1, -1, 1, -1, 1, -1]], [9]), final_relu=False)
    ring = region(network, (2, 2)).graph
    assert ring.number_of_nodes() == ring.number_of_edges() == 6
    assert {degree for _, degree in ring.degree} == {2}


def test_bends_that_cancel_are_regular_and_uncancelled_ones_are_not():
    network = sequential(([[1, 0], [-1, 0]], [0, 0]), ([[1, -1]], [0]), final_relu=False)
    assert place(network, (0, 1), (5, 2)).name == "same_region_segment"
    bent = sequential(([[1, 0], [-1, 0]], [0, 0]), ([[1, -2]], [0]), final_relu=False)
    with pytest.raises(OnHinge, match="bends at the point"):
        place(bent, (0, 1), (5, 2))


def test_the_evidence_of_a_connection_is_a_path_of_crossings_inside_the_region():
    example = SEPARATIONS["same component, segment leaves it: [[x1] - [x1-x2]]"]
    found = place(example.network, example.x, example.other)
    assert found.path
    for crossing in found.path:
        assert crossing.gradient == found.gradient
        assert crossing.point in region(example.network, example.x)


def test_the_evidence_of_outside_is_a_different_gradient():
    found = place(sequential(([[1]], [0])), (1,), (-1,))
    assert found.name == "outside"
    assert found.regularity.gradient != found.gradient


def test_layers_above_the_first_are_placed_in_their_own_space():
    network = sequential(([[1, 0], [1, 0]], [1, 1]), ([[1, -1]], [0]))
    with pytest.raises(OnHinge):
        place(network, (1, 0), (3, 3), layer=2)
    shifted = sequential(([[1, 0], [1, 0]], [2, 1]), ([[1, -1]], [0]))
    assert place(shifted, (1, 0), (5, 1), layer=2).name == "same_cell"
    assert place(shifted, (1, 0), (1, 5), layer=2).name == "outside"


def test_points_are_read_exactly_whatever_holds_them():
    network = sequential(([[1, -1]], [0]))
    big = 2**53 + 1
    assert network(torch.tensor([big, 0])) == (big,)
    assert network([Fraction(1, 3), "1/4"]) == (Fraction(1, 12),)
    assert network(torch.tensor([0.5, 0.25], dtype=torch.bfloat16)) == (Fraction(1, 4),)
    with pytest.raises(NotExact, match="x: 'one' is no number"):
        network(["one", 0])
