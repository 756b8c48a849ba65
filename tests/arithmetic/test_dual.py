"""Rationals with infinitesimals: derivatives like SymPy's, sides at ties, and the protocol like the rational one."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch
from builders import conv_networks
from hypothesis import given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic.dual import DUAL, Dual, infinitesimal, rationals, side
from dtdsym.arithmetic.rational import RATIONAL, fraction
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.errors import OnHinge
from dtdsym.network.evaluate import differentiate, evaluate, max_masks
from dtdsym.network.layers import MaxPool, Relu

numbers = st.integers(-9, 9).map(lambda n: Fraction(n, 3))
CURVES = {
    "product": lambda a, b: a * b * a - 2 * b,
    "quotient": lambda a, b: (a - b) / (a * a + b * b + 1),
    "reflected": lambda a, b: 3 - 1 / (1 + a * a) + Fraction(1, 3) * b,
}


def value(dual):
    return fraction(dual.real[()])


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@given(a=numbers, b=numbers)
def test_nested_derivatives_are_sympys(curve, a, b):
    x, y = sympy.symbols("x y")
    at = {x: sympy.Rational(a), y: sympy.Rational(b)}
    found = curve(DUAL.lift(a) + infinitesimal(1) + infinitesimal(2), DUAL.lift(b) + infinitesimal(3))
    for order, expected in {(1,): (x,), (1, 2): (x, x), (1, 3): (x, y), (1, 2, 3): (x, x, y)}.items():
        derivative = found
        for k in order:
            derivative = derivative.derivative(k)
        assert value(derivative) == Fraction(str(sympy.diff(curve(x, y), *expected).subs(at)))


@settings(max_examples=40)
@given(conv_networks(), st.randoms(use_true_random=False))
def test_the_forward_pass_carries_derivatives_and_the_backward_pass_agrees(network, random):
    """Along one direction through convolutions, pools, skips: derivative . direction; or a tie says there is none."""
    size = network.sizes[0]
    point = RATIONAL.lift([Fraction(random.randint(-50, 50), 7) for _ in range(size)])
    direction = RATIONAL.lift([random.randint(-3, 3) for _ in range(size)])
    last = len(network.nodes) - 1
    moving = Dual({0: point}) + Dual({0: direction}) * infinitesimal(1)
    try:
        found = evaluate(network, DUAL, {0: moving})[last]
    except OnHinge:
        return
    values = evaluate(network, RATIONAL, {0: point})
    assert (found.real == values[last]).all()
    masks = {}
    for index, node in enumerate(network.nodes):
        if isinstance(node, Relu):
            masks[index] = np.asarray(values[node.source] > 0, dtype=bool)
        elif isinstance(node, MaxPool):
            masks[index] = max_masks(network, index, RATIONAL, values)
    seed = RATIONAL.lift([random.randint(-3, 3) for _ in range(network.sizes[last])])
    row = differentiate(network, RATIONAL, masks, seed).get(0, direction * 0)
    assert (found.derivative(1).real * seed).sum() == (row * direction).sum()
    over = differentiate(network, DUAL, masks, Dual({0: seed})).get(0, DUAL.lift(direction * 0))
    assert (over.real == row).all()


def test_at_a_tie_a_side_decides_and_without_one_there_is_no_derivative():
    e, s = infinitesimal(1), side(1)
    assert value(DUAL.relu(0 + e * 0)) == 0
    assert value(DUAL.relu(s + 5 * e).derivative(1).at_side_zero(1)) == 5
    assert value(DUAL.relu(-s + 5 * e).derivative(1)) == 0
    assert value(DUAL.maximum(s + e, 2 * e).derivative(1)) == 1
    with pytest.raises(OnHinge):
        DUAL.relu(e)
    with pytest.raises(OnHinge):
        DUAL.relu(e + side(2))  # what an outer derivative moves is not an inner side's to decide
    assert value(DUAL.relu(side(2) + 3 * infinitesimal(2)).derivative(2)) == 3


def test_comparisons_and_first_maxima_see_what_is_infinitesimal():
    a = DUAL.lift([1, 1, 0]) + side(1) * DUAL.lift([0, 1, 0])
    assert (a > 1).tolist() == [False, True, False]
    assert (a >= 1).tolist() == [True, True, False]
    assert (a < 1).tolist() == [False, False, True]
    assert (a <= 1).tolist() == [True, False, True]
    assert DUAL.first_maximum(a).tolist() == [False, True, False]
    assert DUAL.first_maximum(DUAL.lift([2, 2, 1])).tolist() == [True, False, False]


def test_a_ratio_is_0_only_where_its_denominator_is_exactly_0():
    assert rationals(DUAL.ratio(DUAL.lift([1, 3]), DUAL.lift([0, 2]))) == (0, Fraction(3, 2))
    with pytest.raises(OnHinge, match="quotient"):
        DUAL.ratio(1, infinitesimal(1))
    with pytest.raises(OnHinge, match="quotient"):
        _ = 1 / (infinitesimal(1) * 2)


def test_lists_of_values_and_numbers_are_lifted_together():
    e = infinitesimal(1)
    found = DUAL.lift([[1 + e, 2], [Fraction(1, 3), 3 * e]])
    assert found.shape == (2, 2)
    assert [[fraction(q) for q in row] for row in found.derivative(1).real] == [[1, 0], [0, 3]]
    assert [len(row) for row in found] == [2, 2]


def test_affine_maps_of_fractions_are_exact_and_rounded_once_by_tensors():
    weight = np.array([[Fraction(1, 3), Fraction(-2, 7)], [Fraction(0), Fraction(5)]], dtype=object)
    bias = np.array([Fraction(1, 11), Fraction(0)], dtype=object)
    value = DUAL.lift([3, 7]) + DUAL.lift([1, 2]) * infinitesimal(1)
    found = DUAL.affine(weight, bias, value)
    assert rationals(found) == (Fraction(1, 11) - 1, 35)
    assert rationals(found.derivative(1)) == (Fraction(1, 3) - Fraction(4, 7), 10)
    rounded = TENSOR.affine(weight, bias, torch.tensor([3.0, 7.0], dtype=torch.float64))
    assert rounded.tolist() == pytest.approx([1 / 11 - 1, 35], rel=1e-15)
