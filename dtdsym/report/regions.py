"""An arrangement as JSON, and in plain words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from dtdsym.arithmetic.rational import text
from dtdsym.arithmetic.written import counted
from dtdsym.geometry.arrangement import MOST_LISTED, Arrangement, OpenCell
from dtdsym.network.network import Network

FORMAT = "dtdsym-regions/1"
MEANINGS = {
    "cells": "open cells: inside each, no ReLU and no max-pool changes its choice",
    "regions": "linear regions (Def. 1): connected open sets on which the gradient is one and the same",
    "gradients": "different gradients: regions of one gradient that are not connected count once here",
    "on_box": "cells that the box cuts: they have a facet on its boundary",
    "unbounded": "cells that never end",
}


def to_json(found: Arrangement) -> dict[str, Any]:
    """Everything, numbers exact: "p/q" strings. Cells and regions are named by their numbers."""
    neighbours = found.graph.adj
    return {
        **header(found.network, found.box, None if found.chart.whole else found.chart.points, found.logit),
        "counts": found.counts,
        "cells": [_cell(cell, found, sorted(neighbours[cell.number])) for cell in found.cells],
        "regions": [
            {"cells": list(cells), "gradients": _texts(found.cells[cells[0]].gradients)} for cells in found.regions
        ],
    }


def written(document: dict[str, Any]) -> Iterator[str]:
    """The document as JSON text, one cell a line, piece by piece."""
    yield "{"
    for number, (key, value) in enumerate(document.items()):
        yield ("," if number else "") + f"\n  {json.dumps(key)}: "
        if isinstance(value, list) and key in ("cells", "regions"):
            yield "[\n    " + ",\n    ".join(json.dumps(entry) for entry in value) + "\n  ]"
        else:
            yield json.dumps(value)
    yield "\n}\n"


def header(network: Network, box: Any, points: Any, logit: int | None) -> dict[str, Any]:
    """What was asked. points: those that span the plane, None where the input space itself was meant."""
    return {
        "format": FORMAT,
        "network": {"source": network.source, "function_sha256": network.sha256, "widths": list(network.widths)},
        "box": None if box is None else _texts(box),
        "points": None if points is None else _texts(points),
        "logit": "all" if logit is None else logit,
        "open_cells_only": True,
    }


def render(found: Arrangement) -> RenderableType:
    """The counts in plain words, for a rich console."""
    outputs = "all outputs together" if found.logit is None else f"output {found.logit}"
    title = f"Linear regions of {found.network.source}: {outputs}, {where(found)}"
    lines: list[RenderableType] = [Text(title, style="bold")]
    for name, number in found.counts.items():
        if name in ("on_box", "unbounded") and not number:
            continue
        lines.append(Padding(f"{number:>9,}  {MEANINGS[name]}", (0, 0, 0, 2)))
    closing = "Open cells only: the hinges between them belong to no cell. Every count is exact."
    lines.append(Padding(closing, (0, 0, 0, 2)))
    return Group(*lines)


def where(found: Arrangement) -> str:
    """The space and the box, in words."""
    size = found.chart.dimension
    flat = {1: "line", 2: "plane"}.get(size, f"flat of {size} dimensions")
    space = f"on the {flat} through {size + 1} inputs"
    if found.chart.whole:
        space = f"of {'all ' * (size > 1)}{counted(size, 'input')}"
    limits = "without bounds" if found.box is None else "in the box " + ", ".join(_side(*side) for side in found.box)
    return f"{space}, {limits}"


def _side(low: Fraction, high: Fraction) -> str:
    return f"{float(low):g}..{float(high):g}"


def _cell(cell: OpenCell, found: Arrangement, neighbours: list[int]) -> dict[str, Any]:
    listed = {}
    if found.chart.dimension <= MOST_LISTED:
        listed = {"vertices": _texts(cell.vertices), "rays": _texts(cell.rays), "lines": _texts(cell.lines)}
    return {
        "pattern": "".join("0+-"[sign] for sign in cell.pattern),
        "region": found.region_of[cell.number],
        "neighbours": neighbours,
        "gradients": _texts(cell.gradients),
        "constants": _text_row(cell.constants),
        "inequalities": _texts(cell.inequalities),
        "point": _text_row(cell.point),
        **listed,
    }


def _texts(rows: Iterable[Iterable[Any]]) -> list[list[str]]:
    return [_text_row(row) for row in rows]


def _text_row(row: Iterable[Any]) -> list[str]:
    return [text(Fraction(entry)) for entry in row]
