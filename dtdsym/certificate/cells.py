"""Evidence about cells: patterns, closed lists of cells with proofs that walls are no facets, and regular points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.linear_program import Empty, interior
from dtdsym.arithmetic.rational import fraction, text
from dtdsym.geometry.budget import Meter
from dtdsym.geometry.cell import Cell, Pattern, Wall, cell_at
from dtdsym.geometry.regularity import bends_cancel
from dtdsym.geometry.search import Search, cones_at
from dtdsym.network.layers import MaxPool
from dtdsym.network.slice import Slice

SIGNS = {1: "+", -1: "-", 0: "0"}


def pattern_text(pattern: Pattern) -> str:
    """A pattern as one string."""
    return "".join(SIGNS[sign] for sign in pattern)


def closed_list(search: Search, meter: Meter) -> list[dict[str, Any]]:
    """The cells of an exhausted search, each with its walls that are no facets. Raises BudgetSpent."""
    crossed: dict[Pattern, list[np.ndarray]] = {}
    for crossing in search.crossings:
        crossed.setdefault(crossing.origin, []).append(np.array([*crossing.point, Fraction(1)], dtype=object))
    found = []
    for cell in search.cells.values():
        points = crossed.get(cell.pattern, [])
        left = [wall for wall in search.wanted(cell) if not any(_height(wall, p) == 0 for p in points)]
        proofs = [_no_facet(cell, wall, meter) for wall in left]
        found.append({"pattern": pattern_text(cell.pattern), "no_facet": proofs})
    return found


def _height(wall: Wall, homogeneous: np.ndarray) -> Fraction:
    return sum((fraction(a) * b for a, b in zip(wall.row, homogeneous, strict=True)), Fraction(0))


def _no_facet(cell: Cell, wall: Wall, meter: Meter) -> dict[str, Any]:
    match interior([other.row for other in _others(cell, wall)], wall.row, deadline=meter.tick):
        case Empty(multipliers, own):
            return _proof(cell, wall, [fraction(y) for y in multipliers], fraction(own))
    raise AssertionError("a facet that was not crossed, in a search that is exhausted: a bug; please report")


def no_facets(
    cell: Cell, proofs: Mapping[Wall, tuple[list[Fraction], Fraction]], scales: Sequence[Any]
) -> list[dict[str, Any]]:
    """Walls that are no facets inside a polyhedron, as `geometry.within` found: its rows' multipliers come last.

    scales: what the rows are multiples of their pre-activations by."""
    return [_proof(cell, wall, multipliers, own, scales) for wall, (multipliers, own) in proofs.items()]


def row_multipliers(cell: Cell, multipliers: Sequence[Fraction]) -> list[list[Any]]:
    """Multipliers of all walls, as pairs of an entry and what its row is multiplied by."""
    pairs = zip(cell.walls, multipliers, strict=True)
    return [[wall.entries[0], text(y * _factor(cell, wall))] for wall, y in pairs if y]


def _others(cell: Cell, wall: Wall) -> list[Wall]:
    return [other for other in cell.walls if other is not wall]


def _proof(
    cell: Cell, wall: Wall, multipliers: list[Fraction], own: Fraction, scales: Sequence[Any] = ()
) -> dict[str, Any]:
    others = _others(cell, wall)
    pairs = zip(others, multipliers[: len(others)], strict=True)
    used = [[other.entries[0], text(y * _factor(cell, other))] for other, y in pairs if y]
    extra = zip(multipliers[len(others) :], scales, strict=True)
    rows = [[number, text(y * fraction(scale))] for number, (y, scale) in enumerate(extra) if y]
    proof = {"entry": wall.entries[0], "multipliers": used, "wall": text(own * _factor(cell, wall))}
    return {**proof, "rows": rows} if rows else proof


def _factor(cell: Cell, wall: Wall) -> Fraction:
    """What the first entry's row, as a neuron's pre-activation has it, is multiplied by to give the wall's."""
    entry = wall.entries[0]
    row = cell.rows[entry]
    assert row is not None
    lead = next(place for place, number in enumerate(wall.row) if number != 0)
    return fraction(wall.row[lead]) * fraction(cell.units[cell.node_of(entry)]) / fraction(row[lead])


def cones_if_needed(function: Slice, p: np.ndarray, meter: Meter) -> list[dict[str, Any]] | None:
    """The closed list of cones at a regular point; None where a checker sees by itself that the point is regular."""
    cell = cell_at(function, p)
    if not cell.hinged or bends_cancel(cell, _zeros(cell)):
        return None
    return cones(function, p, meter)


def cones(function: Slice, p: np.ndarray, meter: Meter) -> list[dict[str, Any]]:
    """All cones of F_l at a point, as a closed list. Raises BudgetSpent."""
    search = cones_at(function, p)
    while not search.exhausted:
        search.grow(meter)
    return closed_list(search, meter)


def _zeros(cell: Cell) -> list[int]:
    """Entries that are zero on the cell, but for repetitions in a window, which do what the first of them does."""
    fresh: list[bool] = []
    for index in cell.slice.bending:
        node = cell.slice.network.nodes[index]
        fresh.extend(node.fresh.ravel().tolist() if isinstance(node, MaxPool) else [True] * cell.slice.choices(index))
    return [entry for entry, (sign, new) in enumerate(zip(cell.pattern, fresh, strict=True)) if sign == 0 and new]
