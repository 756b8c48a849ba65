"""Every file that must be refused: each has one planted flaw, and is refused for it, in one line, by name."""

import io
import json
import operator
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import Touch, legacy_of, mlp, pickled, save, state_dict_pickle, traced_memory, unzip, zip_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import dtdsym
from dtdsym.errors import DtdsymError, LoadError, NotExact, ShapeMismatch, UnsupportedLayer
from dtdsym.network.files import unpickle
from dtdsym.network.network import Network

BOTH = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def refuse(path, error, *words, layers=None):
    """load must raise exactly this error, in one line that names the file and holds these words."""
    with pytest.raises(DtdsymError) as caught:
        dtdsym.load(path, layers=layers)
    message = str(caught.value)
    assert type(caught.value) is error, message
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    for word in words:
        assert word in message


# Pickles that would execute code. Each hides the call behind another operation of the pickle machine.


def by_reduce(path):
    return pickle.dumps(Touch(path), protocol=2), "posix.mkdir"


def by_stack_global(path):
    return pickle.dumps(Touch(path), protocol=4), "posix.mkdir"


def inside_a_state_dict(path):
    return pickle.dumps({"state_dict": {}, "optimizer": [(Touch(path),)]}, protocol=2), "posix.mkdir"


def by_text_protocol(path):
    return b"\x80\x02cos\nsystem\n(X" + _text(f"touch {path}") + b"tR.", "os.system"


def by_inst(path):
    return b"\x80\x02(X" + _text(f"touch {path}") + b"ios\nsystem\n.", "operation INST"


def by_obj(path):
    return b"\x80\x02(cos\nsystem\nX" + _text(f"touch {path}") + b"o.", "operation OBJ"


def by_attribute(path):
    """eval under the name of builtins, called by its attribute."""
    command = f"open({str(path)!r}, 'w')"
    return b"\x80\x02c__builtin__\neval\nX" + _text(command) + b"\x85R.", "__builtin__.eval"


def by_torch_itself(path):
    """torch's own function that unpickles bytes without restriction."""
    inner = io.BytesIO()
    torch.save(Touch(path), inner)
    body = b"\x80\x04ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(inner.getvalue())) + inner.getvalue()
    return body + b"\x85R.", "torch.storage._load_from_bytes"


def as_a_layer(path):
    module = nn.Sequential(nn.Linear(1, 1))
    module._modules["1"] = Touch(path)
    module[0]._parameters.clear()
    return pickle.dumps(module, protocol=2), "posix.mkdir"


def by_a_dictionary_of_another_kind(path):
    """The state of an OrderedDict, whose attribute would be called instead of its method."""
    return b"\x80\x02ccollections\nOrderedDict\n)R}X" + _text("items") + b"cos\nsystem\nsb.", "damaged"


def _text(text):
    return struct.pack("<I", len(text.encode())) + text.encode()


EXECUTING = [
    by_reduce,
    by_stack_global,
    inside_a_state_dict,
    by_text_protocol,
    by_inst,
    by_obj,
    by_attribute,
    by_torch_itself,
    as_a_layer,
]


@pytest.mark.parametrize("payload", EXECUTING, ids=lambda p: p.__name__)
def test_control_the_planted_pickles_do_execute(tmp_path, payload):
    marker = tmp_path / "marker"
    pickle.loads(payload(marker)[0])
    assert marker.exists()


@BOTH
@pytest.mark.parametrize("payload", [*EXECUTING, by_a_dictionary_of_another_kind], ids=lambda p: p.__name__)
def test_a_pickle_that_would_execute_code_is_refused_and_does_not_run(tmp_path, payload, legacy):
    marker = tmp_path / "marker"
    body, word = payload(marker)
    refuse(pickled(tmp_path / "net.pt", body, legacy=legacy), LoadError, word)
    assert not marker.exists()


@BOTH
def test_torch_saves_such_a_file_too_and_it_does_not_run(tmp_path, legacy):
    marker = tmp_path / "marker"
    path = save({"state_dict": mlp(2, 2).state_dict(), "extra": Touch(marker)}, tmp_path / "net.pt", legacy=legacy)
    refuse(path, LoadError, "posix.mkdir", "nothing in a file is ever executed", layers="relu-mlp")
    assert not marker.exists()


def poisoned_convolution(poison):
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    module[0].stride = poison
    return module


def poisoned_statistics(poison):
    module = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    module[1]._buffers["num_batches_tracked"] = poison
    return module


POISONED = {
    "field of a layer": poisoned_convolution,
    "buffer that nobody reads": poisoned_statistics,
    "our header": lambda poison: {"dtdsym": poison, "state_dict": mlp(2, 2).state_dict()},
    "within our header": lambda poison: {"dtdsym": {"format": 2, "nodes": [poison]}, "weight": torch.ones(1)},
    "optimizer": lambda poison: {"optimizer": {"state": {0: poison}}, "model": {"state_dict": mlp(2, 2).state_dict()}},
    "beside the module": lambda poison: {"args": poison, "model": mlp(2, 2)},
}


@BOTH
@pytest.mark.parametrize("place", POISONED.values(), ids=POISONED)
def test_poison_does_not_run_wherever_it_stands(tmp_path, place, legacy):
    marker = tmp_path / "marker"
    path = save(place(Touch(marker)), tmp_path / "net.pt", legacy=legacy)
    refuse(path, LoadError, "posix.mkdir", "nothing in a file is ever executed")
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_machine_before_the_object_in_the_old_format_does_not_run_either(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "net.pt"
    path.write_bytes(pickle.dumps(Touch(marker), protocol=2))
    refuse(path, LoadError, "posix.mkdir")
    assert not marker.exists()


class Custom(nn.Module):
    """A class of one's own."""

    def forward(self, x):
        return x


def shadowed_forward():
    module = mlp(2, 3, 1)
    module[1].__dict__["forward"] = functional.softplus
    return module, UnsupportedLayer, ("layer '1'", "'forward'")


def shadowed_forward_of_the_whole():
    module = mlp(2, 3, 1)
    module.__dict__["forward"] = functional.softplus
    return module, UnsupportedLayer, ("the saved object", "'forward'")


def shadowed_weight():
    module = mlp(2, 3, 1)
    module[2].__dict__["weight"] = torch.zeros(1, 3)
    return module, UnsupportedLayer, ("layer '2'", "'weight'")


def unknown_attribute():
    module = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    module[0][0].note = 3
    return module, UnsupportedLayer, ("layer '0.0'", "'note'")


def forward_hook():
    module = mlp(2, 3, 1)
    module[0].register_forward_hook(operator.getitem)
    return module, UnsupportedLayer, ("layer '0'", "_forward_hooks", "remove its hooks")


def forward_pre_hook():
    module = nn.Sequential(mlp(2, 2))
    module[0].register_forward_pre_hook(operator.getitem)
    return module, UnsupportedLayer, ("layer '0'", "_forward_pre_hooks")


def state_dict_hook():
    module = mlp(2, 2)
    module._register_load_state_dict_pre_hook(operator.getitem)
    return module, UnsupportedLayer, ("the saved object", "_load_state_dict_pre_hooks")


def weight_norm():
    return nn.Sequential(nn.utils.weight_norm(nn.Linear(2, 2))), UnsupportedLayer, ("layer '0'", "_hooks")


def custom_class():
    module = nn.Sequential(OrderedDict(a=nn.Linear(2, 2), b=nn.Sequential(nn.ReLU(), Custom())))
    return module, UnsupportedLayer, ("layer 'b.1'", "Custom", "from_module(module, example_input)")


def custom_root():
    return Custom(), UnsupportedLayer, ("the saved object", "Custom", "from_module(module, example_input)")


def sigmoid():
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Sigmoid())), UnsupportedLayer, ("layer '1.0'", "Sigmoid")


def convolution_of_unknown_input():
    module = nn.Sequential(OrderedDict(features=nn.Sequential(nn.ReLU(), nn.Conv2d(3, 1, 3))))
    return (
        module,
        LoadError,
        ("its first layer, 'features.1' (Conv2d)", "--input-shape 3,28,28 (input_shape=(3, 28, 28))"),
    )


def pool_of_unknown_input():
    return nn.Sequential(nn.MaxPool2d(2), nn.Linear(2, 2)), LoadError, ("'0' (MaxPool2d)", "--input-shape")


def transposed_convolution():
    return nn.Sequential(nn.ConvTranspose2d(1, 1, 3)), UnsupportedLayer, ("'0' is a ConvTranspose2d", "rewrite it")


def secretly_transposed_convolution():
    module = nn.Sequential(nn.Conv2d(1, 1, 3))
    module[0].transposed = True
    return module, UnsupportedLayer, ("layer '0' (Conv2d): it is transposed",)


def convolution_padded_by_reflection():
    module = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"))
    return module, UnsupportedLayer, ("layer '0' (Conv2d): it is of padding mode 'reflect'",)


def same_padding_with_stride():
    module = nn.Sequential(nn.Conv2d(1, 1, 3, padding="same"))
    module[0].stride = (2, 2)
    return module, UnsupportedLayer, ("layer '0' (Conv2d)", "padding is 'same' with a stride of (2, 2)")


def convolution_of_negative_padding():
    return nn.Sequential(nn.Conv2d(1, 1, 3, padding=-1)), UnsupportedLayer, ("'0' (Conv2d): its padding is (-1, -1)",)


def convolution_without_stride():
    module = nn.Sequential(nn.Conv2d(1, 1, 3))
    module[0].stride = 0
    return module, UnsupportedLayer, ("'0' (Conv2d): its stride is 0; expected 2 whole numbers from 1",)


def convolution_of_three_strides():
    module = nn.Sequential(nn.Conv2d(1, 1, 3))
    module[0].stride = (1, 1, 1)
    return module, UnsupportedLayer, ("'0' (Conv2d): its stride is (1, 1, 1)",)


def convolution_of_stale_fields():
    module = nn.Sequential(nn.Conv2d(1, 2, 3))
    module[0].weight.data = torch.ones(2, 1, 2, 3)
    return module, ShapeMismatch, ("layer '0' states 1 channels in, 2 out", "a kernel of (3, 3)", "[2, 1, 2, 3]")


def batch_statistics():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False))
    return module, UnsupportedLayer, ("layer '1' (BatchNorm1d)", "track_running_stats=False", "mixes the samples")


def batch_statistics_by_a_lost_buffer():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    module[1].running_mean = None
    return module, UnsupportedLayer, ("layer '1' (BatchNorm1d)", "keeps no running statistics")


def batch_norm_without_spread():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, eps=0.0))
    module[1].running_var.data[1] = 0
    return module, NotExact, ("layer '1'", "variance 0.0 + epsilon 0.0")


def batch_norm_of_other_channels():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(3))
    return module, ShapeMismatch, ("layer '1'", "2 channels")


def batch_norm_of_one_statistic():
    module = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    module[1].running_mean = torch.tensor(0.0)
    return module, ShapeMismatch, ("layer '1'", "1 channels")


def batch_norm_of_another_rank():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm2d(2))
    return module, ShapeMismatch, ("layer '1' (BatchNorm2d) receives shape (2,)",)


def batch_norm_of_a_strange_epsilon():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, eps=float("nan")))
    return module, UnsupportedLayer, ("layer '1' (BatchNorm1d): its eps is nan",)


def infinite_statistic():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    module[1].running_mean[0] = float("inf")
    return module, NotExact, ("layer '1'", "not finite")


def indices_of_maxima():
    module = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (1, 4)), nn.MaxPool1d(2, return_indices=True))
    return module, UnsupportedLayer, ("layer '2' (MaxPool1d)", "return_indices=True")


def pool_of_vectors():
    module = nn.Sequential(nn.Linear(4, 4), nn.MaxPool2d(2))
    return module, ShapeMismatch, ("layer '1' (MaxPool2d) receives shape (4,)",)


def pool_wholly_in_its_padding():
    module = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (1, 4)), nn.AvgPool1d(2, padding=2))
    return module, UnsupportedLayer, ("layer '2' (AvgPool1d)", "half of the kernel")


def average_by_another_divisor():
    """AvgPool1d does not look at it, so it may not be there."""
    module = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (1, 4)), nn.AvgPool1d(2))
    module[2].divisor_override = 3
    return module, UnsupportedLayer, ("layer '2'", "'divisor_override' that a AvgPool1d does not have")


def average_divided_by_zero():
    module = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (1, 2, 2)), nn.AvgPool2d(2, divisor_override=0))
    return module, UnsupportedLayer, ("layer '2' (AvgPool2d): its divisor_override is 0",)


def unflatten_into_other_numbers():
    return nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (3, 2))), ShapeMismatch, ("layer '1' (Unflatten)", "(3, 2)")


def unflatten_of_the_batch():
    return nn.Sequential(nn.Linear(4, 4), nn.Unflatten(0, (2, 2))), UnsupportedLayer, ("layer '1' (Unflatten)", "of 0")


def padding_by_ones():
    module = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (1, 2, 2)), nn.ZeroPad2d(1))
    module[2].value = 1.0
    return module, UnsupportedLayer, ("layer '2' (ZeroPad2d)", "with 1.0")


def flatten_backwards():
    return nn.Sequential(nn.Linear(2, 2), nn.Flatten(2, 1)), UnsupportedLayer, ("Flatten of dimensions 2 to 1",)


def module_dict():
    return nn.Sequential(nn.ModuleDict({"a": nn.Linear(2, 2)})), UnsupportedLayer, ("layer '0'", "states no order")


def endless_padding():
    module = nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (1, 2, 2)), nn.ZeroPad2d(10**6))
    return module, ShapeMismatch, ("'2': pads shape (1, 2, 2) to 4000008000004 numbers",)


def endless_kernel():
    module = nn.Sequential(nn.Linear(1, 1), nn.Unflatten(1, (1, 1, 1)), nn.AvgPool2d(32768, padding=16384))
    return module, ShapeMismatch, ("pools over shape (1, 1, 1) see",)


def endless_pool():
    module = nn.Sequential(nn.Linear(1, 1), nn.Unflatten(1, (1, 1)), nn.AdaptiveAvgPool1d(2**27))
    return module, ShapeMismatch, ("a pool sees",)


def endless_convolution():
    module = nn.Sequential(nn.Linear(1, 1), nn.Unflatten(1, (1, 1, 1)), nn.Conv2d(1, 1, 1, padding=10**6))
    return module, ShapeMismatch, ("layer '2' has 4000004000001 outputs",)


def softmax():
    return (
        nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=1)),
        UnsupportedLayer,
        ("layer '1'", "Softmax", "cut before it"),
    )


def log_softmax():
    return nn.Sequential(nn.Linear(2, 2), nn.LogSoftmax(1)), UnsupportedLayer, ("LogSoftmax", "cut before it")


def flatten_of_the_batch():
    return (
        nn.Sequential(nn.Flatten(0), nn.Linear(2, 2)),
        UnsupportedLayer,
        ("layer '0'", "Flatten of dimensions 0 to -1"),
    )


def module_list():
    return nn.ModuleList([nn.Linear(2, 2)]), UnsupportedLayer, ("the saved object", "ModuleList")


def missing_layer():
    module = mlp(2, 2, 2)
    module._modules["1"] = None
    return module, UnsupportedLayer, ("layer '1'", "nonetype")


def linear_without_its_fields():
    module = mlp(2, 2)
    del module[0].__dict__["in_features"]
    return module, UnsupportedLayer, ("layer '0'", "does not have the fields")


def linear_with_children():
    module = mlp(2, 2)
    module[0].add_module("extra", nn.ReLU())
    return module, UnsupportedLayer, ("layer '0'", "Linear")


def linear_with_buffers():
    module = mlp(2, 2)
    module[0].register_buffer("extra", torch.ones(1))
    return module, UnsupportedLayer, ("layer '0'", "Linear")


def linear_without_weight():
    module = mlp(2, 2)
    module[0]._parameters["weight"] = None
    return module, UnsupportedLayer, ("layer '0'", "weight", "not a tensor")


def not_a_number():
    module = mlp(2, 3, 2)
    module[2].weight.data[1, 2] = float("nan")
    return module, NotExact, ("'2'", "weight[1, 2] is nan")


def infinite_bias():
    module = mlp(2, 3, 2)
    module[0].bias.data[1] = -float("inf")
    return module, NotExact, ("'0'", "bias[1] is -inf")


def complex_weights():
    return mlp(2, 2, dtype=torch.complex64), NotExact, ("layer '0'", "complexfloat", ".float()")


def integer_weights():
    module = mlp(2, 2)
    module[0].weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int64), requires_grad=False)
    return module, NotExact, ("layer '0'", "long")


def not_chaining():
    return (
        nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 1)),
        ShapeMismatch,
        ("'1' takes 4 numbers but receives 3",),
    )


def stale_fields():
    module = mlp(3, 2)
    module[0].weight.data = module[0].weight.data[:, :2]
    return module, ShapeMismatch, ("layer '0' states 3 inputs and 2 outputs", "[2, 2]")


def wrong_bias():
    module = mlp(3, 2)
    module[0].bias.data = torch.ones(1)
    return module, ShapeMismatch, ("'0'", "(2, 3)", "(1,)")


def expanded_weight():
    module = mlp(3, 2)
    module[0].weight.data = torch.ones(1).expand(2, 3)
    return module, LoadError, ("layer '0'", "claims 6 numbers", "storage of 1", ".contiguous()")


def nothing_linear():
    return nn.Sequential(nn.ReLU()), LoadError, ("no linear layer",)


def a_tensor():
    return torch.ones(2), LoadError, ("a tensor, not a network",)


def a_list():
    return [1, 2], LoadError, ("a list, not a network",)


def an_optimizer():
    return torch.optim.SGD(mlp(2, 2).parameters(), 0.1).state_dict(), LoadError, ("a dict, not a network",)


def a_numpy_scalar():
    return {"model": mlp(2, 2), "best": np.float64(1)}, LoadError, ("would call numpy.",)


FLAWS = [
    shadowed_forward,
    shadowed_forward_of_the_whole,
    shadowed_weight,
    unknown_attribute,
    forward_hook,
    forward_pre_hook,
    state_dict_hook,
    weight_norm,
    custom_class,
    custom_root,
    sigmoid,
    convolution_of_unknown_input,
    pool_of_unknown_input,
    transposed_convolution,
    secretly_transposed_convolution,
    convolution_padded_by_reflection,
    same_padding_with_stride,
    convolution_of_negative_padding,
    convolution_without_stride,
    convolution_of_three_strides,
    convolution_of_stale_fields,
    batch_statistics,
    batch_statistics_by_a_lost_buffer,
    batch_norm_without_spread,
    batch_norm_of_other_channels,
    batch_norm_of_one_statistic,
    batch_norm_of_another_rank,
    batch_norm_of_a_strange_epsilon,
    infinite_statistic,
    indices_of_maxima,
    pool_of_vectors,
    pool_wholly_in_its_padding,
    average_by_another_divisor,
    average_divided_by_zero,
    unflatten_into_other_numbers,
    unflatten_of_the_batch,
    padding_by_ones,
    flatten_backwards,
    module_dict,
    endless_padding,
    endless_kernel,
    endless_pool,
    endless_convolution,
    softmax,
    log_softmax,
    flatten_of_the_batch,
    module_list,
    missing_layer,
    linear_without_its_fields,
    linear_with_children,
    linear_with_buffers,
    linear_without_weight,
    not_a_number,
    infinite_bias,
    complex_weights,
    integer_weights,
    not_chaining,
    stale_fields,
    wrong_bias,
    expanded_weight,
    nothing_linear,
    a_tensor,
    a_list,
    an_optimizer,
    a_numpy_scalar,
]


@BOTH
@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.__name__)
@pytest.mark.filterwarnings("ignore")
def test_a_saved_module_is_refused_at_its_planted_flaw(tmp_path, flaw, legacy):
    saved, error, words = flaw()
    path = save(saved, tmp_path / "net.pt", legacy=legacy)
    with traced_memory() as peak:
        refuse(path, error, *words)
    assert peak() < 10**7


def test_control_a_shadowed_forward_changes_what_torch_computes():
    x = torch.randn(3, 2)
    assert not torch.equal(shadowed_forward()[0](x), mlp(2, 3, 1)(x))


def test_quantised_and_sparse_weights_are_refused_by_the_name_of_their_constructor(tmp_path):
    quantised = torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)
    path = save({"weight": quantised}, tmp_path / "quantised.pt")
    refuse(path, LoadError, "torch._utils._rebuild_qtensor", layers=["linear:"])
    path = save({"weight": torch.ones(2, 2).to_sparse()}, tmp_path / "sparse.pt")
    refuse(path, LoadError, "torch.serialization.", layers=["linear:"])


def test_eight_bit_floats_are_refused_by_name(tmp_path):
    path = save({"weight": torch.ones(2, 2).to(torch.float8_e4m3fn)}, tmp_path / "net.pt")
    refuse(path, NotExact, "float8_e4m3fn", "float16, bfloat16, float32 and float64", layers=["linear:"])


def test_negated_tensors_are_refused(tmp_path):
    path = save({"weight": torch.ones(2, 2, dtype=torch.complex64).conj().imag}, tmp_path / "net.pt")
    refuse(path, LoadError, "resolve_neg", layers=["linear:"])


# Tensors that claim what is not there: a file of a few hundred bytes must not cost more than its size.

CLAIMS = {
    "stride-0 bomb": ("0", 1, 0, (10**6, 10**6), (0, 0)),
    "half a stride-0 bomb": ("0", 1000, 0, (10**9, 1000), (0, 1)),
    "beyond the storage": ("0", 4, 1, (2, 2), (2, 1)),
    "offset beyond the storage": ("0", 4, 4, (1, 1), (1, 1)),
    "stride beyond the storage": ("0", 4, 0, (2, 2), (3, 1)),
    "product beyond 64 bits": ("0", 4, 0, (2**40, 2**40), (1, 1)),
    "storage beyond the file": ("0", 10**12, 0, (10**6, 10**6), (10**6, 1)),
    "negative stride": ("0", 4, 3, (2, 2), (-2, -1)),
    "negative size": ("0", 4, 0, (-2, -2), (2, 1)),
    "shape and strides of different lengths": ("0", 4, 0, (2, 2), (1,)),
    "65 dimensions": ("0", 4, 0, (1,) * 65, (1,) * 65),
    "true for one": ("0", 4, 0, (True, 4), (4, 1)),
    "huge integers": ("0", 4, 0, (10**5000, 1), (1, 1)),
}


@BOTH
@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_tensor_that_claims_too_much_is_refused_before_memory_is_taken(tmp_path, claim, legacy):
    body = state_dict_pickle({"weight": claim})
    content = {"0": b"\0" * 4 * min(claim[1], 1000)}
    path = pickled(tmp_path / "net.pt", body, legacy=legacy, storages=content)
    with traced_memory() as peak:
        refuse(path, LoadError, layers=["linear:"])
    assert peak() < 10**6


def test_an_empty_weight_is_refused_by_its_shape(tmp_path):
    body = state_dict_pickle({"weight": ("0", 4, 0, (0, 2**61), (1, 1))})
    path = pickled(tmp_path / "net.pt", body, legacy=False, storages={"0": b"\0" * 16})
    refuse(path, ShapeMismatch, "which is empty", layers=["linear:"])


def test_a_stride_of_a_single_entry_may_be_anything(tmp_path):
    body = state_dict_pickle({"weight": ("0", 2, 0, (1, 2), (2**61, 1))})
    path = pickled(tmp_path / "net.pt", body, legacy=False, storages={"0": struct.pack("<2f", 1, 2)})
    assert dtdsym.load(path, layers=["linear:"]).layer(1).linear.weight.tolist() == [[1, 2]]


def test_tensors_that_share_one_storage_cannot_add_up_beyond_the_file(tmp_path):
    body = state_dict_pickle({f"{i}.weight": ("0", 10**4 + i, i, (100, 100), (100, 1)) for i in range(60)})
    stored = {"0": b"\0" * 4 * 10**4}
    path = pickled(tmp_path / "net.pt", body, legacy=False, storages=stored)
    refuse(path, LoadError, "described in two ways", layers="relu-mlp")
    body = state_dict_pickle({f"{i}.weight": ("0", 10**4, i, (99, 99), (99, 1)) for i in range(60)})
    path = pickled(tmp_path / "net.pt", body, legacy=False, storages=stored)
    refuse(path, LoadError, "far more numbers than the file holds", layers="relu-mlp")


def test_one_storage_under_two_dtypes_is_refused(tmp_path):
    one, two = (b"\x80\x02(X" + _text("storage") + b"ctorch\n" + kind for kind in (b"FloatStorage", b"HalfStorage"))
    rest = b"\nX" + _text("0") + b"X" + _text("cpu") + b"K\x04tQ"
    path = pickled(tmp_path / "net.pt", one + rest + two[2:] + rest + b"\x86.", legacy=False)
    refuse(path, LoadError, "storage 0 is described in two ways")


PICKLE_BOMBS = {
    "memo index": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "endless string": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b".",
    "endless frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "endless bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
    "nested lists": b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "nested tuples": b"\x80\x02)" + b"\x85" * 50_000 + b".",
    "nested marks": b"\x80\x02" + b"(" * 50_000 + b"t" * 50_000 + b".",
    "no end": b"\x80\x02N",
    "nothing": b"\x80\x02.",
    "two objects": b"\x80\x02NN.",
    "below the mark": b"\x80\x02N(0t.",
    "unmatched tuple": b"\x80\x02t.",
    "unknown memo": b"\x80\x02h\x05.",
    "unknown operation": b"\x80\x02\xff.",
    "append to nothing": b"\x80\x02)Na.",
    "item of a list": b"\x80\x02]NNs.",
    "odd items": b"\x80\x02}(Nu.",
    "call of a number": b"\x80\x02K\x01)R.",
    "instance of a number": b"\x80\x02K\x01)\x81.",
    "attributes of a number": b"\x80\x02K\x01}b.",
    "name that is no text": b"\x80\x04K\x01K\x02\x93.",
    "persistent id of nothing": b"\x80\x02NQ.",
    "extension": b"\x80\x02\x82\x01.",
    "empty": b"",
}


@BOTH
@pytest.mark.parametrize("body", PICKLE_BOMBS.values(), ids=PICKLE_BOMBS)
def test_a_malformed_pickle_is_refused_in_little_time_and_memory(tmp_path, body, legacy):
    path = pickled(tmp_path / "net.pt", body, legacy=legacy)
    with traced_memory() as peak:
        refuse(path, LoadError)
    assert peak() < 10**8


KEYS = {
    "laughing keys": b"\x80\x02})" + b"q\x00h\x00\x86" * 80 + b"Ns.",
    "colliding keys": b"\x80\x02}\x8a\x0e" + (1 << 100).to_bytes(14, "little") + b"Ns.",
    "keys that are floats": b"\x80\x02}G" + struct.pack(">d", 0.5) + b"Ns.",
}


@pytest.mark.parametrize("body", KEYS.values(), ids=KEYS)
def test_keys_that_are_slow_to_hash_or_compare_are_refused(tmp_path, body):
    refuse(pickled(tmp_path / "net.pt", body, legacy=False), LoadError, "as key")


@BOTH
def test_a_mark_left_open_is_refused(tmp_path, legacy):
    refuse(pickled(tmp_path / "net.pt", b"\x80\x02(N.", legacy=legacy), LoadError, "its pickle is damaged")


def test_pickles_have_a_largest_size_and_number_of_operations(tmp_path, monkeypatch):
    monkeypatch.setattr(unpickle, "MOST_OPERATIONS", 1000)
    refuse(pickled(tmp_path / "a.pt", b"\x80\x02" + b"N0" * 1000 + b"N.", legacy=False), LoadError, "POP")
    refuse(pickled(tmp_path / "b.pt", b"\x80\x02(" + b"N" * 1000 + b"t.", legacy=False), LoadError, "1000 operations")
    monkeypatch.setattr(unpickle, "MOST_BYTES", 1000)
    body = b"\x80\x02(X" + _text("a" * 1000) + b"t."
    refuse(pickled(tmp_path / "c.pt", body, legacy=False), LoadError, "over 1000 bytes")


@BOTH
def test_modules_nested_without_end_are_refused(tmp_path, legacy):
    module = nn.Linear(1, 1)
    for _ in range(150):
        module = nn.Sequential(module)
    refuse(save(module, tmp_path / "net.pt", legacy=legacy), LoadError, "nested 100 deep")


def test_a_module_that_holds_itself_is_refused(tmp_path):
    module = nn.Sequential(nn.Linear(1, 1))
    module._modules["1"] = module
    refuse(save(module, tmp_path / "net.pt"), LoadError, "nested 100 deep")


def test_modules_that_double_without_end_are_refused(tmp_path):
    for innermost, word in ((nn.Linear(1, 1), "over 10000"), (nn.Sequential(), "over 10000")):
        module = innermost
        for _ in range(60):
            module = nn.Sequential(module, module)
        refuse(save(module, tmp_path / "net.pt"), LoadError, word)


# Files that are something else, or damaged.

NOT_TORCH = {
    "text": (b"hello, world\n", "a text file"),
    "json": (b'{"layers": []}', "a text file"),
    "numpy": (b"\x93NUMPY\x01\x00v\x00{'descr'", "a numpy array"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 20, "HDF5"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x03", "ONNX"),
    "safetensors": (struct.pack("<Q", 40) + json.dumps({"w": {"dtype": "F32"}}).ljust(40).encode(), "safetensors"),
    "tar": (b"\0" * 257 + b"ustar\x0000", "tar archive"),
    "noise": (bytes(range(1, 32)) * 3, "something unknown"),
    "plain pickle": (pickle.dumps({"a": 1}, protocol=2), "a plain pickle"),
    "other magic": (pickle.dumps(1, protocol=2), "a plain pickle"),
    "other version": (pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + pickle.dumps(7, protocol=2), "version"),
    "zip signature alone": (b"PK\x03\x04", "damaged or cut short"),
    "empty": (b"", "the file is empty"),
}


@pytest.mark.parametrize("case", NOT_TORCH.values(), ids=NOT_TORCH)
def test_what_is_no_torch_file_is_named_and_refused(tmp_path, case):
    content, word = case
    path = tmp_path / "net.pt"
    path.write_bytes(content)
    refuse(path, LoadError, word, "save")


OTHER_ARCHIVES = {
    "torchscript": ({"data.pkl": b"", "constants.pkl": b"", "code/__torch__.py": b""}, "TorchScript"),
    "torch.export": ({"archive_format": b"pt2", "models/model.json": b"{}"}, "torch.export"),
    "old torch.export": ({"serialized_exported_program.json": b"{}", "version": b"1"}, "torch.export"),
    "arrays": ({"weight.npy": b"\x93NUMPY"}, "not one of torch.save"),
    "byte order": ({"data.pkl": b"N.", "byteorder": b"middle"}, "byte order"),
    "no root": ({"version": b"3"}, "not one of torch.save"),
}


@pytest.mark.parametrize("case", OTHER_ARCHIVES.values(), ids=OTHER_ARCHIVES)
def test_other_archives_are_named_and_refused(tmp_path, case):
    entries, word = case
    refuse(zip_of(entries, tmp_path / "net.pt"), LoadError, word)


def test_a_missing_storage_is_refused_by_its_key(tmp_path):
    body = state_dict_pickle({"weight": ("0", 1, 0, (1, 1), (1, 1))})
    path = zip_of({"data.pkl": body}, tmp_path / "net.pt")
    refuse(path, LoadError, "net/data/0 is missing", layers=["linear:"])


def test_torchscript_is_refused_and_its_code_does_not_run(tmp_path):
    torch.jit.script(mlp(2, 2)).save(tmp_path / "net.pt")
    refuse(tmp_path / "net.pt", LoadError, "TorchScript", "torch.save(model, path)", "from_module")


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    bomb = {"data.pkl": b"\x80\x02N.", "data/0": b"\0" * 10**7}
    path = zip_of(bomb, tmp_path / "net.pt", zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2 * 10**4
    refuse(path, LoadError, "compressed or encrypted")


def test_entries_that_share_their_bytes_are_refused(tmp_path):
    """The central directory lists one stored megabyte many times."""
    path = zip_of({"data.pkl": b"\x80\x02N.", "data/00": b"\0" * 10**6, "data/01": b""}, tmp_path / "net.pt")
    content = path.read_bytes()
    at = content.rindex(b"PK\x01\x02")
    size = struct.pack("<2I", 10**6, 10**6)
    path.write_bytes(content[: at + 20] + size + content[at + 28 :])
    refuse(path, LoadError, "overlap")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_entries_of_one_name_are_refused(tmp_path):
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for body in (b"\x80\x02N.", b"\x80\x02K\x01."):
            archive.writestr("net/data.pkl", body)
    refuse(path, LoadError, "share a name")


def test_two_roots_are_refused(tmp_path):
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for folder in ("a", "b"):
            archive.writestr(f"{folder}/data.pkl", b"\x80\x02N.")
    refuse(path, LoadError, "not one of torch.save")


@BOTH
def test_a_file_cut_short_anywhere_is_refused(tmp_path, legacy):
    whole = save(mlp(2, 2), tmp_path / "whole.pt", legacy=legacy).read_bytes()
    path = tmp_path / "net.pt"
    for length in range(1, len(whole), 37 if legacy else 97):
        path.write_bytes(whole[:length])
        refuse(path, LoadError)


@BOTH
def test_a_storage_cut_short_is_refused(tmp_path, legacy):
    claim = {"weight": ("0", 4, 0, (2, 2), (2, 1))}
    path = pickled(tmp_path / "net.pt", state_dict_pickle(claim), legacy=legacy, storages={"0": b"\0" * 12})
    refuse(path, LoadError, "damaged or cut short", layers=["linear:"])


def test_an_old_file_whose_counts_differ_is_refused(tmp_path):
    claim = {"weight": ("0", 4, 0, (2, 2), (2, 1))}
    path = pickled(tmp_path / "net.pt", state_dict_pickle(claim), legacy=True, storages={"0": b"\0" * 12})
    refuse(path, LoadError, "storage 0 should hold 4 numbers", layers=["linear:"])


def test_old_files_of_big_endian_machines_are_refused(tmp_path):
    path = save(mlp(2, 2), tmp_path / "net.pt", legacy=True)
    path.write_bytes(path.read_bytes().replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89"))
    refuse(path, LoadError, "big-endian")


def test_unknown_storage_keys_of_an_old_file_are_refused(tmp_path):
    path = legacy_of(pickle.dumps(None, protocol=2), tmp_path / "net.pt", {"stranger": b"\0" * 4})
    refuse(path, LoadError, "damaged")


@pytest.mark.parametrize(("make", "word"), [(Path.mkdir, "not a regular file"), (lambda path: None, "no such file")])
def test_no_file_and_no_regular_file_are_refused(tmp_path, make, word):
    make(tmp_path / "net.pt")
    refuse(tmp_path / "net.pt", LoadError, word)


def test_an_unreadable_file_is_refused(tmp_path, monkeypatch):
    def deny(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", deny)
    refuse(save(mlp(2, 2), tmp_path / "net.pt"), LoadError, "cannot be read (Permission denied)")


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "net.pt"
    with path.open("wb") as stream:
        stream.truncate(2**31 + 1)
    refuse(path, LoadError, "2147483649 bytes")


def test_names_from_a_file_cannot_break_the_line_or_the_terminal(tmp_path):
    module = nn.Sequential(nn.Linear(2, 2))
    module._modules["a\n\x1b[2J"] = nn.Sigmoid()
    refuse(save(module, tmp_path / "net.pt"), UnsupportedLayer, "Sigmoid")
    refuse(
        pickled(tmp_path / "two.pt", b"\x80\x04X" + _text("o\ns") + b"X" + _text("\x1b") + b"\x93)R.", legacy=False),
        LoadError,
    )


def complaint(path, layers=None):
    """The line in which load refuses the file, or '' if it is a network after all. Any other error is a failure."""
    try:
        assert isinstance(dtdsym.load(path, layers=layers), Network)
    except DtdsymError as err:
        return str(err)
    return ""


VALID = {}


def valid_files(folder):
    """Small valid files of each kind, made once."""
    if not VALID:
        for legacy in (False, True):
            VALID[f"module {legacy}"] = save(mlp(2, 2, 1), folder / "net.pt", legacy=legacy).read_bytes()
            VALID[f"dict {legacy}"] = save(mlp(2, 1).state_dict(), folder / "net.pt", legacy=legacy).read_bytes()
    return VALID


@given(st.sampled_from(["module False", "module True", "dict False", "dict True"]), st.data())
@settings(max_examples=300)
def test_damage_anywhere_is_refused_in_one_line_or_read_as_a_network(tmp_path_factory, kind, data):
    folder = tmp_path_factory.getbasetemp()
    content = bytearray(valid_files(folder)[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "damaged.pt"
    path.write_bytes(content)
    assert complaint(path, layers=None if kind.startswith("module") else "relu-mlp").isprintable()


@given(st.data())
@settings(max_examples=300)
def test_damage_to_the_pickle_alone_is_refused_in_one_line_or_read_as_a_network(tmp_path_factory, data):
    """Behind an intact archive, so that no checksum meets the damage first."""
    folder = tmp_path_factory.getbasetemp()
    (folder / "valid.pt").write_bytes(valid_files(folder)["module False"])
    entries = unzip(folder / "valid.pt")
    body = bytearray(entries["data.pkl"])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    path = zip_of(entries | {"data.pkl": bytes(body)}, folder / "damaged.pt")
    assert complaint(path).isprintable()
