"""read_onnx on damaged, lying and hostile files: one clear line, nothing executed, memory bounded."""

import os
import random
import subprocess
import sys
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_graphs import model, node, read

from dtdsym.errors import DtdsymError, LoadError, NotExact, ShapeMismatch, UnsupportedLayer
from dtdsym.network.onnx import values as onnx_values
from dtdsym.network.onnx import wire as onnx_wire
from dtdsym.network.onnx.operators import OPERATORS
from dtdsym.network.onnx.read import looks_like_onnx, read_onnx

WEIGHT = np.arange(6, dtype=np.float32).reshape(3, 2)


def good():
    """A small model with most kinds of records."""
    nodes = [
        node("Conv", "x", "w", "b", pads=[1, 1], to="c"),
        node("BatchNormalization", "c", "b", "b", "b", "v", to="n"),
        node("Relu", "n", to="r"),
        node("MaxPool", "r", kernel_shape=[2], to="m"),
        node("Flatten", "m", to="f"),
        node("Gemm", "f", "g", to="h"),
        node("Shape", "h", to="s"),
        node("Reshape", "h", "s", to="t"),
        node("Constant", to="k", value=onnx.numpy_helper.from_array(np.ones(2, np.float32))),
        node("Add", "t", "k"),
    ]
    rng = np.random.default_rng(0)
    arrays = {
        "w": rng.normal(size=(2, 1, 3)),
        "b": rng.normal(size=2),
        "v": rng.random(2),
        "g": rng.normal(size=(8, 2)),
    }
    return model(nodes, ("N", 1, 5), {name: array.astype(np.float32) for name, array in arrays.items()})


def damaged(seed, data):
    """One mutation: bytes flipped, put in, cut out or cut off."""
    rng = random.Random(seed)
    mutated, at = bytearray(data), rng.randrange(len(data))
    match seed % 5:
        case 0:
            mutated[at] ^= 1 << rng.randrange(8)
        case 1:
            for _ in range(rng.randrange(1, 8)):
                mutated[rng.randrange(len(data))] = rng.randrange(256)
        case 2:
            mutated[at:at] = rng.randbytes(rng.randrange(1, 9))
        case 3:
            del mutated[at : at + rng.randrange(1, 40)]
        case 4:
            del mutated[at:]
    return bytes(mutated)


def outcome(data):
    """The hash of the network, or the line that refuses it; anything else is a bug."""
    try:
        return read(data).sha256
    except DtdsymError as err:
        return str(err)


def assert_one_line(text):
    assert "\n" not in text
    assert 0 < len(text) < 1500


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_file_is_read_or_refused_in_one_line(seed, typed):
    given = good()
    if typed:
        for tensor in given.graph.initializer:
            tensor.CopyFrom(helper.make_tensor(tensor.name, 1, tensor.dims, np.frombuffer(tensor.raw_data, "<f4")))
    assert_one_line(outcome(damaged(seed, given.SerializeToString())))


def test_the_good_file_is_good():
    assert len(read(good()).layers) == 2


@pytest.mark.parametrize(
    "data", [b"", b"\x08", b"\x08\x07:\x05", b"PK\x03\x04 no onnx", b"\xff" * 100, b"\x08\x07" * 50]
)
def test_other_bytes_are_refused(data):
    with pytest.raises(LoadError, match=r"damaged or cut short|no graph with nodes"):
        read(data)


def test_what_looks_like_onnx():
    data = good().SerializeToString()
    assert looks_like_onnx(data)
    assert looks_like_onnx(data[: len(data) // 2])
    others = [
        b"",
        b"\x08",
        b"PK\x03\x04",
        b"\x80\x02}q\x00.",
        b"\x08\x01\x00\x00\x00\x00\x00\x00{}",
        b"plain text",
        b"\x93NUMPY",
    ]
    assert not any(looks_like_onnx(other) for other in others)
    assert not looks_like_onnx((0x3A).to_bytes(8, "little") + b'{"w":{}}')


# Sizes


def boast(dims, **fields):
    """A model whose weight claims these dimensions."""
    given = model([node("MatMul", "x", "w")], (1, 3), {"w": WEIGHT})
    given.graph.initializer[0].CopyFrom(TensorProto(name="w", dims=dims, data_type=fields.pop("kind", 1), **fields))
    return given


BOASTS = {
    "10^12 in a few bytes": (boast([10**6, 10**6], raw_data=b"1234"), "claims 1000000000000 numbers in 4 bytes"),
    "10^12 in none": (boast([10**12]), "claims 1000000000000 numbers but holds 0"),
    "10^12 typed": (boast([10**12], float_data=[1.0]), "claims 1000000000000 numbers but holds 1"),
    "beyond 64 bits": (boast([2**40, 2**40], raw_data=b"1234"), "in 4 bytes"),
    "negative": (boast([-1, 3], raw_data=b""), "its shape is"),
    "many dimensions": (boast([1] * 40, raw_data=b"1234"), "its shape is"),
    "two fields": (boast([1], raw_data=b"1234", float_data=[1.0]), "claims 1 numbers"),
    "another field": (boast([1], int64_data=[1]), "claims 1 numbers but holds 0"),
    "segment": (boast([1], raw_data=b"1234", segment=TensorProto.Segment(begin=0, end=1)), "stored in segments"),
    "integers out of range": (boast([1], kind=TensorProto.FLOAT16, int32_data=[-1]), "outside of its type"),
}


@pytest.mark.parametrize("name", BOASTS)
def test_a_tensor_that_claims_other_numbers_than_it_holds(name):
    given, message = BOASTS[name]
    with pytest.raises(LoadError, match=message):
        read(given)


@pytest.mark.parametrize(
    "kind", [TensorProto.STRING, TensorProto.COMPLEX64, TensorProto.FLOAT8E4M3FN, TensorProto.INT4, 99]
)
def test_types_that_are_no_plain_floats_are_refused(kind):
    with pytest.raises(NotExact, match=f"ONNX type {kind} "):
        read(boast([3, 2], kind=kind, raw_data=b"1234"))


def doubling(kind, times, constant):
    """A value or a constant joined with itself, again and again."""
    start = "c" if constant else "x"
    names = [start, *(f"t{i}" for i in range(times))]
    nodes = [node(kind, a, a, to=b, axis=0 if constant else 1) for a, b in pairwise(names)]
    last = node("Reshape", "x", names[-1]) if constant else node("Relu", names[-1])
    return model([*nodes, last], (1, 64), {"c": np.ones(64, np.int64)})


BOMBS = {
    "Concat of values": doubling("Concat", 60, False),
    "Concat of constants": doubling("Concat", 60, True),
    "Add of rows and columns": model(
        [node("Add", "x", "a", to="p"), node("Add", "p", "b", to="q"), node("Add", "q", "c")],
        (1, 4096),
        {
            "a": np.ones((4096, 1, 1), np.float32),
            "b": np.ones((4096, 1, 1, 1), np.float32),
            "c": np.ones((4096, 1, 1, 1, 1), np.float32),
        },
    ),
    "Gather": model(
        [
            node("Gather", "x", "i", axis=1, to="p"),
            node("Gather", "p", "i", axis=1, to="q"),
            node("Gather", "q", "i", axis=1),
        ],
        (1, 5),
        {"i": np.zeros((1000, 1000), np.int64)},
    ),
    "Pad": model([node("Pad", "x", "p")], (1, 4), {"p": np.array([0, 2**30, 0, 0])}),
    "MaxPool": model([node("MaxPool", "x", kernel_shape=[50000], pads=[0, 49999])], (1, 1, 100_000)),
    "AveragePool": model([node("AveragePool", "x", kernel_shape=[2**30], pads=[2**30, 2**30])], (1, 1, 100)),
    "Conv": model([node("Conv", "x", "w", pads=[2**30, 2**30])], (1, 1, 100), {"w": np.ones((1, 1, 1), np.float32)}),
    "Conv on one side": model(
        [node("Conv", "x", "w", pads=[0, 2**27])], (1, 1, 100), {"w": np.ones((1, 1, 1), np.float32)}
    ),
    "Mul": model(
        [node("Add", "x", "a", to="p"), *(node("Mul", "pq"[i % 2], "s", to="qp"[i % 2]) for i in range(1))],
        (1, 4_000_000),
        {"a": np.arange(4_000_000, dtype=np.float32), "s": np.float32(3)},
        output="q",
    ),
    "batch": model([node("Flatten", "x")], (2**28, 1, 1)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_small_files_do_not_grow(name):
    data = BOMBS[name].SerializeToString()
    tracemalloc.start()
    try:
        with pytest.raises((LoadError, ShapeMismatch), match=r"too large|at most|over"):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 2**30
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("second", ["a", "s"])
def test_constants_in_a_row_stay_short(monkeypatch, second):
    """Each multiplies out those before it, so their digits would add up without end."""
    monkeypatch.setattr(onnx_values, "MOST_NUMBERS", 2**22)
    names = ["x", *(f"t{i}" for i in range(500))]
    nodes = [node("Mul", a, second if i else "a", to=b) for i, (a, b) in enumerate(pairwise(names))]
    constants = {"a": 1 + np.arange(100, dtype=np.float32) / 101, "s": np.float32(0.1)}
    with pytest.raises(LoadError, match="it is too large"):
        read(model(nodes, (1, 100), constants, output=names[-1]))


def test_records_without_numbers_are_limited(monkeypatch):
    """Empty records take two bytes of the file and hundreds in memory; numbers take as many."""
    data = good().SerializeToString()
    assert read(data).layers
    monkeypatch.setattr(onnx_wire, "MOST_STRUCTURE", len(data) - 4 * (6 + 2 + 2 + 16 + 2))
    assert read(data).layers
    monkeypatch.setattr(onnx_wire, "MOST_STRUCTURE", len(data) - 4 * (6 + 2 + 2 + 16 + 2) - 1)
    with pytest.raises(LoadError, match="bytes besides its tensors; at most"):
        read(data)


def test_many_nodes_are_refused():
    given = model([node("Relu", "x")] * 2, (1, 3))
    given.graph.node.extend([helper.make_node("Identity", ["x"], [f"t{i}"]) for i in range(40_000)])
    with pytest.raises(LoadError, match="at most 40000 are read"):
        read(given)


# Graphs


def edited(change):
    given = good()
    change(given)
    return given


def _cycle(given):
    given.graph.node[0].input[0] = "r"


def _swapped(given):
    first, second = given.graph.node[2], given.graph.node[3]
    first_copy = onnx.NodeProto.FromString(first.SerializeToString())
    first.CopyFrom(second)
    second.CopyFrom(first_copy)


FLAWS = {
    "cycle": (_cycle, LoadError, "uses 'r', which no earlier node computes; nodes must be in topological order"),
    "order": (_swapped, LoadError, "'the MaxPool': uses 'r', which no earlier node computes"),
    "undefined": (lambda m: m.graph.node[2].input.__setitem__(0, "no\nsuch"), LoadError, r"uses 'no\\\\nsuch'"),
    "missing input": (lambda m: m.graph.node[0].input.__setitem__(1, ""), LoadError, "'the Conv': lacks input 2"),
    "no inputs": (lambda m: m.graph.node[2].ClearField("input"), LoadError, "lacks input 1"),
    "no output name": (lambda m: m.graph.node[2].ClearField("output"), LoadError, "computes nothing that has a name"),
    "name taken by a node": (
        lambda m: m.graph.node[2].output.__setitem__(0, "n"),
        LoadError,
        "'n', a name that is taken",
    ),
    "name taken by a tensor": (
        lambda m: m.graph.node[2].output.__setitem__(0, "w"),
        LoadError,
        "'w', a name that is taken",
    ),
    "name taken by the input": (
        lambda m: m.graph.node[2].output.__setitem__(0, "x"),
        LoadError,
        "'x', a name that is taken",
    ),
    "two tensors of a name": (lambda m: m.graph.initializer.append(m.graph.initializer[0]), LoadError, "named 'w'"),
    "unknown output": (
        lambda m: setattr(m.graph.output[0], "name", "w"),
        LoadError,
        "its output 'w' is computed by no node",
    ),
    "two outputs": (lambda m: m.graph.output.append(m.graph.output[0]), UnsupportedLayer, "it has 2 outputs"),
    "no output": (lambda m: m.graph.ClearField("output"), UnsupportedLayer, "it has 0 outputs"),
    "two inputs": (lambda m: m.graph.input.append(onnx.ValueInfoProto(name="z")), UnsupportedLayer, "it has 2 inputs"),
    "sequence input": (
        lambda m: m.graph.input[0].type.sequence_type.SetInParent(),
        UnsupportedLayer,
        "expected one tensor",
    ),
    "no graph": (lambda m: m.ClearField("graph"), LoadError, "no graph with nodes"),
    "no nodes": (lambda m: m.graph.ClearField("node"), LoadError, "no graph with nodes"),
    "old opset": (
        lambda m: setattr(m.opset_import[0], "version", 6),
        LoadError,
        "its opset is 6; export with an opset from 13",
    ),
    "coming opset": (lambda m: setattr(m.opset_import[0], "version", 2**40), LoadError, "its opset is 1099511627776"),
    "no opset": (lambda m: m.ClearField("opset_import"), LoadError, "its opset is not stated"),
    "two opsets": (
        lambda m: m.opset_import.append(onnx.OperatorSetIdProto(version=13)),
        LoadError,
        "its opset is 13, 13",
    ),
    "functions": (lambda m: m.functions.append(onnx.FunctionProto(name="f")), UnsupportedLayer, "functions"),
    "sparse": (lambda m: m.graph.sparse_initializer.append(onnx.SparseTensorProto()), UnsupportedLayer, "sparse"),
    "quantised": (
        lambda m: m.graph.quantization_annotation.append(onnx.TensorAnnotation()),
        UnsupportedLayer,
        "quantised",
    ),
    "attribute type": (
        lambda m: setattr(m.graph.node[0].attribute[0], "type", 1),
        LoadError,
        "of another type than ONNX defines",
    ),
    "attribute twice": (
        lambda m: m.graph.node[0].attribute.append(m.graph.node[0].attribute[0]),
        LoadError,
        "given twice",
    ),
    "attribute by reference": (
        lambda m: setattr(m.graph.node[0].attribute[0], "ref_attr_name", "p"),
        LoadError,
        "by reference",
    ),
}


@pytest.mark.parametrize("name", FLAWS)
def test_a_flaw_of_the_graph_is_named(name):
    change, error, message = FLAWS[name]
    with pytest.raises(error, match=message):
        read(edited(change))


def test_attributes_of_other_opsets_are_refused():
    with pytest.raises(LoadError, match="axes as an attribute, which opset 13 does not"):
        read(model([node("Squeeze", "x", axes=[1])], (1, 1, 3)))


# Tensors beside the file


def external(location, folder, shape=(3, 2), **entries):
    """A model whose weight lies in another file."""
    given = boast(shape)
    tensor = given.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return read_onnx(given.SerializeToString(), folder)


@pytest.fixture
def folder(tmp_path):
    """A folder with a weight, beside one with another."""
    inside, outside = tmp_path / "model", tmp_path / "secret"
    for place in (inside, outside, inside / "sub"):
        place.mkdir()
        (place / "weights").write_bytes(b"1234" + WEIGHT.tobytes())
    (inside / "link").symlink_to(outside / "weights")
    (inside / "out").symlink_to(outside)
    (inside / "loop").symlink_to(inside / "loop")
    (inside / "own link").symlink_to("weights")
    os.mkfifo(inside / "pipe")
    return inside


@pytest.mark.parametrize("location", ["weights", "sub/weights", "./weights", "own link"])
@pytest.mark.parametrize("entries", [{"offset": 4}, {"offset": 4, "length": 24}])
def test_tensors_inside_the_folder_are_read(folder, location, entries):
    weight = external(location, folder, **entries).layers[0].linear.weight
    assert np.array_equal(weight, WEIGHT.T.astype(np.float64))


@pytest.mark.parametrize(
    "location",
    [
        "../secret/weights",
        "sub/../../secret/weights",
        "/etc/passwd",
        "link",
        "out/weights",
        "",
        "C:\\weights",
        "a\\b",
        "weights\0",
        "sub/../weights",
    ],
)
def test_tensors_outside_the_folder_are_refused(folder, location):
    with pytest.raises(LoadError, match="outside the file's folder"):
        external(location, folder, offset=4)


@pytest.mark.parametrize(
    ("location", "entries", "message"),
    [
        ("weights", {"offset": 5}, "lacks its 24 bytes"),
        ("weights", {"offset": 2**59}, "lacks its 24 bytes"),
        ("weights", {"offset": -4}, "'-4' is no offset"),
        ("weights", {"offset": "4 "}, "is no offset"),
        ("weights", {"offset": "9" * 5000}, "is no offset"),
        ("weights", {"offset": 4, "length": 20}, "claims 24 bytes but its entry names 20"),
        ("weights", {"length": "x"}, "is no offset or length"),
        ("none", {}, "cannot be read"),
        ("sub", {}, "lacks its 24 bytes|cannot be read"),
        ("pipe", {}, "lacks its 24 bytes"),
        ("loop", {}, "cannot be followed|cannot be read"),
        ("weights/more", {}, "cannot be read"),
        ("n" * 5000, {}, "cannot be"),
    ],
)
def test_tensors_beside_the_file_within_bounds_only(folder, location, entries, message):
    with pytest.raises(LoadError, match=message) as caught:
        external(location, folder, **entries)
    assert "\n" not in str(caught.value)


def test_tensors_beside_the_file_are_no_larger_than_it(folder):
    with pytest.raises(LoadError, match="the tensors beside the file take over"):
        external("weights", folder, shape=(10**6, 10**6))


def test_without_a_folder_no_other_file_is_read():
    with pytest.raises(LoadError, match="load the model from its folder"):
        external("weights", None)


def test_numbers_both_inside_and_beside(folder):
    given = boast([3, 2], raw_data=WEIGHT.tobytes())
    given.graph.initializer[0].data_location = TensorProto.EXTERNAL
    with pytest.raises(LoadError, match="both in the file and beside it"):
        read(given, folder)


def test_onnx_is_imported_by_its_reader_alone():
    code = "import sys, dtdsym, dtdsym.network.onnx.read, dtdsym.network.onnx.write; assert 'onnx' not in sys.modules"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


NUMBERS = [0, 1, -1, 2, 3, 7, 64, 10**4, 2**31 - 1, 2**31, 2**62, 2**63 - 1, -(2**63)]


def scrambled(seed):
    """The good model with operators, inputs, attributes, shapes and constants exchanged for others."""
    rng, given = random.Random(seed), good()
    graph = given.graph
    given.opset_import[0].version = rng.choice([7, 9, 13, 13, 18, 24])
    lists = [[rng.choice(NUMBERS) for _ in range(rng.randrange(6))] for _ in range(3)]
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(numbers, np.int64), f"i{place}") for place, numbers in enumerate(lists)
    )
    names = ["x", "", *(tensor.name for tensor in graph.initializer), *(entry.output[0] for entry in graph.node)]
    for _ in range(rng.randrange(1, 8)):
        entry = rng.choice(graph.node)
        match rng.randrange(5):
            case 0:
                entry.op_type = rng.choice(list(OPERATORS))
            case 1:
                entry.input[:] = [rng.choice(names) for _ in range(rng.randrange(5))]
            case 2:
                wanted = OPERATORS[entry.op_type][1].split() or ["axis"]
                value = rng.choice(
                    [rng.choice(NUMBERS), [rng.choice(NUMBERS) for _ in range(rng.randrange(1, 5))], 0.5, "SAME_UPPER"]
                )
                entry.attribute.append(helper.make_attribute(rng.choice(wanted), value))
            case 3:
                graph.input[0].type.tensor_type.shape.dim[rng.randrange(3)].dim_value = rng.choice(NUMBERS)
            case 4:
                entry.ClearField("attribute")
    return given.SerializeToString()


@pytest.mark.parametrize("seed", range(300))
def test_a_scrambled_graph_is_read_or_refused_in_one_line(seed):
    assert_one_line(outcome(scrambled(seed)))
