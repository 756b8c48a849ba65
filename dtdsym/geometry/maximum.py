"""The greatest output of a network on a box, exactly, by branch and bound over the phases of its ReLUs.

A node of the tree assumes some phases. The relaxation under these (dtdsym.arithmetic.relaxation) bounds the output by
an exact linear program, whose point the network is evaluated at; the neuron whose triangle is loosest there is split.
Every leaf keeps multipliers that prove its bound, so that nobody has to trust the search.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np

from dtdsym.arithmetic.closed import Infeasible
from dtdsym.arithmetic.optimum import Minimum, minimise
from dtdsym.arithmetic.rational import fraction, fractions
from dtdsym.arithmetic.written import exact_number
from dtdsym.errors import BudgetSpent, InputError
from dtdsym.geometry.box import Box
from dtdsym.geometry.budget import Budget, Meter
from dtdsym.geometry.leaves import Leaf, Output, Phases
from dtdsym.network.network import Network


@dataclass(frozen=True)
class Maximum:
    """point (in,) in the box with the greatest output there, `value`. leaves: why none is greater."""

    point: tuple[Fraction, ...]
    value: Fraction
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class Exceeds:
    """point (in,) in the box where the output, `value`, is above the threshold."""

    point: tuple[Fraction, ...]
    value: Fraction
    threshold: Fraction


@dataclass(frozen=True)
class NeverExceeds:
    """The output is nowhere in the box above the threshold. leaves: why."""

    threshold: Fraction
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class SoFar:
    """What a search knew when its budget was spent: the best point (in,), its output `value`, and a bound that the
    output nowhere in the box exceeds; None before the first linear program is solved."""

    point: tuple[Fraction, ...]
    value: Fraction
    bound: Fraction | None


def maximum(
    network: Network,
    box: Box,
    *,
    logit: int | None = None,
    factors: Sequence[Any] | None = None,
    budget: Budget | None = None,
) -> Maximum:
    """The greatest value on a closed box of one output (0), or of the sum of all outputs times `factors` (outputs,).

    box: (low, high) for each input; both may be one number. Exponential in the number of neurons that change phase in
    the box. Raises BudgetSpent, whose `so_far` is a SoFar, a cell being a node of the tree; InputError, NotExact,
    ShapeMismatch."""
    search = _Search(Output(network, box, logit, factors), Budget.of(budget).start())
    search.until(lambda: search.bound <= search.value)
    return Maximum(search.point, search.value, search.leaves())


def exceeds(
    network: Network,
    box: Box,
    threshold: Any,
    *,
    logit: int | None = None,
    factors: Sequence[Any] | None = None,
    budget: Budget | None = None,
) -> Exceeds | NeverExceeds:
    """Whether an output, or a sum of all times `factors`, is above a threshold anywhere in a closed box.

    Arguments and errors as for `maximum`, which it ends before."""
    limit = exact_number(threshold, name="threshold")
    search = _Search(Output(network, box, logit, factors), Budget.of(budget).start())
    search.until(lambda: search.value > limit or search.bound <= limit)
    if search.value > limit:
        return Exceeds(search.point, search.value, limit)
    return NeverExceeds(limit, search.leaves())


def check(
    network: Network,
    box: Box,
    outcome: Maximum | Exceeds | NeverExceeds,
    *,
    logit: int | None = None,
    factors: Sequence[Any] | None = None,
) -> None:
    """Accept iff point and leaves prove the outcome for this question; its numbers are read exactly, nothing rounds.

    Raises ArithmeticError with what they do not show, NotExact for what is no exact number; InputError."""
    output = Output(network, box, logit, factors)
    match outcome:
        case Maximum():
            output.check_point(outcome.point, outcome.value)
            output.check_leaves(outcome.leaves, outcome.value)
        case NeverExceeds():
            output.check_leaves(outcome.leaves, outcome.threshold)
        case Exceeds():
            output.check_point(outcome.point, outcome.value)
            if not fraction(outcome.value) > fraction(outcome.threshold):
                raise ArithmeticError("the value is not above the threshold")
        case _:
            raise InputError(f"{outcome!r:.70} is no outcome of maximum or exceeds")


@dataclass(frozen=True, order=True)
class _Node:
    """A part of the box by its phases; no output there is above `bound`. neuron: the loosest one, None where all are
    exact."""

    lack: Fraction
    order: int
    leaf: Leaf = field(compare=False)
    neuron: int | None = field(compare=False)

    @property
    def bound(self) -> Fraction:
        return -self.lack


class _Search:
    """The parts that are still to be split, the greatest bound first; those without a point; the best point so far."""

    def __init__(self, output: Output, meter: Meter) -> None:
        self.output, self.meter, self.order = output, meter, count()
        self.empty: list[Leaf] = []
        self.parts: list[_Node] = []
        self.point = tuple(low for low, _ in output.box)
        self.value = output.at(self.point)

    def until(self, decided: Callable[[], bool]) -> None:
        """Split parts. Raises BudgetSpent, with what is known then."""
        bound: Fraction | None = None
        try:
            self._add(())
            while not decided():
                bound = self.bound
                self.split()
        except BudgetSpent as spent:
            spent.so_far = SoFar(self.point, self.value, bound)
            raise

    @property
    def bound(self) -> Fraction:
        """What the output nowhere exceeds."""
        return max(self.parts[0].bound, self.value)

    def leaves(self) -> tuple[Leaf, ...]:
        """All parts."""
        return (*self.empty, *(part.leaf for part in self.parts))

    def split(self) -> None:
        """Cut the part of the greatest bound in two."""
        part = heapq.heappop(self.parts)
        assert part.neuron is not None, "where no triangle is loose the output reaches its bound"
        for phase in (1, -1):
            self._add((*part.leaf.phases, (part.neuron, phase)))

    def _add(self, phases: Phases) -> None:
        self.meter.enter_cell()
        relaxation, form = self.output.relaxed(dict(phases))
        goal, scale = relaxation.whole([-entry for entry in form])
        outcome = minimise(goal, relaxation.rows(), self.meter.tick)
        if isinstance(outcome, Infeasible):
            self.empty.append(Leaf(phases, 0, fractions(np.array(outcome.multipliers, dtype=object))))
            return
        assert isinstance(outcome, Minimum), "the box bounds every variable"
        multipliers = fractions(np.array([y / scale for y in outcome.multipliers], dtype=object))
        self._try(fractions(np.array(outcome.point[: len(self.output.box)], dtype=object)))
        loosest = max(((relaxation.slack(u, outcome.point), u.neuron) for u in relaxation.unsettled), default=(0, 0))
        neuron = loosest[1] if loosest[0] > 0 else None
        lack = fraction(outcome.value / scale)
        heapq.heappush(self.parts, _Node(lack, next(self.order), Leaf(phases, 1, multipliers), neuron))

    def _try(self, point: tuple[Fraction, ...]) -> None:
        value = self.output.at(point)
        if value > self.value:
            self.point, self.value = point, value
