"""Every operation on expansions against exact rationals: radii, balls, exact zeros, decided signs, reading, shapes."""

from __future__ import annotations

import operator
from dataclasses import replace
from fractions import Fraction
from math import inf, nextafter

import numpy as np
import pytest
import torch
from enclosure_oracle import MAX, finite
from expansion_oracle import (
    TRIPLE,
    alone,
    centers,
    counts,
    holds,
    known,
    lawful,
    of_radius,
    ops,
    paired,
    rows,
    twins,
)
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import error_free, expansion_value
from dtdsym.arithmetic.error_free import added, cascade, greater, normal, two_product
from dtdsym.arithmetic.expansion import PAIR, UNDECIDED, Expansion, exact, sign, stack
from dtdsym.arithmetic.rounding import ETA
from dtdsym.errors import NotExact, ShapeMismatch


def points(*numbers):
    return exact(torch.tensor(numbers, dtype=torch.float64))


# Exact transformations


@settings(max_examples=200)
@given(finite, finite)
@example(5e-324, 1.5)
@example(2.0**-500 * (1 + 2.0**-52), 2.0**-459 * (1 + 2.0**-52))
@example(1 - 2.0**-53, 1 - 2.0**-53)
@example(1 + 2.0**-26 + 2.0**-52, 1 - 2.0**-27 - 2.0**-53)
def test_a_product_of_floats_is_two_floats(left, right):
    high, low, lost = (t.item() for t in two_product(*torch.tensor([[left], [right]], dtype=torch.float64)))
    if not all(abs(x) < inf for x in (high, low)):
        return
    distance = abs(Fraction(left) * Fraction(right) - Fraction(high) - Fraction(low))
    assert distance <= Fraction(lost)
    assert lost == 0 or abs(high) < 2.0**-960 or min(abs(left), abs(right)) < 2.0**-1022


numbers = st.floats(-(2.0**900), 2.0**900)
"""Floats whose sums do not overflow; of a few fixed sizes beside, so that they cancel."""
close = st.builds(lambda k, e: k * 2.0**e, st.integers(-3, 3), st.sampled_from([0, 1, -52, -53, -54, -105, -106, -159]))


def tensors(floats):
    return [torch.tensor([x], dtype=torch.float64) for x in floats]


@settings(max_examples=200)
@given(terms=st.lists(numbers | close, min_size=1, max_size=9), count=counts)
def test_a_cascade_tells_what_it_leaves_out(terms, count):
    parts, lost = cascade(tensors(terms), count)
    assert len(parts) == count
    assert abs(sum(map(Fraction, terms)) - sum(Fraction(part.item()) for part in parts)) <= Fraction(lost.item())


@settings(max_examples=200)
@given(levels=st.lists(st.lists(numbers | close, min_size=1, max_size=4), min_size=2, max_size=4))
def test_levels_of_terms_tell_what_their_sum_leaves_out(levels):
    parts, lost = added([tensors(terms) for terms in levels])
    assert len(parts) == len(levels)
    truth = sum(Fraction(x) for terms in levels for x in terms)
    assert abs(truth - sum(Fraction(part.item()) for part in parts)) <= Fraction(lost.item())


@settings(max_examples=300)
@given(st.lists(numbers | close, min_size=2, max_size=4))
@example([1.0, 2.0**-53, 2.0**-53])
@example([1.0 + 2.0**-52, -1.0, 2.0**-53])
@example([2.0**-52, 0.0, 2.0**-53, 2.0**-106])
def test_parts_become_normal_and_tell_what_they_leave_out(floats):
    parts, lost = normal(tensors(floats))
    holds(Expansion(parts, torch.zeros(1).double() if lost is None else lost), [sum(map(Fraction, floats))])
    assert (parts[0] != 0) | all(part == 0 for part in parts)


@settings(max_examples=300)
@given(count=counts, data=st.data())
def test_the_greater_of_two_is_so_but_for_what_it_lacks(count, data):
    both = []
    for _ in range(2):
        parts, lost = normal(tensors(data.draw(st.lists(numbers | close, min_size=count, max_size=count))))
        if lost is not None and lost.any():
            return
        both.append(parts)
    ahead, slip = greater(*both)
    left, right = (sum(Fraction(part.item()) for part in parts) for parts in both)
    gap = left - right if ahead else right - left
    assert gap >= -Fraction(0.0 if slip is None else slip.item())
    assert slip is None or count > 2


def test_a_tie_of_parts_that_follow_is_told():
    """By its first part one number is less than the other, yet it is greater, by its third."""
    tie, step = Fraction(2) ** -53, Fraction(2) ** -106
    more = paired([(1.0, 2.0**-53, 2.0**-106, 0.0, 1 + tie + step)])
    less = paired([(1.0 + 2.0**-52, 2.0**-106 - 2.0**-53, -(2.0**-108), 0.0, 1 + tie + step * Fraction(3, 4))])
    for (left, _), (right, _) in ((less, more), (more, less)):
        largest = TRIPLE.maximum(left, right)
        holds(largest, more[1])
        assert 0 < largest.rad.item() < 2.0**-105
        value = replace(TRIPLE.join([left, right]), ball=torch.tensor(0.0).double())
        holds(TRIPLE.pool(value, [np.array([0]), np.array([1])]), more[1])


# One operation at a time


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul], ids=lambda f: f.__name__)
@settings(max_examples=200)
@given(values=twins())
def test_sums_differences_and_products_are_enclosed(operation, values):
    (left, a), (right, b) = values
    truths = [operation(x, y) for x, y in zip(a, b, strict=True)]
    holds(operation(left, right), truths)
    holds(operation(left[:1], right), [operation(a[0], y) for y in b])
    holds(operation(left, right[0]), [operation(x, b[0]) for x in a])
    if right.rad[0] == right.parts[1][0] == 0:
        holds(operation(left, right.high[0].item()), [operation(x, Fraction(right.high[0].item())) for x in a])
        holds(operation(b[0], left), [operation(b[0], x) for x in a])


WIDE = (2.0**1000, 0.0, 2.0**1000 - 2.0**990, Fraction(2) ** 990)


@settings(max_examples=200)
@given(values=twins())
@example(values=(paired([(1.25 * 2.0**-74, 0.0, 0.0, Fraction(5, 2**76))]), paired([WIDE])))
def test_quotients_are_enclosed_and_unknown_where_the_divisor_may_be_zero(values):
    (left, a), (right, b) = values
    quotient, ratio = left / right, ops(left).ratio(left, right)
    zero = right.is_zero() | left.is_zero()
    open_ = ~right.excludes_zero()
    assert (quotient.rad[open_] == inf).all()
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        if zero[i]:
            holds(ratio[i], [Fraction(0)])
        elif open_[i]:
            assert ratio.rad[i] == inf
        if not open_[i]:
            holds(quotient[i], [x / y])
            holds(ratio[i], [x / y])


@given(row=rows(), number=st.one_of(finite, st.fractions(), st.integers()))
def test_numbers_are_read_on_either_side(row, number):
    value, truths = row
    holds(value + number, [x + Fraction(number) for x in truths])
    holds(number - value, [Fraction(number) - x for x in truths])
    holds(number * value, [Fraction(number) * x for x in truths])
    if number != 0:
        holds(value / number, [x / Fraction(number) for x in truths])


@given(number=st.one_of(finite, st.fractions(), st.integers()), count=counts)
@example(number=1 + Fraction(2) ** -53 - Fraction(2) ** -200, count=3)
def test_numbers_are_read_to_53_bits_a_part(number, count):
    value = exact([number], count)
    holds(value, [Fraction(number)])
    if 1e-100 < abs(number) < 1e300:
        assert Fraction(value.rad.item()) <= abs(Fraction(number)) * Fraction(2) ** (1 - 53 * count)


@settings(max_examples=200)
@given(row=rows())
def test_negation_absolute_value_and_relu_are_enclosed(row):
    value, truths = row
    holds(-value, [-x for x in truths])
    holds(abs(value), [abs(x) for x in truths])
    out = ops(value).relu(value)
    holds(out, [max(x, Fraction(0)) for x in truths])
    assert out.is_zero()[value.upper() <= 0].all()


@settings(max_examples=200)
@given(values=twins())
def test_maximum_is_enclosed_and_exact_of_exact_values(values):
    (left, a), (right, b) = values
    largest = ops(left).maximum(left, right)
    holds(largest, [max(x, y) for x, y in zip(a, b, strict=True)])
    if greater(left.parts, right.parts)[1] is None:
        assert (largest.rad[(left.rad == 0) & (right.rad == 0)] == 0).all()
        apart = left.lower() >= right.upper()
        assert torch.equal(largest.rad[apart], left.rad[apart])


@given(row=rows())
def test_lower_and_upper_are_the_nearest_outward_floats(row):
    value, _ = row
    floats = (t.tolist() for t in (value.high, value.rad, value.lower(), value.upper()))
    for center, high, rad, below, above in zip(centers(value), *floats, strict=True):
        if rad == inf:
            assert (below, above) == (-inf, inf)
            continue
        ends = [center + s * Fraction(rad) for s in (-1, 1)]
        assert below == -inf or Fraction(below) <= ends[0]
        assert above == inf or Fraction(above) >= ends[1]
        if abs(high) < 1e308 and rad < 1e307:
            assert Fraction(nextafter(nextafter(below, inf), inf)) > ends[0]
            assert Fraction(nextafter(nextafter(above, -inf), -inf)) < ends[1]


@settings(max_examples=300)
@given(row=rows())
def test_a_decided_sign_is_the_true_sign(row):
    value, truths = row
    for truth, found in zip(truths, sign(value).tolist(), strict=True):
        assert found in (UNDECIDED, (truth > 0) - (truth < 0))
    assert torch.equal(value.is_zero(), sign(value) == 0)
    assert torch.equal(value.excludes_zero(), (sign(value) == 1) | (sign(value) == -1))
    assert (sign(alone(value)) != UNDECIDED).all()


@settings(max_examples=100)
@given(n=st.integers(1, 5), count=st.integers(1, 4), data=st.data())
def test_totals_are_enclosed_along_either_axis(n, count, data):
    sides = [data.draw(rows(least=n, most=n)) for _ in range(count)]
    assume(len({len(side[0].parts) for side in sides}) == 1)
    value, truths = stack([side[0] for side in sides]), [x for side in sides for x in side[1]]
    balls = [side[0].ball for side in sides]
    if all(ball is not None for ball in balls):
        value = Expansion(value.parts, value.rad, torch.stack(balls))
    holds(ops(value).total(value), [sum(truths[i : i + n]) for i in range(0, len(truths), n)])
    for axis in (0, -2):
        holds(ops(value).total(value, axis=axis), [sum(truths[i::n]) for i in range(n)])


def test_balls_add_up_along_an_axis_that_is_counted_from_the_end():
    ball = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    value = of_radius(torch.zeros(2, 2, 3), 4.0, ball)
    for axis in (1, -2):
        assert PAIR.total(value, axis).ball.tolist() == pytest.approx([3.0, 7.0])
    for axis in (0, -3):
        assert PAIR.total(value, axis).ball.tolist() == pytest.approx([4.0, 6.0])


def test_a_total_of_nothing_is_exactly_zero():
    assert PAIR.total(exact(torch.zeros(2, 0))).is_zero().all()


@settings(max_examples=100)
@given(row=rows(least=2), data=st.data())
def test_entries_are_taken_put_back_and_joined(row, data):
    value, truths = row
    n = len(truths)
    places = st.integers(-1, n - 1)
    index = np.array(data.draw(st.lists(places, min_size=1, max_size=6)))
    padded = [*truths, Fraction(0)]
    holds(ops(value).take(value, index), [padded[i] for i in index])
    table = np.array(data.draw(st.lists(st.tuples(places, places), min_size=1, max_size=4)))
    holds(ops(value).take(value, table), [padded[i] for i in table.ravel()])
    holds(ops(value).take_back(value, table), [padded[i] + padded[j] for i, j in table])
    holds(ops(value).pool(value, list(table.T)), [max(padded[i], padded[j]) for i, j in table])
    holds(ops(value).join([value, value]), [*truths, *truths])
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    holds(value * mask, [x * int(m) for x, m in zip(truths, mask, strict=True)])
    holds(ops(value).where(mask, value, 2 * value), [x if m else 2 * x for x, m in zip(truths, mask, strict=True)])


@settings(max_examples=200)
@given(rows(most=5))
def test_the_first_greatest_entry_is_never_a_wrong_one(row):
    value, truths = row
    found = ops(value).first_maximum(value)
    winner = truths.index(max(truths))
    holds(found, [Fraction(int(i == winner)) for i in range(len(truths))])
    if (value.high.abs() < MAX / 4).all():  # beyond, differences overflow
        assert (ops(value).first_maximum(alone(value)).rad == 0).all()


@given(factors=st.lists(st.fractions(), min_size=1, max_size=3), data=st.data())
def test_scales_are_enclosed(factors, data):
    value, truths = data.draw(rows(least=2 * len(factors), most=2 * len(factors)))
    weight, bias = np.array(factors, dtype=object), np.array(factors[::-1], dtype=object)
    holds(ops(value).scale(weight, bias, value), [x * weight[i // 2] + bias[i // 2] for i, x in enumerate(truths)])


# Balls


def test_balls_follow_what_moves_entries():
    ball = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    numbers = torch.arange(12.0, dtype=torch.float64).reshape(2, 2, 3)
    value = of_radius(numbers, 1.0, ball)
    for moved, expected in (
        (value[1], ball[1]),
        (value[:, None], ball[:, None]),
        (value[..., None, :], ball[..., None]),
        (value[..., 1:], ball),
        (value[torch.tensor([True, False])], ball[:1]),
        (value.reshape(4, 3), ball.reshape(4)),
        (value.swapaxes(0, 1), ball.T),
        (value.unsqueeze(0), ball[None]),
        (value.expand(5, 2, 2, 3), ball.expand(5, 2, 2)),
        (-value, ball),
        (abs(value), ball),
        (value.to("cpu"), ball),
        (PAIR.relu(value), ball),
    ):
        assert torch.equal(moved.ball, expected)
        lawful(moved)
    for lost in (value.reshape(2, 6), value[..., None], value.swapaxes(1, 2), value[..., 0], value[0, ..., 0]):
        assert lost.ball is None
        lawful(lost)
    assert (value * (numbers > 3)).ball.flatten().tolist() == pytest.approx([1, 2, 3, 4])


def test_pools_count_how_often_an_entry_is_used():
    value = of_radius([1.0] * 4, 1.0, 1.0)
    columns = [np.array([0, 1, 2]), np.array([1, 2, 3])]
    assert PAIR.pool(value, columns).ball.item() == pytest.approx(2**0.5)
    assert PAIR.take(value, np.array([0, 0, 0, 1])).ball.item() == pytest.approx(3**0.5)


def test_a_ball_of_the_least_float_grows_as_any_other():
    least = Fraction(ETA)
    value = of_radius([0.0], ETA, ETA)
    holds(value * Fraction(1, 4), [least / 4])
    holds(exact([0.25]) * value, [least / 4])
    holds(PAIR.take(value, np.array([0, 0])), [least] * 2)
    holds(PAIR.take_back(value, np.zeros((2, 2), dtype=int)), [2 * least] * 2)
    holds(PAIR.pool(value, [np.array([0, 0])]), [least] * 2)
    both = of_radius([0.0, 0.0], ETA, ETA)
    holds(PAIR.total(both), [least * Fraction(7, 5)])  # 7/5 < sqrt(2): each of the two is off by 7/10 eta


# Exact zeros and points are facts


def test_a_zero_factor_gives_exactly_zero_even_of_the_unknown():
    unknown = of_radius([0.0, 0.0], torch.tensor([inf, 1e308]).double())
    for product in (unknown * 0, 0.0 * unknown, unknown * points(0, 0), points(0, 0) * unknown):
        assert product.is_zero().all()
    assert (points(0, 0) / points(3, ETA)).is_zero().all()
    assert not (unknown * points(ETA, ETA)).is_zero().any()


def test_a_product_that_underflows_is_not_exactly_zero():
    tiny = points(2.0**-600, -ETA)
    assert sign(tiny * tiny).tolist() == [UNDECIDED, UNDECIDED]
    assert sign(tiny / points(2.0**600, 2)).tolist() == [UNDECIDED, UNDECIDED]


def test_what_fits_into_two_floats_stays_exact():
    third = exact([Fraction(1, 3)])
    for value, truth in (
        (points(1.0) + 2.0**-80, 1 + Fraction(2) ** -80),
        (points(0.1) * 0.1, Fraction(0.1) ** 2),
        (points(1 + 2.0**-52) * (1 + 2.0**-52) - 1, (1 + Fraction(2) ** -52) ** 2 - 1),
        (points(0.1) * 0.1 / 0.1, Fraction(0.1)),
        (points(2.0**60) + 1 - 2.0**60, Fraction(1)),
        (PAIR.total(points(2.0**60, 1, -(2.0**60))), Fraction(1)),
    ):
        assert value.rad.item() == 0
        holds(value, [truth])
    assert 0 < third.rad.item() < 2.0**-106


def test_overflow_knows_nothing():
    for value in (
        points(1e308) + 1e308,
        points(1e308) * 10,
        points(1.0) / ETA,
        points(1.0) / 0,
        PAIR.total(points(MAX, MAX)),
        PAIR.affine(np.array([[1e308, 1e308]]), np.zeros(1), points(10, 10)),
    ):
        assert value.rad.flatten().tolist() == [inf]
        assert (sign(value) == UNDECIDED).all()
        assert value.ball is None or value.ball.item() == inf


# Comparisons, shapes, refusals


@settings(max_examples=200)
@given(known(), known())
def test_a_decided_comparison_is_the_truth(left, right):
    (value, truths), (other, others) = paired([left]), paired([right])
    for compare in (operator.ge, operator.gt, operator.le, operator.lt, operator.eq, operator.ne):
        try:
            found = compare(value, other)
        except NotExact:
            continue
        assert found.tolist() == [compare(truths[0], others[0])]


def test_points_compare_and_everything_else_refuses_to():
    weights = points(-1, 0, 0.1)
    assert (weights >= 0).tolist() == [False, True, True]
    assert (weights > 0).tolist() == [False, False, True]
    assert (weights == 0).tolist() == [False, True, False]
    assert (weights != exact([-1, 0, 0])).tolist() == [False, False, True]
    assert (weights * 0.1 == Fraction(0.1) * 0).tolist() == [False, True, False]
    open_ = of_radius([0.0], 1.0)
    for compare in (operator.ge, operator.gt, operator.le, operator.lt, operator.eq, operator.ne):
        with pytest.raises(NotExact, match="decided signs"):
            compare(open_, 0)


def test_unlawful_expansions_are_refused():
    one = torch.ones(2, dtype=torch.float64)
    for parts, rad, ball, error, words in (
        ((one, one), one, None, NotExact, "fl"),
        ((one, 2.0**-60 * one, 2.0**-60 * one), one, None, NotExact, "fl"),
        ((one, 0 * one), -one, None, NotExact, "radii"),
        ((one, 0 * one), one, -one.sum(), NotExact, "radii"),
        ((one, 0 * one[:1]), one, None, ShapeMismatch, "parts"),
        ((one, 0 * one), one, one, ShapeMismatch, "ball"),
        ((one, 0 * one), one.float(), None, NotExact, "float64"),
    ):
        with pytest.raises(error, match=words):
            Expansion(parts, rad, ball)
    with pytest.raises(ShapeMismatch, match="width 6"):
        PAIR.affine(np.ones((2, 3)), np.ones(2), exact(torch.ones(4, 6)))


def test_expansions_of_fewer_parts_meet_those_of_more():
    third, fine = exact([Fraction(1, 3)]), exact([Fraction(1, 7)], 3)
    for value, truth in (
        (third + fine, Fraction(10, 21)),
        (fine * third, Fraction(1, 21)),
        (third / fine, Fraction(7, 3)),
    ):
        assert len(value.parts) == 3
        holds(value, [truth])
    assert (fine > third).tolist() == [False]


def test_masks_select_and_arrays_stand_on_either_side():
    unknown = of_radius([0.0, 0.0], inf)
    for mask in (np.array([True, False]), torch.tensor([True, False])):
        assert (unknown * mask).rad.tolist() == [inf, 0]
        assert (mask * unknown).rad.tolist() == [inf, 0]
        assert PAIR.where(mask, 1, unknown).rad.tolist() == [0, inf]
        assert PAIR.where(mask, 1, 0).mid.tolist() == [1, 0]
    for left in (np.array([[2.0], [3.0]]), torch.tensor([[2.0], [3.0]])):
        assert (left * points(1, 2)).mid.tolist() == [[2, 4], [3, 6]]
        assert (left - points(1, 2)).mid.tolist() == [[1, 0], [2, 1]]
        assert (left / points(1, 2)).mid.tolist() == [[2, 1], [3, 1.5]]
    assert PAIR.maximum(points(-1, 2), 0).mid.tolist() == [0, 2]
    assert PAIR.lift(unknown) is unknown
    assert len(stack([unknown, unknown], axis=1)) == 2


# Planted flaws: each part of each bound, once taken away, is missed by the oracle


def sum_that_rounds():
    value = points(1.0, 3.0) * 0.1 + exact([Fraction(2) ** -120, Fraction(1, 3)])
    holds(value, [Fraction(0.1) + Fraction(2) ** -120, 3 * Fraction(0.1) + Fraction(1, 3)])


def long_product():
    value = exact([Fraction(1, n) for n in range(3, 40)])
    holds(alone(value) * 0.1, [center * Fraction(0.1) for center in centers(value)])


def radii_that_round():
    left, right = (of_radius([0.0], r) for r in (1.0, 2.0**-60))
    holds(left + right, [1 + Fraction(2) ** -60])


def product_of_tiny_numbers():
    holds(points(2.0**-600) * points(2.0**-600), [Fraction(2) ** -1200])


def quotient_of_a_third():
    holds(points(1.0) / 3, [Fraction(1, 3)])


def product_below_the_safe_range():
    holds(points(0.1 * 2.0**-500) * points(0.1 * 2.0**-500), [Fraction(0.1 * 2.0**-500) ** 2])


def zeros(*tensors):
    return torch.zeros_like(tensors[0])


def no_size(value):
    return value.high * 0


@pytest.mark.parametrize(
    ("module", "name", "flaw", "experiment"),
    [
        (error_free, "sum_error", zeros, sum_that_rounds),
        (error_free, "UNIT", 0.0, long_product),
        (error_free, "ETA", 0.0, product_of_tiny_numbers),
        (error_free, "_SAFE", 0.0, product_below_the_safe_range),
        (expansion_value, "GROW", 1.0, radii_that_round),
        (expansion_value, "size_of", no_size, quotient_of_a_third),
    ],
    ids=["lost sums", "cross products", "underflow", "safe range", "own roundings", "remainder"],
)
def test_a_bound_without_one_of_its_parts_is_caught(monkeypatch, module, name, flaw, experiment):
    experiment()
    monkeypatch.setattr(module, name, flaw)
    with pytest.raises(AssertionError):
        experiment()


def test_a_value_without_a_ball_is_followed_by_that_of_its_radii():
    """Maps follow no ball that is not there: roots, which come without one, would lose theirs on the way up."""
    value = of_radius(torch.ones(2, 3), 0.5)
    weight, bias = np.eye(3), np.zeros(3)
    assert PAIR.affine(weight, bias, value).ball is None
    followed = PAIR.followed(value)
    assert (followed.ball >= 0.5 * 3**0.5 - 1e-15).all()
    assert (PAIR.affine(weight, bias, followed).ball >= followed.ball).all()
    assert PAIR.followed(followed) is followed
