"""The component search: cells of equal gradient, entered one by one through facets.

Removing sets of codimension 2 does not disconnect an open connected set, so crossing facets finds the whole
component. Which cell lies beyond a facet is read off by an exact infinitesimal step from a point of the facet's
relative interior: several neurons may vanish there together, and which of them flip is not local knowledge.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.germ import slopes, values
from dtdsym.arithmetic.linear_program import Empty, Interior, interior
from dtdsym.arithmetic.rational import RATIONAL, fractions, rational
from dtdsym.geometry.budget import Meter
from dtdsym.geometry.cell import Cell, Pattern, Wall, cell_at, cone_at
from dtdsym.geometry.jump import jumps
from dtdsym.network.slice import Slice

Gradient = tuple[Fraction, ...]
Enter = Callable[[np.ndarray, np.ndarray], Cell]
"""The cell that an infinitesimal step from a point in a direction enters."""


@dataclass(frozen=True)
class Crossing:
    """One facet that was crossed: from a cell to the next, at a point of the facet's relative interior."""

    origin: Pattern
    target: Pattern
    point: tuple[Fraction, ...]
    gradient: Gradient


@dataclass(eq=False)
class Search:
    """All cells that facets connect with the first one; `keep` restricts them to one gradient.

    Grows one cell at a time, so that the caller can stop early, alternate two searches, or resume a third.
    """

    first: Cell
    enter: Enter
    keep: Gradient | None
    cells: dict[Pattern, Cell] = field(default_factory=dict)
    crossings: list[Crossing] = field(default_factory=list)
    _open: list[tuple[int, int, Cell]] = field(default_factory=list)
    _found: int = 0

    def __post_init__(self) -> None:
        self._add(self.first, 0)

    @property
    def exhausted(self) -> bool:
        """Whether every facet of every cell has been crossed or ruled out: the list of cells is complete."""
        return not self._open

    def grow(self, meter: Meter, rank: Callable[[Cell], int] = lambda cell: 0) -> list[Cell]:
        """Cross all facets of the open cell of least rank; returns the new cells.

        Nothing is recorded before all of it is known and paid for, so a spent budget loses nothing."""
        crossed = self._cross(self._open[0][2], meter)
        new = {
            beyond.pattern: beyond
            for _, beyond in crossed
            if beyond.pattern not in self.cells and (self.keep is None or beyond.gradient == self.keep)
        }
        for _ in new:
            meter.enter_cell()
        heapq.heappop(self._open)
        self.crossings.extend(crossing for crossing, _ in crossed)
        for cell in new.values():
            self._add(cell, rank(cell))
        return list(new.values())

    def path(self, pattern: Pattern) -> list[Crossing]:
        """Crossings that lead from the first cell to this one."""
        reached: dict[Pattern, Crossing] = {}
        for crossing in self.crossings:
            if crossing.target in self.cells and crossing.target != self.first.pattern:
                reached.setdefault(crossing.target, crossing)
        steps = []
        while pattern != self.first.pattern:
            steps.append(reached[pattern])
            pattern = steps[-1].origin
        return steps[::-1]

    def _add(self, cell: Cell, rank: int) -> None:
        self.cells[cell.pattern] = cell
        heapq.heappush(self._open, (rank, self._found, cell))
        self._found += 1

    def _cross(self, cell: Cell, meter: Meter) -> list[tuple[Crossing, Cell]]:
        crossed = []
        for wall, point in facets(cell, self.wanted(cell), meter):
            outward = np.array([-entry for entry in wall.row[:-1]], dtype=object)
            beyond = self.enter(point, RATIONAL.lift(outward))
            crossed.append((Crossing(cell.pattern, beyond.pattern, fractions(point), beyond.gradient), beyond))
        return crossed

    def wanted(self, cell: Cell) -> list[Wall]:
        """The walls that may be facets to a cell that is kept: not those beyond which the gradient is another one."""
        if self.keep is None:
            return list(cell.walls)
        return [wall for wall, jump in zip(cell.walls, jumps(cell), strict=True) if jump == 0]


def cells_from(function: Slice, first: Cell, keep: Gradient | None) -> Search:
    """Search through the cells of F_l."""
    return Search(first, lambda point, direction: cell_at(function, point, direction), keep)


def cones_at(function: Slice, point: np.ndarray) -> Search:
    """Search through all cones of F_l's local function at a point."""
    return Search(cone_at(function, point), lambda h, direction: cone_at(function, point, h, direction), None)


def facets(cell: Cell, wanted: list[Wall], meter: Meter) -> list[tuple[Wall, np.ndarray]]:
    """Those of the wanted walls that bound the cell in dimension d - 1, each with a point of its relative interior.

    Rays from an interior point find most of them; an exact linear program decides the rest."""
    if not wanted:
        return []
    inside = interior_point(cell, meter)
    found = _shoot(cell, wanted, inside)
    rows = {wall: wall.row for wall in cell.walls}
    for wall in wanted:
        if wall not in found:
            others = [row for other, row in rows.items() if other != wall]
            match interior(others, wall.row, deadline=meter.tick):
                case Interior(point):
                    found[wall] = np.array(point, dtype=object)
                case Empty():
                    continue
    return [(wall, found[wall]) for wall in wanted if wall in found]


def interior_point(cell: Cell, meter: Meter) -> np.ndarray:
    """A point of the open cell, exact."""
    match interior([wall.row for wall in cell.walls], deadline=meter.tick):
        case Interior(point):
            return np.array(point, dtype=object)
        case Empty():
            raise AssertionError(f"the cell of pattern {cell.pattern} was entered, so it is not empty")


def _shoot(cell: Cell, wanted: list[Wall], inside: np.ndarray) -> dict[Wall, np.ndarray]:
    """Walls that a ray from `inside` towards some wanted wall meets first, and alone: facets, with the point met."""
    rows = [wall.row for wall in cell.walls]
    heights = values(rows, inside)
    directions = [[-entry for entry in wall.row[:-1]] for wall in wanted]
    found: dict[Wall, np.ndarray] = {}
    for direction, falls in zip(directions, zip(*slopes(rows, directions), strict=True), strict=True):
        index, step = _first_hit(heights, falls, inside)
        if index is not None and cell.walls[index] in wanted:
            found.setdefault(cell.walls[index], inside + step * RATIONAL.lift(direction))
    return found


def _first_hit(heights: list[Any], falls: tuple[Any, ...], inside: np.ndarray) -> tuple[int | None, Any]:
    """Index of the only wall met first, and the step there; None if two are met at once."""
    scale = _denominator(inside)
    steps = [
        (rational(height, -fall * scale), index)
        for index, (height, fall) in enumerate(zip(heights, falls, strict=True))
        if fall < 0
    ]
    step, index = min(steps)
    alone = sum(other == step for other, _ in steps) == 1
    return (index if alone else None), step


def _denominator(point: np.ndarray) -> Any:
    common = point[0].q
    for entry in point[1:]:
        common = common.lcm(entry.q)
    return common
