"""Cells: open polyhedra on which F_l keeps every choice it makes, and the cones that F_l's cells make at a point.

The choices are the signs of its ReLU neurons and the winners of its max-pools' windows. The activation pattern has one
entry for each neuron, and one for each entry of each window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.germ import (
    GERM,
    Germ,
    constant,
    germ,
    is_zero,
    lexicographic_sign,
    margins,
    over,
    primitive,
    values,
)
from dtdsym.arithmetic.rational import ONE, RATIONAL, ZERO, fractions
from dtdsym.geometry.zeros import always_zero
from dtdsym.network.evaluate import differentiate, evaluate
from dtdsym.network.layers import MaxPool
from dtdsym.network.slice import Slice

Pattern = tuple[int, ...]
"""F_l's choices, node by node. ReLU neuron: +1 active, -1 inactive, 0 identically zero on the cell. Entry of a
max-pool's window: +1 it wins (of identically equal ones the first), -1 it is smaller than the winner everywhere on the
cell, 0 it ties with the winner identically.

A pattern names one cell: the forms below a node are fixed by the pattern below it, and fix what its entries mean."""


@dataclass(frozen=True)
class Wall:
    """One hyperplane that bounds the cell, or touches it: row(x) > 0 inside; the choices that vanish on it."""

    row: tuple[Any, ...]
    entries: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Cell:
    """An open cell of F_l (or, at a point p, a cone of F_l's local function, then in coordinates h = x - p).

    gradient: of F_l on the cell. rows: one integer form for each entry of the pattern, positive inside: a neuron's
    pre-activation up to sign, how much the winner of a window exceeds another entry; None where that is constant.
    units: bending node -> what its rows are to be divided by. hinged: entries that vanish at the point the cell was
    read off at, but not on the cell.
    """

    slice: Slice
    pattern: Pattern
    rows: tuple[Sequence[Any] | None, ...]
    units: Mapping[int, Any]
    gradient: tuple[Fraction, ...]
    hinged: tuple[int, ...]

    @cached_property
    def walls(self) -> tuple[Wall, ...]:
        """The half-spaces whose intersection is the cell, each named once, with all entries that vanish on it."""
        groups: dict[tuple[Any, ...], list[int]] = {}
        for entry, row in enumerate(self.rows):
            if row is not None:
                groups.setdefault(primitive(list(row)), []).append(entry)
        return tuple(Wall(row, tuple(entries)) for row, entries in groups.items())

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
        """For each entry of the pattern, the derivative of F_l with respect to its ReLU's, or its window's, output on
        the cell, exact."""
        masks = masks_of(self.slice, self.pattern)
        seed = np.array([ONE], dtype=object)
        found = differentiate(self.slice.network, RATIONAL, masks, seed, self.slice.start)
        derivatives: list[Any] = []
        for node in self.slice.bending:
            size = self.slice.network.sizes[node]
            outputs = found.get(node, [ZERO] * size)
            each = self.slice.choices(node) // size
            derivatives.extend(derivative for derivative in outputs for _ in range(each))
        return tuple(derivatives)

    def node_of(self, entry: int) -> int:
        """Id of the node that an entry of the pattern belongs to."""
        for node in self.slice.bending:
            entry -= self.slice.choices(node)
            if entry < 0:
                return node
        raise IndexError(f"the pattern has {len(self.pattern)} entries")

    @cached_property
    def unsettled(self) -> tuple[int, ...]:
        """Entries that are zero on the cell and may be non-zero in another one: neurons that wake, ties that part."""
        pairs = enumerate(zip(self.pattern, settled(self.slice), strict=True))
        return tuple(entry for entry, (sign, always) in pairs if sign == 0 and not always)


def masks_of(function: Slice, pattern: Pattern) -> dict[int, np.ndarray]:
    """ReLU node id -> boolean mask of its active neurons; max-pool node id -> mask (out, k) of the windows' winners."""
    masks, offset = {}, 0
    for node in function.bending:
        choices, size = function.choices(node), function.network.sizes[node]
        mask = np.array([sign > 0 for sign in pattern[offset : offset + choices]])
        pool = isinstance(function.network.nodes[node], MaxPool)
        masks[node] = mask.reshape(size, -1) if pool else mask
        offset += choices
    return masks


def settled(function: Slice) -> list[bool]:
    """Entries of the pattern that can do nothing where they are zero: neurons that are zero by their weights, entries
    of windows that hold nothing else, and repetitions in a window, which do what the first of them does."""
    flags: list[bool] = []
    zeros = always_zero(function.network)
    for index in function.bending:
        node = function.network.nodes[index]
        if isinstance(node, MaxPool):
            flags.extend((~node.fresh | zeros[index][:, None]).ravel().tolist())
        else:
            flags.extend(zeros[index].tolist())
    return flags


def cell_at(function: Slice, point: np.ndarray, *directions: np.ndarray) -> Cell:
    """The cell of F_l that holds `point`, or the one next to it that is reached first along `directions`, then in
    a generic direction. point, directions: (size,) exact."""
    found = evaluate_germ(function, germ(point, *directions))
    pattern: list[int] = []
    rows: list[list[Any] | None] = []
    hinged, units = [], {}
    for node in function.bending:
        deciding, winners = decisions(function, node, found)
        signs = _signs(deciding, winners)
        units[node] = deciding.unit
        for sign, row in zip(signs, deciding.rows(), strict=True):
            form = _oriented(row, function.size)
            if form is not None and row[0] == 0:
                hinged.append(len(rows))
            pattern.append(sign)
            rows.append(form)
    return Cell(function, tuple(pattern), tuple(rows), units, _gradient(function, found), tuple(hinged))


def as_cone(cell: Cell) -> Cell:
    """The cone that a cell makes at the point it was read off at: only entries that vanish there bound it, and its
    rows are forms in h = x - point."""
    hinged = set(cell.hinged)
    rows = tuple(
        (*row[:-1], row[-1] * 0) if row is not None and entry in hinged else None for entry, row in enumerate(cell.rows)
    )
    return replace(cell, rows=rows)


def cone_at(function: Slice, point: np.ndarray, *directions: np.ndarray) -> Cell:
    """The cone of F_l's local function at `point` that `directions` lead into."""
    return as_cone(cell_at(function, point, *directions))


def evaluate_germ(function: Slice, start: Germ) -> Mapping[int, Germ]:
    """Germs of all nodes of F_l, given one in the space it lives on."""
    feeds = {node: constant(value, start) for node, value in function.bypass.items()}
    return evaluate(function.network, GERM, {**feeds, function.start: start})


def decisions(function: Slice, index: int, found: Mapping[int, Germ]) -> tuple[Germ, np.ndarray | None]:
    """What decides a bending node's choices: a ReLU's pre-activations and None, or by how much the winners of a
    max-pool's windows exceed its entries, and which entry wins each window."""
    node = function.network.nodes[index]
    source = found[node.sources[0]]
    return margins(source, node.index) if isinstance(node, MaxPool) else (source, None)


def _signs(deciding: Germ, winners: np.ndarray | None) -> list[int]:
    """A bending node's part of the pattern."""
    signs = [lexicographic_sign(row) for row in deciding.rows()]
    if winners is None:
        return signs
    signs = [-sign for sign in signs]
    width = len(signs) // len(winners)
    for window, winner in enumerate(winners):
        signs[window * width + winner] = 1
    return signs


def _oriented(row: list[Any], size: int) -> list[Any] | None:
    """The affine form that a row holds, with the sign that makes it positive on the cell; None if it is constant."""
    form = row[-size - 1 :]
    if is_zero(form[:-1]):
        return None
    return form if lexicographic_sign(row) > 0 else [-entry for entry in form]


def _gradient(function: Slice, found: Mapping[int, Germ]) -> tuple[Fraction, ...]:
    output = found[len(function.network.nodes) - 1]
    row, denominators = output.rows()[0], output.matrix.tolist()[-1]
    return fractions(over(row[-function.size - 1 : -1], denominators[-1]))
