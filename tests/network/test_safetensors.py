"""Files of safetensors: those of the safetensors package are read exactly, and every flaw is refused by name."""

import json
import struct

import numpy as np
import pytest
import torch
from hostile import (
    legacy_of,
    mlp,
    mutations,
    pickled,
    safetensors_of,
    save,
    state_dict_pickle,
    traced_memory,
    unzip,
    zip_of,
)  # fmt: skip
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file, save_file
from torch import nn

import dtdsym
from dtdsym.errors import DtdsymError, LoadError, NotExact, ShapeMismatch
from dtdsym.network.files.safetensors import Safetensors, written
from dtdsym.network.files.save import save_pt, save_safetensors
from dtdsym.network.network import Network

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_package_s_files_are_read_exactly(tmp_path, dtype):
    tensor = torch.randn(3, 4).to(dtype)
    save_file({"weight": tensor, "bias": torch.zeros(3, dtype=dtype)}, tmp_path / "net.safetensors", {"format": "pt"})
    network = dtdsym.load(tmp_path / "net.safetensors", layers=["linear:"])
    assert network.layer(1).linear.weight.tolist() == tensor.double().tolist()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(bits=st.lists(st.integers(0, 2**16 - 1), min_size=4, max_size=4))
def test_every_bit_pattern_is_read_as_torch_reads_it(tmp_path_factory, dtype, bits):
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    tensor = torch.from_numpy(np.array(bits * dtype.itemsize, dtype=np.uint16)[: 2 * dtype.itemsize]).view(dtype)
    save_file({"weight": tensor.clone()}, path)
    ours = Safetensors(path.read_bytes()).read("weight", "the weight")
    np.testing.assert_array_equal(ours, tensor.double().numpy())


def test_a_state_dict_is_the_same_network_in_both_formats(tmp_path):
    module = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1))
    save_file(module.state_dict(), tmp_path / "net.safetensors")
    words = ["conv:0", "batchnorm:1", "relu", "flatten", "linear:4"]
    network = dtdsym.load(tmp_path / "net.safetensors", layers=words, input_shape=(1, 3, 3))
    assert network.sha256 == dtdsym.load(save(module, tmp_path / "net.pt"), input_shape=(1, 3, 3)).sha256


def test_the_package_reads_what_we_write(tmp_path):
    network = dtdsym.load(save(mlp(3, 4, 2), tmp_path / "net.pt"))
    save_safetensors(network, tmp_path / "net.safetensors")
    tensors = load_file(tmp_path / "net.safetensors")
    assert torch.equal(tensors["n1.weight"], mlp(3, 4, 2)[0].weight)
    assert load_numpy(tmp_path / "net.safetensors")["n3.bias"].tolist() == mlp(3, 4, 2)[2].bias.tolist()


def test_weights_alone_do_not_define_a_function(tmp_path):
    save_file(mlp(2, 2).state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(LoadError, match="weights alone do not define a function: name the layers with --layers"):
        dtdsym.load(tmp_path / "net.safetensors")


def test_our_header_of_layers_is_read_here_too(tmp_path):
    header = json.dumps({"format": 1, "layers": ["linear:0", "relu", "linear:2"]})
    save_file(mlp(3, 4, 2).state_dict(), tmp_path / "net.safetensors", {"dtdsym": header})
    whole = dtdsym.load(save(mlp(3, 4, 2), tmp_path / "net.pt"))
    assert dtdsym.load(tmp_path / "net.safetensors").sha256 == whole.sha256


ONE = {"weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}}


def one(**fields):
    return {"weight": ONE["weight"] | fields}


def two(begin, end):
    return {**ONE, "bias": {"dtype": "F32", "shape": [1], "data_offsets": [begin, end]}}


FLAWS = {
    "more claimed than there is": (one(shape=[10**6, 10**6], data_offsets=[0, 4 * 10**12]), LoadError, "4 are there"),
    "shape beyond the bytes": (one(shape=[10**6, 10**6]), LoadError, "takes 4000000000000 bytes, but 4 are its own"),
    "endless shape": (one(shape=[2**47] * 32), LoadError, "bytes, but 4 are its own"),
    "endless dimensions": (one(shape=[1] * 33), LoadError, "no natural numbers"),
    "endless integers": (one(shape=[10**4000]), LoadError, "no natural numbers"),
    "true for one": (one(shape=[True, 1]), LoadError, "no natural numbers"),
    "floats": (one(shape=[1.0, 1]), LoadError, "no natural numbers"),
    "negative": (one(shape=[-1, -1]), LoadError, "no natural numbers"),
    "offsets backwards": (one(data_offsets=[4, 0]), LoadError, "takes 4 bytes, but -4"),
    "one offset": (one(data_offsets=[4]), LoadError, "no natural numbers"),
    "overlap": (two(0, 4), LoadError, "begins at byte 0, where 4 is free"),
    "gap": (two(8, 12), LoadError, "begins at byte 8, where 4 is free"),
    "bytes of nobody": ({}, LoadError, "take 0 bytes, but 4 are there"),
    "unknown dtype": (one(dtype="F4"), LoadError, "unknown dtype F4"),
    "dtype that is a list": (one(dtype=["F32"]), LoadError, "unknown dtype"),
    "integers": (one(dtype="I32"), NotExact, "has dtype I32; supported are F16"),
    "eight bits": (one(dtype="F8_E5M2", shape=[4, 1]), NotExact, "has dtype F8_E5M2"),
    "empty": (
        {**ONE, "bias": {"dtype": "F32", "shape": [0], "data_offsets": [4, 4]}},
        ShapeMismatch,
        "has shape [0], which is empty",
    ),
    "more fields": (one(strides=[1]), LoadError, "'weight' is not described by dtype, shape and data_offsets"),
    "not described": ({"weight": 1}, LoadError, "'weight' is not described"),
    "metadata of numbers": ({**ONE, "__metadata__": {"format": 1}}, LoadError, "metadata is not words"),
    "metadata that is a list": ({**ONE, "__metadata__": []}, LoadError, "metadata is not words"),
}


@pytest.mark.parametrize("flaw", FLAWS.values(), ids=FLAWS)
def test_a_file_is_refused_at_its_planted_flaw(tmp_path, flaw):
    header, error, words = flaw
    path = safetensors_of(json.dumps(header).encode(), tmp_path / "net", b"\0\0\x80\x3f")
    with traced_memory() as peak, pytest.raises(DtdsymError) as caught:
        dtdsym.load(path, layers=["linear:"])
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert peak() < 10**6


def test_control_without_a_flaw_it_is_a_network(tmp_path):
    path = safetensors_of(json.dumps(ONE).encode(), tmp_path / "net", b"\0\0\x80\x3f")
    assert dtdsym.load(path, layers=["linear:"])([3]) == (3,)


TEXTS = {
    "no JSON": b'{"weight": ',
    "nested without end": b'{"a":' * 20_000,
    "lists without end": b'{"a":' + b"[" * 100_000,
    "a key twice": b'{"a":' + json.dumps(ONE["weight"]).encode() + b',"a":' + json.dumps(ONE["weight"]).encode() + b"}",
    "infinity": b'{"__metadata__":{"a":Infinity}}',
    "digits without end": b'{"a":' + b"9" * 5000 + b"}",
    "no unicode": b'{"\xff\xfe":1}',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_header_that_is_no_json_is_refused(tmp_path, text):
    path = safetensors_of(text, tmp_path / "net", b"\0\0\x80\x3f")
    with pytest.raises(LoadError, match="safetensors header is no valid JSON"):
        dtdsym.load(path, layers=["linear:"])


def test_a_header_that_is_no_object_is_refused():
    with pytest.raises(LoadError, match="no JSON object"):
        Safetensors(struct.pack("<Q", 2) + b"[]")


@pytest.mark.parametrize("text", ["{", "[" * 50_000, "[]", '{"format": 2}', '{"format": true}', "NaN"])
def test_metadata_of_ours_that_is_flawed_is_refused(tmp_path, text):
    path = tmp_path / "net"
    path.write_bytes(written({"weight": np.ones((1, 1))}, {"dtdsym": text}))
    with pytest.raises(LoadError, match="its dtdsym header"):
        dtdsym.load(path)


@pytest.mark.parametrize("length", [2**39, 2**23 + 1, 10**6])
def test_a_header_longer_than_the_file_is_refused(tmp_path, length):
    (tmp_path / "net").write_bytes(struct.pack("<Q", length) + b'{"a": 1}')
    with traced_memory() as peak, pytest.raises(LoadError, match=f"header claims {length} bytes"):
        dtdsym.load(tmp_path / "net")
    assert peak() < 10**6


# Two hundred mutations of every good file: refused in one line or read, and nothing is executed on the way.


def good_files(folder):
    """A file of each kind, and the words that it needs."""
    module = nn.Sequential(nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), mlp(2, 1))
    words = {"layers": ["conv:0", "batchnorm:1", "relu", "maxpool:2", "flatten", "linear:5.0"]}
    shape = {"input_shape": (1, 3)}
    network = dtdsym.load(save(module, folder / "module.pt"), **shape)
    save(module, folder / "module.legacy", legacy=True)
    save({"state_dict": dict(module.state_dict()), "epoch": 1}, folder / "dict.pt")
    save({"model": dict(module.state_dict())}, folder / "dict.legacy", legacy=True)
    save_file(module.state_dict(), folder / "dict.safetensors")
    save_pt(network, folder / "ours.pt")
    save_safetensors(network, folder / "ours.safetensors")
    claim = {"weight": ("0", 4, 0, (2, 2), (2, 1))}
    legacy_of(state_dict_pickle(claim), folder / "claim.legacy", {"0": b"\0" * 16})
    pickled(folder / "claim.pt", state_dict_pickle(claim), legacy=False, storages={"0": b"\0" * 16})
    needs = {"module": shape, "dict": words | shape, "ours": {}, "claim": {"layers": ["linear:"]}}
    return {path.name: (path.read_bytes(), needs[path.stem]) for path in folder.iterdir()}


NAMES = ["module.pt", "module.legacy", "dict.pt", "dict.legacy", "dict.safetensors", "ours.pt", "ours.safetensors"]


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("name", [*NAMES, "claim.pt", "claim.legacy"])
def test_mutated_files_are_refused_in_one_line_or_read_as_a_network(tmp_path, monkeypatch, name):
    content, needs = good_files(tmp_path)[name]
    assert isinstance(dtdsym.load(tmp_path / name, **needs), Network)
    for executor in ("load", "jit.load", "export.load"):
        monkeypatch.setattr(f"torch.{executor}", None)
    complaints = []
    for mutated in mutations(content, 200, seed=len(name)):
        (tmp_path / "mutated").write_bytes(mutated)
        complaints.append(complaint(tmp_path / "mutated", needs))
    assert all(line.isprintable() for line in complaints)
    assert sum(map(bool, complaints)) > 50


def complaint(path, needs):
    """The line in which load refuses the file, or '' if it is a network after all. Any other error is a failure."""
    try:
        assert isinstance(dtdsym.load(path, **needs), Network)
    except DtdsymError as err:
        return str(err)
    return ""


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("name", ["module.pt", "dict.pt", "ours.pt"])
def test_mutated_pickles_behind_an_intact_archive_too(tmp_path, name):
    """No checksum meets the damage first."""
    needs = good_files(tmp_path)[name][1]
    entries = unzip(tmp_path / name)
    complaints = []
    for mutated in mutations(entries["data.pkl"], 200, seed=7):
        complaints.append(complaint(zip_of(entries | {"data.pkl": mutated}, tmp_path / "mutated"), needs))
    assert all(line.isprintable() for line in complaints)
    assert 50 < sum(map(bool, complaints)) < 200
