"""What a rule sees: neurons of one layer at the layer's input, each on its receptive field, in whatever arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic import Arithmetic
from dtdsym.arithmetic.linear_algebra import pseudo_inverse
from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.network.receptive import Chosen, Layer
from dtdsym.relevance.state import State, beside, lifted

ALL = slice(None)
KEPT = 2**22
"""Most weights of a layer that are lifted all at once, and kept; of larger ones each block's are lifted."""


@dataclass(frozen=True, eq=False)
class Neurons:
    """Neurons j of a layer with inputs i of their receptive fields, as entries that broadcast to (..., out, in).

    block: which of the layer's neurons. a: the layer's input (..., 1 or out, in), 0 in the padding. z: pre-activations
    w.a + b (..., out, 1). relevance: R_j as it arrives, likewise. fields: (out, in) places in the layer's input, -1 in
    the padding; None where every neuron sees all of it. state, all_relevance: the whole layer, and what arrives at it.
    whole: whether inputs off the receptive field count, with weight 0.
    """

    ops: Arithmetic
    layer: Layer
    block: Chosen
    a: Any
    z: Any
    relevance: Any
    fields: np.ndarray | None
    state: State
    all_relevance: Any
    whole: bool = False

    @staticmethod
    def of(
        ops: Arithmetic,
        layer: Layer,
        values: Mapping[int, Any],
        relevance: Any,
        block: Chosen = ALL,
        *,
        whole: bool = False,
    ) -> Neurons:
        """From the values of all nodes, as the forward pass has them, and the relevance (..., size) of the layer.

        whole: every neuron sees all of the layer's input, with weight 0 where it has none."""
        source, z = values[layer.source], values[layer.output]
        fields = None if whole else layer.fields(block)
        a = source[..., None, :] if fields is None else ops.take(source, fields)
        state = State(ops, layer, source, z)
        own = z[..., block, None], relevance[..., block, None]
        return Neurons(ops, layer, block, a, *own, fields, state, relevance, whole)

    @property
    def w(self) -> Any:
        """Exact weights (out, in), 0 in the padding."""
        if self.fields is None and (self.whole or self.layer.size * self.layer.width <= KEPT):
            return lifted(self.ops, self.layer, "matrix", self.a, lambda: _matrix(self.layer))[self.block]
        weights, factors = self.layer.weights(self.block), self.layer.factors(self.block)
        w = self.lift(weights)
        return w if factors is None else w * self.lift(factors[:, None])

    def mine(self, value: Any) -> Any:
        """Of a value of the whole layer (..., size) the part of these neurons (..., out, 1)."""
        return value[..., self.block, None]

    def on_fields(self, value: Any) -> Any:
        """A value of the layer's input (..., width), or one number for all inputs, as each neuron sees it."""
        if not getattr(value, "shape", ()):
            return value
        return value[..., None, :] if self.fields is None else self.ops.take(value, self.fields)

    @cached_property
    def pseudo_inverse(self) -> Any:
        """W^+ (in, out) of the whole layer, exact, or rounded once by an arithmetic that cannot hold it."""
        return lifted(self.ops, self.layer, "inverse", self.a, lambda: pseudo_inverse(_matrix(self.layer)))

    def lift(self, number: Any) -> Any:
        """An exact number, in the arithmetic and on the device of these neurons."""
        return beside(self.ops.lift(number), self.a)


@dataclass(frozen=True, eq=False)
class Shift:
    """How far the root of each neuron lies from the layer's input, a - root, entries that broadcast to (..., out, in).

    denominator: (..., out) or less; where it is 0 there is no root, and the displacement is 0.
    root: the root itself, where a - displacement would say less about it.
    """

    displacement: Any
    denominator: Any
    root: Any = None


def along(neurons: Neurons, v: Any, share: Any) -> Shift:
    """(share / (w.v)) v, on which w.a + b changes by share. v: (..., out, in); share: (..., out, 1)."""
    denominator = neurons.ops.total(neurons.w * v)
    return Shift(v * neurons.ops.ratio(share, denominator[..., None]), denominator)


def _matrix(layer: Layer) -> np.ndarray:
    """Exact weights (size, width): float64 where the layer has no factors, else rationals."""
    fields, factors, weights = layer.fields(), layer.factors(), layer.weights()
    if fields is not None:
        dense = np.zeros((layer.size, layer.width + 1))
        np.put_along_axis(dense, fields, weights, axis=1)
        weights = dense[:, :-1]
    return weights if factors is None else RATIONAL.lift(weights) * RATIONAL.lift(factors[:, None])
