"""What is marked in a picture of an arrangement: an input, its linear region, and where root points lie."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dtdsym.errors import InputError
from dtdsym.geometry.arrangement import Arrangement, OpenCell
from dtdsym.geometry.facets import Facet
from dtdsym.geometry.placement import VALID
from dtdsym.report.labels import over_lines

Roots = Sequence[tuple[str, str, Sequence[Any]]]
"""(rule, place, point) of every root that is drawn."""

INKS = ("#0072b2", "#d55e00", "#117733", "#882255", "#999933", "#000000")
MARKERS = {"inside": "o", "boundary": "s", "outside": "X", "the input itself": "*", "undecided": "P"}
HATCH, SHADE = "////", "#00000055"


def polygon(cell: OpenCell) -> np.ndarray:
    """Its vertices (n, 2), rounded to floats, counter-clockwise."""
    return np.array([[float(t) for t in vertex] for vertex in cell.vertices])


def edges_of(found: Arrangement) -> Iterator[tuple[Facet, list[tuple[float, ...]]]]:
    """Every facet with its two ends."""
    for facet in found.facets:
        polyhedron = found.cells[facet.cell].polyhedron
        on = next(rays for wall, rays in polyhedron.facets if wall == facet.wall)
        ends = [polyhedron.rays[ray] for ray in on]
        yield facet, [tuple(int(entry) / int(ray[-1]) for entry in ray[:-1]) for ray in ends]


def home_of(found: Arrangement, x: Sequence[Any]) -> set[int]:
    """The cells of the input's linear region."""
    cell = found.cell_at(x)
    if cell is None:
        raise InputError("the input lies on a hinge, or outside the box: it has no linear region to show there")
    return set(found.regions[found.region_of[cell.number]])


def draw_home(axes: Any, found: Arrangement, home: set[int]) -> None:
    """The linear region of the input: hatched, with a strong border."""
    from matplotlib.collections import LineCollection, PolyCollection

    polygons = [polygon(found.cells[number]) for number in sorted(home)]
    hatched = PolyCollection(polygons, facecolors="none", edgecolors=SHADE, linewidths=0, hatch=HATCH, zorder=2.5)
    axes.add_collection(hatched)
    border = [ends for facet, ends in edges_of(found) if (facet.cell in home) != (facet.beyond in home)]
    lines = LineCollection(border, colors="black", linewidths=1.6, capstyle="round", zorder=3.5)
    lines.set_label("linear region of the input")
    axes.add_collection(lines)


def draw_input(axes: Any, found: Arrangement, x: Sequence[Any], roots: Roots) -> None:
    """The input and where roots lie: those outside the picture as arrows at its edge; on a line each rule in a row."""
    from matplotlib.collections import LineCollection

    distinct = dict.fromkeys((rule, place, tuple(root)) for rule, place, root in roots if place != "no_root")
    rules = list(dict.fromkeys(rule for rule, _, _ in distinct))
    on_line = found.chart.dimension == 1
    where = axes.get_xaxis_transform() if on_line else axes.transData
    here = tuple(float(entry) for entry in x)
    spots: dict[Any, list[Any]] = {}
    for rule, place, root in distinct:
        shown, angle = _within(here, tuple(float(entry) for entry in root), found)
        marker = MARKERS[place_class(place)] if angle is None else _dart(angle)
        spots.setdefault((rules.index(rule), marker), []).append(shown)
    for (number, marker), ends in spots.items():
        row = (0.05 + 0.05 * number,) if on_line else ()
        ink = INKS[number % len(INKS)]
        ways: list[Any] = [[(*here, *row), (*spot, *row)] for spot in ends]
        axes.add_collection(
            LineCollection(ways, colors=ink, linewidths=0.6, alpha=0.55, zorder=4, transform=where), autolim=False
        )
        axes.scatter(
            *zip(*(end for _, end in ways), strict=True), s=70 if isinstance(marker, tuple) else 26, marker=marker,
            color=ink, edgecolor="white", linewidth=0.5, zorder=8, clip_on=False, transform=where,
        )  # fmt: skip
    if on_line:
        axes.axvline(*here, color="black", linewidth=1.2, linestyle="--", zorder=5, label="input")
    else:
        axes.scatter(*here, s=110, marker="+", color="black", linewidth=1.4, zorder=7, label="input")
    for number, rule in enumerate(rules):
        axes.plot([], [], color=INKS[number % len(INKS)], linewidth=3, label=f"roots of {over_lines(rule)}")
    for name in dict.fromkeys(place_class(place) for _, place, _ in distinct):
        axes.scatter([], [], marker=MARKERS[name], color="#3c3c3c", s=24, label=f"root: {name}")
    if any(isinstance(marker, tuple) for _, marker in spots):
        axes.scatter([], [], marker=_dart(0.0), color="#3c3c3c", s=70, label="root beyond the picture")


def place_class(place: str) -> str:
    """How a root is marked: inside, boundary, outside (also in a region elsewhere), the input itself, undecided."""
    if place in VALID:
        return "inside"
    return {"degenerate": "the input itself", "same_gradient_elsewhere": "outside"}.get(place, place)


def _within(
    here: tuple[float, ...], point: tuple[float, ...], found: Arrangement
) -> tuple[tuple[float, ...], float | None]:
    """Where a root is drawn; if it lies beyond the picture, on the edge with the angle of the way to it (radians)."""
    share = 1.0
    for start, end, (low, high) in zip(here, point, found.box or (), strict=True):
        for bound in (float(low), float(high)):
            if (end - bound) * (start - bound) < 0:
                share = min(share, (bound - start) / (end - start))
    if share == 1.0:
        return point, None
    way = [end - start for start, end in zip(here, point, strict=True)]
    edge = tuple(start + share * step for start, step in zip(here, way, strict=True))
    rise = way[1] if len(way) == 2 else 0.0
    return edge, math.atan2(rise, way[0])


def _dart(angle: float) -> tuple[tuple[float, float], ...]:
    """An arrow-head that points along the angle, as a marker."""
    cosine, sine = math.cos(angle), math.sin(angle)
    corners = ((1.0, 0.0), (-0.8, 0.6), (-0.4, 0.0), (-0.8, -0.6), (1.0, 0.0))
    return tuple((cosine * a - sine * b, sine * a + cosine * b) for a, b in corners)
