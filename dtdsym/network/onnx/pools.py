"""ONNX operators that take the maximum, mean or sum of entries: pools, and reductions over dimensions."""

from __future__ import annotations

import math

import numpy as np

from dtdsym.network.builder import Value
from dtdsym.network.onnx.convolution import padding_of, sides
from dtdsym.network.onnx.shapes import axes
from dtdsym.network.onnx.values import Data, Meaning, Operation, Origin, Scope, axis_of

_AXES_SINCE = {"ReduceSum": 13, "ReduceMean": 18, "ReduceMax": 18}


def max_pool(scope: Scope, op: Operation) -> Meaning:
    """MaxPool without its Indices output."""
    if len([name for name in op.outputs if name]) > 1 or op.integer("storage_order", 0):
        op.refuse("gives its indices or counts by columns; only the maxima, in row-major order, are supported")
    return _pool(scope, op)


def average_pool(scope: Scope, op: Operation) -> Meaning:
    """AveragePool without dilations."""
    if any(n != 1 for n in op.integers("dilations") or ()):
        op.refuse(f"dilations {op.integers('dilations')}; only averages over adjacent entries are supported")
    return _pool(scope, op)


def _pool(scope: Scope, op: Operation) -> Data:
    source = scope.data(op)
    value = scope.sample(op, source, 3)
    lengths = source.shape[2:]
    kernel = sides(op, "kernel_shape", len(lengths), 0)
    strides, dilations = sides(op, "strides", len(lengths)), sides(op, "dilations", len(lengths))
    padding = padding_of(op, lengths, kernel, strides, dilations)
    ceil = bool(op.integer("ceil_mode", 0))
    if ceil and op.text("auto_pad", "NOTSET") != "NOTSET":
        op.refuse("has both ceil_mode and auto_pad; export the model with pads alone")
    positions = [
        max(0, n + low + high - d * (k - 1) - 1) // s + 2
        for n, k, s, (low, high), d in zip(lengths, kernel, strides, padding, dilations, strict=True)
    ]
    scope.spend(op, 4 * source.shape[1] * math.prod(positions) * math.prod(kernel))
    if op.kind == "MaxPool":
        out = scope.builder.max_pool(value, kernel, strides, padding, dilations, ceil, op.name)
    else:
        counted = bool(op.integer("count_include_pad", 0))
        out = scope.builder.average_pool(value, kernel, strides, padding, ceil, counted, name=op.name)
    return scope.result(out, (scope.batch, *out.shape), source.kind)


def global_pool(scope: Scope, op: Operation) -> Meaning:
    """GlobalAveragePool, GlobalMaxPool: over all of each channel."""
    source = scope.data(op)
    value = scope.sample(op, source, 3)
    scope.spend(op, 4 * value.size)
    pool = scope.builder.adaptive_average_pool if op.kind == "GlobalAveragePool" else scope.builder.adaptive_max_pool
    out = pool(value, (1,) * (len(value.shape) - 1), op.name)
    return scope.result(out, (scope.batch, *out.shape), source.kind)


def reduction(scope: Scope, op: Operation) -> Meaning:
    """ReduceMean, ReduceMax, ReduceSum over some dimensions of a value."""
    source = scope.data(op)
    listed = axes(scope, op, _AXES_SINCE[op.kind])
    if not listed:
        if op.integer("noop_with_empty_axes", 0):
            return source
        listed = tuple(range(len(source.shape)))
    over = sorted({axis_of(op, axis, len(source.shape)) for axis in listed})
    if op.integer("keepdims", 1):
        shape = tuple(1 if axis in over else n for axis, n in enumerate(source.shape))
    else:
        shape = tuple(n for axis, n in enumerate(source.shape) if axis not in over)
    return _reduced(scope, op, source, over, shape)


def _reduced(scope: Scope, op: Operation, source: Data, over: list[int], shape: tuple[int, ...]) -> Data:
    origin = source.origin
    if origin is not None and origin.role == "windows" and over == [2]:
        value, index = origin.value, origin.index
    else:
        value, index = source.value, _windows(scope, op, source, over)
    match op.kind:
        case "ReduceMax":
            if index.min() < 0:  # a zero of the padding takes part in this maximum
                value, index = source.value, np.arange(source.value.size).reshape(index.shape)
            return Data(scope.builder.maxima(value, index, op.name), shape, source.kind)
        case "ReduceMean":
            return Data(_means(scope, op, value, index, index.shape[1]), shape, source.kind)
    return Data(_means(scope, op, value, index, 1), shape, source.kind, Origin("sums", value, index))


def _means(scope: Scope, op: Operation, value: Value, index: np.ndarray, count: int) -> Value:
    return scope.builder.means(value, index, np.full(len(index), count, dtype=np.int64), op.name)


def _windows(scope: Scope, op: Operation, source: Data, over: list[int]) -> np.ndarray:
    """(out, k): the flat places that are reduced to each entry, of the first sample."""
    if scope.batch > 1 and (not over or over[0] == 0):
        op.refuse(f"mixes the {scope.batch} samples of the input's batch; export the model with a batch of 1")
    size = math.prod(source.shape)
    scope.spend(op, 3 * size)
    kept = [axis for axis in range(len(source.shape)) if axis not in over]
    places = np.arange(size).reshape(source.shape).transpose((*kept, *over))
    width = math.prod(source.shape[axis] for axis in over)
    return places.reshape(-1, width)[: source.value.size // width]
