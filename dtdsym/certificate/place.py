"""The evidence of a place: what a checker needs besides the network, the input and the point to see that it holds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import ONE, fraction, fractions, text
from dtdsym.certificate.cells import closed_list, cones, cones_if_needed
from dtdsym.certificate.lines import point
from dtdsym.geometry.budget import Meter
from dtdsym.geometry.cell import as_cone
from dtdsym.geometry.component import Component
from dtdsym.geometry.placement import Place
from dtdsym.geometry.regularity import Irregular, Regular, regularity
from dtdsym.geometry.search import interior_point
from dtdsym.geometry.walk import breakpoints

Evidence = dict[str, Any]


class Witness:
    """What is to be said of points relative to one region."""

    def __init__(self, home: Component) -> None:
        self.home, self.function = home, home.fused

    @cached_property
    def at_input(self) -> Evidence:
        """Why a_l is regular, where that is not plain."""
        return _named("input_cones", cones_if_needed(self.function, self.home.x, self.home.budget.start()))

    def evidence(self, other: np.ndarray, found: Place, meter: Meter) -> Evidence:
        """The evidence of a place that was decided. Raises BudgetSpent."""
        match found.name:
            case "degenerate" | "same_cell":
                own: Evidence = {}
            case "same_region_segment":
                own = self._segment(other, meter, ends=True)
            case "same_region":
                own = {**self._leaves(other, meter), **self._path(found), **self._regular(other, meter)}
            case "boundary":
                reached = bool(found.path) or self.home.search.first.closure_holds(other)
                own = self._path(found) if reached else self._segment(other, meter, ends=False)
                own |= self._bends(found, meter)
            case "same_gradient_elsewhere":
                own = {**self._regular(other, meter), **self._cells(found, meter)}
            case "outside":
                own = self._outside(other, found, meter)
            case _:
                raise ValueError(f"a place {found.name!r} has no evidence")
        return {**self.at_input, **own}

    def _regular(self, other: np.ndarray, meter: Meter) -> Evidence:
        return _named("point_cones", cones_if_needed(self.function, other, meter))

    def _outside(self, other: np.ndarray, found: Place, meter: Meter) -> Evidence:
        if isinstance(found.regularity, Regular) or found.regularity is None:
            return self._regular(other, meter)
        if found.search is self.home.search:
            return {**self._cells(found, meter), **self._bends(found, meter)}
        return {"point_cones": cones(self.function, other, meter)}

    def _cells(self, found: Place, meter: Meter) -> Evidence:
        assert found.search is not None
        start = "input" if found.search is self.home.search else "point"
        return {"cells": closed_list(found.search, meter), "from": start}

    def _path(self, found: Place) -> Evidence:
        return {"path": [point(crossing.point) for crossing in found.path]}

    def _bends(self, found: Place, meter: Meter) -> Evidence:
        assert isinstance(found.regularity, Irregular)
        return {"bends": [point(way) for way in found.regularity.directions(meter)]}

    def _segment(self, other: np.ndarray, meter: Meter, *, ends: bool) -> Evidence:
        times = list(breakpoints(self.function, self.home.x, other))
        found = {}
        for t in [*_probes(times), *([ONE] if ends else [])]:
            proof = cones_if_needed(self.function, self._at(t, other), meter)
            if proof is not None:
                found[text(fraction(t))] = proof
        return {"segment": {"t": point(times), "cones": found}}

    def _leaves(self, other: np.ndarray, meter: Meter) -> Evidence:
        """The first point of the segment around which the gradient is another one somewhere."""
        times = list(breakpoints(self.function, self.home.x, other))
        for t in _probes(times):
            p = self._at(t, other)
            verdict = regularity(self.function, p, meter)
            if isinstance(verdict, Irregular):
                cell = next(cell for cell in verdict.cells if cell.gradient != self.home.gradient)
                way = fractions(interior_point(as_cone(cell), meter))
            elif verdict.gradient != self.home.gradient:
                way = (fraction(0),) * len(p)
            else:
                continue
            return {"leaves": {"t": text(fraction(t)), "direction": point(way)}}
        raise AssertionError("the segment stays inside the region, but its place says that it leaves: please report")

    def _at(self, t: Any, other: np.ndarray) -> np.ndarray:
        return self.home.x + t * (other - self.home.x)


def _named(name: str, found: Any) -> Evidence:
    return {} if found is None else {name: found}


def _probes(times: list[Any]) -> Iterator[Any]:
    """Every breakpoint, and a point between each two."""
    before = ONE - ONE
    for t in [*times, ONE]:
        yield (before + t) / 2
        if t != ONE:
            yield t
        before = t
