"""How far a rule's train-free explanations are from those of nearest admissible roots, over many inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dtdsym.errors import BudgetSpent, OnHinge, UnsupportedLayer
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.nearest_explanation import apart
from dtdsym.relevance.rule import Rule
from dtdsym.survey.exactly import ExactInput

BINS = 1000


@dataclass
class Apart:
    """Counts of inputs by how far apart the explanations are, from 0 to 1, to the nearest 1/1000.

    open: inputs that lack one of them: a budget ran out, the network is not plain, or it is zero everywhere. losing:
    those where a neuron that matters has no admissible root. maximum, input: where they are farthest apart."""

    bins: dict[int, int] = field(default_factory=dict)
    open: int = 0
    losing: int = 0
    maximum: float = 0.0
    input: int | None = None

    @property
    def count(self) -> int:
        """Inputs that were compared."""
        return sum(self.bins.values())

    @property
    def median(self) -> float | None:
        """To 1/2000; None where nothing was compared."""
        seen = 0
        for key in sorted(self.bins):
            seen += self.bins[key]
            if 2 * seen >= self.count:
                return min(key / BINS, self.maximum)
        return None

    def record(self, distance: float, number: int) -> None:
        """Count one input."""
        key = round(distance * BINS)
        self.bins[key] = self.bins.get(key, 0) + 1
        if self.input is None or distance > self.maximum:
            self.maximum, self.input = distance, number

    def merge(self, other: Apart) -> None:
        """Add another's counts; among equal maxima the earlier input stays."""
        for key, times in other.bins.items():
            self.bins[key] = self.bins.get(key, 0) + times
        self.open, self.losing = self.open + other.open, self.losing + other.losing
        if other.input is not None and (
            self.input is None or (-other.maximum, other.input) < (-self.maximum, self.input)
        ):
            self.maximum, self.input = other.maximum, other.input

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values; `from_json` reads it back."""
        bins = {str(key): times for key, times in sorted(self.bins.items())}
        return {"bins": bins, "open": self.open, "losing": self.losing, "maximum": self.maximum, "input": self.input}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Apart:
        """What `to_json` wrote."""
        return Apart(**{**data, "bins": {int(key): times for key, times in data["bins"].items()}})


def compare(tally: Apart, exactly: ExactInput, rule: Rule | Composite, number: int) -> None:
    """Count input `number`, whose explanations are exact; only their distance is rounded."""
    try:
        found = exactly.explanation
    except (UnsupportedLayer, BudgetSpent, OnHinge):
        tally.open += 1
        return
    distance = apart(found.relevance, exactly.relevance(rule))
    tally.losing += bool(found.missing)
    if distance is None:
        tally.open += 1
    else:
        tally.record(float(distance), number)
