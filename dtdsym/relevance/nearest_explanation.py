"""Deep Taylor Decomposition with roots in the network's linear region: full backward, each root the nearest admissible
exact one (dtdsym.relevance.nearest_root says in which sense).

As the paper's Algorithm 1 has it, roots are constants. Then Proposition 2 holds: whatever the roots of the layers above
are, R = sum_j (dF_2/da_{2,j}) grad a_{2,j} o (x - root_j), so that the first layer's roots alone decide. Neurons that
the output does not depend on need none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import ONE, RATIONAL, fractions
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.cell import masks_of
from dtdsym.geometry.component import Component
from dtdsym.network.evaluate import differentiate
from dtdsym.network.network import Network
from dtdsym.network.plain import plain_layers
from dtdsym.network.slice import slice_at
from dtdsym.relevance.nearest_root import Nearest, NearestRoot, nearest_in
from dtdsym.relevance.root_search import NoAdmissibleRoot, RootQuestion, relevance_form

FoundRoot = NearestRoot | NoAdmissibleRoot


@dataclass(frozen=True, eq=False)
class NearestExplanation:
    """relevance (in,) of one input's coordinates. roots: neuron j of the first layer -> its root, for all that the
    output depends on and that are not 0 themselves. lost: what the neurons without such a root would have passed down,
    which no input gets."""

    relevance: tuple[Fraction, ...]
    roots: Mapping[int, FoundRoot]
    lost: Fraction

    @property
    def missing(self) -> tuple[int, ...]:
        """The neurons that have no admissible root."""
        return tuple(j for j, root in self.roots.items() if isinstance(root, NoAdmissibleRoot))


def explain_by_nearest_roots(
    network: Network,
    x: Any,
    *,
    norm: str = "l2",
    logit: int = 0,
    domain: str | None = None,
    budget: Budget | None = None,
) -> NearestExplanation:
    """The relevance (in,) of all coordinates of one input x (in,), for one logit of a plain network, exact, by nearest
    admissible roots.

    norm, domain, budget: as for `nearest_root`; the budget is each root's own. Raises UnsupportedLayer for networks
    that are not plain, OnHinge, BudgetSpent, InputError, ShapeMismatch, NotExact."""
    asked, one = Nearest(norm, domain), network.logit(logit)
    function, point = slice_at(network, x, logit=logit)
    home = Component(function, point, Budget.of(budget))
    return explanation_in(home, one, lambda j: root_of_neuron(home, one, 1, j, asked))


def root_of_neuron(home: Component, network: Network, layer: int, neuron: int, asked: Nearest) -> FoundRoot:
    """The nearest root of a neuron. Raises BudgetSpent, and InputError where its pre-activation is zero at a_l."""
    return nearest_in(RootQuestion(home, relevance_form(home, network, layer, neuron), asked.domain), asked.norm)


def explanation_in(home: Component, network: Network, root_of: Callable[[int], FoundRoot]) -> NearestExplanation:
    """The explanation at the network's input, by the roots of first-layer neurons that `root_of` gives."""
    plain_layers(network)
    total, lost, roots = [Fraction(0)] * len(home.x), Fraction(0), {}
    x = fractions(home.x)
    for j, share in _shares(home, network).items():
        slopes, constant = network.layer(1).form(j)
        height = _dot(slopes, x) + constant
        if height == 0:
            continue
        roots[j] = found = root_of(j)
        if isinstance(found, NoAdmissibleRoot):
            lost += share * height
            continue
        terms = zip(total, slopes, x, found.point, strict=True)
        total = [r + share * w * (p - q) for r, w, p, q in terms]
    return NearestExplanation(tuple(total), roots, lost)


def _shares(home: Component, network: Network) -> dict[int, Fraction]:
    """How the output depends on the pre-activations of the first layer's neurons, where it does."""
    masks = masks_of(home.function, home.cell.pattern)
    found = differentiate(network, RATIONAL, masks, np.array([ONE], dtype=object)).get(network.layer(1).output)
    return {} if found is None else {j: share for j, share in enumerate(fractions(found)) if share != 0}


def apart(one: Sequence[Fraction], other: Sequence[Fraction]) -> Fraction | None:
    """How different two pictures are, whatever their scale: half the L1 distance of both, divided by their L1 norms.

    From 0 (equal up to a positive factor) to 1 (no pixel with the same sign in both). None where one is all zero."""
    sizes = [sum(map(abs, picture), Fraction(0)) for picture in (one, other)]
    if not all(sizes):
        return None
    return sum((abs(p / sizes[0] - q / sizes[1]) for p, q in zip(one, other, strict=True)), Fraction(0)) / 2


def _dot(slopes: Sequence[Fraction], point: Sequence[Fraction]) -> Fraction:
    return sum((a * p for a, p in zip(slopes, point, strict=True)), Fraction(0))
