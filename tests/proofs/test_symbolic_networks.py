"""The symbolic networks and the symbolic Definition 3 of proofs/ are those of dtdsym."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from dtdsym import affine_root, recursion
from dtdsym.network.network import sequential
from machinery.forged_cases import cases
from machinery.forging import taylor_step
from machinery.regions import column, gradient, network, only, put

LAYERS = [([[1, 2], [-1, 3], [2, -1]], [1, -2, 1]), ([[2, 1, -1], [1, -3, 2]], [1, 0]), ([[1, 2]], [-1])]
X = (1, 2)


def on_cell():
    """The symbolic network, with the numbers of LAYERS and the masks of X in place of its symbols."""
    f, numbers, a = network((2, 3, 2, 1)), {}, sympy.Matrix(X)
    for number, (weight, bias) in enumerate(LAYERS):
        numbers |= dict(zip(f.weights[number], sympy.Matrix(weight), strict=True))
        numbers |= dict(zip(f.biases[number], bias, strict=True))
        z = sympy.Matrix(weight) * a + sympy.Matrix(bias)
        a = z.applyfunc(lambda entry: sympy.Max(entry, 0))
        numbers |= {mask: int(bool(entry > 0)) for mask, entry in zip(f.masks[number], z, strict=True)}
    return f, numbers


def test_the_value_is_the_networks_and_the_gradient_the_product_of_jacobians():
    f, numbers = on_cell()
    x = column("x", 2)
    value = f.value(x).subs(numbers)
    assert value.subs(dict(zip(x, X, strict=True))) == sequential(*LAYERS)(X)[0]
    product = f.jacobians()[2] * f.jacobians()[1] * f.jacobians()[0]
    assert product.subs(numbers) == gradient(value, x).T
    assert gradient(value, x) != sympy.zeros(2, 1)


def test_one_layer_after_another_is_the_whole():
    f, numbers = on_cell()
    a = column("x", 2)
    for number in (1, 2, 3):
        a = only(f, number).through(a)[1][-1]
    assert sympy.expand(a[0] - f.value(column("x", 2))) == 0
    assert put(column("x", 2), column("x", 2), sympy.Matrix(X)) == sympy.Matrix(X)
    assert numbers


def test_definition_3_is_the_recursion():
    f, numbers = on_cell()
    affine = [
        ([["1/2", "1/8"], ["1/16", "3/4"]], [0, "1/8"]),
        ([["7/8", 0, "1/16"], [0, 1, "1/8"], ["1/8", 0, "7/8"]], [0, "1/8", "1/16"]),
        ([["3/4", "1/8"], [0, "7/8"]], ["1/4", 0]),
    ]
    above, outputs = column("o", 1), column("o", 1)
    for number in (3, 2, 1):
        inputs = column(f"a{number}_", (2, 3, 2)[number - 1])
        matrix, vector = (sympy.Matrix(part).applyfunc(sympy.Rational) for part in affine[number - 1])
        layer = only(f, number).through(inputs)[1][1].subs(numbers)
        above, outputs = taylor_step(above, outputs, layer, inputs, [matrix * inputs + vector] * outputs.rows), inputs
    found = put(above, outputs, sympy.Matrix(X))
    expected = recursion(sequential(*LAYERS), X, [affine_root(*one) for one in affine], check=False)
    assert [Fraction(str(entry)) for entry in found] == list(expected)


@pytest.mark.parametrize("kind", ["beyond", "non_positive"])
def test_random_cases_are_of_every_kind(kind):
    found = cases(20).values()
    assert {bool(getattr(case, kind)) for case in found} == {True, False}
    assert all(case.network(case.x)[0] == case.activations[-1][0] > 0 for case in found)
