"""Whether a convex open polyhedron around a point lies in the point's linear region, decided by crossing facets.

The cells of the region that meet the polyhedron are listed from the point's cell. A facet that meets it and beyond
which the gradient is another one leads out of the region. Where there is none, the polyhedron, which is connected, lies
in the region: at what is thinner than a facet the function is regular too, since all cells around have one gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.linear_program import Empty, Interior, interior
from dtdsym.arithmetic.rational import RATIONAL, fraction
from dtdsym.geometry.budget import Meter
from dtdsym.geometry.cell import Cell, Pattern, Wall, cell_at
from dtdsym.geometry.component import Component


@dataclass(frozen=True, eq=False)
class Contained:
    """It lies in the region. cells: all cells of the region that meet it, each with the proofs that some of its walls
    are no facets inside it: wall -> multipliers of the other walls, then of the polyhedron's rows; and the wall's."""

    cells: tuple[tuple[Cell, dict[Wall, tuple[list[Fraction], Fraction]]], ...]


@dataclass(frozen=True, eq=False)
class Escapes:
    """It does not. point: in the polyhedron, inside a cell of another gradient."""

    point: np.ndarray
    cell: Cell


def within(home: Component, rows: Sequence[Sequence[Any]], meter: Meter) -> Contained | Escapes:
    """Whether the open polyhedron where all rows (a_1, ..., a_d, c) have a.x + c > 0 lies in the region of `home`,
    whose point it holds. Cells are those of the fused function. Raises BudgetSpent."""
    function, gradient = home.fused, home.gradient
    first = cell_at(function, home.x)
    found: dict[Pattern, tuple[Cell, dict[Wall, tuple[list[Fraction], Fraction]]]] = {}
    waiting = {first.pattern: first}
    while waiting:
        cell = waiting.pop(next(iter(waiting)))
        proofs: dict[Wall, tuple[list[Fraction], Fraction]] = {}
        found[cell.pattern] = (cell, proofs)
        for wall in cell.walls:
            others = [other.row for other in cell.walls if other is not wall]
            match interior([*others, *rows], wall.row, deadline=meter.tick):
                case Empty(multipliers, own):
                    proofs[wall] = ([fraction(y) for y in multipliers], fraction(own))
                case Interior(point):
                    outward = RATIONAL.lift([-entry for entry in wall.row[:-1]])
                    beyond = cell_at(function, np.array(point, dtype=object), outward)
                    if beyond.gradient != gradient:
                        return Escapes(_inside(beyond, rows, meter), beyond)
                    if beyond.pattern not in found and beyond.pattern not in waiting:
                        meter.enter_cell()
                        waiting[beyond.pattern] = beyond
    return Contained(tuple(found.values()))


def _inside(cell: Cell, rows: Sequence[Sequence[Any]], meter: Meter) -> np.ndarray:
    """A point of the cell and the polyhedron, which share a point on a facet of the cell."""
    match interior([*(wall.row for wall in cell.walls), *rows], deadline=meter.tick):
        case Interior(point):
            return np.array(point, dtype=object)
        case Empty():
            raise AssertionError("a cell was entered inside a polyhedron that it does not meet: a bug; please report")
