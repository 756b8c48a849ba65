"""Cells: open polyhedra on which every neuron of F_l keeps its sign, and the cones that F_l's cells make at a point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.germ import GERM, Germ, constant, germ, is_zero, lexicographic_sign, over, primitive, values
from dtdsym.arithmetic.rational import ONE, RATIONAL, ZERO, fractions
from dtdsym.network.evaluate import differentiate, evaluate
from dtdsym.network.layers import Affine
from dtdsym.network.slice import Slice

Pattern = tuple[int, ...]
"""Sign of every ReLU neuron of F_l, node by node: +1 active, -1 inactive, 0 identically zero on the cell."""


@dataclass(frozen=True)
class Wall:
    """One hyperplane that bounds the cell, or touches it: row(x) > 0 inside; the neurons that vanish on it."""

    row: tuple[Any, ...]
    neurons: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Cell:
    """An open cell of F_l (or, at a point p, a cone of F_l's local function, then in coordinates h = x - p).

    gradient: of F_l on the cell. rows: one integer form for each neuron, positive inside, None where the neuron is
    constant on the cell. hinged: neurons that vanish at the point the cell was read off at, but not on the cell.
    """

    slice: Slice
    pattern: Pattern
    rows: tuple[Sequence[Any] | None, ...]
    gradient: tuple[Fraction, ...]
    hinged: tuple[int, ...]

    @cached_property
    def walls(self) -> tuple[Wall, ...]:
        """The half-spaces whose intersection is the cell, each named once, with all neurons that vanish on it."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for neuron, row in enumerate(self.rows):
            if row is not None:
                groups.setdefault(primitive(list(row)), []).append(neuron)
        return tuple(Wall(row, tuple(neurons)) for row, neurons in groups.items())

    def closure_holds(self, point: np.ndarray) -> bool:
        """Whether the point lies in the closed cell."""
        return all(value >= 0 for value in values([wall.row for wall in self.walls], point))

    def holds(self, point: np.ndarray) -> bool:
        """Whether the point lies in the open cell."""
        return all(value > 0 for value in values([wall.row for wall in self.walls], point))

    def violated(self, point: np.ndarray) -> int:
        """How many walls have the point strictly on their far side: a guess of how far away it is."""
        return sum(value < 0 for value in values([wall.row for wall in self.walls], point))

    @cached_property
    def downstream(self) -> tuple[Any, ...]:
        """For each neuron, the derivative of F_l with respect to its ReLU's output on the cell, exact."""
        masks = masks_of(self.slice, self.pattern)
        seed = np.array([ONE], dtype=object)
        found = differentiate(self.slice.network, RATIONAL, masks, seed, self.slice.start)
        derivatives: list[Any] = []
        for relu in self.slice.relus:
            unused = [ZERO] * self.slice.network.sizes[relu]
            derivatives.extend(found.get(relu, unused))
        return tuple(derivatives)

    def node_of(self, neuron: int) -> int:
        """Id of the ReLU node that a neuron of the pattern belongs to."""
        for relu in self.slice.relus:
            neuron -= self.slice.network.sizes[relu]
            if neuron < 0:
                return relu
        raise IndexError(f"the pattern has {len(self.pattern)} neurons")

    @cached_property
    def may_wake(self) -> bool:
        """Whether a neuron that is identically zero here may be non-zero in another cell."""
        return any(sign == 0 for sign, dead in zip(self.pattern, stillborn(self.slice), strict=True) if not dead)


def masks_of(function: Slice, pattern: Pattern) -> dict[int, np.ndarray]:
    """ReLU node id -> boolean mask of its active neurons."""
    masks, offset = {}, 0
    for relu in function.relus:
        width = function.network.sizes[relu]
        masks[relu] = np.array([sign > 0 for sign in pattern[offset : offset + width]])
        offset += width
    return masks


def stillborn(function: Slice) -> tuple[bool, ...]:
    """Neurons whose weights and bias are all zero: identically zero everywhere, so they never count."""
    flags: list[bool] = []
    for relu in function.relus:
        node = function.network.nodes[function.network.nodes[relu].sources[0]]
        width = function.network.sizes[relu]
        if isinstance(node, Affine):
            flags.extend(bool(dead) for dead in ~node.weight.any(axis=1) & (node.bias == 0))
        else:
            flags.extend([False] * width)
    return tuple(flags)


def cell_at(function: Slice, point: np.ndarray, *directions: np.ndarray) -> Cell:
    """The cell of F_l that holds `point`, or the one next to it that is reached first along `directions`, then in
    a generic direction. point, directions: (size,) exact."""
    found = evaluate_germ(function, germ(point, *directions))
    pattern, rows, hinged = [], [], []
    for neuron, row in enumerate(_rows(function, found)):
        pattern.append(lexicographic_sign(row))
        form = _oriented(row, function.size, pattern[-1])
        rows.append(form)
        if form is not None and row[0] == 0:
            hinged.append(neuron)
    return Cell(function, tuple(pattern), tuple(rows), _gradient(function, found), tuple(hinged))


def as_cone(cell: Cell) -> Cell:
    """The cone that a cell makes at the point it was read off at: only neurons that vanish there bound it, and its
    rows are forms in h = x - point."""
    hinged = set(cell.hinged)
    rows = tuple(
        (*row[:-1], row[-1] * 0) if row is not None and neuron in hinged else None
        for neuron, row in enumerate(cell.rows)
    )
    return replace(cell, rows=rows)


def cone_at(function: Slice, point: np.ndarray, *directions: np.ndarray) -> Cell:
    """The cone of F_l's local function at `point` that `directions` lead into."""
    return as_cone(cell_at(function, point, *directions))


def evaluate_germ(function: Slice, start: Germ) -> Mapping[int, Germ]:
    """Germs of all nodes of F_l, given one in the space it lives on."""
    feeds = {node: constant(value, start) for node, value in function.bypass.items()}
    return evaluate(function.network, GERM, {**feeds, function.start: start})


def _rows(function: Slice, found: Mapping[int, Germ]) -> list[list[Any]]:
    """Pre-activation rows of all ReLU neurons, in the order of the pattern."""
    return [row for relu in function.relus for row in found[function.network.nodes[relu].sources[0]].rows()]


def _oriented(row: list[Any], size: int, sign: int) -> list[Any] | None:
    form = row[-size - 1 :]
    if is_zero(form[:-1]):
        return None
    return form if sign > 0 else [-entry for entry in form]


def _gradient(function: Slice, found: Mapping[int, Germ]) -> tuple[Fraction, ...]:
    output = found[len(function.network.nodes) - 1]
    row, denominators = output.rows()[0], output.matrix.tolist()[-1]
    return fractions(over(row[-function.size - 1 : -1], denominators[-1]))
