"""Exact admissible roots: does the closed linear region hold a point where the relevance is zero?

On N = N_{F_l}(a_l) the function is one affine form, and so is a neuron's pre-activation; on the closure of every cell
the question is a system of weak inequalities. Where each has Farkas multipliers and the list of cells is complete, no
admissible root exists at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.closed import Feasible, Infeasible, feasible
from dtdsym.arithmetic.rational import fraction, fractions
from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import InputError, OnHinge
from dtdsym.geometry.budget import Budget, Meter
from dtdsym.geometry.cell import Cell, Pattern
from dtdsym.geometry.component import Component
from dtdsym.geometry.search import Crossing
from dtdsym.network.network import Network
from dtdsym.network.slice import slice_at

DOMAINS = (None, "nonnegative")
WITHIN = ("region", "cell")


@dataclass(frozen=True, eq=False)
class AdmissibleRoot:
    """point (size,): in the closure of the region, not the layer's input, with zero relevance. path: facet crossings
    from the input's cell to one whose closure holds it. inside: whether it lies strictly inside a cell."""

    point: tuple[Fraction, ...]
    path: tuple[Crossing, ...]
    inside: bool


@dataclass(frozen=True, eq=False)
class NoAdmissibleRoot:
    """There is none. cells: all that were asked, complete. bounds: pattern -> multipliers of the rows of
    `RootQuestion.rows` (of the cell's walls, the domain, the form and its negative), which add up to a negative
    constant."""

    question: RootQuestion
    cells: dict[Pattern, Cell]
    bounds: dict[Pattern, tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class RootQuestion:
    """Where a root may lie: in the closure of the region of `home`, or of the input's cell alone, where the form
    (slopes, constant), which is positive at the input, is zero; with the domain, where no coordinate is negative."""

    home: Component
    form: tuple[Fraction, ...]
    domain: str | None = None
    within: str = "region"

    def rows(self, cell: Cell) -> list[list[Any]]:
        """Integer forms that are >= 0 at the roots in the closed cell, and nowhere else."""
        size = len(self.home.x)
        units = [[int(i == k) for k in range(size)] + [0] for i in range(size if self.domain else 0)]
        zero = whole(self.form)
        return [*(list(wall.row) for wall in cell.walls), *units, zero, [-entry for entry in zero]]

    def cells(self, meter: Meter) -> Iterator[Cell]:
        """All cells, as the search finds them. Raises BudgetSpent."""
        if self.within == "cell":
            yield self.home.cell
            return
        search = self.home.search
        waiting = list(search.cells.values())
        while True:
            yield from waiting
            if search.exhausted:
                return
            waiting = search.grow(meter)

    def path(self, cell: Cell) -> tuple[Crossing, ...]:
        """Facet crossings from the input's cell."""
        return () if self.within == "cell" else tuple(self.home.search.path(cell.pattern))


def root_question(
    network: Network,
    x: Any,
    *,
    logit: int,
    layer: int,
    neuron: int | None,
    domain: str | None,
    within: str,
    budget: Budget | None,
) -> RootQuestion:
    """What `exact_root` and `nearest_root` are asked. Raises as they do."""
    check_domain(domain)
    if within not in WITHIN:
        raise InputError(f"within {within!r}: expected {' or '.join(WITHIN)}")
    function, a = slice_at(network, x, logit=logit, layer=layer)
    home, one = Component(function, a, Budget.of(budget)), network.logit(logit)
    if within == "cell" and home.x_on_hinge:
        raise OnHinge(f"the input of layer {layer} lies on a hinge, so in no open cell; ask within the region")
    row = None if neuron is None else neuron_of(network, one, layer, neuron, logit)
    return RootQuestion(home, relevance_form(home, one, layer, row), domain, within)


def check_domain(domain: str | None) -> None:
    """Raises InputError for an unknown domain."""
    if domain not in DOMAINS:
        raise InputError(f"domain {domain!r}: expected nonnegative, or None for no bounds")


def neuron_of(network: Network, one: Network, layer: int, neuron: int, logit: int) -> int:
    """Where a neuron of layer l stands in the network that is cut to the logit: of the last layer that neuron alone.

    Raises InputError for a neuron that does not exist, or has no relevance."""
    size, place = network.layer(layer).size, whole_number(neuron)
    if place is None or not 0 <= place < size:
        raise InputError(f"neuron {neuron!r} does not exist; layer {layer} has neurons 0 to {size - 1}")
    if one.layer(layer).size == size:
        return place
    if place != logit:
        raise InputError(f"neuron {neuron} of the last layer has no relevance: logit {logit} is explained")
    return 0


def exact_root(
    network: Network,
    x: Any,
    *,
    logit: int = 0,
    layer: int = 1,
    neuron: int | None = None,
    domain: str | None = None,
    within: str = "region",
    budget: Budget | None = None,
) -> AdmissibleRoot | NoAdmissibleRoot:
    """A root of F_l, or of neuron j of layer l, in the closure of N_{F_l}(a_l); or the proof that none is there.

    x (in,): the network's input, read exactly. neuron: the root is to lie on its hinge; None: F_l is to be zero.
    domain "nonnegative": the root may have no negative coordinate; None: it may lie anywhere. within "cell": in the
    closure of a_l's own cell. Raises OnHinge, BudgetSpent, and InputError where the relevance is zero at a_l itself."""
    asked = root_question(
        network, x, logit=logit, layer=layer, neuron=neuron, domain=domain, within=within, budget=budget
    )
    return root_in(asked)


def relevance_form(home: Component, network: Network, layer: int, neuron: int | None) -> tuple[Fraction, ...]:
    """(slopes, constant) of F_l on the region, or of a neuron's pre-activation, with the sign that makes it positive at
    the input. Raises InputError where it is zero there."""
    if neuron is None:
        slopes = home.gradient
        value = fraction(home.function(home.x))
        constant = value - sum((g * p for g, p in zip(slopes, fractions(home.x), strict=True)), Fraction(0))
    else:
        slopes, constant = network.layer(layer).form(neuron)
        value = sum((g * p for g, p in zip(slopes, fractions(home.x), strict=True)), constant)
    if value == 0:
        raise InputError("the relevance is zero at the layer's input itself, which may not be its own root")
    sign = 1 if value > 0 else -1
    return tuple(sign * entry for entry in (*slopes, constant))


def root_in(question: RootQuestion) -> AdmissibleRoot | NoAdmissibleRoot:
    """A root, or the proof that there is none. Raises BudgetSpent."""
    meter = question.home.budget.start()
    cells: dict[Pattern, Cell] = {}
    bounds: dict[Pattern, tuple[Any, ...]] = {}
    for cell in question.cells(meter):
        match feasible(question.rows(cell), deadline=meter.tick):
            case Infeasible(multipliers):
                cells[cell.pattern], bounds[cell.pattern] = cell, multipliers
            case Feasible(found):
                root = np.array(found, dtype=object)
                return AdmissibleRoot(fractions(root), question.path(cell), cell.holds(root))
    return NoAdmissibleRoot(question, cells, bounds)


def whole(form: Sequence[Fraction]) -> list[int]:
    """A positive multiple of the form, in integers."""
    common = int(np.lcm.reduce([entry.denominator for entry in form], dtype=object))
    return [int(entry * common) for entry in form]
