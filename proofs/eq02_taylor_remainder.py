"""Equation 2: the remainder of Taylor's theorem in several variables."""

from __future__ import annotations

from itertools import product

import sympy
from sympy import factorial, integrate, symbols

from machinery import Derivation, main, statement

T = sympy.Symbol("t")
DEGREE = 4
"""Polynomials up to this degree, with symbolic coefficients."""


def indices(size: int, degree: int) -> list[tuple[int, ...]]:
    """Multi-indices of exactly this degree."""
    return [alpha for alpha in product(range(degree + 1), repeat=size) if sum(alpha) == degree]


def polynomial(x: tuple[sympy.Symbol, ...]) -> sympy.Expr:
    """The general polynomial of degree DEGREE in x."""
    powers = [alpha for degree in range(DEGREE + 1) for alpha in indices(len(x), degree)]
    return sympy.Add(*(sympy.Symbol("c" + "".join(map(str, alpha))) * power(x, alpha) for alpha in powers))


def power(x: tuple[sympy.Expr, ...], alpha: tuple[int, ...]) -> sympy.Expr:
    """x^alpha."""
    return sympy.Mul(*(xi**k for xi, k in zip(x, alpha, strict=True)))


def derivative(f: sympy.Expr, x: tuple[sympy.Symbol, ...], alpha: tuple[int, ...], at: tuple) -> sympy.Expr:
    """d^alpha f at a point."""
    found = sympy.diff(f, *((xi, k) for xi, k in zip(x, alpha, strict=True) if k)) if any(alpha) else f
    return found.subs(dict(zip(x, at, strict=True)), simultaneous=True)


def taylor(f: sympy.Expr, x: tuple[sympy.Symbol, ...], root: tuple, k: int) -> sympy.Expr:
    """The sum of equation 1, about the root."""
    step = tuple(xi - ri for xi, ri in zip(x, root, strict=True))
    terms = [alpha for degree in range(k + 1) for alpha in indices(len(x), degree)]
    return sympy.Add(*(derivative(f, x, a, root) * power(step, a) / _factorial(a) for a in terms))


def remainder(f: sympy.Expr, x: tuple[sympy.Symbol, ...], root: tuple, k: int, subtracted: tuple) -> sympy.Expr:
    """Equation 2, with the derivative subtracted at the point `subtracted`."""
    step = tuple(xi - ri for xi, ri in zip(x, root, strict=True))
    between = tuple(T * xi + (1 - T) * ri for xi, ri in zip(x, root, strict=True))
    total = sympy.Integer(0)
    for alpha in indices(len(x), k):
        moved = derivative(f, x, alpha, between) - derivative(f, x, alpha, subtracted)
        inner = integrate(sympy.expand((1 - T) ** (k - 1) * moved), (T, 0, 1))
        total += power(step, alpha) / _factorial(alpha) * inner
    return k * total


def _factorial(alpha: tuple[int, ...]) -> sympy.Expr:
    return sympy.Mul(*(factorial(k) for k in alpha))


@statement(
    "eq02",
    "the remainder of Taylor's theorem",
    place="Section 3.1, equation 2",
    printed="g_k(x, x~) = k sum_{|alpha|=k} (x - x~)^alpha / alpha! int_0^1 (1-t)^(k-1) [d^alpha f(tx + (1-t)x~) - "
    "d^alpha f(x)] dt",
    verdict="corrected",
    reason="the subtracted derivative belongs at the root x~, not at x: f = x^2, k = 1, x~ = 0, x = 1 gives -1 for 1",
    corrected="the same with d^alpha f(x~) in place of d^alpha f(x)",
    scope=f"all polynomials of degree {DEGREE} in 1 and 2 variables (symbolic coefficients, point, root), k = 1, 2, 3",
)
def eq02(proof: Derivation) -> None:
    (x,) = symbols("x:1")
    square = x**2
    proof.counterexample(
        "f(x) = x^2 and k = 1: the printed remainder and f less its expansion",
        remainder(square, (x,), (sympy.Integer(0),), 1, (x,)),
        square - taylor(square, (x,), (sympy.Integer(0),), 1),
        {x: 1},
        values=(-1, 1),
        agrees_at={x: 0},
    )
    for size, k in proof.each("number of variables and order k", product((1, 2), (1, 2, 3))):
        point, root = symbols(f"x:{size}"), symbols(f"r:{size}")
        f = polynomial(point)
        proof.equal(
            f"f = its expansion + the corrected remainder ({size} variables, k = {k})",
            f,
            taylor(f, point, root, k) + remainder(f, point, root, k, root),
        )


if __name__ == "__main__":
    main()
