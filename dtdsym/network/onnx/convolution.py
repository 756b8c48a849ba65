"""ONNX operators over channels and space: convolutions and batch normalisation; and where windows are padded."""

from __future__ import annotations

import math

from dtdsym.arithmetic.windows import Padding
from dtdsym.errors import ShapeMismatch
from dtdsym.network.onnx.values import Meaning, Operation, Scope

Sides = tuple[int, ...]
"""One number for each spatial dimension."""


def convolution(scope: Scope, op: Operation) -> Meaning:
    """Conv with constant weight and bias."""
    source, weight = scope.data(op), scope.floats(op, 1)
    bias = scope.floats(op, 2) if scope.given(op, 2) else None
    value = scope.sample(op, source, 3)
    spatial = weight.ndim - 2
    if spatial != len(source.shape) - 2 or (op.integers("kernel_shape") or weight.shape[2:]) != weight.shape[2:]:
        raise ShapeMismatch(f"{op}: a weight of shape {weight.shape} on a value of shape {source.shape}")
    strides, dilations = sides(op, "strides", spatial), sides(op, "dilations", spatial)
    padding = padding_of(op, source.shape[2:], weight.shape[2:], strides, dilations)
    if any(low != high for low, high in padding):  # which the builder lists
        padded = math.prod(n + low + high for n, (low, high) in zip(source.shape[2:], padding, strict=True))
        scope.spend(op, 3 * source.shape[1] * padded)
    out = scope.builder.convolve(
        value, weight, bias, stride=strides, padding=padding, dilation=dilations, groups=_groups(op), name=op.name
    )
    return scope.result(out, (scope.batch, *out.shape), source.kind)


def sides(op: Operation, name: str, spatial: int, default: int = 1) -> Sides:
    """One positive number for each spatial dimension."""
    given = op.integers(name, (default,) * spatial) or ()
    if len(given) != spatial or not all(0 < n < 2**31 for n in given):
        raise ShapeMismatch(f"{op}: {name} {given[:8]} for {spatial} spatial dimensions; expected positive numbers")
    return given


def _groups(op: Operation) -> int:
    number = op.integer("group", 1)
    if not 0 < number < 2**31:
        raise ShapeMismatch(f"{op}: group {number}; expected a positive number")
    return number


def padding_of(op: Operation, lengths: Sides, kernel: Sides, strides: Sides, dilations: Sides) -> Padding:
    """Zeros (before, after) for each spatial dimension, as stated or as auto_pad has it."""
    how = op.text("auto_pad", "NOTSET")
    if how == "VALID":
        return ((0, 0),) * len(lengths)
    if how == "NOTSET":
        given = op.integers("pads", (0,) * (2 * len(lengths))) or ()
        if len(given) != 2 * len(lengths) or not all(0 <= n < 2**31 for n in given):
            raise ShapeMismatch(f"{op}: pads {given[:8]} for {len(lengths)} spatial dimensions")
        return tuple(zip(given[: len(lengths)], given[len(lengths) :], strict=True))
    if how not in ("SAME_UPPER", "SAME_LOWER"):
        op.refuse(f"auto_pad {how!r}; NOTSET, VALID, SAME_UPPER and SAME_LOWER are supported")
    if any(d != 1 for d in dilations):
        op.refuse(f"auto_pad {how} with dilations, which runtimes read differently; export the model with pads")
    if "pads" in op.attributes and any(op.integers("pads") or ()):
        op.refuse("has both auto_pad and pads; export the model with pads alone")
    sums = [
        max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        for n, k, s, d in zip(lengths, kernel, strides, dilations, strict=True)
    ]
    halves = [(p // 2, p - p // 2) for p in sums]
    return tuple(half if how == "SAME_UPPER" else half[::-1] for half in halves)


def batch_norm(scope: Scope, op: Operation) -> Meaning:
    """BatchNormalization in inference, with constant statistics."""
    if op.integer("training_mode", 0) or len([name for name in op.outputs if name]) > 1 or not op.integer("spatial", 1):
        op.refuse("in training mode; export the model after model.eval()")
    source = scope.data(op)
    value = scope.sample(op, source, 2)
    weight, bias, mean, variance = (scope.floats(op, position) for position in range(1, 5))
    out = scope.builder.batch_norm(value, weight, bias, mean, variance, op.number("epsilon", 1e-5), op.name)
    return scope.result(out, source.shape, source.kind)
