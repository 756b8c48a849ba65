"""An explanation beside every candidate: first what is right, then what is flawed, then other logits and seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import inf

import numpy as np
import torch

from dtdsym.errors import RuleError
from dtdsym.relevance.bench import Bench, Views
from dtdsym.relevance.candidates import Candidate
from dtdsym.relevance.identification import Identification, Match
from dtdsym.relevance.rule import ENTRIES

SCREENED = 2
"""So many inputs of a batch are tried first; the others only on what is equal on these, and on the nearest."""
OTHER_LOGITS = 20
"""So many other logits are tried, those of the largest values first; fewer where values are more than OTHER_VALUES."""
OTHER_VALUES = 2**20


@dataclass(frozen=True, eq=False)
class Comparison:
    """points, arrived (batch, in): inputs and relevance; logits (batch,): what is explained; tolerance: see EQUAL."""

    views: Views
    points: torch.Tensor
    arrived: torch.Tensor
    logits: np.ndarray
    tolerance: float
    _benches: dict[int, Bench] = field(default_factory=dict)

    def answer(self, tried: Sequence[Candidate]) -> Identification:
        """Candidates in groups, by how many flaws they have; the first group with a match is the last one."""
        few, equal = self._part(slice(SCREENED)), list[Match]()
        found: list[Match] = []
        for _, group in groupby(tried, key=lambda candidate: len(candidate.flaws)):
            found += [match for candidate in group for match in few.matches(candidate)]
            equal = self._confirmed(found)
            if equal:
                break
        else:
            right = [candidate for candidate in tried if candidate.scales and not candidate.flaws]
            equal = self._confirmed(few.elsewhere(right))
        nearest = min(equal or [self._again(min(found, key=lambda match: match.error))], key=lambda match: match.error)
        gradient = max(part.from_gradient_x_input() for part in self._parts())
        outcome = Identification(tuple(equal), nearest, gradient, self.tolerance)
        return outcome if equal else self._in_proportion(outcome, [c for c in tried if not c.flaws])

    def _in_proportion(self, none: Identification, tried: Sequence[Candidate]) -> Identification:
        """The same, with the first candidate that is equal but for a factor for each input, if there is one."""
        few = self._part(slice(SCREENED))
        for candidate in tried:
            for match in few.matches(candidate):
                if match.seed == "f(x)" and few._scaled(match)[0] <= self.tolerance:
                    errors, factors = zip(*(part._scaled(match) for part in self._parts()), strict=True)
                    if max(errors) <= self.tolerance:
                        return replace(none, proportional=match, factors=sum(factors, ()))
        return none

    def _scaled(self, match: Match) -> tuple[float, tuple[float, ...]]:
        """How far the explanation is from the best multiples of a match, and the factors (one an input)."""
        expected = self._made(match.candidate, self.logits)[match.seed]
        sizes = (expected * expected).sum(1)
        factors = (self.arrived * expected).sum(1) / sizes.masked_fill(sizes == 0, 1)
        return difference(self.arrived, expected * factors[:, None]), tuple(factors.tolist())

    def matches(self, candidate: Candidate) -> Iterator[Match]:
        """The candidate from either seed; nothing if it is none for this network."""
        try:
            made = self._made(candidate, self.logits)
        except RuleError:  # the network has a kind of layer for which the candidate has no rule
            return
        for seed, expected in made.items():
            yield Match(candidate, seed, difference(self.arrived, expected))

    def elsewhere(self, tried: Sequence[Candidate]) -> Iterator[Match]:
        """The candidates at the first input, for other logits than the one explained, and for all logits at once."""
        point, arrived = self.points[:1], self.arrived[:1]
        others = self._other_logits(point)
        # One row for each logit, and the last one for all of them.
        bench = Bench(self.views, None, point.expand(len(others) + 1, -1))
        for candidate in tried:
            outputs = bench.outputs(candidate.batchnorm)[0]
            seed = torch.cat([torch.eye(len(outputs), dtype=outputs.dtype)[others], outputs[None]])
            try:
                made = bench.relevance(candidate, seed)
            except RuleError:
                continue
            for logit, unit in zip(others, made[:-1], strict=True):
                yield Match(candidate, "f(x)", difference(arrived, unit[None] * outputs[logit]), logit)
                yield Match(candidate, "1", difference(arrived, unit[None]), logit)
            yield Match(candidate, "all", difference(arrived, made[-1:]))

    def error(self, match: Match) -> float:
        """How far the explanation is from a match, here."""
        if match.seed == "all":
            bench = Bench(self.views, None, self.points)
            return difference(self.arrived, bench.relevance(match.candidate, bench.outputs(match.candidate.batchnorm)))
        logits = self.logits if match.logit is None else np.full_like(self.logits, match.logit)
        return difference(self.arrived, self._made(match.candidate, logits)[match.seed])

    def from_gradient_x_input(self) -> float:
        """How far the explanation is from gradient x input, here."""
        expected = torch.empty_like(self.points)
        for logit, rows in self._by_logit(self.logits):
            expected[rows] = Bench(self.views, logit, self.points[rows]).gradient_x_input()
        return difference(self.arrived, expected)

    def _other_logits(self, point: torch.Tensor) -> list[int]:
        """None, if each input has a logit of its own."""
        if (self.logits != self.logits[0]).any():
            return []
        ordered = Bench(self.views, None, point).outputs()[0].argsort(descending=True)
        most = min(OTHER_LOGITS, OTHER_VALUES // sum(self.views.network.sizes))
        return [int(logit) for logit in ordered if logit != self.logits[0]][:most]

    def _made(self, candidate: Candidate, logits: np.ndarray) -> dict[str, torch.Tensor]:
        """Its relevance (batch, in) by what it starts from."""
        made = {seed: torch.empty_like(self.points) for seed in (("f(x)", "1") if candidate.scales else ("f(x)",))}
        for logit, rows in self._by_logit(logits):
            bench = self._bench(logit, rows)
            outputs = bench.outputs(candidate.batchnorm)
            if candidate.scales:
                made["1"][rows] = bench.relevance(candidate, torch.ones_like(outputs))
                made["f(x)"][rows] = made["1"][rows] * outputs
            else:
                made["f(x)"][rows] = bench.relevance(candidate, outputs)
        return made

    def _bench(self, logit: int, rows: torch.Tensor) -> Bench:
        """Kept where it is the logit that was asked for."""
        if not (self.logits[rows.numpy()] == logit).all():
            return Bench(self.views, logit, self.points[rows])
        if logit not in self._benches:
            self._benches[logit] = Bench(self.views, logit, self.points[rows])
        return self._benches[logit]

    def _by_logit(self, logits: np.ndarray) -> Iterator[tuple[int, torch.Tensor]]:
        for logit in np.unique(logits):
            yield int(logit), torch.from_numpy(logits == logit)

    def _confirmed(self, found: Iterator[Match] | list[Match]) -> list[Match]:
        """Those of the matches here that match at all inputs."""
        again = [self._again(match) for match in found if match.error <= self.tolerance]
        return [match for match in again if match.error <= self.tolerance]

    def _again(self, match: Match) -> Match:
        """The same at all inputs."""
        if match.logit is None and match.seed != "all" and len(self.points) <= SCREENED:
            return match
        return replace(match, error=max(part.error(match) for part in self._parts()))

    def _parts(self) -> Iterator[Comparison]:
        """The batch in parts that fit the memory."""
        each = max(1, ENTRIES // max(self.views.network.sizes))
        for start in range(0, len(self.points), each):
            yield self._part(slice(start, start + each))

    def _part(self, rows: slice) -> Comparison:
        return replace(
            self, points=self.points[rows], arrived=self.arrived[rows], logits=self.logits[rows], _benches={}
        )


def difference(arrived: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest difference of an entry (batch, in), as a share of its row's largest entry; infinite if unknown."""
    size = expected.abs().amax(1).maximum(arrived.abs().amax(1))
    error = (arrived - expected).abs().amax(1) / size.masked_fill(size == 0, 1)
    return float(error.amax()) if bool(torch.isfinite(error).all()) else inf
