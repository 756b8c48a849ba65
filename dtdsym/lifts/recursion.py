"""Definition 3 as expressions: R^{n+1}(a) = a_logit e_logit, and for l = n..1

R^l(a) = sum_j grad(R^{l+1}_j o f_l)(root^(j)(a)) o (a - root^(j)(a)),

with SymPy's derivatives, which reach into the root functions inside R^{l+1}. A layer f_l is affine where it keeps its
pattern, and the pattern that counts is the one at the root: just beyond it towards the layer's input, where the root
lies on a hinge. Which pattern that is depends on the way down to it, layer by layer: on the neurons j_1, j_2, ... whose
roots are taken. A `State` says it for every way. It is either the same everywhere, as a caller asserts (then weights
may be symbols, and the expressions hold for all inputs and weights at which the roots keep the pattern), or read off at
one input, over exact rationals with infinitesimal steps (then they hold around this input).

A root function is the expression that SymPy makes of it: SymPy cancels a / a, so that a rule's root can stand where the
rule itself has none (w.v = 0). Elsewhere a division by 0 has no value, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from dtdsym.arithmetic.dual import DUAL, Dual, side
from dtdsym.arithmetic.rational import fractions, vector
from dtdsym.arithmetic.symbolic import Symbolic
from dtdsym.errors import Inadmissible, InputError, OnHinge, ShapeMismatch
from dtdsym.geometry.cell import masks_of
from dtdsym.lifts.pieces import checked_pattern, whole
from dtdsym.lifts.values import evaluated, exact_expressions, exactly, is_listed
from dtdsym.network.network import Network
from dtdsym.network.plain import PlainLayer, plain_layers

Mask = tuple[bool, ...]
Vector = tuple[sympy.Expr, ...]


@dataclass(frozen=True)
class State:
    """Which neurons of layer l are active at the root of each neuron j, and the number of the state that the layer
    above is in there. None for the neurons of the last layer that are not explained."""

    layer: int
    roots: tuple[tuple[Mask, int] | None, ...]


@dataclass(eq=False)
class Symbols:
    """What the recursion is made of: the layers, their inputs' symbols, pre-activations and roots as expressions."""

    layers: tuple[PlainLayer, ...]
    inputs: tuple[tuple[sympy.Symbol, ...], ...]
    preactivations: tuple[Vector, ...]
    roots: tuple[tuple[Vector | None, ...], ...]
    weights: Mapping[sympy.Symbol, Fraction]
    logit: int
    states: dict[State, int] = field(default_factory=dict)

    def known(self, state: State) -> int:
        """The number of a state; equal ones have one number."""
        return self.states.setdefault(state, len(self.states))

    def counting(self, number: int) -> np.ndarray:
        """Which neurons of layer l relevance can pass through: of the last layer the logit alone."""
        size = self.layers[number - 1].size
        return np.arange(size) == self.logit if number == len(self.layers) else np.ones(size, dtype=bool)

    def everywhere(self, masks: Sequence[Mask]) -> int:
        """The state in which every root of layer l has the mask masks[l - 1]."""
        above = 0
        for number in range(len(self.layers), 0, -1):
            mask = tuple(one and counts for one, counts in zip(masks[number - 1], self.counting(number), strict=True))
            row = tuple(None if root is None else (mask, above) for root in self.roots[number - 1])
            above = self.known(State(number, row))
        return above

    def state_at(self, number: int, a: Dual) -> int:
        """The state of layer l at its input a (d_l,), which may lie beside a hinge. Raises OnHinge."""
        if number > len(self.layers):
            return 0
        known = {**self.weights, **dict(zip(self.inputs[number - 1], a, strict=True))}
        rows = [None if root is None else self._beyond(number, a, root, known) for root in self.roots[number - 1]]
        return self.known(State(number, tuple(rows)))

    def _beyond(self, number: int, a: Dual, root: Vector, known: Mapping[sympy.Symbol, Any]) -> tuple[Mask, int]:
        """The mask just beyond a root towards a, and the state above it."""
        layer = self.layers[number - 1]
        point = DUAL.join([DUAL.lift(value).reshape(1) for value in evaluated(root, known)])
        counting = self.counting(number)
        z = layer.preactivation(DUAL, point + (a - point) * side(number)) * counting
        signs = z.sign() if layer.rectified else counting.astype(int)
        if bool(((signs == 0) & layer.weighted & counting).any()):
            raise OnHinge(f"a root of layer {number} lies on a hinge that the way to the layer's input does not leave")
        mask = tuple(bool(sign > 0) for sign in signs)
        return mask, self.state_at(number + 1, z * np.array(mask))


@dataclass(frozen=True, eq=False)
class SymbolicRecursion:
    """R^1, ..., R^{n+1} of Definition 3 as expressions, in the state of one pattern or one input.

    inputs[l - 1]: the symbols that R^l is a function of. roots[l - 1][j]: the root of neuron j of layer l."""

    symbols: Symbols
    state: int

    @property
    def inputs(self) -> tuple[tuple[sympy.Symbol, ...], ...]:
        """See above."""
        return self.symbols.inputs

    @property
    def roots(self) -> tuple[tuple[Vector | None, ...], ...]:
        """See above; None for the neurons of the last layer that are not explained."""
        return self.symbols.roots

    @property
    def relevance(self) -> Vector:
        """R^1(x) in the network's inputs, not expanded."""
        return self._relevances(1, self.state)

    @cached_property
    def layers(self) -> tuple[Vector, ...]:
        """R^1, ..., R^{n+1}, each in the symbols of its layer's input. Raises InputError where the states above differ
        from root to root, as they may if they were read off at an input: then R^l is not one expression."""
        found, state = [self.relevance], self.state
        for number in range(1, len(self.symbols.layers) + 1):
            above = {entry[1] for entry in self._states[state].roots if entry is not None}
            if len(above) > 1:
                raise InputError(f"R^{number + 1} is in {len(above)} different states at the roots of layer {number}")
            state = above.pop()
            found.append(self._relevances(number + 1, state))
        return tuple(found)

    def at(self, x: Any) -> tuple[Fraction, ...]:
        """R^1(x) exactly, with the network's own weights. Raises Inadmissible if the state at x is another one: then
        the expressions say nothing about x; and OnHinge."""
        first = self.inputs[0]
        point = vector(x, size=len(first), name="x")
        if self.symbols.state_at(1, DUAL.lift(point)) != self.state:
            raise Inadmissible(
                "at this x some root has another activation pattern than these expressions were made for; ask with x=x"
            )
        values = {**self.symbols.weights, **dict(zip(first, fractions(point), strict=True))}
        return tuple(exactly(entry, values) for entry in self.relevance)

    @cached_property
    def _states(self) -> dict[int, State]:
        return {number: state for state, number in self.symbols.states.items()}

    @cached_property
    def _kept(self) -> dict[tuple[int, int], Vector]:
        return {}

    def _relevances(self, number: int, state: int) -> Vector:
        """R^l in one state, made once."""
        if (number, state) not in self._kept:
            self._kept[number, state] = self._made(number, state)
        return self._kept[number, state]

    def _made(self, number: int, state: int) -> Vector:
        own, a = self.symbols, self.inputs[number - 1]
        if number > len(own.layers):
            return tuple(entry if k == own.logit else sympy.S.Zero for k, entry in enumerate(a))
        totals: list[list[sympy.Expr]] = [[] for _ in a]
        for j, (root, entry) in enumerate(zip(own.roots[number - 1], self._states[state].roots, strict=True)):
            if root is None or entry is None:
                continue
            mask, above = entry
            composed = self._composed(number, mask, self._relevances(number + 1, above)[j])
            at_root = dict(zip(a, root, strict=True))
            for total, ai, ri in zip(totals, a, root, strict=True):
                total.append(sympy.diff(composed, ai).xreplace(at_root) * (ai - ri))
        return tuple(sympy.Add(*total) for total in totals)

    def _composed(self, number: int, mask: Mask, relevance: sympy.Expr) -> sympy.Expr:
        """R^{l+1}_j o f_l, where f_l has these active neurons."""
        z = self.symbols.preactivations[number - 1]
        out = (zk if active else sympy.S.Zero for zk, active in zip(z, mask, strict=True))
        return relevance.xreplace(dict(zip(self.inputs[number], out, strict=True)))


def recursion_of(
    network: Network,
    world: Symbolic,
    inputs: tuple[tuple[sympy.Symbol, ...], ...],
    weights: Mapping[sympy.Symbol, sympy.Rational],
    roots: Sequence[Any],
    pattern: Sequence[int] | None,
    x: Any,
    logit: int,
) -> SymbolicRecursion:
    """See SympyLift.recursion."""
    layers = plain_layers(network)
    network.logit(logit)
    if (pattern is None) == (x is None):
        raise InputError("a recursion is for one pattern that every root keeps, or for one input: give pattern= or x=")
    if not is_listed(roots):
        raise ShapeMismatch(f"roots is {roots!r:.70}; give a list of {len(layers)}, one entry a layer")
    if len(roots) != len(layers):
        raise ShapeMismatch(f"{len(roots)} entries in roots for {len(layers)} layers; give one a layer, first to last")
    found = tuple(
        _roots_of(given, layer, logit if layer.number == len(layers) else None)
        for given, layer in zip(roots, layers, strict=True)
    )
    numbers = {symbol: Fraction(int(w.p), int(w.q)) for symbol, w in weights.items()}
    feeds = (np.array(symbols, dtype=object) for symbols in inputs)
    z = tuple(tuple(layer.preactivation(world, a)) for layer, a in zip(layers, feeds, strict=False))
    symbols = Symbols(layers, inputs, z, found, numbers, logit)
    if pattern is None:
        point = DUAL.lift(vector(x, size=network.sizes[0], name="x"))
        return SymbolicRecursion(symbols, symbols.state_at(1, point))
    masks = iter(masks_of(whole(network), checked_pattern(network, pattern)).values())
    rows = [tuple(map(bool, next(masks))) if layer.rectified else (True,) * layer.size for layer in layers]
    return SymbolicRecursion(symbols, symbols.everywhere(rows))


def _roots_of(given: Any, layer: PlainLayer, only: int | None) -> tuple[Vector | None, ...]:
    """The roots of every neuron of a layer; None for those that are not explained. Raises ShapeMismatch."""
    if not is_listed(given):
        raise ShapeMismatch(
            f"layer {layer.number}: its root is {given!r:.70}; give {layer.width} coordinates, or a list of "
            "such for each neuron"
        )
    each = bool(len(given)) and isinstance(given[0], list | tuple | np.ndarray | None)
    if each and len(given) != layer.size:
        raise ShapeMismatch(f"layer {layer.number}: roots for {len(given)} neurons; it has {layer.size}")
    own = given if each else [given] * layer.size
    return tuple(None if only not in (None, j) else _root(root, layer) for j, root in enumerate(own))


def _root(given: Any, layer: PlainLayer) -> Vector:
    if not is_listed(given):
        raise ShapeMismatch(f"layer {layer.number}: a root is {given!r:.70}; give {layer.width} coordinates")
    root = tuple(exact_expressions(list(given)))
    if len(root) != layer.width:
        raise ShapeMismatch(
            f"layer {layer.number}: a root has {len(root)} coordinates; the layer's input {layer.width}"
        )
    return root
