"""Every Builder method computes what torch computes; equal functions written differently are one network."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.errors import NotExact, ShapeMismatch
from dtdsym.network.builder import Builder
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import AveragePool, Concat, Convolution, Relu, Scale, Take

SHAPES = st.sampled_from([(1, 6), (2, 5), (4, 3), (2, 3, 4), (1, 5, 5), (4, 2, 3), (3, 4, 1)])
SIDE = st.integers(1, 3)


def random(shape, seed):
    """Halves: their products and sums are exact in float64, so that results are equal and not just close."""
    return np.random.default_rng(seed).integers(-6, 7, shape) / 2


def same(shape, ours, theirs, *, close=False):
    """ours(builder, value) against theirs(a batch of one): the value at a random input, and its shape."""
    build = Builder(shape)
    made = ours(build, build.input)
    x = torch.tensor(random(shape, 7))
    truth = theirs(x[None])[0]
    assert made.shape == tuple(truth.shape)
    one = build.linear(build.flatten(made), np.ones((1, made.size)), None)
    network = build.network(one)
    values = evaluate(network, TENSOR, {0: x.reshape(1, -1)})
    found = values[network.nodes[-1].source][0].reshape(made.shape)
    assert torch.allclose(found, truth, rtol=1e-14, atol=1e-14) if close else torch.equal(found, truth)
    exact = network(x.flatten().tolist())[0]
    assert abs(exact - sum(map(Fraction, truth.flatten().tolist()))) <= Fraction(1, 10**9) * close
    return network


# Against torch


@settings(max_examples=100)
@given(shape=SHAPES, data=st.data())
def test_convolve(shape, data):
    spatial = len(shape) - 1
    groups = data.draw(st.sampled_from([g for g in (1, 2, 4) if shape[0] % g == 0]))
    out = groups * data.draw(st.integers(1, 2))
    options = {
        "stride": data.draw(SIDE | st.tuples(*[SIDE] * spatial)),
        "padding": data.draw(st.integers(0, 2) | st.tuples(*[st.integers(0, 2)] * spatial)),
        "dilation": data.draw(st.integers(1, 2) | st.tuples(*[st.integers(1, 2)] * spatial)),
        "groups": groups,
    }
    kernel = data.draw(st.tuples(*[SIDE] * spatial))
    sides = [np.broadcast_to(options[name], spatial) for name in ("padding", "dilation")]
    assume(all(n + 2 * p > d * (k - 1) for n, k, p, d in zip(shape[1:], kernel, *sides, strict=True)))
    weight = random((out, shape[0] // groups, *kernel), 1)
    bias = random(out, 2) if data.draw(st.booleans()) else None
    theirs = F.conv1d if spatial == 1 else F.conv2d
    given_bias = None if bias is None else torch.tensor(bias)
    same(
        shape,
        lambda build, value: build.convolve(value, weight.copy(), None if bias is None else bias.copy(), **options),
        lambda x: theirs(x, torch.tensor(weight), given_bias, **options),
    )


@pytest.mark.parametrize("padding", [((1, 0),), ((0, 2),), ((2, 1),)])
def test_convolve_with_paddings_of_two_sides(padding):
    weight = random((2, 2, 3), 1)
    same(
        (2, 5),
        lambda build, value: build.convolve(value, weight.copy(), None, padding=padding),
        lambda x: F.conv1d(F.pad(x, padding[0]), torch.tensor(weight)),
    )


@pytest.mark.parametrize("shape", [(4,), (1, 4), (3, 4), (2, 3, 4)])
def test_linear_maps_the_last_dimension(shape):
    weight, bias = random((3, 4), 1), random(3, 2)
    same(
        shape,
        lambda build, value: build.linear(value, weight.copy(), bias.copy()),
        lambda x: F.linear(x, torch.tensor(weight), torch.tensor(bias)),
    )


@settings(max_examples=40)
@given(shape=SHAPES, affine=st.booleans(), seed=st.integers(0, 99))
def test_batch_norm(shape, affine, seed):
    channels = shape[0]
    weight, bias = (random(channels, seed), random(channels, seed + 1)) if affine else (None, None)
    mean, variance = random(channels, seed + 2), abs(random(channels, seed + 3)) + 0.3
    tensors = [None if array is None else torch.tensor(array) for array in (mean, variance, weight, bias)]
    same(
        shape,
        lambda build, value: build.batch_norm(value, weight, bias, mean, variance, 1e-5),
        lambda x: F.batch_norm(x, *tensors, eps=1e-5),
        close=True,
    )


@pytest.mark.parametrize(("weight", "variance", "epsilon"), [(3.0, 0.25, 0.0), (0.1, 0.7, 1e-3), (-2.0, 1e-300, 1e-5)])
def test_the_factor_of_batch_norm_is_rounded_once(weight, variance, epsilon):
    """No float lies nearer to weight / sqrt(variance + epsilon); the summand is exact from it."""
    build = Builder((1, 2))
    arrays = [np.array([number]) for number in (weight, 0.1, 0.3, variance)]
    node = build.nodes[build.batch_norm(build.input, *arrays, epsilon).node]
    factor = node.weight[0]
    square = Fraction(weight) ** 2 / (Fraction(variance) + Fraction(epsilon))
    size = abs(factor)
    below, above = (Fraction(math.nextafter(float(size), end)) for end in (0.0, math.inf))
    assert ((size + below) / 2) ** 2 <= square <= ((size + above) / 2) ** 2
    assert (factor > 0) == (weight > 0)
    assert node.bias[0] == Fraction(0.1) - factor * Fraction(0.3)
    assert node.norm.factor[0] == factor


def maxima(shape, *options):
    """torch's maximum over a window that lies wholly in the padding is -inf; it is refused."""
    theirs = F.max_pool1d if len(shape) == 2 else F.max_pool2d
    if torch.isinf(theirs(torch.zeros(1, *shape).double(), *options)).any():
        with pytest.raises(ShapeMismatch, match="lies wholly in the padding"):
            Builder(shape).max_pool(Builder(shape).input, *options)
        return
    same(shape, lambda build, value: build.max_pool(value, *options), lambda x: theirs(x, *options))


@settings(max_examples=100)
@given(shape=SHAPES, data=st.data(), kind=st.sampled_from(["max", "average"]))
def test_pools(shape, data, kind):
    spatial = len(shape) - 1
    kernel = data.draw(st.tuples(*[SIDE] * spatial))
    stride = data.draw(st.none() | st.tuples(*[SIDE] * spatial))
    padding = data.draw(st.tuples(*[st.integers(0, k // 2) for k in kernel]))
    ceil = data.draw(st.booleans())
    dilation = data.draw(st.integers(1, 2)) if kind == "max" else 1
    room = zip(shape[1:], kernel, padding, strict=True)
    assume(all(n + 2 * p >= dilation * (k - 1) + 1 for n, k, p in room))
    if kind == "max":
        maxima(shape, kernel, stride, padding, dilation, ceil)
        return
    count = data.draw(st.booleans())
    divisor = data.draw(st.none() | st.integers(1, 5)) if spatial == 2 else None
    extra = {"divisor_override": divisor} if spatial == 2 else {}
    theirs = F.avg_pool1d if spatial == 1 else F.avg_pool2d
    same(
        shape,
        lambda build, value: build.average_pool(value, kernel, stride, padding, ceil, count, divisor),
        lambda x: theirs(x, kernel, stride, padding, ceil, count, **extra),
        close=True,
    )


@settings(max_examples=40)
@given(shape=SHAPES, data=st.data(), kind=st.sampled_from(["max", "average"]))
def test_adaptive_pools(shape, data, kind):
    spatial = len(shape) - 1
    outputs = data.draw(st.tuples(*[st.integers(1, 7)] * spatial))
    names = {"max": F.adaptive_max_pool1d, "average": F.adaptive_avg_pool1d}
    wide = {"max": F.adaptive_max_pool2d, "average": F.adaptive_avg_pool2d}
    theirs = (names if spatial == 1 else wide)[kind]
    same(
        shape,
        lambda build, value: getattr(build, f"adaptive_{kind}_pool")(value, outputs),
        lambda x: theirs(x, outputs),
        close=kind == "average",
    )


def test_adaptive_pools_keep_a_dimension_without_a_number():
    same((2, 3, 5), lambda build, v: build.adaptive_average_pool(v, (None, 2)),
         lambda x: F.adaptive_avg_pool2d(x, (None, 2)), close=True)  # fmt: skip


@settings(max_examples=40)
@given(shape=SHAPES, data=st.data())
def test_permute_pad_reshape_and_take(shape, data):
    axes = data.draw(st.permutations(range(len(shape))))
    same(shape, lambda build, v: build.permute(v, axes), lambda x: x.permute(0, *(1 + axis for axis in axes)))
    amounts = [(data.draw(st.integers(-1, 2)), data.draw(st.integers(-1, 2))) for _ in shape]
    assume(all(n + min(low, 0) + min(high, 0) > 0 for n, (low, high) in zip(shape, amounts, strict=True)))
    flat = [side for pair in reversed(amounts) for side in pair]
    same(shape, lambda build, v: build.pad(v, tuple(amounts)), lambda x: F.pad(x, flat))
    same(
        shape,
        lambda build, v: build.pad(build.permute(v, axes), ((1, 0), *[(0, 1)] * (len(shape) - 1))),
        lambda x: F.pad(x.permute(0, *(1 + axis for axis in axes)), [*[0, 1] * (len(shape) - 1), 1, 0]),
    )
    same(shape, lambda build, v: build.reshape(v, (-1, shape[0])), lambda x: x.reshape(1, -1, shape[0]))
    same(shape, lambda build, v: build.flatten(v), lambda x: x.flatten(1))
    index = np.array([[data.draw(st.integers(0, math.prod(shape) - 1)) for _ in range(3)] for _ in range(2)])
    same(shape, lambda build, v: build.take(v, index), lambda x: x.flatten(1)[:, index])


@settings(max_examples=40)
@given(shape=SHAPES, axis=st.integers(0, 2), seed=st.integers(0, 99))
def test_elementwise_steps_and_concatenations(shape, axis, seed):
    factor, summand = random(shape, seed), random((shape[0], *[1] * (len(shape) - 1)), seed + 1)
    a, b = torch.tensor(factor), torch.tensor(summand)
    same(shape, lambda build, v: build.relu(v), F.relu)
    same(shape, lambda build, v: build.scale(v, factor, summand, 4.0), lambda x: x * a / 4 + b)
    same(shape, lambda build, v: build.add(v, build.relu(v)), lambda x: x + F.relu(x))
    same(shape, lambda build, v: build.subtract(v, build.relu(v)), lambda x: x - F.relu(x))
    axis = axis % len(shape)
    same(
        shape,
        lambda build, v: build.concat([v, build.relu(v), v], axis),
        lambda x: torch.cat([x, F.relu(x), x], axis + 1),
    )


def test_maxima_and_means_of_listed_places():
    index = np.array([[0, 3], [2, 2]])
    same((2, 2), lambda build, v: build.maxima(v, index.copy()), lambda x: x.flatten(1)[:, index].amax(-1))
    gaps = np.array([[0, -1], [2, 1]])
    counts = np.array([2, 4])
    same(
        (2, 2),
        lambda build, v: build.means(v, gaps.copy(), counts.copy()),
        lambda x: torch.cat([x.flatten(1), torch.zeros(1, 1)], 1)[:, gaps].sum(-1) / torch.tensor(counts),
    )


def test_the_network_leaves_out_what_its_output_does_not_depend_on():
    build = Builder((2,))
    build.relu(build.linear(build.input, np.ones((5, 2)), None))
    out = build.linear(build.input, np.ones((1, 2)), None)
    build.relu(out)
    assert len(build.network(out).nodes) == 2


# One function, one hash

WEIGHT, KERNEL = random((3, 4), 11), random((2, 1, 2), 12)


def headed(step, shape=(4,)):
    """sha256 of a step between a ReLU and a linear map."""
    build = Builder(shape)
    value = step(build, build.relu(build.input))
    return build.network(build.linear(build.flatten(value), random((1, value.size), 13), None)).sha256


def biased_linear(build, value):
    return build.linear(value, WEIGHT, np.array([1.0, 0.0, -2.0]))


def linear_then_bias(build, value):
    return build.scale(build.linear(value, WEIGHT, None), 1.0, np.array([1.0, 0.0, -2.0]))


def linear_then_bias_in_two(build, value):
    half = build.scale(build.linear(value, WEIGHT, np.zeros(3)), 2.0, np.array([2.0, 0.0, -4.0]))
    return build.scale(half, 1.0, 0.0, 2.0)


def biased_convolution(build, value):
    return build.convolve(build.reshape(value, (1, 4)), KERNEL, np.array([1.0, -1.0]))


def convolution_then_bias(build, value):
    wide = build.convolve(build.reshape(value, (1, 4)), KERNEL, None)
    return build.scale(wide, 1.0, np.array([[1.0], [-1.0]]))


EQUAL = {
    "a bias of zeros": [
        lambda b, v: b.linear(v, WEIGHT, None), lambda b, v: b.linear(v, WEIGHT, np.zeros(3)),
        lambda b, v: b.linear(v, WEIGHT + 0.0, np.array([0.0, -0.0, 0.0]), name="named"),
    ],
    "a bias that is added": [biased_linear, linear_then_bias, linear_then_bias_in_two],
    "a convolution's bias that is added": [biased_convolution, convolution_then_bias],
    "constants after each other": [
        lambda b, v: b.scale(v, 3.0, 1.0), lambda b, v: b.scale(b.scale(v, 3.0), 1.0, 1.0),
        lambda b, v: b.scale(b.scale(v, 6.0, 2.0), 0.5), lambda b, v: b.scale(b.scale(v, 6.0, 2.0), 1.0, 0.0, 2.0),
        lambda b, v: b.scale(v, np.full(4, 3.0), np.ones(4)),
    ],
    "thirds": [lambda b, v: b.scale(v, 1.0, 0.0, 3.0), lambda b, v: b.scale(b.scale(v, 2.0), 1.0, 0.0, 6.0)],
    "nothing at all": [
        lambda b, v: v, lambda b, v: b.scale(v, 1.0), lambda b, v: b.permute(v, (0,)), lambda b, v: b.concat([v], 0),
        lambda b, v: b.pad(v, ((0, 0),)), lambda b, v: b.take(v, np.arange(4)), lambda b, v: b.reshape(v, (2, 2)),
        lambda b, v: b.scale(b.scale(v, 2.0), 0.5), lambda b, v: b.scale(b.scale(v, 3.0), 1.0, 0.0, 3.0),
        lambda b, v: b.take(b.take(v, np.array([3, 2, 1, 0])), np.array([3, 2, 1, 0])),
        lambda b, v: b.permute(b.permute(b.reshape(v, (2, 2)), (1, 0)), (1, 0)),
    ],
    "two picks": [
        lambda b, v: b.take(b.take(v, np.array([3, -1, 1])), np.array([2, 1, 0])),
        lambda b, v: b.take(v, np.array([1, -1, 3])),
    ],
    "a sum in either order": [
        lambda b, v: b.add(v, b.scale(v, 2.0)), lambda b, v: b.add(b.scale(v, 2.0), v),
    ],
    "unread nodes": [lambda b, v: v, lambda b, v: (b.relu(b.scale(v, 5.0)), v)[1]],
    "zeros around a convolution": [
        lambda b, v: b.convolve(b.reshape(v, (1, 4)), KERNEL, None, padding=((1, 0),)),
        lambda b, v: b.convolve(b.pad(b.reshape(v, (1, 4)), ((0, 0), (1, 0))), KERNEL, None),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", EQUAL)
def test_equal_functions_written_differently_have_one_hash(name):
    assert len({headed(step) for step in EQUAL[name]}) == 1


def test_different_functions_have_different_hashes():
    altered = WEIGHT.copy()
    altered[0, 0] = np.nextafter(altered[0, 0], 9)
    square = (1, 4)
    steps = [
        *(steps[0] for name, steps in EQUAL.items() if name != "unread nodes"),
        lambda b, v: b.linear(v, altered, None),
        lambda b, v: b.linear(v, WEIGHT, np.array([0.0, 0.0, 5e-324])),
        lambda b, v: b.scale(v, 3.0, 1.0 + 2.0**-52),
        lambda b, v: b.relu(b.relu(v)),
        lambda b, v: b.take(v, np.array([1, 0, 2, 3])),
        lambda b, v: b.take(v, np.array([-1, 1, 2, 3])),
        lambda b, v: b.add(v, v),
        lambda b, v: b.subtract(v, b.scale(v, 2.0)),
        lambda b, v: b.concat([v, b.scale(v, 2.0)], 0),
        lambda b, v: b.concat([b.scale(v, 2.0), v], 0),
        lambda b, v: b.max_pool(b.reshape(v, square), 2),
        lambda b, v: b.max_pool(b.reshape(v, square), 2, 1),
        lambda b, v: b.average_pool(b.reshape(v, square), 2),
        lambda b, v: b.average_pool(b.reshape(v, square), 2, divisor=3),
        lambda b, v: b.convolve(b.reshape(v, square), KERNEL, None),
        lambda b, v: b.convolve(b.reshape(v, square), KERNEL, None, stride=2),
        lambda b, v: b.convolve(b.reshape(v, square), KERNEL, None, dilation=2),
        lambda b, v: b.convolve(b.reshape(v, square), KERNEL, None, padding=1),
        lambda b, v: b.convolve(b.reshape(v, (2, 2)), np.tile(KERNEL, (1, 1, 1)), None, groups=2),
        lambda b, v: b.batch_norm(b.reshape(v, square), *np.ones((4, 1)), 0.0),
        lambda b, v: b.batch_norm(b.reshape(v, square), *np.ones((4, 1)), 1.0),
    ]
    hashes = [headed(step) for step in steps]
    assert len(set(hashes)) == len(hashes)


def test_names_and_the_inputs_shape_do_not_count_but_its_size_does():
    plain = headed(lambda b, v: b.relu(v))
    assert headed(lambda b, v: b.relu(v, name="other")) == plain
    assert headed(lambda b, v: b.relu(v), (2, 2)) == plain
    assert headed(lambda b, v: b.take(b.relu(v), np.arange(4)), (5,)) != plain


def test_nodes_are_those_that_were_asked_for():
    build = Builder((2, 4))
    value = build.concat([build.input, build.relu(build.input)], 0)
    value = build.convolve(value, random((2, 4, 2), 1), None, padding=((0, 1),))
    value = build.average_pool(build.scale(value, 3.0), 2)
    made = build.network(build.linear(build.flatten(value), np.ones((1, 4)), None))
    assert [type(node) for node in made.nodes[1:-1]] == [Relu, Concat, Take, Convolution, Scale, AveragePool]


# Refusals


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        (lambda b, v: b.linear(v, np.ones((2, 3)), None), ShapeMismatch, "takes 3 numbers but receives shape"),
        (lambda b, v: b.convolve(v, np.ones((2, 3, 1)), None), ShapeMismatch, "expected .channels"),
        (lambda b, v: b.convolve(v, np.ones((2, 2, 9)), None), ShapeMismatch, "larger than the padded value"),
        (
            lambda b, v: b.convolve(v, np.ones((3, 1, 1)), None, groups=2),
            ShapeMismatch,
            "3 output channels in 2 groups",
        ),
        (lambda b, v: b.convolve(v, np.ones((2, 2, 1)), None, stride=0), ShapeMismatch, "expected one positive number"),
        (lambda b, v: b.convolve(v, np.ones((2, 2, 1)), None, padding=-1), ShapeMismatch, "expected numbers from 0"),
        (lambda b, v: b.batch_norm(v, None, None, *np.ones((2, 3)), 1.0), ShapeMismatch, "other numbers of statistics"),
        (lambda b, v: b.batch_norm(v, None, None, np.ones(2), -np.ones(2), 1.0), NotExact, "must be positive"),
        (lambda b, v: b.batch_norm(v, None, None, np.ones(2) * np.inf, np.ones(2), 1.0), NotExact, "not finite"),
        (lambda b, v: b.scale(v, np.nan), NotExact, "a constant is not finite"),
        (lambda b, v: b.scale(v, 1.0, 0.0, 0.0), NotExact, "a division by 0"),
        (lambda b, v: b.scale(v, np.ones(3)), ShapeMismatch, "a constant of shape"),
        (lambda b, v: b.add(v, b.flatten(v)), ShapeMismatch, "two values of one shape"),
        (lambda b, v: b.concat([v, b.flatten(v)], 0), ShapeMismatch, "concatenation"),
        (lambda b, v: b.concat([v, v], 2), ShapeMismatch, "along dimension 2"),
        (lambda b, v: b.reshape(v, (3, -1)), ShapeMismatch, "does not fit shape"),
        (lambda b, v: b.reshape(v, (-1, -1)), ShapeMismatch, "does not fit shape"),
        (lambda b, v: b.permute(v, (0, 0)), ShapeMismatch, "are no order"),
        (lambda b, v: b.take(v, np.array([8])), ShapeMismatch, "entries that a value"),
        (lambda b, v: b.take(v, np.array([-2])), ShapeMismatch, "entries that a value"),
        (lambda b, v: b.max_pool(b.flatten(v), 2), ShapeMismatch, "expected .channels"),
        (lambda b, v: b.max_pool(v, 9), ShapeMismatch, "does not fit 4 entries"),
        (lambda b, v: b.adaptive_max_pool(v, (2, 2)), ShapeMismatch, "an adaptive pool"),
        (lambda b, v: b.adaptive_max_pool(v, (0,)), ShapeMismatch, "expected at least one"),
        (lambda b, v: b.pad(v, ((0, 10**10), (0, 0))), ShapeMismatch, "at most"),
        (lambda b, v: b.pad(v, ((-1, -1), (0, 0))), ShapeMismatch, "picks entries"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(step, error, message):
    build = Builder((2, 4))
    with pytest.raises(error, match=message) as caught:
        step(build, build.input)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(), (0,), (2, -1), (2**29,)])
def test_an_input_without_numbers_is_refused(shape):
    with pytest.raises(ShapeMismatch, match="an input of shape"):
        Builder(shape)
