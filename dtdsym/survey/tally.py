"""Tallies: what was counted over some inputs, for one rule at one layer. They add up, in any grouping, to the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import from_text, nearest_float, text
from dtdsym.claims.c5 import LEAVES
from dtdsym.claims.c6 import EQUAL
from dtdsym.geometry.placement import PLACES

BIN = math.log(1.01)
FACTS = ("equal_output", "zero_relevance", "in_domain")
"""What is asked of a root besides its place."""
DECIDERS = (
    "enclosure", "ball", "hundred_bits", "two_hundred_bits", "four_hundred_bits", "rational", "numeric",
)  # fmt: skip
"""What a place can have been decided by; `numeric` proves nothing."""
PROVED_BY = {
    "c5": LEAVES,
    "c6": tuple(name for name in PLACES if name not in (*EQUAL, "undecided")),
}
"""Claims that a root table decides, and the places that prove them."""


@dataclass
class Residuals:
    """Sizes of the Taylor residual |F(a) - F(root) - grad F(root).(a - root)|: the exact maximum, and a histogram.

    Bins are 1 % wide, so that the median is known to 1 % without keeping every value; `zero` counts exact zeros.
    measured: the largest that enclosures saw, a rounded float, where the rationals cannot be asked.
    """

    maximum: Fraction = Fraction(0)
    input: int | None = None
    neuron: int | None = None
    zero: int = 0
    bins: dict[int, int] = field(default_factory=dict)
    measured: float = 0.0

    def add_all(self, sizes: np.ndarray) -> None:
        """Count many values (floats > 0)."""
        keys, times = np.unique(np.floor(np.log(sizes) / BIN).astype(np.int64), return_counts=True)
        for key, number in zip(keys.tolist(), times.tolist(), strict=True):
            self.bins[key] = self.bins.get(key, 0) + number

    def record(self, size: Fraction, input_number: int, neuron: int) -> None:
        """Take an exact value into account for the maximum; the first of equal ones is kept."""
        if size > self.maximum:
            self.maximum, self.input, self.neuron = size, input_number, neuron

    def merge(self, other: Residuals) -> None:
        """Add another's counts; among equal maxima the earlier input stays."""
        earlier = other.input is not None and self.input is not None and other.input < self.input
        if other.maximum > self.maximum or (other.maximum == self.maximum and earlier):
            self.maximum, self.input, self.neuron = other.maximum, other.input, other.neuron
        self.zero += other.zero
        self.measured = max(self.measured, other.measured)
        for key, times in other.bins.items():
            self.bins[key] = self.bins.get(key, 0) + times

    @property
    def largest(self) -> float:
        """The maximum for reading."""
        return max(nearest_float(self.maximum), self.measured)

    @property
    def median(self) -> float:
        """Median to 1 %; 0.0 where most are exactly zero, and where nothing was measured."""
        total = self.zero + sum(self.bins.values())
        seen = self.zero
        if 2 * seen >= total:
            return 0.0
        for key in sorted(self.bins):
            seen += self.bins[key]
            if 2 * seen >= total:
                return math.exp((key + 0.5) * BIN)
        raise AssertionError("the bins hold less than they count")


@dataclass
class Tally:
    """Counts over roots (places, equal_*, zero_relevance, in_domain) and over inputs (inputs_*, on_hinge).

    decided_by: how each place was decided. seconds: time spent on them. first: claim (c5, c6) -> the first root in
    order of inputs and neurons that proves it: [input number, neuron, place], or None. flagged: places by floats alone
    whose margin is below 1; margin: the smallest of all such places, inf where there are none. open: of roots, how many
    of the facts equal_output, zero_relevance and in_domain were left undecided.
    """

    places: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))
    equal_gradient: int = 0
    equal_output: int = 0
    zero_relevance: int = 0
    in_domain: int = 0
    inputs_all_equal_gradient: int = 0
    inputs_any_different_gradient: int = 0
    inputs_unresolved: int = 0
    on_hinge: int = 0
    residuals: Residuals = field(default_factory=Residuals)
    decided_by: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DECIDERS, 0))
    seconds: float = 0.0
    first: dict[str, list[Any] | None] = field(default_factory=lambda: dict.fromkeys(PROVED_BY))
    flagged: int = 0
    margin: float = math.inf
    open: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FACTS, 0))

    @property
    def total(self) -> int:
        """Number of roots asked for: neurons times inputs, missing roots included."""
        return sum(self.places.values())

    def merge(self, other: Tally) -> None:
        """Add another's counts."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("places", "decided_by", "open"):
            mine, theirs = getattr(self, name), getattr(other, name)
            for key, times in theirs.items():
                mine[key] += times
        self.margin = min(self.margin, other.margin)
        self.residuals.merge(other.residuals)
        for claim, found in other.first.items():
            self.note(claim, found)
        self.seconds += other.seconds

    def flag(self, margins: np.ndarray) -> None:
        """Count margins, inf for places that are proved."""
        self.flagged += int((margins < 1).sum())
        self.margin = min(self.margin, float(margins.min(initial=math.inf)))

    def note(self, claim: str, found: list[Any] | None) -> None:
        """A root that proves a claim; the earliest is kept."""
        own = self.first[claim]
        if found is not None and (own is None or found < own):
            self.first[claim] = found

    def to_json(self) -> dict[str, Any]:
        """Everything, exactly, as JSON values; `from_json` reads it back."""
        rest = self.residuals
        return {
            **{name: getattr(self, name) for name in COUNTS},
            "places": self.places,
            "decided_by": self.decided_by,
            "open": self.open,
            "seconds": self.seconds,
            "first": self.first,
            "margin": None if math.isinf(self.margin) else self.margin,
            "residuals": {
                "maximum": text(rest.maximum),
                "input": rest.input,
                "neuron": rest.neuron,
                "zero": rest.zero,
                "bins": {str(key): times for key, times in sorted(rest.bins.items())},
                "measured": rest.measured,
            },
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Tally:
        """What `to_json` wrote."""
        rest = data["residuals"]
        residuals = Residuals(
            from_text(rest["maximum"]),
            rest["input"],
            rest["neuron"],
            rest["zero"],
            {int(key): times for key, times in rest["bins"].items()},
            rest["measured"],
        )
        counts = {name: data[name] for name in COUNTS}
        return Tally(
            places=dict(data["places"]),
            decided_by=dict(data["decided_by"]),
            open=dict(data["open"]),
            seconds=data["seconds"],
            first=dict(data["first"]),
            margin=math.inf if data["margin"] is None else data["margin"],
            residuals=residuals,
            **counts,
        )


COUNTS = (
    "equal_gradient",
    "equal_output",
    "zero_relevance",
    "in_domain",
    "inputs_all_equal_gradient",
    "inputs_any_different_gradient",
    "inputs_unresolved",
    "on_hinge",
    "flagged",
)
