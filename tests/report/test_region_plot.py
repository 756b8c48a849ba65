"""What is drawn is what was found: polygons, tints, arrows, the input's region, and roots in their places."""

import math
import sys
from fractions import Fraction
from pathlib import Path

import figure1
import numpy as np
import pytest

from dtdsym.errors import InputError
from dtdsym.geometry.arrangement import arrangement
from dtdsym.network.network import sequential
from dtdsym.report.region_marks import MARKERS, place_class, polygon
from dtdsym.report.region_plot import TINTS, describe, draw_regions, plotting, region_colours, region_plot

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


def test_every_inner_edge_is_drawn_once(axes):
    found = arrangement(sequential(*LAYERS), box=SQUARE, logit=0)
    draw_regions(axes, found)
    outer, inner = (patch.get_path().vertices.reshape(-1, 2, 2) for patch in axes.patches)
    joined = [found.region_of[facet.cell] == found.region_of[facet.beyond] for facet in found.facets
              if facet.beyond is not None]  # fmt: skip
    assert (len(outer), len(inner)) == (joined.count(False), joined.count(True))
    corners = {tuple(float(t) for t in vertex) for cell in found.cells for vertex in cell.vertices}
    drawn = [tuple(sorted(map(tuple, edge.tolist()))) for edge in (*outer, *inner)]
    assert len(set(drawn)) == len(drawn)
    assert {end for edge in drawn for end in edge} <= corners


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
             ("w2", "boundary", (Fraction(5), Fraction(3)))]  # fmt: skip
    draw_regions(axes, found, x=x, roots=roots)
    _, hatched = collections(axes, "PolyCollection")
    home = found.regions[found.region_of[found.cell_at(x).number]]
    assert hatched.get_hatch()
    assert len(hatched.get_paths()) == len(home)
    labels = axes.get_legend_handles_labels()[1]
    for expected in ("linear region of the input", "input", "roots of zplus", "roots of w2", "root: inside",
                     "root: outside", "root beyond the picture"):  # fmt: skip
        assert labels.count(expected) == 1
    offsets = [tuple(place) for part in collections(axes, "PathCollection") for place in part.get_offsets().tolist()]
    assert (0.9, 2.0) in offsets
    assert (-1.0, 0.0) in offsets
    assert (2.0, 2.25) in offsets  # on the way to (5, 3), where it leaves the picture
    assert (5.0, 3.0) not in offsets
    drawn = collections(axes, "PathCollection")
    (dart,) = (part for part in drawn if part.get_offsets().tolist() == [[2.0, 2.25]])
    tip = dart.get_paths()[0].vertices[0]
    assert math.atan2(tip[1], tip[0]) == pytest.approx(math.atan2(1, 4))


def test_what_has_no_root_is_not_drawn_and_equal_roots_are_drawn_once(found, axes):
    same = ("zplus", "same_cell", (Fraction(9, 10), Fraction(2)))
    draw_regions(axes, found, x=(1, 2), roots=[same, same, ("w2", "no_root", (0, 0))])
    spots = [part.get_offsets().tolist() for part in collections(axes, "PathCollection")]
    assert spots.count([[0.9, 2.0]]) == 1
    assert "roots of w2" not in axes.get_legend_handles_labels()[1]


def test_the_legend_says_what_lines_and_arrows_mean(axes):
    draw_regions(axes, arrangement(sequential(*LAYERS), box=SQUARE, logit=0))
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["border of a linear region", "hinge inside a linear region", "gradient 0", "gradient"]


def test_without_arrows(found, axes):
    draw_regions(axes, found, arrows=False)
    assert not collections(axes, "Quiver")
    assert "gradient" not in axes.get_legend_handles_labels()[1]


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


def test_on_a_line_the_input_its_region_and_the_roots_are_marked_too(axes):
    line = arrangement(sequential(([[1], [-1]], [0, 0]), ([[1, 2]], [0])), box=[(-1, 2)], logit=0)
    roots = [("zplus", "same_cell", (Fraction(1, 2),)), ("w2", "outside", (Fraction(-3),))]
    draw_regions(axes, line, x=(1,), roots=roots)
    (band,) = (patch for patch in axes.patches if patch.get_hatch())
    assert band.get_extents().transformed(axes.transData.inverted()).intervalx.tolist() == pytest.approx([0, 2])
    spots = [place[0] for part in collections(axes, "PathCollection") for place in part.get_offsets().tolist()]
    assert spots == [0.5, -1.0]
    labels = axes.get_legend_handles_labels()[1]
    assert len(labels) == len(set(labels))
    assert {"input", "linear region of the input", "output 0", "root beyond the picture"} <= set(labels)


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


def test_without_matplotlib_one_line_says_what_to_install(found, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pictures need matplotlib: pip install 'dtdsym\[plots\]'"):
        region_plot(found, str(tmp_path / "a.png"))


@pytest.mark.parametrize("non_positive", [True, False])
def test_figure_1_shows_roots_in_every_place(non_positive):
    network = figure1.network(non_positive=non_positive)
    places = {place_class(place) for rule, place, _ in figure1.root_points(network) if rule != "LRP-0"}
    assert places == {"inside", "outside", "the input itself"}
    assert network(figure1.FLAT)[0] == 0
    assert not any(arrangement(network, box=figure1.BOX, logit=0).cell_at(figure1.FLAT).gradients[0])


def test_the_shipped_figures_are_small():
    for suffix in (".svg", ".png"):
        assert Path(figure1.__file__).with_suffix(suffix).stat().st_size < 300_000


def test_the_title_counts(found):
    assert describe(found) == f"{len(found.cells)} open cells, {len(found.regions)} linear regions"


def test_a_line_between_inputs_shows_the_expansion_at_its_start(axes):
    """f = [x] + [x - 1] along the segment from 1/2 to 2 has slope 1 there, and twice that beyond 1."""
    network = sequential(([[1], [1]], [0, -1]), ([[1, 1]], [0]), final_relu=False)
    draw_regions(axes, arrangement(network, points=[(0.5,), (2,)], box=[(0, 1)], logit=0))
    (dashed,) = [curve for curve in axes.get_lines() if curve.get_linestyle() == "--"]
    assert list(dashed.get_xdata()) == [0.0, 1.0]
    assert list(dashed.get_ydata()) == [0.5, 2.0]
    assert "Taylor expansion at the start" in axes.get_legend_handles_labels()[1]
