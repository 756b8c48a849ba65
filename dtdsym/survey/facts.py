"""What is asked of one root, answered by the rationals: its place, and what the network computes there."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import fractions
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.component import Component
from dtdsym.geometry.placement import Place, place_in
from dtdsym.geometry.regularity import Regular

Bounds = tuple[Fraction | None, Fraction | None]


@dataclass(frozen=True)
class Facts:
    """place: a name of PLACES. equal_output: F_l(root) = F_l(a). zero_relevance: F_l(root) = 0. in_domain: the root
    is an input that the layer may receive. residual: |F_l(a) - F_l(root) - grad . (a - root)|, the gradient at the
    root, taken from a's side on the boundary; None where there is no gradient. All None where there is no root, or
    nothing could be asked of it."""

    place: str
    equal_output: bool | None
    zero_relevance: bool | None
    in_domain: bool | None
    residual: Fraction | None


def facts_of(home: Component, output: Any, root: np.ndarray, bounds: Bounds, budget: Budget) -> Facts:
    """Facts of a root (size,), exact; `output` is F_l at the region's point."""
    found = place_in(home, root, budget)
    value = home.function(root)
    return Facts(
        place=found.name,
        equal_output=bool(value == output),
        zero_relevance=bool(value == 0),
        in_domain=_within(fractions(root), bounds),
        residual=_residual(home, found, root, output - value),
    )


def _within(root: tuple[Fraction, ...], bounds: Bounds) -> bool:
    low, high = bounds
    return all((low is None or low <= entry) and (high is None or entry <= high) for entry in root)


def _residual(home: Component, found: Place, root: np.ndarray, difference: Any) -> Fraction | None:
    """Zero by theorem on the region and its closure."""
    if found.inside or found.name == "boundary":
        return Fraction(0)
    if not isinstance(found.regularity, Regular):
        return None
    step = fractions(home.x - root)
    slope = sum((g * s for g, s in zip(found.regularity.gradient, step, strict=True)), Fraction(0))
    return abs(fractions(np.array([difference], dtype=object))[0] - slope)
