"""write_onnx: what was written is read back as the very same function, by its hash; and other tools read it too."""

import math
from fractions import Fraction

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from onnx_graphs import differences, run

from dtdsym.arithmetic.factors import short_factors
from dtdsym.errors import ShapeMismatch, UnsupportedLayer
from dtdsym.network.builder import Builder
from dtdsym.network.layers import Affine, Input, Scale
from dtdsym.network.network import Network
from dtdsym.network.onnx.read import read_onnx
from dtdsym.network.onnx.write import write_onnx
from dtdsym.network.onnx.write_constants import TooLong, is_float, steps

SMALL = st.integers(-6, 6).map(lambda n: n / 4)
WIDE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6).filter(lambda f: abs(f) > 1e-9)


def array(draw, shape, numbers):
    drawn = draw(st.lists(numbers, min_size=math.prod(shape), max_size=math.prod(shape)))
    return np.array(drawn, dtype=np.float64).reshape(shape)


def _linear(draw, builder, value, numbers):
    outputs = draw(st.integers(1, 4))
    bias = array(draw, (outputs,), numbers) if draw(st.booleans()) else None
    return builder.linear(value, array(draw, (outputs, value.shape[-1]), SMALL), bias, "linear")


def _convolve(draw, builder, value, numbers):
    assume(len(value.shape) > 1)
    spatial, groups = len(value.shape) - 1, draw(st.sampled_from([1, value.shape[0]]))
    kernel = [draw(st.integers(1, min(3, n))) for n in value.shape[1:]]
    outputs = groups * draw(st.integers(1, 2))
    weight = array(draw, (outputs, value.shape[0] // groups, *kernel), SMALL)
    pads = tuple(draw(st.tuples(*[st.integers(0, 2)] * 2)) for _ in range(spatial))
    bias = array(draw, (outputs,), numbers) if draw(st.booleans()) else None
    sides = {k: [draw(st.integers(1, 2)) for _ in range(spatial)] for k in ("stride", "dilation")}
    return builder.convolve(value, weight, bias, padding=pads, groups=groups, name="conv", **sides)


def _batch_norm(draw, builder, value, numbers):
    weight, bias, mean = (array(draw, value.shape[:1], numbers) for _ in range(3))
    return builder.batch_norm(value, weight, bias, mean, np.abs(array(draw, value.shape[:1], SMALL)), 1e-5, "norm")


def _scale(draw, builder, value, numbers):
    def constant(neutral):
        if draw(st.booleans()):
            return neutral
        axis = draw(st.integers(0, len(value.shape)))
        return array(draw, tuple(n if i >= axis else 1 for i, n in enumerate(value.shape)), numbers)

    divisor = constant(1.0)
    return builder.scale(value, constant(1.0), constant(0.0), np.where(divisor == 0, 3.0, divisor), "constants")


def _channels(draw, builder, value, numbers):
    """Constants that differ by channel, several in a row."""
    shape = (value.shape[0], *(1,) * (len(value.shape) - 1))
    for _ in range(draw(st.integers(1, 3))):
        divisor = array(draw, shape, numbers)
        value = builder.scale(
            value, array(draw, shape, numbers), array(draw, shape, numbers), np.where(divisor == 0, 3.0, divisor)
        )
    return value


def _add(draw, builder, value, numbers):
    other = draw(st.sampled_from([v for v in builder.kept if v.size == value.size]))
    join = draw(st.sampled_from([builder.add, builder.subtract]))
    return join(value, builder.reshape(other, value.shape), "sum")


def _concat(draw, builder, value, numbers):
    axis = draw(st.integers(0, len(value.shape) - 1))
    assume(value.size < 300)
    return builder.concat([value, builder.relu(value)], axis, "concat")


def _pool(draw, builder, value, numbers):
    assume(len(value.shape) > 1)
    kernel = [draw(st.integers(1, min(3, n))) for n in value.shape[1:]]
    stride = draw(st.sampled_from([None, 1, 2, [draw(st.integers(1, 3)) for _ in kernel]]))
    pads = [draw(st.sampled_from([0, k // 2])) for k in kernel]
    kind = draw(st.sampled_from(["max", "dilated", "average", "divisor"]))
    ceil = draw(st.booleans())
    if kind in ("max", "dilated"):
        return builder.max_pool(value, kernel, stride, pads, 1 if kind == "max" else 2, ceil, "pool")
    divisor = draw(st.integers(1, 5)) if kind == "divisor" else None
    return builder.average_pool(value, kernel, stride, pads, ceil, draw(st.booleans()), divisor, "pool")


def _adaptive(draw, builder, value, numbers):
    assume(len(value.shape) > 1)
    outputs = [draw(st.integers(1, n)) for n in value.shape[1:]]
    return draw(st.sampled_from([builder.adaptive_average_pool, builder.adaptive_max_pool]))(value, outputs, "adaptive")


def _move(draw, builder, value, numbers):
    kind = draw(st.sampled_from(["flatten", "permute", "pad", "take", "fold"]))
    match kind:
        case "flatten":
            return builder.flatten(value)
        case "permute":
            return builder.permute(value, draw(st.permutations(range(len(value.shape)))), "turn")
        case "pad":
            low = [draw(st.integers(-1 if n > 2 else 0, 1)) for n in value.shape]
            return builder.pad(value, tuple((n, 1) for n in low), "pad")
        case "take":
            index = draw(st.lists(st.integers(-1, value.size - 1), min_size=1, max_size=8))
            return builder.take(value, np.array(index), "take")
    divisors = [d for d in range(1, value.size + 1) if value.size % d == 0]
    return builder.reshape(value, (draw(st.sampled_from(divisors)), -1))


def _relu(draw, builder, value, numbers):
    return builder.relu(value, draw(st.sampled_from(["relu", "", "ünïcode \n"])))


STEPS = [_linear, _convolve, _batch_norm, _scale, _channels, _add, _concat, _pool, _adaptive, _move, _relu]


@st.composite
def networks(draw, allowed=tuple(STEPS), numbers=None):
    """Any network that a Builder makes, small."""
    chosen = draw(st.sampled_from([SMALL, WIDE])) if numbers is None else numbers
    builder = Builder(draw(st.sampled_from([(4,), (2, 5), (2, 3, 4), (3, 4, 4), (1, 2, 2, 3)])))
    builder.kept = [builder.input]
    value = builder.input
    for step in draw(st.lists(st.sampled_from(allowed), min_size=1, max_size=6)):
        try:
            value = step(draw, builder, value, chosen)
        except ShapeMismatch:
            continue
        assume(value.size <= 600)
        builder.kept.append(value)
    if not any(layer in (_linear, _convolve, _batch_norm) for layer in allowed) or draw(st.booleans()):
        value = _linear(draw, builder, value, chosen)
    try:
        return builder.network(value)
    except ShapeMismatch:
        return builder.network(_linear(draw, builder, value, chosen))


QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=200)


@QUIET
@given(networks())
def test_what_was_written_is_read_back_as_the_same_function(network):
    data = write_onnx(network)
    again = read_onnx(data, None)
    assert again.sha256 == network.sha256
    assert again.parameters == network.parameters
    assert again.input_shape == network.input_shape


@settings(QUIET, max_examples=60)
@given(networks(numbers=SMALL), st.integers(0, 2**20))
def test_other_tools_compute_the_same(network, seed):
    data = write_onnx(network)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assume(_type(data) == onnx.TensorProto.FLOAT)
    difference, scale = differences(data, seed, batch=2)
    assert difference <= 1e-5 * scale


def _type(data):
    return onnx.load_from_string(data).graph.input[0].type.tensor_type.elem_type


def kinds(network):
    """The operators of the file, in order."""
    return [node.op_type for node in onnx.load_from_string(write_onnx(network)).graph.node]


def ending(builder, value):
    """A network ends with a layer here, so that there is one."""
    return builder.network(builder.linear(builder.flatten(value), np.ones((1, value.size)), None))


POOLS = {
    "MaxPool": lambda b: b.max_pool(b.input, 2),
    "MaxPool padded": lambda b: b.max_pool(b.input, 3, 2, 1, name="pool"),
    "MaxPool ceil": lambda b: b.max_pool(b.input, [2, 3], 2, ceil=True),
    "MaxPool of rows": lambda b: b.max_pool(b.input, [1, 2]),
    "AveragePool": lambda b: b.average_pool(b.input, 2),
    "AveragePool with padding": lambda b: b.average_pool(b.input, 3, 2, 1),
    "AveragePool without padding": lambda b: b.average_pool(b.input, 3, 2, 1, count_padding=False),
    "AveragePool whole": lambda b: b.adaptive_average_pool(b.input, (1, 1)),
    "AveragePool parts": lambda b: b.adaptive_average_pool(b.input, (3, 2)),
}


@pytest.mark.parametrize("name", POOLS)
def test_common_pools_are_written_as_pools(name):
    builder = Builder((2, 6, 4))
    network = ending(builder, POOLS[name](builder))
    assert kinds(network) == [name.split()[0], "Reshape", "Gemm"]
    assert read_onnx(write_onnx(network), None).sha256 == network.sha256


def test_every_number_of_a_convolution_is_written():
    builder = Builder((4, 5, 6))
    value = builder.convolve(
        builder.input, np.arange(48.0).reshape(4, 2, 2, 3), np.arange(4.0), stride=[1, 2], padding=((0, 3), (2, 1)),
        dilation=[3, 2], groups=2,
    )  # fmt: skip
    network = builder.network(value)
    assert read_onnx(write_onnx(network), None).sha256 == network.sha256


CONSTANTS = {
    "a third": [{"summand": 1.0, "divisor": 3.0}],
    "a sum over three": [{"summand": 1.0}, {"divisor": 3.0}],
    "a long sum": [{"factor": 2.0}, {"summand": 1.0}, {"divisor": 2.0}, {"summand": 2.0**-80}],
    "nothing": [{"factor": 3.0}, {"divisor": 3.0}],
    "a bias after all": [{"factor": 3.0, "summand": 6.0}, {"divisor": 3.0}],
}


@pytest.mark.parametrize("name", CONSTANTS)
@pytest.mark.parametrize("channels", [np.ones(1), np.array([[1.0], [2.0], [3.0]])])
def test_constants_behind_a_layer_without_bias_do_not_join_it_one_by_one(name, channels):
    builder = Builder((2, 5))
    value = builder.convolve(builder.input, np.ones((3, 2, 1)), None)
    for step in CONSTANTS[name]:
        value = builder.scale(value, **{key: number * channels for key, number in step.items()})
    network = builder.network(value)
    assert read_onnx(write_onnx(network), None).sha256 == network.sha256


OTHERS = {
    "ReduceMax": lambda b: b.adaptive_max_pool(b.input, (4, 3)),
    "Div": lambda b: b.average_pool(b.input, 2, divisor=3),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_windows_are_gathered_and_come_back(name):
    builder = Builder((2, 6, 4))
    network = ending(builder, OTHERS[name](builder))
    assert kinds(network)[-2] == name
    assert "Gather" in kinds(network)
    assert read_onnx(write_onnx(network), None).sha256 == network.sha256


def test_float32_holds_the_weights_if_it_can_else_float64_does():
    builder = Builder((2,))
    for third, kind in (
        (0.25, onnx.TensorProto.FLOAT),
        (1 / 3, onnx.TensorProto.DOUBLE),
        (1e-60, onnx.TensorProto.DOUBLE),
    ):
        data = write_onnx(builder.network(builder.linear(builder.input, np.array([[1.0, third]]), None)))
        assert _type(data) == kind
        assert {t.data_type for t in onnx.load_from_string(data).graph.initializer} == {kind}


def test_image_constants_stay_float32():
    """(x / 255 - mean) / std has the divisor 255 std, which no float32 holds: it is written as two."""
    builder = Builder((3, 2, 2))
    std = np.array([0.229, 0.224, 0.225], dtype=np.float32).astype(float)[:, None, None]
    value = builder.scale(builder.scale(builder.input, divisor=255.0, summand=-0.5), divisor=std)
    network = ending(builder, value)
    data = write_onnx(network)
    assert _type(data) == onnx.TensorProto.FLOAT
    assert read_onnx(data, None).sha256 == network.sha256


def test_a_layer_used_twice_is_stored_once():
    builder = Builder((3,))
    weight = np.arange(9.0).reshape(3, 3)
    once = builder.linear(builder.input, weight, None)
    network = builder.network(builder.linear(builder.relu(once), weight, None))
    again = read_onnx(write_onnx(network), None)
    assert len(onnx.load_from_string(write_onnx(network)).graph.initializer) == 1
    assert again.parameters == network.parameters == 12


@given(st.lists(st.integers(1, 2**24 - 1), max_size=4), st.sampled_from([24, 53]))
def test_products_of_floats_are_factored(numbers, bits):
    parts = short_factors(math.prod(numbers), bits)
    assert math.prod(parts) == math.prod(numbers)
    assert all(part.bit_length() <= bits for part in parts)


SHORT = st.fractions(-(10**6), 10**6, max_denominator=10**9)


@given(st.lists(st.tuples(SHORT, SHORT), min_size=1, max_size=3), st.booleans())
def test_steps_compute_the_constants_exactly(pairs, fresh):
    weights, summands = zip(*pairs, strict=True)
    found = []
    for x in (Fraction(0), Fraction(1)):
        value = [x] * len(pairs)
        for kind, column in steps(weights, summands, 53, fresh):
            act = {"Mul": Fraction.__mul__, "Add": Fraction.__add__, "Div": Fraction.__truediv__}[kind]
            value = [act(v, Fraction(float(c))) for v, c in zip(value, column, strict=True)]
        found.append(value)
    assert found == [list(summands), [w + b for w, b in pairs]]


def test_factors_that_elliptic_curves_may_miss_are_found():
    number = 28287870623055934510169961166535581906376018702993742861505140
    assert max(part.bit_length() for part in short_factors(number, 53)) <= 53


def test_a_long_prime_has_no_short_factors():
    assert short_factors(2 * PRIME, 53) is None
    assert short_factors(2**60 * 3**40, 53) is not None


PRIME = 2**61 - 1


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        (Fraction(PRIME), Fraction(0)),
        (Fraction(1), Fraction(1, PRIME)),
        (Fraction(1), Fraction(10) ** 400),
        (Fraction(1), Fraction(1, 2**2000)),
    ],
)
def test_constants_that_no_floats_give_are_refused(weight, bias):
    scale = Scale(np.array([weight]), np.array([bias]), 2, 0, None, "huge")
    network = Network((Input((2,)), scale, Affine(np.ones((1, 2)), np.zeros(1), 1)))
    with pytest.raises(UnsupportedLayer, match="the constants of 'huge' are no products and sums of floats"):
        write_onnx(network)


def test_powers_of_two_beyond_one_float_are_written_as_several():
    builder = Builder((2,))
    value = builder.input
    for _ in range(3):
        value = builder.scale(value, factor=2.0**-700)
    network = ending(builder, value)
    assert read_onnx(write_onnx(network), None).sha256 == network.sha256


@pytest.mark.parametrize("number", [1 / 3, 2.0**-150, 1e39, 2.0**24 + 1])
def test_what_float32_does_not_hold(number):
    assert not is_float(np.array([1.0, number]), 24)
    assert is_float(np.array([1.0, number]), 53)


def test_a_sum_too_small_for_floats_is_too_long():
    with pytest.raises(TooLong):
        steps([Fraction(2)], [Fraction(1, 2**1100)], 53, False)


def test_the_batch_is_open():
    builder = Builder((2, 4, 4))
    value = builder.convolve(builder.input, np.ones((3, 2, 2, 2)), None)
    data = write_onnx(ending(builder, builder.max_pool(builder.relu(value), 2)))
    x = np.ones((5, 2, 4, 4), np.float32)
    assert run(data, x).shape == (5, 1)
