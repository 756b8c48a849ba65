"""load: what torch.save wrote is read exactly, in every dtype, format and form."""

import hashlib
import json
import zipfile
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest
import torch
from hostile import legacy_of, mlp, save, state_dict_pickle, unzip, zip_of
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import dtdsym
from dtdsym.errors import LoadError, ShapeMismatch, UnsupportedLayer

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
FORMATS = [(False, 2), (False, 3), (False, 4), (False, 5), (True, 2), (True, 4)]


def exact(module, x):
    """The module's output at x by Fractions alone, straight from torch's own numbers."""
    for layer in module:
        if isinstance(layer, nn.Sequential):
            x = exact(layer, x)
        elif isinstance(layer, nn.Linear):
            rows = [[Fraction(w.item()) for w in row] for row in layer.weight]
            bias = [Fraction(b.item()) for b in layer.bias] if layer.bias is not None else [Fraction(0)] * len(rows)
            x = [sum((w * a for w, a in zip(row, x, strict=True)), b) for row, b in zip(rows, bias, strict=True)]
        elif isinstance(layer, nn.ReLU):
            x = [max(a, Fraction(0)) for a in x]
    return tuple(x)


@st.composite
def sequentials(draw):
    """Nested Sequentials of every supported layer; weights of any finite bit pattern, zeros and subnormals included."""
    dtype, size = draw(st.sampled_from(DTYPES)), draw(st.integers(1, 4))
    inputs, layers = size, []
    for _ in range(draw(st.integers(1, 3))):
        outputs = draw(st.integers(1, 4))
        linear = nn.Linear(size, outputs, bias=draw(st.booleans())).to(dtype)
        for parameter in linear.parameters():
            parameter.data = draw(numbers(dtype, tuple(parameter.shape)))
        layers += [linear, *draw(st.lists(st.sampled_from(QUIET), max_size=2)), nn.ReLU(inplace=draw(st.booleans()))]
        size = outputs
    layers = layers if draw(st.booleans()) else layers[:-1]
    cut = draw(st.integers(0, len(layers)))
    nested = nn.Sequential(OrderedDict(body=nn.Sequential(*layers[:cut]), head=nn.Sequential(*layers[cut:])))
    return nested if draw(st.booleans()) else nn.Sequential(*layers), inputs


QUIET = [nn.Dropout(0.5), nn.Identity(), nn.Flatten(), nn.AlphaDropout(0.1), nn.Dropout1d(0.3, inplace=True)]


@st.composite
def numbers(draw, dtype, shape):
    """A tensor of finite numbers, drawn by their bits."""
    kind = {torch.float64: torch.int64, torch.float32: torch.int32}.get(dtype, torch.int16)
    limits = torch.iinfo(kind)
    count = int(np.prod(shape))
    bits = draw(st.lists(st.integers(limits.min, limits.max), min_size=count, max_size=count))
    drawn = torch.tensor(bits, dtype=kind).view(dtype)
    return torch.where(drawn.isfinite(), drawn, torch.ones_like(drawn)).reshape(shape)


@given(sequentials(), st.sampled_from(FORMATS), st.data())
def test_every_saved_sequence_is_read_exactly(tmp_path_factory, case, form, data):
    module, size = case
    legacy, protocol = form
    path = save(module, tmp_path_factory.mktemp("net") / "net.pt", legacy=legacy, protocol=protocol)
    network = dtdsym.load(path)
    x = data.draw(st.lists(st.fractions(-3, 3, max_denominator=8), min_size=size, max_size=size))
    assert network(x) == exact(module, x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_torch_agrees_to_rounding(tmp_path, dtype, legacy):
    module = nn.Sequential(nn.Flatten(), mlp(6, 5, 4, 3, dtype=dtype), nn.Dropout(0.5))
    network = dtdsym.load(save(module, tmp_path / "net.pt", legacy=legacy))
    x = torch.randn(20, 2, 3, dtype=torch.float64)
    torch_output = module.double().eval()(x)
    ours = torch.tensor([[float(v) for v in network(row)] for row in x.flatten(1)], dtype=torch.float64)
    torch.testing.assert_close(ours, torch_output, rtol=1e-12, atol=1e-12)


def test_nodes_are_named_by_their_place(tmp_path):
    module = nn.Sequential(OrderedDict(stem=mlp(3, 4, 4), rest=nn.Sequential(nn.ReLU(), nn.Linear(4, 2))))
    network = dtdsym.load(save(module, tmp_path / "net.pt"))
    assert [node.name for node in network.nodes] == ["input", "stem.0", "stem.1", "stem.2", "rest.0", "rest.1"]
    assert network.widths == (3, 4, 4, 2)


def test_the_file_and_its_hash_are_recorded(tmp_path):
    path = save(mlp(2, 2), tmp_path / "net.pt")
    network = dtdsym.load(str(path))
    assert network.source == str(path)
    assert network.file_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_kind_of_file_is_told_by_its_content_and_torch_never_loads_it(tmp_path, monkeypatch):
    path = save(mlp(2, 2), tmp_path / "net.onnx")
    for reader in ((torch, "load"), (torch.jit, "load"), (torch.export, "load")):
        monkeypatch.setattr(*reader, None)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    assert dtdsym.load(path).widths == (2, 2)


def test_a_single_linear_layer_is_a_network(tmp_path):
    layer = nn.Linear(3, 2)
    network = dtdsym.load(save(layer, tmp_path / "net.pt"))
    assert network([1, 2, 3]) == exact([layer], [Fraction(n) for n in (1, 2, 3)])


def test_a_checkpoint_may_hold_the_whole_module(tmp_path):
    saved = {"epoch": 3, "model": mlp(2, 3, 1), "best": 0.5, "state_dict": mlp(2, 3, 1).state_dict()}
    assert dtdsym.load(save(saved, tmp_path / "net.pt")).widths == (2, 3, 1)


def test_a_layer_used_twice_is_one_array_twice(tmp_path):
    layer, free = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
    module = nn.Sequential(layer, nn.ReLU(), layer, free, nn.ReLU(), free)
    network = dtdsym.load(save(module, tmp_path / "net.pt"))
    assert network.affine(1).weight is network.affine(2).weight
    assert network.affine(3).bias is network.affine(4).bias
    assert network.widths == (3, 3, 3, 3, 3)
    assert network([1, 2, 3]) == exact(module, [Fraction(n) for n in (1, 2, 3)])


def test_views_with_strides_and_offsets_are_read_in_their_own_order(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    saved = {"weight": base[1:3, ::2].t(), "bias": base.flatten()[20:23]}
    network = dtdsym.load(save(saved, tmp_path / "net.pt"), layers=["linear:"])
    assert network.affine(1).weight.tolist() == [[6, 12], [8, 14], [10, 16]]
    assert network.affine(1).bias.tolist() == [20, 21, 22]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_big_endian_files_are_read_in_their_own_byte_order(tmp_path, dtype):
    module = mlp(3, 2, dtype=dtype)
    entries = unzip(save(module, tmp_path / "little.pt"))
    width = module[0].weight.element_size()
    for name in [name for name in entries if name.startswith("data/")]:
        entries[name] = np.frombuffer(entries[name], f"<u{width}").astype(f">u{width}").tobytes()
    big = dtdsym.load(zip_of(entries | {"byteorder": b"big"}, tmp_path / "big.pt"))
    little = dtdsym.load(tmp_path / "little.pt")
    assert big.sha256 == little.sha256


def test_a_file_without_byte_order_is_little_endian(tmp_path):
    entries = unzip(save(mlp(3, 2), tmp_path / "net.pt"))
    del entries["byteorder"]
    assert dtdsym.load(zip_of(entries, tmp_path / "old.pt")).sha256 == dtdsym.load(tmp_path / "net.pt").sha256


def test_our_helper_writes_what_load_reads(tmp_path):
    """The control of the hostile files: with honest claims the same writer is understood."""
    content = np.arange(6, dtype="<f4").tobytes()
    body = state_dict_pickle({"weight": ("0", 6, 0, (2, 3), (3, 1))})
    network = dtdsym.load(legacy_of(body, tmp_path / "net.pt", {"0": content}), layers=["linear:"])
    assert network.affine(1).weight.tolist() == [[0, 1, 2], [3, 4, 5]]


SPECS = {
    "name": "relu-mlp",
    "list": ["linear:0", "relu", "linear:2"],
    "tuple": ("linear:0", "relu", "linear:2"),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"state_dict": d, "epoch": 1}, lambda d: {"model": d}])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_state_dict_with_named_layers_is_the_module(tmp_path, spec, wrap, legacy):
    module = mlp(3, 4, 2)
    path = save(wrap(module.state_dict()), tmp_path / "net.pt", legacy=legacy)
    x = [Fraction(1), Fraction(-2), Fraction(1, 3)]
    assert dtdsym.load(path, layers=spec)(x) == exact(module, x)


def test_a_file_of_layers_is_read_as_json(tmp_path):
    module = mlp(3, 4, 2)
    path, layers = save(module.state_dict(), tmp_path / "net.pt"), tmp_path / "layers.json"
    layers.write_text(json.dumps(["linear:0", "relu", "linear:2", "relu"]))
    x = [Fraction(1), Fraction(-2), Fraction(1, 3)]
    for spec in (layers, str(layers), "relu-mlp-final"):
        assert dtdsym.load(path, layers=spec)(x) == exact([*module, nn.ReLU()], x)


@pytest.mark.parametrize("key", ["state_dict", None])
def test_our_header_names_the_layers(tmp_path, key):
    module = mlp(3, 4, 2)
    header = {"format": 1, "layers": ["linear:0", "relu", "linear:2"]}
    weights = {key: module.state_dict()} if key else dict(module.state_dict())
    network = dtdsym.load(save({"dtdsym": header, **weights}, tmp_path / "net.pt"))
    assert network([1, 2, 3]) == exact(module, [Fraction(n) for n in (1, 2, 3)])


def test_prefixes_of_wrapped_models_do_not_matter_to_relu_mlp(tmp_path):
    module = nn.DataParallel(nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 1)))
    network = dtdsym.load(save(module.state_dict(), tmp_path / "net.pt"), layers="relu-mlp")
    assert network([1, 2, 3]) == exact(module.module, [Fraction(n) for n in (1, 2, 3)])


STATE_DICT_REFUSALS = {
    "no header, no layers": (dict(mlp(2, 2).state_dict()), None, LoadError, "weights alone do not define a function"),
    "header and layers": (
        {"dtdsym": {"format": 1, "layers": ["linear:0"]}, **mlp(2, 2).state_dict()},
        "relu-mlp",
        LoadError,
        "names its layers itself",
    ),
    "header of another format": (
        {"dtdsym": {"format": 2, "layers": ["linear:0"]}, **mlp(2, 2).state_dict()},
        None,
        LoadError,
        "dtdsym header",
    ),
    "header without a list": (
        {"dtdsym": {"format": 1, "layers": "relu-mlp"}, **mlp(2, 2).state_dict()},
        None,
        LoadError,
        "no list of layer names",
    ),
    "layers of a whole module": (mlp(2, 2), "relu-mlp", LoadError, "whole module"),
    "unknown name or file": (dict(mlp(2, 2).state_dict()), "relu-cnn", LoadError, "relu-mlp or relu-mlp-final"),
    "unknown step": (dict(mlp(2, 2).state_dict()), ["linear:0", "tanh"], UnsupportedLayer, "layer 2 is 'tanh'"),
    "linear without prefix": (dict(mlp(2, 2).state_dict()), ["linear"], UnsupportedLayer, "layer 1 is 'linear'"),
    "not a list": (dict(mlp(2, 2).state_dict()), {"linear:0": 1}, LoadError, "no list of layer names"),
    "missing weights": (
        dict(mlp(2, 2).state_dict()),
        ["linear:1"],
        LoadError,
        "no '1.weight'; it has 0.weight, 0.bias",
    ),
    "forgotten weights": (dict(mlp(2, 2, 2).state_dict()), ["linear:0"], LoadError, "'2.weight' belong to none"),
    "no layers named": ({"model": {"weight": torch.ones(2, 2)}}, [], LoadError, "belong to none"),
    "two candidates": (
        {"model": mlp(2, 2).state_dict(), "state_dict": mlp(2, 2).state_dict()},
        "relu-mlp",
        LoadError,
        "both a state_dict and a model",
    ),
    "batch norm": (
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).state_dict(),
        "relu-mlp",
        UnsupportedLayer,
        "'1.running_mean'",
    ),
    "parametrised": (
        nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)).state_dict(),
        "relu-mlp",
        UnsupportedLayer,
        "parametrizations.weight.original0",
    ),
    "no tensors": ({"state_dict": {"a": 1}, "b": torch.ones(1)}, "relu-mlp", LoadError, "a dict under 'state_dict'"),
    "not chaining": (
        dict(nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1)).state_dict()),
        "relu-mlp",
        ShapeMismatch,
        "'1' takes 4 numbers but receives 3",
    ),
}


@pytest.mark.parametrize("case", STATE_DICT_REFUSALS.values(), ids=STATE_DICT_REFUSALS)
def test_a_state_dict_is_refused_by_name(tmp_path, case):
    saved, layers, error, words = case
    path = save(saved, tmp_path / "net.pt")
    with pytest.raises(error) as caught:
        dtdsym.load(path, layers=layers)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


BAD_LAYERS = {
    "not json": ("not json", "not JSON"),
    "nested without end": ("[" * 100_000, "not JSON"),
    "an object": ('{"layers": 1}', "no list of layer names"),
    "a number in it": ("[1]", "no list of layer names"),
    "too long": ("[" + " " * 2**20 + "]", "over 1048576 bytes"),
}


@pytest.mark.parametrize("case", BAD_LAYERS.values(), ids=BAD_LAYERS)
def test_a_bad_file_of_layers_is_refused(tmp_path, case):
    content, words = case
    path, layers = save(mlp(2, 2).state_dict(), tmp_path / "net.pt"), tmp_path / "layers.json"
    layers.write_text(content)
    with pytest.raises(LoadError, match=rf"layers\.json: {words}; expected a list such as") as caught:
        dtdsym.load(path, layers=layers)
    assert str(caught.value).isprintable()


def test_torch_saves_uncompressed_as_the_reader_demands(tmp_path):
    with zipfile.ZipFile(save(mlp(3, 2), tmp_path / "net.pt")) as archive:
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
