"""Leaves of a branch and bound over phases: each proves a bound of an output on a part of a box; and their check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dtdsym.arithmetic.rational import RATIONAL, fraction, fractions, text, vector
from dtdsym.arithmetic.relaxation import Form, Relaxation
from dtdsym.errors import InputError, ShapeMismatch
from dtdsym.geometry.box import Box, exact_box
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network, checked

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


class Output:
    """One output of a network, or the sum of all times `factors`, on a closed box."""

    def __init__(self, network: Network, box: Box, logit: int | None, factors: Sequence[Any] | None) -> None:
        if factors is not None and logit is not None:
            raise InputError(f"logit={logit!r} and factors=: give one of the two; factors are of all outputs")
        own = checked(network)
        self.box = exact_box(box, own.sizes[0], points=True)
        if factors is None:
            self.network, given = own.logit(0 if logit is None else logit), vector([1], size=1, name="factors")
        else:
            self.network = own
            given = vector(factors, size=own.sizes[-1], name="factors", what="one factor for each output")
        self.factors = given

    def relaxed(self, phases: Mapping[int, int]) -> tuple[Relaxation, Form]:
        """The relaxation under these phases, and the output as a form of its variables."""
        relaxation = Relaxation(self.box, phases)
        value = evaluate(self.network, relaxation, {0: relaxation.inputs()})[len(self.network.nodes) - 1]
        return relaxation, relaxation.form(value @ self.factors)

    def at(self, point: Sequence[Fraction]) -> Fraction:
        """The output at a point, exact."""
        return fraction(RATIONAL.lift(self.network(point)) @ self.factors)

    def check_point(self, point: Sequence[Any], value: Any) -> None:
        """Accept iff the point lies in the box and the output has this value there. Raises ArithmeticError."""
        try:
            exact = fractions(vector(point, size=len(self.box), name="the point"))
        except ShapeMismatch as err:
            raise ArithmeticError(str(err)) from err
        if any(not low <= p <= high for p, (low, high) in zip(exact, self.box, strict=True)):
            raise ArithmeticError("the point is not in the box")
        if self.at(exact) != fraction(value):
            raise ArithmeticError("the output has another value at the point")

    def check_leaves(self, leaves: Iterable[Leaf] | None, bound: Any) -> None:
        """Accept iff the leaves prove that the output is nowhere in the box above the bound. All numbers are read
        exactly. Raises ArithmeticError with what they do not show; NotExact for what is no number."""
        own, limit = tuple(leaves or ()), fraction(bound)
        if not all(isinstance(leaf, Leaf) for leaf in own):
            raise ArithmeticError("not all leaves are Leaf")
        _check_complete([leaf.phases for leaf in own])
        for leaf in own:
            self._check_leaf(leaf, limit)

    def _check_leaf(self, leaf: Leaf, bound: Fraction) -> None:
        relaxation, form = self.relaxed(dict(leaf.phases))
        rows, share = relaxation.rows(), fraction(leaf.share)
        total = [share * fraction(-entry) for entry in form] + [Fraction(0)] * (len(rows[0]) - len(form))
        total[0] += share * bound
        if len(leaf.multipliers) != len(rows):
            raise ArithmeticError(f"{len(leaf.multipliers)} multipliers for {len(rows)} rows")
        for y, (*slopes, constant) in zip(map(fraction, leaf.multipliers), rows, strict=True):
            if y < 0:
                raise ArithmeticError("a multiplier is negative")
            if y:
                total = [t - y * int(entry) for t, entry in zip(total, [constant, *slopes], strict=True)]
        if share not in (0, 1) or any(total[1:]) or total[0] < 0 or (share == 0 and total[0] == 0):
            raise ArithmeticError(f"the multipliers do not prove the bound {text(bound)} where {dict(leaf.phases)}")


def _check_complete(paths: Sequence[Phases]) -> None:
    """Whatever the phases are, some path assumes none of the opposite ones."""
    if any(not path for path in paths):
        return
    if not paths or len({path[0][0] for path in paths}) != 1:
        raise ArithmeticError("the leaves do not cover all phases")
    for phase in (1, -1):
        _check_complete([path[1:] for path in paths if path[0][1] == phase])
