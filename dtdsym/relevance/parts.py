"""Parts of a layer's weights (the positive ones, their squares, ...) as maps of their own, forwards and backwards.

Propagation rules are sums of products p(a)_i q(w_ji): with q(W) as a matrix or a kernel, what all neurons of a layer
pass down is found by two such maps, and no message (neuron, input) is ever stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from dtdsym.arithmetic import Arithmetic
from dtdsym.errors import RuleError
from dtdsym.network.layers import Affine, AveragePool, Convolution, Scale, inverse_of
from dtdsym.network.receptive import Layer


@dataclass(frozen=True)
class Part:
    """q, by what it does to a float64 array of weights: exact arrays that add up to q(w); and to lifted weights.

    degree: q(f w) = |f|^degree q(sign(f) w) for any factor f.
    """

    name: str
    split: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    of: Callable[[Arithmetic, Any], Any]
    degree: int


def _square(w: np.ndarray) -> tuple[np.ndarray, ...]:
    """w^2 = high + low exactly, by Dekker's product of w with itself; every float32's square is a float64."""
    if ((w != 0) & (abs(w) < 2.0**-480)).any():
        raise RuleError(
            "weights of one layer differ by more than 2^400 in size, so their squares are no sums of two floats"
        )
    high = w * w
    scaled = 134217729.0 * w
    head = scaled - (scaled - w)
    tail = w - head
    low = ((head * head - high) + 2 * head * tail) + tail * tail
    return (high, low) if low.any() else (high,)


WHOLE = Part("whole", lambda w: (w,), lambda ops, w: w, 1)
POSITIVE = Part("positive", lambda w: (np.maximum(w, 0.0),), lambda ops, w: ops.where(w > 0, w, 0), 1)
NEGATIVE = Part("negative", lambda w: (np.minimum(w, 0.0),), lambda ops, w: ops.where(w < 0, w, 0), 1)
ABSOLUTE = Part("absolute", lambda w: (abs(w),), lambda ops, w: ops.where(w < 0, -w, w), 1)
SQUARE = Part("square", _square, lambda ops, w: w * w, 2)
NONZERO = Part("nonzero", lambda w: ((w != 0) * 1.0,), lambda ops, w: ops.where(w == 0, 0, 1), 0)
ONES = Part("ones", lambda w: (np.ones_like(w),), lambda ops, w: ops.where(w == 0, 1, 1), 0)


@dataclass(frozen=True, eq=False)
class PartMap:
    """q(W) of a layer as a linear map between its input (..., width) and its neurons (..., size).

    nodes: whose weights add up to it, without biases; none for average pools and constants, whose weights are 1.
    multiplier: Fractions that each channel of neurons is multiplied by, or None; nothing: as many zeros.
    """

    layer: Layer
    nodes: tuple[Affine | Convolution, ...]
    multiplier: np.ndarray | None = None
    nothing: np.ndarray | None = None

    def forward(self, ops: Arithmetic, value: Any) -> Any:
        """q(W) p: (..., width) to (..., size)."""
        match self.layer.linear:
            case AveragePool() as pool:
                image = ops.total(ops.take(value, pool.index))
            case Scale():
                image = value
            case Affine() | Convolution():
                image = reduce(ops.add, [_image(ops, node, value) for node in self.nodes])
        return self._multiplied(ops, image)

    def backward(self, ops: Arithmetic, row: Any) -> Any:
        """q(W)^T s: (..., size) to (..., width)."""
        row = self._multiplied(ops, row)
        match self.layer.linear:
            case AveragePool() as pool:
                spread = ops.where(pool.index >= 0, row[..., None], 0).reshape(*row.shape[:-1], pool.index.size)
                return ops.take_back(spread, inverse_of(pool, self.layer.width))
            case Scale():
                return row
            case Affine() | Convolution():
                return reduce(ops.add, [_preimage(ops, node, row) for node in self.nodes])

    def _multiplied(self, ops: Arithmetic, value: Any) -> Any:
        if self.multiplier is None or self.nothing is None:
            return value
        return ops.scale(self.multiplier, self.nothing, value)


def _image(ops: Arithmetic, node: Affine | Convolution, value: Any) -> Any:
    if isinstance(node, Affine):
        return ops.affine(node.weight, node.bias, value)
    return ops.convolve(node.weight, node.bias, node.windows, value)


def _preimage(ops: Arithmetic, node: Affine | Convolution, row: Any) -> Any:
    if isinstance(node, Affine):
        return ops.affine(node.transposed, node.no_bias, row)
    return ops.convolve_back(node.weight, node.bias, node.windows, row)


def part_map(layer: Layer, part: Part) -> PartMap:
    """q(W) of a layer, made once and kept as long as the layer, on which it depends and which therefore keeps it."""
    kept: dict[str, PartMap] | None = layer.__dict__.get("_part_maps")
    if kept is None:
        kept = {}
        object.__setattr__(layer, "_part_maps", kept)
    if part.name not in kept:
        kept[part.name] = _map(layer, part)
    return kept[part.name]


def _map(layer: Layer, part: Part) -> PartMap:
    match layer.linear:
        case AveragePool() as pool:
            return PartMap(layer, (), *_multipliers(part, pool.shares))
        case Scale() as scale:
            return PartMap(layer, (), *_multipliers(part, scale.weight))
        case Affine() | Convolution() as node:
            weight, exponent = _moderate(node.weight) if part.degree > 1 else (node.weight, 0)
            factors = [Fraction(2) ** exponent] * len(weight)
            if layer.norm is not None:
                signs = np.array([float(np.sign(factor)) for factor in layer.norm.weight])
                weight = weight * signs.reshape(-1, *[1] * (weight.ndim - 1))
                factors = [own * factor for own, factor in zip(factors, layer.norm.weight, strict=True)]
            nodes = _split(part, node, weight)
            if layer.norm is None and not exponent:
                return PartMap(layer, nodes)
            return PartMap(layer, nodes, *_powers(np.array(factors, dtype=object), part.degree))


def _moderate(weight: np.ndarray) -> tuple[np.ndarray, int]:
    """Weights divided by a power of two, so that their squares do not overflow, and its exponent; 0 for usual ones."""
    largest = float(abs(weight).max())
    if largest == 0 or 2.0**-400 < largest < 2.0**400:
        return weight, 0
    exponent = math.frexp(largest)[1]
    return np.ldexp(weight, -exponent), exponent


def _split(part: Part, node: Affine | Convolution, weight: np.ndarray) -> tuple[Affine | Convolution, ...]:
    return tuple(replace(node, weight=array.copy(), bias=np.zeros(len(array))) for array in part.split(weight))


def _multipliers(part: Part, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """q of weights that are all factor times 1."""
    signs = np.array([float(np.sign(factor)) for factor in factors])
    whole = [sum(Fraction(float(entry)) for entry in entries) for entries in zip(*part.split(signs), strict=True)]
    powers, nothing = _powers(factors, part.degree)
    return _frozen([w * power for w, power in zip(whole, powers, strict=True)]), nothing


def _powers(factors: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    return _frozen([abs(factor) ** degree for factor in factors]), _frozen([Fraction(0)] * len(factors))


def _frozen(numbers: list[Fraction]) -> np.ndarray:
    array = np.empty(len(numbers), dtype=object)
    array[:] = [Fraction(number) for number in numbers]
    array.setflags(write=False)
    return array
