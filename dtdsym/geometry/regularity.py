"""Is F_l differentiable at a point? It is iff its local function there is linear, and that is decided exactly.

Directions only propose a second gradient; a claim of regularity rests on hyperplanes whose bends cancel, or on the
complete list of the local function's cones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.geometry.budget import Meter
from dtdsym.geometry.cell import Cell, as_cone, cell_at
from dtdsym.geometry.choices import bends_along, choices_at
from dtdsym.geometry.search import cones_at, interior_point
from dtdsym.network.layers import Relu
from dtdsym.network.slice import Slice

PROPOSED_LINES = 2
PROPOSED_DIRECTIONS = 8


@dataclass(frozen=True, eq=False)
class Regular:
    """F_l is differentiable at the point, with this gradient. `cell` holds the point, or is one of the cells that meet
    there; it is read off at the point when it is first asked for.

    reason: "open cell", "bends cancel" (each hyperplane's bends add up to zero, or nothing depends on undecided
    choices) or "cones" (all listed in `cones`).
    """

    function: Slice
    point: np.ndarray
    gradient: tuple[Fraction, ...]
    reason: str
    cones: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def cell(self) -> Cell:
        """The cell."""
        return cell_at(self.function, self.point)


@dataclass(frozen=True, eq=False)
class Irregular:
    """F_l bends at the point: two of the cells that meet there have different gradients. read: makes the two, when they
    are first asked for."""

    point: np.ndarray
    read: Callable[[], tuple[Cell, Cell]]

    @cached_property
    def cells(self) -> tuple[Cell, Cell]:
        """The two cells."""
        return self.read()

    @property
    def gradients(self) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        """The two gradients."""
        return self.cells[0].gradient, self.cells[1].gradient

    def directions(self, meter: Meter) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
        """From the point, a direction into each of the two cells: evidence that a stranger can re-check."""
        first, second = (fractions(interior_point(as_cone(cell), meter)) for cell in self.cells)
        return first, second


def regularity(function: Slice, point: np.ndarray, meter: Meter) -> Regular | Irregular:
    """Decide whether F_l is differentiable at `point` (size,), exact. Raises BudgetSpent.

    One value, one gradient and slopes along single lines are asked first: they cost a small part of what a cell does,
    whose every entry is a form in all coordinates."""
    choices = choices_at(function, point)
    gradient = choices.gradient
    if gradient is not None:
        return Regular(function, point, gradient, "open cell" if choices.strict else "bends cancel")
    for direction in islice(_scattered(function.size), PROPOSED_LINES):
        if bends_along(function, point, direction):
            return Irregular(point, partial(_two_cells, function, point, direction))
    cell = cell_at(function, point)
    if not cell.hinged:
        return Regular(function, point, cell.gradient, "open cell")
    if bends_cancel(cell, cell.unsettled):
        return Regular(function, point, cell.gradient, "bends cancel")
    other = _another(cell, point)
    return _by_cones(point, cell, meter) if other is None else Irregular(point, partial(_pair, cell, other))


def _two_cells(function: Slice, point: np.ndarray, direction: np.ndarray) -> tuple[Cell, Cell]:
    """Two cells of different gradients at a point where F_l bends along a direction."""
    cell = cell_at(function, point)
    other = _another(cell, point)
    if other is not None:
        return cell, other
    return cell_at(function, point, direction), cell_at(function, point, -direction)


def _another(cell: Cell, point: np.ndarray) -> Cell | None:
    """A cell of another gradient than this one's at the point it was read off at, if a proposed direction finds one."""
    others = (cell_at(cell.slice, point, direction) for direction in _proposals(cell))
    return next((other for other in others if other.gradient != cell.gradient), None)


def _proposals(cell: Cell) -> Iterator[np.ndarray]:
    """Directions across the hinges, then fixed scattered ones: only proposals, so any choice is sound."""
    for entry in cell.hinged[:PROPOSED_DIRECTIONS]:
        row = cell.rows[entry]
        assert row is not None
        yield RATIONAL.lift([-number for number in row[:-1]])
    yield from islice(_scattered(cell.slice.size), PROPOSED_DIRECTIONS)


def _scattered(size: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    while True:
        yield RATIONAL.lift(rng.integers(-1000, 1001, size=size).tolist())


def bends_cancel(cell: Cell, zeros: Sequence[int]) -> bool:
    """Whether the gradient is the same in all cones for one of two reasons. False: not known.

    zeros: the entries that are zero on the cell and may be non-zero in another one.
    1. F_l has no derivative on the cell with respect to the output of any neuron or window that is undecided at the
    point (hinged, or zero on the cell and perhaps not elsewhere). From the top of the network downwards, the
    derivatives with respect to these outputs depend on undecided choices only through further outputs of this kind,
    which contribute zero times something: so they are zero in every cone, and the gradient depends on none of them.
    2. The hinged entries are neurons of one ReLU node, no other choice is undecided, and on every hyperplane the
    bends, the sum of (downstream derivative) |lambda_k| over the forms lambda_k n, add up to zero.
    """
    undecided = (*cell.hinged, *zeros)
    if not any(cell.downstream[entry] != 0 for entry in undecided):
        return True
    nodes = {cell.node_of(entry) for entry in undecided}
    if zeros or len(nodes) != 1 or not isinstance(cell.slice.network.nodes[nodes.pop()], Relu):
        return False
    groups = [set(cell.hinged).intersection(wall.entries) for wall in cell.walls]
    return all(_bend(cell, sorted(group)) == 0 for group in groups if group)


def _bend(cell: Cell, neurons: list[int]) -> Any:
    """Sum over neurons on one hyperplane, in one ReLU node, where rows have one common factor."""
    rows = [cell.rows[neuron] for neuron in neurons]
    lead = next(i for i, entry in enumerate(rows[0] or ()) if entry != 0)
    return sum(cell.downstream[n] * abs(row[lead]) for n, row in zip(neurons, rows, strict=True) if row is not None)


def _by_cones(point: np.ndarray, cell: Cell, meter: Meter) -> Regular | Irregular:
    search = cones_at(cell.slice, point)
    while not search.exhausted:
        for cone in search.grow(meter):
            if cone.gradient != cell.gradient:
                return Irregular(point, partial(_pair, cell, cone))
    return Regular(cell.slice, point, cell.gradient, "cones", tuple(search.cells))


def _pair(one: Cell, other: Cell) -> tuple[Cell, Cell]:
    return one, other
