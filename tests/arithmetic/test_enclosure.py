"""Every operation on enclosures against exact rationals: bounds, exact zeros, decided signs, reading, shapes."""

from __future__ import annotations

import operator
from fractions import Fraction
from itertools import pairwise
from math import inf, nextafter

import numpy as np
import pytest
import torch
from enclosure_oracle import MAX, enclosed, finite, frozen, holds, known, points, sums
from hypothesis import example, given
from hypothesis import strategies as st

from dtdsym.arithmetic.enclosure import ENCLOSURE, UNDECIDED, Enclosure, exact, sign, stack
from dtdsym.arithmetic.rounding import ETA, UNIT
from dtdsym.errors import NotExact, ShapeMismatch

# One operation at a time


@pytest.mark.parametrize("operation", [operator.add, operator.sub, operator.mul], ids=lambda f: f.__name__)
@given(pairs=st.lists(st.tuples(known(), known()), min_size=1, max_size=6))
@example(pairs=[((MAX, 0.0, Fraction(MAX)), (UNIT, 0.0, Fraction(UNIT)))])
def test_sums_differences_and_products_are_enclosed(operation, pairs):
    left, a = enclosed([pair[0] for pair in pairs])
    right, b = enclosed([pair[1] for pair in pairs])
    truths = [operation(x, y) for x, y in zip(a, b, strict=True)]
    holds(operation(left, right), truths)
    for i, (x, y) in enumerate(pairs):  # numbers, read exactly, on either side
        if y[1] == 0:
            holds(operation(left[i], y[0]), truths[i : i + 1])
        if x[1] == 0:
            holds(operation(Fraction(x[0]), right[i]), truths[i : i + 1])


WIDE_DIVISOR = (2.0**1000, 2.0**1000 - 2.0**990, Fraction(2) ** 990)


@given(pairs=st.lists(st.tuples(known(), known()), min_size=1, max_size=6))
@example(pairs=[((1.25 * 2.0**-74, 0.0, Fraction(5, 2**76)), WIDE_DIVISOR)])
def test_quotients_are_enclosed_and_unknown_where_the_divisor_may_be_zero(pairs):
    left, a = enclosed([pair[0] for pair in pairs])
    right, b = enclosed([pair[1] for pair in pairs])
    quotient = left / right
    ratio = ENCLOSURE.ratio(left, right)
    for i, (x, y) in enumerate(zip(a, b, strict=True)):
        mid, rad = pairs[i][1][:2]
        if abs(mid) <= rad:
            assert quotient.rad[i] == inf
            blank = pairs[i][0][0] == pairs[i][0][1] == 0
            assert ratio.rad[i] == (0 if mid == rad == 0 or blank else inf)
        else:
            holds(quotient[i], [x / y])
            holds(ratio[i], [x / y])
        if mid == rad == 0 or x == 0:
            holds(ratio[i], [Fraction(0)])


@given(entries=st.lists(known(), min_size=1, max_size=8), number=st.one_of(finite, st.fractions(), st.integers()))
def test_numbers_are_read_exactly_on_either_side(entries, number):
    value, truths = enclosed(entries)
    holds(value + number, [x + Fraction(number) for x in truths])
    holds(number - value, [Fraction(number) - x for x in truths])
    holds(number * value, [Fraction(number) * x for x in truths])
    if number != 0:
        holds(value / number, [x / Fraction(number) for x in truths])


@given(entries=st.lists(known(), min_size=1, max_size=8))
def test_negation_absolute_value_and_relu_are_enclosed(entries):
    value, truths = enclosed(entries)
    holds(-value, [-x for x in truths])
    holds(abs(value), [abs(x) for x in truths])
    holds(ENCLOSURE.relu(value), [max(x, Fraction(0)) for x in truths])


@given(pairs=st.lists(st.tuples(known(), known()), min_size=1, max_size=6))
def test_maximum_is_enclosed_and_exact_where_decided(pairs):
    left, a = enclosed([pair[0] for pair in pairs])
    right, b = enclosed([pair[1] for pair in pairs])
    largest = ENCLOSURE.maximum(left, right)
    holds(largest, [max(x, y) for x, y in zip(a, b, strict=True)])
    for i, ((m, r, _), (n, s, _)) in enumerate(pairs):
        if r == s == 0:
            assert (largest.mid[i], largest.rad[i]) == (max(m, n), 0)


@given(entries=st.lists(known(), min_size=1, max_size=8))
def test_lower_and_upper_are_the_nearest_outward_floats(entries):
    value, _ = enclosed(entries)
    for (mid, rad, _), low, high in zip(entries, value.lower().tolist(), value.upper().tolist(), strict=True):
        if rad == inf:
            assert (low, high) == (-inf, inf)
            continue
        ends = Fraction(mid) - Fraction(rad), Fraction(mid) + Fraction(rad)
        assert low == -inf or Fraction(low) <= ends[0]
        assert high == inf or Fraction(high) >= ends[1]
        if abs(mid) < 1e308 and rad < 1e307:
            assert Fraction(nextafter(low, inf)) > ends[0]
            assert Fraction(nextafter(high, -inf)) < ends[1]


@given(entries=st.lists(known(), min_size=1, max_size=8))
def test_a_decided_sign_is_the_true_sign(entries):
    value, truths = enclosed(entries)
    for (mid, rad, _), truth, found in zip(entries, truths, sign(value).tolist(), strict=True):
        if found == UNDECIDED:
            assert abs(Fraction(mid)) <= (rad if rad == inf else Fraction(rad))
        else:
            assert found == (truth > 0) - (truth < 0)
    assert torch.equal(value.is_zero(), sign(value) == 0)
    assert torch.equal(value.excludes_zero(), (sign(value) == 1) | (sign(value) == -1))


@given(rows=st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(known(), min_size=n, max_size=n), max_size=5)))
def test_totals_are_enclosed_along_either_axis(rows):
    if not rows:
        assert ENCLOSURE.total(exact(torch.zeros(2, 0))).is_zero().all()
        return
    value, truths = enclosed([entry for row in rows for entry in row])
    value, n = value.reshape(len(rows), len(rows[0])), len(rows[0])
    holds(ENCLOSURE.total(value), [sum(truths[i : i + n]) for i in range(0, len(truths), n)])
    holds(ENCLOSURE.total(value, axis=0), [sum(truths[i::n]) for i in range(n)])


# A whole pass


def test_a_deep_pass_encloses_the_exact_values_and_decides_true_signs():
    generator = np.random.default_rng(5)
    widths = [4, 6, 6, 3]
    net = [(generator.integers(-2, 3, (o, i)) / 4.0, generator.integers(-2, 3, o) / 3.0) for i, o in pairwise(widths)]
    points_ = generator.integers(-2, 3, (60, 4)) / 2.0
    value, truths = exact(points_), [list(map(Fraction, row)) for row in points_.tolist()]
    found = []
    for weight, bias in net:
        value = ENCLOSURE.affine(weight, bias, value)
        truths = [sums(weight, bias, row) for row in truths]
        holds(value, [z for row in truths for z in row])
        for s, z in zip(sign(value).flatten().tolist(), (z for row in truths for z in row), strict=True):
            assert s in (UNDECIDED, (z > 0) - (z < 0))
            found.append(s)
        value, truths = ENCLOSURE.relu(value), [[max(z, Fraction(0)) for z in row] for row in truths]
    assert found.count(1) > 100
    assert found.count(-1) > 100
    assert found.count(UNDECIDED) > 0


# Exact zeros are facts


def test_a_zero_factor_gives_exactly_zero_even_of_the_unknown():
    unknown = Enclosure(torch.zeros(2, dtype=torch.float64), torch.tensor([inf, 1e308], dtype=torch.float64))
    for product in (unknown * 0, 0.0 * unknown, unknown * points(0, 0), points(0, 0) * unknown):
        assert product.is_zero().all()
    assert (points(0, 0) / points(3, ETA)).is_zero().all()
    assert not (unknown * points(ETA, ETA)).is_zero().any()


def test_a_product_that_underflows_is_not_exactly_zero():
    tiny = points(2.0**-600, -ETA)
    assert sign(tiny * tiny).tolist() == [UNDECIDED, UNDECIDED]
    assert sign(tiny / points(2.0**600, 2)).tolist() == [UNDECIDED, UNDECIDED]


def test_exact_sums_stay_points():
    assert (points(0, 1, 2.0**60) + points(0, -1, 2.0**30)).rad.tolist() == [0, 0, 0]
    assert ENCLOSURE.total(points(0, 0, -0.0)).is_zero()


def test_a_row_of_exact_zeros_and_a_weight_of_exact_zeros_give_the_exact_bias():
    weight, bias = frozen([[1.0, 1e308], [0.0, 0.0]]), frozen([0.1, -3.0])
    value = exact(torch.tensor([[0.0, -0.0], [ETA, 0.0], [1.0, 5.0]], dtype=torch.float64))
    out = ENCLOSURE.affine(weight, bias, value)
    assert out.rad[0].tolist() == [0, 0]
    assert out.mid[0].tolist() == [0.1, -3.0]
    assert out.rad[1, 0] > 0
    assert out.rad[:, 1].tolist() == [0, 0, 0]


def test_an_unknown_input_spoils_only_the_outputs_that_it_reaches():
    weight, bias = frozen([[0.0, 2.0], [1.0, 2.0]]), frozen([1.0, 1.0])
    value = Enclosure(torch.tensor([[0.0, 3.0]], dtype=torch.float64), torch.tensor([[inf, 0.0]], dtype=torch.float64))
    out = ENCLOSURE.affine(weight, bias, value)
    holds(out, [Fraction(7), Fraction(10) ** 400])
    assert out.rad[0, 0] < 1e-14
    assert out.rad[0, 1] == inf


def test_relu_keeps_exact_signs_and_hulls_the_undecided():
    value = Enclosure(
        torch.tensor([-1.0, 1.0, 0.0, -1.0, 2.0, -2.0, 0.0], dtype=torch.float64),
        torch.tensor([1.0, 1.0, 0.0, 3.0, 3.0, 1.0, inf], dtype=torch.float64),
    )
    out = ENCLOSURE.relu(value)
    assert sign(out).tolist() == [0, UNDECIDED, 0, UNDECIDED, UNDECIDED, 0, UNDECIDED]
    assert out.mid[:5].tolist() == [0, 1, 0, 1, 2.5]
    assert out.rad[:3].tolist() == [0, 1, 0]
    assert 1 <= out.rad[3] <= nextafter(1, 2)
    assert 2.5 <= out.rad[4] <= nextafter(2.5, 3)
    assert out.rad[6] == inf


def test_overflow_knows_nothing():
    for value in (
        points(1e308) + 1e308,
        points(1e308) * 10,
        points(1.0) / ETA,
        points(1.0) / 0,
        ENCLOSURE.total(points(MAX, MAX)),
        ENCLOSURE.total(points(MAX, MAX, -MAX, -MAX)),
        ENCLOSURE.affine(np.array([[1e308, -1e308]]), np.zeros(1), points(10, 10)),
    ):
        assert (value.mid.flatten().tolist(), value.rad.flatten().tolist()) == ([0], [inf])
        assert (sign(value) == UNDECIDED).all()


# Masks, shapes, comparisons


def test_masks_select_and_numbers_stand_on_either_side():
    unknown = Enclosure(torch.zeros(2, dtype=torch.float64), torch.full((2,), inf, dtype=torch.float64))
    for mask in (np.array([True, False]), torch.tensor([True, False])):
        assert (unknown * mask).rad.tolist() == [inf, 0]
        assert (mask * unknown).rad.tolist() == [inf, 0]
        assert ENCLOSURE.where(mask, 1, unknown).rad.tolist() == [0, inf]
        assert ENCLOSURE.where(mask, unknown, Fraction(1, 2)).mid.tolist() == [0, 0.5]
        assert ENCLOSURE.where(mask, 1, 0).mid.tolist() == [1, 0]
    for left in (np.array([[2.0], [3.0]]), torch.tensor([[2.0], [3.0]])):
        assert (left * points(1, 2)).mid.tolist() == [[2, 4], [3, 6]]
        assert (left - points(1, 2)).mid.tolist() == [[1, 0], [2, 1]]
        assert (left / points(1, 2)).mid.tolist() == [[2, 1], [3, 1.5]]
        assert (points(1, 2) + left).mid.tolist() == [[3, 4], [4, 5]]
    assert ENCLOSURE.maximum(points(-1, 2), 0).mid.tolist() == [0, 2]


def test_shapes_move_midpoint_and_radius_together():
    value = Enclosure(torch.arange(6.0).double().reshape(2, 3), torch.arange(6.0).double().reshape(2, 3) / 8)
    for moved in (
        value[1],
        value[..., None, :],
        value[torch.tensor([True, False])],
        value.reshape(3, 2),
        value.swapaxes(0, 1),
        value.unsqueeze(0).expand(4, 2, 3),
        stack([value, value], axis=1),
        ENCLOSURE.join([value, value]),
        value.to("cpu"),
    ):
        assert torch.equal(moved.mid / 8, moved.rad)
    assert stack([value, value], axis=1).shape == (2, 2, 3)
    assert ENCLOSURE.join([value, value]).shape == (2, 6)
    assert len(value) == 2


def test_points_compare_and_everything_else_refuses_to():
    weights = points(-1, 0, 0.1)
    assert (weights >= 0).tolist() == [False, True, True]
    assert (weights > 0).tolist() == [False, False, True]
    assert (weights <= 0).tolist() == [True, True, False]
    assert (weights < 0.1).tolist() == [True, True, False]
    assert (weights == 0).tolist() == [False, True, False]
    assert (weights != exact([-1, 0, 0])).tolist() == [False, False, True]
    assert (weights * 0.1 >= 0).tolist() == [False, True, True]
    assert (weights < Fraction(1, 5)).tolist() == [True, True, True]
    for value, number in ((weights * 0.1, Fraction(0.1) ** 2), (weights, enclosed([(0.0, 1.0, Fraction(0))] * 3)[0])):
        for compare in (operator.ge, operator.gt, operator.le, operator.lt, operator.eq, operator.ne):
            with pytest.raises(NotExact, match="decided signs"):
                compare(value, number)


@given(known(), known())
def test_a_decided_comparison_is_the_truth(left, right):
    (value, truths), (other, others) = enclosed([left]), enclosed([right])
    for compare in (operator.ge, operator.gt, operator.le, operator.lt, operator.eq, operator.ne):
        try:
            found = compare(value, other)
        except NotExact:
            continue
        assert found.tolist() == [compare(truths[0], others[0])]


def test_an_affine_map_of_the_wrong_width_is_refused():
    with pytest.raises(ShapeMismatch, match="width 6"):
        ENCLOSURE.affine(np.ones((2, 3)), np.ones(2), exact(torch.ones(4, 6)))
