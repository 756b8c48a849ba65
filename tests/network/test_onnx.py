"""read_onnx: every operator as onnxruntime computes it, and one clear line for everything else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx_graphs import NEWEST, differences, model, node, read, run

from dtdsym.errors import NotExact, ShapeMismatch, UnsupportedLayer
from dtdsym.network.builder import Builder
from dtdsym.network.layers import Affine, Relu


def floats(*shape, seed=1):
    """Small float32 numbers with few bits."""
    return np.random.default_rng(seed).integers(-8, 9, size=shape).astype(np.float32) / np.float32(4)


def ints(*numbers):
    return np.array(numbers, dtype=np.int64)


IMAGE = (1, 3, 6, 5)
BIAS3 = floats(3, 1, 1)
# name -> (nodes, input shape, constants); every graph gets a last Gemm or Conv so that there is a layer.
CASES = {
    "Gemm": ([node("Gemm", "x", "w", "b")], (1, 5), {"w": floats(5, 4), "b": floats(4)}),
    "Gemm transB": ([node("Gemm", "x", "w", "b", transB=1)], (1, 5), {"w": floats(4, 5), "b": floats(1, 4)}),
    "Gemm alpha beta": (
        [node("Gemm", "x", "w", "b", alpha=0.3, beta=0.7)],
        (1, 5),
        {"w": floats(5, 4), "b": floats(1, 1)},
    ),
    "Gemm alpha": ([node("Gemm", "x", "w", alpha=-1.7)], (1, 5), {"w": floats(5, 4)}),
    "Gemm beta 0": ([node("Gemm", "x", "w", "b", beta=0.0)], (1, 5), {"w": floats(5, 4), "b": floats(4)}),
    "MatMul": ([node("MatMul", "x", "w")], (1, 5), {"w": floats(5, 4)}),
    "MatMul vector": ([node("MatMul", "x", "w")], (1, 5), {"w": floats(5)}),
    "MatMul of rows": ([node("MatMul", "x", "w")], (1, 3, 5), {"w": floats(5, 4)}),
    "MatMul deep": ([node("MatMul", "x", "w")], (1, 1, 1, 5), {"w": floats(5, 4)}),
    "MatMul from the left": ([node("MatMul", "w", "x")], (1, 3, 5), {"w": floats(4, 3)}),
    "MatMul vector from the left": ([node("MatMul", "w", "x")], (1, 3, 5), {"w": floats(3)}),
    "Add Sub Mul Div": (
        [
            node("Add", "x", "a", to="p"),
            node("Sub", "p", "b", to="q"),
            node("Mul", "c", "q", to="r"),
            node("Div", "r", "d", to="s"),
            node("Sub", "a", "s", to="t"),
            node("Add", "b", "t"),
        ],
        IMAGE,
        {"a": BIAS3, "b": floats(5), "c": floats(1, 3, 6, 1), "d": np.float32(3)},
    ),
    "Add Sub of two": (
        [
            node("Relu", "x", to="p"),
            node("Sub", "x", "p", to="q"),
            node("Add", "p", "q", to="r"),
            node("Sum", "r", "q", "a", "p"),
        ],
        (1, 4),
        {"a": floats(4)},
    ),
    "Add broadcast": (
        [node("GlobalAveragePool", "x", to="p"), node("Add", "x", "p", to="q"), node("Mul", "q", "a")],
        IMAGE,
        {"a": floats(6, 1)},
    ),
    "Conv": ([node("Conv", "x", "w", "b")], IMAGE, {"w": floats(4, 3, 3, 2), "b": floats(4)}),
    "Conv pads strides dilations": (
        [node("Conv", "x", "w", pads=[1, 0, 2, 3], strides=[2, 1], dilations=[1, 2])],
        IMAGE,
        {"w": floats(4, 3, 3, 2)},
    ),
    "Conv groups": ([node("Conv", "x", "w", group=3, kernel_shape=[2, 2])], IMAGE, {"w": floats(6, 1, 2, 2)}),
    "Conv 1d": ([node("Conv", "x", "w", pads=[1, 1])], (1, 3, 7), {"w": floats(2, 3, 3)}),
    "Conv SAME_UPPER": (
        [node("Conv", "x", "w", auto_pad="SAME_UPPER", strides=[2, 3])],
        IMAGE,
        {"w": floats(4, 3, 2, 4)},
    ),
    "Conv SAME_LOWER": (
        [node("Conv", "x", "w", auto_pad="SAME_LOWER", strides=[2, 1])],
        IMAGE,
        {"w": floats(4, 3, 2, 4)},
    ),
    "Conv VALID": ([node("Conv", "x", "w", auto_pad="VALID")], IMAGE, {"w": floats(4, 3, 2, 4)}),
    "BatchNormalization": (
        [node("BatchNormalization", "x", "s", "b", "m", "v", epsilon=0.01)],
        IMAGE,
        {"s": floats(3), "b": floats(3, seed=2), "m": floats(3, seed=3), "v": np.abs(floats(3, seed=4))},
    ),
    "BatchNormalization flat": (
        [node("BatchNormalization", "x", "s", "b", "m", "v")],
        (1, 3),
        {"s": floats(3), "b": floats(3, seed=2), "m": floats(3, seed=3), "v": 1 + np.abs(floats(3, seed=4))},
    ),
    "Relu": ([node("Relu", "x")], IMAGE, {}),
    "Clip": ([node("Clip", "x", "low")], IMAGE, {"low": np.float32(0)}),
    "MaxPool": ([node("MaxPool", "x", kernel_shape=[2, 3])], IMAGE, {}),
    "MaxPool all": (
        [node("MaxPool", "x", kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[2, 2], dilations=[1, 2], ceil_mode=1)],
        IMAGE,
        {},
    ),
    "MaxPool SAME_UPPER": (
        [node("MaxPool", "x", kernel_shape=[3, 2], auto_pad="SAME_UPPER", strides=[2, 2])],
        IMAGE,
        {},
    ),
    "MaxPool SAME_LOWER": (
        [node("MaxPool", "x", kernel_shape=[3, 2], auto_pad="SAME_LOWER", strides=[2, 2])],
        IMAGE,
        {},
    ),
    "AveragePool": ([node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 1])], IMAGE, {}),
    "AveragePool pads": ([node("AveragePool", "x", kernel_shape=[3, 2], pads=[1, 0, 1, 1])], IMAGE, {}),
    "AveragePool counts pads": (
        [node("AveragePool", "x", kernel_shape=[3, 2], pads=[1, 1, 1, 0], count_include_pad=1)],
        IMAGE,
        {},
    ),
    "AveragePool ceil": ([node("AveragePool", "x", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)], IMAGE, {}),
    "AveragePool VALID": ([node("AveragePool", "x", kernel_shape=[3, 2], auto_pad="VALID")], IMAGE, {}),
    "GlobalAveragePool": ([node("GlobalAveragePool", "x")], IMAGE, {}),
    "GlobalMaxPool": ([node("GlobalMaxPool", "x")], IMAGE, {}),
    "ReduceSum": ([node("ReduceSum", "x", "a")], IMAGE, {"a": ints(-1, 1)}),
    "Flatten": ([node("Flatten", "x", axis=2, to="p"), node("Flatten", "p", axis=-2)], IMAGE, {}),
    "Reshape": (
        [node("Reshape", "x", "s", to="p"), node("Reshape", "p", "t")],
        IMAGE,
        {"s": ints(0, -1, 5), "t": ints(1, 2, -1)},
    ),
    "Squeeze Unsqueeze": (
        [
            node("Unsqueeze", "x", "a", to="p"),
            node("Squeeze", "p", "a", to="q"),
            node("Unsqueeze", "q", "b", to="r"),
            node("Squeeze", "r"),
        ],
        (1, 4, 1),
        {"a": ints(1, -1), "b": ints(0)},
    ),
    "Transpose": ([node("Transpose", "x", perm=[0, 2, 3, 1], to="p"), node("Transpose", "p")], IMAGE, {}),
    "Concat": (
        [node("Relu", "x", to="p"), node("Concat", "x", "p", "x", axis=-1, to="q"), node("Concat", "q", "q", axis=1)],
        IMAGE,
        {},
    ),
    "Identity Dropout": ([node("Identity", "x", to="p"), node("Dropout", "p", to="q"), node("Neg", "q")], IMAGE, {}),
    "Dropout with inputs": ([node("Dropout", "x", "r", "t")], IMAGE, {"r": np.float32(0.5), "t": np.array(False)}),
    "Cast": ([helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)], (1, 3), {}),
    "Pad": ([node("Pad", "x", "p")], IMAGE, {"p": ints(0, 1, -2, 0, 0, 0, 3, -1)}),
    "Pad value": ([node("Pad", "x", "p", "v")], (1, 4), {"p": ints(0, 2, 0, -1), "v": np.float32(0)}),
    "Slice": (
        [node("Slice", "x", "s", "e", "a", "t")],
        IMAGE,
        {"s": ints(-1, 1), "e": ints(-(2**63), 2**62), "a": ints(2, -1), "t": ints(-2, 1)},
    ),
    "Slice without steps": ([node("Slice", "x", "s", "e")], IMAGE, {"s": ints(0, 1), "e": ints(1, -1)}),
    "Gather": (
        [node("Gather", "x", "i", axis=2, to="p"), node("Gather", "p", "j", axis=1)],
        IMAGE,
        {"i": ints(2, -1, 0), "j": np.array([[0, 1], [-1, 0]], dtype=np.int32)},
    ),
    "Gather one": ([node("Gather", "x", "i", axis=3)], IMAGE, {"i": np.array(1)}),
    "Gather windows ReduceSum": (
        [node("Gather", "x", "i", axis=1, to="p"), node("ReduceSum", "p", "a", keepdims=0)],
        (1, 4),
        {"i": np.array([[0, 1, 3], [2, 2, 1]]), "a": ints(2)},
    ),
    "shapes": (
        [
            node("Shape", "x", to="p"),
            node("Gather", "p", "zero", to="n"),
            node("Unsqueeze", "n", "zero1", to="u"),
            node("Constant", to="m", value=numpy_helper.from_array(ints(-1))),
            node("Concat", "u", "m", axis=0, to="s"),
            node("Reshape", "x", "s"),
        ],
        IMAGE,
        {"zero": np.array(0), "zero1": ints(0)},
    ),
    "arithmetic of shapes": (
        [
            node("Shape", "x", to="p"),
            node("Slice", "p", "o", "e", to="q"),
            node("Mul", "q", "two", to="r"),
            node("Sub", "r", "two", to="t"),
            node("Add", "t", "s", to="u"),
            node("Reshape", "x", "u"),
        ],
        (1, 2, 2, 3),
        {"o": ints(1), "e": ints(3), "two": ints(2), "s": ints(0, 4)},
    ),
    "constants": (
        [
            node("Identity", "w", to="p"),
            node("Transpose", "p", to="q"),
            node("Reshape", "q", "s", to="r"),
            node("Neg", "r", to="n"),
            node("MatMul", "x", "n"),
        ],
        (1, 6),
        {"w": floats(4, 6), "s": ints(6, 4)},
    ),
}


def ended(nodes, shape, constants, opset):
    """The graph with a MatMul behind it, since a network needs a layer."""
    probe = model(nodes, shape, constants, opset=opset)
    size = run(probe, np.zeros(shape, np.float32)).size
    more = [*nodes, node("Reshape", "y", "last shape", to="flat"), node("MatMul", "flat", "last", to="z")]
    given = {**constants, "last shape": ints(1, size), "last": floats(size, 3, seed=9)}
    return model(more, shape, given, opset=opset, output="z")


@pytest.mark.parametrize("opset", [13, NEWEST])
@pytest.mark.parametrize("name", CASES)
def test_operator_agrees_with_onnxruntime(name, opset):
    difference, scale = differences(ended(*CASES[name], opset))
    assert difference <= 1e-5 * scale


OLD = {
    "Squeeze Unsqueeze": (
        [node("Unsqueeze", "x", axes=[2], to="p"), node("Squeeze", "p", axes=[2], to="q"), node("Relu", "q")],
        (1, 4),
        {},
        9,
    ),
    "Clip": ([node("Clip", "x", min=0.0)], (1, 4), {}, 7),
    "Pad": ([node("Pad", "x", pads=[0, 1, 0, 2], mode="constant", value=0.0)], (1, 4), {}, 8),
    "Slice": ([node("Slice", "x", starts=[1], ends=[-1], axes=[1])], (1, 4), {}, 9),
    "ReduceMean": ([node("ReduceMean", "x", axes=[2, 3], keepdims=0)], IMAGE, {}, 9),
    "ReduceSum": ([node("ReduceSum", "x", axes=[-1])], IMAGE, {}, 12),
    "BatchNormalization": (
        [node("BatchNormalization", "x", "b", "b", "b", "v")],
        IMAGE,
        {"b": floats(3), "v": np.abs(floats(3)) + 1},
        8,
    ),
    "Dropout": ([node("Dropout", "x", ratio=0.5)], (1, 4), {}, 10),
    "MaxPool": ([node("MaxPool", "x", kernel_shape=[2, 2])], IMAGE, {}, 7),
    "ReduceMean 13": ([node("ReduceMean", "x", axes=[2, 3])], IMAGE, {}, 13),
    "ReduceMax 13": ([node("ReduceMax", "x", axes=[3, 1], keepdims=0)], IMAGE, {}, 13),
    "ReduceMean 18": ([node("ReduceMean", "x", "a")], IMAGE, {"a": ints(2, 3)}, 18),
    "ReduceMax 18": ([node("ReduceMax", "x", "a", keepdims=0)], IMAGE, {"a": ints(3, 1)}, 18),
    "maximum with a zero": (
        [node("Pad", "x", "p", to="q"), node("Gather", "q", "i", axis=1, to="r"), node("ReduceMax", "r", "a")],
        (1, 3),
        {"p": ints(0, 0, 0, 1), "i": np.array([[3, 3], [0, 3], [3, 2]]), "a": ints(2)},
        18,
    ),
    "ReduceMax of all": ([node("ReduceMax", "x")], IMAGE, {}, 18),
    "ReduceSum of none": ([node("ReduceSum", "x", noop_with_empty_axes=1)], IMAGE, {}, 18),
    "Pad axes": ([node("Pad", "x", "p", "", "a")], IMAGE, {"p": ints(1, 2), "a": ints(-1)}, 18),
    "Shape part": (
        [
            node("Shape", "x", start=1, end=-1, to="p"),
            node("Concat", "one", "p", "one", axis=0, to="q"),
            node("Reshape", "x", "q"),
        ],
        (1, 2, 3, 1),
        {"one": ints(1)},
        15,
    ),
    "allowzero": ([node("Reshape", "x", "s", allowzero=1)], (1, 4), {"s": ints(2, 2)}, 14),
}


@pytest.mark.parametrize("name", OLD)
def test_operator_as_another_opset_has_it(name):
    nodes, shape, constants, opset = OLD[name]
    probe = run(model(nodes, shape, constants, opset=opset), np.zeros(shape, np.float32))
    more = [node("Reshape", "y", "all", to="flat"), node("MatMul", "flat", "last", to="z")]
    given = {**constants, "all": ints(1, -1), "last": floats(probe.size, 2)}
    difference, scale = differences(model([*nodes, *more], shape, given, opset=opset, output="z"))
    assert difference <= 1e-5 * scale


@st.composite
def windows(draw):
    """Attributes of a convolution or pool over (1, 2, *spatial)."""
    spatial = draw(st.integers(1, 2))
    shape = [draw(st.integers(1, 7)) for _ in range(spatial)]
    kernel = [draw(st.integers(1, 3)) for _ in range(spatial)]
    attributes = {"kernel_shape": kernel, "strides": [draw(st.integers(1, 3)) for _ in range(spatial)]}
    padding = draw(st.sampled_from(["pads", "none", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if padding == "pads":
        attributes["pads"] = [draw(st.integers(0, k - 1)) for _ in range(2) for k in kernel]
    elif padding != "none":
        attributes["auto_pad"] = padding
    kind = draw(st.sampled_from(["Conv", "MaxPool", "AveragePool"]))
    if kind != "Conv" and padding.startswith("SAME"):  # onnxruntime would pad by less than nothing
        attributes["strides"] = [min(s, k) for s, k in zip(attributes["strides"], kernel, strict=True)]
    if kind != "AveragePool" and not padding.startswith("SAME"):
        attributes["dilations"] = [draw(st.integers(1, 2)) for _ in range(spatial)]
    elif kind == "AveragePool" and draw(st.booleans()):
        attributes["count_include_pad"] = 1
    if kind != "Conv" and "auto_pad" not in attributes and draw(st.booleans()):
        attributes["ceil_mode"] = 1
    return kind, (1, 2, *shape), attributes


@settings(deadline=None, max_examples=150)
@given(windows())
def test_windows_lie_where_onnxruntime_has_them(drawn):
    kind, shape, attributes = drawn
    weight = {"w": floats(3, 2, *attributes["kernel_shape"])} if kind == "Conv" else {}
    nodes = [node(kind, "x", *weight, **attributes)]
    reach = [
        d * (k - 1) + 1 for k, d in zip(attributes["kernel_shape"], attributes.get("dilations", [1, 1]), strict=False)
    ]
    pads = attributes.get("pads", [0] * 4)
    fits = all(r <= n + pads[i] + pads[i + len(reach)] for i, (r, n) in enumerate(zip(reach, shape[2:], strict=True)))
    if not fits and not attributes.get("auto_pad", "").startswith("SAME"):
        with pytest.raises(ShapeMismatch):
            read(model(nodes, shape, weight))
        return
    computed = run(model(nodes, shape, weight), np.zeros(shape, np.float32))
    more = [node("Reshape", "y", "all", to="flat"), node("MatMul", "flat", "last", to="z")]
    given = {**weight, "all": ints(1, -1), "last": np.eye(computed.size, dtype=np.float32)}
    given = model([*nodes, *more], shape, given, opset=NEWEST, output="z")
    if _windows_in_the_padding(attributes, shape, kind):
        with pytest.raises(ShapeMismatch, match="wholly in the padding"):
            read(given)
        return
    difference, scale = differences(given)
    assert difference <= 1e-5 * scale


def _windows_in_the_padding(attributes, shape, kind):
    """Whether onnxruntime's maximum over some window is that of nothing, the lowest float."""
    if kind != "MaxPool":
        return False
    return bool((run(model([node(kind, "x", **attributes)], shape), np.zeros(shape, np.float32)) < 0).any())


def linear(shape=(1, 3), *, kind=TensorProto.FLOAT, weight=None, **more):
    """x W, for small tests."""
    weight = floats(shape[-1], 2) if weight is None else weight
    return model([node("MatMul", "x", "w")], shape, {"w": weight}, kind=kind, **more)


# Inputs


@pytest.mark.parametrize("batch", ["N", "", 1, 0])
def test_an_open_batch_is_no_dimension_of_a_sample(batch):
    assert read(linear((batch, 3))).sha256 == read(linear((1, 3))).sha256


def test_a_vector_without_batch_is_one_sample():
    network = read(linear((3,)))
    assert network.input_shape == (3,)
    assert network.sha256 == read(linear((1, 3))).sha256


SEPARATE = {
    "image": (
        [node("Conv", "x", "w", to="c"), node("Flatten", "c", to="f"), node("Add", "f", "b")],
        {"w": floats(2, 3, 2, 2), "b": floats(1, 12)},
    ),
    "reshape": (
        [
            node("Relu", "x", to="r"),
            node("Reshape", "r", "s", to="p"),
            node("Transpose", "p", perm=[0, 2, 1], to="q"),
            node("MatMul", "q", "w"),
        ],
        {"s": ints(4, 3, 12), "w": floats(3, 2)},
    ),
    "shape": (
        [
            node("Shape", "x", to="s"),
            node("Slice", "s", "o", "e", to="n"),
            node("Concat", "n", "m", axis=0, to="t"),
            node("Reshape", "x", "t", to="f"),
            node("MatMul", "f", "w"),
        ],
        {"o": ints(0), "e": ints(1), "m": ints(-1), "w": floats(36, 2)},
    ),
    "moves": (
        [
            node("Gather", "x", "i", axis=2, to="g"),
            node("Concat", "g", "x", axis=2, to="c"),
            node("Pad", "c", "p", to="d"),
            node("ReduceMean", "d", axes=[2, 3], keepdims=0, to="m"),
            node("MatMul", "m", "w"),
        ],
        {"i": ints(0, 0), "p": ints(0, 0, 0, 1, 0, 0, 1, 0), "w": floats(3, 2)},
    ),
    "norm": (
        [
            node("BatchNormalization", "x", "b", "b", "b", "v", to="n"),
            node("MaxPool", "n", kernel_shape=[2, 2], to="m"),
            node("GlobalAveragePool", "m", to="g"),
            node("Conv", "g", "w"),
        ],
        {"b": floats(3), "v": np.abs(floats(3)) + 1, "w": floats(2, 3, 1, 1)},
    ),
    "constant": (
        [node("Add", "x", "a", to="p"), node("MatMul", "w", "p")],
        {"a": np.ones((4, 1, 1, 1), np.float32), "w": floats(2, 4)},
    ),
}


@pytest.mark.parametrize("name", SEPARATE)
def test_samples_of_a_fixed_batch_are_evaluated_alone(name):
    nodes, constants = SEPARATE[name]
    difference, scale = differences(model(nodes, (4, 3, 4, 3), constants), batch=4)
    assert difference <= 1e-5 * scale


MIXED = {
    "Transpose": [node("Transpose", "x", perm=[1, 0])],
    "Flatten": [node("Flatten", "x", axis=0)],
    "Reshape": [node("Reshape", "x", "one")],
    "Reshape rows": [node("Reshape", "x", "rows")],
    "Gather": [node("Gather", "x", "zero", axis=0)],
    "Gather flip": [node("Gather", "x", "flip", axis=0)],
    "Slice": [node("Slice", "x", "zero", "two")],
    "Concat": [node("Concat", "x", "x", axis=0)],
    "ReduceSum": [node("ReduceSum", "x", "zero")],
    "ReduceMean": [node("ReduceMean", "x")],
    "MatMul": [node("MatMul", "left", "x")],
    "Add": [node("Add", "x", "each")],
    "Add wide": [node("Add", "x", "wide")],
    "Unsqueeze": [node("Unsqueeze", "x", "zero")],
}


@pytest.mark.parametrize("name", MIXED)
def test_what_mixes_the_samples_of_a_batch_is_refused(name):
    constants = {
        "one": ints(1, -1),
        "rows": ints(6, 2),
        "zero": ints(0),
        "two": ints(2),
        "flip": ints(2, 1, 0),
        "left": floats(3, 3),
        "each": floats(3, 1),
        "wide": floats(2, 1, 1),
    }
    with pytest.raises(UnsupportedLayer, match="batch of 1"):
        read(model(MIXED[name], (3, 4), constants))


INPUTS = {
    "open height": (
        model([node("GlobalAveragePool", "x")], (1, 3, "H", 5)),
        ShapeMismatch,
        "give the model a fixed input shape",
    ),
    "zero width": (linear((1, 0)), ShapeMismatch, "give the model a fixed input shape"),
    "open vector": (linear(("N",), weight=floats(3, 2)), ShapeMismatch, "give the model a fixed input shape"),
    "number": (model([node("Relu", "x")], ()), ShapeMismatch, "states no shape"),
    "no shape": (model([node("Relu", "x")], None), ShapeMismatch, "states no shape"),
    "integers": (linear(kind=TensorProto.INT64), NotExact, "ONNX type 7; expected floats"),
    "huge": (model([node("Relu", "x")], (2**40, 2**40)), ShapeMismatch, "give the model a batch of 1"),
    "negative": (linear((1, -3), weight=floats(3, 2)), ShapeMismatch, "give the model a fixed input shape"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_without_a_fixed_shape_are_refused(name):
    given, error, message = INPUTS[name]
    with pytest.raises(error, match=message):
        read(given)


# Weights


STORED = {"FLOAT16": np.float16, "BFLOAT16": np.uint16, "FLOAT": np.float32, "DOUBLE": np.float64}


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("name", STORED)
def test_every_stored_float_is_read_exactly(name, raw):
    kind, random = getattr(TensorProto, name), np.random.default_rng(3)
    stored = np.frombuffer(random.bytes(12 * np.dtype(STORED[name]).itemsize), STORED[name])
    if name == "BFLOAT16":
        stored = np.where(stored & 0x7F80 == 0x7F80, 0x3DCD, stored).astype(np.uint16)  # no infinity, no NaN
        exact = (stored.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    else:
        stored = np.where(np.isfinite(stored), stored, STORED[name](0.1))
        exact = stored.astype(np.float64)
    tensor = TensorProto(name="w", dims=(6, 2), data_type=kind)
    if raw:
        tensor.raw_data = stored.tobytes()
    else:
        field = {1: "float_data", 11: "double_data"}.get(kind, "int32_data")
        getattr(tensor, field).extend((stored.view(np.uint16) if field == "int32_data" else stored).tolist())
    given = linear((1, 6), kind=kind)
    given.graph.initializer[0].CopyFrom(tensor)
    assert np.array_equal(read(given).layers[0].linear.weight, exact.reshape(6, 2).T)


def test_a_reused_weight_is_one_array():
    given = model([node("MatMul", "x", "w", to="h"), node("MatMul", "h", "w")], (1, 3), {"w": floats(3, 3)})
    network = read(given)
    assert network.layers[0].linear.weight is network.layers[1].linear.weight
    assert network.parameters == 12


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(number):
    with pytest.raises(NotExact, match="every weight must be a finite number"):
        read(linear(weight=np.full((3, 2), number, np.float32)))
    with pytest.raises(NotExact, match="not finite"):
        read(model([node("Add", "x", "a")], (1, 3), {"a": np.full(3, number, np.float32)}))


def test_the_same_network_by_the_builder_has_the_same_hash():
    w, b, v = floats(4, 3, 2, 2), floats(4), floats(2, 48)
    nodes = [
        node("Conv", "x", "w", "b", pads=[0, 1, 0, 1], to="c"),
        node("Relu", "c", to="r"),
        node("Flatten", "r", to="f"),
        node("Gemm", "f", "v", transB=1),
    ]
    builder = Builder((3, 4, 3))
    value = builder.convolve(builder.input, w.astype(float), b.astype(float), padding=((0, 0), (1, 1)))
    value = builder.linear(builder.flatten(builder.relu(value)), v.astype(float), None)
    assert read(model(nodes, (1, 3, 4, 3), {"w": w, "b": b, "v": v})).sha256 == builder.network(value).sha256


def test_names_are_those_of_nodes_or_else_of_their_outputs():
    given = linear()
    given.graph.node.append(helper.make_node("Relu", ["y"], ["out\n"]))
    given.graph.output[0].name = "out\n"
    nodes = read(given).nodes
    assert [type(n) for n in nodes[1:]] == [Affine, Relu]
    assert [n.name for n in nodes[1:]] == ["the MatMul", "out\\n"]


# Refusals

W = {"w": floats(3, 2)}
SQUARE = (1, 1, 4, 4)
REFUSED = {
    "Softmax": (
        [node("Softmax", "x")],
        (1, 3),
        {},
        "not piecewise linear; cut the model before it and explain the logits",
    ),
    "Sigmoid": ([node("Sigmoid", "x")], (1, 3), {}, "cut the model before it"),
    "LSTM": ([node("LSTM", "x", "w", "w")], (1, 3), W, "cut the model before it"),
    "unknown": ([node("Frobnicate", "x")], (1, 3), {}, "Frobnicate node 'the Frobnicate': this operator is not known"),
    "LeakyRelu": ([node("LeakyRelu", "x")], (1, 3), {}, "not supported; supported are Add, AveragePool"),
    "Max": ([node("Max", "x", "x")], (1, 3), {}, "supported are"),
    "If": ([node("If", "x")], (1, 3), {}, "a graph of its own"),
    "QLinearConv": ([node("QLinearConv", "x")], (1, 3), {}, "export the float model"),
    "domain": ([node("Relu", "x", domain="com.microsoft")], (1, 3), {}, "'com.microsoft'; only ONNX's own"),
    "Clip": ([node("Clip", "x", "", "six")], (1, 3), {"six": np.float32(6)}, "only min = 0 without a maximum"),
    "Clip min": ([node("Clip", "x", "six")], (1, 3), {"six": np.float32(6)}, "only min = 0 without a maximum"),
    "product": ([node("Mul", "x", "x")], (1, 3), {}, "a product of two values"),
    "quotient": ([node("Div", "x", "x")], (1, 3), {}, "a quotient of two values"),
    "inverse": ([node("Div", "a", "x")], (1, 3), {"a": floats(3)}, "a division by a value"),
    "matrix product": ([node("MatMul", "x", "x")], (1, 1), {}, "a product of two values"),
    "Gemm transA": ([node("Gemm", "x", "w", transA=1)], (1, 3), W, "transA = 0"),
    "Gemm of data": ([node("Gemm", "w", "x")], (1, 3), W, "input 1 is a constant"),
    "weight from data": ([node("Conv", "x", "x")], SQUARE, {}, "input 2 depends on the network's input"),
    "stack of matrices": ([node("MatMul", "x", "w")], (1, 3), {"w": floats(2, 3, 2)}, "expected one matrix"),
    "MaxPool indices": (
        [helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])],
        SQUARE,
        {},
        "gives its indices",
    ),
    "MaxPool columns": ([node("MaxPool", "x", kernel_shape=[2, 2], storage_order=1)], SQUARE, {}, "gives its indices"),
    "AveragePool dilations": (
        [node("AveragePool", "x", kernel_shape=[2, 2], dilations=[2, 2])],
        SQUARE,
        {},
        "dilations",
    ),
    "ceil and auto_pad": (
        [node("MaxPool", "x", kernel_shape=[2, 2], ceil_mode=1, auto_pad="VALID")],
        SQUARE,
        {},
        "both ceil",
    ),
    "auto_pad": ([node("MaxPool", "x", kernel_shape=[2, 2], auto_pad="ROUND\n")], SQUARE, {}, "auto_pad 'ROUND"),
    "auto_pad and pads": (
        [node("MaxPool", "x", kernel_shape=[2, 2], auto_pad="SAME_UPPER", pads=[1, 1, 1, 1])],
        SQUARE,
        {},
        "both auto_pad",
    ),
    "auto_pad and dilations": (
        [node("MaxPool", "x", kernel_shape=[2, 2], auto_pad="SAME_UPPER", dilations=[2, 2])],
        SQUARE,
        {},
        "runtimes read",
    ),
    "training": ([node("Dropout", "x", "", "t")], (1, 3), {"t": np.array(True)}, "training mode"),
    "training norm": (
        [node("BatchNormalization", "x", "a", "a", "a", "a", training_mode=1)],
        (1, 3),
        {"a": floats(3)},
        "training mode|training_mode",
    ),
    "narrowing cast": (
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT16)],
        (1, 3),
        {},
        "from float32 to float16 rounds",
    ),
    "cast to integers": ([helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64)], (1, 3), {}, "rounds"),
    "narrowed constant": (
        [helper.make_node("Cast", ["w"], ["v"], to=TensorProto.FLOAT16), node("MatMul", "x", "v")],
        (1, 3),
        W,
        "may not hold it",
    ),
    "Pad mode": ([node("Pad", "x", "p", mode="reflect")], (1, 3), {"p": ints(0, 1, 0, 1)}, "mode 'reflect'"),
    "Pad value": ([node("Pad", "x", "p", "v")], (1, 3), {"p": ints(0, 1, 0, 1), "v": np.float32(1)}, "other than 0"),
    "constant in Concat": ([node("Concat", "x", "a", axis=1)], (1, 3), {"a": floats(1, 3)}, "joins a constant"),
    "sum of constants": (
        [node("Add", "a", "a", to="b"), node("Add", "x", "b")],
        (1, 3),
        {"a": floats(3)},
        "no integers",
    ),
    "integer constant": ([node("Add", "x", "a")], (1, 3), {"a": ints(1, 2, 3)}, "no tensor of floats"),
    "attribute": ([node("Relu", "x", slope=1.0)], (1, 3), {}, "attribute 'slope' is not supported"),
    "nothing left": ([node("Slice", "x", "a", "a", "b")], (1, 3), {"a": ints(1), "b": ints(1)}, "leaves no entry"),
    "empty text": ([node("Constant", to="c", value_string="text"), node("Add", "x", "c")], (1, 3), {}, "a text"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_by_name(name):
    nodes, shape, constants, message = REFUSED[name]
    with pytest.raises(UnsupportedLayer, match=message) as caught:
        read(model(nodes, shape, constants))
    assert "\n" not in str(caught.value)


MISMATCHED = {
    "MatMul": ([node("MatMul", "x", "w")], (1, 4), W),
    "Gemm summand": ([node("Gemm", "x", "w", "b")], (1, 3), {**W, "b": floats(5)}),
    "Gemm tall summand": ([node("Gemm", "x", "w", "b")], (1, 3), {**W, "b": floats(5, 2)}),
    "Add": ([node("Add", "x", "w")], (1, 3), W),
    "Conv channels": ([node("Conv", "x", "w")], SQUARE, {"w": floats(2, 3, 2, 2)}),
    "Conv dimensions": ([node("Conv", "x", "w")], SQUARE, {"w": floats(2, 1, 2)}),
    "Conv kernel_shape": ([node("Conv", "x", "w", kernel_shape=[3, 3])], SQUARE, {"w": floats(2, 1, 2, 2)}),
    "Conv strides": ([node("Conv", "x", "w", strides=[1, 0])], SQUARE, {"w": floats(2, 1, 2, 2)}),
    "Conv huge strides": ([node("Conv", "x", "w", strides=[1, 2**31])], SQUARE, {"w": floats(2, 1, 2, 2)}),
    "Conv pads": ([node("Conv", "x", "w", pads=[1, 1])], SQUARE, {"w": floats(2, 1, 2, 2)}),
    "Conv groups": ([node("Conv", "x", "w", group=0)], SQUARE, {"w": floats(2, 1, 2, 2)}),
    "Conv odd groups": ([node("Conv", "x", "w", group=2)], (1, 2, 4, 4), {"w": floats(3, 1, 2, 2)}),
    "Conv too wide": ([node("Conv", "x", "w")], SQUARE, {"w": floats(2, 1, 5, 5)}),
    "no kernel": ([node("MaxPool", "x")], SQUARE, {}),
    "BatchNormalization": ([node("BatchNormalization", "x", "a", "a", "a", "a")], (1, 3), {"a": floats(2)}),
    "Reshape": ([node("Reshape", "x", "s")], (1, 3), {"s": ints(2, -1)}),
    "Reshape two open": ([node("Reshape", "x", "s")], (1, 4), {"s": ints(-1, -1)}),
    "Reshape zero": ([node("Reshape", "x", "s")], (1, 4), {"s": ints(1, 4, 0)}),
    "Reshape negative": ([node("Reshape", "x", "s")], (1, 4), {"s": ints(-2, -2)}),
    "Transpose": ([node("Transpose", "x", perm=[0, 0])], (1, 4), {}),
    "Squeeze": ([node("Squeeze", "x", "a")], (1, 4), {"a": ints(1)}),
    "Unsqueeze": ([node("Unsqueeze", "x", "a")], (1, 4), {"a": ints(1, 1)}),
    "Flatten": ([node("Flatten", "x", axis=3)], (1, 4), {}),
    "Gather": ([node("Gather", "x", "a", axis=1)], (1, 4), {"a": ints(4)}),
    "Slice": ([node("Slice", "x", "a", "a", "b")], (1, 4), {"a": ints(0), "b": ints(2)}),
    "Slice step": ([node("Slice", "x", "a", "a", "a", "a")], (1, 4), {"a": ints(0)}),
    "Concat": ([node("Flatten", "x", axis=0, to="p"), node("Concat", "x", "p", axis=0)], (1, 2, 2), {}),
    "Pad": ([node("Pad", "x", "p")], (1, 4), {"p": ints(0, 1, 1)}),
    "huge Pad": ([node("Pad", "x", "p")], (1, 4), {"p": ints(0, 2**62, 0, 0)}),
}


@pytest.mark.parametrize("name", MISMATCHED)
def test_shapes_that_do_not_chain_are_refused(name):
    nodes, shape, constants = MISMATCHED[name]
    with pytest.raises(ShapeMismatch) as caught:
        read(model(nodes, shape, constants))
    assert "\n" not in str(caught.value)
