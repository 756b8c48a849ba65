"""The greatest output of a network on a box, exactly, by branch and bound over the phases of its ReLUs.

A node of the tree assumes some phases. The relaxation under these (dtdsym.arithmetic.relaxation) bounds the output by
an exact linear program, whose point the network is evaluated at; the neuron whose triangle is loosest there is split.
Every leaf keeps multipliers that prove its bound, so that nobody has to trust the search.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np

from dtdsym.arithmetic.closed import Infeasible
from dtdsym.arithmetic.optimum import Minimum, minimise
from dtdsym.arithmetic.rational import RATIONAL, fraction, fractions, vector
from dtdsym.arithmetic.relaxation import Form, Relaxation
from dtdsym.errors import InputError
from dtdsym.geometry.budget import Budget, Meter
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network

Box = Sequence[tuple[Any, Any]]
"""(low, high) for each input, low <= high, exact."""
Phases = tuple[tuple[int, int], ...]
"""(neuron, 1 active or -1 inactive), in the order in which they were assumed. Neurons are numbered as a forward pass
meets them; max(a, b) in a pool's window counts as the neuron b + [a - b]."""


@dataclass(frozen=True)
class Leaf:
    """multipliers >= 0 of the relaxation's rows under these phases: share times (the bound - the output) less their
    sum is a constant >= 0, above 0 where share is 0. share 1: the output is at most the bound; 0: the phases exclude
    each other on the box."""

    phases: Phases
    share: int
    multipliers: tuple[Fraction, ...]


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


@dataclass(frozen=True)
class NeverExceeds:
    """The output is nowhere in the box above the threshold. leaves: why."""

    threshold: Fraction
    leaves: tuple[Leaf, ...]


def maximum(
    network: Network,
    box: Box,
    *,
    logit: int = 0,
    factors: Sequence[Any] | None = None,
    budget: Budget | None = None,
) -> Maximum:
    """The greatest value on a closed box of one output, or of the sum of all outputs times `factors` (outputs,).

    box: (low, high) for each input. Exponential in the number of neurons that change phase in the box.
    Raises BudgetSpent, a cell being a node of the tree; InputError, NotExact, ShapeMismatch."""
    search = _Search(_Question(network, box, logit, factors), (budget or Budget()).start())
    while search.bound > search.value:
        search.split()
    return Maximum(search.point, search.value, search.leaves())


def exceeds(
    network: Network,
    box: Box,
    threshold: Any,
    *,
    logit: int = 0,
    factors: Sequence[Any] | None = None,
    budget: Budget | None = None,
) -> Exceeds | NeverExceeds:
    """Whether an output, or a sum of all times `factors`, is above a threshold anywhere in a closed box.

    Arguments and errors as for `maximum`, which it ends before."""
    limit = fraction(threshold)
    search = _Search(_Question(network, box, logit, factors), (budget or Budget()).start())
    while search.value <= limit < search.bound:
        search.split()
    if search.value > limit:
        return Exceeds(search.point, search.value)
    return NeverExceeds(limit, search.leaves())


def check(
    network: Network,
    box: Box,
    outcome: Maximum | NeverExceeds,
    *,
    logit: int = 0,
    factors: Sequence[Any] | None = None,
) -> None:
    """Accept iff the leaves prove the outcome for this question. Raises ArithmeticError with what they do not show."""
    question = _Question(network, box, logit, factors)
    bound = outcome.threshold if isinstance(outcome, NeverExceeds) else outcome.value
    if isinstance(outcome, Maximum):
        if any(not low <= p <= high for p, (low, high) in zip(outcome.point, question.box, strict=True)):
            raise ArithmeticError("the point is not in the box")
        if question.at(outcome.point) != outcome.value:
            raise ArithmeticError("the output has another value at the point")
    _check_complete([leaf.phases for leaf in outcome.leaves])
    for leaf in outcome.leaves:
        _check_leaf(question, leaf, bound)


def _check_complete(paths: Sequence[Phases]) -> None:
    """Whatever the phases are, some path assumes none of the opposite ones."""
    if any(not path for path in paths):
        return
    if not paths or len({path[0][0] for path in paths}) != 1:
        raise ArithmeticError("the leaves do not cover all phases")
    for phase in (1, -1):
        _check_complete([path[1:] for path in paths if path[0][1] == phase])


def _check_leaf(question: _Question, leaf: Leaf, bound: Fraction) -> None:
    relaxation, form = question.relaxed(dict(leaf.phases))
    rows = relaxation.rows()
    total = [leaf.share * fraction(-entry) for entry in form] + [Fraction(0)] * (len(rows[0]) - len(form))
    total[0] += leaf.share * bound
    if len(leaf.multipliers) != len(rows):
        raise ArithmeticError(f"{len(leaf.multipliers)} multipliers for {len(rows)} rows")
    for y, (*slopes, constant) in zip(leaf.multipliers, rows, strict=True):
        if y < 0:
            raise ArithmeticError("a multiplier is negative")
        if y:
            total = [t - y * int(entry) for t, entry in zip(total, [constant, *slopes], strict=True)]
    if leaf.share not in (0, 1) or any(total[1:]) or total[0] < 0 or (leaf.share == 0 and total[0] == 0):
        raise ArithmeticError(f"the multipliers do not prove the bound {bound} where {dict(leaf.phases)}")


class _Question:
    """One output, or a combination of all, on a box."""

    def __init__(self, network: Network, box: Box, logit: int, factors: Sequence[Any] | None) -> None:
        size, outputs = network.sizes[0], network.sizes[-1]
        if len(box) != size or any(len(pair) != 2 for pair in box):
            raise InputError(f"a box of {len(box)} sides for {size} inputs; give (low, high) for each")
        lows, highs = (fractions(vector([pair[k] for pair in box], size=size, name="box")) for k in range(2))
        if any(low > high for low, high in zip(lows, highs, strict=True)):
            raise InputError("the box is empty: a low end is above its high end")
        self.box = tuple(zip(lows, highs, strict=True))
        self.network = network.logit(logit) if factors is None else network
        own = [1] if factors is None else factors
        self.factors = vector(own, size=1 if factors is None else outputs, name="factors")

    def relaxed(self, phases: Mapping[int, int]) -> tuple[Relaxation, Form]:
        """The relaxation under these phases, and the output as a form of its variables."""
        relaxation = Relaxation(self.box, phases)
        value = evaluate(self.network, relaxation, {0: relaxation.inputs()})[len(self.network.nodes) - 1]
        return relaxation, relaxation.form(value @ self.factors)

    def at(self, point: Sequence[Fraction]) -> Fraction:
        """The output at a point, exact."""
        return fraction(RATIONAL.lift(self.network(point)) @ self.factors)


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

    def __init__(self, question: _Question, meter: Meter) -> None:
        self.question, self.meter, self.order = question, meter, count()
        self.empty: list[Leaf] = []
        self.parts: list[_Node] = []
        self.point = tuple(low for low, _ in question.box)
        self.value = question.at(self.point)
        self._add(())

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
        relaxation, form = self.question.relaxed(dict(phases))
        goal, scale = relaxation.whole([-entry for entry in form])
        outcome = minimise(goal, relaxation.rows(), self.meter.tick)
        if isinstance(outcome, Infeasible):
            self.empty.append(Leaf(phases, 0, fractions(np.array(outcome.multipliers, dtype=object))))
            return
        assert isinstance(outcome, Minimum), "the box bounds every variable"
        multipliers = fractions(np.array([y / scale for y in outcome.multipliers], dtype=object))
        self._try(fractions(np.array(outcome.point[: len(self.question.box)], dtype=object)))
        loosest = max(((relaxation.slack(u, outcome.point), u.neuron) for u in relaxation.unsettled), default=(0, 0))
        neuron = loosest[1] if loosest[0] > 0 else None
        lack = fraction(outcome.value / scale)
        heapq.heappush(self.parts, _Node(lack, next(self.order), Leaf(phases, 1, multipliers), neuron))

    def _try(self, point: tuple[Fraction, ...]) -> None:
        value = self.question.at(point)
        if value > self.value:
            self.point, self.value = point, value
