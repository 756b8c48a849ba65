"""The choices of a lifted network as formulas: is each decided at a point, in which cell, do two points share it.

An open cell is where every choice is made strictly, but for neurons that are identically zero on it and entries of
max-pools that tie identically: these are recognised by their derivatives, as terms, so nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import z3

from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.geometry.cell import Pattern
from dtdsym.lifts.derivatives import tangents
from dtdsym.lifts.z3_lift import Z3Lift
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import MaxPool


@dataclass(frozen=True, eq=False)
class Choices:
    """The choices of F_l at the inputs of its lift."""

    lift: Z3Lift

    def decided(self) -> list[z3.BoolRef]:
        """Together: the inputs lie in an open cell, off every hinge."""
        return [*self._neurons_decided(), *(z3.Or(wins) for wins in self._wins(self))]

    def shared(self, other: Choices) -> list[z3.BoolRef]:
        """Together, and with `decided`: the other lift's inputs lie in the same open cell."""
        formulas = []
        for node, entry, z in self._neurons():
            own = other.lift.values[self._source(node)][entry]
            formulas.append(z3.Or(z3.And(z > 0, own > 0), z3.And(z < 0, own < 0), self._vanishes(node, entry)))
        for mine, others in zip(self._wins(self), other._wins(self), strict=True):
            formulas.append(z3.Or([z3.And(one, two) for one, two in zip(mine, others, strict=True)]))
        return formulas

    def pattern(self, pattern: Pattern) -> list[z3.BoolRef]:
        """Together: the inputs lie in the open cell that the pattern names."""
        formulas = []
        parts = self._parts(pattern)
        for node, signs in parts:
            z = self.lift.values[self._source(node)]
            pool = self.lift.network.nodes[node]
            if isinstance(pool, MaxPool):
                for window, marks in zip(pool.index.tolist(), _rows(signs, pool.index.shape[1]), strict=True):
                    winner = z[window[marks.index(1)]]
                    formulas += [
                        _as_sign(z[entry] - winner, mark) for entry, mark in zip(window, marks, strict=True) if mark < 1
                    ]
            else:
                formulas += [_as_sign(term, sign) for term, sign in zip(z, signs, strict=True)]
        return formulas

    def face(self, point: Sequence[Fraction]) -> list[z3.BoolRef]:
        """Together: the inputs lie on the same face as this point: every pre-activation, and every difference of two
        entries of a window, has the sign that it has there, 0 among them. F_l has one local function on a face."""
        values = evaluate(
            self.lift.network, RATIONAL, {**self.lift.function.bypass, self.lift.function.start: RATIONAL.lift(point)}
        )
        formulas = []
        for node in self.lift.function.bending:
            source, pool = self._source(node), self.lift.network.nodes[node]
            here, there = self.lift.values[source], values[source]
            if isinstance(pool, MaxPool):
                pairs = {pair for window in pool.index.tolist() for pair in combinations(sorted(set(window)), 2)}
                formulas += [_as_sign(here[i] - here[k], _sign(there[i] - there[k])) for i, k in sorted(pairs)]
            else:
                formulas += [_as_sign(one, _sign(other)) for one, other in zip(here, there, strict=True)]
        return formulas

    @cached_property
    def tangents(self) -> dict[int, np.ndarray]:
        """Node id -> (in, width): derivatives with respect to the inputs, where `decided` holds."""
        return tangents(self.lift)

    def _source(self, node: int) -> int:
        return self.lift.network.nodes[node].sources[0]

    def _parts(self, pattern: Pattern) -> Iterator[tuple[int, Sequence[int]]]:
        start = 0
        for node in self.lift.function.bending:
            end = start + self.lift.function.choices(node)
            yield node, pattern[start:end]
            start = end

    def _neurons(self) -> Iterator[tuple[int, int, z3.ArithRef]]:
        """(node, entry, pre-activation) of every ReLU neuron."""
        for node in self.lift.function.bending:
            if not isinstance(self.lift.network.nodes[node], MaxPool):
                for entry, z in enumerate(self.lift.values[self._source(node)]):
                    yield node, entry, z

    def _neurons_decided(self) -> list[z3.BoolRef]:
        return [z3.Or(z > 0, z < 0, self._vanishes(node, entry)) for node, entry, z in self._neurons()]

    def _vanishes(self, node: int, entry: int) -> z3.BoolRef:
        """A neuron's pre-activation is identically zero around the inputs."""
        source = self._source(node)
        return _all_zero([self.lift.values[source][entry], *self.tangents[source][:, entry]])

    def _wins(self, home: Choices) -> Iterator[list[z3.BoolRef]]:
        """For each window and each of its different entries: the entry exceeds all others, but for those that tie with
        it identically around the inputs of `home`; of such ones the first."""
        for node in self.lift.function.bending:
            pool = self.lift.network.nodes[node]
            if isinstance(pool, MaxPool):
                for window in pool.index.tolist():
                    entries = list(dict.fromkeys(window))
                    yield [self._win(home, pool.source, entry, entries) for entry in entries]

    def _win(self, home: Choices, source: int, entry: int, entries: list[int]) -> z3.BoolRef:
        values, at_home, slopes = self.lift.values[source], home.lift.values[source], home.tangents[source]
        beaten = []
        for other in entries:
            tie = _all_zero([at_home[entry] - at_home[other], *(slopes[:, entry] - slopes[:, other])])
            if other != entry:
                beaten.append(z3.Or(values[entry] > values[other], tie))
        return z3.And(beaten)


def _rows(signs: Sequence[int], width: int) -> list[list[int]]:
    ends = range(0, len(signs) + 1, width)
    return [list(signs[start:end]) for start, end in pairwise(ends)]


def _as_sign(term: z3.ArithRef, sign: int) -> z3.BoolRef:
    return term > 0 if sign > 0 else term < 0 if sign < 0 else term == 0


def _sign(number: Any) -> int:
    return int(number > 0) - int(number < 0)


def _all_zero(terms: Sequence[z3.ArithRef]) -> z3.BoolRef:
    return z3.simplify(z3.And([term == 0 for term in terms]))
