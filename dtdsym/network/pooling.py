"""Where the windows of pools lie, as torch and ONNX place them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dtdsym.arithmetic.windows import Padding, outer
from dtdsym.errors import ShapeMismatch

MOST_LISTED = 2**26
"""Entries that all windows of one pool see together; beyond it the list of them would not fit memory."""


def pool_windows(
    shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Padding,
    dilation: Sequence[int],
    ceil: bool,
) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    """Windows over a value (channels, *spatial): positions; index (out, k), -1 off the value; counts (out,) with the
    padding, but without what `ceil` adds beyond it."""
    axes = [
        _axis(n, k, s, low, high, d, ceil)
        for n, k, s, (low, high), d in zip(shape[1:], kernel, stride, padding, dilation, strict=True)
    ]
    lengths = [n + high for n, (_, high) in zip(shape[1:], padding, strict=True)]
    starts = [-low for low, _ in padding]
    return _assembled(shape, axes, starts, lengths)


def adaptive_windows(shape: Sequence[int], outputs: Sequence[int]) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    """Windows of adaptive pools: output i of o sees floor(i n / o) up to ceil((i + 1) n / o), exclusively."""
    axes = [_adaptive_axis(n, o) for n, o in zip(shape[1:], outputs, strict=True)]
    return _assembled(shape, axes, [0] * len(axes), list(shape[1:]))


def _axis(length: int, kernel: int, stride: int, low: int, high: int, dilation: int, ceil: bool) -> np.ndarray:
    if min(kernel, stride, dilation) < 1 or min(low, high) < 0:
        raise ShapeMismatch(
            f"a pool of kernel {kernel}, stride {stride} and dilation {dilation}; expected numbers from 1"
        )
    room = length + low + high - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil else room // stride) + 1  # `ceil` lets a window reach beyond the padding
    if count < 1:
        raise ShapeMismatch(f"a pool of kernel {kernel} does not fit {length} entries padded by {low} and {high}")
    if ceil and (count - 1) * stride >= length + low:  # a window must begin on the value or on the padding before it
        count -= 1
    _check_listed(count * kernel)
    return np.arange(count)[:, None] * stride - low + np.arange(kernel)[None, :] * dilation


def _check_listed(entries: int) -> None:
    if entries > MOST_LISTED:
        raise ShapeMismatch(f"a pool sees {entries} entries along one dimension; at most {MOST_LISTED} are read")


def _adaptive_axis(length: int, outputs: int) -> np.ndarray:
    if outputs < 1:
        raise ShapeMismatch(f"an adaptive pool to {outputs} entries; expected at least one")
    _check_listed(16 * max(length, outputs))  # ranges are listed one by one
    ranges = [range(i * length // outputs, -(-(i + 1) * length // outputs)) for i in range(outputs)]
    widest = max(len(r) for r in ranges)
    return np.array([[*r, *[length] * (widest - len(r))] for r in ranges])


def _assembled(
    shape: Sequence[int], axes: Sequence[np.ndarray], starts: Sequence[int], lengths: Sequence[int]
) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    positions = tuple(len(axis) for axis in axes)
    entries = shape[0] * math.prod(axis.size for axis in axes)
    if entries > MOST_LISTED:
        raise ShapeMismatch(f"pools over shape {tuple(shape)} see {entries} entries; at most {MOST_LISTED} are read")
    flat = np.zeros((1, 1), dtype=np.int64)
    real = counted = np.ones((1, 1), dtype=bool)
    for axis, n, low, high in zip(axes, shape[1:], starts, lengths, strict=True):
        flat = outer(flat * n, axis, np.add)
        real = outer(real, (axis >= 0) & (axis < n), np.logical_and)
        counted = outer(counted, (axis >= low) & (axis < high), np.logical_and)
    offsets = np.arange(shape[0], dtype=np.int64)[:, None, None] * math.prod(shape[1:])
    index = np.where(real[None], flat[None] + offsets, -1).reshape(-1, flat.shape[1])
    return positions, index, np.tile(counted.sum(axis=1, dtype=np.int64), shape[0])


def without_padding(index: np.ndarray) -> np.ndarray:
    """Padding replaced by the window's first real entry, which leaves a maximum as it is."""
    real = index >= 0
    if not real.any(axis=1).all():
        raise ShapeMismatch("a maximum over a window that lies wholly in the padding")
    first = np.take_along_axis(index, real.argmax(axis=1)[:, None], axis=1)
    return np.where(real, index, first)
