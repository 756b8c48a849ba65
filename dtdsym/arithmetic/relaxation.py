"""The relaxed world: what a network can compute on a box, as linear constraints that all its values satisfy.

A value is a rational array (1 + variables, width): its affine forms, at the origin and at each unit vector of the
variables so far; what was made before a variable does not depend on it. The first variables are the inputs. A ReLU
whose phase is not known has its output as a new variable in the triangle a >= 0, a >= z, a <= u (z - l) / (u - l),
where l <= z <= u; a phase that is assumed is a constraint on z.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import fmpq, fmpz

from dtdsym.arithmetic import windows as windowed
from dtdsym.arithmetic.rational import ONE, RATIONAL, ZERO
from dtdsym.arithmetic.windows import Pools, Windows

Form = list[Any]
"""Rationals (c, a_1, ..., a_k): the form a.x + c of the first k variables."""


@dataclass(frozen=True)
class Unsettled:
    """A neuron, by number, whose phase is not known: its pre-activation, and the variable that is its output."""

    neuron: int
    form: Form
    variable: int


class Relaxation(Pools):
    """The arithmetic of one forward pass. box: (low, high) of each input. phases: neuron, by the order in which ReLUs
    are met -> 1 active, -1 inactive, assumed."""

    def __init__(self, box: Sequence[tuple[Any, Any]], phases: Mapping[int, int]) -> None:
        self.size = len(box)
        ends = RATIONAL.lift([list(pair) for pair in box])
        self.ranges: list[tuple[fmpq, fmpq]] = [(low, high) for low, high in ends]
        self.phases = phases
        self.forms: list[Form] = []
        self.unsettled: list[Unsettled] = []
        self.neurons = 0

    def inputs(self) -> np.ndarray:
        """The network's input, as a value."""
        lifted = RATIONAL.lift(np.eye(self.size))
        return np.concatenate([np.full((1, self.size), ZERO, dtype=object), lifted])

    def rows(self) -> list[list[fmpz]]:
        """Integer rows (a_1, ..., a_k, c), >= 0 wherever the network is on the box under the phases; two for each
        input first."""
        box = []
        for place, (low, high) in enumerate(self.ranges[: self.size]):
            unit = [ZERO] * place + [ONE]
            box += [[-low, *unit], [high, *(-entry for entry in unit)]]
        return [self.whole(form)[0] for form in [*box, *self.forms]]

    def whole(self, form: Form) -> tuple[list[fmpz], fmpz]:
        """The form of all variables times the least number that makes it whole, (a_1, ..., a_k, c); that number."""
        common = fmpz(1)
        for entry in form:
            common = common.lcm(entry.q)
        constant, *slopes = [(entry * common).p for entry in form]
        return [*slopes, *[fmpz(0)] * (len(self.ranges) - len(slopes)), constant], common

    def range(self, form: Form) -> tuple[fmpq, fmpq]:
        """Bounds of a form where all variables are in their ranges."""
        low = high = form[0]
        for slope, (least, most) in zip(form[1:], self.ranges, strict=False):
            ends = (slope * least, slope * most) if slope >= 0 else (slope * most, slope * least)
            low, high = low + ends[0], high + ends[1]
        return low, high

    def slack(self, neuron: Unsettled, point: Sequence[fmpq]) -> fmpq:
        """How far the neuron's variable is above its ReLU, at a point of all variables."""
        z = sum((a * p for a, p in zip(neuron.form[1:], point, strict=False)), neuron.form[0])
        return point[neuron.variable] - max(z, ZERO)

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: np.ndarray) -> np.ndarray:
        """value @ weight.T + bias: affine at the origin and the unit vectors is affine."""
        return RATIONAL.affine(weight, bias, value)

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: np.ndarray) -> np.ndarray:
        """The convolution of value."""
        return RATIONAL.convolve(weight, bias, windows, value)

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: np.ndarray) -> np.ndarray:
        """value * weight + bias, channel by channel."""
        return windowed.scale(RATIONAL, weight, bias, value)

    def add(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """left + right."""
        return np.asarray(self._padded(left) + self._padded(right), dtype=object)

    def take(self, value: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Entries of the last axis; index -1 is a zero."""
        return RATIONAL.take(value, index)

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Values side by side."""
        return RATIONAL.join([self._padded(part) for part in parts])

    def maximum(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """max(left, right) = right + max(left - right, 0)."""
        return self.add(right, self.relu(self.add(left, -right)))

    def relu(self, value: np.ndarray) -> np.ndarray:
        """max(value, 0): exact where the phase follows or is assumed, else a new variable."""
        columns = [self._relu(self.form(column)) for column in value.T]
        forms = [form + [ZERO] * (1 + len(self.ranges) - len(form)) for form in columns]
        return np.array([[form[0], *(form[0] + slope for slope in form[1:])] for form in forms], dtype=object).T

    def _relu(self, form: Form) -> Form:
        neuron, self.neurons = self.neurons, self.neurons + 1
        low, high = self.range(form)
        phase = self.phases.get(neuron, 0)
        if phase:
            self.forms.append(form if phase > 0 else [-entry for entry in form])
        if phase < 0 or (not phase and high <= 0):
            return [ZERO]
        if phase > 0 or low >= 0:
            return form
        return self._triangle(neuron, form, low, high)

    def _triangle(self, neuron: int, form: Form, low: Any, high: Any) -> Form:
        variable = len(self.ranges)
        self.ranges.append((ZERO, high))
        self.unsettled.append(Unsettled(neuron, form, variable))
        output = [ZERO] * (variable + 1) + [ONE]
        padded = form + [ZERO] * (len(output) - len(form))
        above = [high * z - (high - low) * a for z, a in zip(padded, output, strict=True)]
        above[0] -= high * low
        self.forms += [output, [a - z for z, a in zip(padded, output, strict=True)], above]
        return output

    def form(self, column: np.ndarray) -> Form:
        """The form of one entry of a value."""
        return [column[0], *(entry - column[0] for entry in column[1:])]

    def _padded(self, value: np.ndarray) -> np.ndarray:
        missing = 1 + len(self.ranges) - len(value)
        return np.concatenate([value, np.repeat(value[:1], missing, axis=0)]) if missing else value
