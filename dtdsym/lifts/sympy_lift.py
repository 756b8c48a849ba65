"""A network as SymPy expressions, with weights that are numbers or symbols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from dtdsym.arithmetic.rational import fraction, fractions, vector
from dtdsym.arithmetic.symbolic import Symbolic
from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import BudgetSpent, InputError
from dtdsym.geometry.arrangement import Arrangement, arrangement
from dtdsym.geometry.box import Box
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.cell import Pattern
from dtdsym.lifts.cases import by_cells, gradients_by_cells
from dtdsym.lifts.naming import named_weights
from dtdsym.lifts.pieces import Piece, pattern_at, piece_of
from dtdsym.lifts.recursion import SymbolicRecursion, recursion_of
from dtdsym.lifts.taylor import Expansion, taylor
from dtdsym.lifts.values import evaluated, exactly
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network, checked
from dtdsym.network.plain import plain_layers

MOST_CELLS = 1000
"""Cells of a Piecewise, unless a budget says otherwise."""


@dataclass(frozen=True, eq=False)
class SympyLift:
    """A network f : R^in -> R^out as expressions of SymPy.

    inputs: real symbols x0, x1, ... . weights: symbol -> the network's own number; empty where the weights are numbers.
    smooth: whether something else stands in the place of the ReLU, so that there are no pieces.
    """

    network: Network
    inputs: tuple[sympy.Symbol, ...]
    weights: Mapping[sympy.Symbol, sympy.Rational]
    world: Symbolic
    smooth: bool

    @cached_property
    def outputs(self) -> tuple[sympy.Expr, ...]:
        """The whole function, nested Max for ReLUs and max-pools, not expanded. Written out it grows with the product
        of the widths, so it is made only when it is asked for."""
        feed = np.array(self.inputs, dtype=object)
        return tuple(evaluate(self.network, self.world, {0: feed})[len(self.network.nodes) - 1])

    def parameters(self, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Weight and bias of layer l (from 1), object arrays of expressions in the shapes that the layer has them.
        Raises InputError for a layer that does not exist."""
        node: Any = self.network.layer(layer).linear
        named = self.world.named
        weight, bias = (self.world.lift(named.get(id(a), a)) for a in (node.weight, node.bias))
        return weight, bias

    @cached_property
    def layer_inputs(self) -> tuple[tuple[sympy.Symbol, ...], ...]:
        """Symbols of a_1 (the inputs), a_2, ..., a_{n+1}, for the root functions of a plain network's layers: a2[0] is
        the first input of layer 2. Raises UnsupportedLayer for networks that are not plain."""
        sizes = [layer.size for layer in plain_layers(self.network)]
        above = (
            tuple(sympy.Symbol(f"a{number}[{i}]", real=True) for i in range(size))
            for number, size in enumerate(sizes, start=2)
        )
        return (self.inputs, *above)

    def pattern_at(self, x: Any) -> Pattern:
        """The activation pattern at x (in,), read exactly, with the network's own weights. Raises OnHinge."""
        self._require_pieces()
        return pattern_at(self.network, x)

    def piece(self, pattern: Sequence[int]) -> Piece:
        """The affine piece of an activation pattern, as dtdsym.geometry.cell defines it: an entry for each neuron of
        every ReLU, and for each entry of every max-pool's windows; arrangements name their cells so.

        Raises ShapeMismatch for a pattern of another length, InputError for one that no cell can have."""
        self._require_pieces()
        return piece_of(self.network, self.inputs, self.world, pattern)

    def piece_at(self, x: Any) -> Piece:
        """The piece of the cell that holds x. Raises OnHinge between cells."""
        return self.piece(self.pattern_at(x))

    def piecewise(self, *, box: Box | None = None, budget: Budget | None = None) -> tuple[sympy.Expr, ...]:
        """Each output as a Piecewise over the closed cells, equal to the network at every point (of the box).

        For networks of few inputs, with at most 1,000 cells unless the budget says otherwise. Raises BudgetSpent above
        that, InputError where the weights are symbols, whose cells are not known."""
        return by_cells(self._cells(box, budget), self.inputs, self.world)

    def gradients(self, *, box: Box | None = None, budget: Budget | None = None) -> tuple[tuple[sympy.Expr, ...], ...]:
        """gradients[i][k]: the derivative of output i by input k. Of a ReLU network a Piecewise over the open cells,
        without a case between them, and with `piecewise`'s limits; of a smooth one an expression."""
        if self.smooth:
            return tuple(tuple(sympy.diff(output, x) for x in self.inputs) for output in self.outputs)
        return gradients_by_cells(self._cells(box, budget), self.inputs, self.world)

    def taylor(
        self, root: Sequence[Any], order: int = 1, *, output: int = 0, pattern: Sequence[int] | None = None
    ) -> Expansion:
        """The expansion of one output around a root (in,), of numbers or expressions, with its exact remainder.

        pattern: of the piece that is expanded; its remainder is 0, and it is the network's expansion wherever input and
        root lie in the piece's closed cell. A smooth network needs none. Raises InputError, ShapeMismatch."""
        number = whole_number(output)
        if number is None or not 0 <= number < self.network.sizes[-1]:
            raise InputError(f"output {output!r} does not exist; the network has 0 to {self.network.sizes[-1] - 1}")
        if self.smooth:
            return taylor(self.outputs[number], self.inputs, root, order)
        if pattern is None:
            raise InputError("a ReLU network is expanded piece by piece; give pattern=lift.pattern_at(x)")
        return taylor(self.piece(pattern).outputs[number], self.inputs, root, order)

    def recursion(
        self, roots: Sequence[Any], *, pattern: Sequence[int] | None = None, x: Any = None, logit: int = 0
    ) -> SymbolicRecursion:
        """R^1, ..., R^{n+1} of Definition 3 as expressions, for a plain network; see dtdsym.lifts.recursion.

        roots[l - 1]: the root of layer l, entries in the symbols layer_inputs[l - 1], or a list of one a neuron j (at
        the last layer the explained logit's alone counts).
        Either pattern: every root is taken to keep it, for all inputs and weights of which that is true;
        or x: at each root the pattern that it has at x. `.at(x)` decides which of this holds.
        Raises UnsupportedLayer for networks that are not plain; InputError, ShapeMismatch; OnHinge."""
        self._require_pieces()
        return recursion_of(self.network, self.world, self.layer_inputs, self.weights, roots, pattern, x, logit)

    def at(self, x: Any, weights: Mapping[sympy.Symbol, Any] | None = None) -> tuple[Fraction, ...]:
        """The exact value of `outputs` at x (in,). weights: numbers for some weights in place of the network's own.

        Raises NotExact for a smooth network, whose values are not rational; InputError for what is no weight of this
        lift: a symbol of another kind, or an input."""
        if not isinstance(weights, Mapping | None):
            raise InputError(f"weights={weights!r:.70}: give numbers by weight, {{symbol: number}}")
        foreign = [symbol for symbol in weights or {} if symbol not in self.weights]
        if foreign:
            held = "its weights are numbers" if not self.weights else "its weights are the symbols in lift.weights"
            raise InputError(f"{', '.join(map(repr, foreign)):.70}: no weight of this lift; {held}")
        values = {**self._values(x), **{symbol: exactly(w, {}) for symbol, w in (weights or {}).items()}}
        return tuple(fraction(value) for value in evaluated(self.outputs, values))

    def exactly(self, expression: Any, x: Any) -> Fraction:
        """The exact value of any expression of this lift at x (in,), with the network's own weights."""
        return exactly(expression, self._values(x))

    def _values(self, x: Any) -> dict[sympy.Symbol, Fraction]:
        point = fractions(vector(x, size=len(self.inputs), name="x"))
        own = {symbol: Fraction(int(w.p), int(w.q)) for symbol, w in self.weights.items()}
        return {**own, **dict(zip(self.inputs, point, strict=True))}

    def _cells(self, box: Box | None, budget: Budget | None) -> Arrangement:
        self._require_pieces()
        if self.weights:
            raise InputError(
                "cells are known only for weights that are numbers; lift the network with weights='numbers'"
            )
        allowed = Budget(cells=MOST_CELLS) if budget is None else Budget.of(budget)
        try:
            return arrangement(self.network, box=box, budget=allowed)
        except BudgetSpent as err:
            raise BudgetSpent(
                f"{err} before all cells were listed; give a smaller box or a larger budget, or use piece(pattern)"
            ) from err

    def _require_pieces(self) -> None:
        if self.smooth:
            raise InputError("this lift has a smooth activation, so no pieces; lift the network with activation='relu'")


def to_sympy(
    network: Network, *, weights: str = "numbers", activation: str | Callable[[sympy.Expr], Any] = "relu"
) -> SympyLift:
    """The network as SymPy expressions, exact.

    weights: "numbers", or "symbols" W1[i,j], b1[i], ... (dtdsym.lifts.naming) whose numbers the lift keeps.
    activation: "relu"; or a smooth twin, with something else in the place of every ReLU: "softplus", log(1 + exp(z)),
    or a function of an expression. Max-pools stay. Raises InputError for another word."""
    checked(network)
    if weights not in ("numbers", "symbols"):
        raise InputError(f"weights={weights!r}: expected 'numbers' or 'symbols'")
    smooth = _softplus if activation == "softplus" else activation if callable(activation) else None
    if smooth is None and activation != "relu":
        raise InputError(f"activation={activation!r}: expected 'relu', 'softplus' or a function of an expression")
    named, numbers = named_weights(network) if weights == "symbols" else ({}, {})
    inputs = tuple(sympy.Symbol(f"x{i}", real=True) for i in range(network.sizes[0]))
    return SympyLift(network, inputs, numbers, Symbolic(named, smooth), smooth is not None)


def _softplus(z: sympy.Expr) -> sympy.Expr:
    return sympy.log(1 + sympy.exp(z))
