"""What a claim is asked of, and what may come out: proved, refuted or undecided, with evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL, vector
from dtdsym.displayed import Displayed
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.component import Component
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.plain import PlainLayer, plain_layers
from dtdsym.network.slice import Slice, slice_at
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.rule import Rule


@dataclass(frozen=True, eq=False)
class Question:
    """One network, one input (in,) of exact numbers, one explained logit; layer, rule, kind of root and target where a
    claim speaks of them."""

    network: Network
    x: np.ndarray
    logit: int
    layer: int
    rule: Rule | Composite
    root: str
    budget: Budget
    target: tuple[Fraction, ...] | None = None

    @cached_property
    def one(self) -> Network:
        """The network cut to the explained logit."""
        return self.network.logit(self.logit)

    @cached_property
    def values(self) -> Mapping[int, Any]:
        """The exact values of all nodes at the input."""
        return evaluate(self.one, RATIONAL, {0: self.x})

    @cached_property
    def slice(self) -> Slice:
        """F_l at the input."""
        return slice_at(self.network, self.x, logit=self.logit, layer=self.layer)[0]

    @cached_property
    def plain(self) -> tuple[PlainLayer, ...]:
        """f_1, ..., f_n. Raises UnsupportedLayer, with the node, where the network is not plain."""
        return plain_layers(self.one)

    @property
    def a(self) -> np.ndarray:
        """a_l, the layer's input (size,)."""
        return np.asarray(self.values[self.slice.start], dtype=object)

    @cached_property
    def home(self) -> Component:
        """N_{F_l}(a_l). Raises OnHinge, BudgetSpent."""
        return Component(self.slice, self.a, self.budget)

    @staticmethod
    def of(network: Network, x: Any, **asked: Any) -> Question:
        """From numbers of any kind, read exactly. Raises ShapeMismatch, NotExact."""
        return Question(network, vector(x, size=network.sizes[0], name="x"), **asked)


@dataclass(frozen=True, eq=False)
class Verdict(Displayed):
    """claim: its name. statement: what was decided, about this network and input. reason: why, for people. bad_news:
    whether an explanation loses by it. witness: what shows it, as JSON values, exact numbers as "p/q". grounds: the
    places, points and lists that it rests on; a certificate is made of them."""

    claim: str
    statement: str
    reason: str
    bad_news: bool = False
    witness: Mapping[str, Any] = field(default_factory=dict)
    grounds: Any = None

    @property
    def name(self) -> str:
        """proved, refuted or undecided."""
        return type(self).__name__.lower()

    def __str__(self) -> str:
        return f"{self.claim}: {self.name}. {self.statement} {self.reason}"


def sentence(why: object) -> str:
    """An error's line, or a claim's, as a sentence."""
    told = str(why)
    return f"{told[:1].upper()}{told[1:]}."


class Proved(Verdict):
    """The statement holds: a theorem about the exact network."""


class Refuted(Verdict):
    """The statement does not hold, and that is a theorem too."""


class Undecided(Verdict):
    """A budget ran out, or no proof is known; the reason says which, and what was tried."""
