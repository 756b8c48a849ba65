"""torch's operations through the table: what each does to a batch is what the built network does to each sample."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dtdsym.errors import NotExact, ShapeMismatch, UnsupportedLayer
from dtdsym.network.aten.operations import Call, Operations, base_name, kind_of, operation_of, writes
from dtdsym.network.builder import Builder, Value
from dtdsym.network.from_module import from_module

BATCH = 2
GENERATOR = torch.Generator().manual_seed(3)


def numbers(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


X = "the value"
IMAGE, SIGNAL, VOLUME, VECTOR = (4, 5, 6), (4, 7), (2, 4, 3, 5), (6,)
MEAN, VARIANCE = numbers(4), numbers(4).abs()
# operation, one sample's shape, arguments (X stands for the value), keywords
CASES = [
    ("conv1d.default", SIGNAL, [X, numbers(6, 2, 3), numbers(6), [2], [1], [1], 2], {}),
    ("conv1d.padding", SIGNAL, [X, numbers(3, 4, 2), None, [1], "same", [3]], {}),
    ("conv2d.default", IMAGE, [X, numbers(3, 4, 2, 3)], {"stride": [2, 1], "padding": [1, 0], "dilation": [1, 2]}),
    ("conv2d.padding", IMAGE, [X, numbers(3, 4, 2, 3), numbers(3), [1, 1], "valid"], {}),
    ("conv3d.default", VOLUME, [X, numbers(3, 2, 2, 1, 2)], {}),
    ("convolution.default", IMAGE, [X, numbers(4, 1, 3, 3), None, [1], [1], [1], False, [0], 4], {}),
    ("batch_norm.default", IMAGE, [X, MEAN, None, MEAN, VARIANCE, False, 0.1, 0.5, True], {}),
    ("native_batch_norm.default", VECTOR, [X, None, None, numbers(6), numbers(6).abs(), False, 0.1, 1e-3], {}),
    ("_native_batch_norm_legit_no_training.default", IMAGE, [X, MEAN, MEAN, MEAN, VARIANCE, 0.1, 1e-5], {}),
    ("max_pool1d.default", SIGNAL, [X, [3], [2], [1], [1], True], {}),
    ("max_pool2d.default", IMAGE, [X, [2, 3], [], [1, 1], [1, 2]], {}),
    ("max_pool2d.default", SIGNAL, [X, [2, 3], [1, 2]], {}),
    ("max_pool2d_with_indices.default", IMAGE, [X, [2], [2]], {"ceil_mode": True}),
    ("max_pool3d.default", VOLUME, [X, [2, 1, 2]], {}),
    ("avg_pool1d.default", SIGNAL, [X, [3], [2], [1], True, False], {}),
    ("avg_pool2d.default", IMAGE, [X, [3, 2], [2, 2], [1, 1], True, True], {}),
    ("avg_pool2d.default", IMAGE, [X, [3, 2]], {"padding": [1, 1], "divisor_override": 7}),
    ("avg_pool3d.default", VOLUME, [X, [2, 1, 2], [1, 1, 1]], {}),
    ("adaptive_avg_pool1d.default", SIGNAL, [X, [3]], {}),
    ("_adaptive_avg_pool2d.default", IMAGE, [X, [2, 4]], {}),
    ("adaptive_avg_pool3d.default", VOLUME, [X, [1, 2, 3]], {}),
    ("adaptive_max_pool1d.default", SIGNAL, [X, [3]], {}),
    ("adaptive_max_pool2d.default", IMAGE, [X, [3, 4]], {}),
    ("mean.dim", IMAGE, [X, [-1, -2]], {"keepdim": True}),
    ("mean.dim", IMAGE, [X, [1, 3]], {}),
    ("amax.default", IMAGE, [X, [2], True], {}),
    ("max.dim", IMAGE, [X, -1], {}),
    ("linear.default", VECTOR, [X, numbers(3, 6), numbers(3)], {}),
    ("linear.default", IMAGE, [X, numbers(3, 6), numbers(3)], {}),
    ("addmm.default", VECTOR, [numbers(1, 3), X, numbers(6, 3)], {}),
    ("addmm.default", VECTOR, [numbers(1), X, numbers(6, 3)], {}),
    ("mm.default", VECTOR, [X, numbers(6, 3)], {}),
    ("matmul.default", IMAGE, [X, numbers(6, 2)], {}),
    ("relu_.default", IMAGE, [X], {}),
    ("clamp.default", IMAGE, [X, 0.0], {}),
    ("clamp_min.default", IMAGE, [X, 0], {}),
    ("threshold.default", IMAGE, [X, 0, 0], {}),
    ("add.Tensor", IMAGE, [X, numbers(4, 1, 1)], {}),
    ("add.Tensor", IMAGE, [numbers(1, 4, 5, 6), X], {}),
    ("add.Scalar", IMAGE, [X, 0.1, 1], {}),
    ("add.Tensor", (4, 1, 6), [X, numbers(5, 1)], {}),
    ("sub.Tensor", IMAGE, [numbers(6), X], {}),
    ("sub.Tensor", IMAGE, [X, X], {"alpha": 0.25}),
    ("rsub.Scalar", IMAGE, [X, 2.5, 3], {}),
    ("neg.default", IMAGE, [X], {}),
    ("mul.Tensor", IMAGE, [numbers(5, 1), X], {}),
    ("mul.Scalar", IMAGE, [X, -3], {}),
    ("div.Tensor", IMAGE, [X, numbers(4, 1, 6)], {}),
    ("cat.default", IMAGE, [[X, X, X], -1], {}),
    ("stack.default", IMAGE, [[X, X], 2], {}),
    ("view.default", IMAGE, [X, [BATCH, -1, 3]], {}),
    ("_unsafe_view.default", IMAGE, [X, [BATCH, 120]], {}),
    ("flatten.using_ints", IMAGE, [X, 1, -2], {}),
    ("unflatten.int", VECTOR, [X, -1, [2, 3]], {}),
    ("squeeze.dim", (4, 1, 3), [X, 2], {}),
    ("squeeze.dims", (1, 4, 1), [X, [1, 3]], {}),
    ("squeeze.default", (1, 4, 1), [X], {}),
    ("unsqueeze.default", SIGNAL, [X, -1], {}),
    ("permute.default", IMAGE, [X, [0, 3, 1, 2]], {}),
    ("transpose.int", IMAGE, [X, 1, -1], {}),
    ("movedim.int", IMAGE, [X, 1, 2], {}),
    ("slice.Tensor", IMAGE, [X, 2, 1, 9223372036854775807, 2], {}),
    ("slice.Tensor", IMAGE, [X, 0, 0, 9223372036854775807], {}),
    ("slice.Tensor", IMAGE, [X, -1, -3, -1], {}),
    ("select.int", IMAGE, [X, 1, -1], {}),
    ("narrow.default", IMAGE, [X, 3, 2, 3], {}),
    ("split.Tensor", IMAGE, [X, 3, 1], {}),
    ("split_with_sizes.default", IMAGE, [X, [1, 3], 1], {}),
    ("chunk.default", IMAGE, [X, 4, 3], {}),
    ("unbind.int", IMAGE, [X, 1], {}),
    ("index_select.default", IMAGE, [X, 1, torch.tensor([3, 0, 3])], {}),
    ("index.Tensor", IMAGE, [X, [None, torch.tensor([2, -1])]], {}),
    ("expand.default", (4, 1, 3), [X, [-1, 4, 5, 3]], {}),
    ("expand_as.default", IMAGE, [X, X], {}),
    ("repeat.default", SIGNAL, [X, [1, 2, 3]], {}),
    ("constant_pad_nd.default", IMAGE, [X, [1, -2, 0, 3]], {}),
    ("constant_pad_nd.default", IMAGE, [X, [1, -2, 0, 3], 2.5], {}),
    ("pad.default", IMAGE, [X, [1, 2], "constant", -1.0], {}),
    ("pad.default", IMAGE, [X, [1, 2, 2, 0], "circular"], {}),
    ("reflection_pad1d.default", SIGNAL, [X, [3, 1]], {}),
    ("replication_pad2d.default", IMAGE, [X, [3, 1, 0, 2]], {}),
    ("flip.default", IMAGE, [X, [-1, 1]], {}),
    ("roll.default", IMAGE, [X, [1, -2], [1, 3]], {}),
    ("pixel_shuffle.default", IMAGE, [X, 2], {}),
    ("channel_shuffle.default", IMAGE, [X, 2], {}),
    ("im2col.default", IMAGE, [X, [2, 2], [1, 1], [1, 0], [2, 1]], {}),
    ("upsample_nearest2d.vec", IMAGE, [X, None, [2.0, 1.5]], {}),
    ("clone.default", IMAGE, [X], {"memory_format": torch.contiguous_format}),
    ("alias.default", IMAGE, [X], {}),
    ("dropout.default", IMAGE, [X, 0.5, False], {}),
    ("feature_dropout.default", IMAGE, [X, 0.5, False], {}),
    ("native_dropout.default", IMAGE, [X, 0.5, False], {}),
    ("_to_copy.default", IMAGE, [X], {"dtype": torch.float64}),
    ("to.dtype", IMAGE, [X, torch.float64], {}),
]
by_operation = {"ids": lambda case: str(case[0])}


def given_as(argument, value, constant):
    """The argument with X replaced by `value`, and tensors by what `constant` makes of them."""
    if isinstance(argument, list):
        return [given_as(entry, value, constant) for entry in argument]
    if isinstance(argument, torch.Tensor):
        return constant(argument)
    return value if argument is X else argument


def call_of(name, arguments, keywords=None, value=None, **more):
    inner = [given_as(argument, value, lambda tensor: tensor.numpy().copy()) for argument in arguments]
    return Call(operation_of(f"torch.ops.aten.{name}"), inner, keywords or {}, **more)


def network_of(builder, value, shape):
    """The network up to the value, behind an identity if it has no layer of its own."""
    return builder.network(builder.linear(builder.flatten(value), np.eye(value.size), None))


@pytest.mark.parametrize("case", CASES, **by_operation)
def test_the_network_does_to_each_sample_what_torch_does_to_the_batch(case):
    name, shape, arguments, keywords = case
    builder = Builder(shape)
    double = {"taken": torch.float64, "given": torch.float64}
    made = Operations(builder, BATCH).apply(call_of(name, arguments, keywords, builder.input, **double))
    x = torch.randn(BATCH, *shape, generator=GENERATOR, dtype=torch.float64)
    expected = operation_of(f"torch.ops.aten.{name}")(
        *(given_as(a, x.clone(), torch.clone) for a in arguments), **keywords
    )
    many = isinstance(expected, list | tuple)
    pairs = list(zip(made if many else [made], expected if many else [expected], strict=True))
    assert any(isinstance(value, Value) for value, _ in pairs)
    for value, tensor in pairs:
        if value is None:
            continue
        assert (BATCH, *value.shape) == tuple(tensor.shape)
        network = network_of(builder, value, shape)
        got = torch.tensor([[float(number) for number in network(row)] for row in x.flatten(1)], dtype=torch.float64)
        torch.testing.assert_close(got, tensor.reshape(BATCH, -1), rtol=1e-13, atol=1e-13)


@given(st.data())
@settings(max_examples=100)
def test_chains_of_moves_are_those_of_torch(data):
    """Permutations, slices, flips and views in any order, each drawn to fit."""
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    builder = Builder(shape)
    operations, value = Operations(builder, BATCH), builder.input
    x = torch.randn(BATCH, *shape, dtype=torch.float64)
    tensor = x
    for _ in range(data.draw(st.integers(1, 6))):
        name, arguments = data.draw(move(tensor))
        value = operations.apply(call_of(name, [X, *arguments], value=value))
        tensor = operation_of(f"torch.ops.aten.{name}")(tensor, *arguments)
    network = network_of(builder, value, shape)
    assert len(network.nodes) <= 3, "moves that follow each other are one"
    assert [list(map(float, network(row))) for row in x.flatten(1)] == tensor.reshape(BATCH, -1).tolist()


@st.composite
def move(draw, tensor):
    axis = draw(st.integers(1, tensor.ndim - 1)) if tensor.ndim > 1 else None
    choices = {"unsqueeze.default": [draw(st.integers(1, tensor.ndim))], "reshape.default": [[BATCH, -1]]}
    if axis is not None:
        length = tensor.shape[axis]
        choices["permute.default"] = [[0, *draw(st.permutations(range(1, tensor.ndim)))]]
        choices["flip.default"] = [[axis]]
        choices["slice.Tensor"] = [axis, draw(st.integers(-length, length - 1)), None, draw(st.integers(1, 3))]
        choices["select.int"] = [axis, draw(st.integers(-length, length - 1))]
        choices["roll.default"] = [[draw(st.integers(-5, 5))], [axis]]
    return draw(st.sampled_from(sorted(choices.items())))


MIXING = [
    ("permute.default", [X, [1, 0, 2]]),
    ("transpose.int", [X, -3, 1]),
    ("flip.default", [X, [0]]),
    ("roll.default", [X, [1]]),
    ("select.int", [X, 0, 0]),
    ("slice.Tensor", [X, 0, 1]),
    ("squeeze.dim", [X, 0]),
    ("unsqueeze.default", [X, 0]),
    ("unbind.int", [X]),
    ("view.default", [X, [-1]]),
    ("flatten.using_ints", [X]),
    ("cat.default", [[X, X]]),
    ("stack.default", [[X, X]]),
    ("mean.dim", [X, [0, 1]]),
    ("mean.default", [X]),
    ("amax.default", [X]),
    ("index_select.default", [X, 0, torch.tensor([0])]),
    ("add.Tensor", [X, numbers(3, 1, 1)]),
    ("index.Tensor", [X, [torch.tensor([0, 0]), None]]),
    ("expand.default", [X, [1, -1, 3, 4]]),
    ("constant_pad_nd.default", [X, [0, 0, 0, 0, 1, -1]]),
    ("unfold.default", [X, 0, 1, 1]),
    ("batch_norm.default", [X, None, None, None, None, True, 0.1, 1e-5, True]),
    ("batch_norm.default", [X, None, None, numbers(3), numbers(3).abs(), True, 0.1, 1e-5, True]),
]


@pytest.mark.parametrize("case", MIXING, **by_operation)
@pytest.mark.parametrize("batch", [1, 2])
def test_what_mixes_samples_is_refused_for_a_batch_of_one_too(case, batch):
    name, arguments = case
    builder = Builder((3, 4))
    with pytest.raises(UnsupportedLayer, match=rf"^here: operation {base_name(operation_of(f'aten.{name}'))} is not"):
        Operations(builder, batch).apply(call_of(name, arguments, value=builder.input, where="here"))


def test_samples_that_change_places_are_seen_whatever_the_operation_is_called():
    builder = Builder((2,))
    with pytest.raises(
        UnsupportedLayer, match=r"samples of shape \[2, 2\] become a tensor of shape \[2, 2\]: it mixes"
    ):
        Operations(builder, 2).apply(call_of("mT.default", [X], value=builder.input))


WRONG = {
    "a list of words": ("view.default", [X, ["a"]], {}),
    "none": ("relu.default", [], {}),
    "by another name": ("conv2d.default", [X, numbers(1, 3, 1, 1)], {"bias": "no"}),
    "too many sides": ("max_pool2d.default", [X, [2, 2, 2]], {}),
    "a size that does not fit": ("view.default", [X, [BATCH, 7]], {}),
    "a dimension that it has not": ("select.int", [X, 9, 0]),
    "an unknown word": ("conv2d.padding", [X, numbers(1, 3, 1, 1), None, [1, 1], "reflect"]),
    "too much padding": ("avg_pool2d.default", [X, [2, 2], [1, 1], [10**9, 0]]),
    "a giant": ("expand.default", [X, [-1, 3, 4, 4 * 10**12]]),
    "giant padding": ("constant_pad_nd.default", [X, [10**12, 0]]),
    "giant repetition": ("repeat.default", [X, [1, 10**6, 10**6, 1]]),
    "a written output": ("relu.out", [X], {"out": numbers(1).numpy()}),
    "indices from the input": ("index.Tensor", [X, [None, X]]),
    "two values": ("max.other", [X, X]),
    "a value as weight": ("linear.default", [X, X]),
    "a constant alone": ("relu.default", [numbers(3)]),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_arguments_that_torch_would_not_take_are_refused_in_one_line(case):
    name, arguments, *keywords = case
    builder = Builder((3, 4, 1))
    call = call_of(name, arguments, keywords[0] if keywords else {}, builder.input)
    with pytest.raises(UnsupportedLayer, match=r"operation .* is not supported here: ") as caught:
        Operations(builder, BATCH).apply(call)
    assert str(caught.value).isprintable()
    assert len(builder.nodes) == 1


NAMES = ["os.system", "torch.ops.mine.relu.default", "torch.ops.aten.nothing.default", "aten.relu.nothing",
         "aten.__class__.mro", "aten.relu", "", "aten.re lu.default"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_only_operations_of_torch_are_looked_up(name):
    with pytest.raises(UnsupportedLayer, match="is not one of torch's own"):
        operation_of(name)


def test_numbers_that_are_not_finite_are_refused():
    builder = Builder((2,))
    for number in (float("inf"), float("nan"), 1e300):  # 1e300 is infinite in float32
        with pytest.raises(NotExact, match="not finite"):
            Operations(builder, 1).apply(call_of("mul.Tensor", [X, number], value=builder.input))


def test_shapes_that_do_not_chain_name_the_place():
    builder = Builder((2,))
    with pytest.raises(ShapeMismatch, match=r"^layer 'fc': operation linear: .* takes 3 numbers but receives"):
        Operations(builder, 1).apply(
            call_of("linear.default", [X, numbers(1, 3)], value=builder.input, where="layer 'fc'")
        )


def test_a_weight_that_is_moved_twice_stays_one_array():
    builder = Builder((3,))
    operations, weight = Operations(builder, 1), numbers(3, 3).numpy()
    value = builder.input
    for _ in range(2):
        turned = operations.apply(Call(operation_of("aten.t.default"), [weight]))
        value = operations.apply(Call(operation_of("aten.mm.default"), [value, turned]))
    assert np.array_equal(turned, weight.T)
    network = builder.network(value)
    assert network.layers[0].linear.weight is network.layers[1].linear.weight
    assert network.parameters == 12


def test_what_operations_are_called_and_whether_they_write():
    assert [kind_of(operation_of(f"aten.{name}")) for name in ("clamp_min_.default", "addmm.default", "conv2d.padding",
        "max_pool2d_with_indices.default", "_native_batch_norm_legit_no_training.default", "add_.Tensor")] == [
        "relu", "linear", "conv", "max_pool2d", "batch_norm", "add"]  # fmt: skip
    assert writes(operation_of("aten.relu_.default"))
    assert not writes(operation_of("aten.relu.default"))
    assert not writes(operation_of("aten.view.default"))


class Stacked(torch.nn.Module):
    """A sum over a stack of branches, as zennit's own module for additions computes it, or their plain sum."""

    def __init__(self, branches, plain):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = torch.nn.Linear(3, 3), torch.nn.Linear(3, 2)
        self.branches, self.plain = branches, plain

    def forward(self, x):
        parts = [torch.relu(self.first(x)), x, x][: self.branches]
        if not self.plain:
            return self.last(torch.stack(parts, dim=-1).sum(dim=-1))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return self.last(total)


@pytest.mark.parametrize("branches", [2, 3])
def test_a_sum_over_a_stack_is_the_plain_addition(branches):
    x = torch.rand(2, 3)
    stacked, plain = (from_module(Stacked(branches, plain), x) for plain in (False, True))
    assert stacked.sha256 == plain.sha256


def test_a_sum_of_many_entries_is_exact():
    module = torch.nn.Sequential(torch.nn.Linear(3, 40), torch.nn.Unflatten(1, (2, 20)), Summed()).double()
    network = from_module(module, torch.rand(2, 3, dtype=torch.float64))
    x = torch.rand(3, dtype=torch.float64)
    found = [float(entry) for entry in network(x)]
    assert torch.allclose(torch.tensor(found, dtype=torch.float64), module(x[None])[0], rtol=1e-12)


class Summed(torch.nn.Module):
    def forward(self, x):
        return x.sum(-1)
