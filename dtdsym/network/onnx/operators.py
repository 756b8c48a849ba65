"""The ONNX operators that are read, with the attributes each may have; and what to do about the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from dtdsym.network.files.inert import shown
from dtdsym.network.onnx.convolution import batch_norm, convolution
from dtdsym.network.onnx.linear import arithmetic, clip, gemm, matmul, negative, relu, total
from dtdsym.network.onnx.pools import average_pool, global_pool, max_pool, reduction
from dtdsym.network.onnx.shapes import (
    cast,
    concat,
    constant,
    cut,
    flatten,
    gather,
    identity,
    pad,
    reshape,
    shape_of,
    squeeze,
    transpose,
    unsqueeze,
)
from dtdsym.network.onnx.values import Meaning, Operation, Scope

_SLIDING = "auto_pad pads strides dilations kernel_shape"
_CONSTANT = "value value_float value_floats value_int value_ints value_string value_strings sparse_value"

OPERATORS: dict[str, tuple[Callable[[Scope, Operation], Meaning], str]] = {
    "Add": (arithmetic, ""),
    "AveragePool": (average_pool, f"{_SLIDING} ceil_mode count_include_pad"),
    "BatchNormalization": (batch_norm, "epsilon momentum spatial training_mode"),
    "Cast": (cast, "to saturate round_mode"),
    "Clip": (clip, "min max"),
    "Concat": (concat, "axis"),
    "Constant": (constant, _CONSTANT),
    "Conv": (convolution, f"{_SLIDING} group"),
    "Div": (arithmetic, ""),
    "Dropout": (identity, "ratio seed"),
    "Flatten": (flatten, "axis"),
    "Gather": (gather, "axis"),
    "Gemm": (gemm, "alpha beta transA transB"),
    "GlobalAveragePool": (global_pool, ""),
    "GlobalMaxPool": (global_pool, ""),
    "Identity": (identity, ""),
    "MatMul": (matmul, ""),
    "MaxPool": (max_pool, f"{_SLIDING} ceil_mode storage_order"),
    "Mul": (arithmetic, ""),
    "Neg": (negative, ""),
    "Pad": (pad, "mode pads value"),
    "ReduceMax": (reduction, "axes keepdims noop_with_empty_axes"),
    "ReduceMean": (reduction, "axes keepdims noop_with_empty_axes"),
    "ReduceSum": (reduction, "axes keepdims noop_with_empty_axes"),
    "Relu": (relu, ""),
    "Reshape": (reshape, "allowzero"),
    "Shape": (shape_of, "start end"),
    "Slice": (cut, "starts ends axes"),
    "Squeeze": (squeeze, "axes"),
    "Sub": (arithmetic, ""),
    "Sum": (total, ""),
    "Transpose": (transpose, "perm"),
    "Unsqueeze": (unsqueeze, "axes"),
}
_NOT_READ = {
    "Abs", "ArgMax", "ConstantOfShape", "ConvTranspose", "DepthToSpace", "Einsum", "Expand", "HardSigmoid", "HardSwish",
    "LRN", "LeakyRelu", "Max", "MaxUnpool", "Min", "PRelu", "Range", "Resize", "SpaceToDepth", "Split",
    "ThresholdedRelu", "Tile", "TopK", "Upsample", "Where",
}  # fmt: skip
_CURVED = {
    "Attention", "Celu", "Cos", "Elu", "Erf", "Exp", "GRU", "Gelu", "GroupNormalization", "Hardmax",
    "InstanceNormalization", "LSTM", "LayerNormalization", "Log", "LogSoftmax", "LpNormalization", "LpPool", "Mish",
    "Pow", "RMSNormalization", "RNN", "Reciprocal", "Selu", "Sigmoid", "Sin", "Softmax", "Softplus", "Softsign", "Sqrt",
    "Swish", "Tan", "Tanh",
}  # fmt: skip
_BRANCHES = ("If", "Loop", "Scan")
_QUANTISED = ("Quantize", "Dequantize", "DynamicQuantize", "QLinear", "ConvInteger", "MatMulInteger")


def apply(scope: Scope, op: Operation) -> Meaning:
    """What the node computes. Raises UnsupportedLayer for operators, attributes and inputs that are not understood."""
    if op.kind not in OPERATORS:
        _refuse(op)
    run, attributes = OPERATORS[op.kind]
    strange = [name for name in op.attributes if name not in attributes.split()]
    if strange:
        op.refuse(f"attribute {shown(strange[0])!r} is not supported; it may have {attributes or 'none'}")
    return run(scope, op)


def _refuse(op: Operation) -> NoReturn:
    known = f"supported are {', '.join(OPERATORS)}"
    if op.kind in _BRANCHES:
        op.refuse("it holds a graph of its own; export a model without branches and loops")
    if op.kind.startswith(_QUANTISED):
        op.refuse("the model is quantised; export the float model")
    if op.kind in _CURVED:
        op.refuse("it is not piecewise linear; cut the model before it and explain the logits")
    if op.kind in _NOT_READ:
        op.refuse(f"this operator is not supported; {known}")
    op.refuse(f"this operator is not known; if it is not piecewise linear, cut the model before it; {known}")
