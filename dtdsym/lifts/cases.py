"""A whole piecewise linear network as cases: one for each open cell of its arrangement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import sympy

from dtdsym.arithmetic.symbolic import Symbolic
from dtdsym.geometry.arrangement import Arrangement, OpenCell


def by_cells(found: Arrangement, inputs: Sequence[sympy.Symbol], world: Symbolic) -> tuple[sympy.Expr, ...]:
    """Each output as a Piecewise over the closed cells: the network is continuous, so that it does not matter which of
    the cases holds on a hinge. Without a box the closed cells cover the space; outside a box there is no case."""

    def cases(output: int) -> sympy.Expr:
        pairs = [
            (world.combination(cell.gradients[output], inputs, cell.constants[output]), condition)
            for cell, condition in zip(found.cells, conditions, strict=True)
        ]
        return sympy.Piecewise(*pairs, evaluate=False)

    conditions = _conditions(found, inputs, world, lambda form: form >= 0)
    return tuple(cases(output) for output in range(len(found.cells[0].gradients)))


def gradients_by_cells(
    found: Arrangement, inputs: Sequence[sympy.Symbol], world: Symbolic
) -> tuple[tuple[sympy.Expr, ...], ...]:
    """The derivative of each output by each input, over the open cells; between cells there is no case."""

    def cases(output: int, place: int) -> sympy.Expr:
        slopes = (world.number(cell.gradients[output][place]) for cell in found.cells)
        return sympy.Piecewise(*zip(slopes, conditions, strict=True), evaluate=False)

    conditions = _conditions(found, inputs, world, lambda form: form > 0)
    outputs = range(len(found.cells[0].gradients))
    return tuple(tuple(cases(output, place) for place in range(len(inputs))) for output in outputs)


def _conditions(
    found: Arrangement, inputs: Sequence[sympy.Symbol], world: Symbolic, sided: Callable[[sympy.Expr], Any]
) -> list[sympy.Basic]:
    return [_condition(cell, inputs, world, sided) for cell in found.cells]


def _condition(
    cell: OpenCell, inputs: Sequence[sympy.Symbol], world: Symbolic, sided: Callable[[sympy.Expr], Any]
) -> sympy.Basic:
    forms = [[Fraction(entry) for entry in row] for row in cell.inequalities]
    return sympy.And(*(sided(world.combination(row[:-1], inputs, row[-1])) for row in forms), evaluate=False)
