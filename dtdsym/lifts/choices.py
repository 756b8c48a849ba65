"""The choices of a lifted network as formulas: is each decided at a point, in which cell, do two points share it.

An open cell is where every choice is made strictly, but for neurons that are identically zero on it and entries of
max-pools that tie identically: these are recognised by their derivatives, as terms, so nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    """The choices of F_l at the inputs of its lift.

    assumed: (ReLU node, entry) -> whether it is active: at a point on that neuron's hinge, one of its two sides."""

    lift: Z3Lift
    assumed: Mapping[tuple[int, int], bool] = field(default_factory=dict)

    def decided(self) -> list[z3.BoolRef]:
        """Together: the inputs lie in an open cell, off every hinge but the assumed ones."""
        return [*self._neurons_decided(), *(z3.Or(wins) for wins in self._wins(self))]

    def shared(self, other: Choices, *, closed: bool = False) -> list[z3.BoolRef]:
        """Together, and with `decided`: the other lift's inputs lie in the same open cell; or in its closure.

        In the closure every choice is as in the cell, or ties: then all values are those of the cell's affine forms."""
        formulas = []
        for node, entry, z in self._neurons():
            own = other.lift.values[self._source(node)][entry]
            up, down = (own >= 0, own <= 0) if closed else (own > 0, own < 0)
            formulas.append(z3.Or(z3.And(z > 0, up), z3.And(z < 0, down), self._vanishes(node, entry)))
        for mine, others in zip(self._wins(self), other._wins(self, closed=closed), strict=True):
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
        function = self.lift.function
        values = evaluate(function.network, RATIONAL, {**function.bypass, function.start: RATIONAL.lift(point)})
        formulas: list[z3.BoolRef] = []
        for node in function.bending:
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
        return tangents(self.lift, assumed=self.assumed)

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
        open_ones = [one for one in self._neurons() if one[:2] not in self.assumed]
        return [z3.Or(z > 0, z < 0, self._vanishes(node, entry)) for node, entry, z in open_ones]

    def _vanishes(self, node: int, entry: int) -> z3.BoolRef:
        """A neuron's pre-activation is identically zero around the inputs."""
        source = self._source(node)
        return _all_zero([self.lift.values[source][entry], *self.tangents[source][:, entry]])

    def _wins(self, home: Choices, *, closed: bool = False) -> Iterator[list[z3.BoolRef]]:
        """For each window and each of its different entries: the entry exceeds all others (closed: none exceeds it),
        but for those that tie with it identically around the inputs of `home`."""
        for node in self.lift.function.bending:
            pool = self.lift.network.nodes[node]
            if isinstance(pool, MaxPool):
                for window in pool.index.tolist():
                    entries = list(dict.fromkeys(window))
                    yield [self._win(home, pool.source, entry, entries, closed) for entry in entries]

    def _win(self, home: Choices, source: int, entry: int, entries: list[int], closed: bool) -> z3.BoolRef:
        values, at_home, slopes = self.lift.values[source], home.lift.values[source], home.tangents[source]
        beaten = []
        for other in entries:
            tie = _all_zero([at_home[entry] - at_home[other], *(slopes[:, entry] - slopes[:, other])])
            if other != entry:
                margin = values[entry] - values[other]
                beaten.append(z3.Or(margin >= 0 if closed else margin > 0, tie))
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
