"""Enclosures with balls: whatever true point lies in the radii and the ball that come in lies in those that go out."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import inf, prod

import numpy as np
import pytest
import torch
from ball_oracle import BOUNDS, POWERS, contained, lifted, numbers, surrounded
from builders import at_points, conv_networks
from enclosure_oracle import ETA, frozen, random_layer
from expansion_oracle import convolutions
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import layers

from dtdsym.arithmetic import ball, enclosure, unfold
from dtdsym.arithmetic.ball import BALL, BallArithmetic, points, reached
from dtdsym.arithmetic.enclosure import UNDECIDED, Enclosure, exact, sign
from dtdsym.arithmetic.rational import RATIONAL, fraction
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.arithmetic.windows import Windows, inverse_index
from dtdsym.network.evaluate import differentiate, evaluate, max_masks
from dtdsym.network.layers import MaxPool, Relu
from dtdsym.network.network import sequential

SEEDS = st.integers(0, 2**32 - 1)
LAX = {"suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much]}
CASES = {"bounds": st.sampled_from(BOUNDS), "power": st.sampled_from(POWERS), "seed": SEEDS}


def tensors(*rows):
    return (torch.tensor(row, dtype=torch.float64) for row in rows)


def exactly(*numbers):
    """One row of exact floats."""
    return exact(torch.tensor([numbers], dtype=torch.float64))


def directed(generator, matrix):
    """A direction of inputs that a map stretches most, or that one of its rows sees most of."""
    scaled = np.ldexp(matrix, -int(np.frexp(abs(matrix).max())[1]))
    if not scaled.any() or generator.random() < 0.3:
        return None
    return np.linalg.svd(scaled)[2][0] if generator.random() < 0.5 else scaled[generator.integers(len(scaled))]


# Linear maps


@settings(max_examples=250, **LAX)
@given(**CASES, scale=st.sampled_from(POWERS), inputs=st.integers(1, 9), outputs=st.integers(1, 4))
def test_affine_maps_contain_every_point(bounds, power, seed, scale, inputs, outputs):
    generator = np.random.default_rng(seed)
    weight = frozen(numbers(generator, outputs, inputs, power=scale))
    bias = frozen(numbers(generator, outputs, power=int(generator.choice([scale + power, 0, 900, -1060])) % 1000))
    value, truths = surrounded(
        generator, numbers(generator, 2, inputs, power=power), bounds, power, directed(generator, weight)
    )
    found = BALL.affine(weight, bias, value)
    assert found.ball is not None
    contained(found, RATIONAL.affine(weight, bias, lifted(truths)))


@settings(max_examples=120, **LAX)
@given(case=convolutions(), **CASES, scale=st.sampled_from(POWERS), most=st.sampled_from([1, 2**25]))
def test_convolutions_contain_every_point_forth_and_back(case, bounds, power, seed, scale, most):
    kernel, windows = case
    generator = np.random.default_rng(seed)
    weight, bias = frozen(np.ldexp(kernel, scale)), frozen(numbers(generator, len(kernel), power=min(scale + power, 0)))
    whole = windows.size <= 30
    matrix = TENSOR.convolve(kernel, 0 * bias, windows, torch.eye(windows.size).double()).T.numpy() if whole else None
    size = len(weight) * prod(windows.positions)
    for act, width, sides in (("convolve", windows.size, matrix), ("convolve_back", size, matrix.T if whole else None)):
        along = None if sides is None else directed(generator, sides)
        value, truths = surrounded(generator, numbers(generator, 2, width, power=power), bounds, power, along)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(unfold, "NUMBERS", most)
            found = getattr(BALL, act)(weight, bias, windows, value)
        assert found.ball is not None
        contained(found, getattr(RATIONAL, act)(weight, bias, windows, lifted(truths)))


@settings(max_examples=60, **LAX)
@given(**CASES, factors=st.sampled_from([[Fraction(1, 3)], [Fraction(-7, 5), Fraction(0)], [Fraction(2) ** -1000]]))
def test_scales_contain_every_point(bounds, power, seed, factors):
    generator = np.random.default_rng(seed)
    weight = np.array(factors, dtype=object)
    bias = np.array([Fraction(int(generator.integers(-3, 4)), 7) for _ in factors], dtype=object)
    for array in (weight, bias):
        array.setflags(write=False)
    value, truths = surrounded(generator, numbers(generator, 2, 4, power=power), bounds, power)
    contained(BALL.scale(weight, bias, value), RATIONAL.scale(weight, bias, lifted(truths)))


def test_a_factor_beyond_all_floats_knows_nothing():
    weight, bias = np.array([Fraction(10) ** 400], dtype=object), np.array([Fraction(0)], dtype=object)
    found = BALL.scale(weight, bias, points(torch.ones(1, 2).double()))
    assert found.rad.flatten().tolist() == [inf, inf]
    assert not found.ball.isnan().any()


# Entries that are picked, added up, cut off, compared, joined


@settings(max_examples=120, **LAX)
@given(**CASES, index=st.lists(st.integers(-1, 4), min_size=1, max_size=7))
def test_picked_entries_contain_every_point_forth_and_back(bounds, power, seed, index):
    generator, picks = np.random.default_rng(seed), frozen_index(index)
    value, truths = surrounded(generator, numbers(generator, 2, 5, power=power), bounds, power)
    found = BALL.take(value, picks)
    assert (found.ball is None) == (value.ball is None)
    contained(found, RATIONAL.take(lifted(truths), picks))
    inverse = inverse_index(picks, 5)
    value, truths = surrounded(generator, numbers(generator, 2, len(index), power=power), bounds, power)
    found = BALL.take_back(value, inverse)
    assert (found.ball is None) == (value.ball is None)
    contained(found, RATIONAL.take_back(lifted(truths), inverse))


def frozen_index(entries):
    index = np.array(entries, dtype=np.int64)
    index.setflags(write=False)
    return index


@settings(max_examples=120, **LAX)
@given(**CASES, other=st.sampled_from(BOUNDS), gap=st.sampled_from([0, 3, 60, -60]))
def test_sums_parts_and_positive_parts_contain_every_point(bounds, power, seed, other, gap):
    generator, near = np.random.default_rng(seed), max(-1074, min(power + gap, 1000))
    left, a = surrounded(generator, numbers(generator, 2, 4, power=power), bounds, power)
    right, b = surrounded(generator, numbers(generator, 2, 4, power=near), other, near)
    a, b = lifted(a), lifted(b)
    contained(BALL.add(left, right), RATIONAL.add(a, b))
    contained(BALL.join([left, right]), RATIONAL.join([a, b]))
    contained(BALL.relu(left), RATIONAL.relu(a))
    contained(-left, [[-fraction(n) for n in row] for row in a])


@settings(max_examples=120, **LAX)
@given(**CASES, rows=st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=5))
def test_maxima_of_windows_contain_every_point(bounds, power, seed, rows):
    generator = np.random.default_rng(seed)
    columns = tuple(frozen_index(column) for column in zip(*rows, strict=True))
    value, truths = surrounded(generator, numbers(generator, 2, 5, power=power), bounds, power)
    contained(BALL.pool(value, columns), RATIONAL.pool(lifted(truths), columns))


@settings(max_examples=80, **LAX)
@given(**CASES)
def test_masks_shapes_and_parts_keep_what_they_may(bounds, power, seed):
    generator = np.random.default_rng(seed)
    value, truths = surrounded(generator, numbers(generator, 4, 3, power=power), bounds, power)
    truths, mask = lifted(truths), generator.random((4, 3)) < 0.5
    contained(value * torch.tensor(mask), np.where(mask, truths, 0 * truths))
    for moved, true in (
        (value.reshape(2, 2, 3), truths),
        (value.reshape(-1, 3), truths),
        (value.reshape(6, 2), truths),
        (value.reshape(2, 2, 3).reshape(4, 3), truths),
        (value.unsqueeze(1), truths),
        (value.unsqueeze(0), truths),
        (value.unsqueeze(2), truths),
        (value.unsqueeze(-1), truths),
        (value.unsqueeze(1).expand(4, 2, 3), truths.repeat(2, axis=0)),
        (value.unsqueeze(0).expand(2, 4, 3), np.concatenate([truths, truths])),
        (value[1], truths[1]),
        (value[1:3], truths[1:3]),
        (value[torch.tensor([3, 0, 3])], truths[[3, 0, 3]]),
        (value[torch.tensor([True, False, False, True])], truths[[0, 3]]),
        (value[..., 1:], truths[:, 1:]),
        (value[1][1:], truths[1][1:]),
        (value.swapaxes(0, 1), truths.T),
        (value.to("cpu"), truths),
    ):
        contained(moved, true)
    kept = (value.reshape(2, 2, 3), value.unsqueeze(1).expand(4, 2, 3), value[1:3], value * torch.tensor(mask))
    assert all((part.ball is None) == (value.ball is None) for part in kept)


def test_columns_and_broadcast_rows_do_not_keep_a_ball_of_something_else():
    """An axis of length 1 that grows, or another last axis: the ball says nothing of it."""
    value = Enclosure(*tensors([[1.0], [2.0]], [[1.0], [1.0]], [1.0, 1.0]))
    assert value.expand(2, 5).ball is None
    assert value.reshape(1, 2).ball is None
    assert value.swapaxes(0, 1).ball is None
    row = Enclosure(*tensors([1.0, 2.0], [1.0, 1.0]), torch.tensor(1.0).double())
    assert row[1:].ball is None
    assert (row * torch.ones(3, 2, dtype=torch.bool)).ball is None


# Exact zeros, and what knows nothing


def test_dead_rows_patches_and_entries_are_exactly_zero():
    weight, bias = frozen([[0.0, 0.0], [1.0, 1e300], [2.0**-1060, 0.0]]), frozen([-0.5, 0.0, 0.0])
    value = Enclosure(*tensors([[0.0, 0.0], [0.1, 0.0]], [[0.0, 0.0], [inf, 0.0]], [0.0, inf]))
    found = BALL.affine(weight, bias, value)
    assert sign(found).tolist() == [[-1, 0, 0], [-1, UNDECIDED, UNDECIDED]]
    windows = Windows((1, 5, 5), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    image = torch.zeros(1, 5, 5).double()
    image[0, 0, 0] = 0.3
    out = BALL.convolve(frozen(np.full((2, 1, 3, 3), 0.1)), frozen([0.0, 2.0]), windows, exact(image.reshape(1, 25)))
    signs = sign(out).reshape(2, 5, 5)
    assert (signs[0] == 1).sum() == 4
    assert (signs[0] == 0).sum() == 21
    assert (signs[1] == 1).all()
    assert not out.rad.reshape(2, 5, 5)[:, 2:].any()


def test_what_overflows_knows_nothing_and_its_ball_neither():
    weight = frozen([[1e308, 1e308], [1e-300, 0.0]])
    found = BALL.affine(weight, frozen([0.0, 0.0]), exactly(10.0, 10.0))
    assert (found.mid[0, 0], found.rad[0, 0], found.ball[0]) == (0, inf, inf)
    contained(found, [[Fraction(10) ** 400, Fraction(1e-300) * 10]])


def test_a_ball_is_never_nan():
    """0 inf: of a map of nothing but zeros, and of entries that are all padding."""
    lost = Enclosure(*tensors([[0.0, 0.0]], [[inf, inf]], [inf]))
    for found in (
        BALL.affine(frozen([[0.0, 0.0]]), frozen([0.0]), lost),
        BALL.take(lost, frozen_index([-1, -1])),
        BALL.scale(np.array([Fraction(0)], dtype=object), np.array([Fraction(0)], dtype=object), lost),
    ):
        assert not found.ball.isnan().any()
        assert reached(found).tolist() == [0.0]


@pytest.mark.parametrize("windows", [
    Windows((1, 3, 3), (3, 3), (1, 1), ((2, 2), (2, 2)), (1, 1)), Windows((2, 3), (3,), (1,), ((2, 1),), (1,), 2),
])  # fmt: skip
def test_no_samples_have_no_values(windows):
    each = windows.shape[0] // windows.groups
    weight, bias = frozen(np.ones((2, each, *windows.kernel))), frozen([0.0, 0.0])
    for ops in (enclosure.ENCLOSURE, BALL):
        out = ops.convolve(weight, bias, windows, exact(torch.zeros(0, windows.size)))
        assert out.shape == (0, 2 * prod(windows.positions))
        assert ops.convolve_back(weight, bias, windows, out).shape == (0, windows.size)


# Whole networks


def all_values_hold(network, value, x):
    """Every node's value, and every sign that is decided."""
    found, truths = evaluate(network, BALL, {0: value}), evaluate(network, RATIONAL, {0: lifted(x)})
    for index, part in found.items():
        contained(part, truths[index])
        flat = [fraction(number) for number in np.ravel(truths[index])]
        for told, truth in zip(sign(part).flatten().tolist(), flat, strict=True):
            assert told in (UNDECIDED, (truth > 0) - (truth < 0))
    return found, truths


@settings(max_examples=60, **LAX)
@given(pairs=layers(inputs=3), final=st.booleans(), bounds=st.sampled_from(BOUNDS), seed=SEEDS)
def test_dense_networks_contain_every_exact_value(pairs, final, bounds, seed):
    generator = np.random.default_rng(seed)
    mid = np.round(generator.standard_normal((2, 3)) * 4) / 4
    value, x = surrounded(generator, mid, bounds, int(generator.choice([-60, -30, -2])))
    all_values_hold(sequential(*pairs, final_relu=final), value, x)


@settings(max_examples=60, **LAX)
@given(drawn=at_points(conv_networks(), floats=True), seed=SEEDS, bounds=st.sampled_from(BOUNDS))
def test_networks_and_their_gradients_contain_the_exact_ones(drawn, seed, bounds):
    network, point = drawn
    assume(sum(network.sizes) < 300)
    mid = np.array([[float(entry) for entry in point]])
    value, x = surrounded(np.random.default_rng(seed), mid, bounds, -40)
    _, truths = all_values_hold(network, value, x)
    masks, picked = {}, {}
    for index, node in enumerate(network.nodes):
        if isinstance(node, Relu):
            masks[index] = np.array([[fraction(n) > 0 for n in row] for row in truths[node.source]])
        elif isinstance(node, MaxPool):
            masks[index] = np.asarray(max_masks(network, index, RATIONAL, truths)) == 1
        if index in masks:
            picked[index] = torch.tensor(masks[index])
    found = differentiate(network, BALL, picked, exact(torch.ones(1, 1)))
    for index, row in differentiate(network, RATIONAL, masks, lifted([[1]])).items():
        contained(found[index], row)


@pytest.mark.parametrize("threads", [1, 2])
def test_wide_and_deep_networks_on_several_threads(threads):
    generator, widths = np.random.default_rng(threads), [120, 150, 140, 3]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        value = exact(torch.tensor(generator.standard_normal((2, 120))))
        truths = lifted([[Fraction(n) for n in row] for row in value.mid.tolist()])
        for inputs, outputs in pairwise(widths):
            weight, bias = random_layer(inputs, outputs, seed=inputs)
            value, truths = BALL.relu(BALL.affine(weight, bias, value)), RATIONAL.affine(weight, bias, truths)
            truths = RATIONAL.relu(truths)
            contained(value, truths)
        assert (value.rad < 1e-7).all()
    finally:
        torch.set_num_threads(before)


def test_balls_stay_small_where_radii_explode():
    """In a deep network of orthogonal maps a ball does not grow, but each radius by the root of the width a layer."""
    generator = np.random.default_rng(3)
    mid = torch.tensor(generator.standard_normal((1, 64)))
    start = Enclosure(mid, torch.full_like(mid, 1e-6), torch.tensor([1e-6], dtype=torch.float64))
    balls = radii = start
    for _ in range(12):
        weight, bias = frozen(np.linalg.qr(generator.standard_normal((64, 64)))[0]), frozen(np.zeros(64))
        balls, radii = BALL.affine(weight, bias, balls), enclosure.ENCLOSURE.affine(weight, bias, radii)
    assert balls.ball.item() < 1.5e-6
    assert balls.rad.max() < 1.5e-6
    assert radii.rad.max() > 1


# Planted flaws


def along_the_worst_direction():
    """The ball's surface where the map stretches most."""
    weight, bias = random_layer(5, 5, seed=16)
    direction = np.linalg.svd(weight)[2][0]
    truths = [[Fraction(d) * (1 - Fraction(2) ** -45) for d in direction.tolist()]]
    value = Enclosure(*tensors([[0.0] * 5], [[inf] * 5], [1.0]))
    contained(BallArithmetic().affine(weight, bias, value), RATIONAL.affine(weight, bias, lifted(truths)))


def along_a_row():
    """The ball's surface along the weights of one neuron."""
    weight, bias = random_layer(5, 1, seed=6)
    length = Fraction(np.linalg.norm(weight[0]))
    truths = [[Fraction(w) / length * (1 - Fraction(2) ** -45) for w in weight[0].tolist()]]
    value = Enclosure(*tensors([[0.0] * 5], [[inf] * 5], [1.0]))
    contained(BallArithmetic().affine(weight, bias, value), RATIONAL.affine(weight, bias, lifted(truths)))


def cancelling_products():
    """What is left of large terms is nothing but their roundings."""
    generator = np.random.default_rng(14)
    half = generator.standard_normal(30)
    weight, bias = frozen(np.concatenate([half, -half])[None]), frozen([0.0])
    x = np.concatenate([half, half * (1 + 2.0**-52)])[None]
    truth = RATIONAL.affine(weight, bias, lifted([[Fraction(n) for n in x[0].tolist()]]))
    contained(BallArithmetic().affine(weight, bias, exact(torch.tensor(x))), truth)


def a_large_bias():
    """The sum's rounding where only the bias is large."""
    weight, bias = frozen([[1.0, 2.0**-60]]), frozen([2.0**53])
    value = exactly(1.0, 1.0)
    truth = RATIONAL.affine(weight, bias, lifted([[1, 1]]))
    contained(BallArithmetic().affine(weight, bias, value), truth)


def products_that_underflow():
    weight, value = frozen([[2.0**-600]]), exactly(2.0**-600)
    contained(BallArithmetic().affine(weight, frozen([0.0]), value), [[Fraction(2) ** -1200]])


def many_products_that_underflow():
    """Of a transposed convolution: an entry adds up 144 products, each of them almost half of eta."""
    windows = Windows((1, 3, 3), (3, 3), (1, 1), ((2, 2), (2, 2)), (1, 1))
    weight, row = frozen(np.full((16, 1, 3, 3), 0.99 * 2.0**-537)), exactly(*[2.0**-538] * 400)
    found = BallArithmetic().convolve_back(weight, frozen(np.zeros(16)), windows, row)
    contained(found, [[144 * Fraction(0.99 * 2.0**-537) / 2**538] * 9])


def a_norm_that_underflows():
    """The value's norm times u is below eta, but not once it is multiplied by large weights."""
    weight, value = frozen([[(1 + 2.0**-52) * 2.0**500]]), exactly(3 * ETA)
    contained(BallArithmetic().affine(weight, frozen([0.0]), value), [[Fraction(weight[0, 0]) * Fraction(3 * ETA)]])


def weights_that_underflow():
    """The weights' norm times u is below eta, but not once it is multiplied by a large value."""
    weight, value = frozen([[3 * 2.0**-1040 * (1 + 2.0**-30)]]), (1 + 2.0**-52) * 2.0**900
    found = BallArithmetic().affine(weight, frozen([0.0]), exactly(value))
    contained(found, [[Fraction(weight[0, 0]) * Fraction(value)]])


def an_entry_in_three_places():
    value = Enclosure(*tensors([[0.0, 0.0]], [[1.0, 0.0]], [1.0]))
    contained(BallArithmetic().take(value, frozen_index([0, 0, 0])), [[Fraction(1)] * 3])


def a_small_ball_in_two_places():
    """3 eta times the root of 2 is 4.24 eta, which no product of floats is."""
    value = Enclosure(*tensors([[0.0, 0.0]], [[3 * ETA, 0.0]], [3 * ETA]))
    contained(BallArithmetic().take(value, frozen_index([0, 0])), [[Fraction(3 * ETA)] * 2])


def sums_in_three_places():
    """Three entries of one sum, all off in the same direction."""
    value = Enclosure(*tensors([[0.0] * 3], [[2.0] * 3], [2.0]))
    contained(BallArithmetic().take_back(value, np.array([[0, 1, 2]])), [[3 * Fraction(2 / 3**0.5)]])


def windows_that_see_all_that_is_off():
    windows = Windows((1, 4, 4), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    weight, bias = frozen(np.ones((1, 1, 2, 2))), frozen([0.0])
    value = Enclosure(torch.ones(1, 16).double(), torch.full((1, 16), 0.25).double())
    truths = [[Fraction(5, 4)] * 16]
    contained(BallArithmetic().convolve(weight, bias, windows, value), [[5] * 9])
    assert RATIONAL.convolve(weight, bias, windows, lifted(truths)).ravel().tolist() == [5] * 9


def sums_that_round():
    one, tiny = exactly(1.0, 1.0), exactly(2.0**-60, -(2.0**-60))
    truths = [[Fraction(1) + Fraction(2) ** -60, Fraction(1) - Fraction(2) ** -60]]
    contained(BallArithmetic().add(one, tiny), truths)


def without(name):
    """The bounds of maps without one of their parts."""
    made = ball._Map.of
    return staticmethod(lambda *given: replace(made(*given), **{name: 0.0}))


def smaller(norms, name):
    return lambda *given: replace(norms(*given), **{name: getattr(norms(*given), name) * 0.99})


def few_products(weight, bias, norms, terms, device, products=0, *, made=ball._Map.of):
    return made(weight, bias, norms, terms, device)


def rounded_before(self, size, places=1):
    """`errors` as u times the weights' norm, which may underflow, times the size."""
    return size * (self.rows * self.gamma) + 2 * self.floor


def nothing_seen(size, windows):
    return torch.zeros(len(size), windows.groups, prod(windows.positions)).double()


def no_error(left, right, total):
    return torch.zeros_like(total)


@pytest.mark.parametrize(
    ("module", "name", "flaw", "experiment"),
    [
        (ball, "norms_of", smaller(ball.norms_of, "spectral"), along_the_worst_direction),
        (ball, "norms_of", smaller(ball.norms_of, "rows"), along_a_row),
        (ball._Map, "of", without("gamma"), cancelling_products),
        (ball._Map, "of", without("gamma"), a_large_bias),
        (ball._Map, "of", without("floor"), products_that_underflow),
        (ball._Map, "of", staticmethod(few_products), many_products_that_underflow),
        (ball, "ETA", 0.0, a_norm_that_underflows),
        (ball._Map, "errors", rounded_before, weights_that_underflow),
        (ball, "GROW", 1.0, an_entry_in_three_places),
        (ball, "ETA", 0.0, a_small_ball_in_two_places),
        (ball, "_most", lambda index: 1, an_entry_in_three_places),
        (ball, "_times", lambda reach, factor: reach + 0.0, sums_in_three_places),
        (ball, "window_norms", nothing_seen, windows_that_see_all_that_is_off),
        (ball, "sum_error", no_error, sums_that_round),
    ],
    ids=[
        "spectral", "rows", "gamma", "gamma of biases", "floor", "products", "eta of norms", "errors", "grow",
        "eta of balls", "places", "sums", "windows", "sums round",
    ],
)  # fmt: skip
def test_a_bound_without_one_of_its_parts_is_caught(monkeypatch, module, name, flaw, experiment):
    experiment()
    monkeypatch.setattr(module, name, flaw)
    with pytest.raises(AssertionError):
        experiment()
