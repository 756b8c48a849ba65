"""The symbols of proofs/machinery/definition3.py mean what dtdsym computes with numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from dtdsym import affine_root, recursion, rule_root
from dtdsym.network.network import sequential
from machinery.definition3 import (
    Layer,
    Smooth,
    any_roots,
    composed,
    constant_roots,
    definition3,
    hinge_roots,
    network,
    one_root,
    put,
    smooth,
    vector,
)

ENTRIES = st.integers(1, 4)
X, Y = sympy.symbols("x y")


def matrices(rows: int, columns: int):
    return st.lists(st.lists(ENTRIES, min_size=columns, max_size=columns), min_size=rows, max_size=rows)


def layer(weight, bias):
    return Layer(sympy.Matrix(weight), tuple(map(sympy.Integer, bias)), (sympy.Integer(1),) * len(bias))


def exact(values):
    return tuple(Fraction(int(value.p), int(value.q)) for value in values)


@settings(max_examples=20, deadline=None)
@given(matrices(3, 2), matrices(2, 3), st.lists(matrices(2, 2), min_size=3, max_size=3), matrices(3, 3))
def test_definition_3_on_symbols_is_the_recursion_on_numbers(first, second, below, above):
    """Positive weights, inputs and affine roots, others for each neuron: all neurons are active."""
    layers = [layer(first, (1, 2, 3)), layer(second, (1, 2))]
    roots = [
        lambda j, a: tuple(sympy.Matrix(below[j]) * sympy.Matrix(a)),
        lambda j, a: tuple(sympy.Matrix(above) * sympy.Matrix(a)),
    ]
    known = sequential((first, (1, 2, 3)), (second, (1, 2)))
    numbers = [[affine_root(matrix, (0, 0)) for matrix in below], affine_root(above, (0, 0, 0))]
    x = (sympy.Integer(3), sympy.Integer(5))
    for logit in range(2):
        found = exact(definition3(layers, roots, logit)[0](x))
        assert found == tuple(recursion(known, (3, 5), numbers, logit=logit, check=False))


def test_hinge_roots_are_those_of_the_rule():
    weight, bias = [[1, 2], [3, 1]], [1, 1]
    layers = [layer(weight, bias), layer([[1, 1]], [1])]
    roots = [hinge_roots(one, lambda w, a: w) for one in layers]
    found = exact(definition3(layers, roots)[0]((sympy.Integer(1), sympy.Integer(2))))
    known = sequential((weight, bias), ([[1, 1]], [1]))
    assert found == tuple(recursion(known, (1, 2), [rule_root("w2"), rule_root("w2")], check=False))


def test_roots_of_each_neuron_have_symbols_of_their_own():
    a = vector("a", 2)
    for roots in (constant_roots(1, 2), any_roots(1)):
        assert not set(roots(0, a)) & set(roots(1, a))
    assert one_root(1, 2)(0, a) == one_root(1, 2)(1, a)


def test_masks_choose_the_pattern():
    layers, x = network(2, 2, 1), vector("x", 2)
    value = composed(layers, x)[0]
    off = dict.fromkeys(layers[0].masks, 0)
    assert value.subs(off) == layers[1].masks[0] * layers[1].bias[0]


def test_unknown_functions_obey_the_chain_rule():
    f = smooth("f", (X * Y, Y))
    assert sympy.diff(f, X) == Y * Smooth(sympy.Symbol("f"), 1, 0, X * Y, Y)
    assert sympy.diff(f, X, Y) == sympy.diff(f, Y, X)
    assert put((smooth("f", (X, Y)),), (X, Y), (Y, X)) == (smooth("f", (Y, X)),)
    assert str(sympy.diff(smooth("f", (X, Y)), X, X, Y)) == "f[1_1_2](x, y)"
    assert sympy.latex(smooth("f", (X,)) ** 2) == r"{\mathrm{f}_{}\left(x\right)}^{2}"


@pytest.mark.parametrize("change", [1, -1])
def test_another_gradient_is_noticed(change):
    """A recursion that leaves out what equation 8 differentiates would give the same numbers for other weights."""
    x = (sympy.Integer(1),)
    one = [layer([[1]], [0]), layer([[2]], [0])]
    other = [layer([[1]], [0]), layer([[2 + change]], [0])]
    roots = [lambda j, a: (sympy.Integer(0),), lambda j, a: (a[0] / 2,)]
    assert definition3(one, roots)[0](x) != definition3(other, roots)[0](x)
