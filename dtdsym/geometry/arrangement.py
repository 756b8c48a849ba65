"""The exact arrangement: every open cell of a network in a box, in all of its input space, or on a line or plane.

Cells are open and full-dimensional in the space they are listed in: hinges between them belong to none. They form a
polyhedral complex, since what divides them is continuous, so two neighbours share a whole facet. A linear region of
Def. 1 is a set of cells of equal gradient that facets connect: the function is affine across such a facet, and what is
thinner than a facet disconnects nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dtdsym.arithmetic.germ import Germ, integers, over, values
from dtdsym.arithmetic.inequalities import Inequalities
from dtdsym.arithmetic.inequalities import whole_space as all_points
from dtdsym.arithmetic.polyhedron import Polyhedron, whole_space
from dtdsym.arithmetic.rational import fractions, vector
from dtdsym.displayed import Displayed
from dtdsym.errors import InputError
from dtdsym.geometry.box import Box, exact_box
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.cell import Pattern
from dtdsym.geometry.chart import Chart, chart_of
from dtdsym.geometry.facets import Facet, shared_facets
from dtdsym.geometry.subdivision import subdivided
from dtdsym.network.network import Network, checked

if TYPE_CHECKING:
    import networkx

Point = tuple[Fraction, ...]
"""(low, high) for each coordinate, low < high, exact."""


MOST_LISTED = 4
"""Dimensions in which vertices and rays are listed; above, cells are inequalities and inner points."""


@dataclass(frozen=True, eq=False)
class OpenCell:
    """One cell: an open polyhedron in the coordinates t (k,) of its arrangement's chart.

    pattern: of all ReLU neurons and max-pool entries, as in dtdsym.geometry.cell. outputs: those of the network, as
    affine forms on the cell.
    """

    number: int
    domain: Polyhedron | Inequalities
    pattern: Pattern
    outputs: Germ

    @cached_property
    def _forms(self) -> tuple[Point, ...]:
        return tuple(fractions(over(row, self.outputs.unit)) for row in self.outputs.rows())

    @cached_property
    def gradients(self) -> tuple[Point, ...]:
        """Output i of the network is gradients[i] . t + constants[i] on the cell."""
        return tuple(form[:-1] for form in self._forms)

    @cached_property
    def constants(self) -> Point:
        """See gradients."""
        return tuple(form[-1] for form in self._forms)

    @property
    def polyhedron(self) -> Polyhedron:
        """Its domain, with vertices and rays. Raises InputError above 4 dimensions."""
        if isinstance(self.domain, Polyhedron):
            return self.domain
        raise InputError(
            f"vertices and rays are listed in up to {MOST_LISTED} dimensions, and this cell has "
            f"{self.domain.dimension}; use its inequalities and its point"
        )

    @cached_property
    def vertices(self) -> tuple[Point, ...]:
        """Its vertices; in two dimensions in order, counter-clockwise (of an unbounded cell from ray to ray)."""
        polyhedron = self.polyhedron
        rays = polyhedron.rays
        order = polyhedron.around if polyhedron.dimension == 2 else range(len(rays))
        return tuple(_point(rays[number]) for number in order if rays[number][-1] > 0)

    @cached_property
    def rays(self) -> tuple[Point, ...]:
        """Directions in which it never ends: it is the hull of its vertices plus the cone of these (and the lines; a
        cell with lines has no vertex, and `vertices` holds points of it that serve as such)."""
        found = (ray for ray in self.polyhedron.rays if ray[-1] == 0)
        return tuple(tuple(Fraction(int(entry)) for entry in ray[:-1]) for ray in found)

    @cached_property
    def lines(self) -> tuple[Point, ...]:
        """Directions in which it ends on neither side; only where the network does not depend on them."""
        return tuple(tuple(Fraction(int(entry)) for entry in line[:-1]) for line in self.polyhedron.lines)

    @property
    def bounded(self) -> bool:
        """Whether it has vertices alone."""
        return not self.rays and not self.lines

    @cached_property
    def inequalities(self) -> tuple[tuple[int, ...], ...]:
        """One row of integers (a_1, ..., a_k, c) for each facet: the cell is where all a . t + c > 0."""
        return tuple(tuple(int(entry) for entry in self.domain.walls[wall]) for wall, _ in self.domain.facets)

    @cached_property
    def point(self) -> Point:
        """A point of the cell."""
        return _point(self.domain.inner)

    def __contains__(self, t: Sequence[Any]) -> bool:
        """Whether a point lies in the open cell, exactly."""
        place = vector(t, size=self.domain.dimension, name="t")
        return all(value > 0 for value in values(list(self.domain.walls), place))


@dataclass(frozen=True, eq=False)
class Arrangement(Displayed):
    """All open cells of a network on a chart, within a box or in all of it.

    logit: the output whose linear regions are meant, None for the gradients of all outputs together. Regions are those
    of the network restricted to the chart, within the box: what is connected only outside the box counts as two.
    """

    network: Network
    chart: Chart
    box: tuple[tuple[Fraction, Fraction], ...] | None
    logit: int | None
    cells: tuple[OpenCell, ...]

    @cached_property
    def facets(self) -> tuple[Facet, ...]:
        """Every facet once; `beyond` is None on the box."""
        return tuple(shared_facets([cell.domain for cell in self.cells]))

    @cached_property
    def graph(self) -> networkx.Graph:
        """Numbers of cells, joined where two share a facet."""
        import networkx

        graph = networkx.Graph()
        graph.add_nodes_from(range(len(self.cells)))
        graph.add_edges_from((facet.cell, facet.beyond) for facet in self.facets if facet.beyond is not None)
        return graph

    @cached_property
    def regions(self) -> tuple[tuple[int, ...], ...]:
        """The linear regions, each as the numbers of its cells in order; in the order of their first cells."""
        import networkx

        equal = networkx.Graph()
        equal.add_nodes_from(range(len(self.cells)))
        edges = self.graph.edges
        equal.add_edges_from((i, j) for i, j in edges if self.cells[i].gradients == self.cells[j].gradients)
        return tuple(sorted(tuple(sorted(region)) for region in networkx.connected_components(equal)))

    @cached_property
    def region_of(self) -> tuple[int, ...]:
        """For each cell the number of its region."""
        found = [0] * len(self.cells)
        for number, region in enumerate(self.regions):
            for cell in region:
                found[cell] = number
        return tuple(found)

    @property
    def counts(self) -> dict[str, int]:
        """cells; regions; gradients (distinct ones); on_box: cells with a facet on the box; unbounded: cells that never
        end (up to 4 dimensions)."""
        found = {
            "cells": len(self.cells),
            "regions": len(self.regions),
            "gradients": len({cell.gradients for cell in self.cells}),
            "on_box": len({facet.cell for facet in self.facets if facet.beyond is None}),
        }
        if isinstance(self.cells[0].domain, Polyhedron):
            found["unbounded"] = sum(not cell.bounded for cell in self.cells)
        return found

    def cell_at(self, t: Sequence[Any]) -> OpenCell | None:
        """The cell that holds a point of the chart; None if that lies on a hinge or outside the box."""
        return next((cell for cell in self.cells if t in cell), None)


def arrangement(
    network: Network,
    *,
    box: Box | None = None,
    points: Sequence[Any] | None = None,
    logit: int | None = None,
    budget: Budget | None = None,
    progress: Callable[[int], None] | None = None,
) -> Arrangement:
    """Every open cell of the network, exactly.

    points: two inputs (in,) that span a line, three that span a plane, ...; without them the whole input space is
    meant. box: bounds of the coordinates t, which are the inputs themselves, or on a flat those of points[0] + sum of
    t_i (points[i] - points[0]); without it there are no bounds. logit: only this output's cells and regions.
    progress: told with each cell how many there are.

    Raises InputError for a box or points that do not fit, BudgetSpent when there are more cells than it allows."""
    own = checked(network)
    function = own if logit is None else own.logit(logit)
    chart = chart_of(points, network.sizes[0])
    bounds = None if box is None else exact_box(box, chart.dimension)
    meter = Budget.of(budget).start()
    cells: list[OpenCell] = []
    for part in subdivided(function, chart.forms(), domain_of(chart.dimension, bounds, meter.tick)):
        meter.enter_cell()
        cells.append(OpenCell(len(cells), part.domain, part.pattern, part.outputs))
        if progress is not None:
            progress(len(cells))
    return Arrangement(network, chart, bounds, logit, tuple(cells))


def domain_of(
    dimension: int, box: Sequence[tuple[Fraction, Fraction]] | None, tick: Callable[[], None]
) -> Polyhedron | Inequalities:
    """The open box, or all of R^k. tick: called now and then in many dimensions; what it raises ends the work."""
    forms = []
    for place, (low, high) in enumerate(box or ()):
        for bound, sign in ((low, 1), (high, -1)):
            slopes = [sign * bound.denominator * (place == other) for other in range(dimension)]
            forms.append(integers([*slopes, -sign * bound.numerator]))
    whole = whole_space(dimension) if dimension <= MOST_LISTED else all_points(dimension, tick)
    found = whole.clip(forms)
    assert found is not None, "every side of the box has a length"
    return found


def _point(ray: Sequence[Any]) -> Point:
    *entries, weight = (int(entry) for entry in ray)
    return tuple(Fraction(entry, weight) for entry in entries)
