"""Linear maps, convolutions, batch normalisation, ReLU and pools of torch's table of operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from dtdsym.network.aten.arithmetic import sample_of
from dtdsym.network.aten.refusals import REASONS
from dtdsym.network.builder import Value

if TYPE_CHECKING:
    from dtdsym.network.aten.operations import Call, Operations, Result

MOST_SUMMANDS = 16  # that are added one by one


def identity(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    first = next(iter(bound.values()))
    if bound.get("train"):
        raise call.refuse("it is applied in training mode")
    return [first, None] if len(call.operation._schema.returns) > 1 else first


def relu(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    return ops.builder.relu(ops.value(call, bound["self"]), call.node)


def clamp(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    low, high = bound.get("min"), bound.get("max")
    if isinstance(low, Value | np.ndarray) or low != 0 or high is not None:
        raise call.refuse("only clamp(min=0) is a ReLU")
    return relu(ops, call, bound)


def threshold(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    if bound["threshold"] != 0 or bound["value"] != 0:
        raise call.refuse("only threshold(0, 0) is a ReLU")
    return relu(ops, call, bound)


def linear(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    weight, bias = ops.array(call, bound["weight"]), ops.array(call, bound["bias"], "bias")
    assert weight is not None
    value = ops.value(call, bound["input"])
    if weight.ndim == 1:
        raise call.refuse("its weight is one vector; give a matrix")
    return ops.builder.linear(value, weight, bias, call.node)


def product(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    """value @ matrix (+ bias)."""
    left, matrix = (bound["mat1"], bound["mat2"]) if "mat1" in bound else (bound["self"], tuple(bound.values())[1])
    bias = bound["self"] if "mat1" in bound else None
    if not isinstance(left, Value) or not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or isinstance(bias, Value):
        raise call.refuse("a linear map has constant weights, on the right of one value of the input")
    if any(bound.get(factor, 1) != 1 for factor in ("alpha", "beta")):
        raise call.refuse("only with alpha = beta = 1")
    if isinstance(bias, np.ndarray):
        bias = sample_of(ops, call, bias, 1)
        if bias.shape != matrix.shape[1:]:
            bias = np.broadcast_to(bias, matrix.shape[1:]).copy()
    weight = ops.kept(matrix, "transposed", lambda: np.ascontiguousarray(matrix.T))
    return ops.builder.linear(left, weight, bias, call.node)


def convolution(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    if bound.get("transposed"):
        raise call.refuse(REASONS["conv_transpose2d"])
    weight, bias = ops.array(call, bound["weight"]), ops.array(call, bound["bias"], "bias")
    assert weight is not None
    value = ops.value(call, bound["input"])
    spatial = weight.ndim - 2
    if len(value.shape) != spatial + 1:
        raise call.refuse(
            f"each sample has shape {list(value.shape)}, which leaves no batch; expected (batch, channels, *spatial)"
        )
    dilation = _each(call, bound["dilation"], spatial)
    return ops.builder.convolve(
        value, weight, bias, stride=_each(call, bound["stride"], spatial), dilation=dilation,
        padding=_padding_of(call, bound["padding"], weight.shape[2:], dilation), groups=bound["groups"], name=call.node,
    )  # fmt: skip


def _each(call: Call, numbers: int | Sequence[int], spatial: int) -> tuple[int, ...]:
    """One number for each spatial dimension."""
    given = (numbers,) if isinstance(numbers, int) else tuple(numbers)
    if len(given) not in (1, spatial):
        raise call.refuse(f"{list(given)} for {spatial} spatial dimensions; expected one number for each")
    return given * spatial if len(given) == 1 else given


def _padding_of(call: Call, padding: Any, kernel: Sequence[int], dilation: Sequence[int]) -> Any:
    """Numbers, or torch's words: 'same' puts the odd zero behind."""
    if padding == "valid":
        return 0
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(padding, str):
        raise call.refuse(f"its padding is {padding!r}; expected 'same', 'valid' or numbers")
    return _each(call, padding, len(kernel))


def batch_norm(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    weight, bias = ops.array(call, bound["weight"]), ops.array(call, bound["bias"], "bias")
    mean, variance = (ops.array(call, bound.get(name), "statistics") for name in ("running_mean", "running_var"))
    if bound.get("training") or mean is None or variance is None:
        raise call.refuse(
            "it normalises by the statistics of the batch, which mixes samples; call eval() and keep running statistics"
        )
    value = ops.value(call, bound["input"])
    eps = float(bound["eps" if "eps" in bound else "epsilon"])
    made = ops.builder.batch_norm(value, weight, bias, mean, variance, eps, call.node)
    return _first(call, made)


def _first(call: Call, value: Value) -> Result:
    """The value, in a list with as many useless results as the operation gives beside it."""
    more = len(call.operation._schema.returns) - 1
    return [value, *[None] * more] if more else value


def _spatial(call: Call) -> int:
    """How many spatial dimensions a pool has, by its name."""
    return int(call.name.split("pool")[1][0])


def _pooled(ops: Operations, call: Call, value: Value, pool: Callable[[Value], Value]) -> Value:
    """`pool` of (channels, *spatial); torch also pools a batch without channels."""
    spatial = _spatial(call)
    if len(value.shape) not in (spatial, spatial + 1):
        raise call.refuse(f"each sample has shape {list(value.shape)}; expected (channels, *{spatial} spatial)")
    if len(value.shape) == spatial + 1:
        return pool(value)
    out = pool(ops.builder.reshape(value, (1, *value.shape)))
    return ops.builder.reshape(out, out.shape[1:])


def _check_padding(call: Call, bound: dict[str, Any]) -> None:
    """torch pads a pool by half of its kernel at most, so that no number of windows is beyond bounds."""
    spatial = _spatial(call)
    kernel, padding, dilation = (
        _each(call, bound.get(key, 1), spatial) for key in ("kernel_size", "padding", "dilation")
    )
    if any(2 * p > d * (k - 1) + 1 for k, p, d in zip(kernel, padding, dilation, strict=True)):
        raise call.refuse(f"its padding {list(padding)} is more than half of its kernel {list(kernel)}")


def max_pool(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    _check_padding(call, bound)

    def pool(value: Value) -> Value:
        return ops.builder.max_pool(
            value, bound["kernel_size"], bound["stride"] or None, bound["padding"], bound["dilation"],
            bound["ceil_mode"], call.node,
        )  # fmt: skip

    return _first(call, _pooled(ops, call, ops.value(call, bound["self"]), pool))


def average_pool(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    _check_padding(call, bound)

    def pool(value: Value) -> Value:
        return ops.builder.average_pool(
            value, bound["kernel_size"], bound["stride"] or None, bound["padding"], bound["ceil_mode"],
            bound["count_include_pad"], bound.get("divisor_override"), call.node,
        )  # fmt: skip

    return _pooled(ops, call, ops.value(call, bound["self"]), pool)


def adaptive_average_pool(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    value = ops.value(call, bound["self"])
    sizes = _each(call, bound["output_size"], _spatial(call))
    return _pooled(ops, call, value, lambda v: ops.builder.adaptive_average_pool(v, sizes, call.node))


def adaptive_max_pool(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    value = ops.value(call, bound["self"])
    sizes = _each(call, bound["output_size"], _spatial(call))
    made = _pooled(ops, call, value, lambda v: ops.builder.adaptive_max_pool(v, sizes, call.node))
    return _first(call, made)


def mean(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    return _reduced(ops, call, bound, ops.builder.adaptive_average_pool)


def total(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    """A sum along dimensions: additions of a few values, as a stack of branches has them, or one sum of many."""
    return _reduced(ops, call, bound, lambda rows, _, name: _added(ops, rows, name))


def _added(ops: Operations, rows: Value, name: str) -> Value:
    """The sum of every row (n, count), as (n, 1)."""
    index = np.arange(rows.size).reshape(rows.shape)
    if rows.shape[1] > MOST_SUMMANDS:
        return ops.builder.reshape(ops.builder.means(rows, index, np.ones(len(index), dtype=np.int64), name), (-1, 1))
    parts = [ops.builder.take(rows, column, name) for column in index.T]
    return ops.builder.reshape(reduce(lambda left, right: ops.builder.add(left, right, name), parts), (-1, 1))


def maximum(ops: Operations, call: Call, bound: dict[str, Any]) -> Result:
    if "other" in bound:
        raise call.refuse(REASONS["maximum"])
    made = _reduced(ops, call, bound, ops.builder.adaptive_max_pool)
    return _first(call, made)


def _reduced(ops: Operations, call: Call, bound: dict[str, Any], pool: Callable[..., Value]) -> Value:
    """One number for all entries along some dimensions of a sample."""
    value = ops.value(call, bound["self"])
    rank = len(value.shape)
    dims = bound.get("dim")
    axes = {d % (rank + 1) - 1 for d in ([dims] if isinstance(dims, int) else dims or [0])}
    if -1 in axes:
        raise call.refuse("it mixes the samples of the batch; reduce dimensions from 1 on")
    rest = [axis for axis in range(rank) if axis not in axes]
    last = ops.builder.permute(value, (*rest, *sorted(axes)), call.node)
    count = math.prod(value.shape[axis] for axis in axes)
    made = pool(ops.builder.reshape(last, (value.size // count, count)), [1], call.node)
    keep = bound.get("keepdim")
    return ops.builder.reshape(
        made, [n if a not in axes else 1 for a, n in enumerate(value.shape) if a not in axes or keep]
    )
