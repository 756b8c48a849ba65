"""The lowest relevance in the linear region, exactly: the best root that a search could find, where none is exact.

On the closure of each cell it is a linear program; the lowest of all cells is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.closed import Infeasible
from dtdsym.arithmetic.optimum import Unbounded, minimise
from dtdsym.arithmetic.rational import fraction, fractions
from dtdsym.errors import InputError
from dtdsym.geometry.budget import Budget
from dtdsym.network.network import Network
from dtdsym.relevance.root_search import root_question, whole


@dataclass(frozen=True)
class LowestRelevance:
    """point (size,): in the closure of the region, with the least relevance there, `value`. cells: how many there are,
    all of which were searched."""

    point: tuple[Fraction, ...]
    value: Fraction
    cells: int


@dataclass(frozen=True)
class UnboundedRelevance:
    """The relevance falls without end from `point` (size,) along `direction` (size,), inside the closure of a cell."""

    point: tuple[Fraction, ...]
    direction: tuple[Fraction, ...]


def lowest_relevance(
    network: Network,
    x: Any,
    *,
    logit: int = 0,
    layer: int = 1,
    neuron: int | None = None,
    domain: str | None = None,
    within: str = "region",
    budget: Budget | None = None,
) -> LowestRelevance | UnboundedRelevance:
    """Where F_l, or the pre-activation of neuron j of layer l, is lowest in the closure of N_{F_l}(a_l).

    With a ReLU above it F_l is nowhere below 0, and 0 where there is an exact root. A neuron that is inactive at a_l
    counts with the other sign, so that its hinge is 0 too, and its own half-space above. Arguments and errors as for
    `exact_root`; InputError also where the domain leaves nothing of the region."""
    asked = root_question(
        network, x, logit=logit, layer=layer, neuron=neuron, domain=domain, within=within, budget=budget
    )
    meter, goal = asked.home.budget.start(), whole(asked.form)
    scale = next(
        (whole_entry / entry for whole_entry, entry in zip(goal, asked.form, strict=True) if entry), Fraction(1)
    )
    best, cells = None, 0
    for cell in asked.cells(meter):
        cells += 1
        found = minimise(goal, asked.rows(cell)[:-2], meter.tick)
        if isinstance(found, Unbounded):
            return UnboundedRelevance(
                *(fractions(np.array(part, dtype=object)) for part in (found.point, found.direction))
            )
        if not isinstance(found, Infeasible) and (best is None or found.value < best.value):
            best = found
    if best is None:
        raise InputError("no point of the region has only coordinates from 0 on; ask without the domain")
    return LowestRelevance(fractions(np.array(best.point, dtype=object)), fraction(best.value) / scale, cells)
