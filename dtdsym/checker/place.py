"""Claim `place`: where a point lies relative to the component of equal gradient that holds a_l."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

from dtdsym.checker.cells import cell_at, cell_of
from dtdsym.checker.function import Gradient
from dtdsym.checker.jump import jump
from dtdsym.checker.reading import Refused, items, keys, number, point, record, shown, text
from dtdsym.checker.regular import closed, regular
from dtdsym.checker.subject import Home, View

Point = tuple[Fraction, ...]
HEAD = ("claim", "network", "input", "logit", "layer")
NO_ROOT = "no_root"
INSIDE = ("degenerate", "same_cell", "same_region_segment", "same_region")
ALLOWED = {
    "degenerate": (),
    "same_cell": (),
    "same_region_segment": ("segment",),
    "same_region": ("leaves", "path", "point_cones"),
    "boundary": ("segment", "path", "bends"),
    "same_gradient_elsewhere": ("cells", "from", "point_cones"),
    "outside": ("cells", "from", "point_cones", "bends"),
}


def check(line: dict[str, Any], view: View) -> str:
    """What was accepted, in words; Refused otherwise."""
    given = "point" in line
    keys(line, *HEAD, *(("point",) if given else ("rule", "root", "neuron")), "place", "evidence")
    name, evidence = text(line["place"], "place"), record(line["evidence"], "evidence")
    home = view.home(line["layer"])
    if given:
        p: Point | None = point(line["point"], len(home.a), "point")
    else:
        p = view.root(line["layer"], line["rule"], line["root"], line["neuron"])
    check_place(home, p, name, evidence)
    return f"place {name}"


def check_place(home: Home, p: Point | None, name: str, evidence: dict[str, Any]) -> None:
    """Whether the point lies where it is said to; p: None if a rule has no root."""
    if (name == NO_ROOT) != (p is None):
        raise Refused("the rule has no root here" if p is None else "there is a point, so no_root is false")
    if p is None:
        keys(evidence)
        return
    if name not in ALLOWED:
        raise Refused(f"place {shown(name)} is unknown")
    keys(evidence, maybe=("input_cones", *ALLOWED[name]))
    gradient = home.gradient(evidence.get("input_cones"))
    if (name == "degenerate") != (p == home.a):
        raise Refused("the point is the input" if p == home.a else "the point is not the input")
    {
        "degenerate": lambda *_: None,
        "same_cell": _same_cell,
        "same_region_segment": _same_region_segment,
        "same_region": _same_region,
        "boundary": _boundary,
        "same_gradient_elsewhere": _elsewhere,
        "outside": _outside,
    }[name](home, p, gradient, evidence)


def _in_input_cell(home: Home, p: Point) -> bool:
    cell = home.cell(plain=True)
    return all(cell.heights(home.a).values()) and all(height > 0 for height in cell.heights(p).values())


def _same_cell(home: Home, p: Point, _: Gradient, __: dict[str, Any]) -> None:
    if not _in_input_cell(home, p):
        raise Refused("the point is not in the open cell of the input")


def _same_region_segment(home: Home, p: Point, gradient: Gradient, evidence: dict[str, Any]) -> None:
    if _in_input_cell(home, p):
        raise Refused("the point is in the cell of the input")
    _segment(home, p, gradient, evidence, ends=True)


def _same_region(home: Home, p: Point, gradient: Gradient, evidence: dict[str, Any]) -> None:
    keys(evidence, "leaves", "path", maybe=("input_cones", "point_cones"))
    leaves = record(evidence["leaves"], "leaves")
    keys(leaves, "t", "direction")
    t, way = number(leaves["t"], "leaves: t"), point(leaves["direction"], len(p), "leaves: direction")
    if not 0 < t < 1 or cell_at(home.function, home.at(p, t), way).gradient == gradient:
        raise Refused("the segment does not leave the region there")
    _has_gradient(home, p, gradient, evidence)
    follow(home, p, evidence["path"])


def _boundary(home: Home, p: Point, gradient: Gradient, evidence: dict[str, Any]) -> None:
    keys(evidence, "bends", "segment" if "segment" in evidence else "path", maybe=("input_cones",))
    _bends(home, p, evidence)
    if "segment" in evidence:
        _segment(home, p, gradient, evidence, ends=False)
    else:
        follow(home, p, evidence["path"])


def _elsewhere(home: Home, p: Point, gradient: Gradient, evidence: dict[str, Any]) -> None:
    keys(evidence, "cells", "from", maybe=("input_cones", "point_cones"))
    _has_gradient(home, p, gradient, evidence)
    if evidence["from"] not in ("input", "point"):
        raise Refused("from: neither input nor point")
    listed = closed(home.function, evidence["cells"], "cells")
    ends = home.cell().pattern, cell_at(home.function, p).pattern
    start, other = ends if evidence["from"] == "input" else ends[::-1]
    if start not in listed:
        raise Refused("the list does not hold the cell that it is said to start from")
    if other in listed:
        raise Refused("the list holds both cells: they may be connected")


def _outside(home: Home, p: Point, gradient: Gradient, evidence: dict[str, Any]) -> None:
    if "bends" in evidence or "cells" in evidence:
        keys(evidence, "bends", "cells", "from", maybe=("input_cones",))
        _bends(home, p, evidence)
        if evidence["from"] != "input":
            raise Refused("from: the list must start from the input")
        listed = closed(home.function, evidence["cells"], "cells")
        if home.cell().pattern not in listed:
            raise Refused("the list does not hold the cell of the input")
        if any(all(height >= 0 for height in cell.heights(p).values()) for cell in listed.values()):
            raise Refused("the point is in the closure of a listed cell")
        return
    plain = home.function.plain_gradient(p)
    if plain is None and "point_cones" in evidence:
        listed = closed(home.function, evidence["point_cones"], "point_cones", p)
        if cell_at(home.function, p).pattern not in listed:
            raise Refused("the cones do not hold the cell at the point")
        if any(cone.gradient == gradient for cone in listed.values()):
            raise Refused("a cone at the point has the input's gradient")
        return
    if regular(home.function, p, evidence.get("point_cones"), "point_cones") == gradient:
        raise Refused("the point has the input's gradient")


def _has_gradient(home: Home, p: Point, gradient: Gradient, evidence: dict[str, Any]) -> None:
    if regular(home.function, p, evidence.get("point_cones"), "point_cones") != gradient:
        raise Refused("the point has another gradient than the input")


def _bends(home: Home, p: Point, evidence: dict[str, Any]) -> None:
    ways = [point(way, len(p), "bends") for way in items(evidence["bends"], "bends", 2)]
    one, other = (cell_at(home.function, p, way).gradient for way in ways)
    if one == other:
        raise Refused("bends: both directions lead into cells of one gradient")


def follow(home: Home, p: Point, path: Any) -> None:
    """From the cell at a_l through facets of equal gradient to one whose closure holds the point."""
    cell = home.cell()
    for place, entry in enumerate(items(path, "path")):
        q = point(entry, len(p), f"path[{place}]")
        heights = cell.heights(q)
        on = [i for i, height in heights.items() if height == 0]
        if min(heights.values(), default=1) < 0 or len(cell.walls(on)) != 1:
            raise Refused(f"path[{place}]: not on one wall of its cell, inside all others")
        slope, beyond = jump(cell, *next(iter(cell.walls(on).items())))
        if slope:
            raise Refused(f"path[{place}]: the gradient changes there")
        cell = cell_of(home.function, "".join("0+-"[sign] for sign in beyond))
    if any(height < 0 for height in cell.heights(p).values()):
        raise Refused("path: the last cell's closure does not hold the point")


def _segment(home: Home, p: Point, gradient: Gradient, evidence: dict[str, Any], *, ends: bool) -> None:
    if "segment" not in evidence:
        raise Refused("key 'segment' is missing")
    segment = record(evidence["segment"], "segment")
    keys(segment, "t", "cones")
    times = [number(t, "segment: t") for t in items(segment["t"], "segment: t")]
    stops = [Fraction(0), *times, Fraction(1)]
    if any(one >= other for one, other in pairwise(stops)):
        raise Refused("segment: t is not increasing between 0 and 1")
    cones = {number(t, "segment: cones"): own for t, own in record(segment["cones"], "segment: cones").items()}
    middles = [(one + other) / 2 for one, other in pairwise(stops)]
    for place, t in enumerate([*times, *middles, *([Fraction(1)] if ends else [])]):
        if regular(home.function, home.at(p, t), cones.pop(t, None), "segment: cones") != gradient:
            raise Refused(f"segment: the gradient is another one at stop {place}")
    if cones:
        raise Refused("segment: cones at other t than are looked at")
    for place, (middle, sides) in enumerate(zip(middles, pairwise(stops), strict=True)):
        cell = cell_at(home.function, home.at(p, middle))
        if any(height < 0 for t in sides for height in cell.heights(home.at(p, t)).values()):
            raise Refused(f"segment: there is another breakpoint beside stop {place}")


CLAIMS = {"place": check}
