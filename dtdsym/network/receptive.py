"""A layer as its neurons see it: each has weights on its receptive field, a bias, and the places of the field."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from dtdsym.network.layers import Affine, AveragePool, Convolution, Linear, Scale

Chosen = slice | np.ndarray
"""Which neurons of a layer are meant: a slice, or their numbers (n,)."""
KINDS = ("linear", "conv", "batchnorm", "scale", "avgpool")


@dataclass(frozen=True, eq=False)
class Layer:
    """Neurons j = 0 .. size - 1 that compute factor_j (w_j . a[field_j] + b_j) + offset_j from the value of `source`.

    linear: the node that holds w and b. norm: batch normalisation folded into it, else None. output: the node whose
    value the neurons are. number: from 1, None for average pools and constants. width: of the source's value.
    rectified: a ReLU reads the neurons.
    """

    linear: Linear
    norm: Scale | None
    source: int
    output: int
    width: int
    size: int
    number: int | None
    rectified: bool

    @property
    def kind(self) -> str:
        """One of KINDS."""
        match self.linear:
            case Affine():
                return "linear"
            case Convolution():
                return "conv"
            case AveragePool():
                return "avgpool"
            case Scale():
                return "scale" if self.linear.norm is None else "batchnorm"

    @property
    def name(self) -> str:
        """Where the layer stands in the module or file."""
        return self.linear.name

    @property
    def fan_in(self) -> int:
        """Inputs of one neuron, with those in the padding."""
        match self.linear:
            case Affine():
                return self.width
            case Convolution():
                return self.linear.windows.entries
            case AveragePool():
                return int(self.linear.index.shape[1])
            case Scale():
                return 1

    def fields(self, neurons: Chosen = slice(None)) -> np.ndarray | None:
        """(n, fan_in) places in the source's value, -1 in the padding; None: every neuron sees all of it."""
        match self.linear:
            case Affine():
                return None
            case Convolution():
                chosen, windows = self._chosen(neurons), self.linear.windows
                return windows.seen(chosen // (self.size // windows.groups), chosen % self._positions)
            case AveragePool():
                return self.linear.index[neurons]
            case Scale():
                return self._chosen(neurons)[:, None]

    def weights(self, neurons: Chosen = slice(None)) -> np.ndarray:
        """w (n, fan_in), float64, 0 in the padding; see `factors`."""
        match self.linear:
            case Affine():
                return self.linear.weight[neurons]
            case Convolution():
                chosen, index = self._chosen(neurons), self.fields(neurons)
                rows = self.linear.weight.reshape(len(self.linear.weight), -1)[chosen // self._positions]
                assert index is not None
                return np.where(index < 0, 0.0, rows)
            case AveragePool():
                return np.where(self.linear.index[neurons] < 0, 0.0, 1.0)
            case Scale():
                return np.ones((len(self._chosen(neurons)), 1))

    def factors(self, neurons: Chosen = slice(None)) -> np.ndarray | None:
        """(n,) Fractions that multiply w and b of each neuron; None: 1 for all."""
        match self.linear:
            case AveragePool():
                return self.linear.shares[neurons]
            case Scale():
                return self.linear.weight[self._chosen(neurons) // self.linear.repeat]
            case _:
                return None if self.norm is None else self.norm.weight[self._chosen(neurons) // self.norm.repeat]

    @cached_property
    def biased(self) -> bool:
        """Whether any neuron has a bias that is not 0."""
        return bool((self.biases(self.channels[1]) != 0).any())

    @property
    def channels(self) -> tuple[np.ndarray, np.ndarray]:
        """Neurons of one channel have one bias: (size,) the channel of each, (channels,) the first neuron of each."""
        match self.linear:
            case AveragePool():
                each = self.size
            case Scale():
                each = self.linear.repeat
            case _:
                each = self._positions
        return np.arange(self.size) // each, np.arange(0, self.size, each)

    def biases(self, neurons: Chosen = slice(None)) -> np.ndarray:
        """(n,) Fractions: the whole bias, what a neuron computes at a = 0."""
        chosen = self._chosen(neurons)
        match self.linear:
            case AveragePool():
                return self.linear.nothing[neurons]
            case Scale():
                return self.linear.bias[chosen // self.linear.repeat]
            case Affine() | Convolution():
                plain = self.linear.bias[chosen // self._positions]
                bias = np.array([Fraction(float(b)) for b in plain], dtype=object)
                if self.norm is None:
                    return bias
                channel = chosen // self.norm.repeat
                return self.norm.weight[channel] * bias + self.norm.bias[channel]

    def form(self, neuron: int) -> tuple[tuple[Fraction, ...], Fraction]:
        """Exact w (width,) and b of a neuron over the whole value of the source: it computes w.a + b."""
        block, row = slice(neuron, neuron + 1), [Fraction(0)] * self.width
        weights, factors, fields = self.weights(block)[0], self.factors(block), self.fields(block)
        factor = Fraction(1) if factors is None else factors[0]
        places = range(self.width) if fields is None else fields[0].tolist()
        for place, weight in zip(places, weights.tolist(), strict=True):
            if place >= 0:
                row[place] += Fraction(weight) * factor
        return tuple(row), self.biases(block)[0]

    @property
    def _positions(self) -> int:
        """Neurons that share one row of weights."""
        return self.size // len(self.linear.weight) if isinstance(self.linear, Affine | Convolution) else 1

    def _chosen(self, neurons: Chosen) -> np.ndarray:
        return np.arange(self.size)[neurons]
