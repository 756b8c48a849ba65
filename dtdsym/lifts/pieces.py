"""The affine piece of an activation pattern: what a network is on one cell, and the inequalities of the cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from dtdsym.arithmetic.germ import GERM, affine_forms, integers, is_zero, over
from dtdsym.arithmetic.rational import RATIONAL, fractions, vector
from dtdsym.arithmetic.symbolic import Symbolic
from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import InputError, OnHinge, ShapeMismatch
from dtdsym.geometry.cell import Pattern, cell_at, masks_of
from dtdsym.network.evaluate import apply
from dtdsym.network.layers import MaxPool, Relu
from dtdsym.network.network import Network
from dtdsym.network.slice import Slice


@dataclass(frozen=True, eq=False)
class Piece:
    """The network on the open cell of one activation pattern.

    outputs: affine in the inputs. positive: what is > 0 on the cell, and its only inequalities. zero: what vanishes on
    the cell for every input; where weights are numbers that is known, and where they are symbols each entry is an
    equation that the weights have to solve. Nothing here says that the cell has points.
    """

    inputs: tuple[sympy.Symbol, ...]
    pattern: Pattern
    outputs: tuple[sympy.Expr, ...]
    positive: tuple[sympy.Expr, ...]
    zero: tuple[sympy.Expr, ...]

    @cached_property
    def gradients(self) -> tuple[tuple[sympy.Expr, ...], ...]:
        """gradients[i][k] is the derivative of output i by input k."""
        return tuple(tuple(sympy.diff(output, x) for x in self.inputs) for output in self.outputs)

    @property
    def cell(self) -> sympy.Basic:
        """The open cell, as one condition on the inputs (and, besides `zero`, on the weights)."""
        return sympy.And(*(form > 0 for form in self.positive))

    @property
    def closure(self) -> sympy.Basic:
        """The closed cell; the piece is the network there too."""
        return sympy.And(*(form >= 0 for form in self.positive))


def whole(network: Network) -> Slice:
    """The network as a function of its inputs, whose choices make the patterns here."""
    return Slice(network, 0, {})


def pattern_at(network: Network, x: Any) -> Pattern:
    """The activation pattern of the cell that holds x (in,), exact. Raises OnHinge where x lies in none."""
    cell = cell_at(whole(network), vector(x, size=network.sizes[0], name="x"))
    if cell.hinged:
        node = cell.node_of(cell.hinged[0])
        raise OnHinge(
            f"x lies between cells: {len(cell.hinged)} choices tie there, the first in node {node} "
            f"{network.nodes[node].name!r}; move x, or give the pattern of one of the cells"
        )
    return cell.pattern


def piece_of(network: Network, inputs: Sequence[sympy.Symbol], world: Symbolic, pattern: Sequence[int]) -> Piece:
    """The piece of a pattern, in dtdsym.geometry.cell's sense: an entry for each neuron of every ReLU, and for each
    entry of every max-pool's windows. Raises ShapeMismatch, and InputError for what no cell can choose."""
    own = checked_pattern(network, pattern)
    return _with_symbols(network, inputs, world, own) if world.named else _with_numbers(network, inputs, world, own)


def checked_pattern(network: Network, pattern: Sequence[int]) -> Pattern:
    """The pattern, if it is one. Raises ShapeMismatch, InputError."""
    if not isinstance(pattern, Iterable):
        raise ShapeMismatch(f"the pattern is {pattern!r:.70}; give its entries, 1, -1 or 0, as pattern_at(x) does")
    function, own = whole(network), tuple(pattern)
    expected = sum(function.choices(node) for node in function.bending)
    if len(own) != expected:
        raise ShapeMismatch(f"a pattern of {len(own)} entries; this network makes {expected} choices")
    strange = [entry for entry in own if whole_number(entry) not in (-1, 0, 1)]
    if strange:
        raise InputError(f"the pattern holds {strange!s:.70}; its entries are 1, -1 or 0")
    for node, mask in masks_of(function, own).items():
        if mask.ndim == 2 and not (mask.sum(axis=1) == 1).all():
            raise InputError(f"node {node}: every window of a max-pool has one winner, so one entry 1 in the pattern")
    return own


@dataclass(eq=False)
class _Choices:
    """Goes through a pattern node by node, and notes what has to be positive, and what zero. Values are rows of
    numbers, or expressions."""

    pattern: Pattern
    offset: int = 0
    positive: list[Any] = field(default_factory=list)
    zero: list[Any] = field(default_factory=list)

    def at(self, node: Relu | MaxPool, source: Sequence[Any], nothing: Any) -> list[Any]:
        """What the node passes on."""
        if isinstance(node, Relu):
            return [value if self._sign(value) > 0 else nothing for value in source]
        return [self._winner([source[place] for place in window]) for window in node.index]

    def _sign(self, value: Any) -> int:
        """The next entry of the pattern: a neuron's."""
        sign = self._next(1)[0]
        self._note(sign, value if sign >= 0 else _minus(0, value))
        return sign

    def _winner(self, window: list[Any]) -> Any:
        signs = self._next(len(window))
        greatest = window[signs.index(1)]
        for sign, value in zip(signs, window, strict=True):
            if sign < 1:
                self._note(-sign, _minus(greatest, value))
        return greatest

    def _next(self, count: int) -> Pattern:
        self.offset += count
        return self.pattern[self.offset - count : self.offset]

    def _note(self, sign: int, value: Any) -> None:
        (self.positive if sign else self.zero).append(value)


def _minus(left: Any, right: Any) -> Any:
    if isinstance(right, list):
        return [-b for b in right] if left == 0 else [a - b for a, b in zip(left, right, strict=True)]
    return left - right


def _with_numbers(network: Network, inputs: Sequence[sympy.Symbol], world: Symbolic, pattern: Pattern) -> Piece:
    """Affine forms as rows of integers, which become expressions at the end."""
    size = len(inputs)
    values = {0: affine_forms(RATIONAL.lift([0] * size), RATIONAL.lift(np.eye(size, dtype=int)))}
    positive: dict[sympy.Expr, None] = {}
    choices = _Choices(pattern)

    def expression(row: Any, unit: Any) -> sympy.Expr:
        *slopes, constant = fractions(over(row, unit))
        return world.combination(slopes, inputs, constant)

    for index, node in enumerate(network.nodes[1:], start=1):
        if not isinstance(node, Relu | MaxPool):
            values[index] = apply(node, GERM, values)
            continue
        source, noted = values[node.source], len(choices.positive)
        values[index] = source.with_rows(choices.at(node, source.rows(), integers([0] * (size + 1))))
        forms = [expression(row, source.unit) for row in choices.positive[noted:]]
        if any(form.is_Number and form <= 0 for form in forms) or not all(map(is_zero, choices.zero)):
            raise InputError(f"no cell has this pattern: node {index} {node.name!r} contradicts it for all inputs")
        positive.update(dict.fromkeys(form for form in forms if not form.is_Number))
    result = values[len(network.nodes) - 1]
    outputs = tuple(expression(row, result.unit) for row in result.rows())
    return Piece(tuple(inputs), pattern, outputs, tuple(positive), ())


def _with_symbols(network: Network, inputs: Sequence[sympy.Symbol], world: Symbolic, pattern: Pattern) -> Piece:
    """Nested expressions, not expanded, for weights that may be anything."""
    values: dict[int, Any] = {0: np.array(inputs, dtype=object)}
    choices = _Choices(pattern)
    for index, node in enumerate(network.nodes[1:], start=1):
        if isinstance(node, Relu | MaxPool):
            values[index] = world.lift(choices.at(node, values[node.source], sympy.S.Zero))
        else:
            values[index] = apply(node, world, values)
    zero = [part for form in choices.zero for part in _coefficients(form, inputs)]
    outputs = tuple(values[len(network.nodes) - 1])
    return Piece(tuple(inputs), pattern, outputs, tuple(dict.fromkeys(choices.positive)), tuple(dict.fromkeys(zero)))


def _coefficients(form: sympy.Expr, inputs: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
    """What has to vanish for an affine form to vanish for all inputs."""
    parts = [*(sympy.diff(form, x) for x in inputs), form.xreplace(dict.fromkeys(inputs, sympy.S.Zero))]
    return [part for part in parts if part != 0]
