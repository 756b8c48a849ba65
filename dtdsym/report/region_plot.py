"""Pictures of an arrangement: exact polygons, one tint a linear region, gradients, an input and its root points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from dtdsym.arithmetic.written import counted
from dtdsym.errors import InputError
from dtdsym.geometry.arrangement import Arrangement, OpenCell
from dtdsym.report.region_marks import HATCH, INKS, SHADE, Roots, draw_home, draw_input, edges_of, home_of, polygon

TINTS = ("#f6f3eb", "#fae0b0", "#c3def0", "#e3c6da", "#b0d8b5", "#eeaf98", "#a3b8d6", "#a8a296")
"""Told apart by the colour-blind; their lightness differs too, so that grey prints show them."""
ROOM, LONGEST = 0.012, 0.035  # of the picture's side: the least radius with an arrow, half of the longest one
MOST_VECTORS = 20_000  # polygons that stay vectors; above, a page would not open


def region_plot(
    found: Arrangement,
    path: str,
    *,
    arrows: bool = True,
    x: Sequence[Any] | None = None,
    roots: Roots = (),
    title: str = "",
) -> None:
    """Write the picture to .svg, .pdf or .png. x (k,): an input whose region is marked. Raises InputError."""
    with _drawn(found, title or describe(found), arrows=arrows, x=x, roots=roots) as figure:
        save(figure, path)


def region_svg(found: Arrangement, *, x: Sequence[Any] | None = None) -> str:
    """The picture as an <svg> element, to stand in a page; its text alternative is its title. Raises InputError."""
    title, made = describe(found), StringIO()
    with _drawn(found, title, x=x) as figure:
        figure.savefig(made, format="svg", metadata={"Date": None})
    _, start, rest = made.getvalue().partition("<svg ")
    alternative = escape(title + (", the input and its linear region marked" if x is not None else ""))
    return f'{start}role="img" aria-label="{alternative}" style="max-width: 100%; height: auto" {rest}'


@contextmanager
def _drawn(found: Arrangement, title: str, **asked: Any) -> Iterator[Any]:
    """The figure, as long as it is to be written; pyplot, whose backend may be a notebook's, is left alone."""
    matplotlib = _matplotlib()
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "dtdsym", "svg.fonttype": "path"}):
        figure = Figure(figsize=_size(found), dpi=150, layout="constrained")
        axes = figure.subplots()
        draw_regions(axes, found, **asked)
        axes.set_title(title, fontsize=9)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=7, frameon=False, handletextpad=0.6)
        yield figure


def save(figure: Any, path: str) -> None:
    """Write a figure so that the same figure is the same bytes. Raises InputError."""
    suffix = Path(path).suffix.lower()
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    try:
        figure.savefig(path, dpi="figure", metadata=dates.get(suffix))
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or str(err).splitlines()[0]
        raise InputError(f"{path}: cannot be written as a picture ({reason}); give a .svg, .pdf or .png") from err


def plotting() -> Any:
    """matplotlib's pyplot, without a display. Raises InputError where it is not installed."""
    _matplotlib().use("Agg")
    from matplotlib import pyplot

    return pyplot


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as err:
        raise InputError("pictures need matplotlib: pip install 'dtdsym[plots]'") from err
    return matplotlib


def draw_regions(
    axes: Any,
    found: Arrangement,
    *,
    arrows: bool = True,
    x: Sequence[Any] | None = None,
    roots: Roots = (),
    colours: Sequence[str] | None = None,
) -> None:
    """Draw a bounded arrangement of one or two dimensions. colours: one for each region, else `region_colours`.

    Raises InputError for any other arrangement, and for an x (k,) that lies in no cell."""
    if found.box is None or found.chart.dimension > 2:
        raise InputError("only bounded arrangements of one or two dimensions are drawn: give --box, --plane or --line")
    home = None if x is None else home_of(found, x)
    colours = colours or region_colours(found)
    tints = [colours[region] for region in found.region_of]
    if found.chart.dimension == 1:
        _draw_line(axes, found, tints, home or set())
    else:
        _draw_plane(axes, found, tints, home or set())
        if arrows and len(found.cells[0].gradients) == 1:
            _draw_gradients(axes, found)
    if x is not None:
        draw_input(axes, found, x, roots)


def _draw_plane(axes: Any, found: Arrangement, tints: list[str], home: set[int]) -> None:
    """Two dimensions: all cells, and the axes around them."""
    _draw_cells(axes, found, tints)
    if home:
        draw_home(axes, found, home)
    assert found.box is not None, "draw_regions has refused it"
    (left, right), (low, high) = ([float(bound) for bound in side] for side in found.box)
    axes.set(xlim=(left, right), ylim=(low, high))
    if 1 / 4 < (right - left) / (high - low) < 4:
        axes.set_aspect("equal")
    name = "x" if found.chart.whole else "t"
    axes.set_xlabel(f"${name}_1$", fontsize=8)
    axes.set_ylabel(f"${name}_2$", fontsize=8)
    axes.tick_params(labelsize=7)


def region_colours(found: Arrangement) -> list[str]:
    """A tint for each region, another one than its neighbours have while there are enough; all are used evenly."""
    beside: list[set[int]] = [set() for _ in found.regions]
    for i, j in found.graph.edges:
        one, other = found.region_of[i], found.region_of[j]
        if one != other:
            beside[one].add(other)
            beside[other].add(one)
    chosen: dict[int, int] = {}
    used = [0] * len(TINTS)
    for region in sorted(range(len(beside)), key=lambda number: (-len(beside[number]), number)):
        taken = {chosen[other] for other in beside[region] if other in chosen}
        tint = min(range(len(TINTS)), key=lambda number: (number in taken, used[number]))
        chosen[region] = tint
        used[tint] += 1
    return [TINTS[chosen[region]] for region in range(len(beside))]


def _size(found: Arrangement) -> tuple[float, float]:
    """Inches of the figure: its longer side is 5.2, and the legend stands to its right."""
    if found.box is None or found.chart.dimension != 2:
        return (7.9, 3.6)
    width, height = (float(high - low) for low, high in found.box)
    ratio = min(max(height / width, 0.4), 2.0)
    return (5.2 / max(ratio, 1.0) + 2.4, 5.2 * min(ratio, 1.0) + 0.5)


def describe(found: Arrangement) -> str:
    """Its counts in a few words."""
    counts = found.counts
    several = found.logit is not None and found.network.sizes[-1] > 1
    outputs = f" of output {found.logit}" if several else ""
    return f"{counted(counts['cells'], 'open cell')}, {counted(counts['regions'], 'linear region')}{outputs}"


def _draw_cells(axes: Any, found: Arrangement, tints: list[str]) -> None:
    """Cells in the tints of their regions; hinges inside a region as hairlines, borders of regions stronger."""
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Strokes

    coarse = len(found.cells) > MOST_VECTORS
    polygons = [polygon(cell) for cell in found.cells]
    axes.add_collection(
        PolyCollection(polygons, facecolors=tints, edgecolors=tints, linewidths=0.3, rasterized=coarse, zorder=1)
    )
    inner: list[Any] = []
    outer: list[Any] = []
    for facet, ends in edges_of(found):
        if facet.beyond is not None:
            same = found.region_of[facet.cell] == found.region_of[facet.beyond]
            (inner if same else outer).extend(ends)
    thin = min(1.0, 12 / math.sqrt(len(found.cells)))
    for ends, ink, width, name in (
        (outer, "#3c3c3c", 0.7, "border of a linear region"),
        (inner, "#8a8a8a", 0.4, "hinge inside a linear region"),
    ):
        if ends:  # one path for all: a third of the bytes that a path for each edge takes
            strokes = Strokes(ends, [Strokes.MOVETO, Strokes.LINETO] * (len(ends) // 2))
            style = {"linewidth": width * thin, "capstyle": "round", "rasterized": coarse, "zorder": 2}
            axes.add_patch(PathPatch(strokes, fill=False, edgecolor=ink, **style))
            axes.plot([], [], color=ink, linewidth=width, label=name)


def _draw_gradients(axes: Any, found: Arrangement) -> None:
    """An arrow along the gradient in every region with room for one, longer where it is larger; a dot for 0."""
    side = max(float(high - low) for low, high in found.box or ())
    places, radii, slopes = [], [], []
    for region in found.regions:
        middle, radius = max((_middle(polygon(found.cells[number])) for number in region), key=lambda pair: pair[1])
        if radius > ROOM * side:
            places.append(middle)
            radii.append(radius)
            slopes.append([float(entry) for entry in found.cells[region[0]].gradients[0]])
    if not places:
        return
    points, gradients = np.array(places), np.array(slopes)
    norms = np.hypot(*gradients.T)
    flat = norms == 0
    if flat.any():
        axes.scatter(*points[flat].T, s=3, color="#3c3c3c", zorder=3, label="gradient 0")
    if flat.all():
        return
    longest = np.minimum(LONGEST * side, 0.8 * np.array(radii))[~flat]
    length = longest * (0.45 + 0.55 * norms[~flat] / max(norms.max(), np.finfo(float).tiny))
    arrows = gradients[~flat] / norms[~flat, None] * 2 * length[:, None]
    axes.quiver(
        *points[~flat].T, *arrows.T, angles="xy", scale_units="xy", scale=1, pivot="mid", color="#3c3c3c",
        width=0.0026, headwidth=4.5, headlength=5, headaxislength=4.2, zorder=3,
    )  # fmt: skip
    axes.plot([], [], color="#3c3c3c", linewidth=0, marker=r"$\rightarrow$", markersize=9, label="gradient")


def _middle(points: np.ndarray) -> tuple[np.ndarray, float]:
    """The centroid of a convex polygon (n, 2), and its distance from the nearest edge."""
    ahead = np.roll(points, -1, axis=0)
    cross = points[:, 0] * ahead[:, 1] - points[:, 1] * ahead[:, 0]
    if cross.sum() <= 0:  # thinner than floats tell
        return points.mean(axis=0), 0.0
    middle = ((points + ahead) * cross[:, None]).sum(axis=0) / (3 * cross.sum())
    edges = ahead - points
    lengths = np.hypot(*edges.T)
    heights = (edges[:, 0] * (middle - points)[:, 1] - edges[:, 1] * (middle - points)[:, 0])[lengths > 0]
    return middle, float((heights / lengths[lengths > 0]).min())


def _draw_line(axes: Any, found: Arrangement, tints: list[str], home: set[int]) -> None:
    """One dimension: the outputs as functions of t, over bands in the tints of the regions."""
    cells = sorted(found.cells, key=lambda cell: cell.point)
    borders = [min(cells[0].vertices), *(max(cell.vertices) for cell in cells)]
    t = [float(border[0]) for border in borders]
    for cell, start, end in zip(cells, t[:-1], t[1:], strict=True):
        axes.axvspan(start, end, color=tints[cell.number], linewidth=0)
        axes.axvline(start, color="#8a8a8a", linewidth=0.4)
    bands = [(start, end) for cell, start, end in zip(cells, t[:-1], t[1:], strict=True) if cell.number in home]
    if bands:  # the cells of a region on a line follow each other
        style = {"facecolor": "none", "edgecolor": SHADE, "hatch": HATCH}
        axes.axvspan(bands[0][0], bands[-1][1], label="linear region of the input", **style)
    inks = INKS if len(cells[0].gradients) > 1 else ("black",)
    few = len(cells[0].gradients) <= len(INKS)
    for output in range(len(cells[0].gradients)):
        pieces = zip([cells[0], *cells], borders, strict=True)
        heights = [float(cell.gradients[output][0] * at[0] + cell.constants[output]) for cell, at in pieces]
        number = output if found.logit is None else found.logit
        axes.plot(t, heights, color=inks[output % len(inks)], label=f"output {number}" if few else None)
    if len(cells[0].gradients) == 1 and not found.chart.whole:
        _draw_expansion(axes, cells[0], t[0], t[-1])
    axes.set_xlim(t[0], t[-1])
    axes.set_xlabel("$x$" if found.chart.whole else "$t$: from the first input (0) to the second (1)", fontsize=8)
    axes.tick_params(labelsize=7)


def _draw_expansion(axes: Any, first: OpenCell, start: float, end: float) -> None:
    """The Taylor expansion at the start of a line: what the output leaves between them is the residual."""
    low, high = axes.get_ylim()
    slope, constant = float(first.gradients[0][0]), float(first.constants[0])
    heights = [constant + slope * t for t in (start, end)]
    axes.plot(
        (start, end), heights, color=INKS[0], linewidth=0.9, linestyle="--", label="Taylor expansion at the start"
    )
    axes.set_ylim(low, high)
