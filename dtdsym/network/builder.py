"""The one way from a description of layers to a Network: keeps track of shapes, and writes equal functions equally.

Every loader speaks to this Builder, so that the same network gives the same nodes whatever format it came in: constants
that follow each other become one, summands join a linear map that has no bias, permutations that change nothing vanish.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rounding import quotient_by_root
from dtdsym.arithmetic.windows import Padding, Windows
from dtdsym.errors import LoadError, NotExact, ShapeMismatch
from dtdsym.network.layers import (
    Add,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Input,
    MaxPool,
    Node,
    Norm,
    Relu,
    Scale,
    Take,
    with_sources,
)
from dtdsym.network.network import Network
from dtdsym.network.pooling import MOST_LISTED, adaptive_windows, pool_windows, without_padding

MOST_NODES = 10_000
MOST_ENTRIES = 2**28  # of one value, or of one pool's windows: beyond it nothing could be audited

Sides = int | Sequence[int]
"""One number for every spatial dimension, or one for each."""


@dataclass(frozen=True)
class Value:
    """What a node holds: `shape` is that of one sample, without a batch dimension."""

    node: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)


class Builder:
    """Nodes in order. Every method appends what it names and gives the new value; `name` is for messages."""

    def __init__(self, shape: Sequence[int]) -> None:
        """shape: of one input, without a batch dimension."""
        if not shape or min(shape) < 1 or math.prod(shape) > MOST_ENTRIES:
            raise ShapeMismatch(
                f"an input of shape {tuple(shape)}; expected positive numbers, at most {MOST_ENTRIES} in all"
            )
        self.nodes: list[Node] = [Input(tuple(int(n) for n in shape))]
        self.input = Value(0, tuple(int(n) for n in shape))
        self._sizes = [self.input.size]
        self._zeros: dict[int, np.ndarray] = {}

    def linear(self, value: Value, weight: np.ndarray, bias: np.ndarray | None, name: str = "") -> Value:
        """W a + b over the last dimension. weight (out, in), bias (out,) or None, float64."""
        if weight.ndim != 2 or value.shape[-1:] != weight.shape[1:]:
            raise ShapeMismatch(
                f"layer {name!r} takes {weight.shape[-1]} numbers but receives {_numbers(value)}; "
                "the shapes of consecutive layers must chain"
            )
        if value.size == value.shape[-1]:
            node = Affine(weight, self._bias(weight, bias), value.node, name)
            return self._append(node, (*value.shape[:-1], len(weight)))
        last = len(value.shape) - 1
        flat = self.permute(value, (last, *range(last)), name)
        wide = self.convolve(self.reshape(flat, (value.shape[-1], -1)), weight[:, :, None], bias, name=name)
        out = self.reshape(wide, (len(weight), *value.shape[:-1]))
        return self.permute(out, (*range(1, last + 1), 0), name)

    def convolve(
        self,
        value: Value,
        weight: np.ndarray,
        bias: np.ndarray | None,
        *,
        stride: Sides = 1,
        padding: Sides | Padding = 0,
        dilation: Sides = 1,
        groups: int = 1,
        name: str = "",
    ) -> Value:
        """A convolution, as torch and ONNX call it, of (channels, *spatial). weight (out, in / groups, *kernel),
        float64; padding: zeros, one number a side or (before, after) for each spatial dimension."""
        spatial = weight.ndim - 2
        if spatial < 1 or len(value.shape) != spatial + 1 or groups < 1 or value.shape[0] != weight.shape[1] * groups:
            raise ShapeMismatch(
                f"layer {name!r}: weight of shape {weight.shape} in {groups} groups on a value of shape {value.shape}; "
                f"expected (channels, *{spatial} spatial dimensions), channels = weight's second number times groups"
            )
        value, both = self._one_sided(value, _padding(padding, spatial), name)
        windows = Windows(
            value.shape, weight.shape[2:], _sides(stride, spatial), both, _sides(dilation, spatial), groups
        )  # fmt: skip
        node = Convolution(weight, self._bias(weight, bias), value.node, windows, name)
        return self._append(node, (len(weight), *windows.positions))

    def batch_norm(
        self,
        value: Value,
        weight: np.ndarray | None,
        bias: np.ndarray | None,
        mean: np.ndarray,
        variance: np.ndarray,
        epsilon: float,
        name: str = "",
    ) -> Value:
        """Batch normalisation in evaluation mode over value's first dimension; arrays (channels,) float64.

        Its factor weight / sqrt(variance + epsilon) is irrational in general: rounded once, to the nearest float64.
        """
        channels = value.shape[0]
        ones = np.ones(channels)
        given = (ones if weight is None else weight, ones * 0 if bias is None else bias, mean, variance)
        if any(array.shape != (channels,) for array in given):
            raise ShapeMismatch(
                f"layer {name!r}: batch normalisation of {channels} channels with other numbers of statistics"
            )
        for array in given:
            if not np.isfinite(array).all():
                raise NotExact(f"layer {name!r}: a number is not finite; every weight and statistic must be")
        factors = [_factor(float(w), float(v), epsilon, name) for w, v in zip(given[0], given[3], strict=True)]
        summands = [
            Fraction(float(b)) - s * Fraction(float(m)) for s, b, m in zip(factors, given[1], given[2], strict=True)
        ]
        stated = Norm(np.array([float(s) for s in factors]), given[2], given[1])
        each = value.size // channels
        return self._append(Scale(_objects(factors), _objects(summands), each, value.node, stated, name), value.shape)

    def scale(self, value: Value, factor: Any = 1.0, summand: Any = 0.0, divisor: Any = 1.0, name: str = "") -> Value:
        """value * factor / divisor + summand; each a float64 array or number that broadcasts to value's shape."""
        columns = [_broadcast(array, value.shape, name) for array in (factor, summand, divisor)]
        if any((column == 0).any() for column in columns[2:]):
            raise NotExact(f"{name!r}: a division by 0; every divisor must be another number")
        if bool((columns[0] == columns[2]).all()) and not columns[1].any():
            return value
        source = self.nodes[value.node]
        plain = bool((columns[0] == columns[2]).all())
        if plain and isinstance(source, Affine | Convolution) and not source.bias.any():
            bias = _per_row(columns[1], len(source.bias))
            if bias is not None:
                return self._append(replace(source, bias=bias), value.shape)
        return self._scaled(value, columns, name)

    def relu(self, value: Value, name: str = "") -> Value:
        """max(a, 0)."""
        return self._append(Relu(value.node, name), value.shape)

    def add(self, left: Value, right: Value, name: str = "") -> Value:
        """left + right, of one shape."""
        if left.shape != right.shape:
            raise ShapeMismatch(
                f"addition {name!r} of shapes {left.shape} and {right.shape}; "
                "a residual addition needs two values of one shape"
            )
        return self._append(Add(left.node, right.node, name), left.shape)

    def subtract(self, left: Value, right: Value, name: str = "") -> Value:
        """left - right, of one shape."""
        return self.add(left, self.scale(right, -1.0, name=name), name)

    def concat(self, values: Sequence[Value], axis: int, name: str = "") -> Value:
        """Values side by side along an axis of one sample (0: the channels)."""
        first = values[0].shape
        rest = [value.shape[:axis] + value.shape[axis + 1 :] for value in values]
        if (
            not -1 < axis < len(first)
            or any(r != rest[0] for r in rest)
            or any(len(v.shape) != len(first) for v in values)
        ):
            raise ShapeMismatch(f"concatenation {name!r} of shapes {[v.shape for v in values]} along dimension {axis}")
        shape = (*first[:axis], sum(value.shape[axis] for value in values), *first[axis + 1 :])
        if len(values) == 1:
            return values[0]
        joined = self._append(Concat(tuple(value.node for value in values), name), (math.prod(shape),))
        starts = np.cumsum([0, *(value.size for value in values)])
        places = [start + np.arange(v.size).reshape(v.shape) for start, v in zip(starts[:-1], values, strict=True)]
        return self.take(joined, np.concatenate(places, axis=axis), name)

    def max_pool(
        self, value: Value, kernel: Sides, stride: Sides | None = None, padding: Sides | Padding = 0,
        dilation: Sides = 1, ceil: bool = False, name: str = "",
    ) -> Value:  # fmt: skip
        """The maximum over windows of (channels, *spatial); padding never wins."""
        spatial = self._spatial(value, name)
        sides = _sides(kernel, spatial)
        self._limit(value, sides, name)
        positions, index, _ = pool_windows(
            value.shape, sides, _sides(kernel if stride is None else stride, spatial), _padding(padding, spatial),
            _sides(dilation, spatial), ceil,
        )  # fmt: skip
        return self._append(MaxPool(without_padding(index), value.node, name), (value.shape[0], *positions))

    def average_pool(
        self, value: Value, kernel: Sides, stride: Sides | None = None, padding: Sides | Padding = 0,
        ceil: bool = False, count_padding: bool = True, divisor: int | None = None, name: str = "",
    ) -> Value:  # fmt: skip
        """The mean over windows of (channels, *spatial). count_padding: zeros of the padding count in the divisor."""
        spatial = self._spatial(value, name)
        sides = _sides(kernel, spatial)
        self._limit(value, sides, name)
        positions, index, counts = pool_windows(
            value.shape, sides, _sides(kernel if stride is None else stride, spatial), _padding(padding, spatial),
            (1,) * spatial, ceil,
        )  # fmt: skip
        if not count_padding:
            counts = (index >= 0).sum(axis=1)
        if divisor is not None:
            counts = np.full_like(counts, divisor)
        return self._append(AveragePool(index, counts, value.node, name), (value.shape[0], *positions))

    def adaptive_average_pool(self, value: Value, outputs: Sequence[int | None], name: str = "") -> Value:
        """The mean over windows that cut (channels, *spatial) into `outputs` parts a side; None keeps one whole."""
        positions, index = self._adaptive(value, outputs, name)
        counts = (index >= 0).sum(axis=1)
        return self._append(AveragePool(index, counts, value.node, name), (value.shape[0], *positions))

    def adaptive_max_pool(self, value: Value, outputs: Sequence[int | None], name: str = "") -> Value:
        """The maximum over the same windows."""
        positions, index = self._adaptive(value, outputs, name)
        return self._append(MaxPool(without_padding(index), value.node, name), (value.shape[0], *positions))

    def maxima(self, value: Value, index: np.ndarray, name: str = "") -> Value:
        """The maximum over each row of flat places; index (out, k) int64. Gives (out,)."""
        return self._append(MaxPool(index, value.node, name), (len(index),))

    def means(self, value: Value, index: np.ndarray, counts: np.ndarray, name: str = "") -> Value:
        """The sum over each row of flat places, -1 for zero, over counts; index (out, k), counts and result (out,)."""
        return self._append(AveragePool(index, counts, value.node, name), (len(index),))

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """The same numbers in the same order; one entry may be -1."""
        known = math.prod(n for n in shape if n != -1)
        full = tuple(int(value.size // known if n == -1 and known else n) for n in shape)
        if list(shape).count(-1) > 1 or math.prod(full) != value.size or min(full, default=1) < 1:
            raise ShapeMismatch(f"a value of shape {value.shape} does not fit shape {tuple(shape)}")
        return Value(value.node, full)

    def flatten(self, value: Value) -> Value:
        """One vector."""
        return Value(value.node, (value.size,))

    def permute(self, value: Value, axes: Sequence[int], name: str = "") -> Value:
        """Dimensions of one sample in another order."""
        if sorted(axes) != list(range(len(value.shape))):
            raise ShapeMismatch(f"{name!r}: dimensions {tuple(axes)} are no order of those of shape {value.shape}")
        return self.take(value, np.arange(value.size).reshape(value.shape).transpose(axes), name)

    def take(self, value: Value, index: np.ndarray, name: str = "") -> Value:
        """Entries of the flat value in the shape of `index` (integers, -1 for zero): slices, flips, padding."""
        places = np.ascontiguousarray(index, dtype=np.int64)
        if not places.size or places.min() < -1 or places.max() >= value.size or places.size > MOST_ENTRIES:
            raise ShapeMismatch(f"{name!r}: picks entries that a value of shape {value.shape} does not have")
        flat, node = self._picked(places.reshape(-1), value.node)
        if np.array_equal(flat, np.arange(self._sizes[node])):
            return Value(node, places.shape)
        return self._append(Take(flat.copy(), node, name), places.shape)

    def pad(self, value: Value, amounts: Padding, name: str = "") -> Value:
        """Zeros around the value, (before, after) for each dimension of one sample; negative amounts cut away."""
        size = math.prod(max(0, n + low + high) for n, (low, high) in zip(value.shape, amounts, strict=True))
        if size > MOST_LISTED:
            raise ShapeMismatch(f"{name!r}: pads shape {value.shape} to {size} numbers; at most {MOST_LISTED} are read")
        index = np.arange(value.size).reshape(value.shape)
        cut = tuple(slice(max(0, -low), n - max(0, -high)) for n, (low, high) in zip(value.shape, amounts, strict=True))
        widths = [(max(0, low), max(0, high)) for low, high in amounts]
        return self.take(value, np.pad(index[cut], widths, constant_values=-1), name)

    def network(self, output: Value) -> Network:
        """The network whose output is this value, without the nodes that it does not depend on."""
        wanted = {output.node, 0}
        for index in range(len(self.nodes) - 1, -1, -1):
            if index in wanted:
                wanted.update(self.nodes[index].sources)
        position = {index: new for new, index in enumerate(sorted(wanted))}
        kept = [self.nodes[index] for index in sorted(wanted)]
        return Network(tuple(with_sources(node, [position[source] for source in node.sources]) for node in kept))

    def _append(self, node: Node, shape: tuple[int, ...]) -> Value:
        if len(self.nodes) >= MOST_NODES:
            raise LoadError(f"it has over {MOST_NODES} layers; expected a network of fewer")
        if math.prod(shape) > MOST_ENTRIES:
            raise ShapeMismatch(f"layer {node.name!r} has {math.prod(shape)} outputs; at most {MOST_ENTRIES} are read")
        self.nodes.append(node)
        self._sizes.append(math.prod(shape))
        return Value(len(self.nodes) - 1, shape)

    def _picked(self, flat: np.ndarray, node: int) -> tuple[np.ndarray, int]:
        """Places in a value as places in what it was picked from or put together of, as far down as that goes."""
        while True:
            source = self.nodes[node]
            below = node
            if isinstance(source, Take):
                flat, below = np.where(flat < 0, -1, source.index[flat]), source.source
            elif isinstance(source, Concat):
                flat, below = self._of_one_part(flat, node)
            if below == node:
                return flat, node
            node = below

    def _of_one_part(self, flat: np.ndarray, node: int) -> tuple[np.ndarray, int]:
        """Places in a concatenation, as places in the one value that holds them all, where one does."""
        ends = np.cumsum([self._sizes[source] for source in self.nodes[node].sources])
        part = int(np.searchsorted(ends, flat[0], side="right"))
        start = int(ends[part - 1]) if part else 0
        if flat.min() < start or flat.max() >= ends[part]:
            return flat, node
        return flat - start, self.nodes[node].sources[part]

    def _bias(self, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
        """One array of zeros for one weight, so that a reused layer stays one layer."""
        return self._zeros.setdefault(id(weight), np.zeros(len(weight))) if bias is None else bias

    def _scaled(self, value: Value, columns: list[np.ndarray], name: str) -> Value:
        factor, summand, divisor = columns
        repeat = _repeat(columns)
        picked = zip(*(column.reshape(-1)[::repeat] for column in (factor, divisor, summand)), strict=True)
        pairs = [(Fraction(float(f)) / Fraction(float(d)), Fraction(float(s))) for f, d, s in picked]
        node, source = value.node, self.nodes[value.node]
        if isinstance(source, Scale) and source.norm is None:
            finer = math.gcd(repeat, source.repeat)
            size, node = value.size, source.source
            pairs = [
                (w * source.weight[i // source.repeat], w * source.bias[i // source.repeat] + b)
                for i, (w, b) in ((i, pairs[i // repeat]) for i in range(0, size, finer))
            ]
            repeat = finer
        return self._constants(Value(node, value.shape), pairs, repeat, name)

    def _constants(self, value: Value, pairs: list[tuple[Fraction, Fraction]], repeat: int, name: str) -> Value:
        """(factor, summand) for each `repeat` entries, as one node: none for the identity, a bias where it can be."""
        coarser = math.gcd(len(pairs), *(i for i in range(1, len(pairs)) if pairs[i] != pairs[i - 1]))
        pairs, repeat = pairs[::coarser], repeat * coarser
        source = self.nodes[value.node]
        if all(factor == 1 for factor, _ in pairs):
            if not any(summand for _, summand in pairs):
                return value
            floats = [_float(summand) for _, summand in pairs]
            if isinstance(source, Affine | Convolution) and not source.bias.any() and None not in floats:
                bias = _per_row(np.repeat(np.array(floats, dtype=np.float64), repeat), len(source.bias))
                if bias is not None:
                    return self._append(replace(source, bias=bias), value.shape)
        weight, summands = (_objects(numbers) for numbers in zip(*pairs, strict=True))
        return self._append(Scale(weight, summands, repeat, value.node, None, name), value.shape)

    def _one_sided(self, value: Value, padding: Padding, name: str) -> tuple[Value, Padding]:
        """Zeros that only one side has are a step of their own, as torch takes it; and the padding of both sides."""
        both = tuple((min(pair), min(pair)) for pair in padding)
        if both == padding:
            return value, both
        more = tuple((low - least, high - least) for (low, high), (least, _) in zip(padding, both, strict=True))
        return self.pad(value, ((0, 0), *more), name), both

    def _spatial(self, value: Value, name: str) -> int:
        if len(value.shape) < 2:
            raise ShapeMismatch(f"{name!r}: a pool of a value of shape {value.shape}; expected (channels, *spatial)")
        return len(value.shape) - 1

    def _limit(self, value: Value, kernel: tuple[int, ...], name: str) -> None:
        """Refused before the windows are listed."""
        if value.size * math.prod(kernel) > MOST_ENTRIES * 4:
            raise ShapeMismatch(
                f"{name!r}: pools of kernel {kernel} over shape {value.shape} are too large to be listed"
            )

    def _adaptive(self, value: Value, outputs: Sequence[int | None], name: str) -> tuple[tuple[int, ...], np.ndarray]:
        if self._spatial(value, name) != len(outputs):
            raise ShapeMismatch(f"{name!r}: an adaptive pool to {tuple(outputs)} of a value of shape {value.shape}")
        wanted = tuple(n if o is None else o for n, o in zip(value.shape[1:], outputs, strict=True))
        if math.prod(wanted) > MOST_ENTRIES:
            raise ShapeMismatch(f"{name!r}: an adaptive pool to {wanted} entries is too large")
        positions, index, _ = adaptive_windows(value.shape, wanted)
        return positions, index


def _numbers(value: Value) -> str:
    return str(value.size) if len(value.shape) == 1 else f"shape {value.shape}"


def _sides(sides: Sides, spatial: int) -> tuple[int, ...]:
    given = (sides,) * spatial if isinstance(sides, int) else tuple(int(side) for side in sides)
    if len(given) == 1 and spatial > 1:
        given *= spatial
    if len(given) != spatial or min(given) < 1:
        raise ShapeMismatch(f"{given} for {spatial} spatial dimensions; expected one positive number for each")
    return given


def _padding(padding: Sides | Padding, spatial: int) -> Padding:
    given: list[Any] = [padding] * spatial if isinstance(padding, int) else list(padding)
    if len(given) == 1 and spatial > 1:
        given *= spatial
    pairs = tuple((int(p), int(p)) if isinstance(p, int) else (int(p[0]), int(p[1])) for p in given)
    if len(pairs) != spatial or min(min(pair) for pair in pairs) < 0:
        raise ShapeMismatch(f"a padding of {given} for {spatial} spatial dimensions; expected numbers from 0")
    return pairs


def _factor(weight: float, variance: float, epsilon: float, name: str) -> Fraction:
    """weight / sqrt(variance + epsilon), correctly rounded to float64."""
    try:
        return Fraction(quotient_by_root(weight, Fraction(variance) + Fraction(epsilon)))
    except (ValueError, OverflowError) as err:
        raise NotExact(
            f"layer {name!r}: variance {variance} + epsilon {epsilon} must be positive, and the factor a finite float"
        ) from err


def _objects(numbers: Iterable[Fraction]) -> np.ndarray:
    listed = list(numbers)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array


def _broadcast(numbers: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    array = np.asarray(numbers, dtype=np.float64)
    if not np.isfinite(array).all():
        raise NotExact(f"{name!r}: a constant is not finite; every number must be")
    try:
        return np.broadcast_to(array, shape)
    except ValueError as err:
        raise ShapeMismatch(f"{name!r}: a constant of shape {array.shape} with a value of shape {shape}") from err


def _repeat(columns: Sequence[np.ndarray]) -> int:
    """The longest run such that all columns, flat, are constant along each run of this length."""
    flat = [column.reshape(-1) for column in columns]
    changes = np.logical_or.reduce([column[1:] != column[:-1] for column in flat])
    return math.gcd(flat[0].size, int(np.gcd.reduce(np.flatnonzero(changes) + 1)))


def _float(number: Fraction) -> float | None:
    """The number as a float, if it is one."""
    try:
        nearest = float(number)
    except OverflowError:
        return None
    return nearest if Fraction(nearest) == number else None


def _per_row(column: np.ndarray, rows: int) -> np.ndarray | None:
    """The summand as a bias (rows,), where it is constant along all but the first dimension."""
    blocks = column.reshape(rows, -1)
    return blocks[:, 0].copy() if (blocks == blocks[:, :1]).all() else None
