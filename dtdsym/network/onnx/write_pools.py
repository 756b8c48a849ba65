"""Windows of a pool as the kernel, strides and pads that give them, where common ones do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from dtdsym.errors import ShapeMismatch
from dtdsym.network.layers import AveragePool, MaxPool
from dtdsym.network.pooling import pool_windows, without_padding


@dataclass(frozen=True)
class Pool:
    """Attributes of ONNX's pools; positions: how many windows along each spatial dimension."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: tuple[int, ...]
    ceil: bool
    counted: bool
    positions: tuple[int, ...]


def common_pool(node: MaxPool | AveragePool, shape: tuple[int, ...]) -> Pool | None:
    """The pool of a value of `shape` (channels, *spatial) that has exactly the node's windows, else None."""
    if not 2 <= len(shape) <= 4 or len(node.index) % shape[0]:
        return None
    for kernel, stride, pads, ceil in _candidates(shape[1:], node.index.shape[1]):
        sides = zip(shape[1:], kernel, stride, pads, strict=True)
        rooms = [(n + 2 * p - k, s) for n, k, s, p in sides]
        if min(room for room, _ in rooms) < 0 or not _may_fit(rooms, ceil, len(node.index) // shape[0]):
            continue
        padding = tuple((p, p) for p in pads)
        positions, index, counts = pool_windows(shape, kernel, stride, padding, (1,) * len(kernel), ceil)
        counted = _matches(node, index, counts)
        if counted is not None:
            return Pool(kernel, stride, (*pads, *pads), ceil, counted, positions)
    return None


def _may_fit(rooms: list[tuple[int, int]], ceil: bool, windows: int) -> bool:
    """Before windows are listed: as many as there are, or with `ceil` up to one more a dimension."""
    fewest = math.prod(room // stride + 1 for room, stride in rooms)
    most = math.prod(room // stride + 2 for room, stride in rooms)
    return fewest == windows or (ceil and fewest <= windows <= most)


def _candidates(
    spatial: tuple[int, ...], entries: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]]:
    for kernel in product(*([k for k in range(1, entries + 1) if entries % k == 0] for _ in spatial)):
        if math.prod(kernel) != entries:
            continue
        strides = dict.fromkeys([kernel, *((s,) * len(kernel) for s in (1, 2, 3, 4))])
        for ceil, stride, pad in product((False, True), strides, range(max(kernel) // 2 + 1)):
            yield kernel, stride, tuple(min(pad, k // 2) for k in kernel), ceil


def _matches(node: MaxPool | AveragePool, index: np.ndarray, counts: np.ndarray) -> bool | None:
    """None if the windows differ; else whether an average counts the padding."""
    if isinstance(node, MaxPool):
        try:
            return True if np.array_equal(node.index, without_padding(index)) else None
        except ShapeMismatch:  # a window wholly in the padding: not the pool that is looked for
            return None
    if not np.array_equal(node.index, index):
        return None
    if np.array_equal(node.counts, counts):
        return True
    return False if np.array_equal(node.counts, (index >= 0).sum(axis=1)) else None
