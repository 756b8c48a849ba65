"""Windows: which entries of a value each output of a convolution or a pool sees; and convolution by matrix products.

A value (channels, *spatial) is flat, as everywhere. An index is an int64 array of places in a flat value, -1 for a zero
that pads it. One convolution is: take the patches, one affine map for all positions of a group, put the results in
place. So the rounding bounds of affine maps are those of convolutions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import numpy as np

from dtdsym.arithmetic.kept import Kept
from dtdsym.errors import ShapeMismatch

Padding = tuple[tuple[int, int], ...]


class Pools:
    """Max-pools out of maxima of two: for worlds where nothing is gained by seeing a window at once."""

    maximum: Any
    take: Any

    def pool(self, value: Any, columns: tuple[np.ndarray, ...]) -> Any:
        """The greatest entry of each window: column k (out,) holds the k-th entry of every window."""
        return reduce(self.maximum, (self.take(value, column) for column in columns))


@dataclass(frozen=True)
class Windows:
    """The windows of a convolution over a value of `shape` (channels, *spatial).

    kernel, stride, dilation: one number for each spatial dimension; padding: (before, after) for each. groups: the
    channels are cut into as many equal parts, each seen by an equal part of the output channels.
    """

    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    groups: int = 1

    def __post_init__(self) -> None:
        spatial = len(self.shape) - 1
        lengths = {len(part) for part in (self.kernel, self.stride, self.padding, self.dilation)}
        if spatial < 1 or lengths != {spatial} or self.shape[0] % self.groups:
            raise ShapeMismatch(f"windows of {self.kernel} in {self.groups} groups do not fit a value of {self.shape}")
        if min(self.positions) < 1:
            raise ShapeMismatch(f"a kernel of {self.kernel} is larger than the padded value of {self.shape[1:]}")

    @property
    def size(self) -> int:
        """Entries of the value."""
        return math.prod(self.shape)

    @property
    def positions(self) -> tuple[int, ...]:
        """How many windows there are along each spatial dimension."""
        sides = zip(self.shape[1:], self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + low + high - d * (k - 1) - 1) // s + 1 for n, k, s, (low, high), d in sides)

    @property
    def entries(self) -> int:
        """Entries of one window."""
        return self.shape[0] // self.groups * math.prod(self.kernel)

    @cached_property
    def index(self) -> np.ndarray:
        """(groups, positions, entries of a window): where each window's entries lie, channels first."""
        groups, positions = np.mgrid[: self.groups, : math.prod(self.positions)]
        index = self.seen(groups.ravel(), positions.ravel())
        return _frozen(index.reshape(self.groups, -1, self.entries))

    def seen(self, groups: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """(n, entries of a window): where the entries of these windows lie, groups and positions (n,)."""
        each = self.shape[0] // self.groups
        channels = (groups[:, None] * each + np.arange(each))[:, :, None] * math.prod(self.shape[1:])
        plane = self._plane[positions][:, None, :]
        return np.where(plane < 0, -1, channels + plane).reshape(len(groups), self.entries)

    @cached_property
    def inverse(self) -> np.ndarray:
        """(size, m): for each entry of the value the places in `index`, flat, that see it."""
        return inverse_index(self.index, self.size)

    @cached_property
    def _plane(self) -> np.ndarray:
        """(positions, entries): the windows of one channel."""
        flat = np.zeros((1, 1), dtype=np.int64)
        inside = np.ones((1, 1), dtype=bool)
        for axis, length in enumerate(self.shape[1:]):
            starts = np.arange(self.positions[axis]) * self.stride[axis] - self.padding[axis][0]
            at = starts[:, None] + np.arange(self.kernel[axis]) * self.dilation[axis]
            flat = outer(flat * length, at, np.add)
            inside = outer(inside, (at >= 0) & (at < length), np.logical_and)
        return np.where(inside, flat, -1)


def outer(left: np.ndarray, right: np.ndarray, combine: Any) -> np.ndarray:
    """(P, K) and (p, k) to (P p, K k): windows along one more dimension."""
    both = combine(left[:, None, :, None], right[None, :, None, :])
    return both.reshape(left.shape[0] * right.shape[0], -1)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def inverse_index(index: np.ndarray, size: int) -> np.ndarray:
    """(size, m): for each of `size` places, where it stands in `index`, flat; -1 fills up. Taking by it and adding up
    is the transpose of taking by `index`."""
    flat = index.reshape(-1)
    order = np.argsort(flat, kind="stable")
    order = order[np.searchsorted(flat[order], 0) :]
    places = flat[order]
    counts = np.bincount(places, minlength=size)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    inverse = np.full((size, max(1, int(counts.max(initial=0)))), -1, dtype=np.int64)
    inverse[places, np.arange(len(places)) - starts[places]] = order
    return _frozen(inverse)


@dataclass(frozen=True)
class _Group:
    """One group's weights (out, k) and their transpose, with biases: arrays of their own, made once."""

    weight: np.ndarray
    bias: np.ndarray
    transposed: np.ndarray
    no_bias: np.ndarray


_GROUPS: Kept[tuple[_Group, ...]] = Kept()


def groups_of(weight: np.ndarray, bias: np.ndarray, windows: Windows) -> tuple[_Group, ...]:
    """weight (out, in / groups, *kernel) and bias (out,) as matrices, one a group."""
    return _GROUPS.get((weight, bias), windows.groups, lambda: tuple(_cut(weight, bias, windows.groups)))


def _cut(weight: np.ndarray, bias: np.ndarray, groups: int) -> list[_Group]:
    matrices = weight.reshape(groups, len(weight) // groups, -1)
    parts = zip(matrices, bias.reshape(groups, -1), strict=True)
    return [
        _Group(_frozen(w.copy()), _frozen(b.copy()), _frozen(w.T.copy(order="C")), _frozen(np.zeros(w.shape[1])))
        for w, b in parts
    ]


def convolve(ops: Any, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: Any) -> Any:
    """The convolution of value (..., size), flat: (..., out positions). `ops` has take, affine and join."""
    leading = tuple(value.shape[:-1])
    parts = []
    for group, index in zip(groups_of(weight, bias, windows), windows.index, strict=True):
        out = ops.affine(group.weight, group.bias, ops.take(value, index))
        parts.append(out.swapaxes(-1, -2).reshape(*leading, -1))
    return parts[0] if len(parts) == 1 else ops.join(parts)


def convolve_back(ops: Any, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: Any) -> Any:
    """The transposed map, without bias: row (..., out positions) to (..., size)."""
    leading = tuple(row.shape[:-1])
    groups = groups_of(weight, bias, windows)
    each = row.shape[-1] // len(groups)
    parts = []
    for number, group in enumerate(groups):
        part = row[..., number * each : (number + 1) * each].reshape(*leading, len(group.weight), -1)
        patches = ops.affine(group.transposed, group.no_bias, part.swapaxes(-1, -2))
        parts.append(patches.reshape(*leading, -1))
    return ops.total(ops.take(parts[0] if len(parts) == 1 else ops.join(parts), windows.inverse))


_SCALES: Kept[Any] = Kept()


def scale(ops: Any, weight: np.ndarray, bias: np.ndarray, value: Any, to: tuple[Any, ...] = ()) -> Any:
    """value_i weight_c + bias_c, c = i // (width / channels): value (..., width), exact weight and bias (channels,).

    to: device, and dtype if it has one, that the constants are moved to."""
    factor, summand = (
        _SCALES.get((numbers,), (ops, *to), partial(_column, ops, numbers, to)) for numbers in (weight, bias)
    )
    wide = value.reshape(*value.shape[:-1], len(weight), -1) * factor + summand
    return wide.reshape(*value.shape)


def _column(ops: Any, numbers: np.ndarray, to: tuple[Any, ...]) -> Any:
    lifted = ops.lift(numbers.reshape(-1, 1))
    return lifted.to(*to) if to else lifted
