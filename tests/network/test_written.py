"""Networks as plain data and as files: what is read back is the same exact function, and flawed data is refused."""

import copy
import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hostile import save
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import convolutional
from torch import nn
from torch.nn import functional

import dtdsym
from dtdsym.errors import DtdsymError, LoadError, NotExact, ShapeMismatch
from dtdsym.network.builder import Builder
from dtdsym.network.files.save import save_pt, save_safetensors
from dtdsym.network.files.written import from_data, to_data
from dtdsym.network.layers import Affine, Input, Norm, Relu, Scale
from dtdsym.network.network import Network, sequential
from dtdsym.network.onnx.write import write_onnx


class Drawn:
    """Random steps of a Builder, over values made so far."""

    def __init__(self, draw):
        self.draw, self.shared = draw, {}
        shape = draw(st.sampled_from([(3,), (2, 3), (2, 2, 3), (1, 2, 2, 2)]))
        self.builder = Builder(shape)
        self.values = [self.builder.input]

    def floats(self, *shape):
        """Sometimes an array that was used before; 1/3 is no float32."""
        if shape not in self.shared or self.draw(st.booleans()):
            numbers = st.sampled_from([-2.0, -1.0, -0.0, 0.5, 1 / 3, 1e300, 2.0**-1074, 1.0, 3.0])
            count = math.prod(shape)
            self.shared[shape] = np.array(
                self.draw(st.lists(numbers, min_size=count, max_size=count)), dtype=np.float64
            ).reshape(shape)
        return self.shared[shape]

    def step(self):
        kind = self.draw(st.sampled_from(sorted(KINDS)))
        value = self.draw(st.sampled_from(self.values))
        try:
            made = KINDS[kind](self, self.builder, value)
        except ShapeMismatch:
            return
        if made.size <= 60:
            self.values.append(made)

    def network(self):
        flat = self.builder.flatten(self.values[-1])
        last = self.builder.linear(flat, self.floats(2, flat.size), self.floats(2), "last")
        return self.builder.network(last)


def shared_linear(d, b, value):
    return b.linear(b.flatten(value), d.floats(3, value.size), d.draw(st.sampled_from([None, d.floats(3)])), "linear")


def convolved(d, b, value):
    kernel = d.draw(st.integers(1, 2))
    weight = d.floats(2, value.shape[0], *[kernel] * (len(value.shape) - 1))
    if weight.ndim < 3:
        raise ShapeMismatch("no spatial dimensions")
    padding = ((1, 0),) + ((1, 1),) * (weight.ndim - 3)
    return b.convolve(value, weight, None, stride=d.draw(st.integers(1, 2)), padding=padding, name="conv")


def normed(d, b, value):
    channels = value.shape[0]
    variance = np.abs(d.floats(channels)) + 1.0
    return b.batch_norm(value, None, d.floats(channels), np.ones(channels) / 3, np.minimum(variance, 2), 1e-5, "norm")


def scaled(d, b, value):
    return b.scale(value, np.resize([1.0, 3.0], value.shape), 0.5, np.resize([3.0, 1.0, 7.0], value.shape), "scale")


def added(d, b, value):
    other = d.draw(st.sampled_from([v for v in d.values if v.shape == value.shape]))
    return b.add(value, other, "add")


def joined(d, b, value):
    other = d.draw(st.sampled_from([v for v in d.values if v.shape == value.shape]))
    return b.concat([value, other, value], d.draw(st.integers(0, len(value.shape) - 1)), "join")


def taken(d, b, value):
    places = d.draw(st.lists(st.integers(-1, value.size - 1), min_size=1, max_size=6))
    return b.take(value, np.array(places), "take")


KINDS = {
    "linear": shared_linear,
    "conv": convolved,
    "norm": normed,
    "scale": scaled,
    "add": added,
    "join": joined,
    "take": taken,
    "relu": lambda d, b, value: b.relu(value, "relu"),
    "max": lambda d, b, value: b.max_pool(value, 2, 1, 1, name="max"),
    "average": lambda d, b, value: b.average_pool(value, 2, 2, 1, True, d.draw(st.booleans()), name="average"),
}


@st.composite
def networks(draw):
    """Any graph that a Builder can make, of a few nodes."""
    drawn = Drawn(draw)
    for _ in range(draw(st.integers(1, 8))):
        drawn.step()
    return drawn.network()


def reread(network):
    """Through JSON, as files hold it."""
    header, arrays = to_data(network)
    return from_data(json.loads(json.dumps(header)), lambda key, name: arrays[key].copy())


def facts(network):
    """What a network is besides its function."""
    nodes = [(type(node), node.name, node.sources) for node in network.nodes]
    return network.input_shape, nodes, network.widths, network.sizes, [layer.name for layer in network.layers]


@given(networks())
@settings(max_examples=150)
def test_a_network_as_data_is_the_same_network(network):
    again = reread(network)
    assert again.sha256 == network.sha256
    assert facts(again) == facts(network)
    x = [Fraction(i, 3) - 1 for i in range(network.sizes[0])]
    assert again(x) == network(x)


@given(networks(), st.sampled_from([save_pt, save_safetensors]))
@settings(max_examples=60)
def test_a_network_in_a_file_is_the_same_network(tmp_path_factory, network, writer):
    path = tmp_path_factory.mktemp("net") / "net"
    writer(network, path)
    again = dtdsym.load(path)
    assert again.sha256 == network.sha256
    assert facts(again) == facts(network)
    assert again.parameters == network.parameters  # what shared weights shares them still


@given(convolutional())
@settings(max_examples=25)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_every_format_of_one_network_gives_one_hash(tmp_path_factory, case):
    module, shape = case
    folder = tmp_path_factory.mktemp("net")
    network = dtdsym.load(save(module, folder / "whole.pt", legacy=True), input_shape=shape)
    save_pt(network, folder / "ours.pt")
    save_safetensors(network, folder / "ours.safetensors")
    (folder / "ours.onnx").write_bytes(write_onnx(network))
    hashes = {dtdsym.load(path).sha256 for path in folder.glob("ours.*")}
    assert hashes == {network.sha256}
    assert dtdsym.from_module(module, torch.zeros(1, *shape)).sha256 == network.sha256


def test_floats_of_32_bits_stay_so_where_they_are_exact(tmp_path):
    network = sequential(([[0.5, 2.0]], [1.0]), ([[0.1]], [1e300]))
    save_pt(network, tmp_path / "net.pt")
    dtypes = [tensor.dtype for tensor in torch.load(tmp_path / "net.pt")["state_dict"].values()]
    assert dtypes == [torch.float32, torch.float32, torch.float64, torch.float64]


@pytest.mark.parametrize("writer", [save_pt, save_safetensors])
def test_a_layer_used_twice_is_one_array_in_the_file_too(tmp_path, writer):
    layer = nn.Linear(3, 3, bias=False)
    network = dtdsym.from_module(nn.Sequential(layer, nn.ReLU(), layer), torch.zeros(1, 3))
    writer(network, tmp_path / "net")
    again = dtdsym.load(tmp_path / "net")
    first, second = (made.linear for made in again.layers)
    assert first.weight is second.weight
    assert first.bias is second.bias
    assert again.parameters == network.parameters == 12


def test_nodes_that_the_output_does_not_need_are_left_out():
    one, two = np.ones((1, 1)), np.zeros(1)
    nodes = (Input((1,)), Affine(one, two, 0, "dead"), Affine(one * 2, two, 0, "live"), Relu(2, "relu"))
    network = Network(nodes)
    again = reread(network)
    assert again.sha256 == network.sha256
    assert [node.name for node in again.nodes] == ["input", "live", "relu"]


def test_factors_that_are_not_those_of_the_batch_normalisation_are_refused():
    half, none = np.array([Fraction(1, 2)]), np.array([Fraction(0)])
    one = np.ones(1)
    scale = Scale(half, none, 1, 1, Norm(one, one, one), "norm")
    network = Network((Input((1,)), Affine(np.ones((1, 1)), np.zeros(1), 0), scale))
    with pytest.raises(NotExact, match="'norm': its factors and summands are not those"):
        to_data(network)


class Branches(nn.Module):
    """One module whose network has a node of every kind."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Linear(24, 2)

    def forward(self, x):
        y = functional.relu(self.norm(self.conv(x)))
        y = torch.cat([(y + x) / 3 + 0.1, functional.pad(x, (1, 0, 0, 0))[..., :4]], 1)
        y = torch.cat([functional.max_pool2d(y, 2), functional.avg_pool2d(y, 2), y[..., ::2, ::2]], 1)
        return self.fc(y[:, :6].flatten(1))


def every_kind():
    torch.manual_seed(0)
    module = Branches().double()
    network = dtdsym.from_module(module, torch.zeros(1, 2, 4, 4, dtype=torch.float64))
    return to_data(network)


def test_control_the_flaws_are_planted_in_a_network_of_every_kind():
    header, arrays = every_kind()
    ops = {node["op"] for node in header["nodes"]}
    assert ops == {"linear", "convolution", "batchnorm", "scale", "relu", "add", "concat", "take", "maxpool", "avgpool"}
    assert from_data(header, lambda key, name: arrays[key]).widths[-1] == 2


def node(kind, /, **fields):
    """A flaw: these fields of the first node of this kind."""

    def plant(header, arrays):
        next(entry for entry in header["nodes"] if entry["op"] == kind).update(fields)

    return plant


def array(op, part, change):
    """A flaw: another array for this part."""

    def plant(header, arrays):
        entry = next(entry for entry in header["nodes"] if entry["op"] == op)
        arrays[entry[part]] = change(arrays[entry[part]].copy())

    return plant


def lost(op, field):
    def plant(header, arrays):
        del next(entry for entry in header["nodes"] if entry["op"] == op)[field]

    return plant


def head(**fields):
    return lambda header, arrays: header.update(fields)


def put(value):
    """Sets the first entry."""

    def change(array):
        array.flat[0] = value
        return array

    return change


def unused(header, arrays):
    header["nodes"].insert(0, {"op": "relu", "name": "idle", "sources": [0]})
    for entry in header["nodes"][1:]:
        entry["sources"] = [source + (source > 0) for source in entry["sources"]]


FLAWS = {
    "shape of nothing": (head(input_shape=[]), "of no input_shape"),
    "shape of words": (head(input_shape=["2", 4, 4]), "of no input_shape"),
    "shape of true": (head(input_shape=[True]), "of no input_shape"),
    "endless shape": (head(input_shape=[2**30] * 32), "node 0 of its dtdsym header is of"),
    "another input": (head(input_shape=[2, 4, 5]), "takes 32 numbers but receives 40"),
    "more in the header": (head(more=1), "format, input_shape and nodes alone"),
    "no nodes": (head(nodes=[]), "lists no nodes"),
    "nodes that are none": (head(nodes=[None]), "no operation"),
    "nodes by name": (head(nodes={}), "lists no nodes"),
    "too many nodes": (head(nodes=[0] * 10_000), "over 9999"),
    "unused": (unused, "node 1 of its dtdsym header is used by no other"),
    "unknown operation": (node("relu", op="gelu"), "no operation; expected one of linear"),
    "operation that is a list": (node("relu", op=["relu"]), "no operation"),
    "more fields": (node("relu", slope=0.1), "a relu with other fields than op, name, sources"),
    "fewer fields": (lost("convolution", "groups"), "a convolution with other fields"),
    "no name": (node("relu", name=None), "without a name"),
    "source ahead": (node("relu", sources=[99]), "without the 1 earlier nodes"),
    "source itself": (node("convolution", sources=[1]), "without the 1 earlier nodes"),
    "source before": (node("convolution", sources=[-1]), "without the 1 earlier nodes"),
    "source true": (node("scale", sources=[True]), "without the 1 earlier nodes"),
    "two sources": (node("relu", sources=[0, 0]), "without the 1 earlier nodes"),
    "one summand": (node("add", sources=[0]), "without the 2 earlier nodes"),
    "one to join": (node("concat", sources=[0]), "without the 2 earlier nodes"),
    "unknown array": (node("linear", weight="n0"), "no array 'n0'"),
    "array by number": (node("linear", weight=7), "weight that is a int"),
    "weight of another shape": (array("linear", "weight", lambda w: w[:, 1:].copy()), "takes 23 numbers"),
    "weight of no shape": (array("linear", "weight", lambda w: w.reshape(-1)), "expected (out, in)"),
    "not a number": (array("linear", "weight", put(float("nan"))), "is nan"),
    "infinite statistic": (array("batchnorm", "mean", put(float("inf"))), "not finite"),
    "statistics of others": (array("batchnorm", "mean", lambda m: m[:1].copy()), "other numbers of factors"),
    "repeat 0": (node("batchnorm", repeat=0), "of no repeat"),
    "repeat of others": (node("batchnorm", repeat=5), "takes 10 numbers but receives 32"),
    "kernel larger than all": (node("convolution", dilation=[9, 9]), "is larger than the padded value"),
    "stride 0": (node("convolution", stride=[0, 1]), "of no stride"),
    "groups 0": (node("convolution", groups=0), "of no groups"),
    "groups that do not divide": (node("convolution", groups=3), "do not fit"),
    "one padding": (node("convolution", padding=[1]), "different numbers of dimensions"),
    "endless padding": (node("convolution", padding=[2**20] * 4), "numbers; at most"),
    "shape of another size": (node("convolution", shape=[2, 4, 5]), "takes 40 numbers but receives 32"),
    "fraction that is a float": (node("scale", weight=["0.5"]), "of no weight; expected a list of fractions"),
    "fraction that explodes": (node("scale", weight=["1e999999999"]), "of no weight; expected a list of fractions"),
    "fraction without end": (node("scale", weight=["1" * 5000]), "of no weight; expected a list of fractions"),
    "fraction of nothing": (node("scale", weight=["1/0"]), "divides by 0"),
    "fractions of number": (node("scale", weight=[1]), "of no weight"),
    "no fractions": (node("scale", weight=[]), "of no weight"),
    "more summands": (node("scale", bias=["1/3", "0"]), "expected as many"),
    "place ahead": (array("take", "index", put(10.0**6)), "not whole numbers from -1"),
    "place between": (array("take", "index", put(0.5)), "not whole numbers from -1"),
    "place below": (array("take", "index", put(-2.0)), "not whole numbers from -1"),
    "place that is none": (array("take", "index", put(float("nan"))), "not whole numbers from -1"),
    "padding in a maximum": (array("maxpool", "index", put(-1.0)), "not whole numbers from 0"),
    "places in a row": (array("maxpool", "index", lambda i: i.reshape(-1)), "not whole numbers from 0"),
    "divided by 0": (array("avgpool", "counts", put(0.0)), "not whole numbers from 1"),
    "divided by halves": (array("avgpool", "counts", put(0.5)), "not whole numbers from 1"),
    "fewer divisors": (array("avgpool", "counts", lambda c: c[1:].copy()), "one positive divisor"),
}


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_a_header_is_refused_at_its_planted_flaw(tmp_path, monkeypatch, flaw, form):
    plant, words = flaw
    header, arrays = copy.deepcopy(every_kind())
    plant(header, arrays)
    monkeypatch.setattr("dtdsym.network.files.save.to_data", lambda network: (header, arrays))
    {"pt": save_pt, "safetensors": save_safetensors}[form](None, tmp_path / "net")
    with pytest.raises(DtdsymError) as caught:
        dtdsym.load(tmp_path / "net")
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_arrays_beyond_the_header_are_refused(tmp_path, monkeypatch):
    header, arrays = every_kind()
    monkeypatch.setattr("dtdsym.network.files.save.to_data", lambda network: (header, {**arrays, "extra": np.ones(1)}))
    save_pt(None, tmp_path / "net.pt")
    with pytest.raises(LoadError, match="'extra' belong to none"):
        dtdsym.load(tmp_path / "net.pt")


@pytest.mark.parametrize("writer", [save_pt, save_safetensors])
def test_files_that_state_their_graph_take_no_layers_and_no_other_shape(tmp_path, writer):
    writer(sequential(([[1.0, 2.0]], [0.0])), tmp_path / "net")
    assert dtdsym.load(tmp_path / "net", input_shape=(2,)).input_shape == (2,)
    with pytest.raises(ShapeMismatch, match="inputs have shape 2, which the file states"):
        dtdsym.load(tmp_path / "net", input_shape=(1, 2))
    with pytest.raises(LoadError, match="names its layers itself"):
        dtdsym.load(tmp_path / "net", layers="relu-mlp")


def test_graphs_of_other_formats_take_no_layers_and_no_other_shape_either(tmp_path):
    path = tmp_path / "net"
    path.write_bytes(write_onnx(sequential(([[1.0, 2.0]], [0.0]))))
    assert dtdsym.load(path, input_shape=(2,)).input_shape == (2,)
    with pytest.raises(ShapeMismatch, match="inputs have shape 2, which the file states"):
        dtdsym.load(path, input_shape=(1, 2))
    with pytest.raises(LoadError, match="it holds a graph, which has its own layers"):
        dtdsym.load(path, layers="relu-mlp")


def test_joins_of_joins_cannot_grow_without_end():
    """Sixty nodes, each its predecessor twice: 2^60 numbers."""
    nodes = [{"op": "concat", "name": "", "sources": [i, i]} for i in range(60)]
    with pytest.raises(LoadError, match="at most 268435456"):
        from_data({"format": 2, "input_shape": [1], "nodes": nodes}, dict)
