"""Taylor expansions with their remainders: identities of polynomials, the misprint of equation 2, softplus twins."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import dtdsym
from dtdsym.errors import InputError, OnHinge, ShapeMismatch
from dtdsym.lifts.taylor import taylor
from dtdsym.network.network import sequential

X, Y, P, Q, T = sympy.symbols("x y p q t", real=True)
HALF = sympy.Rational(1, 2)
NET = sequential(([[1, -1], [2, 1]], [0, 1]), ([[1, -2]], [3]))


def integrated(remainder):
    """Its integrals over t, power by power."""

    def powers(f, limits):
        return sum(c / (n + 1) for (n,), c in sympy.Poly(f, limits[0]).terms())

    return remainder.replace(sympy.Integral, powers)


@settings(max_examples=30)
@given(st.lists(st.integers(-3, 3), min_size=10, max_size=10), st.integers(1, 4))
def test_polynomial_and_remainder_are_the_function_for_every_cubic(coefficients, order):
    monomials = [X**i * Y**j for i in range(4) for j in range(4 - i)]
    f = sum(c * m for c, m in zip(coefficients, monomials, strict=True))
    found = taylor(f, (X, Y), (P, Q), order)
    assert sympy.expand(found.polynomial + integrated(found.remainder) - f) == 0
    assert order < 3 or found.remainder == 0


def test_a_root_that_depends_on_the_input():
    found = taylor(X**2 * Y, (X, Y), (X - Y, P), 1)
    assert sympy.expand(found.polynomial + integrated(found.remainder) - X**2 * Y) == 0
    assert sympy.expand(found.terms[1] - (2 * (X - Y) * P * Y + (X - Y) ** 2 * (Y - P))) == 0


def test_the_remainder_as_printed_is_false():
    """Equation 2 subtracts the derivative at x: f = x^2, k = 1, root 0, x = 1."""
    found = taylor(X**2, (X,), (0,), 1)
    assert found.remainder.doit().subs(X, 1) == 1
    printed = X * sympy.integrate(2 * T * X - 2 * X, (T, 0, 1))
    assert printed.subs(X, 1) == -1


def test_a_piece_of_a_relu_network_has_no_remainder():
    for weights in ("numbers", "symbols"):
        lift = dtdsym.to_sympy(NET, weights=weights)
        pattern = lift.pattern_at((3, 1))
        for order in (1, 2):
            found = lift.taylor((P, Q), order, pattern=pattern)
            assert found.remainder == 0
            assert sympy.expand(found.polynomial - lift.piece(pattern).outputs[0]) == 0


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_expansion_of_a_softplus_network(order):
    lift = dtdsym.to_sympy(sequential(([[1], [-2]], [0, 1]), ([[1, -2]], [3])), activation="softplus")
    half = {lift.inputs[0]: HALF}
    found = lift.taylor((-1,), order)
    (integral,) = found.remainder.atoms(sympy.Integral)
    t = integral.limits[0][0]
    with mpmath.workdps(30):
        integrand = sympy.lambdify(t, integral.function.xreplace(half), "mpmath", cse=True)
        area = sympy.Float(mpmath.quad(integrand, [0, 1]), 30)
    remainder = found.remainder.xreplace({integral: area}).xreplace(half).evalf(30)
    exact = (lift.outputs[0] - found.polynomial).xreplace(half).evalf(30)
    assert abs(remainder - exact) < sympy.Float("1e-20") < abs(exact)


@pytest.mark.parametrize(
    ("function", "root", "order", "error", "message"),
    [
        (X, (0,), 0, InputError, "an expansion of order 0"),
        (X, (0, 0), 1, ShapeMismatch, "a root of 2 entries for 1 variables"),
        (X, (0,), None, InputError, "an expansion of order None"),
        (X, (0,), 1.0, InputError, "an expansion of order 1.0"),
        (X, None, 1, ShapeMismatch, "the root is None; give 1 entries"),
        (None, (0,), 1, InputError, "None is no expression"),
        (sympy.Max(X, 0), (0,), 1, OnHinge, "has maxima or cases"),
    ],
)
def test_what_has_no_expansion_is_refused(function, root, order, error, message):
    with pytest.raises(error, match=message):
        taylor(function, (X,), root, order)


def test_a_relu_network_is_expanded_piece_by_piece():
    lift = dtdsym.to_sympy(NET)
    with pytest.raises(InputError, match="piece by piece; give pattern="):
        lift.taylor((0, 0))
    for output in (1, -1, "a", 0.0, None):
        with pytest.raises(InputError, match=f"output {output!r} does not exist"):
            lift.taylor((0, 0), output=output, pattern=lift.pattern_at((3, 1)))
    assert lift.taylor((0, 0), output=np.int64(0), pattern=lift.pattern_at((3, 1))).remainder == 0
