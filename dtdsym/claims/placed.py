"""The roots of all neurons of a layer at one input, each with its place. One that neurons share is placed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.claims.verdict import Question
from dtdsym.errors import NoRoot
from dtdsym.geometry.placement import Place, place_in
from dtdsym.relevance.root import roots_of_layer
from dtdsym.relevance.train_free import propagate


@dataclass(frozen=True, eq=False)
class PlacedRoot:
    """A neuron's root (size,), or why there is none, and its place; None where there is no root."""

    neuron: int
    root: np.ndarray | NoRoot
    place: Place | None

    @property
    def name(self) -> str:
        """Name of the place."""
        return "no_root" if self.place is None else self.place.name


def placed_roots(question: Question) -> list[PlacedRoot]:
    """Of every neuron of the layer, in order. Raises OnHinge, BudgetSpent if the region stays unknown, RuleError."""
    home, one = question.home, question.one
    start = one.layer(question.layer).output
    relevances = propagate(one, RATIONAL, question.values, question.rule, start=start)
    found = roots_of_layer(one, question.values, relevances, question.layer, question.rule, question.root)
    places: dict[tuple[Any, ...], Place] = {}
    for root in found:
        if not isinstance(root, NoRoot) and tuple(root) not in places:
            places[tuple(root)] = place_in(home, root, question.budget)
    return [
        PlacedRoot(neuron, root, None if isinstance(root, NoRoot) else places[tuple(root)])
        for neuron, root in enumerate(found)
    ]
