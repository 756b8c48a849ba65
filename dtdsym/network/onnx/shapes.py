"""ONNX operators that move entries or read shapes: each one change of arrays, of constants or of a value's places."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from dtdsym.errors import LoadError, ShapeMismatch
from dtdsym.network.onnx.values import (
    FLOATS,
    INTEGERS,
    WHOLE,
    Constant,
    Data,
    Meaning,
    Operation,
    Origin,
    Scope,
    axis_of,
    wider,
)

_INT64 = 7


def identity(scope: Scope, op: Operation) -> Meaning:
    """Identity, and Dropout in inference."""
    if op.kind == "Dropout" and scope.given(op, 2) and scope.constant(op, 2).array.any():
        op.refuse("in training mode; export the model after model.eval()")
    source = scope.get(op, 0)
    return replace(source, origin=None) if isinstance(source, Data) else source


def constant(scope: Scope, op: Operation) -> Meaning:
    """Constant: a tensor, or a number or list."""
    if len(op.attributes) != 1:
        op.refuse("expected one attribute; export the model again")
    match next(iter(op.attributes)):
        case "value":
            return scope.read(op.tensor("value"), str(op))
        case "value_float":
            return Constant(np.array(op.number("value_float", 0.0)), 1)
        case "value_int":
            return Constant(np.array(op.integer("value_int", 0), dtype=np.int64), _INT64)
        case "value_ints":
            return Constant(np.array(op.integers("value_ints"), dtype=np.int64).reshape(-1), _INT64)
    return op.refuse("a text, a list of floats or a sparse tensor; expected a tensor")


def cast(scope: Scope, op: Operation) -> Meaning:
    """Cast to a type that holds the same numbers."""
    source, target = scope.get(op, 0), op.integer("to", 0)
    if isinstance(source, Data):
        if target not in FLOATS or not wider(source.kind, target):
            op.refuse(
                f"from {FLOATS[source.kind]} to {FLOATS.get(target, 'another type')} rounds; "
                "only casts to a wider float are supported, so export the model in one type"
            )
        return replace(source, kind=target, origin=None)
    if target in INTEGERS and source.kind in INTEGERS and INTEGERS[target] == "i8":
        return Constant(source.array.astype(np.int64), target)
    same = target == source.kind or (source.kind in FLOATS and target in FLOATS and wider(source.kind, target))
    if not same:
        op.refuse("a constant to a type that may not hold it; only casts to int64 or a wider float are supported")
    return Constant(source.array, target)


def shape_of(scope: Scope, op: Operation) -> Meaning:
    """Shape: known beforehand, since the input's shape is fixed; an open batch counts as 1."""
    shape = scope.get(op, 0).shape
    picked = shape[slice(op.integer("start", 0), op.integer("end", len(shape)))]
    return Constant(np.array(picked, dtype=np.int64), _INT64)


def reshape(scope: Scope, op: Operation) -> Meaning:
    """Reshape to a constant shape; 0 keeps a dimension unless allowzero, -1 is what remains."""
    source, wanted = scope.get(op, 0), scope.integers(op, 1)
    if len(wanted) > 32:
        raise ShapeMismatch(f"{op}: to {len(wanted)} dimensions; expected at most 32")
    if not op.integer("allowzero", 0):
        if any(n == 0 and i >= len(source.shape) for i, n in enumerate(wanted)):
            raise ShapeMismatch(f"{op}: shape {wanted} keeps a dimension that {source.shape} does not have")
        wanted = tuple(source.shape[i] if n == 0 else n for i, n in enumerate(wanted))
    return _reshaped(scope, op, source, wanted)


def _reshaped(scope: Scope, op: Operation, source: Meaning, wanted: tuple[int, ...]) -> Meaning:
    size, known = math.prod(source.shape), math.prod(n for n in wanted if n != -1)
    open_ends = wanted.count(-1)
    full = tuple(size // known if n == -1 and known > 0 else n for n in wanted)
    if open_ends > 1 or min(full, default=0) < 0 or math.prod(full) != size:
        raise ShapeMismatch(f"{op}: a value of shape {source.shape} does not fit shape {tuple(map(str, wanted))}")
    return scope.rearrange(op, source, size, lambda array: array.reshape(full))


def flatten(scope: Scope, op: Operation) -> Meaning:
    """Flatten to a matrix: the dimensions before `axis` and those from it on."""
    source = scope.get(op, 0)
    axis = op.integer("axis", 1)
    if not -len(source.shape) <= axis <= len(source.shape):
        raise ShapeMismatch(f"{op}: axis {axis} of a value of shape {source.shape}")
    cut = axis if axis >= 0 else axis + len(source.shape)
    return _reshaped(scope, op, source, (math.prod(source.shape[:cut]), math.prod(source.shape[cut:])))


def squeeze(scope: Scope, op: Operation) -> Meaning:
    """Dimensions of length 1 are left out."""
    source = scope.get(op, 0)
    shape = source.shape
    listed = axes(scope, op, 13)
    gone = (
        {axis_of(op, a, len(shape)) for a in listed}
        if listed is not None
        else {i for i, n in enumerate(shape) if n == 1}
    )
    if any(shape[axis] != 1 for axis in gone):
        raise ShapeMismatch(f"{op}: dimensions {sorted(gone)} of shape {shape} are not all of length 1")
    return _reshaped(scope, op, source, tuple(n for axis, n in enumerate(shape) if axis not in gone))


def unsqueeze(scope: Scope, op: Operation) -> Meaning:
    """Dimensions of length 1 are put in."""
    source, listed = scope.get(op, 0), axes(scope, op, 13) or ()
    dimensions = len(source.shape) + len(listed)
    new = {axis_of(op, axis, dimensions) for axis in listed}
    if len(new) != len(listed) or dimensions > 32:
        raise ShapeMismatch(f"{op}: axes {listed[:8]} for a value of shape {source.shape}")
    rest = iter(source.shape)
    return _reshaped(scope, op, source, tuple(1 if axis in new else next(rest) for axis in range(dimensions)))


def axes(scope: Scope, op: Operation, since: int) -> tuple[int, ...] | None:
    """Axes: an attribute before opset `since`, then an optional input."""
    if op.opset < since:
        return op.integers("axes")
    if "axes" in op.attributes:
        raise LoadError(f"{op}: has axes as an attribute, which opset {op.opset} does not; export the model again")
    return scope.integers(op, 1) if scope.given(op, 1) else None


def transpose(scope: Scope, op: Operation) -> Meaning:
    """Dimensions in another order."""
    source = scope.get(op, 0)
    order = op.integers("perm", tuple(range(len(source.shape)))[::-1]) or ()
    if sorted(order) != list(range(len(source.shape))):
        raise ShapeMismatch(f"{op}: perm {order[:8]} of a value of shape {source.shape}")
    return scope.rearrange(op, source, math.prod(source.shape), lambda array: array.transpose(order))


def cut(scope: Scope, op: Operation) -> Meaning:
    """Slice, with constant numbers."""
    source = scope.get(op, 0)
    if op.opset < 10:
        lists = [op.integers("starts") or (), op.integers("ends") or (), op.integers("axes"), None]
    else:
        lists = [scope.integers(op, i) if scope.given(op, i) else None for i in (1, 2, 3, 4)]
    starts, ends = lists[0] or (), lists[1] or ()
    along = lists[2] if lists[2] is not None else tuple(range(len(starts)))
    steps = lists[3] if lists[3] is not None else (1,) * len(starts)
    if not len(starts) == len(ends) == len(along) == len(steps) or 0 in steps:
        raise ShapeMismatch(f"{op}: {len(starts)} starts, {len(ends)} ends, {len(along)} axes, {len(steps)} steps")
    picks = [slice(None)] * len(source.shape)
    for start, end, axis, step in zip(starts, ends, along, steps, strict=True):
        picks[axis_of(op, axis, len(picks))] = slice(start, end, step)
    return scope.rearrange(op, source, math.prod(source.shape), lambda array: array[tuple(picks)])


def gather(scope: Scope, op: Operation) -> Meaning:
    """Gather by constant places along one dimension."""
    source, places = scope.get(op, 0), scope.constant(op, 1)
    if places.kind not in WHOLE:
        op.refuse("its places are no integers; export the model again")
    axis = axis_of(op, op.integer("axis", 0), len(source.shape))
    length = source.shape[axis]
    array = places.array
    if array.size and (array.min() < -length or array.max() >= length):
        raise ShapeMismatch(f"{op}: picks entries that dimension {axis} of shape {source.shape} does not have")
    size = math.prod(source.shape[:axis]) * math.prod(source.shape[axis + 1 :]) * array.size
    made = scope.rearrange(op, source, size, lambda values: np.take(values, array % length, axis=axis))
    if isinstance(source, Data) and isinstance(made, Data) and array.ndim == 2 and axis == 1 and scope.batch == 1:
        return replace(made, origin=_windows(source, array % length))
    return made


def _windows(source: Data, index: np.ndarray) -> Origin | None:
    """Windows of a flat value, of the one before a zero was put behind it if there was one."""
    if source.shape != (1, source.value.size) or not index.size:
        return None
    if source.origin is None or source.origin.role != "padded":
        return Origin("windows", source.value, index)
    value = source.origin.value
    return Origin("windows", value, np.where(index < value.size, index, -1))


def pad(scope: Scope, op: Operation) -> Meaning:
    """Pad with zeros; negative amounts cut away."""
    if op.text("mode", "constant") != "constant":
        op.refuse(f"mode {op.text('mode', '')!r}; only padding by the constant 0 is supported")
    source = scope.data(op)
    listed = _amounts(scope, op, len(source.shape))
    if not all(abs(n) < 2**31 for pair in listed for n in pair):
        raise ShapeMismatch(f"{op}: pads a value of shape {source.shape} by over 2^31 entries")
    size = math.prod(max(0, n + low + high) for n, (low, high) in zip(source.shape, listed, strict=True))
    scope.spend(op, math.prod(n + abs(low) + abs(high) for n, (low, high) in zip(source.shape, listed, strict=True)))
    inside = tuple(
        slice(max(0, -low), max(0, n - max(0, -high))) for n, (low, high) in zip(source.shape, listed, strict=True)
    )
    widths = [(max(0, low), max(0, high)) for low, high in listed]
    made = scope.rearrange(op, source, size, lambda array: np.pad(array[inside], widths, constant_values=-1))
    assert isinstance(made, Data)
    if source.shape == (1, source.value.size) and made.shape == (1, source.value.size + 1) and widths[-1] == (0, 1):
        return replace(made, origin=Origin("padded", source.value, np.zeros((0, 0), dtype=np.int64)))
    return made


def _amounts(scope: Scope, op: Operation, dimensions: int) -> list[tuple[int, int]]:
    if op.opset < 11:
        given, value = op.integers("pads") or (), np.array(op.number("value", 0.0))
    else:
        given = scope.integers(op, 1)
        value = scope.floats(op, 2) if scope.given(op, 2) else np.zeros(())
    if value.any():
        op.refuse("pads by a number other than 0; only padding by the constant 0 is supported")
    listed = scope.integers(op, 3) if op.opset >= 18 and scope.given(op, 3) else tuple(range(dimensions))
    along = [axis_of(op, axis, dimensions) for axis in listed]
    if len(given) != 2 * len(along) or len(set(along)) != len(along):
        raise ShapeMismatch(f"{op}: {len(given)} pads for {len(along)} dimensions")
    amounts = [(0, 0)] * dimensions
    for axis, low, high in zip(along, given[: len(along)], given[len(along) :], strict=True):
        amounts[axis] = (low, high)
    return amounts


def concat(scope: Scope, op: Operation) -> Meaning:
    """Values side by side, or constants."""
    given = [scope.get(op, position) for position in range(len(op.inputs))]
    if not given:
        op.refuse("joins nothing; export the model again")
    axis = axis_of(op, op.integer("axis", 0), len(given[0].shape))
    scope.spend(op, 6 * sum(math.prod(part.shape) for part in given))
    constants = [part for part in given if isinstance(part, Constant)]
    values = [part for part in given if isinstance(part, Data)]
    rest = {part.shape[:axis] + part.shape[axis + 1 :] for part in given}
    if len(rest) != 1 or any(len(part.shape) != len(given[0].shape) for part in given):
        raise ShapeMismatch(f"{op}: shapes {[part.shape for part in given[:8]]} along dimension {axis}")
    if not values:
        return Constant(np.concatenate([part.array for part in constants], axis=axis), constants[0].kind)
    if constants:
        op.refuse(
            "joins a constant with values that depend on the input; only values alone, or constants, are supported"
        )
    if scope.batch > 1 and axis == 0:
        op.refuse(f"joins the {scope.batch} samples of the input's batch; export the model with a batch of 1")
    if scope.batch > 1:
        axis, shapes = axis - 1, [part.shape[1:] for part in values]
    else:
        shapes = [part.shape for part in values]
    parts = [scope.builder.reshape(part.value, shape) for part, shape in zip(values, shapes, strict=True)]
    out = scope.builder.concat(parts, axis, op.name)
    shape = out.shape if scope.batch == 1 else (scope.batch, *out.shape)
    return scope.result(out, shape, values[0].kind)
