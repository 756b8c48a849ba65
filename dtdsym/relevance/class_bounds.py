"""Bounds of the coefficient tau of a network below a cut, one way after another until one says enough.

tau is half the greatest L1 distance of two normalised columns of the propagation matrix. First two columns that see
disjoint parts of the input are looked for: then tau = 1. Then all columns are enclosed, and the pairs that may be the
farthest settled in rationals, where these are in reach. Where there are too many columns, tau(N_1 N_2) <= tau(N_1)
tau(N_2): the columns are passed down to the lowest cut that is affordable, and weighed there by the column sums below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.ball import BALL
from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure, made
from dtdsym.arithmetic.rational import RATIONAL, ZERO, fraction
from dtdsym.errors import BudgetSpent
from dtdsym.geometry.budget import Meter
from dtdsym.network.cut import is_cut
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.work import multiply_adds
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.diameter import Diameter, diameter
from dtdsym.relevance.matrix import Propagation

EXACT_WORK = 2**31
"""Multiply-adds times neurons, whose denominators gather in exact relevances, up to which columns are found exactly."""
PUSH_WORK = 2**34
"""Multiply-adds of all columns that are passed down together."""
HELD = 2**24
"""Entries of the columns that are held at a time."""
BLOCK = 2**22
"""Entries of one node's relevances that are held at a time."""
SAMPLED = 8
"""Columns among which disjoint ones are looked for."""


@dataclass(frozen=True)
class Tau:
    """value: tau where exact holds, else a proven upper bound of it. how: exact, disjoint, enclosure, composition or
    trivial. pair: neurons of the cut whose columns attain it. why: what was in the way of more, for people."""

    value: Fraction
    exact: bool
    how: str
    pair: tuple[int, int] | None = None
    why: str = ""


@dataclass(frozen=True)
class Signed:
    """No bound is known: the propagation is not known to be by non-negative matrices."""

    why: str


@dataclass(eq=False)
class Bounds:
    """Of one network at one input (1, in) of rationals, by one composite; what was found is kept."""

    network: Network
    x: np.ndarray
    chosen: Composite
    meter: Meter
    _found: dict[tuple[int, bool], Tau | Signed] = field(default_factory=dict)

    @cached_property
    def reach(self) -> bool:
        """Whether exact columns are in reach."""
        return multiply_adds(self.network.nodes) * sum(self.network.sizes) <= EXACT_WORK

    @cached_property
    def exactly(self) -> Propagation:
        """In rationals."""
        values = evaluate(self.network, RATIONAL, {0: self.x})
        return Propagation(self.network, RATIONAL, values, self.chosen)

    @cached_property
    def enclosed(self) -> Propagation:
        """In enclosures: the least ones of the exact values, or else those that balls leave of each entry."""
        if self.reach:
            values = {index: ENCLOSURE.lift(value) for index, value in self.exactly.values.items()}
        else:
            balls = evaluate(self.network, BALL, {0: BALL.lift(self.x)})
            values = {index: made(value.mid, value.rad) for index, value in balls.items()}
        return Propagation(self.network, ENCLOSURE, values, self.chosen)

    def counted(self, node: int, everything: bool) -> np.ndarray:
        """Neurons of a cut whose columns count (n,); all of them, or those that can receive relevance."""
        source = self.exactly if self.reach else self.enclosed
        mask = np.ones(self.network.sizes[node], dtype=bool) if everything else source.carrying(node)
        return np.flatnonzero(mask)

    def tau(self, node: int, everything: bool = False) -> Tau | Signed:
        """Of the part of the network below a cut."""
        if (node, everything) not in self._found:
            try:
                self._found[node, everything] = self._tau(node, everything)
            except BudgetSpent as spent:
                self._found[node, everything] = Tau(Fraction(1), False, "trivial", why=str(spent))
        return self._found[node, everything]

    def _tau(self, node: int, everything: bool) -> Tau | Signed:
        neurons = self.counted(node, everything)
        signed = self.enclosed.signed(node)
        if signed is not None:
            return self._exactly(node, neurons) if self.reach else Signed(signed)
        few = neurons[np.unique(np.linspace(0, len(neurons) - 1, SAMPLED).astype(int))] if len(neurons) else neurons
        apart = self._disjoint(node, few)
        if apart is not None:
            return Tau(Fraction(1), True, "disjoint", apart)
        if self._cost(node, 0, neurons) <= PUSH_WORK and len(neurons) * self.network.sizes[0] <= HELD:
            return self._direct(node, neurons)
        return self._composed(node, neurons)

    def _cost(self, high: int, low: int, neurons: np.ndarray) -> int:
        return multiply_adds(self.network.nodes[low + 1 : high + 1]) * len(neurons)

    def _disjoint(self, node: int, neurons: np.ndarray) -> tuple[int, int] | None:
        """Two neurons that no input receives relevance from together, though each is the source of some."""
        columns = self.enclosed.columns(neurons, node)
        seen = ~columns.is_zero()
        lives = (columns.mid > columns.rad).any(1)
        for i, j in combinations(np.flatnonzero(lives.cpu().numpy()).tolist(), 2):
            if not (seen[i] & seen[j]).any():
                return int(neurons[i]), int(neurons[j])
        return None

    def _direct(self, node: int, neurons: np.ndarray) -> Tau | Signed:
        """By all columns at the input."""
        found = self._normalised(node, 0, neurons)
        if found is None:
            return self._exactly(node, neurons) if self.reach else _unknown()
        neurons, columns = found
        if len(neurons) < 2:
            return _single(neurons)
        apart = diameter(columns, self.meter.tick)
        enclosed = Tau(_half(apart), False, "enclosure", why="" if self.reach else "exact columns are out of reach")
        if apart.pairs is None or not self.reach:
            return enclosed
        try:
            return self._settled(node, neurons, apart)
        except BudgetSpent as spent:
            return Tau(enclosed.value, False, "enclosure", why=str(spent))

    def _settled(self, node: int, neurons: np.ndarray, apart: Diameter) -> Tau:
        """The farthest pair, in rationals: those that may be it are compared until no other can be farther."""
        assert apart.pairs is not None
        best, pair = Fraction(-1), (0, 0)
        columns: dict[int, np.ndarray] = {}
        for i, j in apart.pairs.tolist():
            for k in {i, j} - set(columns):
                self.meter.tick()
                columns[k] = _normal(self.exactly.columns(neurons[k : k + 1], node)[0])
            distance = _distance(columns[i], columns[j])
            if distance > best:
                best, pair = distance, (int(neurons[i]), int(neurons[j]))
        return Tau(best / 2, True, "exact", pair)

    def _exactly(self, node: int, neurons: np.ndarray) -> Tau | Signed:
        """All columns in rationals, whose signs are looked at one by one, and all pairs."""
        width = self.network.sizes[node]
        if (self.exactly.pushed(RATIONAL.lift(np.zeros((1, width))), node) != 0).any():
            return Signed("the rule passes on relevance where none arrives, so no matrix describes it")
        columns: dict[int, np.ndarray] = {}
        for neuron in neurons.tolist():
            self.meter.tick()
            column = self.exactly.columns(np.array([neuron]), node)[0]
            if (column < 0).any():
                return Signed(_negative(neuron, column))
            if (column != 0).any():
                columns[neuron] = _normal(column)
        if len(columns) < 2:
            return _single(np.array(list(columns)))
        pairs = [(_distance(columns[i], columns[j]), (i, j)) for i, j in self._ticking(columns)]
        best = max(distance for distance, _ in pairs)
        return Tau(best / 2, True, "exact", next(pair for distance, pair in pairs if distance == best))

    def _ticking(self, columns: dict[int, np.ndarray]) -> Iterator[tuple[int, int]]:
        for pair in combinations(columns, 2):
            self.meter.tick()
            yield pair

    def _composed(self, node: int, neurons: np.ndarray) -> Tau | Signed:
        """By the columns at the lowest cut that they can be passed down to, times what is known of that."""
        for low in self._cuts(node):
            held = len(neurons) * self.network.sizes[low]
            if low and (self._cost(node, low, neurons) > PUSH_WORK or held > HELD):
                continue
            found = self._normalised(node, low, neurons) if low else None
            below = self.tau(low) if low else None
            if found is None or not isinstance(below, Tau):
                continue
            kept, columns = found
            if len(kept) < 2:
                return _single(kept)
            own = _half(diameter(columns, self.meter.tick))
            return Tau(own * below.value, False, "composition", why="")
        return Tau(Fraction(1), False, "trivial", why="there are too many columns to pass down")

    def _cuts(self, node: int) -> list[int]:
        """Cuts below, from the lowest."""
        sources = sorted({layer.source for layer in self.network.linear.values() if layer.source < node})
        return [source for source in sources if is_cut(self.network, source)]

    @cached_property
    def _sums(self) -> dict[int, Any]:
        """Column sums of all nodes up to those that were asked for."""
        return {}

    def _weights(self, low: int) -> Enclosure:
        if low not in self._sums:
            self._sums.update(self.enclosed.sums(low))
        return self._sums[low]

    def _normalised(self, high: int, low: int, neurons: np.ndarray) -> tuple[np.ndarray, Enclosure] | None:
        """Columns of N between two cuts (m, width of the lower one), of the neurons that are not lost (m,); None where
        enclosures do not tell which these are."""
        each = max(1, BLOCK // max(self.network.sizes[low : high + 1]))
        parts = []
        for block in np.array_split(neurons, -(-len(neurons) // each) if len(neurons) else 1):
            self.meter.tick()
            columns = self.enclosed.columns(block, high, low)
            parts.append(columns * self._weights(low) if low else columns)
        mid, rad = (torch.cat([getattr(part, side) for part in parts]) for side in ("mid", "rad"))
        columns = made(mid, rad)
        total = ENCLOSURE.total(columns)
        lost = total.is_zero()
        if not bool((lost | (total.mid > total.rad)).all()):
            return None
        kept = ~lost
        normal = columns[kept] / total[kept].unsqueeze(1)
        return (neurons[kept.cpu().numpy()], normal) if bool(torch.isfinite(normal.rad).all()) else None


def _half(apart: Diameter) -> Fraction:
    return min(Fraction(apart.high) / 2, Fraction(1))


def _single(neurons: np.ndarray) -> Tau:
    """Of no column, or one."""
    pair = (int(neurons[0]), int(neurons[0])) if len(neurons) else None
    return Tau(Fraction(0), True, "exact", pair, "" if len(neurons) else "no relevance of this cut reaches the input")


def _unknown() -> Tau:
    return Tau(Fraction(1), False, "trivial", why="enclosures do not tell which columns are zero")


def _normal(column: np.ndarray) -> np.ndarray:
    return column / RATIONAL.total(column).item()


def _distance(one: np.ndarray, other: np.ndarray) -> Fraction:
    return fraction(RATIONAL.total(RATIONAL.relu(one - other)).item()) * 2


def _negative(neuron: int, column: np.ndarray) -> str:
    places = np.flatnonzero(column < ZERO)
    return (
        f"relevance 1 of neuron {neuron} becomes {float(fraction(column[places[0]])):.4g} at input {places[0]}, so the "
        "propagation matrix is not non-negative"
    )
