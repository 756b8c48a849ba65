"""One chunk of an audit: stages of enclosures decide what they can for all roots at once, the rationals the rest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.enclosure import UNDECIDED
from dtdsym.errors import InputError
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.relevance.rule import Rule
from dtdsym.survey.apart import Apart, compare
from dtdsym.survey.certify import Certificates
from dtdsym.survey.claims import decide_claims
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.facts import Facts
from dtdsym.survey.numeric import NumericLadder
from dtdsym.survey.sample import Drawn, drawn
from dtdsym.survey.settings import Settings
from dtdsym.survey.sizes import is_large
from dtdsym.survey.stages import Ladder, outputs, stages_of
from dtdsym.survey.tally import Tally
from dtdsym.survey.verdicts import OPEN, Asked, Verdicts, count

NOTHING_KNOWN = Facts("undecided", None, None, None, None)


@dataclass
class Chunk:
    """What one chunk adds to the report: how its inputs fared, a tally for each (rule, layer) in order, and, where they
    are wanted, certificates. apart: for each rule, where nearest roots were asked for. signs: of ReLUs at the inputs,
    how many were decided by what."""

    count: int
    audited: int
    below_min_logit: int
    on_hinge: int
    outside_domain: int
    tallies: list[Tally]
    certificates: Certificates | None = None
    claims: list[dict[str, Any]] = field(default_factory=list)
    apart: list[Apart] = field(default_factory=list)
    signs: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How the inputs fared."""
        names = ("count", "audited", "below_min_logit", "on_hinge", "outside_domain")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Share:
    """Which share of the work a chunk is: inputs (k, in), float64 and exact, the first of which is number `first` of
    `count`, and of its draws of roots the part `part`. rejected: draws of inputs before them."""

    points: np.ndarray
    first: int
    count: int
    part: int = 0
    rejected: int = 0


def audit_chunk(network: Network, settings: Settings, share: Share, *, certify: bool = False) -> Chunk:
    """Audit a share of the inputs, or of the roots drawn at one of them; inputs are counted with the first part."""
    tallies = [Tally() for _ in settings.audited for _ in settings.layers]
    points, first = share.points, share.first
    chunk = Chunk(len(points) + share.rejected, 0, share.rejected, 0, settings.domain.outside(points), tallies)
    chunk.certificates = Certificates(network) if certify else None
    chunk.apart = [Apart() for _ in settings.rules] if isinstance(settings.root, Nearest) else []
    for logit, chosen in _by_logit(network, settings, points, first):
        one, numbers = network.logit(logit), [first + int(n) for n in chosen]
        _Group(one, network, logit, settings, points[chosen], numbers, share).audit(chunk)
    return chunk


def _by_logit(network: Network, settings: Settings, points: np.ndarray, first: int) -> Iterator[tuple[int, np.ndarray]]:
    if settings.logit is not None:
        yield settings.logit, np.arange(len(points))
        return
    chosen = largest_outputs(network, points, first)
    for logit in np.unique(chosen):
        yield int(logit), np.flatnonzero(chosen == logit)


def largest_outputs(network: Network, points: np.ndarray, first: int = 0) -> np.ndarray:
    """Index of the largest exact output at each of the points (k, in), the first of equal ones. Point 0 is input number
    `first`. Raises InputError."""
    chosen, left = np.zeros(len(points), dtype=np.int64), np.arange(len(points) if network.sizes[-1] > 1 else 0)
    for stage in stages_of(network):
        if not len(left):
            return chosen
        found = outputs(network, stage, points[left])
        low, high = found.lower(), found.upper()
        best = found.mid.argmax(1)
        rivals = high.scatter(1, best[:, None], -np.inf).amax(1)
        chosen[left] = best.cpu().numpy()
        left = left[~(low.gather(1, best[:, None])[:, 0] > rivals).cpu().numpy()]
    if len(left) and is_large(network):
        met = f"input {first + left[0]}: two outputs are too near to each other to tell the largest"
        raise InputError(f"{met}; give --logit")
    for index in left:
        output = network(points[index].tolist())
        chosen[index] = max(range(len(output)), key=lambda i: (output[i], -i))
    return chosen


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
    share: Share
    exact_inputs: dict[int, ExactInput] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ladder = self._ladder()
        self.exactly_too = not is_large(self.network) and not self.settings.numeric

    def audit(self, chunk: Chunk) -> None:
        above = self._above()
        regular = self._regular(above)
        chunk.below_min_logit += int((~above).sum())
        chunk.on_hinge += int((above & ~regular).sum())
        kept = above & regular
        chunk.audited += int(kept.sum())
        if not kept.any():
            return
        if not kept.all():
            self.points, self.numbers = self.points[kept], [n for n, k in zip(self.numbers, kept, strict=True) if k]
            self.exact_inputs = {}
            self.ladder = self._ladder()
        if self.share.part == 0:
            for name, times in self.ladder.signs(exact=self.exactly_too).items():
                chunk.signs[name] = chunk.signs.get(name, 0) + times
        tallies = iter(chunk.tallies)
        for rule in self.settings.audited:
            for layer in self.settings.layers:
                self._tally(next(tallies), rule, layer, chunk.certificates)
        if chunk.apart:
            for tally, rule in zip(chunk.apart, self.settings.rules, strict=True):
                for i, number in enumerate(self.numbers):
                    compare(tally, self.exactly(i), rule, number)
        if self.share.part == 0 and self.settings.claims:
            for i, number in enumerate(self.numbers):
                made = decide_claims(self.whole, self.logit, number, self.exactly(i), chunk.certificates)
                chunk.claims.extend(made)

    def _ladder(self) -> Ladder | NumericLadder:
        made = NumericLadder if self.settings.numeric else Ladder
        return made(self.network, self.points, self.settings)

    def exactly(self, index: int) -> ExactInput:
        """The exact side of one input, made once."""
        if index not in self.exact_inputs:
            self.exact_inputs[index] = ExactInput(self.network, self.points[index], self.settings)
        return self.exact_inputs[index]

    def _above(self) -> np.ndarray:
        """Which explained logits are above the least one, exactly."""
        signs = self.ladder.above(self.settings.min_logit)
        least = Fraction(self.settings.min_logit)
        open_ = np.flatnonzero(signs == UNDECIDED)
        if len(open_) and not self.exactly_too:
            raise InputError(
                f"input {self.numbers[open_[0]]}: its logit is too near {self.settings.min_logit:g} to tell whether it "
                "is above; give another --min-logit"
            )
        for i in open_:
            signs[i] = 1 if self.exactly(int(i)).logit > least else -1
        return np.asarray(signs == 1)

    def _regular(self, wanted: np.ndarray) -> np.ndarray:
        """Which inputs have a gradient. One whose regularity stays undecided is kept: its roots will be undecided."""
        regular = np.ones(len(wanted), dtype=bool)
        if self.exactly_too:
            doubtful = np.flatnonzero(wanted & ~self.ladder.decided(0))
            regular[[i for i in doubtful if self.exactly(int(i)).on_hinge(0)]] = False
        return regular

    def _tally(
        self, tally: Tally, rule: Rule | Composite | Nearest, layer: int, certificates: Certificates | None
    ) -> None:
        started = time.perf_counter()
        start, chosen = self.network.layer(layer).source, self._drawn(layer)
        neurons = chosen.neurons
        hinges = self._hinges(start)
        verdicts = self._verdicts(rule, layer, neurons)
        asked = Asked(
            lambda i, j: self.exactly(i).facts(rule, layer, int(neurons[j])) if self.exactly_too else NOTHING_KNOWN,
            self.numbers, neurons, chosen.whole, self.ladder.names, self.exactly_too,
        )  # fmt: skip
        places = count(verdicts, tally, asked, hinges, first=self.share.part == 0)
        if certificates is not None:
            decided = self.ladder.decided(start)
            for i in np.flatnonzero(~hinges).tolist():
                strict = (verdicts.place[i] != OPEN) & ~verdicts.hinged[i] & decided[i]
                certificates.add(self.numbers[i], self.exactly(i), self.logit, rule, layer, places[i], strict)
        tally.seconds += time.perf_counter() - started

    def _drawn(self, layer: int) -> Drawn:
        """Whose roots are audited."""
        number = 0 if self.settings.sample_roots is None else self.numbers[0]  # draws are audited input by input
        return drawn(self.network, self.settings, layer, self.share.count, number, self.share.part)

    def _verdicts(self, rule: Rule | Composite | Nearest, layer: int, neurons: np.ndarray) -> Verdicts:
        if isinstance(rule, Nearest) or not len(neurons):
            return Verdicts.all_open(len(self.points), len(neurons))
        if self.settings.sample_roots is None:
            return self.ladder.verdicts(rule, layer)
        single, where = np.unique(neurons, return_inverse=True)
        return self.ladder.verdicts(rule, layer, single).chosen(where)

    def _hinges(self, start: int) -> np.ndarray:
        """Inputs at which F_l bends: their roots have no region to lie in."""
        decided = self.ladder.decided(start)
        bends = [not d and self.exactly_too and self.exactly(i).on_hinge(start) for i, d in enumerate(decided)]
        return np.array(bends, dtype=bool)
