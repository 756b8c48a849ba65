"""N_{F_l}(x): the linear region of Def. 1, found cell by cell as far as a question needs it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dtdsym.errors import InputError, OnHinge
from dtdsym.geometry.budget import Budget, Meter
from dtdsym.geometry.cell import Cell, Pattern, cell_at
from dtdsym.geometry.regularity import Irregular, regularity
from dtdsym.geometry.search import Search, cells_from
from dtdsym.network.fused import fused
from dtdsym.network.slice import Slice

if TYPE_CHECKING:
    import networkx


class Component:
    """The component of {regular p : grad F_l(p) = grad F_l(x)} that holds x. Open; taken in all of R^d.

    `cells` and `graph` list it whole; what was found for one question serves the next. Questions are answered on
    `fused`, the same function with fewer choices.
    Raises OnHinge if F_l is not differentiable at x.
    """

    def __init__(self, function: Slice, x: np.ndarray, budget: Budget) -> None:
        if not isinstance(budget, Budget):
            raise InputError(f"budget {budget!r}: give dtdsym.Budget(seconds=..., cells=...)")
        self.function, self.x, self.budget = function, x, budget
        verdict = regularity(function, x, budget.start())
        if isinstance(verdict, Irregular):
            raise OnHinge(
                f"the function bends at the point ({len(verdict.cells[0].hinged)} neurons or pool entries tie there): "
                "it has no gradient and no linear region; move the input off the hinge"
            )
        self.cell: Cell = verdict.cell
        self.x_on_hinge = bool(verdict.cell.hinged)

    @property
    def gradient(self) -> tuple[Fraction, ...]:
        """The constant gradient on the region."""
        return self.cell.gradient

    @cached_property
    def fused(self) -> Slice:
        """F_l with its ReLUs taken into its max-pools, so that choices that nothing depends on divide no cell."""
        return fused(self.function)

    @cached_property
    def search(self) -> Search:
        """The search through the region's cells, those of `fused`, as far as it has come."""
        if self.fused is self.function:
            return self.listing
        return cells_from(self.fused, cell_at(self.fused, self.x), self.cell.gradient)

    @cached_property
    def listing(self) -> Search:
        """The search through the cells of F_l itself."""
        return cells_from(self.function, self.cell, self.cell.gradient)

    def complete(self) -> Search:
        """The cells of F_l itself, grown until every cell of the region is listed. Raises BudgetSpent."""
        meter: Meter = self.budget.start()
        while not self.listing.exhausted:
            self.listing.grow(meter)
        return self.listing

    @property
    def cells(self) -> Mapping[Pattern, Cell]:
        """All cells of the region by activation pattern. Raises BudgetSpent."""
        return self.complete().cells

    @property
    def graph(self) -> networkx.Graph:
        """Cells as nodes (patterns), an edge where two share a facet. Raises BudgetSpent."""
        import networkx

        graph = networkx.Graph()
        graph.add_nodes_from(self.cells)
        for crossing in self.listing.crossings:
            if crossing.target in self.listing.cells:
                graph.add_edge(crossing.origin, crossing.target)
        return graph
