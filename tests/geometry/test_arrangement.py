"""The arrangement of all open cells: against the component search, Euler's formula, areas, and known counts."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import comb

import numpy as np
import pytest
from builders import conv_networks
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from networks import SEPARATIONS
from strategies import layers

import dtdsym
from dtdsym.arithmetic.linear_algebra import rank
from dtdsym.arithmetic.rational import vector
from dtdsym.errors import BudgetSpent, InputError, OnHinge
from dtdsym.geometry import arrangement as module
from dtdsym.geometry.arrangement import arrangement
from dtdsym.geometry.cell import cell_at
from dtdsym.geometry.facets import shared_facets
from dtdsym.network.network import sequential
from dtdsym.network.slice import Slice

SQUARE = [(-3, 3), (-3, 3)]


def dot(gradient, point):
    return sum((a * b for a, b in zip(gradient, point, strict=True)), Fraction(0))


def value(cell, point, output=0):
    return dot(cell.gradients[output], point) + cell.constants[output]


def area(points):
    return abs(sum(x * v - y * u for (x, y), (u, v) in zip(points, points[1:] + points[:1], strict=True))) / 2


@given(layers(), st.booleans())
@settings(max_examples=150)
def test_cells_are_where_the_network_is_what_they_say(pairs, final_relu):
    network = sequential(*pairs, final_relu=final_relu)
    found = arrangement(network, box=SQUARE)
    function = Slice(network, 0, {})
    assert len({cell.pattern for cell in found.cells}) == len(found.cells)
    for cell in found.cells:
        assert cell.point in cell
        assert all(low < t < high for t, (low, high) in zip(cell.point, found.box, strict=True))
        assert network(cell.point) == (value(cell, cell.point),)
        other = cell_at(function, vector(cell.point, size=2, name="point"))
        assert (other.pattern, (other.gradient,)) == (cell.pattern, cell.gradients)
        assert not other.hinged
        assert all(dot(row[:-1], vertex) + row[-1] >= 0 for row in cell.inequalities for vertex in cell.vertices)


@given(layers(), st.booleans())
@settings(max_examples=150)
def test_areas_edges_and_continuity(pairs, final_relu):
    """The areas add up to the box; V - E + F = 1; pieces agree on shared edges, and only two cells share one."""
    network = sequential(*pairs, final_relu=final_relu)
    found = arrangement(network, box=SQUARE)
    assert sum(area(cell.vertices) for cell in found.cells) == 36
    edges = Counter()
    for cell in found.cells:
        assert len(cell.vertices) == len(cell.inequalities)
        edges.update(frozenset(edge) for edge in pairwise((*cell.vertices, cell.vertices[0])))
    corners = {vertex for cell in found.cells for vertex in cell.vertices}
    assert len(corners) - len(edges) + len(found.cells) == 1
    assert len(found.facets) == len(edges)
    assert sum(facet.beyond is None for facet in found.facets) == sum(count == 1 for count in edges.values())
    assert set(edges.values()) <= {1, 2}
    for facet in found.facets:
        if facet.beyond is not None:
            one, two = found.cells[facet.cell], found.cells[facet.beyond]
            shared = set(one.vertices) & set(two.vertices)
            assert len(shared) == 2
            assert all(value(one, vertex) == value(two, vertex) for vertex in shared)


@given(layers(), st.booleans())
@settings(max_examples=100)
def test_regions_are_those_of_the_component_search(pairs, final_relu):
    """Which starts at a point and crosses walls by linear programs, one at a time."""
    network = sequential(*pairs, final_relu=final_relu)
    found = arrangement(network, logit=0)
    for cells in found.regions[:6]:
        first = found.cells[cells[0]]
        region = dtdsym.region(network, first.point)
        assert set(region.cells) == {found.cells[cell].pattern for cell in cells}
        assert (region.gradient,) == first.gradients
        edges = {frozenset(found.cells[i].pattern for i in edge) for edge in found.graph.subgraph(cells).edges}
        assert {frozenset(edge) for edge in region.graph.edges} == edges


@given(layers(), st.sampled_from([2.0**-30, 0.5, 2.0, 2.0**40]), st.sampled_from([2.0**-20, 4.0, 2.0**30]))
@settings(max_examples=60)
def test_scaled_layers_have_the_same_cells(pairs, one, two):
    """W_l by s_l, b_l by s_1 ... s_l."""
    scales = [one, two, 0.25][: len(pairs)]
    scaled, product = [], 1.0
    for (weight, bias), scale in zip(pairs, scales, strict=True):
        product *= scale
        scaled.append(([[w * scale for w in row] for row in weight], [b * product for b in bias]))
    found, other = (arrangement(sequential(*each), box=SQUARE) for each in (pairs, scaled))
    assert [cell.pattern for cell in found.cells] == [cell.pattern for cell in other.cells]
    assert [cell.vertices for cell in found.cells] == [cell.vertices for cell in other.cells]
    assert found.counts == other.counts


@given(layers(inputs=3, widths=(1, 2, 3)), st.booleans())
@settings(max_examples=40)
def test_without_vertices_the_arrangement_is_the_same(pairs, bounded):
    """Linear programs instead of double description: two engines that share nothing but the network."""
    network = sequential(*pairs)
    box = [(-2, 1), (-1, 2), (0, 3)] if bounded else None
    listed = arrangement(network, box=box)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_LISTED", 2)
        programs = arrangement(network, box=box)
    number = {cell.pattern: cell.number for cell in listed.cells}
    assert {number[cell.pattern] for cell in programs.cells} == set(range(len(listed.cells)))
    rename = [number[cell.pattern] for cell in programs.cells]
    assert {frozenset(edge) for edge in listed.graph.edges} == {
        frozenset(rename[cell] for cell in edge) for edge in programs.graph.edges
    }
    assert {frozenset(region) for region in listed.regions} == {
        frozenset(rename[cell] for cell in region) for region in programs.regions
    }
    assert programs.counts == {name: n for name, n in listed.counts.items() if name != "unbounded"}
    for cell in programs.cells:
        assert set(cell.inequalities) == set(listed.cells[number[cell.pattern]].inequalities)


@given(conv_networks(), st.data())
@settings(max_examples=40)
def test_planes_through_the_inputs_of_convolutional_networks(network, data):
    """Pools, branches, batch normalisation: the pieces are those of the network, and the areas fill the box."""
    size = network.sizes[0]
    entries = st.lists(st.integers(-3, 3), min_size=size, max_size=size)
    points = [data.draw(entries) for _ in range(3)]
    assume(rank(np.array([np.subtract(other, points[0]) for other in points[1:]], dtype=float)) == 2)
    try:
        found = arrangement(network, points=points, box=[(0, 1), (0, 1)], budget=dtdsym.Budget(cells=150))
    except BudgetSpent:
        reject()
    assert sum(area(cell.vertices) for cell in found.cells) == 1
    for cell in found.cells:
        assert network(found.chart.at(cell.point)) == tuple(
            value(cell, cell.point, i) for i in range(len(cell.constants))
        )
        for facet in found.facets:
            if facet.beyond is not None and facet.cell == cell.number:
                shared = set(cell.vertices) & set(found.cells[facet.beyond].vertices)
                assert len(shared) == 2
                assert all(value(cell, v) == value(found.cells[facet.beyond], v) for v in shared)
                assert cell.pattern != found.cells[facet.beyond].pattern


@given(layers(inputs=3), st.tuples(*[st.integers(-4, 4)] * 3), st.tuples(*[st.integers(-4, 4)] * 3))
@settings(max_examples=60)
def test_lines(pairs, start, end):
    network = sequential(*pairs)
    if start == end:
        with pytest.raises(InputError, match="flat of dimension"):
            arrangement(network, points=[start, end])
        return
    found = arrangement(network, points=[start, end], box=[(0, 1)])
    cells = sorted(found.cells, key=lambda cell: cell.point)
    ends = [t for cell in cells for (t,) in sorted(cell.vertices)]
    assert ends[0] == 0
    assert ends[-1] == 1
    assert all(here == there for here, there in zip(ends[1:-1:2], ends[2:-1:2], strict=True))
    for cell in cells:
        for t in (*cell.vertices, cell.point):
            assert network(found.chart.at(t)) == (value(cell, t),)


def lines_network(*forms):
    """One neuron a line of the plane, summed up."""
    return sequential(
        ([form[:2] for form in forms], [form[2] for form in forms]), ([[1] * len(forms)], [0]), final_relu=False
    )


GAP = 2.0**-60
KNOWN = {
    "in general position": ([(1, 0, 0), (0, 1, 0), (1, 1, -1), (1, -1, 3), (2, 1, 5)], 1 + 5 + comb(5, 2)),
    "parallel": ([(1, 2, 0), (1, 2, 1), (2, 4, 5), (-1, -2, 7)], 5),
    "through one point": ([(1, 0, 0), (0, 1, 0), (1, 1, 0), (1, -1, 0)], 8),
    "missing it by 2^-60": ([(1, 0, 0), (0, 1, 0), (1, 1, GAP)], 7),
    "2^-60 apart": ([(1, 1, 0), (1, 1, GAP)], 3),
    "the same twice, and opposite": ([(1, 1, 1), (2, 2, 2), (-1, -1, -1)], 2),
    "dead neurons": ([(0, 0, 0), (0, 0, 1), (0, 0, -1), (1, 0, 0)], 2),
}


@pytest.mark.parametrize("case", KNOWN.values(), ids=KNOWN)
def test_known_counts(case):
    forms, cells = case
    assert arrangement(lines_network(*forms)).counts["cells"] == cells
    assert arrangement(lines_network(*forms), box=[(-100, 100)] * 2).counts["cells"] == cells


def test_regions_join_cells_of_equal_gradient_through_facets_only():
    rows = {
        "equal gradient, other component: [1 - [x]]": (3, 3, 2),
        "same component, other pattern: [[x] - [-x] + 2]": (3, 2, 2),
        "same component, segment leaves it: [[x1] - [x1-x2]]": (5, 3, 3),
        "a ReLU of a ReLU: [[x]]": (2, 2, 2),
    }
    for name, expected in rows.items():
        counts = arrangement(SEPARATIONS[name].network).counts
        assert (counts["cells"], counts["regions"], counts["gradients"]) == expected


def test_one_output_or_all():
    """Two outputs [x1] and [x2]: four cells of both, two of each."""
    network = sequential(([[1, 0], [0, 1]], [0, 0]))
    assert arrangement(network).counts["regions"] == 4
    assert [arrangement(network, logit=k).counts["regions"] for k in (0, 1)] == [2, 2]


def test_unbounded_cells_have_exact_recession_directions():
    found = arrangement(lines_network((1, 0, 0), (0, 1, 0)))
    assert found.counts["unbounded"] == 4
    assert all(
        set(cell.rays) == {(s, 0), (0, t)}
        for cell in found.cells
        for s, t in [(sign(cell.point[0]), sign(cell.point[1]))]
    )
    strip = arrangement(lines_network((1, 0, 0), (1, 0, -1)))
    assert {(len(cell.rays), cell.lines) for cell in strip.cells} == {(1, ((0, 1),)), (0, ((0, 1),))}
    assert [cell.bounded for cell in strip.cells] == [False] * 3
    assert strip.graph.number_of_edges() == 2


def sign(number):
    return (number > 0) - (number < 0)


def test_facets_are_one_whichever_way_their_rays_were_moved_along_the_lines():
    strip = arrangement(lines_network((1, 1, 0), (1, 1, -1)))
    domains = [cell.domain for cell in strip.cells]
    expected = {frozenset((facet.cell, facet.beyond)) for facet in shared_facets(domains)}
    (line,) = domains[1].lines
    rays = tuple(tuple(3 * a - 2 * b for a, b in zip(ray, line, strict=True)) for ray in domains[1].rays)
    moved = [domains[0], replace(domains[1], lines=(tuple(-a for a in line),), rays=rays), domains[2]]
    assert {frozenset((facet.cell, facet.beyond)) for facet in shared_facets(moved)} == expected
    assert len(expected) == 2


def test_directions_that_only_some_cells_depend_on():
    """The second layer sees x2 only where x1 > 0: by continuity it does not depend on it at all."""
    network = sequential(([[1, 0, 0], [0, 1, 0]], [0, 0]), ([[1, -1], [1, 1]], [0, -1]), ([[1, 1]], [0]))
    found = arrangement(network)
    assert {cell.lines for cell in found.cells} == {((0, 0, 1),)}
    assert (
        found.counts["cells"]
        == arrangement(sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, -1], [1, 1]], [0, -1]), ([[1, 1]], [0]))).counts[
            "cells"
        ]
    )


def test_cell_at():
    found = arrangement(lines_network((1, 0, 0)), box=SQUARE)
    assert found.cell_at((1, Fraction(1, 3))).pattern == (1,)
    assert found.cell_at((0, 1)) is None
    assert found.cell_at((4, 1)) is None


BAD = {
    "too few sides": ({"box": [(0, 1)]}, "the box has 1 side; give 2"),
    "empty side": ({"box": [(0, 1), (1, 1)]}, "side 2 of the box is the single point 1"),
    "not finite": ({"box": [(0, 1), (0, float("inf"))]}, "side 2 of the box"),
    "one point": ({"points": [(0, 0)]}, "one point spans no line"),
    "points on a line": ({"points": [(0, 0), (1, 1), (2, 2)]}, "flat of dimension below 2"),
    "no such output": ({"logit": 3}, "logit 3 does not exist"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad_arguments_are_refused_in_one_line(case):
    arguments, message = case
    with pytest.raises(dtdsym.DtdsymError, match=message) as caught:
        arrangement(lines_network((1, 0, 0)), **arguments)
    assert "\n" not in str(caught.value)


def test_the_budget_is_kept():
    with pytest.raises(BudgetSpent, match="3 cells"):
        arrangement(lines_network((1, 0, 0), (0, 1, 0)), budget=dtdsym.Budget(cells=3))


def test_high_dimensions_have_inequalities_and_no_vertices():
    found = arrangement(sequential(([[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0]], [0, 1])), box=[(-1, 1)] * 6)
    assert found.counts == {"cells": 2, "regions": 2, "gradients": 2, "on_box": 2}
    assert all(cell.point in cell for cell in found.cells)
    with pytest.raises(InputError, match="inequalities and its point"):
        found.cells[0].vertices  # noqa: B018


def test_hinges_hold_no_region():
    with pytest.raises(OnHinge):
        dtdsym.region(lines_network((1, 0, 0)), (0, 0))
