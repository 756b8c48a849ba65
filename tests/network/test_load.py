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
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import convolutional
from torch import nn
from torch.nn import functional

import dtdsym
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.errors import LoadError, NotExact, ShapeMismatch, UnsupportedLayer
from dtdsym.network.evaluate import evaluate

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


@given(convolutional(), st.sampled_from(FORMATS))
@settings(max_examples=80)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_every_convolutional_sequence_is_what_torch_computes(tmp_path_factory, case, form):
    module, shape = case
    legacy, protocol = form
    path = save(module, tmp_path_factory.mktemp("net") / "net.pt", legacy=legacy, protocol=protocol)
    network = dtdsym.load(path, input_shape=shape)
    x = torch.randn(3, *shape, dtype=torch.float64)
    ours = evaluate(network, TENSOR, {0: x.flatten(1)})[len(network.nodes) - 1]
    torch.testing.assert_close(ours, module.double()(x).flatten(1), rtol=1e-9, atol=1e-9)
    assert network.input_shape == shape
    assert network.sha256 == dtdsym.from_module(module, x).sha256


@given(convolutional())
@settings(max_examples=20)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_training_mode_changes_nothing(tmp_path_factory, case):
    module, shape = case
    path = save(module.train(), tmp_path_factory.mktemp("net") / "net.pt")
    assert dtdsym.load(path, input_shape=shape).sha256 == dtdsym.from_module(module, torch.zeros(2, *shape)).sha256


MOVES = {
    "unflatten": (nn.Sequential(nn.Linear(6, 6), nn.Unflatten(1, (1, -1, 2)), nn.Conv2d(1, 2, 2), nn.Flatten()), None),
    "unflatten the last": (nn.Sequential(nn.Linear(6, 6), nn.Unflatten(-1, (2, 3)), nn.MaxPool1d(2)), None),
    "flatten some": (nn.Sequential(nn.Conv2d(2, 4, 2), nn.Flatten(2), nn.MaxPool1d(2), nn.Flatten(-2, -1)), (2, 3, 4)),
    "linear on the last": (nn.Sequential(nn.Conv1d(2, 3, 2), nn.ReLU(), nn.Linear(3, 2)), (2, 4)),
    "norm of a vector": (nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU()), None),
    "average without padding": (nn.Sequential(nn.Conv1d(1, 1, 1), nn.AvgPool1d(3, 2, 1, True, False)), (1, 6)),
    "average with padding": (nn.Sequential(nn.Conv2d(1, 1, 1), nn.AvgPool2d(3, 2, 1, True)), (1, 6, 5)),
    "average by a divisor": (nn.Sequential(nn.Conv3d(1, 1, 1), nn.AvgPool3d(2, divisor_override=3)), (1, 3, 2, 4)),
    "maximum": (nn.Sequential(nn.Conv2d(2, 2, 1), nn.MaxPool2d((3, 2), (2, 1), 1, (1, 2), ceil_mode=True)), (2, 6, 5)),
    "one size open": (nn.Sequential(nn.Conv2d(1, 1, 2), nn.AdaptiveMaxPool2d((None, 1))), (1, 4, 5)),
    "no batches tracked": (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), (3,)),
    "flat inputs of a shape": (nn.Sequential(nn.Flatten(), nn.Linear(6, 1)), (2, 3)),
}
del MOVES["no batches tracked"][0][1]._buffers["num_batches_tracked"]


@pytest.mark.parametrize("case", MOVES.values(), ids=MOVES)
def test_numbers_are_moved_as_torch_moves_them(tmp_path, case):
    module, shape = case
    network = dtdsym.load(save(module, tmp_path / "net.pt"), input_shape=shape)
    x = torch.randn(4, *network.input_shape, dtype=torch.float64)
    ours = evaluate(network, TENSOR, {0: x.flatten(1)})[len(network.nodes) - 1]
    torch.testing.assert_close(ours, module.double().eval()(x).flatten(1))


BAD_SHAPES = {
    "channels": ((1, 4, 4), "with inputs of shape 1,4,4 (--input-shape): layer '0'"),
    "no channels": ((4, 4), "with inputs of shape 4,4 (--input-shape): layer '0'"),
    "too small": ((2, 2, 2), "with inputs of shape 2,2,2 (--input-shape): "),
    "another size": ((2, 5, 5), "layer '3' takes 8 numbers but receives 18"),
    "nothing": ((), "expected positive numbers"),
    "negative": ((2, -4, -4), "expected positive numbers"),
    "too many": ((2, 10**6, 10**6), "the input shape is 2,1000000,1000000"),
    "no numbers": (("2", "4"), "no list of whole numbers"),
    "one number": (4, "no list of whole numbers"),
}


@pytest.mark.parametrize("case", BAD_SHAPES.values(), ids=BAD_SHAPES)
def test_an_input_shape_that_does_not_fit_is_refused(tmp_path, case):
    shape, words = case
    path = save(nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1)), tmp_path / "net.pt")
    assert dtdsym.load(path, input_shape=[2, 4, np.int64(4)]).input_shape == (2, 4, 4)
    with pytest.raises(ShapeMismatch) as caught:
        dtdsym.load(path, input_shape=shape)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


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


TRAINED = {"epoch": 3, "loss": 0.25, "best": None, "history": [1.5, (2, "x")], "amp": {"scale": 65536.0}}


def optimizer_of(module):
    """After a step, so that it holds tensors and numbers of its own."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    module(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


CHECKPOINTS = {
    "state_dict": lambda d: {"state_dict": d},
    "model": lambda d: {"model": d},
    "model_state_dict": lambda d: {"model_state_dict": d},
    "net": lambda d: {"net": d},
    "one deeper": lambda d: {"model": {"state_dict": d, "name": "mlp"}},
    "one deeper, under any name": lambda d: {"checkpoint": {"net": d}},
    "beside a description": lambda d: {"model": {"name": "mlp", "width": 4}, "state_dict": d},
    "wrapped": lambda d: {"net": {f"module.{key}": value for key, value in d.items()}},
    "wrapped twice": lambda d: {"net": {f"_orig_mod.module.{key}": value for key, value in d.items()}},
}


@pytest.mark.parametrize("wrap", CHECKPOINTS.values(), ids=CHECKPOINTS)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_checkpoint_holds_the_weights_beside_much_else(tmp_path, wrap, legacy):
    module = mlp(3, 4, 2)
    saved = {**TRAINED, "optimizer": optimizer_of(module), **wrap(dict(module.state_dict()))}
    path = save(saved, tmp_path / "net.pt", legacy=legacy)
    whole = dtdsym.load(save(module, tmp_path / "whole.pt"))
    for layers in ("relu-mlp", ["linear:0", "relu", "linear:2"]):
        assert dtdsym.load(path, layers=layers).sha256 == whole.sha256


def test_names_may_be_given_with_their_wrapper_too(tmp_path):
    module = nn.DataParallel(mlp(3, 4, 2))
    path = save(module.state_dict(), tmp_path / "net.pt")
    full = dtdsym.load(path, layers=["linear:module.0", "relu", "linear:module.2"])
    assert full.sha256 == dtdsym.load(path, layers="relu-mlp").sha256


def test_a_prefix_that_not_all_names_share_stays(tmp_path):
    weights = {"module.weight": torch.ones(2, 3), "weight": torch.ones(1, 2)}
    network = dtdsym.load(save(weights, tmp_path / "net.pt"), layers=["linear:module", "relu", "linear:"])
    assert network.widths == (3, 2, 1)


AMBIGUOUS = {
    "two modules": ({"model": mlp(2, 2), "net": mlp(2, 2)}, "both a model and a net"),
    "two deeper": (
        {"ema": {"model": dict(mlp(2, 2).state_dict())}, "raw": {"model": dict(mlp(2, 2).state_dict())}},
        "both a ema.model and a raw.model",
    ),
    "too deep": ({"a": {"b": {"model": dict(mlp(2, 2).state_dict())}}}, "a dict, not a network"),
    "under another name": ({"weights": dict(mlp(2, 2).state_dict())}, "a dict, not a network"),
}


@pytest.mark.parametrize("case", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_checkpoint_is_refused_by_name(tmp_path, case):
    saved, words = case
    with pytest.raises(LoadError, match=words):
        dtdsym.load(save(saved, tmp_path / "net.pt"), layers="relu-mlp")


def test_a_layer_used_twice_is_one_array_twice(tmp_path):
    layer, free = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
    module = nn.Sequential(layer, nn.ReLU(), layer, free, nn.ReLU(), free)
    network = dtdsym.load(save(module, tmp_path / "net.pt"))
    first, second, third, fourth = (layer.linear for layer in network.layers)
    assert first.weight is second.weight
    assert third.bias is fourth.bias
    assert network.widths == (3, 3, 3, 3, 3)
    assert network([1, 2, 3]) == exact(module, [Fraction(n) for n in (1, 2, 3)])


def test_views_with_strides_and_offsets_are_read_in_their_own_order(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    saved = {"weight": base[1:3, ::2].t(), "bias": base.flatten()[20:23]}
    network = dtdsym.load(save(saved, tmp_path / "net.pt"), layers=["linear:"])
    assert network.layer(1).linear.weight.tolist() == [[6, 12], [8, 14], [10, 16]]
    assert network.layer(1).linear.bias.tolist() == [20, 21, 22]


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
    assert network.layer(1).linear.weight.tolist() == [[0, 1, 2], [3, 4, 5]]


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


class Residual(nn.Module):
    """A class of one's own that is a sequence all the same."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2, bias=False)
        self.bn1 = nn.BatchNorm2d(4, eps=1e-3)
        self.conv2 = nn.Conv2d(4, 4, (3, 2), padding="same", dilation=(1, 2))
        self.bn2 = nn.BatchNorm2d(4, affine=False)
        self.fc = nn.Linear(4, 3)
        for norm in (self.bn1, self.bn2):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)
        x = self.bn2(self.conv2(x))
        x = functional.avg_pool2d(x, (2, 3), stride=(1, 2), padding=(0, 1), count_include_pad=False)
        return self.fc(functional.adaptive_avg_pool2d(x, 1).flatten(1))


WORDS = [
    "conv:conv1:stride=2:padding=1:groups=2", "batchnorm:bn1:eps=1e-3", "relu", "maxpool:3:stride=2:padding=1:ceil=1",
    "conv:conv2:padding=same:dilation=1,2", "batchnorm:bn2", "avgpool:2,3:stride=1,2:padding=0,1:count_include_pad=0",
    "adaptiveavgpool:1", "flatten", "linear:fc",
]  # fmt: skip


@pytest.mark.parametrize("wrapped", [False, True])
def test_words_name_a_convolutional_sequence(tmp_path, wrapped):
    module = Residual().eval()
    weights = (nn.DataParallel(module) if wrapped else module).state_dict()
    network = dtdsym.load(save(weights, tmp_path / "net.pt"), layers=WORDS, input_shape=(2, 12, 12))
    assert network.sha256 == dtdsym.from_module(module, torch.zeros(1, 2, 12, 12)).sha256


def test_words_leave_the_input_open_too(tmp_path):
    path = save(Residual().state_dict(), tmp_path / "net.pt")
    with pytest.raises(LoadError, match=r"its first layer, 'conv1' \(conv\).*--input-shape 2,28,28 "):
        dtdsym.load(path, layers=WORDS)


CONV = nn.Conv2d(1, 1, 2).state_dict()
NORM = nn.BatchNorm1d(2).state_dict()
BAD_WORDS = {
    "unknown option": (
        CONV,
        ["conv::strides=2"],
        UnsupportedLayer,
        "its options are stride, padding, dilation, groups",
    ),
    "an option twice": (CONV, ["conv::stride=2:stride=2"], UnsupportedLayer, "each once"),
    "a word for a number": (CONV, ["conv::stride=two"], UnsupportedLayer, "stride is whole numbers"),
    "endless digits": (CONV, ["conv::stride=" + "9" * 5000], UnsupportedLayer, "stride is whole numbers"),
    "stride 0": (CONV, ["conv::stride=0"], ShapeMismatch, "expected one positive number"),
    "groups of two numbers": (CONV, ["conv::groups=1,1"], UnsupportedLayer, "groups is one whole number"),
    "too many numbers": (CONV, ["conv::stride=1,1,1"], ShapeMismatch, "2 spatial dimensions"),
    "no kernel": (CONV, ["conv:", "maxpool"], UnsupportedLayer, "layer 2 is 'maxpool'"),
    "empty kernel": (CONV, ["conv:", "maxpool:"], UnsupportedLayer, "the kernel is whole numbers"),
    "a conv of a linear layer": (mlp(2, 2).state_dict(), ["conv:0"], ShapeMismatch, "weight of shape (2, 2)"),
    "a linear layer of a conv": (CONV, ["linear:"], ShapeMismatch, "layer 'linear'"),
    "batchnorm of a conv": (CONV, ["batchnorm:"], LoadError, "no 'running_mean'"),
    "batchnorm forgotten": (
        {**mlp(2, 2).state_dict(), **{f"1.{key}": value for key, value in NORM.items()}},
        ["linear:0"],
        LoadError,
        "'1.weight' belong to none",
    ),
    "epsilon in words": (NORM, ["batchnorm::eps=small"], UnsupportedLayer, "eps is a number such as 1e-5"),
    "infinite epsilon": (NORM, ["batchnorm::eps=1e999"], NotExact, "epsilon inf"),
    "colons in relu": (CONV, ["conv:", "relu:"], UnsupportedLayer, "layer 2 is 'relu:'"),
}


@pytest.mark.parametrize("case", BAD_WORDS.values(), ids=BAD_WORDS)
def test_words_that_name_no_layer_are_refused(tmp_path, case):
    weights, layers, error, words = case
    path = save(dict(weights), tmp_path / "net.pt")
    shape = (2,) if "batchnorm::" in layers[0] else (1, 4, 4)
    with pytest.raises(error) as caught:
        dtdsym.load(path, layers=layers, input_shape=shape)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


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
