"""The nodes of a network. A float64 array *is* the exact weight: every float16, bfloat16 and float32 is a float64.

Values are flat: a node that a framework shapes (channels, height, width) holds them in this order, as one vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from dtdsym.arithmetic.windows import Windows, inverse_index
from dtdsym.errors import NotExact, ShapeMismatch


def _constant(array: np.ndarray) -> np.ndarray:
    """The array, read-only from now on: what arithmetics make of it stays true."""
    array.setflags(write=False)
    return array


def _check_weights(name: str, weight: np.ndarray, bias: np.ndarray) -> None:
    for what, array in (("weight", weight), ("bias", bias)):
        if array.dtype != np.float64:
            raise NotExact(f"layer {name!r}: {what} has dtype {array.dtype}; give float64, which is exact")
        if not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise NotExact(
                f"layer {name!r}: {what}{list(where)} is {array[where]}; every weight must be a finite number"
            )
        _constant(array)


@dataclass(frozen=True, eq=False)
class Input:
    """The network's input; `shape` is how a framework shapes one sample, (channels, *spatial) or (size,)."""

    shape: tuple[int, ...]
    name: str = "input"
    sources: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """How many numbers one input has."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Affine:
    """z = W a + b. weight (out, in) and bias (out,), float64, finite; `source` is the node that holds a (in,)."""

    weight: np.ndarray
    bias: np.ndarray
    source: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1] or 0 in self.weight.shape:
            raise ShapeMismatch(
                f"layer {self.name!r}: weight of shape {self.weight.shape} with bias of shape {self.bias.shape}; "
                "expected (out, in) and (out,), none of them empty"
            )
        _check_weights(self.name, self.weight, self.bias)
        object.__setattr__(self, "sources", (self.source,))

    def __reduce__(self) -> tuple[type[Affine], tuple[np.ndarray, np.ndarray, int, str]]:
        """Copies are checked and made read-only like the original."""
        return Affine, (self.weight, self.bias, self.source, self.name)

    @cached_property
    def transposed(self) -> np.ndarray:
        """W^T (in, out), one view for the node's life, so that arithmetics can cache what they make of it."""
        return self.weight.T

    @cached_property
    def no_bias(self) -> np.ndarray:
        """Zeros (in,): the bias of the transposed map."""
        return _constant(np.zeros(self.weight.shape[1]))


@dataclass(frozen=True, eq=False)
class Convolution:
    """z = weight * a + bias over `windows`. weight (out, in / groups, *kernel), bias (out,), float64, finite.

    The value is (out, *positions), flat.
    """

    weight: np.ndarray
    bias: np.ndarray
    source: int
    windows: Windows
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        w = self.windows
        expected = (w.shape[0] // w.groups, *w.kernel)
        if self.weight.shape[1:] != expected or self.bias.shape != self.weight.shape[:1] or 0 in self.weight.shape:
            raise ShapeMismatch(
                f"layer {self.name!r}: weight of shape {self.weight.shape} with bias of shape {self.bias.shape}; "
                f"expected (out, {', '.join(map(str, expected))}) and (out,), none of them empty"
            )
        if len(self.weight) % w.groups:
            raise ShapeMismatch(f"layer {self.name!r}: {len(self.weight)} output channels in {w.groups} groups")
        _check_weights(self.name, self.weight, self.bias)
        object.__setattr__(self, "sources", (self.source,))

    def __reduce__(self) -> tuple[type[Convolution], tuple[np.ndarray, np.ndarray, int, Windows, str]]:
        """Copies are checked and made read-only like the original."""
        return Convolution, (self.weight, self.bias, self.source, self.windows, self.name)

    @property
    def size(self) -> int:
        """How many numbers the value has."""
        return len(self.weight) * math.prod(self.windows.positions)


@dataclass(frozen=True, eq=False)
class Norm:
    """What batch normalisation stated: z = factor (a - mean) + bias; arrays (channels,) float64."""

    factor: np.ndarray
    mean: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class Scale:
    """z_i = weight_c a_i + bias_c, elementwise, with c = i // repeat; weight and bias (channels,) of Fractions.

    norm: batch normalisation, which counts as a layer of its own where it does not follow one; None for constants
    that a value is multiplied by or added to.
    """

    weight: np.ndarray
    bias: np.ndarray
    repeat: int
    source: int
    norm: Norm | None = None
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.weight.ndim != 1 or self.bias.shape != self.weight.shape or not self.weight.size or self.repeat < 1:
            raise ShapeMismatch(
                f"{self.name!r}: {self.weight.shape} factors and {self.bias.shape} summands, expected as many"
            )
        for array in (self.weight, self.bias):
            if not all(type(number) is Fraction for number in array):
                raise NotExact(f"{self.name!r}: factors and summands must be Fractions")
            _constant(array)
        object.__setattr__(self, "sources", (self.source,))

    def __reduce__(self) -> tuple[type[Scale], tuple[np.ndarray, np.ndarray, int, int, Norm | None, str]]:
        """Copies are checked and made read-only like the original."""
        return Scale, (self.weight, self.bias, self.repeat, self.source, self.norm, self.name)

    @cached_property
    def no_bias(self) -> np.ndarray:
        """Zeros (channels,)."""
        return _constant(np.array([Fraction(0)] * len(self.weight), dtype=object))


@dataclass(frozen=True, eq=False)
class Relu:
    """max(z, 0), elementwise; `source` is the node that holds z."""

    source: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", (self.source,))


@dataclass(frozen=True, eq=False)
class Add:
    """left + right, elementwise: a residual addition of two nodes of equal size."""

    left: int
    right: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", (self.left, self.right))


@dataclass(frozen=True, eq=False)
class Concat:
    """The values of several nodes, one after another."""

    sources: tuple[int, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if len(self.sources) < 2:
            raise ShapeMismatch(f"{self.name!r}: a concatenation joins at least two values")


class _Indexed:
    """Shared by the nodes that pick entries of `source`: index is int64, -1 stands for a zero."""

    index: np.ndarray

    @cached_property
    def columns(self) -> tuple[np.ndarray, ...]:
        """The index column by column, each an array (out,) of its own."""
        return tuple(_constant(column.copy()) for column in self.index.reshape(len(self.index), -1).T)

    def _check(self, name: str, dimensions: int, lowest: int) -> None:
        index = self.index
        if index.ndim != dimensions or index.dtype != np.int64 or not index.size or index.min() < lowest:
            raise ShapeMismatch(f"{name!r}: an index of shape {index.shape} and dtype {index.dtype} picks no entries")
        _constant(index)


@dataclass(frozen=True, eq=False)
class Take(_Indexed):
    """z_j = a_index[j], or 0 where index[j] = -1: permutations, slices, padding; index (out,) int64."""

    index: np.ndarray
    source: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._check(self.name, 1, -1)
        object.__setattr__(self, "sources", (self.source,))


@dataclass(frozen=True, eq=False)
class MaxPool(_Indexed):
    """z_j = max over k of a_index[j, k]; index (out, k) int64. A short window repeats one of its own entries."""

    index: np.ndarray
    source: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._check(self.name, 2, 0)
        object.__setattr__(self, "sources", (self.source,))

    @cached_property
    def fresh(self) -> np.ndarray:
        """(out, k) boolean: not a repetition of an entry further left in its window."""
        repeats = (self.index[:, :, None] == self.index[:, None, :]) & np.tri(self.index.shape[1], k=-1, dtype=bool)
        return _constant(~repeats.any(axis=2))


@dataclass(frozen=True, eq=False)
class AveragePool(_Indexed):
    """z_j = (sum over k of a_index[j, k]) / counts[j]; index (out, k) int64, -1 adds 0; counts (out,) int64 > 0."""

    index: np.ndarray
    counts: np.ndarray
    source: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._check(self.name, 2, -1)
        if self.counts.shape != self.index.shape[:1] or self.counts.dtype != np.int64 or self.counts.min() < 1:
            raise ShapeMismatch(f"{self.name!r}: an average needs one positive divisor for each of its windows")
        _constant(self.counts)
        object.__setattr__(self, "sources", (self.source,))

    @cached_property
    def shares(self) -> np.ndarray:
        """1 / counts (out,), as Fractions."""
        return _constant(np.array([Fraction(1, int(count)) for count in self.counts], dtype=object))

    @cached_property
    def nothing(self) -> np.ndarray:
        """Zeros (out,), as Fractions."""
        return _constant(np.array([Fraction(0)] * len(self.counts), dtype=object))


def inverse_of(node: MaxPool | AveragePool, size: int) -> np.ndarray:
    """(size, m): where each entry of the source stands in the node's index; see `inverse_index`."""
    kept = node.__dict__.get("_inverse")
    if kept is None:
        kept = inverse_index(node.index, size)
        object.__setattr__(node, "_inverse", kept)
    return kept


def taken_by(node: Take, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, m): where each of the n entries that a node takes stands in its index; and (size,): which of these n each
    entry of the source is, -1 for those not taken. Apart, since a few may be taken often and the others never."""
    kept = node.__dict__.get("_taken")
    if kept is None:
        entries = np.unique(node.index[node.index >= 0])
        places = np.full(size, -1, dtype=np.int64)
        places[entries] = np.arange(len(entries))
        compact = np.where(node.index < 0, -1, places[node.index])
        kept = inverse_index(compact, len(entries)), _constant(places)
        object.__setattr__(node, "_taken", kept)
    return kept


Linear = Affine | Convolution | Scale | AveragePool
"""Nodes whose value is an affine function of their source's."""
Node = Input | Affine | Convolution | Scale | Relu | Add | Concat | Take | MaxPool | AveragePool


def with_sources(node: Node, sources: Sequence[int]) -> Node:
    """The same node with its sources at other places."""
    match node:
        case Input():
            return node
        case Add():
            return replace(node, left=sources[0], right=sources[1])
        case Concat():
            return replace(node, sources=tuple(sources))
        case _:
            return replace(node, source=sources[0])


def size_of(node: Node, sizes: Sequence[int]) -> int:
    """How many numbers a node holds, from the sizes of its sources. Raises ShapeMismatch where they do not chain."""
    match node:
        case Input():
            return node.size
        case Affine():
            _chained(node.name, node.weight.shape[1], sizes[node.source])
            return len(node.weight)
        case Convolution():
            _chained(node.name, node.windows.size, sizes[node.source])
            return node.size
        case Scale():
            _chained(node.name, len(node.weight) * node.repeat, sizes[node.source])
            return sizes[node.source]
        case Relu():
            return sizes[node.source]
        case Add():
            if sizes[node.left] != sizes[node.right]:
                raise ShapeMismatch(
                    f"addition {node.name!r} of {sizes[node.left]} and {sizes[node.right]} numbers; "
                    "a residual addition needs two values of one size"
                )
            return sizes[node.left]
        case Concat():
            return sum(sizes[source] for source in node.sources)
        case Take() | MaxPool() | AveragePool():
            if node.index.max() >= sizes[node.source]:
                raise ShapeMismatch(f"{node.name!r} picks entry {node.index.max()} of {sizes[node.source]}")
            return len(node.index)


def _chained(name: str, takes: int, receives: int) -> None:
    if takes != receives:
        raise ShapeMismatch(
            f"layer {name!r} takes {takes} numbers but receives {receives}; the shapes of consecutive layers must chain"
        )
