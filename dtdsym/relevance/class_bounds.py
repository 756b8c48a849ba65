"""Bounds of the coefficient tau of a network below a cut, one way after another until one says enough.

tau is half the greatest L1 distance of two normalised columns of the propagation matrix. First two columns that see
disjoint parts of the input are looked for: then tau = 1. Then all columns are enclosed, and the pairs that may be the
farthest settled in rationals, where these are in reach. Where there are too many columns, tau(N_1 N_2) <= tau(N_1)
tau(N_2): the columns are passed down to the lowest cut that is affordable, and weighed there by the column sums below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure, made
from dtdsym.arithmetic.error_free import total_size
from dtdsym.arithmetic.expansion import PAIR, Expansion
from dtdsym.arithmetic.rational import RATIONAL, Proportions, apart, proportions
from dtdsym.arithmetic.rounding import ETA, GROW
from dtdsym.errors import BudgetSpent
from dtdsym.geometry.budget import Meter
from dtdsym.network.cut import is_cut
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.receptive import Layer
from dtdsym.network.work import multiply_adds
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.diameter import diameter
from dtdsym.relevance.matrix import Propagation
from dtdsym.relevance.tau import Signed, Tau, half, negative, single, unknown

EXACT_WORK = 2**31
"""Multiply-adds times neurons, whose denominators gather in exact relevances, up to which columns are found exactly."""
PUSH_WORK = 2**33
"""Multiply-adds of all columns that are passed down together."""
HELD = 2**24
"""Entries of the columns that are held at a time."""
BLOCK = 2**22
"""Entries of one node's relevances that are held at a time."""
SAMPLED = 8
"""Columns among which disjoint ones are looked for."""


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
        """In enclosures: the least ones of the exact values, or else of values to some 100 bits."""
        if self.reach:
            values = {index: ENCLOSURE.lift(value) for index, value in self.exactly.values.items()}
        else:
            pairs = evaluate(self.network, PAIR, {0: PAIR.lift(self.x)})
            values = {index: made(value.high, _outside(value)) for index, value in pairs.items()}
        return Propagation(self.network, ENCLOSURE, values, self.chosen)

    @property
    def best(self) -> Propagation:
        """In rationals, where these are in reach."""
        return self.exactly if self.reach else self.enclosed

    @cached_property
    def outputs(self) -> np.ndarray:
        """Floats near the outputs (out,)."""
        found = self.enclosed.values[len(self.network.nodes) - 1]
        return np.asarray(found.mid[0].cpu().numpy())

    def reused_above(self, node: int) -> bool:
        """Whether a layer above a cut has the weights of one below it."""
        weights = [(layer.output > node, id(getattr(layer.linear, "weight", layer))) for layer in self._layers]
        return bool({w for above, w in weights if above} & {w for above, w in weights if not above})

    @property
    def _layers(self) -> list[Layer]:
        return list(self.network.linear.values())

    def counted(self, node: int, everything: bool) -> np.ndarray:
        """Neurons of a cut whose columns count (n,); all of them, or those that can receive relevance."""
        mask = np.ones(self.network.sizes[node], dtype=bool) if everything else self.best.carrying(node)
        return np.flatnonzero(mask)

    def _surely(self, node: int, everything: bool, neurons: np.ndarray) -> np.ndarray:
        """Those of the counted neurons (n,) that certainly count: all of them, where exact values are in reach."""
        return neurons if everything else neurons[self.best.carrying(node, surely=True)[neurons]]

    def tau(self, node: int, everything: bool = False) -> Tau | Signed:
        """Of the part of the network below a cut; no more than that of any cut below it that is known."""
        if (node, everything) not in self._found:
            try:
                found = self._tau(node, everything)
            except BudgetSpent as spent:
                found = Tau(Fraction(1), False, "trivial", why=str(spent))
            below = [tau for (low, all_), tau in self._found.items() if low < node and not all_]
            if isinstance(found, Tau) and not found.exact:
                known = [tau.value for tau in below if isinstance(tau, Tau)]
                found = replace(found, value=min([found.value, *known]))
            self._found[node, everything] = found
        return self._found[node, everything]

    def _tau(self, node: int, everything: bool) -> Tau | Signed:
        neurons = self.counted(node, everything)
        if not len(neurons):
            return single(neurons)
        signed = self.enclosed.signed(node)
        if signed is not None:
            return self._signed(node, neurons, signed)
        surely = self._surely(node, everything, neurons)
        few = surely[np.unique(np.linspace(0, len(surely) - 1, SAMPLED).astype(int))] if len(surely) else surely
        pair = self._disjoint(node, few) if len(few) > 1 else None
        if pair is not None:
            return Tau(Fraction(1), True, "disjoint", pair)
        if self._cost(node, 0, neurons) <= PUSH_WORK and len(neurons) * self.network.sizes[0] <= HELD:
            return self._direct(node, neurons, surely)
        return self._composed(node, neurons, surely)

    def _signed(self, node: int, neurons: np.ndarray, doubt: str) -> Tau | Signed:
        """Where a rule may pass on negative shares: the columns may be non-negative for all that."""
        if not self.reach:
            return Signed(doubt)
        try:
            return self._exactly(node, neurons, doubt)
        except BudgetSpent as spent:
            return Signed(f"{doubt}; {spent}")

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

    def _direct(self, node: int, neurons: np.ndarray, surely: np.ndarray) -> Tau | Signed:
        """By all columns at the input. surely: neurons that certainly count."""
        found = self._normalised(node, 0, neurons)
        if found is None:
            return self._exactly(node, neurons) if self.reach else unknown()
        neurons, columns = found
        if len(neurons) < 2:
            return single(neurons, surely=bool(np.isin(neurons, surely).all()))
        widest = diameter(columns, self.meter.tick)
        enclosed = Tau(half(widest), False, "enclosure", why="" if self.reach else "exact columns are out of reach")
        if widest.pairs is None or not self.reach:
            return enclosed
        try:
            return self._settled(node, neurons, widest.pairs)
        except BudgetSpent as spent:
            return Tau(enclosed.value, False, "enclosure", why=str(spent))

    def _settled(self, node: int, neurons: np.ndarray, pairs: np.ndarray) -> Tau:
        """The farthest pair, in rationals: those that may be it are compared until no other can be farther."""
        best, pair = Fraction(-1), (0, 0)
        columns: dict[int, Proportions] = {}
        for i, j in pairs.tolist():
            self.meter.tick()
            for k in {i, j} - set(columns):
                columns[k] = proportions(self.exactly.columns(neurons[k : k + 1], node)[0])
            distance = apart(columns[i], columns[j])
            if distance > best:
                best, pair = distance, (int(neurons[i]), int(neurons[j]))
        return Tau(best / 2, True, "exact", pair)

    def _exactly(self, node: int, neurons: np.ndarray, doubt: str = "") -> Tau | Signed:
        """All columns in rationals, whose signs are looked at one by one, and all pairs. doubt: why there are any."""
        width = self.network.sizes[node]
        if (self.exactly.pushed(RATIONAL.lift(np.zeros((1, width))), node) != 0).any():
            return Signed("the rule passes on relevance where none arrives, so no matrix describes it")
        columns: dict[int, Proportions] = {}
        for neuron in neurons.tolist():
            self.meter.tick()
            column = self.exactly.columns(np.array([neuron]), node)[0]
            if (column < 0).any():
                return Signed(f"{doubt}: {negative(neuron, column)}")
            if (column != 0).any():
                columns[neuron] = proportions(column)
        if len(columns) < 2:
            return single(np.array(list(columns)))
        pairs = {(i, j): apart(columns[i], columns[j]) for i, j in self._ticking(columns)}
        farthest = max(pairs, key=lambda pair: pairs[pair])
        return Tau(pairs[farthest] / 2, True, "exact", farthest)

    def _ticking(self, columns: dict[int, Proportions]) -> Iterator[tuple[int, int]]:
        for pair in combinations(columns, 2):
            self.meter.tick()
            yield pair

    def _composed(self, node: int, neurons: np.ndarray, surely: np.ndarray) -> Tau | Signed:
        """By the columns at the lowest cut that they can be passed down to, times what is known of that. surely: as in
        _direct."""
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
                return single(kept, surely=bool(np.isin(kept, surely).all()))
            own = half(diameter(columns, self.meter.tick))
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
        for block in np.array_split(neurons, -(-len(neurons) // each)):
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
        scaled = columns[kept] / total[kept].unsqueeze(1)
        return (neurons[kept.cpu().numpy()], scaled) if bool(torch.isfinite(scaled.rad).all()) else None


def _outside(value: Expansion) -> torch.Tensor:
    """Radii of the enclosures around the first parts of expansions."""
    apart = value.rad + total_size(value.parts[1:])
    return (apart + ETA) * GROW * (apart > 0)
