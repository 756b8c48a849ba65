"""What `identify` found, in plain words and as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dtdsym.relevance.candidates import FLAWS, Candidate

SEEDS = {
    "f(x)": "",
    "1": ", started from 1: multiply it by the logit f(x) to have relevance that starts from f(x)",
    "all": ", started from all logits at once: start from the explained one alone",
}


@dataclass(frozen=True)
class Match:
    """One candidate: what it is, the relevance it starts from ("f(x)", "1", or "all" logits' values), the largest
    difference of an entry as a share of the largest entry, and the logit, if it is not the one that was asked for."""

    candidate: Candidate
    seed: str
    error: float
    logit: int | None = None

    def __str__(self) -> str:
        other = "" if self.logit is None else f" for logit {self.logit}, not the one given"
        return f"{self.candidate.described}{SEEDS[self.seed]}{other}"

    def to_json(self) -> dict[str, Any]:
        """As in the JSON report."""
        found = self.candidate
        return {
            "composite": found.text,
            "tool": found.tool,
            "note": " ".join(self.notes()),
            "batchnorm": found.batchnorm,
            "seed": self.seed,
            "logit": self.logit,
            "error": self.error,
        }

    def notes(self) -> Iterator[str]:
        """What is wrong with it and what to do, a sentence each."""
        for flaw in self.candidate.flaws:
            yield f"Flaw: {FLAWS[flaw]}."
        if self.candidate.hint:
            yield self.candidate.hint


FAR = 0.5
"""A nearest candidate that differs by more, as a share of the largest entry, has nothing to do with the explanation."""


@dataclass(frozen=True)
class Identification:
    """matches: the candidates that are equal to rounding, the simplest first; nearest: the nearest one, equal or not.
    proportional: where none is equal, one that is but for a factor for each input, and these factors.

    Candidates with a flaw, another logit or seed are only tried where none without matches.
    gradient_x_input: how far the array is from gradient x input. tolerance: what counted as rounding."""

    matches: tuple[Match, ...]
    nearest: Match
    gradient_x_input: float
    tolerance: float
    proportional: Match | None = None
    factors: tuple[float, ...] = ()

    @property
    def is_gradient_x_input(self) -> bool:
        """Whether it equals gradient x input, to rounding."""
        return self.gradient_x_input <= self.tolerance

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> Iterator[str]:
        """The finding in plain words."""
        if self.is_gradient_x_input:
            yield f"This is gradient x input: no entry differs by more than {self.gradient_x_input:.1g} of the largest."
        if not self.matches:
            yield from self._none() if not self.is_gradient_x_input else ()
            return
        off = f"no entry differs by more than {self.matches[0].error:.1g} of the largest"
        yield f"It equals {self.matches[0]} ({off})."
        if len(self.matches) > 1:
            others = "; ".join(str(match) for match in self.matches[1:6])
            more = f"; and {len(self.matches) - 6} more" if len(self.matches) > 6 else ""
            yield f"On these inputs this is the same as {others}{more}."
        yield from dict.fromkeys(note for match in self.matches for note in match.notes())

    def _none(self) -> Iterator[str]:
        """What there is to say where nothing is equal."""
        if self.proportional is not None:
            low, high = min(self.factors), max(self.factors)
            factor = f"{low:.6g}" if low == high else f"{low:.4g} to {high:.4g}, another one for each input"
            yield f"It is proportional to {self.proportional}: multiplied by {factor}, as maps scaled for display are."
            return
        off = f"up to {self.nearest.error:.2g} of the largest entry; {self.tolerance:g} would count as equal"
        if self.nearest.error > FAR:
            yield f"It equals none of the known explanations, and none is near: the nearest differs by {off}."
        else:
            yield f"It equals none of the known explanations. The nearest is {self.nearest}: it differs by {off}."
        yield "If a rule with other parameters was used, name it as a candidate; check inputs, logit and weights."

    def to_json(self) -> dict[str, Any]:
        """As in the JSON report."""
        return {
            "proportional": None if self.proportional is None else self.proportional.to_json(),
            "factors": list(self.factors),
            "matches": [match.to_json() for match in self.matches],
            "nearest": self.nearest.to_json(),
            "gradient_x_input": {"equal": self.is_gradient_x_input, "error": self.gradient_x_input},
            "tolerance": self.tolerance,
        }
