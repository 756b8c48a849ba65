"""Which arithmetics decide, in which order: each is asked only what the one before it left open.

A small network is put to midpoint-radius enclosures, then to the rationals. In deep ones radii explode: there balls
come first, whose bounds grow only with spectral norms, then enclosures of about 100 bits. The rationals follow where
one exact forward pass is cheap enough for a search to be thought of; else enclosures of 200 and of 400 bits, since
relevances lose some bits a layer. What is left open then is `undecided`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.ball import BALL
from dtdsym.arithmetic.enclosure import ENCLOSURE, UNDECIDED, sign
from dtdsym.arithmetic.expansion import PAIR, ExpansionArithmetic
from dtdsym.geometry.batch import Home
from dtdsym.network.cone import cone, values_of, work_of
from dtdsym.network.evaluate import evaluate, stream
from dtdsym.network.layers import Convolution, Relu
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.root import layer_roots
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import Relevances, propagate
from dtdsym.survey.settings import Settings
from dtdsym.survey.sizes import SMALL_WORK, is_large, work
from dtdsym.survey.verdicts import Verdicts, decide_batch, is_sharp

CONE_WORK = 2**20
"""Multiply-adds up to which neurons are evaluated exactly, from their cones."""
BLOCK_NUMBERS = 2**22
LARGE_BLOCK_NUMBERS = 2**24


@dataclass(frozen=True)
class Stage:
    """name: in the report. ops: what networks are evaluated in; rules: what relevances and roots are computed in, whose
    radii of single entries suit the positive matrices of rules better than balls do. parts: floats of one centre."""

    name: str
    ops: Any
    rules: Any
    parts: int = 1


RADII = Stage("enclosure", ENCLOSURE, ENCLOSURE)
BALLS = Stage("ball", BALL, ENCLOSURE)
EXPANSIONS = tuple(
    Stage(name, ops, ops, ops.parts)
    for name, ops in (
        ("hundred_bits", PAIR),
        ("two_hundred_bits", ExpansionArithmetic(4)),
        ("four_hundred_bits", ExpansionArithmetic(8)),
    )
)
HUNDRED_BITS, TWO_HUNDRED_BITS, FOUR_HUNDRED_BITS = EXPANSIONS
STAGES = (RADII, BALLS, *EXPANSIONS)


def stages_of(network: Network) -> tuple[Stage, ...]:
    """In the order in which they are asked."""
    size = work(network)
    if size <= SMALL_WORK:
        return (RADII,)
    return (BALLS, *EXPANSIONS) if is_large(network) else (RADII, HUNDRED_BITS)


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
        points = torch.from_numpy(self.points).to(self.settings.device)
        return evaluate(self.network, self.stage.ops, {0: self.stage.ops.lift(points)})

    @property
    def sharp(self) -> bool:
        """Whether bounds at the one input are so sharp that what they leave open is open by more than chance."""
        return bool(is_sharp(self.values[len(self.network.nodes) - 1]).all())

    def home(self, start: int) -> Home:
        """F_l around the inputs, for the layer that reads node `start`."""
        if start not in self._homes:
            self._homes[start] = Home.at(self.network, start, self.values, self.stage.ops, self._exact_signs)
        return self._homes[start]

    @cached_property
    def _exact_signs(self) -> Mapping[int, torch.Tensor]:
        """Of the neurons whose signs expansions leave open at the one input of a large network, those whose cones are
        small enough for an exact evaluation: ReLU node -> signs (1, width)."""
        if self.stage not in EXPANSIONS or not is_large(self.network):
            return {}
        found = Home.at(self.network, 0, self.values, self.stage.ops).choices
        return {index: signs for index, part in found.items() if (signs := self._by_cones(index, part)) is not None}

    def _by_cones(self, index: int, part: torch.Tensor) -> torch.Tensor | None:
        """Exact signs of a ReLU's open neurons (1, width); None where there are none, or they see too much."""
        node, open_ = self.network.nodes[index], np.flatnonzero((part[0] == UNDECIDED).cpu().numpy())
        if not isinstance(node, Relu) or not len(open_):
            return None
        needed = cone(self.network, node.source, open_)
        if work_of(self.network, needed) > CONE_WORK:
            return None
        exact = values_of(self.network, needed, self.points[0])[node.source]
        signs = np.array([(value > 0) - (value < 0) or UNDECIDED for value in exact], dtype=np.int8)
        found = torch.full_like(part, UNDECIDED)
        found[0, torch.from_numpy(open_).to(part.device)] = torch.from_numpy(signs).to(part.device)
        return found

    def verdicts(self, rule: Rule | Composite, layer: int, neurons: np.ndarray | None = None) -> Verdicts:
        """On the roots of these neurons of a layer, or of all of them."""
        if rule not in self._relevances:
            lowest = self.settings.lowest(self.network)
            bare = {index: without_ball(value) for index, value in self.values.items()}
            self._relevances[rule] = propagate(self.network, self.stage.rules, bare, rule, lowest)
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
        if self.stage is RADII:
            each = max(1, BLOCK_NUMBERS // (len(self.points) * widest(self.network)))
        else:
            numbers = len(self.points) * max(self.network.sizes) * self.stage.parts
            each = max(1, LARGE_BLOCK_NUMBERS // numbers)
        if neurons is None:
            size = self.network.layer(layer).size
            yield from (slice(start, min(start + each, size)) for start in range(0, size, each))
        else:
            yield from (neurons[start : start + each] for start in range(0, len(neurons), each))


def without_ball(value: Any) -> Any:
    """The same enclosure, or pair, entry by entry."""
    return value if value.ball is None else replace(value, ball=None)


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
        self.names = tuple(stage.name for stage in self.stages)
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
        found = self._begun(rule, layer, neurons)
        found.sharp[:] = False  # an exact output need not mean that what a dead neuron hides from it is sharp too
        for row in range(len(found.place)):
            self._go_on(found, rule, layer, row, neurons)
        return found

    def _go_on(self, found: Verdicts, rule: Rule | Composite, layer: int, row: int, neurons: np.ndarray | None) -> None:
        """Ask the later stages about one input's roots. One that cannot even tell the input's pattern is passed over,
        unless it is the last, or more bits would not tell either; they would tell nothing of roots that are sharp."""
        start, last = self.first.network.layer(layer).source, len(self.stages) - 1
        for number in range(1, len(self.stages)):
            columns = np.flatnonzero(found.open[row] & ~found.sharp[row])
            if not len(columns):
                return
            view = self.later(number, row)
            hopeless = not view.home(start).decided[0]
            if hopeless and number < last and not view.sharp:
                continue
            asked = columns if neurons is None else neurons[columns]
            found.settle(row, columns, view.verdicts(rule, layer, asked), number)
            if hopeless:
                return

    def _begun(self, rule: Rule | Composite, layer: int, neurons: np.ndarray | None) -> Verdicts:
        """By the first stage; where that cannot even tell the patterns of a large network's inputs, it is passed over:
        it would tell those of roots no better."""
        start = self.first.network.layer(layer).source
        if is_large(self.first.network) and not self.first.home(start).decided.any():
            size = self.first.network.layer(layer).size if neurons is None else len(neurons)
            return Verdicts.all_open(len(self.first.points), size)
        return self.first.verdicts(rule, layer, neurons)

    def signs(self, *, exact: bool) -> dict[str, int]:
        """How many signs of ReLUs at the inputs each stage decided; exact: the rationals tell the rest."""
        choices = self.first.home(0).choices
        relus = [index for index in choices if isinstance(self.first.network.nodes[index], Relu)]
        open_ = {index: choices[index] == UNDECIDED for index in relus}
        found = {self.names[0]: sum(mask.numel() - int(mask.sum()) for mask in open_.values())}
        left = sum((mask.sum(1) for mask in open_.values()), torch.zeros(len(self.first.points), dtype=torch.long))
        rest = 0
        for row in np.flatnonzero(left.cpu().numpy()).tolist():
            rest += self._tell(found, row, {index: mask[row] for index, mask in open_.items()})
        found["rational" if exact else "open"] = rest
        return found

    def _tell(self, found: dict[str, int], row: int, open_: dict[int, torch.Tensor]) -> int:
        """Count what later stages decide of the signs of one input that are open; how many stay open."""
        for number in range(1, len(self.stages)):
            if not any(mask.any() for mask in open_.values()):
                return 0
            choices = self.later(number, row).home(0).choices
            after = {index: mask & (choices[index][0] == UNDECIDED) for index, mask in open_.items()}
            told = sum(int(mask.sum()) - int(after[index].sum()) for index, mask in open_.items())
            found[self.names[number]] = found.get(self.names[number], 0) + told
            open_ = after
        return sum(int(mask.sum()) for mask in open_.values())

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
