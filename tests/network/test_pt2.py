"""read_pt2: networks from archives of torch.export equal those of the live modules; nothing in an archive runs."""

import json
import pickle
import random
import zipfile
from functools import cache
from io import BytesIO

import pytest
import torch
from hostile import Touch, mlp, mutations, traced_memory
from hypothesis import assume, given, settings
from modules import convolutional
from pt2_archives import (
    MODEL,
    SAMPLES,
    WEIGHTS,
    Block,
    Lambda,
    archive_of,
    entries_of,
    export,
    json_places,
    relu_twice,
    replaced,
    trained_norm,
    with_entries,
    with_json,
)
from torch import nn
from torch.nn import functional

import dtdsym
from dtdsym.errors import DtdsymError, LoadError, NotExact, ShapeMismatch, UnsupportedLayer
from dtdsym.network.layers import Take
from dtdsym.network.pt2.archive import LARGEST_JSON
from dtdsym.network.pt2.read import read_pt2

VECTOR, IMAGE = (2, 4), (2, 2, 6, 6)


def conv_net():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1), trained_norm(4), nn.ReLU(), Block(4), nn.MaxPool2d(2),
        nn.AvgPool2d(1), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


def lin(inputs=4, outputs=4):
    return nn.Linear(inputs, outputs)


def tied():
    module = Lambda(relu_twice, a=lin(), b=lin())
    module.b.weight = module.a.weight
    return module


def transposed():
    module = Lambda(lambda self, x: self.a(x), a=lin(4, 3))
    module.a.weight = nn.Parameter(torch.randn(4, 3).t())
    return module


def in_place(self, x):
    h = self.a(x)
    kept = h.clone()
    h.relu_()
    h += 1
    return self.b(torch.cat([h, kept.sub_(0.5)], 1))


# Constants, as modules compute them from their own tensors while they run.
def constants(self, x):
    h = self.a(x) * self.scale.exp() + torch.arange(4) * torch.tensor([0.1, -0.2, 0.3, 1.0]).to(x.dtype)
    h = h + torch.ones_like(h) / 3 - self.scale.view(1, 4).expand_as(h) + torch.zeros(4).add(0.1).type_as(h)
    return functional.linear(h, self.scale * self.scale.view(4, 1))


MODULES = {
    "mlp": (lambda: mlp(4, 5, 3), VECTOR),
    "nested": (lambda: nn.Sequential(mlp(4, 5), nn.Sequential(nn.ReLU(), nn.Identity()), lin(5, 2)), VECTOR),
    "conv net": (conv_net, IMAGE),
    "signal": (lambda: nn.Sequential(nn.Conv1d(2, 3, 2, groups=1), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), lin(6)),
               (1, 2, 6)),
    "functions": (lambda: Lambda(relu_twice, a=lin(), b=lin()), VECTOR),
    "joined": (lambda: Lambda(lambda s, x: s.b(torch.cat([s.a(x), functional.relu(-x)], dim=1)), a=lin(), b=lin(8)),
               VECTOR),
    "split": (lambda: Lambda(lambda s, x: s.a(sum(x.chunk(2, 1)) + s.a.weight[0, :2] + x.split(1, 1)[3]), a=lin(2)),
              VECTOR),
    "maxima": (lambda: Lambda(lambda s, x: s.a(x).max(1, keepdim=True)[0] + x, a=lin()), VECTOR),
    "view": (lambda: Lambda(lambda s, x: s.a(x.view(x.shape[0], -1)).reshape(x.size(0), 2, -1), a=lin(72)), IMAGE),
    "last dimension": (lambda: Lambda(lambda s, x: s.a(x), a=lin(6)), IMAGE),
    "in place": (lambda: Lambda(in_place, a=lin(), b=lin(8)), VECTOR),
    "constants": (lambda: Lambda(constants, a=lin(), scale=torch.randn(4)), VECTOR),
    "tied": (tied, VECTOR),
    "transposed weight": (transposed, VECTOR),
    "own weight": (lambda: Lambda(lambda s, x: torch.relu(x @ s.weight.t()), weight=torch.randn(3, 4)), VECTOR),
    "wider": (lambda: Lambda(lambda s, x: s.a(x).to(torch.float64) + s.a(x).double(), a=lin()), VECTOR),
    "clamp": (lambda: Lambda(lambda s, x: functional.pad(s.a(x).clamp(min=0), (1, 0), value=0.1), a=lin()), VECTOR),
    "contiguous": (lambda: Lambda(lambda s, x: s.a(x.transpose(1, 3).contiguous().flatten(1)), a=lin(72)), IMAGE),
}  # fmt: skip
VARIANTS = {
    "plain": {}, "dynamic": {"dynamic": True}, "strict": {"strict": True}, "both": {"strict": True, "dynamic": True},
}  # fmt: skip


@cache
def built(name, dtype=torch.float32):
    """A module of the table in evaluation mode, and an example."""
    torch.manual_seed(0)
    make, shape = MODULES[name]
    return make().to(dtype).eval(), torch.randn(shape).to(dtype)


@cache
def exported(name, dtype=torch.float32, variant="plain"):
    """Its archive."""
    module, example = built(name, dtype)
    return export(module, example, **VARIANTS[variant])


def assert_same(network, module, example):
    """One function as written, under the same names."""
    live = dtdsym.from_module(module, example)
    assert network.sha256 == live.sha256
    # What only moves numbers has no layer; torch runs chunk as split, flatten as view.
    names = [[node.name for node in net.nodes if not isinstance(node, Take)] for net in (network, live)]
    assert names[0] == names[1]
    assert network.parameters == live.parameters
    assert network.input_shape == tuple(example.shape[1:])


@pytest.mark.parametrize("name", MODULES)
def test_an_archive_is_the_network_of_the_module(name):
    assert_same(read_pt2(exported(name)), *built(name))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", ["mlp", "conv net", "view", "in place", "functions"])
def test_however_it_was_exported(name, variant):
    module, example = built(name)
    assert read_pt2(exported(name, variant=variant)).sha256 == dtdsym.from_module(module, example).sha256


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["conv net", "constants"])
def test_in_every_float(name, dtype):
    assert_same(read_pt2(exported(name, dtype)), *built(name, dtype))


@pytest.mark.parametrize("name", ["mlp", "conv net", "own weight"])
def test_a_graph_taken_apart_into_core_operations_is_the_same(name):
    module, example = built(name)
    network = read_pt2(export(module, example, decompose=True))
    assert network.sha256 == dtdsym.from_module(module, example).sha256


@pytest.mark.parametrize("name", MODULES)
def test_outputs_are_those_of_torch(name):
    module, example = built(name)
    network = read_pt2(exported(name))
    with torch.no_grad():
        wanted = module(example).double().flatten(1)
    for sample, want in zip(example, wanted, strict=True):
        found = torch.tensor([float(n) for n in network(sample.flatten().tolist())], dtype=torch.float64)
        assert (found - want).abs().max() <= 1e-4 * (1 + want.abs().max())


@settings(max_examples=40)
@given(convolutional())
def test_random_sequences_from_export_from_module_and_from_torch_save_are_one_network(tmp_path_factory, drawn):
    module, shape = drawn
    example = torch.randn(2, *shape)
    try:
        live = dtdsym.from_module(module, example)
    except ShapeMismatch:
        assume(False)
    path = tmp_path_factory.mktemp("saved") / "net.pt"
    torch.save(module, path)
    saved = dtdsym.load(path, input_shape=shape)
    assert read_pt2(export(module, example)).sha256 == live.sha256 == saved.sha256


def test_layers_have_the_names_of_their_modules():
    names = {node.name for node in read_pt2(exported("conv net")).nodes}
    assert {"0", "1", "2", "3.conv1", "3.bn1", "3.conv2", "3.relu", "3.add", "4", "9"} <= names


def test_load_reads_the_file_and_says_where_the_network_is_from(tmp_path):
    path = tmp_path / "net.bin"
    path.write_bytes(exported("mlp"))
    network = dtdsym.load(path)
    assert network.sha256 == read_pt2(exported("mlp")).sha256
    assert network.source == str(path)
    with pytest.raises(LoadError, match=r"net\.bin"):
        dtdsym.load(path, layers=["linear:"])


def refused(data, kind, *words):
    """read_pt2 raises an error of this kind, in one line with these words."""
    with pytest.raises(kind) as caught:
        read_pt2(data)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1500
    for word in words:
        assert word in message, message


# What a pickle could do, nothing does.
def poison(path):
    return pickle.dumps(Touch(path))


def test_poisoned_sample_inputs_are_never_opened(tmp_path):
    data = with_entries(exported("mlp"), {SAMPLES: poison(tmp_path / "executed")})
    assert read_pt2(data).sha256 == read_pt2(exported("mlp")).sha256
    assert not (tmp_path / "executed").exists()


def test_the_poison_works(tmp_path):
    pickle.loads(poison(tmp_path / "executed"))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("flag", [True, None, 0, "false"])
def test_pickled_weights_are_refused_by_name(tmp_path, flag):
    def change(config):
        config["config"]["2.weight"]["use_pickle"] = flag

    data = with_entries(exported("mlp"), {"data/weights/weight_2": poison(tmp_path / "executed")})
    refused(with_json(data, change, WEIGHTS), LoadError, "'2.weight'", "pickle", "torch.export.save")
    assert not (tmp_path / "executed").exists()


def meta(**changes):
    """Changes to what the archive says of a weight."""

    def change(config):
        config["config"]["0.weight"]["tensor_meta"].update(changes)

    return change


def ints(*numbers):
    return [{"as_int": n} for n in numbers]


CLAIMS = {
    "10^12 numbers": (meta(sizes=ints(10**6, 10**6), strides=ints(10**6, 1)), LoadError, "claims"),
    "10^12 numbers, strides 0": (meta(sizes=ints(10**6, 10**6), strides=ints(0, 0)), LoadError, "claims"),
    "one row many times": (meta(sizes=ints(10, 4), strides=ints(0, 1)), LoadError, "contiguous"),
    "beyond the end": (meta(storage_offset={"as_int": 1}), LoadError, "claims"),
    "beyond all": (meta(storage_offset={"as_int": 2**61}), LoadError, "claims"),
    "no numbers": (meta(sizes=ints(0, 4)), ShapeMismatch, "empty"),
    "negative": (meta(sizes=ints(-5, 4)), LoadError, "natural"),
    "another dtype": (meta(dtype=8), LoadError, "claims"),
    "integers": (meta(dtype=4), NotExact, "int64"),
    "64-bit integers": (meta(dtype=5), LoadError, "integers"),
    "scattered integers": (meta(dtype=4, strides=ints(1, 5)), LoadError, "integers"),
    "complex": (meta(dtype=10), NotExact, "dtype"),
    "dtype that is a list": (meta(dtype=[7]), LoadError, "dtype"),
    "one stride": (meta(strides=ints(1)), NotExact, "dimensions"),
    "symbols": (meta(sizes=[{"as_expr": {"hint": {"as_int": 5}}}, {"as_int": 4}]), LoadError, "fixed"),
    "many dimensions": (meta(sizes=ints(*[1] * 70), strides=ints(*[1] * 70)), NotExact, "dimensions"),
}  # fmt: skip


@pytest.mark.parametrize("case", CLAIMS.values(), ids=CLAIMS)
def test_weights_that_claim_what_is_not_there_are_refused_before_anything_is_allocated(case):
    change, kind, word = case
    data = with_json(exported("mlp"), change, WEIGHTS)
    with traced_memory() as peak:
        refused(data, kind, word)
        assert peak() < 2**24


def with_node(target, **arguments):
    """The MLP with another operation, on these tagged arguments, for its ReLU."""

    def change(model):
        node = model["graph_module"]["graph"]["nodes"][1]
        node["target"] = target
        node["inputs"] = [{"name": name, "arg": arg, "kind": 1} for name, arg in arguments.items()]

    return with_json(exported("mlp"), change)


H = {"as_tensor": {"name": "linear"}}
WEIGHT = {"as_tensor": {"name": "p_2_weight"}}
# torch itself would read memory that is not there for some of these, instead of an error.
MISFITS = {
    "number as dtype": ("_to_copy.default", {"self": H, "dtype": {"as_int": 2**63 - 1}}, "(dtype)"),
    "strides": ("_reshape_alias.default", {"self": H, "size": {"as_ints": [1, 2]}, "stride": {"as_ints": [2**30, 1]}},
                "view"),
    "form of TorchScript": ("to.prim_dtype", {"self": H, "dtype": {"as_int": -1}}, "bare numbers"),
    "layout as dimension": ("slice.Tensor", {"self": H, "dim": {"as_layout": 7}}, "(dim)"),
    "word for a number": ("max_pool2d.default", {"self": H, "kernel_size": {"as_string": "2"}}, "(kernel_size)"),
    "words": ("add.str", {"a": {"as_string": "a"}, "b": {"as_string": "b"}}, "numbers alone"),
    "unknown argument": ("relu.default", {"self": H, "slope": {"as_float": 0.1}}, "(slope)"),
    "missing argument": ("add.Tensor", {"self": H}, "other"),
    "huge integer": ("slice.Tensor", {"self": H, "dim": {"as_int": 2**40}}, "(dim)"),
    "beyond integers": ("slice.Tensor", {"self": H, "dim": {"as_int": 10**30}}, "as_int"),
    "no end among sizes": ("new_zeros.default", {"self": H, "size": {"as_ints": [2**63 - 1, 0]}}, "(size)"),
    "many empty parts": ("tensor_split.sections", {"self": H, "sections": {"as_int": 2**30}}, "(sections)"),
    "many chunks": ("chunk.default", {"self": H, "chunks": {"as_int": 2**30}}, "(chunks)"),
    "written result": ("add.out", {"self": H, "other": H, "out": H}, "out"),
    "odd shapes": ("add.Tensor", {"self": H, "other": WEIGHT}, "add"),
    "no such operation": ("relu.other", {"self": H}, "relu.other"),
    "no batch": ("mean.default", {"self": H}, "samples"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISFITS.values(), ids=MISFITS)
def test_arguments_that_torch_does_not_define_are_refused_before_torch_sees_them(case):
    target, arguments, word = case
    refused(with_node(f"torch.ops.aten.{target}", **arguments), UnsupportedLayer, "layer '1' (ReLU)", word)


def test_a_constant_with_a_side_below_zero_is_refused():
    """torch plans some of these, and counts no numbers in them."""
    sizes = {"as_ints": [0, -2, -1, -1]}
    refused(with_node("torch.ops.aten.expand.default", self=WEIGHT, size=sizes), UnsupportedLayer, "expand", "[0, -2, ")


def test_an_operation_that_touches_files_is_not_run(tmp_path):
    name = {"as_string": str(tmp_path / "made")}
    data = with_node("torch.ops.aten.from_file.default", filename=name, shared={"as_bool": True}, size={"as_int": 4})
    refused(data, UnsupportedLayer, "from_file")
    assert not (tmp_path / "made").exists()


def test_names_that_nothing_makes_or_that_are_made_twice_are_refused():
    refused(with_node("torch.ops.aten.relu.default", self={"as_tensor": {"name": "linear_1"}}), LoadError, "linear_1")

    def again(model):
        model["graph_module"]["graph"]["nodes"] *= 2

    refused(with_json(exported("mlp"), again), LoadError, "'linear' twice")


def test_constants_too_large_to_compute_are_refused_before_they_are_made():
    data = with_node("torch.ops.aten.arange.default", end={"as_int": 2**31 - 1})
    with traced_memory() as peak:
        refused(data, UnsupportedLayer, "arange", "numbers")
        assert peak() < 2**24


def nan_weight(config):
    config["config"]["0.weight"]["path_name"] = "nan"


ARCHIVES = {
    "bomb": (lambda e: archive_of({**e, SAMPLES: bytes(2**24)}, zipfile.ZIP_DEFLATED), LoadError, "compressed"),
    "deep JSON": (lambda e: archive_of({**e, MODEL: b"[" * 10**6}), LoadError, "not JSON"),
    "list": (lambda e: archive_of({**e, MODEL: b"[]"}), LoadError, "JSON object"),
    "long JSON": (lambda e: archive_of({**e, MODEL: b" " * (LARGEST_JSON + 1)}), LoadError, "at most"),
    "no graph": (lambda e: archive_of({k: v for k, v in e.items() if k != MODEL}), LoadError, "0 graphs"),
    "two graphs": (lambda e: archive_of({**e, "a/models/model.json": b"{}"}), LoadError, "2 graphs"),
    "no weights": (lambda e: archive_of({**e, WEIGHTS: b'{"config": {}}'}), LoadError, "'0.weight' is not described"),
    "a weight missing": (
        lambda e: archive_of({k: v for k, v in e.items() if k != "data/weights/weight_0"}), LoadError, "weight_0"
    ),
    "short weight": (lambda e: archive_of({**e, "data/weights/weight_0": b"1234"}), LoadError, "claims"),
    "outside": (
        lambda e: with_json(
            archive_of(e), lambda c: c["config"]["0.weight"].update(path_name="../../../etc/passwd"), WEIGHTS
        ),
        LoadError, "missing",
    ),
    "big-endian": (lambda e: archive_of({**e, "byteorder": b"big"}), LoadError, "big-endian"),
    "another schema": (
        lambda e: with_json(archive_of(e), lambda m: m["schema_version"].update(major=9)), LoadError, "version 9"
    ),
    "not finite": (
        lambda e: with_json(archive_of({**e, "data/weights/nan": b"\xff" * 80}), nan_weight, WEIGHTS),
        NotExact, "finite",
    ),
    "before torch 2.8": (
        lambda e: archive_of({"serialized_exported_program.json": b"{}", "serialized_state_dict.pt": b""}),
        LoadError, "before 2.8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ARCHIVES.values(), ids=ARCHIVES)
def test_damaged_and_lying_archives_are_refused(case):
    make, kind, word = case
    refused(make(entries_of(exported("mlp"))), kind, word)


def test_a_doubled_entry_is_refused():
    data = exported("mlp")
    with pytest.warns(UserWarning, match="Duplicate"):
        stream = zip_again(data)
    refused(stream, LoadError, "share a name")


def zip_again(data):
    stream = BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(archive.namelist()[0], b"other")
    return stream.getvalue()


def unsupported(code, **parts):
    return Lambda(lambda self, x: code(self, self.a(x)), a=lin(), **parts)


SEQUENCE = (2, 3, 4)
OPERATIONS = {
    "softmax": (lambda: nn.Sequential(mlp(4, 4), nn.Softmax(1)), VECTOR, ["layer '1' (Softmax)", "softmax", "cut"]),
    "gelu": (lambda: nn.Sequential(lin(), nn.GELU(), lin()), VECTOR, ["layer '1' (GELU)", "gelu", "cut the model"]),
    "sigmoid": (lambda: unsupported(lambda s, h: h.sigmoid()), VECTOR, ["Lambda at pt2_archives.py:", "sigmoid"]),
    "lstm": (lambda: Lambda(lambda s, x: s.rnn(x)[0], rnn=nn.LSTM(4, 3)), SEQUENCE, ["layer 'rnn' (LSTM)", "lstm"]),
    "gru": (lambda: Lambda(lambda s, x: s.rnn(x)[0], rnn=nn.GRU(4, 3, batch_first=True)), SEQUENCE, ["'rnn'", "gru"]),
    "attention": (
        lambda: Lambda(lambda s, x: s.att(x, x, x)[0], att=nn.MultiheadAttention(4, 2, batch_first=True)), SEQUENCE,
        ["layer 'att' (MultiheadAttention)", "multi_head_attention_forward"],
    ),
    "transformer": (
        lambda: nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)), SEQUENCE,
        ["'0.self_attn'", "multi_head_attention_forward"],
    ),
    "dot products": (
        lambda: Lambda(lambda s, x: functional.scaled_dot_product_attention(x, x, x)), SEQUENCE,
        ["scaled_dot_product_attention"],
    ),
    "layer norm": (lambda: nn.Sequential(lin(), nn.LayerNorm(4)), VECTOR, ["layer '1' (LayerNorm)", "layer_norm"]),
    "product": (lambda: unsupported(lambda s, h: h * h), VECTOR, ["mul", "product of two values"]),
    "batch mean": (lambda: unsupported(lambda s, h: h - h.mean(0, keepdim=True)), VECTOR, ["mean", "samples"]),
    "samples mixed": (lambda: unsupported(lambda s, h: h.flip(0)), VECTOR, ["flip", "samples"]),
    "indices": (lambda: unsupported(lambda s, h: h + h.max(1, keepdim=True)[1]), VECTOR, ["add", "beside the first"]),
    "shared memory": (
        lambda: unsupported(lambda s, h: h.view(2, 2, 2)[:, 0].relu_() + h[:, :2]), VECTOR, ["in place"],
    ),
    "narrower": (lambda: unsupported(lambda s, h: h.half()), VECTOR, ["to", "rounds"]),
    "no_grad inside": (
        lambda: Lambda(lambda s, x: torch.no_grad()(s.a)(x), a=lin()), VECTOR, ["wrap_with_set_grad_enabled"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OPERATIONS.values(), ids=OPERATIONS)
def test_other_operations_are_refused_by_name_and_place(case):
    make, shape, words = case
    refused(export(make().eval(), torch.randn(shape)), UnsupportedLayer, *words)


def test_training_mode_is_refused_with_the_layer_and_the_remedy():
    data = export(conv_net().train(), torch.randn(IMAGE))
    refused(data, UnsupportedLayer, "layer '1' (BatchNorm2d)", "call eval()")


class Counter(nn.Module):
    """A buffer that changes from call to call."""

    def __init__(self):
        super().__init__()
        self.a = lin()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls.add_(1)
        return self.a(x) + self.calls


def test_changed_buffers_are_refused_however_they_are_exported():
    refused(export(Counter(), torch.randn(VECTOR)), UnsupportedLayer, "Counter", "add_", "buffer")
    refused(export(Counter(), torch.randn(VECTOR), decompose=True), LoadError, "buffer_mutation")


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


def test_other_numbers_of_inputs_and_outputs_are_refused():
    refused(export(Two(), torch.randn(VECTOR), torch.randn(VECTOR)), LoadError, "2 inputs")
    refused(export(Lambda(lambda s, x: (s.a(x), x), a=lin()), torch.randn(VECTOR)), LoadError, "2 results")
    refused(export(Lambda(lambda s, x: s.a.weight * 1, a=lin()), torch.randn(VECTOR)), LoadError, "does not depend")
    refused(export(lin(), torch.randn(4)), LoadError, "1 dimensions", "(batch, ...)")
    embedding = nn.Embedding(4, 2)
    refused(export(embedding, torch.zeros(2, 3, dtype=torch.int64)), NotExact, "int64")


@pytest.mark.parametrize("code", [lambda s, x: s.a(x) * x.shape[0], lambda s, x: s.a(x)[:, : x.shape[0]]])
def test_a_function_of_the_number_of_samples_is_refused(code):
    data = export(Lambda(code, a=lin(4, 8)), torch.randn(4, 4), dynamic=True)
    refused(data, DtdsymError, "samples")


def test_only_the_batch_may_be_dynamic():
    dims = ({2: torch.export.Dim("height", min=4, max=9)},)
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU())
    stream = BytesIO()
    torch.export.save(torch.export.export(module, (torch.randn(IMAGE),), dynamic_shapes=dims), stream)
    refused(stream.getvalue(), LoadError, "input", "dynamic")


# 200 mutations of the bytes, and as many of the JSON under intact checksums.
def outcome(data):
    """The hash of the network, or the line that refuses it; anything else is a bug."""
    try:
        return read_pt2(data).sha256
    except DtdsymError as err:
        return str(err)


def test_200_mutations_of_the_bytes_load_or_are_refused_in_one_line():
    for data in mutations(exported("conv net", variant="dynamic"), 200, seed=0):
        assert "\n" not in outcome(data)


NEW = [..., None, 0, -1, 1, 3, 2**40, 2**63, 10**30, 0.5, float("inf"), True, "", "x", "linear", [], [0], {},
       {"as_int": 0}, {"as_tensor": {"name": "x"}}, {"as_ints": [0, 0]}, {"as_none": True}, [{"as_int": 2**40}] * 4,
       "torch.ops.aten.relu.default", "torch.ops.aten.add.Tensor", "torch.ops.aten.view.default"]  # fmt: skip


@pytest.mark.parametrize("name", ["conv net", "split", "view", "constants"])
@pytest.mark.parametrize("entry", [MODEL, WEIGHTS])
def test_mutations_of_the_json_load_or_are_refused_in_one_line(name, entry):
    data = exported(name, variant="dynamic" if name == "view" else "plain")
    chance, made = random.Random(name + entry), json.loads(entries_of(data)[entry])
    graph = [place for place in json_places(made) if "metadata" not in place and "module_call_graph" not in place]
    for _ in range(60):
        changed = replaced(made, chance.choice(graph), chance.choice(NEW))
        with traced_memory() as peak:
            assert "\n" not in outcome(with_entries(data, {entry: json.dumps(changed).encode()}))
            assert peak() < 2**28


def test_every_byte_of_a_cut_archive_matters():
    data = exported("mlp")
    for end in range(0, len(data), len(data) // 40):
        with pytest.raises(DtdsymError):
            read_pt2(data[:end])
