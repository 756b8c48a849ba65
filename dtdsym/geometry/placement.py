"""The place of a point relative to N_{F_l}(x): exhaustive, exclusive, exact, with its evidence.

First that applies: degenerate, same_cell, same_region_segment, same_region, boundary, same_gradient_elsewhere,
outside, undecided. (no_root is a tally of roots that do not exist, and is given by the rules.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import vector
from dtdsym.displayed import Displayed
from dtdsym.errors import BudgetSpent
from dtdsym.geometry.budget import Budget, Meter
from dtdsym.geometry.cell import Pattern, cell_at
from dtdsym.geometry.component import Component
from dtdsym.geometry.regularity import Irregular, Regular, regularity
from dtdsym.geometry.search import Crossing, Search, cells_from, cones_at
from dtdsym.geometry.segment import stays_inside
from dtdsym.network.network import Network
from dtdsym.network.slice import slice_at

VALID = ("same_cell", "same_region_segment", "same_region")
"""Where an expansion is valid, and the root is not the input itself."""
INSIDE = ("degenerate", *VALID)
"""In the linear region of the input."""
PLACES = (
    *INSIDE,
    "boundary",
    "same_gradient_elsewhere",
    "outside",
    "no_root",
    "undecided",
)
VIOLATIONS = ("boundary", "same_gradient_elsewhere", "outside", "no_root")


@dataclass(frozen=True, eq=False)
class Place(Displayed):
    """Where a point lies, and why.

    pattern, gradient: of the region at x. regularity: of the other point; None where it was not needed. path: facet
    crossings that lead from x's cell to a cell whose closure holds the point. search: the exhausted one that the
    verdict rests on, if it does; both in cells of dtdsym.network.fused, the same function with its ReLUs taken into
    its max-pools. reason: one line for people.
    """

    name: str
    reason: str
    pattern: Pattern
    gradient: tuple[Fraction, ...]
    regularity: Regular | Irregular | None = None
    path: tuple[Crossing, ...] = ()
    search: Search | None = None

    @property
    def cells(self) -> tuple[Pattern, ...]:
        """The complete list of cells of the search."""
        return () if self.search is None else tuple(self.search.cells)

    @property
    def inside(self) -> bool:
        """Whether the point lies in N_{F_l}(x)."""
        return self.name in INSIDE

    def require_decided(self) -> None:
        """Raises BudgetSpent if the place is undecided."""
        if self.name == "undecided":
            raise BudgetSpent(self.reason)


def place(
    network: Network,
    x: Sequence[Any],
    other: Sequence[Any],
    *,
    logit: int = 0,
    layer: int = 1,
    budget: Budget | None = None,
) -> Place:
    """Place of `other` relative to N_{F_l}(a_l). x (in,) is the network's input; other has the shape of layer l's
    input. Numbers are read exactly. Raises OnHinge if F_l bends at a_l."""
    function, a = slice_at(network, x, logit=logit, layer=layer)
    home = Component(function, a, Budget.of(budget))
    return place_in(home, vector(other, size=home.function.size, name="other"), home.budget)


def place_in(home: Component, other: np.ndarray, budget: Budget) -> Place:
    """Place of `other` (size,), exact, relative to the region; `undecided` when the budget ends."""
    question = _Question(home, other, budget.start())
    try:
        return question.answer()
    except BudgetSpent as spent:
        return question.place("undecided", str(spent))


@dataclass(eq=False)
class _Question:
    home: Component
    other: np.ndarray
    meter: Meter

    def place(self, name: str, reason: str, **evidence: Any) -> Place:
        return Place(name, reason, self.home.cell.pattern, self.home.gradient, **evidence)

    def answer(self) -> Place:
        home = self.home
        if bool((self.other == home.x).all()):
            return self.place("degenerate", "the point is the input itself")
        if not home.x_on_hinge and home.cell.holds(self.other):
            return self.place("same_cell", "every neuron keeps its state")
        verdict = regularity(home.function, self.other, self.meter)
        same = isinstance(verdict, Regular) and verdict.gradient == home.gradient
        if isinstance(verdict, Regular) and not same:
            return self.place("outside", "the gradient there is another one", regularity=verdict)
        if stays_inside(home.function, home.x, home.gradient, self.other, self.meter):
            if same:
                return self.place("same_region_segment", "the segment stays inside the region", regularity=verdict)
            return self.place("boundary", "the segment stays inside the region up to the point", regularity=verdict)
        return self._search(verdict)

    def _search(self, verdict: Regular | Irregular) -> Place:
        """Grow the region from x, and what surrounds the point, in turn: whichever ends first decides."""
        home = self.home.search
        reached = self._reached(home, list(home.cells))
        around = None  # until it is needed
        while reached is None and not home.exhausted:
            new = home.grow(self.meter, lambda cell: cell.violated(self.other))
            reached = self._reached(home, [cell.pattern for cell in new])
            if reached is None and not home.exhausted:
                around = around or self._around(verdict)
                if not around.exhausted:
                    around.grow(self.meter)
                if self._ruled_out(around):
                    return self._apart(verdict, around, "all cells around the point were searched")
        if reached is not None:
            return self._connected(verdict, reached)
        return self._apart(verdict, home, "all cells of the input's region were searched")

    def _around(self, verdict: Regular | Irregular) -> Search:
        function = self.home.fused
        if isinstance(verdict, Regular):
            return cells_from(function, cell_at(function, self.other), verdict.gradient)
        return cones_at(function, self.other)

    def _ruled_out(self, around: Search) -> bool:
        """Whether what surrounds the point is known completely and never met the region.

        Around a regular point: its own component, of which no cell is one of ours. Around a bend: all cones, none of
        which has our gradient."""
        if not around.exhausted:
            return False
        if around.keep is not None:
            return self.home.search.first.pattern not in around.cells
        return all(cone.gradient != self.home.gradient for cone in around.cells.values())

    def _reached(self, home: Search, patterns: list[Pattern]) -> Pattern | None:
        """The first of these cells of the region whose closure holds the point."""
        return next((p for p in patterns if home.cells[p].closure_holds(self.other)), None)

    def _connected(self, verdict: Regular | Irregular, pattern: Pattern) -> Place:
        path = tuple(self.home.search.path(pattern))
        if isinstance(verdict, Regular):
            reason = f"connected through {len(path)} facets, but the segment leaves the region"
            return self.place("same_region", reason, regularity=verdict, path=path)
        return self.place("boundary", "on the edge of the region, in its closure only", regularity=verdict, path=path)

    def _apart(self, verdict: Regular | Irregular, search: Search, reason: str) -> Place:
        if isinstance(verdict, Regular):
            return self.place("same_gradient_elsewhere", reason, regularity=verdict, search=search)
        return self.place(
            "outside", f"a hinge outside the region's closure; {reason}", regularity=verdict, search=search
        )
