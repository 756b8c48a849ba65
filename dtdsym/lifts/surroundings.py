"""Where the input of a question lies: in any open cell, as a lift of the network says, or in one that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import z3

from dtdsym.arithmetic.rational import RATIONAL, fraction
from dtdsym.arithmetic.smt import Smt
from dtdsym.errors import OnHinge
from dtdsym.geometry.cell import Cell, cell_at
from dtdsym.lifts.choices import Choices
from dtdsym.lifts.z3_lift import Terms
from dtdsym.network.slice import Slice


class Surroundings(Protocol):
    """The cell of an input x, as formulas and terms over x."""

    @property
    def formulas(self) -> list[z3.BoolRef]:
        """Together: x lies in the open cell."""

    @property
    def logit(self) -> z3.ArithRef:
        """F at x."""

    @property
    def gradient(self) -> Sequence[z3.ArithRef]:
        """F's gradient on the cell (in,)."""

    def holds(self, point: Choices, *, closed: bool) -> list[z3.BoolRef]:
        """Together: the open cell, or its closure, holds the inputs of another lift."""


@dataclass(frozen=True, eq=False)
class AnyCell:
    """Whichever cell x is in: all patterns are free."""

    choices: Choices

    @property
    def formulas(self) -> list[z3.BoolRef]:
        """Every choice is decided."""
        return [*self.choices.lift.constraints, *self.choices.decided()]

    @property
    def logit(self) -> z3.ArithRef:
        """The lifted output."""
        return self.choices.lift.outputs[0]

    @property
    def gradient(self) -> Sequence[z3.ArithRef]:
        """By the chain rule over choices."""
        return gradient(self.choices)

    def holds(self, point: Choices, *, closed: bool) -> list[z3.BoolRef]:
        """Both make the same choices, or in the closure the point ties."""
        return self.choices.shared(point, closed=closed)


@dataclass(frozen=True, eq=False)
class OneCell:
    """The cell that geometry found: its walls, and the affine form that F is on it; no choice is left to the solver."""

    cell: Cell
    inputs: Terms
    at: np.ndarray

    @cached_property
    def _smt(self) -> Smt:
        return Smt()

    @property
    def formulas(self) -> list[z3.BoolRef]:
        """Inside all walls."""
        return [self._form(wall.row, self.inputs) > 0 for wall in self.cell.walls]

    @property
    def logit(self) -> z3.ArithRef:
        """gradient . x + constant."""
        slopes = RATIONAL.lift(self.cell.gradient)
        return self._form([*slopes, self.cell.slice(self.at) - (slopes * self.at).sum()], self.inputs)

    @property
    def gradient(self) -> Sequence[z3.ArithRef]:
        """Numerals."""
        return [self._smt.number(entry) for entry in self.cell.gradient]

    def holds(self, point: Choices, *, closed: bool) -> list[z3.BoolRef]:
        """Beyond no wall; in the open cell on none."""
        heights = [self._form(wall.row, point.lift.inputs) for wall in self.cell.walls]
        return [height >= 0 if closed else height > 0 for height in heights]

    def _form(self, row: Sequence[Any], terms: Terms) -> z3.ArithRef:
        *factors, constant = map(fraction, row)
        return self._smt.combination(factors, terms, constant)


def one_cell(function: Slice, point: np.ndarray, inputs: Terms) -> OneCell:
    """The cell that holds a point. Raises OnHinge."""
    return OneCell(open_cell(function, point), inputs, point)


def open_cell(function: Slice, point: np.ndarray) -> Cell:
    """The open cell that holds a point. Raises OnHinge where none does."""
    cell = cell_at(function, point)
    if cell.hinged:
        raise OnHinge(f"{len(cell.hinged)} neurons or pool entries tie at the point: no open cell holds it; move it")
    return cell


def gradient(choices: Choices) -> list[z3.ArithRef]:
    """Of the only output with respect to the inputs, where all choices are decided."""
    return list(choices.tangents[len(choices.lift.network.nodes) - 1][:, 0])
