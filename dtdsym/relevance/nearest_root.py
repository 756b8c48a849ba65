"""The nearest admissible exact root in L-infinity or L1: the root that Deep Taylor Decomposition should have taken.

On the closure of one cell the least distance is the least r for which weak inequalities have a point: those of the
cell, the zero of the relevance, and |x - a| <= r. Where they have none, Farkas multipliers add up to alpha + beta r,
less than 0, which no r below -alpha/beta can mend: so r is raised to that, and the first r with a point is the least
one, exactly. A few steps do it, and a budget ends them otherwise. The least over all cells of the region is the answer;
a cell is left as soon as its r reaches the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.closed import Feasible, feasible
from dtdsym.arithmetic.rational import fraction, fractions
from dtdsym.errors import InputError
from dtdsym.geometry.budget import Budget, Meter
from dtdsym.geometry.cell import Cell
from dtdsym.geometry.component import Component
from dtdsym.network.network import Network
from dtdsym.network.slice import slice_at
from dtdsym.relevance.root_search import DOMAINS, relevance_form, whole

NORMS = ("linf", "l1")
Row = tuple[list[Fraction], Fraction, int]
"""slopes, constant, and how often r is added: the form slopes.x + constant + times r."""


@dataclass(frozen=True)
class NearestRoot:
    """point (size,): an admissible exact root than which none is nearer. distance: exact, in the norm that was asked.
    cells: of the region, all of which were searched."""

    point: tuple[Fraction, ...]
    distance: Fraction
    cells: int


def nearest_root(
    network: Network,
    x: Any,
    *,
    norm: str = "linf",
    logit: int = 0,
    layer: int = 1,
    neuron: int | None = None,
    domain: str | None = None,
    budget: Budget | None = None,
) -> NearestRoot | None:
    """The admissible root of F_l, or of neuron j of layer l, nearest to a_l; None where there is none.

    The closure of the whole region N_{F_l}(a_l) is searched. norm: "linf" or "l1". Other arguments and errors as for
    `exact_root`."""
    if norm not in NORMS:
        raise InputError(f"norm {norm!r}: expected {' or '.join(NORMS)}")
    if domain not in DOMAINS:
        raise InputError(f"domain {domain!r}: expected nonnegative, or None for no bounds")
    function, a = slice_at(network, x, logit=logit, layer=layer)
    home = Component(function, a, budget or Budget())
    form = relevance_form(home, network.logit(logit), layer, neuron)
    meter, best = home.budget.start(), None
    while not home.search.exhausted:
        home.search.grow(meter)
    for cell in home.search.cells.values():
        found = _nearest_in(cell, _rows(cell, a, form, norm, domain), None if best is None else best[0], meter)
        best = found or best
    return None if best is None else NearestRoot(best[1][: len(a)], best[0], len(home.search.cells))


def _rows(cell: Cell, a: np.ndarray, form: Sequence[Fraction], norm: str, domain: str | None) -> list[Row]:
    """What a root of the cell at distance r satisfies; in L1 with one more variable for each |x_i - a_i|."""
    size = len(a)
    more = size if norm == "l1" else 0
    walls = [[fraction(entry) for entry in wall.row] for wall in cell.walls]
    signed = [[sign * entry for entry in form] for sign in (1, -1)]
    rows: list[Row] = [(row[:-1] + [Fraction(0)] * more, row[-1], 0) for row in (*walls, *signed)]
    for i, p in enumerate(fractions(a)):
        unit = [Fraction(i == k) for k in range(size)]
        gap = [Fraction(i == k) for k in range(more)]
        rows += [([sign * entry for entry in unit] + gap, -sign * p, 0 if more else 1) for sign in (1, -1)]
        rows += [(unit + [Fraction(0)] * more, Fraction(0), 0)] if domain else []
    return [*rows, ([Fraction(0)] * size + [Fraction(-1)] * more, Fraction(0), 1)] if more else rows


def _nearest_in(
    cell: Cell, rows: list[Row], best: Fraction | None, meter: Meter
) -> tuple[Fraction, tuple[Fraction, ...]] | None:
    """(distance, root) in one closed cell; None if it has no root nearer than `best`."""
    r = Fraction(0)
    while best is None or r < best:
        meter.tick()
        forms = [[*slopes, constant + times * r] for slopes, constant, times in rows]
        scaled = [whole(form) for form in forms]
        outcome = feasible(scaled, deadline=meter.tick)
        if isinstance(outcome, Feasible):
            return r, fractions(np.array(outcome.point, dtype=object))
        alpha = beta = Fraction(0)
        for y, form, large, (_, constant, times) in zip(outcome.multipliers, forms, scaled, rows, strict=True):
            if y != 0:
                lead = next(place for place, entry in enumerate(form) if entry)
                factor = fraction(y) * large[lead] / form[lead]
                alpha, beta = alpha + factor * constant, beta + factor * times
        if beta == 0:
            return None
        r = -alpha / beta
    return None
