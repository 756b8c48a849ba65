"""Sums, constant factors and casts of torch's table of operations, and joining values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dtdsym.network.builder import MOST_ENTRIES, Value

if TYPE_CHECKING:
    from dtdsym.network.aten.operations import Call, Operations, Result


def cast(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    """A cast to a dtype that holds every number of the one before."""
    narrow = torch.promote_types(call.taken, call.given) != call.given or not call.given.is_floating_point
    if narrow and isinstance(bound["self"], Value):
        raise call.refuse(f"it rounds {call.taken} to {call.given}; only wider floats hold the same numbers")
    return bound["self"]


def add(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    return _sum(ops, call, bound["self"], bound["other"], 1.0, _rounded(bound.get("alpha"), call.given))


def subtract(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    return _sum(ops, call, bound["self"], bound["other"], 1.0, -_rounded(bound.get("alpha"), call.given))


def subtract_from(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    return _sum(ops, call, bound["self"], bound["other"], -_rounded(bound.get("alpha"), call.given), 1.0)


def negate(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    return ops.builder.scale(ops.value(call, bound["self"]), -1.0, name=call.node)


def _sum(ops: Operations, call: Call, left: Any, right: Any, first: float, second: float) -> Result:
    """first * left + second * right."""
    if isinstance(left, Value) and isinstance(right, Value):
        left, right = _alike(ops, call, left, right)
        scaled = [ops.builder.scale(v, f, name=call.node) for v, f in ((left, first), (right, second))]
        return ops.builder.add(scaled[0], scaled[1], call.node)
    if not isinstance(left, Value):
        left, right, first, second = right, left, second, first
    value, summand = _with_constant(ops, call, left, right, call.given)
    if second not in (1.0, -1.0) and summand.any():
        raise call.refuse("a constant times alpha; multiply the constant first")
    return ops.builder.scale(value, first, second * summand, name=call.node)


def multiply(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    left, right = bound["self"], bound["other"]
    if isinstance(left, Value) and isinstance(right, Value):
        raise call.refuse("the product of two values of the input is not piecewise linear")
    value, constant = (left, right) if isinstance(left, Value) else (right, left)
    value, factor = _with_constant(ops, call, value, constant, _working(call.given))
    return ops.builder.scale(value, factor, name=call.node)


def divide(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    if isinstance(bound["other"], Value) or bound.get("rounding_mode") is not None:
        raise call.refuse("only a division of a value by a constant, without rounding, is linear")
    value, divisor = _with_constant(ops, call, bound["self"], bound["other"], _working(call.given))
    return ops.builder.scale(value, divisor=divisor, name=call.node)


def _working(dtype: torch.dtype) -> torch.dtype:
    """What torch holds a number in while it multiplies halves by it (while it adds it, it holds it in their dtype)."""
    return torch.promote_types(dtype, torch.float32)


def _rounded(number: Any, dtype: torch.dtype) -> float:
    """A Python number as torch uses it: rounded to the dtype that it computes in. None counts as 1."""
    if number is None:
        return 1.0
    return float(torch.tensor(number, dtype=torch.float64).to(dtype))


def _as_used(constant: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """Tensors of floats as they stand; integers and single numbers rounded like a Python number."""
    if constant.ndim and constant.dtype == np.float64:
        return constant
    return torch.from_numpy(np.array(constant)).to(dtype).to(torch.float64).numpy()


def _with_constant(
    ops: Operations, call: Call, value: Any, constant: Any, dtype: torch.dtype
) -> tuple[Value, np.ndarray]:
    """The value and the constant as one sample sees it, both spread to the shape of the result."""
    value = ops.value(call, value)
    if not isinstance(constant, int | float | np.ndarray):
        raise call.refuse(f"its constant is a {type(constant).__name__}; a number or a tensor is expected")
    given = np.asarray(constant)
    array = sample_of(ops, call, _as_used(given, dtype), len(value.shape))
    return _spread(ops, call, value, array.shape), array


def sample_of(ops: Operations, call: Call, array: np.ndarray, rank: int) -> np.ndarray:
    """A constant as each sample of rank `rank` sees it. Raises UnsupportedLayer where samples see different ones."""
    if array.ndim <= rank:
        return array
    if array.ndim > rank + 1 or len(array) not in (1, ops.batch) or (array != array[:1]).any():
        raise call.refuse(f"its constant of shape {list(array.shape)} is not the same for each sample of the batch")
    return array[0]


def _alike(ops: Operations, call: Call, left: Value, right: Value) -> tuple[Value, Value]:
    """Two values spread to one shape, as torch broadcasts them."""
    if len(left.shape) != len(right.shape):
        raise call.refuse("two values of different numbers of dimensions, which mixes the samples of the batch")
    return _spread(ops, call, left, right.shape), _spread(ops, call, right, left.shape)


def _spread(ops: Operations, call: Call, value: Value, other: Sequence[int]) -> Value:
    """The value repeated to the shape that torch broadcasts it and `other` to."""
    try:
        shape = np.broadcast_shapes(value.shape, tuple(other))
    except ValueError as err:
        raise call.refuse(f"shapes {list(value.shape)} and {list(other)} do not go together") from err
    if shape == value.shape:
        return value
    if len(shape) != len(value.shape) or math.prod(shape) > MOST_ENTRIES:
        raise call.refuse(f"shapes {list(value.shape)} and {list(other)} of one sample do not go together")
    return ops.builder.take(value, np.broadcast_to(np.arange(value.size).reshape(value.shape), shape), call.node)


def concatenate(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    return _joined(ops, call, [ops.value(call, part) for part in bound["tensors"]], bound["dim"])


def stack(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    values = [ops.value(call, part) for part in bound["tensors"]]
    axis = _axis_of(call, bound["dim"], len(values[0].shape) + 2)
    lifted = [ops.builder.reshape(v, (*v.shape[:axis], 1, *v.shape[axis:])) for v in values]
    return ops.builder.concat(lifted, axis, call.node)


def _joined(ops: Operations, call: Call, values: list[Value], dim: int) -> Value:
    return ops.builder.concat(values, _axis_of(call, dim, len(values[0].shape) + 1), call.node)


def _axis_of(call: Call, dim: int, rank: int) -> int:
    """The dimension of one sample that a dimension of the batch is."""
    if not -rank <= dim < rank or dim % rank == 0:
        raise call.refuse("it mixes the samples of the batch; use dimensions from 1 on")
    return dim % rank - 1
