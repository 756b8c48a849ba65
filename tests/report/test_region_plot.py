"""What is drawn is what was found: polygons, tints, arrows, the input's region, and roots in their places."""

from fractions import Fraction

import numpy as np
import pytest

from dtdsym.errors import InputError
from dtdsym.geometry.arrangement import arrangement
from dtdsym.network.network import sequential
from dtdsym.report.region_plot import (
    MARKERS,
    TINTS,
    describe,
    draw_regions,
    place_class,
    plotting,
    polygon,
    region_colours,
    region_plot,
)

LAYERS = (([[1, 0], [1, -1], [-0.5, 1]], [0, 0, 0.25]), ([[1, -1, 1], [0.5, 1, -1]], [0, 0.5]), ([[1, -1]], [0]))
SQUARE = [(-2, 2), (-1, 3)]


@pytest.fixture
def found():
    return arrangement(sequential(*LAYERS, final_relu=False), box=SQUARE, logit=0)


@pytest.fixture
def axes():
    pyplot = plotting()
    figure, axes = pyplot.subplots()
    yield axes
    pyplot.close(figure)


def collections(axes, kind):
    return [part for part in axes.collections if type(part).__name__ == kind]


def test_every_cell_is_its_polygon_in_the_tint_of_its_region(found, axes):
    draw_regions(axes, found)
    (drawn,) = collections(axes, "PolyCollection")
    assert len(drawn.get_paths()) == len(found.cells)
    tints = drawn.get_facecolors()
    for cell, path in zip(found.cells, drawn.get_paths(), strict=True):
        assert np.array_equal(path.vertices[:-1], polygon(cell))
        same = [other for other in found.cells if found.region_of[other.number] == found.region_of[cell.number]]
        assert all(np.array_equal(tints[other.number], tints[cell.number]) for other in same)
    for i, j in found.graph.edges:
        if found.region_of[i] != found.region_of[j]:
            assert not np.array_equal(tints[i], tints[j])


def test_tints_are_used_evenly_and_can_be_told_apart_in_grey(found):
    assert len(set(region_colours(found))) == min(len(TINTS), len(found.regions))
    grey = [0.299 * int(t[1:3], 16) + 0.587 * int(t[3:5], 16) + 0.114 * int(t[5:7], 16) for t in TINTS]
    assert min(abs(a - b) for i, a in enumerate(grey) for b in grey[:i]) >= 5


def test_every_inner_edge_is_drawn_once(found, axes):
    draw_regions(axes, found)
    inner, outer = collections(axes, "LineCollection")
    edges = [facet for facet in found.facets if facet.beyond is not None]
    assert len(inner.get_segments()) + len(outer.get_segments()) == len(edges)
    joined = sum(found.region_of[facet.cell] == found.region_of[facet.beyond] for facet in edges)
    assert len(inner.get_segments()) == joined


def test_arrows_lie_in_their_regions_along_the_gradient(found, axes):
    draw_regions(axes, found)
    (arrows,) = collections(axes, "Quiver")
    assert len(arrows.XY) > 3
    for place, u, v in zip(arrows.XY, arrows.U, arrows.V, strict=True):
        cell = found.cell_at([Fraction(float(t)) for t in place])
        gradient = [float(entry) for entry in cell.gradients[0]]
        assert u * gradient[1] - v * gradient[0] == pytest.approx(0, abs=1e-12)
        assert u * gradient[0] + v * gradient[1] > 0
        ends = [place + np.array([u, v]) / 2 * sign for sign in (1, -1)]
        assert all([Fraction(float(t)) for t in end] in cell for end in ends)


def test_a_region_without_slope_gets_a_dot(axes):
    flat = arrangement(sequential(([[1, 0]], [0])), box=[(-1, 1), (-1, 1)], logit=0)
    draw_regions(axes, flat)
    (dots,) = collections(axes, "PathCollection")
    assert dots.get_offsets().tolist() == [[-0.5, 0.0]]


def test_the_input_has_its_region_hatched_and_roots_their_markers(found, axes):
    x = (Fraction(1), Fraction(2))
    roots = [("zplus", "same_cell", (Fraction(9, 10), Fraction(2))), ("w2", "outside", (Fraction(-1), Fraction(0))),
             ("w2", "boundary", (Fraction(5), Fraction(6)))]  # fmt: skip
    draw_regions(axes, found, x=x, roots=roots)
    _, hatched = collections(axes, "PolyCollection")
    home = found.regions[found.region_of[found.cell_at(x).number]]
    assert hatched.get_hatch()
    assert len(hatched.get_paths()) == len(home)
    labels = axes.get_legend_handles_labels()[1]
    for expected in ("linear region of the input", "input", "roots of zplus", "roots of w2", "root: inside",
                     "root: outside", "beyond the picture"):  # fmt: skip
        assert labels.count(expected) == 1
    offsets = [tuple(place) for part in collections(axes, "PathCollection") for place in part.get_offsets().tolist()]
    assert (0.9, 2.0) in offsets
    assert (-1.0, 0.0) in offsets
    assert (2.0, 3.0) in offsets  # on the way to (5, 6), where it leaves the picture
    assert (5.0, 6.0) not in offsets


def test_every_place_has_a_marker():
    places = ("degenerate", "same_cell", "same_region_segment", "same_region", "boundary", "same_gradient_elsewhere",
              "outside", "undecided")  # fmt: skip
    assert [place_class(place) for place in places] == [
        "the input itself", "inside", "inside", "inside", "boundary", "outside", "outside", "undecided"]  # fmt: skip
    assert set(map(place_class, places)) == set(MARKERS)


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_same_picture_is_the_same_bytes(found, tmp_path, suffix):
    first, second = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    for path in (first, second):
        region_plot(found, str(path), x=(1, 2))
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 5000


def test_one_dimension_is_the_function_itself(axes):
    network = sequential(([[1], [-1]], [0, 0]), ([[1, 2], [1, -1]], [0, 1]), final_relu=False)
    line = arrangement(network, box=[(-1, 2)])
    draw_regions(axes, line)
    curves = [curve for curve in axes.get_lines() if len(curve.get_xdata()) == 3]
    assert [curve.get_ydata().tolist() for curve in curves] == [[2.0, 0.0, 2.0], [0.0, 1.0, 3.0]]
    assert curves[0].get_xdata().tolist() == [-1.0, 0.0, 2.0]


def test_refusals(found, tmp_path):
    network = sequential(*LAYERS)
    with pytest.raises(InputError, match="only bounded arrangements of one or two dimensions"):
        region_plot(arrangement(network), str(tmp_path / "a.png"))
    with pytest.raises(InputError, match="lies on a hinge, or outside the box"):
        region_plot(found, str(tmp_path / "a.png"), x=(0, 0))
    for path in ("a.bmpx", "no/such/folder/a.png"):
        with pytest.raises(InputError, match=r"cannot be written as a picture .*; give a \.svg") as caught:
            region_plot(found, str(tmp_path / path))
        assert "\n" not in str(caught.value)


def test_the_title_counts(found):
    assert describe(found) == f"{len(found.cells)} open cells, {len(found.regions)} linear regions"
