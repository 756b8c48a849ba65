"""A plain network near one input, off all hinges: exact activations, Jacobians, and how far every pattern reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL, fraction
from dtdsym.errors import OnHinge
from dtdsym.network.plain import PlainLayer

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """activations: a_1, ..., a_{n+1}; z: pre-activations; logit: the one whose relevance is asked for.

    Raises OnHinge where a pre-activation below a ReLU is 0 and not constant."""

    layers: tuple[PlainLayer, ...]
    activations: tuple[Array, ...]
    z: tuple[Array, ...]
    logit: int

    @staticmethod
    def of(layers: tuple[PlainLayer, ...], point: Array, logit: int) -> Neighbourhood:
        """Of the exact input `point` (in,)."""
        activations, z = [point], []
        for layer in layers:
            z.append(layer.preactivation(RATIONAL, activations[-1]))
            activations.append(RATIONAL.relu(z[-1]) if layer.rectified else z[-1])
        made = Neighbourhood(layers, tuple(activations), tuple(z), logit)
        for layer, values in zip(layers, z, strict=True):
            rows = made.rows(layer.number)
            for j in rows:
                if layer.rectified and values[j] == 0 and layer.matrix[j].any():
                    raise OnHinge(f"x lies on the hinge of neuron {j} of layer {layer.number}; move it off the hinge")
        return made

    @property
    def depth(self) -> int:
        """n."""
        return len(self.layers)

    @property
    def output(self) -> Fraction:
        """f_logit(x)."""
        return fraction(self.activations[-1][self.logit])

    def rows(self, number: int) -> Sequence[int]:
        """The neurons of layer l that count: of the last layer the logit alone."""
        return [self.logit] if number == self.depth else range(self.layers[number - 1].size)

    @cached_property
    def jacobians(self) -> tuple[Array, ...]:
        """J_l = D_l W_l (d_{l+1}, d_l) at [l - 1], D_l the mask of active neurons; J_n is the logit's row alone."""
        found = []
        for layer, z in zip(self.layers, self.z, strict=True):
            active = np.asarray(z > 0, dtype=bool) if layer.rectified else np.ones(len(z), dtype=bool)
            found.append(RATIONAL.where(active[:, None], layer.matrix, 0)[list(self.rows(layer.number))])
        return tuple(found)

    @cached_property
    def gradients(self) -> tuple[Array, ...]:
        """grad F_l (d_l,) at [l - 1]."""
        found = [self.jacobians[-1][0]]
        for jacobian in reversed(self.jacobians[:-1]):
            found.insert(0, found[0] @ jacobian)
        return tuple(found)

    @cached_property
    def patterns(self) -> tuple[Fraction, ...]:
        """For each layer a radius r <= 1 such that no neuron changes its state within 2 r of a_l, in any coordinate."""
        return tuple(self._pattern(layer) for layer in self.layers)

    def _pattern(self, layer: PlainLayer) -> Fraction:
        z, sizes = self.z[layer.number - 1], self.norms(layer.number)
        pairs = [(z[j], size) for j, size in zip(self.rows(layer.number), sizes, strict=True) if size != 0]
        bends = [abs(fraction(value)) / (4 * size) for value, size in pairs] if layer.rectified else []
        return power_below(min([Fraction(1), *bends]))

    def norms(self, number: int) -> list[Fraction]:
        """The sum of |w| of each neuron of layer l that counts: how fast it moves."""
        matrix = self.layers[number - 1].matrix
        return [size_of(matrix[j]) for j in self.rows(number)]


def size_of(row: Array) -> Fraction:
    """Sum of the magnitudes."""
    return sum((abs(fraction(entry)) for entry in row), Fraction(0))


def power_below(number: Fraction) -> Fraction:
    """A power of two at most the positive number, and more than a quarter of it."""
    exponent = number.numerator.bit_length() - number.denominator.bit_length() - 1
    return Fraction(2) ** exponent


def power_above(number: Fraction) -> Fraction:
    """A power of two at least the positive number, and less than four times it."""
    return 1 / power_below(1 / number)


def near(number: Fraction, step: Fraction) -> Fraction:
    """The multiple of `step` nearest to the number: fewer digits, no farther than step / 2."""
    return round(number / step) * step
