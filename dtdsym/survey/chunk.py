"""One chunk of inputs, audited: enclosures decide what they can for all roots at once, the rationals the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure, exact, sign
from dtdsym.geometry.batch import Home
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import Convolution
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.relevance.root import layer_roots
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import Relevances, propagate
from dtdsym.survey.apart import Apart, compare
from dtdsym.survey.certify import Certificates
from dtdsym.survey.claims import decide_claims
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.settings import Settings
from dtdsym.survey.tally import Tally
from dtdsym.survey.verdicts import OPEN, Verdicts, count, decide_batch

BLOCK_NUMBERS = 1 << 22


@dataclass
class Chunk:
    """What one chunk adds to the report: how its inputs fared, a tally for each (rule, layer) in order, and, where they
    are wanted, certificates. apart: for each rule, where nearest roots were asked for."""

    count: int
    audited: int
    below_min_logit: int
    on_hinge: int
    outside_domain: int
    tallies: list[Tally]
    certificates: Certificates | None = None
    claims: list[dict[str, Any]] = field(default_factory=list)
    apart: list[Apart] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """How the inputs fared."""
        names = ("count", "audited", "below_min_logit", "on_hinge", "outside_domain")
        return {name: getattr(self, name) for name in names}


def audit_chunk(
    network: Network, settings: Settings, points: np.ndarray, rejected: int, first: int, *, certify: bool = False
) -> Chunk:
    """Audit inputs (k, in), float64 and exact; `first` is the number of the first. `rejected` draws came before."""
    tallies = [Tally() for _ in settings.audited for _ in settings.layers]
    chunk = Chunk(len(points) + rejected, 0, rejected, 0, settings.domain.outside(points), tallies)
    chunk.certificates = Certificates(network) if certify else None
    chunk.apart = [Apart() for _ in settings.rules] if isinstance(settings.root, Nearest) else []
    for logit, numbers in _by_logit(network, settings, points):
        one = network.logit(logit)
        _Group(one, network, logit, settings, points[numbers], [first + int(n) for n in numbers]).audit(chunk)
    return chunk


def _by_logit(network: Network, settings: Settings, points: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    if settings.logit is not None:
        yield settings.logit, np.arange(len(points))
        return
    chosen = largest_outputs(network, points)
    for logit in np.unique(chosen):
        yield int(logit), np.flatnonzero(chosen == logit)


def largest_outputs(network: Network, points: np.ndarray) -> np.ndarray:
    """Index of the largest exact output at each of the points (k, in), the first of equal ones."""
    outputs = evaluate(network, ENCLOSURE, {0: exact(torch.from_numpy(points))})[len(network.nodes) - 1]
    low, high = outputs.lower(), outputs.upper()
    best = outputs.mid.argmax(1)
    rivals = high.scatter(1, best[:, None], -torch.inf).amax(1)
    decided = low.gather(1, best[:, None])[:, 0] > rivals
    chosen = best.numpy()
    for index in np.flatnonzero(~decided.numpy()):
        output = network(points[index].tolist())
        chosen[index] = max(range(len(output)), key=lambda i: (output[i], -i))
    return chosen


def widest(network: Network) -> int:
    """The most numbers that one node takes at one input: its value, or the patches of a convolution."""
    patches = [node.windows.index.size for node in network.nodes if isinstance(node, Convolution)]
    return max(*network.sizes, *patches, 1)


@dataclass(eq=False)
class _Group:
    """Inputs of a chunk that share one explained logit; `numbers` are their places in the whole survey. network: cut to
    that logit, of the `whole` one."""

    network: Network
    whole: Network
    logit: int
    settings: Settings
    points: np.ndarray
    numbers: list[int]
    exact_inputs: dict[int, ExactInput] = field(default_factory=dict)

    def audit(self, chunk: Chunk) -> None:
        values = self._values()
        above = self._above(values)
        regular = self._regular(values, above)
        chunk.below_min_logit += int((~above).sum())
        chunk.on_hinge += int((above & ~regular).sum())
        kept = above & regular
        chunk.audited += int(kept.sum())
        if not kept.any():
            return
        if not kept.all():
            self.points, self.numbers = self.points[kept], [n for n, k in zip(self.numbers, kept, strict=True) if k]
            self.exact_inputs = {}
            values = self._values()
        homes = {layer: self._home(layer, values) for layer in self.settings.layers}
        tallies = iter(chunk.tallies)
        for rule in self.settings.audited:
            relevances = None
            if not isinstance(rule, Nearest):
                relevances = propagate(self.network, ENCLOSURE, values, rule, self.settings.lowest(self.network))
            for layer, home in homes.items():
                self._tally(next(tallies), rule, layer, home, relevances, chunk.certificates)
        if chunk.apart:
            for tally, rule in zip(chunk.apart, self.settings.rules, strict=True):
                for i, number in enumerate(self.numbers):
                    compare(tally, self.exactly(i), rule, number)
        if self.settings.claims:
            for i, number in enumerate(self.numbers):
                made = decide_claims(self.whole, self.logit, number, self.exactly(i), chunk.certificates)
                chunk.claims.extend(made)

    def _home(self, layer: int, values: Mapping[int, Enclosure]) -> Home:
        return Home.at(self.network, self.network.layer(layer).source, values)

    def exactly(self, index: int) -> ExactInput:
        """The exact side of one input, made once."""
        if index not in self.exact_inputs:
            self.exact_inputs[index] = ExactInput(self.network, self.points[index], self.settings)
        return self.exact_inputs[index]

    def _values(self) -> Mapping[int, Enclosure]:
        return evaluate(self.network, ENCLOSURE, {0: exact(torch.from_numpy(self.points))})

    def _above(self, values: Mapping[int, Enclosure]) -> np.ndarray:
        """Which explained logits are above the least one, exactly."""
        excess = values[len(self.network.nodes) - 1][:, 0] - self.settings.min_logit
        found = sign(excess).numpy()
        least = Fraction(self.settings.min_logit)
        return np.array([s == 1 if abs(s) == 1 else self.exactly(i).logit > least for i, s in enumerate(found)])

    def _regular(self, values: Mapping[int, Enclosure], wanted: np.ndarray) -> np.ndarray:
        """Which inputs have a gradient. One whose regularity stays undecided is kept: its roots will be undecided."""
        decided = Home.at(self.network, 0, values).decided.numpy()
        doubtful = [i for i in np.flatnonzero(wanted & ~decided) if self.exactly(int(i)).on_hinge(0)]
        regular = np.ones(len(decided), dtype=bool)
        regular[doubtful] = False
        return regular

    def _tally(
        self,
        tally: Tally,
        rule: Rule | Composite | Nearest,
        layer: int,
        home: Home,
        relevances: Relevances | None,
        certificates: Certificates | None,
    ) -> None:
        started = time.perf_counter()
        if isinstance(rule, Nearest) or relevances is None:
            verdicts = Verdicts.all_open(len(self.points), self.network.layer(layer).size)
        else:
            parts = (
                layer_roots(self.network, ENCLOSURE, home.values, relevances, layer, rule, self.settings.kind, block)
                for block in self._blocks(layer)
            )
            verdicts = Verdicts.join([decide_batch(home, found, self.settings) for found in parts])
        hinges = self._hinges(home)
        places = count(verdicts, tally, lambda i, j: self.exactly(i).facts(rule, layer, j), hinges, self.numbers)
        if certificates is not None:
            for i in np.flatnonzero(~hinges).tolist():
                strict = (verdicts.place[i] != OPEN) & bool(home.decided[i])
                certificates.add(self.numbers[i], self.exactly(i), self.logit, rule, layer, places[i], strict)
        tally.seconds += time.perf_counter() - started

    def _blocks(self, layer: int) -> Iterator[slice]:
        """Blocks of neurons whose roots, with all that is computed at them, hold about BLOCK_NUMBERS numbers."""
        size = self.network.layer(layer).size
        each = max(1, BLOCK_NUMBERS // (len(self.points) * widest(self.network)))
        return (slice(start, min(start + each, size)) for start in range(0, size, each))

    def _hinges(self, home: Home) -> np.ndarray:
        """Inputs at which F_l bends: their roots have no region to lie in."""
        decided = home.decided.numpy()
        return np.array([not d and self.exactly(i).on_hinge(home.start) for i, d in enumerate(decided)], dtype=bool)
