"""Affine maps, convolutions and whole networks of expansions against exact rationals; what is cut is cut exactly."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
import pytest
import torch
from enclosure_oracle import finite, frozen, random_layer, random_points, sums
from expansion_oracle import ARITHMETICS, alone, centers, convolutions, counts, holds, of_radius, ops, paired, rows
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import expansion, expansion_layers, patches, split_products
from dtdsym.arithmetic.expansion import PAIR, UNDECIDED, Expansion, ExpansionArithmetic, exact, sign
from dtdsym.arithmetic.rational import RATIONAL, fraction
from dtdsym.arithmetic.split_products import Grid, SplitWeight, cut
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.arithmetic.windows import Windows


def uncertain(generator, *shape, rad=2.0**-60, ball=None, count=2):
    """A value with full low parts, and truths in its radii (and within its balls, if it has any)."""
    high = torch.tensor(generator.standard_normal(shape)) * torch.tensor(generator.random(shape) < 0.8)
    parts = [high]
    for _ in range(count - 1):
        low = parts[-1] * torch.tensor(generator.uniform(-1, 1, shape)) * 2.0**-54
        parts.append(torch.where(parts[-1] + low == parts[-1], low, 0.0))
    value = Expansion(tuple(parts), torch.full_like(high, rad) * (high != 0))
    if ball is not None:
        value = replace(value, ball=torch.full(shape[:-1], ball, dtype=torch.float64))
    signs = generator.choice([-1, 1], shape).ravel().tolist()
    step = rad if ball is None else min(rad, ball / shape[-1] ** 0.5 * (1 - 2.0**-40))
    moved = [
        c + s * Fraction(step) * (h != 0) for c, s, h in zip(centers(value), signs, high.ravel().tolist(), strict=True)
    ]
    return value, moved


def lifted(truths, *shape):
    return RATIONAL.lift(np.array(truths, dtype=object)).reshape(shape)


def fractions_of(array):
    return [fraction(x) for x in array.ravel()]


# Cutting


@settings(max_examples=200)
@given(row=rows(), inner=st.sampled_from([1, 9, 300, 5000, 30000]))
@example(row=paired([(1.7e308, 0.0, 0.0, Fraction(1.7e308))]), inner=30000)
@example(row=paired([(1e308, 0.0, 0.0, Fraction(1e308)), (5e-324, 0.0, 0.0, Fraction(5e-324))]), inner=9)
def test_slices_and_what_they_leave_are_all(row, inner):
    value, _ = row
    grid = Grid.of(inner, len(value.parts))
    pieces = cut([part.unsqueeze(0) for part in value.parts], grid)
    if not pieces.largest[-1].isfinite():  # the next power of two overflows
        assert value.high.abs().max() > 1.79e308
        return
    unit = Fraction(2) ** pieces.unit.item()
    sums_ = [Fraction(0)] * len(value)
    for place, part in enumerate(pieces.parts):
        assert part.abs().max() <= 2**grid.bits
        assert torch.equal(part, part.round())
        step = unit / Fraction(2) ** (place * (grid.bits + 1))
        sums_ = [s + Fraction(k) * step for s, k in zip(sums_, part[0].tolist(), strict=True)]
        for left, total, truth in zip(pieces.rests[place + 1][0].tolist(), sums_, centers(value), strict=True):
            most = Fraction(pieces.largest[place + 1].item()) * unit
            assert abs(truth - total) <= most
            assert abs(Fraction(left) * unit - (truth - total)) <= most * Fraction(2) ** -53 + unit * 2**-1074


def full_slices():
    """Slices as large as they may be, of which many add up: no level may round."""
    for n in (3, 40, 900):
        generator = np.random.default_rng(n)
        weight, x = generator.uniform(0.9, 1, (2, n)), generator.uniform(0.9, 1, (3, n))
        value = Expansion((torch.tensor(x), torch.tensor(x) * 2.0**-55), torch.zeros(3, n).double())
        truth = [sums(weight, np.zeros(2), centers(value)[i * n : (i + 1) * n]) for i in range(3)]
        holds(ExpansionArithmetic(2).affine(weight, np.zeros(2), value), [z for row in truth for z in row])


def test_full_slices_do_not_round():
    full_slices()


# Affine maps


@st.composite
def layers(draw):
    value, truths = draw(rows())
    outputs = draw(st.integers(1, 3))
    weight = [[draw(finite) for _ in truths] for _ in range(outputs)]
    return weight, [draw(finite) for _ in range(outputs)], value, truths


@settings(max_examples=400)
@given(layer=layers())
@example(layer=([[2.0**-537]], [0.0], *paired([(2.0**-538, 0.0, 0.0, Fraction(2) ** -538)])))
@example(layer=([[5e-324]], [0.0], *paired([(0.0, 0.0, 2.0**1000, Fraction(2) ** 1000)])))
@example(
    layer=([[1e300, -1e300]], [1.0], *paired([(1e-310, 0, 0, Fraction(1e-310)), (3e-310, 0, 0, Fraction(3e-310))]))
)
@pytest.mark.parametrize("threads", [1, 2])
def test_affine_maps_are_enclosed(threads, layer):
    weight, bias, value, truths = layer
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        out = ops(value).affine(np.array(weight), np.array(bias), value)
    finally:
        torch.set_num_threads(before)
    assert out.shape == (len(bias),)
    holds(out, sums(weight, bias, truths))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("ball", [None, 2.0**-60])
@pytest.mark.parametrize("inputs", [5, 64, 400])
@pytest.mark.parametrize("count", [2, 3])
def test_wide_affine_maps_of_batches_are_enclosed(kind, ball, inputs, count):
    generator = np.random.default_rng(inputs)
    weight = frozen(generator.standard_normal((7, inputs)).astype(kind))
    bias = frozen(generator.standard_normal(7) * 1e6)
    value, truths = uncertain(generator, 2, 3, inputs, ball=ball, count=count)
    out = ARITHMETICS[count].affine(weight, bias, value)
    assert out.shape == (2, 3, 7)
    holds(out, fractions_of(RATIONAL.affine(weight, bias, lifted(truths, 6, inputs))))
    for i in range(3):
        holds(
            ARITHMETICS[count].affine(weight, bias, value[0, i]),
            sums(weight, bias, truths[i * inputs : (i + 1) * inputs]),
        )


def test_cancellation_of_sixty_bits_leaves_forty():
    generator = np.random.default_rng(3)
    half = generator.standard_normal(200)
    weight = frozen(np.concatenate([half, -half, [2.0**-60]])[None])
    x = np.concatenate([half, half, [1.0]])
    out = PAIR.affine(weight, frozen([0.0]), exact(torch.tensor(x)) * Fraction(1, 3))
    holds(out, [Fraction(1, 3 * 2**60)])
    assert out.rad.item() < 2.0**-92


def relative(weight_kind, inputs, count):
    generator = np.random.default_rng(1)
    weight = frozen((generator.standard_normal((100, inputs)) / inputs**0.5).astype(weight_kind))
    value = exact(torch.tensor(generator.standard_normal((10, inputs))), count) / 3
    out = ARITHMETICS[count].affine(weight, frozen(generator.standard_normal(100)), alone(value))
    return (out.rad / out.high.abs()).median().log2().item()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("inputs", [9, 100, 1024, 5000])
@pytest.mark.parametrize(("count", "most"), [(2, -90), (3, -143), (4, -196)])
def test_radii_of_well_scaled_maps_are_a_hundred_bits_and_more_below(kind, inputs, count, most):
    bits = relative(kind, inputs, count)
    print(kind.__name__, inputs, f"2^{bits:.1f}")
    assert bits < most


def test_balls_bound_what_radii_do_not():
    """Whoever knows only radii takes all entries to err at once."""
    weight, bias = random_layer(100, 100, seed=4)
    numbers = random_points(3, 100, seed=5)
    value = of_radius(numbers, 1.0, torch.ones(3))
    out = PAIR.affine(weight, bias, value)
    assert (out.rad <= np.linalg.norm(weight, axis=1).max() * (1 + 1e-9)).all()
    assert (out.ball <= np.linalg.norm(weight, 2) * 1.01).all()
    assert (PAIR.affine(weight, bias, PAIR.relu(out)).ball <= np.linalg.norm(weight, 2) ** 2 * 1.02).all()


def tight_ball():
    """All of the ball along one row."""
    weight, bias = random_layer(5, 1, seed=6)
    norm = Fraction(np.linalg.norm(weight[0]))
    truths = [Fraction(w) / norm * (1 - Fraction(2) ** -45) for w in weight[0].tolist()]
    value = of_radius(torch.zeros(5), inf, 1.0)
    holds(ExpansionArithmetic(2).affine(weight, bias, value), sums(weight, bias, truths))


def test_the_ball_alone_bounds_what_is_unknown_entry_by_entry():
    tight_ball()


@pytest.mark.parametrize("inner", [1, 100, 10000])
@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("unit", [-800, -704, -700])
def test_the_last_bits_of_an_exact_product_may_underflow(inner, count, unit):
    """A weight that fills one slice, and an entry whose last bit is in the last one."""
    grid = Grid.of(inner, count)
    last = unit + 400 - grid.levels * (grid.bits + 1)
    weight = np.ldexp(2.0**grid.bits - 1, -400)
    entry = Fraction(2) ** (unit + 400 + grid.bits - 1) + Fraction(2) ** last
    value = ExpansionArithmetic(count).join([exact([entry], count), exact(torch.zeros(inner - 1), count)])
    assert value.rad[0] == 0
    found = ExpansionArithmetic(count).affine(np.array([[weight, *[0.0] * (inner - 1)]]), np.zeros(1), value)
    holds(found, [Fraction(weight) * entry])


# Exact zeros, exact integers, the unknown


def test_exact_maps_of_exact_values_stay_exact():
    generator = np.random.default_rng(7)
    weight, bias = frozen(generator.integers(-9, 9, (20, 300)) / 4), frozen(generator.integers(-9, 9, 20))
    x = generator.integers(-9, 9, (5, 300)) / 8
    out = PAIR.affine(weight, bias, exact(x))
    assert not out.rad.any()
    assert not out.ball.any()
    assert torch.equal(out.high, torch.tensor(x @ weight.T + bias))
    single = frozen(generator.standard_normal((3, 300)).astype(np.float32))
    assert not PAIR.affine(single, bias[:3].copy(), exact(x)).rad.any()


def test_a_row_of_exact_zeros_and_a_weight_of_exact_zeros_give_the_exact_bias():
    weight, bias = frozen([[0.1, 1e308, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.3]]), frozen([0.1, -3.0, 0.0])
    value = exact([[0.0, -0.0, 0.0], [0.1, 0.0, 0.0], [1.0, 5.0, 0.0]]) * Fraction(1, 3)
    out = PAIR.affine(weight, bias, value)
    assert out.rad[0].tolist() == [0, 0, 0]
    assert out.high[0].tolist() == [0.1, -3.0, 0]
    assert (out.rad[1:, 0] > 0).all()
    assert not out.rad[:, 1:].any()
    assert sign(out)[:, 2].tolist() == [0, 0, 0]


def test_an_unknown_input_spoils_only_the_outputs_that_it_reaches():
    weight, bias = frozen([[0.0, 2.0], [1.0, 2.0]]), frozen([1.0, 1.0])
    value = of_radius([[0.0, 3.0]], torch.tensor([[inf, 0.0]]))
    out = PAIR.affine(weight, bias, value)
    holds(out, [Fraction(7), Fraction(10) ** 400])
    assert out.rad[0, 0] < 1e-300
    assert out.rad[0, 1] == inf


def test_windows_of_exact_zeros_give_the_exact_bias():
    weight, bias = random_layer(9, 2, seed=8)
    weight = frozen(weight.reshape(2, 1, 3, 3))
    windows = Windows((1, 8, 8), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    value = (exact(torch.nn.functional.pad(torch.rand(2, 1, 4, 8).double(), (0, 0, 0, 4)).flatten(1))) * Fraction(1, 3)
    out = PAIR.convolve(weight, bias, windows, value).reshape(2, 2, 8, 8)
    assert not out.rad[:, :, 5:].any()
    assert (out.high[:, :, 5:] == torch.tensor(bias).reshape(2, 1, 1)).all()
    assert (out.rad[:, :, :4] > 0).all()


# Convolutions


ONLY_PADDING = Windows((1, 1), (1,), (3,), ((2, 0),), (1,), 1)


@settings(max_examples=80)
@given(
    case=convolutions(), seed=st.integers(0, 10**6), ball=st.sampled_from([None, 2.0**-60]), single=st.booleans(),
    count=counts,
)  # fmt: skip
@example(case=(frozen([[[0.5]]]), ONLY_PADDING), seed=0, ball=None, single=False, count=2)
def test_convolutions_are_enclosed_forth_and_back(case, seed, ball, single, count):
    weight, windows = case
    weight = frozen(weight.astype(np.float32)) if single else weight
    generator = np.random.default_rng(seed)
    bias = frozen(generator.standard_normal(len(weight)))
    value, truths = uncertain(generator, 2, windows.size, ball=ball, count=count)
    out = ARITHMETICS[count].convolve(weight, bias, windows, value)
    holds(out, fractions_of(RATIONAL.convolve(weight, bias, windows, lifted(truths, 2, windows.size))))
    size = out.shape[-1]
    row, truths = uncertain(generator, 2, size, ball=ball, count=count)
    back = ARITHMETICS[count].convolve_back(weight, bias, windows, row)
    assert back.shape == (2, windows.size)
    holds(back, fractions_of(RATIONAL.convolve_back(weight, bias, windows, lifted(truths, 2, size))))


@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(case=convolutions(), data=st.data())
def test_convolutions_are_enclosed_at_every_magnitude(case, data):
    weight, windows = case
    assume(windows.size <= 8)
    value, truths = data.draw(rows(least=windows.size, most=windows.size))
    weight = frozen(np.ldexp(weight, data.draw(st.sampled_from([-1040, -600, 0, 600, 1000]))))
    bias = frozen([data.draw(finite) for _ in weight])
    holds(
        ops(value).convolve(weight, bias, windows, value.unsqueeze(0)),
        fractions_of(RATIONAL.convolve(weight, bias, windows, lifted(truths, 1, windows.size))),
    )


@pytest.mark.parametrize("most", [1, 100, 1 << 24])
def test_strips_of_patches_give_what_all_of_them_give(monkeypatch, most):
    generator = np.random.default_rng(9)
    weight, bias = frozen(generator.standard_normal((4, 2, 3, 2))), frozen(generator.standard_normal(4))
    windows = Windows((4, 7, 6), (3, 2), (2, 1), ((1, 2), (0, 1)), (1, 2), 2)
    value, truths = uncertain(generator, 3, windows.size)
    monkeypatch.setattr(patches, "MOST", most)
    out = PAIR.convolve(weight, bias, windows, value)
    holds(out, fractions_of(RATIONAL.convolve(weight, bias, windows, lifted(truths, 3, windows.size))))


def test_convolutions_over_three_dimensions_go_by_windows():
    generator = np.random.default_rng(10)
    weight, bias = frozen(generator.standard_normal((2, 1, 2, 2, 2))), frozen([0.5, 1.0])
    windows = Windows((1, 3, 3, 3), (2, 2, 2), (1, 1, 1), ((0, 0),) * 3, (1, 1, 1))
    value, truths = uncertain(generator, 1, 27)
    out = PAIR.convolve(weight, bias, windows, value)
    holds(out, fractions_of(RATIONAL.convolve(weight, bias, windows, lifted(truths, 1, 27))))
    row, truths = uncertain(generator, 1, 16)
    back = PAIR.convolve_back(weight, bias, windows, row)
    holds(back, fractions_of(RATIONAL.convolve_back(weight, bias, windows, lifted(truths, 1, 16))))


# Whole networks


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("count", "most"), [(2, 2.0**-80), (3, 2.0**-133)])
def test_deep_passes_enclose_the_exact_values_and_decide_true_signs(seed, count, most):
    generator = np.random.default_rng(seed)
    widths = [6, 10, 10, 8, 3]
    net = [
        (frozen(generator.standard_normal((o, i)).astype(np.float32)), frozen(generator.standard_normal(o)))
        for i, o in pairwise(widths)
    ]
    x = generator.standard_normal((5, 6))
    value, truths = exact(x, count) * Fraction(1, 7), lifted([Fraction(e) / 7 for e in x.ravel().tolist()], 5, 6)
    for weight, bias in net:
        value, truths = ARITHMETICS[count].affine(weight, bias, value), RATIONAL.affine(weight, bias, truths)
        holds(value, fractions_of(truths))
        assert sign(value).flatten().tolist() == [(z > 0) - (z < 0) for z in fractions_of(truths)]
        assert (value.rad < most).all()
        value, truths = ARITHMETICS[count].relu(value), RATIONAL.relu(truths)
        holds(value, fractions_of(truths))


def test_zeros_by_cancellation_are_decided_in_networks_of_small_integers():
    generator = np.random.default_rng(5)
    widths = [4, 6, 6, 3]
    net = [(generator.integers(-2, 3, (o, i)) / 4.0, generator.integers(-2, 3, o) / 2.0) for i, o in pairwise(widths)]
    x = generator.integers(-2, 3, (60, 4)) / 2.0
    value, truths, found = exact(x), lifted([Fraction(e) for e in x.ravel().tolist()], 60, 4), []
    for weight, bias in net:
        value, truths = PAIR.affine(weight, bias, value), RATIONAL.affine(weight, bias, truths)
        found += sign(value).flatten().tolist()
        assert sign(value).flatten().tolist() == [(z > 0) - (z < 0) for z in fractions_of(truths)]
        value, truths = PAIR.relu(value), RATIONAL.relu(truths)
    assert UNDECIDED not in found
    assert found.count(0) > 5


# What it costs


def seconds(act, times=3):
    act()
    start = time.perf_counter()
    for _ in range(times):
        act()
    return (time.perf_counter() - start) / times


def test_the_cost_is_told():
    weight, bias = random_layer(1024, 1024, seed=11)
    plain = random_points(64, 1024, seed=12)
    value = exact(plain) * Fraction(1, 3)
    ratio = seconds(lambda: PAIR.affine(weight, bias, value)) / seconds(lambda: TENSOR.affine(weight, bias, plain))
    kernel, windows = (
        frozen(weight.reshape(-1)[: 64 * 576].reshape(64, 64, 3, 3).copy()),
        Windows((64, 56, 56), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    )
    offset, plain = frozen(bias[:64].copy()), random_points(1, 64 * 56 * 56, seed=13)
    image = exact(plain) * Fraction(1, 3)
    other = seconds(lambda: PAIR.convolve(kernel, offset, windows, image), 1) / seconds(
        lambda: TENSOR.convolve(kernel, offset, windows, plain), 1
    )
    print(f"affine 1024 x 1024, batch 64: {ratio:.1f} times plain float64; convolution 64, 56 x 56: {other:.1f} times")
    assert min(ratio, other) > 0


# Planted flaws


def affine_of_many_terms():
    generator = np.random.default_rng(14)
    weight, bias = generator.standard_normal((5, 60)), generator.standard_normal(5)
    value, truths = uncertain(generator, 60, rad=0.0)
    holds(ExpansionArithmetic(2).affine(weight, bias, value), sums(weight, bias, truths))


def affine_of_unsure_values():
    weight, bias = random_layer(10, 4, seed=15)
    value, _ = uncertain(np.random.default_rng(15), 10, rad=2.0**-40)
    rads = [Fraction(r) for r in value.rad.tolist()]
    for row, out in zip(weight, range(4), strict=True):
        truths = [c + (r if w > 0 else -r) for c, r, w in zip(centers(value), rads, row, strict=True)]
        holds(
            ExpansionArithmetic(2).affine(weight, bias, value)[out : out + 1],
            sums(row[None], bias[out : out + 1], truths),
        )


def affine_of_tiny_terms():
    holds(
        ExpansionArithmetic(2).affine(np.array([[2.0**-600]]), np.zeros(1), exact([2.0**-600])), [Fraction(2) ** -1200]
    )


def convolution_of_unsure_values():
    weight, windows = frozen(np.ones((1, 1, 2))), Windows((1, 5), (2,), (1,), ((0, 0),), (1,))
    ones = torch.ones(1, 5).double()
    truths = lifted([Fraction(2)] * 5, 1, 5)
    found = ExpansionArithmetic(2).convolve(weight, frozen([0.0]), windows, of_radius(ones, 1.0))
    holds(found, fractions_of(RATIONAL.convolve(weight, frozen([0.0]), windows, truths)))


def vector_on_its_ball():
    weight, bias = random_layer(5, 5, seed=16)
    direction = np.linalg.svd(weight)[2][0]
    truths = [Fraction(d) * (1 - Fraction(2) ** -45) for d in direction.tolist()]
    value = of_radius(torch.zeros(5), 10.0, 1.0)
    holds(ExpansionArithmetic(2).affine(weight, bias, value), sums(weight, bias, truths))


def nothing_near(self, patches_, value):
    return torch.zeros(len(value), 1, 4).double()


def no_product(rows, norm):
    return torch.full_like(rows * norm, 2.0**-900)


def no_spectral(weight, device):
    return 2.0**-900


@pytest.mark.parametrize(
    ("module", "name", "flaw", "experiment"),
    [
        (split_products, "_log2", lambda n: 0, full_slices),
        (split_products.Grid, "gamma", 0.0, affine_of_many_terms),
        (split_products, "ETA", 0.0, affine_of_tiny_terms),
        (expansion_layers, "_times", no_product, affine_of_unsure_values),
        (expansion_layers, "_times", no_product, tight_ball),
        (expansion, "spectral_of", no_spectral, vector_on_its_ball),
        (expansion_layers.AffineMap, "_spread", lambda self, rad: rad.new_zeros(len(rad), 4), affine_of_unsure_values),
        (expansion_layers.ConvolutionMap, "_near", nothing_near, convolution_of_unsure_values),
    ],
    ids=["slices too wide", "gamma", "underflow", "rows", "rows and ball", "spectral", "spread", "near"],
)
def test_a_bound_without_one_of_its_parts_is_caught(monkeypatch, module, name, flaw, experiment):
    experiment()
    monkeypatch.setattr(module, name, flaw)
    with pytest.raises(AssertionError):
        experiment()


def test_a_window_that_is_seen_by_zero_weights_only_gives_exactly_the_bias():
    windows = Windows((2, 1, 2), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    weight, bias = frozen([[[[0.0]], [[3.0]]], [[[2.0]], [[0.0]]]]), frozen([0.5, 0.25])
    part = torch.tensor([[0.7, 0.3, 0.0, 0.0]], dtype=torch.float64)
    value = of_radius(part, part * 2.0**-100)
    out = PAIR.convolve(weight, bias, windows, value)
    assert (out.rad == 0).tolist() == [[True, True, False, False]]
    assert out.high[0, :2].tolist() == [0.5, 0.5]
    back = PAIR.convolve_back(weight, bias, windows, out * exact([[0.0, 0.0, 1.0, 1.0]]))
    assert (back.rad == 0).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_weights_cut_some_rows_at_a_time_are_the_same(monkeypatch, rows):
    """Rows of few bits, of many bits that leave a rest, and of nothing, one after another."""
    generator = np.random.default_rng(8)
    few = generator.integers(-3, 4, (3, 7)).astype(float)
    many = generator.standard_normal((3, 7)) * 2.0 ** generator.integers(-90, 90, (3, 7))
    weight = torch.from_numpy(np.concatenate([few, many, np.zeros((1, 7))])).unsqueeze(0)
    whole = SplitWeight.of(weight, 2)
    monkeypatch.setattr(split_products, "AT_A_TIME", 7 * rows)
    parts = SplitWeight.of(weight, 2)
    assert parts.slices == whole.slices
    for name in ("blocks", "unit", "sums"):
        assert torch.equal(getattr(parts, name), getattr(whole, name)), name
