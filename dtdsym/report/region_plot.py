"""Pictures of an arrangement: exact polygons, one tint a linear region, gradients, an input and its root points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtdsym.errors import InputError
from dtdsym.geometry.arrangement import Arrangement, OpenCell
from dtdsym.geometry.placement import INSIDE
from dtdsym.report.labels import over_lines

Roots = Sequence[tuple[str, str, Sequence[Any]]]
"""(rule, place, point) of every root that is drawn."""

TINTS = ("#f6f3eb", "#fae0b0", "#c3def0", "#e3c6da", "#b0d8b5", "#eeaf98", "#a3b8d6", "#a8a296")
"""Told apart by the colour-blind; their lightness differs too, so that grey prints show them."""
INKS = ("#0072b2", "#d55e00", "#117733", "#882255", "#999933", "#000000")
MARKERS = {"inside": "o", "boundary": "s", "outside": "X", "the input itself": "*", "undecided": "P"}
ROOM, LONGEST = 0.012, 0.035  # of the picture's side: the least radius with an arrow, half of the longest one
MOST_VECTORS = 20_000  # polygons that stay vectors; above, a page would not open


def region_plot(
    found: Arrangement, path: str, *, x: Sequence[Any] | None = None, roots: Roots = (), title: str = ""
) -> None:
    """Write the picture to .svg, .pdf or .png. x (k,): an input whose region is marked. Raises InputError."""
    pyplot = plotting()
    with pyplot.rc_context({"svg.hashsalt": "dtdsym", "svg.fonttype": "path"}):
        figure, axes = pyplot.subplots(figsize=_size(found), layout="constrained")
        draw_regions(axes, found, x=x, roots=roots)
        axes.set_title(title or describe(found), fontsize=9)
        if x is not None:
            figure.legend(loc="outside right upper", fontsize=7, frameon=False, handletextpad=0.6)
        try:
            save(figure, path)
        finally:
            pyplot.close(figure)


def save(figure: Any, path: str) -> None:
    """Write a figure so that the same figure is the same bytes. Raises InputError."""
    suffix = Path(path).suffix.lower()
    dates = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    try:
        figure.savefig(path, dpi=150, metadata=dates.get(suffix))
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or str(err).splitlines()[0]
        raise InputError(f"{path}: cannot be written as a picture ({reason}); give a .svg, .pdf or .png") from err


def plotting() -> Any:
    """matplotlib's pyplot, without a display."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw_regions(axes: Any, found: Arrangement, *, x: Sequence[Any] | None = None, roots: Roots = ()) -> None:
    """Draw a bounded arrangement of one or two dimensions. Raises InputError for any other."""
    if found.box is None or found.chart.dimension > 2:
        raise InputError("only bounded arrangements of one or two dimensions are drawn: give --box, --plane or --line")
    colours = region_colours(found)
    if found.chart.dimension == 1:
        _draw_line(axes, found, colours)
        return
    _draw_cells(axes, found, colours)
    if len(found.cells[0].gradients) == 1:
        _draw_gradients(axes, found)
    if x is not None:
        _draw_input(axes, found, x, roots)
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


def polygon(cell: OpenCell) -> np.ndarray:
    """Its vertices (n, 2), rounded to floats, counter-clockwise."""
    return np.array([[float(t) for t in vertex] for vertex in cell.vertices])


def _size(found: Arrangement) -> tuple[float, float]:
    if found.box is None or found.chart.dimension == 1:
        return (6.4, 3.6)
    width, height = (float(high - low) for low, high in found.box)
    ratio = min(max(height / width, 0.5), 2.0)
    return (5.2 / max(ratio, 1.0) + 1.4, 5.2 * min(ratio, 1.0) + 0.3)


def describe(found: Arrangement) -> str:
    """Its counts in a few words."""
    counts = found.counts
    several = found.logit is not None and found.network.sizes[-1] > 1
    outputs = f" of output {found.logit}" if several else ""
    return f"{counts['cells']:,} open cells, {counts['regions']:,} linear regions{outputs}"


def _draw_cells(axes: Any, found: Arrangement, colours: list[str]) -> None:
    """Cells in the tints of their regions; hinges inside a region as hairlines, borders of regions stronger."""
    from matplotlib.collections import LineCollection, PolyCollection

    coarse = len(found.cells) > MOST_VECTORS
    polygons = [polygon(cell) for cell in found.cells]
    tints = [colours[region] for region in found.region_of]
    axes.add_collection(
        PolyCollection(polygons, facecolors=tints, edgecolors=tints, linewidths=0.3, rasterized=coarse, zorder=1)
    )
    inner: list[Any] = []
    outer: list[Any] = []
    for facet, ends in _edges(found):
        if facet.beyond is not None:
            same = found.region_of[facet.cell] == found.region_of[facet.beyond]
            (inner if same else outer).append(ends)
    thin = min(1.0, 12 / math.sqrt(len(found.cells)))
    for edges, ink, width in ((inner, "#8a8a8a", 0.4), (outer, "#3c3c3c", 0.7)):
        lines = LineCollection(
            edges, colors=ink, linewidths=width * thin, rasterized=coarse, zorder=2, capstyle="round"
        )
        axes.add_collection(lines)


def _edges(found: Arrangement) -> list[tuple[Any, list[tuple[float, ...]]]]:
    """Every facet with its two ends."""
    edges = []
    for facet in found.facets:
        polyhedron = found.cells[facet.cell].polyhedron
        on = next(rays for wall, rays in polyhedron.facets if wall == facet.wall)
        ends = [polyhedron.rays[ray] for ray in on]
        edges.append((facet, [tuple(int(entry) / int(ray[-1]) for entry in ray[:-1]) for ray in ends]))
    return edges


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
    axes.scatter(*points[flat].T, s=3, color="#3c3c3c", zorder=3)
    longest = np.minimum(LONGEST * side, 0.8 * np.array(radii))[~flat]
    length = longest * (0.45 + 0.55 * norms[~flat] / max(norms.max(), np.finfo(float).tiny))
    arrows = gradients[~flat] / norms[~flat, None] * 2 * length[:, None]
    axes.quiver(
        *points[~flat].T, *arrows.T, angles="xy", scale_units="xy", scale=1, pivot="mid", color="#3c3c3c",
        width=0.0026, headwidth=4.5, headlength=5, headaxislength=4.2, zorder=3,
    )  # fmt: skip


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


def _draw_input(axes: Any, found: Arrangement, x: Sequence[Any], roots: Roots) -> None:
    """The input, its linear region, and where roots lie; those outside the picture as arrows at its edge."""
    _draw_home(axes, found, x)
    here = tuple(float(entry) for entry in x)
    beyond = False
    inks = {rule: INKS[number % len(INKS)] for number, rule in enumerate(dict.fromkeys(rule for rule, _, _ in roots))}
    for rule, place, root in roots:
        point = tuple(float(entry) for entry in root)
        shown, angle = _within(here, point, found)
        beyond |= angle is not None
        axes.plot(*zip(here, shown, strict=True), color=inks[rule], linewidth=0.6, alpha=0.55, zorder=4)
        marker: Any = MARKERS[place_class(place)] if angle is None else (3, 0, angle)
        size = 42 if marker == "*" else 24
        axes.scatter(
            *shown, s=size, marker=marker, color=inks[rule], edgecolor="white", linewidth=0.5, zorder=6, clip_on=False
        )
    axes.scatter(*here, s=60, marker="+", color="black", linewidth=1.4, zorder=7, label="input")
    for rule, ink in inks.items():
        axes.plot([], [], color=ink, linewidth=3, label=f"roots of {over_lines(rule)}")
    for name in dict.fromkeys(place_class(place) for _, place, _ in roots):
        axes.scatter([], [], marker=MARKERS[name], color="#3c3c3c", s=24, label=f"root: {name}")
    if beyond:
        axes.scatter([], [], marker=(3, 0, -90), color="#3c3c3c", s=24, label="beyond the picture")


def place_class(place: str) -> str:
    """How a root is marked: inside, boundary, outside (also in a region elsewhere), the input itself, undecided."""
    if place in INSIDE:
        return "inside"
    return {"degenerate": "the input itself", "same_gradient_elsewhere": "outside"}.get(place, place)


def _draw_home(axes: Any, found: Arrangement, x: Sequence[Any]) -> None:
    """The linear region of the input: hatched, with a strong border."""
    from matplotlib.collections import LineCollection, PolyCollection

    cell = found.cell_at(x)
    if cell is None:
        raise InputError("the input lies on a hinge, or outside the box: it has no linear region to show there")
    home = set(found.regions[found.region_of[cell.number]])
    polygons = [polygon(found.cells[number]) for number in home]
    hatched = PolyCollection(
        polygons, facecolors="none", edgecolors="#00000055", linewidths=0, hatch="////", zorder=2.5
    )
    axes.add_collection(hatched)
    border = [ends for facet, ends in _edges(found) if (facet.cell in home) != (facet.beyond in home)]
    lines = LineCollection(border, colors="black", linewidths=1.6, capstyle="round", zorder=3.5)
    lines.set_label("linear region of the input")
    axes.add_collection(lines)


def _within(
    here: tuple[float, ...], point: tuple[float, ...], found: Arrangement
) -> tuple[tuple[float, ...], float | None]:
    """Where a root is drawn; if it lies beyond the picture, on the edge with the angle of the way to it."""
    share = 1.0
    for start, end, (low, high) in zip(here, point, found.box or (), strict=True):
        for bound in (float(low), float(high)):
            if (end - bound) * (start - bound) < 0:
                share = min(share, (bound - start) / (end - start))
    if share == 1.0:
        return point, None
    way = [end - start for start, end in zip(here, point, strict=True)]
    edge = tuple(start + share * step for start, step in zip(here, way, strict=True))
    return edge, math.degrees(math.atan2(way[1], way[0])) - 90


def _draw_line(axes: Any, found: Arrangement, colours: list[str]) -> None:
    """One dimension: the outputs as functions of t, over bands in the tints of the regions."""
    cells = sorted(found.cells, key=lambda cell: cell.point)
    borders = [min(cells[0].vertices), *(max(cell.vertices) for cell in cells)]
    t = [float(border[0]) for border in borders]
    for cell, start, end in zip(cells, t[:-1], t[1:], strict=True):
        axes.axvspan(start, end, color=colours[found.region_of[cell.number]], linewidth=0)
        axes.axvline(start, color="#8a8a8a", linewidth=0.4)
    for output in range(len(cells[0].gradients)):
        pieces = zip([cells[0], *cells], borders, strict=True)
        heights = [float(cell.gradients[output][0] * at[0] + cell.constants[output]) for cell, at in pieces]
        number = output if found.logit is None else found.logit
        axes.plot(t, heights, color=INKS[output % len(INKS)], label=f"output {number}")
    axes.set_xlim(t[0], t[-1])
    axes.set_xlabel("$x$" if found.chart.whole else "$t$: from the first input (0) to the second (1)", fontsize=8)
    axes.tick_params(labelsize=7)
    if len(cells[0].gradients) <= len(INKS):
        axes.legend(fontsize=7, frameon=False)
