"""The matrix by which relevance passes from one node of a network down to another, at one input: its columns by unit
relevances, its column sums by one pass upwards, its signs layer by layer. It is never held as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from dtdsym.arithmetic import Arithmetic
from dtdsym.arithmetic.enclosure import Enclosure
from dtdsym.network.cut import ancestors
from dtdsym.network.evaluate import max_masks
from dtdsym.network.layers import (
    Add,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Linear,
    MaxPool,
    Relu,
    Scale,
    Take,
)
from dtdsym.network.network import Network
from dtdsym.network.receptive import Layer
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.parts import NEGATIVE, WHOLE, Part
from dtdsym.relevance.rule import Rule, blocks
from dtdsym.relevance.shares import Share, forward, steps
from dtdsym.relevance.state import State
from dtdsym.relevance.train_free import at_last_use, propagate, stabilised, through_add


@dataclass(frozen=True, eq=False)
class Propagation:
    """How a composite passes relevance down a network at one input. values: node id -> value (1, width) in `ops`."""

    network: Network
    ops: Arithmetic
    values: Mapping[int, Any]
    chosen: Composite

    def pushed(self, relevance: Any, high: int, low: int = 0) -> Any:
        """Relevance (n, width) of node `high`, passed down to node `low` (n, width)."""
        if high == low:
            return relevance
        found = propagate(self.network, self.ops, self.values, self.chosen, low, seed=relevance, top=high)
        return found.at[low]

    def columns(self, neurons: np.ndarray, high: int, low: int = 0) -> Any:
        """What unit relevances of these neurons (n,) of node `high` become at node `low`: (n, width)."""
        units = np.zeros((len(neurons), self.network.sizes[high]))
        units[np.arange(len(neurons)), neurons] = 1.0
        return self.pushed(self.ops.lift(units), high, low)

    def rule(self, layer: Layer) -> Rule:
        """The rule of a layer."""
        return self.chosen.rule(layer, self.network)

    def carrying(self, node: int, *, surely: bool = False) -> np.ndarray:
        """(width,) mask: neurons of a node that the rules of the layers that read it can send relevance to, whatever
        these layers' weights are. False is a theorem: all that the rule multiplies with is exactly 0 there. surely:
        True is one, and False is none: something that it multiplies with certainly is not 0."""
        everything = np.ones(self.network.sizes[node], dtype=bool)
        readers = {index for index, other in enumerate(self.network.nodes) if node in other.sources}
        layers = [layer for layer in self.network.linear.values() if layer.source == node]
        if len(layers) != len(readers) or not layers:
            return everything
        return reduce(np.logical_or, [self._carrying(layer, everything, surely) for layer in layers])

    def _carrying(self, layer: Layer, everything: np.ndarray, surely: bool) -> np.ndarray:
        factors = [value for share in self._shares(layer) or () for value, _ in share.terms]
        if not factors or not all(getattr(value, "shape", ()) for value in factors):
            return everything
        zero = _perhaps_zeros if surely else _zeros
        return ~reduce(np.logical_and, [zero(value).reshape(-1) for value in factors])

    def _shares(self, layer: Layer) -> list[Share] | None:
        """The formula of a layer's rule; None where it has none."""
        rule = self.rule(layer)
        if rule.family.shares is None:
            return None
        state = self._state(layer)
        parameters = (state.lift(parameter) for parameter in rule.parameters)
        return list(rule.family.shares(state, *parameters))

    def _seen(self, layer: Layer) -> Mapping[int, Any]:
        """The values at which a layer passes relevance on."""
        return self.values if self.chosen.reuse == "own" else at_last_use(self.network, layer, self.values)

    def _state(self, layer: Layer) -> State:
        seen = self._seen(layer)
        return State(self.ops, layer, seen[layer.source], seen[layer.output])

    def signed(self, high: int, low: int = 0) -> str | None:
        """Which node between two cuts is not proved to pass on non-negative shares only; None: all are."""
        for index in sorted(ancestors(self.network, high) - ancestors(self.network, low), reverse=True):
            node = self.network.nodes[index]
            if index in self.network.linear:
                layer = self.network.linear[index]
                if not self._nonnegative(layer):
                    which = f"layer {layer.number}" if layer.number else f"{layer.kind} node {index}"
                    return f"at {which} {self.rule(layer).label} is not known to pass on non-negative shares only"
            elif isinstance(node, Add):
                if not all(_at_least_zero(part) for _, part in self._shares_of_add(index, node)):
                    return f"the addition at node {index} splits relevance into shares of both signs"
            elif isinstance(node, MaxPool) and self.chosen.maxpool != "winner":
                return f"the max-pool at node {index} passes relevance on by maxpool={self.chosen.maxpool}"
        return None

    def _shares_of_add(self, index: int, node: Add) -> list[tuple[int, Any]]:
        one, total = self._ones(index), self.values[index]
        return through_add(self.network, node, self.ops, self.values, one, total, self.chosen)[0]

    def _ones(self, index: int) -> Any:
        return self.ops.lift(np.ones((1, self.network.sizes[index])))

    def _nonnegative(self, layer: Layer) -> bool:
        shares = self._shares(layer)
        if shares is None:
            return not self.rule(layer).family.whole and self._messages_nonnegative(layer)
        return all(self._share_nonnegative(layer, share) for share in shares)

    def _messages_nonnegative(self, layer: Layer) -> bool:
        """All messages of neurons that have relevance 1, block by block."""
        rule, one = self.rule(layer), self._ones(layer.output)
        return all(
            _at_least_zero(rule.messages(rule.neurons(self.ops, layer, self._seen(layer), one, block)))
            for block in blocks(layer, 1)
        )

    def _share_nonnegative(self, layer: Layer, share: Share) -> bool:
        """By the signs of its factors. A sum of terms that are not negative needs no look."""
        if bool(np.all(_zeros(share.coefficient))):
            return True
        if share.fixed is not None or not _at_least_zero(share.coefficient):
            return False
        if not all(self._term_nonnegative(layer, value, part) for value, part in share.terms):
            return False
        if share.undivided or (share.bias is None and share.denominator is None):
            return True
        total = steps(self._state(layer), share, self._ones(layer.output))[1]
        return _at_least_zero(total)

    def _term_nonnegative(self, layer: Layer, value: Any, part: Part) -> bool:
        own = self.values[layer.source]
        known = value is own and layer.source in self.network.nonnegative
        up, down = known or _at_least_zero(value), _at_least_zero(-value)
        least, most = _signs(layer) if part is WHOLE else (-1, 0) if part is NEGATIVE else (0, 1)
        return (up and least >= 0) or (down and most <= 0) or (up and down)

    def sums(self, high: int) -> Mapping[int, Any]:
        """Node id -> sums over the input of its neurons' columns (1, width): what of a unit relevance arrives there,
        for `high` and the nodes that it depends on. Raises RuleError where a rule takes a layer as one matrix."""
        found = {0: self._ones(0)}
        for index in sorted(ancestors(self.network, high) - {0}):
            if index in self.network.linear:
                layer = self.network.linear[index]
                found[index] = self._through(layer, found[layer.source])
            elif not isinstance(self.network.nodes[index], Linear):  # else folded into the layer above it
                found[index] = self._up(index, found)
        return found

    def _up(self, index: int, found: Mapping[int, Any]) -> Any:
        ops, node = self.ops, self.network.nodes[index]
        match node:
            case Relu():
                z = self.values[node.source]
                return (
                    found[node.source] if self.chosen.relu == "pass" else found[node.source] * ops.ratio(ops.relu(z), z)
                )
            case Add():
                return reduce(ops.add, [found[s] * part for s, part in self._shares_of_add(index, node)])
            case Concat():
                return ops.join([found[source] for source in node.sources])
            case Take():
                return ops.take(found[node.source], node.index)
            case MaxPool():
                mask, top = max_masks(self.network, index, ops, self.values), self.values[index]
                passed = ops.total(ops.take(found[node.source], node.index) * mask)
                epsilon = self.chosen.epsilon("maxpool")
                return passed if epsilon is None else stabilised(ops, passed, top, epsilon) * top
        raise TypeError(f"node {index}, a {type(node).__name__}, passes no relevance")

    def _through(self, layer: Layer, below: Any) -> Any:
        """sum_i below_i M_ij."""
        shares, one = self._shares(layer), self._ones(layer.output)
        if shares is None:
            rule = self.rule(layer)
            parts = [rule.neurons(self.ops, layer, self._seen(layer), one, block) for block in blocks(layer, 1)]
            return self.ops.join([self.ops.total(rule.messages(part) * part.on_fields(below)) for part in parts])
        state = self._state(layer)
        found = []
        for share in shares:
            step, _, _ = steps(state, share, one)
            found += [forward(state, (below * value, part)) * step for value, part in share.terms]
        return reduce(self.ops.add, found)


def _signs(layer: Layer) -> tuple[int, int]:
    """The least and the greatest sign of a layer's weights, padding left out."""
    match layer.linear:
        case AveragePool():
            return 1, 1
        case Scale() as scale:
            signs = [_sign(factor) for factor in scale.weight]
        case Affine() | Convolution() as node:
            weight = np.sign(node.weight).reshape(len(node.weight), -1)
            norm = [1.0] * len(weight) if layer.norm is None else [_sign(factor) for factor in layer.norm.weight]
            signs = (weight * np.array(norm)[:, None]).ravel().tolist()
    return int(min(signs)), int(max(signs))


def _sign(number: Fraction) -> int:
    return (number > 0) - (number < 0)


def _at_least_zero(value: Any) -> bool:
    """Whether all of a value is proved not to be negative."""
    if isinstance(value, Enclosure):
        return bool((value.mid >= value.rad).all())
    return bool(np.all(value >= 0))


def _zeros(value: Any) -> np.ndarray:
    """Mask of the entries that are exactly 0."""
    return value.is_zero().cpu().numpy() if isinstance(value, Enclosure) else np.asarray(value == 0, dtype=bool)


def _perhaps_zeros(value: Any) -> np.ndarray:
    """Mask of the entries that may be 0."""
    if isinstance(value, Enclosure):
        return ~np.asarray(value.excludes_zero().cpu().numpy(), dtype=bool)
    return np.asarray(value == 0, dtype=bool)
