"""Which arithmetics decide, in which order: each is asked only what the one before it left open.

A small network is put to midpoint-radius enclosures, then to the rationals. In deep ones radii explode: there balls
come first, whose bounds grow only with spectral norms, then enclosures of about 100 bits. The rationals follow where
one exact forward pass is cheap enough for a search to be thought of; else what is left open is `undecided`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.ball import BALL
from dtdsym.arithmetic.enclosure import ENCLOSURE, UNDECIDED, sign
from dtdsym.arithmetic.pair import PAIR
from dtdsym.geometry.batch import Home
from dtdsym.network.evaluate import evaluate, stream
from dtdsym.network.layers import Convolution
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.neurons import ALL
from dtdsym.relevance.root import layer_roots
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import Relevances, propagate
from dtdsym.survey.settings import Settings
from dtdsym.survey.sizes import EXACT_WORK, SMALL_WORK, work
from dtdsym.survey.verdicts import Verdicts, decide_batch

BLOCK_NUMBERS = 2**22
LARGE_BLOCK_NUMBERS = 2**24


@dataclass(frozen=True)
class Stage:
    """name: in the report. ops: what networks are evaluated in; rules: what relevances and roots are computed in, whose
    radii of single entries suit the positive matrices of rules better than balls do."""

    name: str
    ops: Any
    rules: Any


RADII = Stage("enclosure", ENCLOSURE, ENCLOSURE)
BALLS = Stage("ball", BALL, ENCLOSURE)
HUNDRED_BITS = Stage("hundred_bits", PAIR, PAIR)
STAGES = (RADII, BALLS, HUNDRED_BITS)


def stages_of(network: Network) -> tuple[Stage, ...]:
    """In the order in which they are asked."""
    size = work(network)
    if size <= SMALL_WORK:
        return (RADII,)
    return (RADII, HUNDRED_BITS) if size <= EXACT_WORK else (BALLS, HUNDRED_BITS)


def outputs(network: Network, stage: Stage, points: np.ndarray) -> Any:
    """Outputs (k, out) at points (k, in), enclosed; of the values in between only those are held that are needed."""
    found = None
    for _, values in stream(network, stage.ops, {0: stage.ops.lift(torch.from_numpy(points))}):
        found = values[max(values)]
    return found


class View:
    """Inputs (k, in) of a one-logit network in one stage's arithmetic, with all that was made of them."""

    def __init__(self, stage: Stage, network: Network, points: np.ndarray, settings: Settings) -> None:
        self.stage, self.network, self.points, self.settings = stage, network, points, settings
        self._homes: dict[int, Home] = {}
        self._relevances: dict[Rule | Composite, Relevances] = {}

    @cached_property
    def values(self) -> Mapping[int, Any]:
        """Of all nodes."""
        return evaluate(self.network, self.stage.ops, {0: self.stage.ops.lift(torch.from_numpy(self.points))})

    def home(self, start: int) -> Home:
        """F_l around the inputs, for the layer that reads node `start`."""
        if start not in self._homes:
            self._homes[start] = Home.at(self.network, start, self.values, self.stage.ops)
        return self._homes[start]

    def verdicts(self, rule: Rule | Composite, layer: int, neurons: np.ndarray | None = None) -> Verdicts:
        """On the roots of these neurons of a layer, or of all of them."""
        if rule not in self._relevances:
            lowest = self.settings.lowest(self.network)
            self._relevances[rule] = propagate(self.network, self.stage.rules, self.values, rule, lowest)
        home = self.home(self.network.layer(layer).source)
        parts = []
        for block in self._blocks(layer, neurons):
            found = layer_roots(
                self.network, self.stage.rules, self.values, self._relevances[rule], layer, rule, self.settings.kind,
                block,
            )  # fmt: skip
            parts.append(decide_batch(home, found, self.settings))
        return Verdicts.join(parts)

    def _blocks(self, layer: int, neurons: np.ndarray | None) -> Iterator[slice | np.ndarray]:
        """Blocks of neurons whose roots, with all that is computed at them, are held at a time."""
        if neurons is None and self.network.layer(layer).size * len(self.points) == 1:
            yield ALL
            return
        if self.stage is RADII:
            each = max(1, BLOCK_NUMBERS // (len(self.points) * widest(self.network)))
        else:
            each = max(1, LARGE_BLOCK_NUMBERS // (len(self.points) * max(self.network.sizes)))
        if neurons is None:
            size = self.network.layer(layer).size
            yield from (slice(start, min(start + each, size)) for start in range(0, size, each))
        else:
            yield from (neurons[start : start + each] for start in range(0, len(neurons), each))


def widest(network: Network) -> int:
    """The most numbers that one node takes at one input: its value, or the patches of a convolution."""
    patches = [
        math.prod(node.windows.positions) * node.windows.groups * node.windows.entries
        for node in network.nodes
        if isinstance(node, Convolution)
    ]
    return max(*network.sizes, *patches, 1)


class Ladder:
    """The stages of a group of inputs: the first for all at once, the later ones for one input at a time."""

    def __init__(self, network: Network, points: np.ndarray, settings: Settings) -> None:
        self.stages = stages_of(network)
        self.first = View(self.stages[0], network, points, settings)
        self._later: dict[tuple[int, int], View] = {}

    def later(self, number: int, row: int) -> View:
        """Stage `number` at one input."""
        if (number, row) not in self._later:
            first = self.first
            self._later[number, row] = View(
                self.stages[number], first.network, first.points[row : row + 1], first.settings
            )
        return self._later[number, row]

    def verdicts(self, rule: Rule | Composite, layer: int, neurons: np.ndarray | None = None) -> Verdicts:
        """On the roots of these neurons, or of all: what no stage decides stays open."""
        found = self.first.verdicts(rule, layer, neurons)
        for number in range(1, len(self.stages)):
            for row in range(len(found.place)):
                columns = np.flatnonzero(found.open[row])
                if len(columns):
                    asked = columns if neurons is None else neurons[columns]
                    found.settle(row, columns, self.later(number, row).verdicts(rule, layer, asked), number)
        return found

    def decided(self, start: int) -> np.ndarray:
        """(k,) mask: at which inputs every choice of the function of node `start`'s value is decided."""
        found = self.first.home(start).decided.cpu().numpy().copy()
        for number in range(1, len(self.stages)):
            for row in np.flatnonzero(~found):
                found[row] = bool(self.later(number, int(row)).home(start).decided[0])
        return found

    def above(self, least: float) -> np.ndarray:
        """(k,) signs of the explained logit less `least`: 1, 0, -1 or UNDECIDED."""
        last = len(self.first.network.nodes) - 1
        found = sign(self.first.values[last][:, 0] - least).cpu().numpy().copy()
        for number in range(1, len(self.stages)):
            for row in np.flatnonzero(found == UNDECIDED):
                found[row] = int(sign(self.later(number, int(row)).values[last][:, 0] - least)[0])
        return found
