"""ONNX operators that compute entry by entry or with matrices: linear maps, constants, sums, ReLU."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

import numpy as np

from dtdsym.errors import ShapeMismatch
from dtdsym.network.onnx.values import (
    FLOATS,
    WHOLE,
    Constant,
    Data,
    Meaning,
    Operation,
    Scope,
    broadcast,
)

_BILINEAR = "of two values that depend on the input is not piecewise linear; only constants are supported on one side"
_INTEGER: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
}


def gemm(scope: Scope, op: Operation) -> Meaning:
    """alpha x W + beta C, with constant W and C."""
    source, weight = scope.data(op), scope.constant(op, 1)
    matrix = scope.floats(op, 1)
    if op.integer("transA", 0) or len(source.shape) != 2 or matrix.ndim != 2:
        op.refuse(f"a value of shape {source.shape} by {matrix.shape}; expected two matrices and transA = 0")
    alpha, beta = op.number("alpha", 1.0), op.number("beta", 1.0)
    summand = scope.floats(op, 2) if scope.given(op, 2) and beta else None
    rows = matrix if op.integer("transB", 0) else weight.transposed
    shape = (source.shape[0], len(rows))
    if summand is not None and broadcast(op, summand.shape, shape) != shape:
        raise ShapeMismatch(f"{op}: adds a constant of shape {summand.shape} to {shape}")
    bias = None
    if summand is not None and alpha == beta == 1 and summand.shape in ((len(rows),), (1, len(rows))):
        bias = summand.reshape(-1)
    out = _over_last(scope, op, source, rows, bias)
    if bias is None and (summand is not None or alpha != 1):
        out = scope.scaled(op, out, alpha, 0.0 if summand is None else summand, beta if summand is not None else 1.0)
    return scope.scaled(op, out, beta, 0.0, 1.0) if summand is not None and beta != 1 else out


def matmul(scope: Scope, op: Operation) -> Meaning:
    """A product with a constant matrix or vector on either side."""
    left, right = scope.get(op, 0), scope.get(op, 1)
    if isinstance(left, Data) and isinstance(right, Data):
        op.refuse(f"a product {_BILINEAR}")
    if isinstance(left, Data):
        return _by_constant(scope, op, left, 1)
    if isinstance(right, Data):
        return _constant_by(scope, op, right)
    return op.refuse("a product of two constants; fold them before the export")


def _by_constant(scope: Scope, op: Operation, source: Data, position: int) -> Data:
    matrix = scope.floats(op, position)
    given = scope.constant(op, position)
    if matrix.ndim == 1:
        out = _over_last(scope, op, source, matrix[None], None)
        return Data(out.value, out.shape[:-1], out.kind)
    if matrix.ndim != 2:
        op.refuse(f"a constant of shape {matrix.shape}; expected one matrix for the whole batch")
    return _over_last(scope, op, source, given.transposed, None)


def _constant_by(scope: Scope, op: Operation, source: Data) -> Data:
    """W x over the last but one dimension of x, or its only one."""
    matrix = scope.floats(op, 0)
    if matrix.ndim not in (1, 2) or not source.shape:
        op.refuse(f"a constant of shape {matrix.shape}; expected one matrix for the whole batch")
    rows = matrix.reshape(-1, matrix.shape[-1])
    swap = len(source.shape) > 1
    turned = _swapped(scope, op, source) if swap else source
    out = _over_last(scope, op, turned, rows, None)
    if matrix.ndim == 1:
        return Data(out.value, out.shape[:-1], out.kind)
    return _swapped(scope, op, out) if swap else out


def _swapped(scope: Scope, op: Operation, source: Data) -> Data:
    turned = scope.rearrange(op, source, math.prod(source.shape), lambda places: places.swapaxes(-1, -2))
    assert isinstance(turned, Data)
    return turned


def _over_last(scope: Scope, op: Operation, source: Data, rows: np.ndarray, bias: np.ndarray | None) -> Data:
    """rows (out, in) over the last dimension."""
    if source.shape[-1:] != rows.shape[1:] or (scope.batch > 1 and len(source.shape) < 2) or not len(rows):
        raise ShapeMismatch(f"{op}: a value of shape {source.shape} by a weight for {rows.shape[1]} numbers")
    if source.value.size > rows.shape[1]:
        scope.spend(op, 8 * source.value.size + 4 * source.value.size // rows.shape[1] * len(rows))
    shaped = scope.builder.reshape(source.value, (-1, rows.shape[1]))
    value = shaped if shaped.shape[0] > 1 else scope.builder.flatten(shaped)
    out = scope.builder.linear(value, rows, bias, op.name)
    return scope.result(out, (*source.shape[:-1], len(rows)), source.kind)


def arithmetic(scope: Scope, op: Operation) -> Meaning:
    """Add, Sub, Mul, Div: with a constant, or the sum or difference of two values; integers are folded."""
    return _combined(scope, op, op.kind, scope.get(op, 0), scope.get(op, 1))


def total(scope: Scope, op: Operation) -> Meaning:
    """Sum: of any number of values and constants."""
    given = [scope.get(op, position) for position in range(len(op.inputs))]
    if not given:
        op.refuse("adds nothing; export the model again")
    return reduce(lambda left, right: _combined(scope, op, "Add", left, right), given)


def _combined(scope: Scope, op: Operation, kind: str, left: Meaning, right: Meaning) -> Meaning:
    shape = broadcast(op, left.shape, right.shape)
    match left, right:
        case Constant(), Constant():
            return _folded(scope, op, kind, left, right, shape)
        case Data(), Data():
            return _of_two(scope, op, kind, left, right, shape)
        case Data(), Constant():
            return _with_constant(scope, op, kind, left, _floats(op, right), shape)
        case Constant(), Data() if kind in ("Add", "Mul"):
            return _with_constant(scope, op, kind, right, _floats(op, left), shape)
        case Constant(), Data() if kind == "Sub":
            return scope.scaled(op, scope.expand(op, right, shape), -1.0, _floats(op, left), 1.0)
    return op.refuse(
        "a division by a value that depends on the input is not piecewise linear; divide by constants only"
    )


def _of_two(scope: Scope, op: Operation, kind: str, left: Data, right: Data, shape: tuple[int, ...]) -> Data:
    if kind not in ("Add", "Sub"):
        op.refuse(f"a {'product' if kind == 'Mul' else 'quotient'} {_BILINEAR}")
    one, other = scope.expand(op, left, shape), scope.expand(op, right, shape)
    join = scope.builder.add if kind == "Add" else scope.builder.subtract
    return Data(join(one.value, other.value, op.name), shape, left.kind)


def _floats(op: Operation, constant: Constant) -> np.ndarray:
    if constant.kind not in FLOATS:
        op.refuse("its constant is no tensor of floats; export the model in float32 or float64")
    return constant.array


def _with_constant(
    scope: Scope, op: Operation, kind: str, source: Data, number: np.ndarray, shape: tuple[int, ...]
) -> Data:
    origin = source.origin
    if kind == "Div" and origin is not None and origin.role == "sums" and _natural(number, source.shape, shape):
        counts = np.broadcast_to(number, source.shape).reshape(-1).astype(np.int64)
        return Data(scope.builder.means(origin.value, origin.index, counts, op.name), source.shape, source.kind)
    wide = scope.expand(op, source, shape)
    match kind:
        case "Add":
            return scope.scaled(op, wide, 1.0, number, 1.0)
        case "Sub":
            return scope.scaled(op, wide, 1.0, -number, 1.0)
        case "Mul":
            return scope.scaled(op, wide, number, 0.0, 1.0)
    return scope.scaled(op, wide, 1.0, 0.0, number)


def _natural(number: np.ndarray, shape: tuple[int, ...], result: tuple[int, ...]) -> bool:
    """Whether these are divisors of averages."""
    return shape == result and bool(((number >= 1) & (number < 2**53) & (number == np.floor(number))).all())


def _folded(
    scope: Scope, op: Operation, kind: str, left: Constant, right: Constant, shape: tuple[int, ...]
) -> Constant:
    """Integers, as exporters compute shapes with them."""
    if left.kind not in WHOLE or right.kind != left.kind or kind not in _INTEGER:
        op.refuse("computes with constants that are no integers; fold them before the export")
    scope.spend(op, math.prod(shape))
    if max(_largest(left.array), _largest(right.array)) >= 2**31:
        op.refuse("computes with integers from 2^31; fold them before the export")
    return Constant(np.asarray(_INTEGER[kind](left.array, right.array), dtype=np.int64), left.kind)


def _largest(array: np.ndarray) -> int:
    return max(abs(int(array.max())), abs(int(array.min()))) if array.size else 0


def negative(scope: Scope, op: Operation) -> Meaning:
    """-x."""
    source = scope.get(op, 0)
    if isinstance(source, Constant):
        if source.kind not in FLOATS and source.kind not in WHOLE:
            op.refuse("of a constant that is no tensor of floats, int32 or int64; fold it before the export")
        return Constant(-source.array, source.kind)
    return scope.scaled(op, source, -1.0, 0.0, 1.0)


def relu(scope: Scope, op: Operation) -> Meaning:
    """max(x, 0)."""
    source = scope.data(op)
    return Data(scope.builder.relu(source.value, op.name), source.shape, source.kind)


def clip(scope: Scope, op: Operation) -> Meaning:
    """max(x, 0), written as Clip(min=0)."""
    if op.opset < 11:
        low: np.ndarray | float = op.number("min", -math.inf)
        open_above = op.number("max", math.inf) >= float(np.finfo(np.float32).max)
    else:
        low = scope.floats(op, 1) if scope.given(op, 1) else -math.inf
        open_above = not scope.given(op, 2) or bool((scope.floats(op, 2) == math.inf).all())
    if np.any(low != 0) or not open_above:
        op.refuse("only min = 0 without a maximum is supported, which is ReLU; write other limits with ReLUs")
    return relu(scope, op)
