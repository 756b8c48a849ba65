"""Equation 1 and Theorem 1: Taylor's theorem in several variables, with the remainder that equation 2 should have."""

from __future__ import annotations

from itertools import product

import sympy
from sympy import Function, factorial, symbols

from eq02_taylor_remainder import DEGREE, T, derivative, indices, polynomial, power, remainder, taylor
from machinery import Derivation, main, statement


@statement(
    "eq01",
    "the expansion of Taylor's theorem",
    place="Section 3.1, equation 1",
    printed="f(x) = sum_{|alpha| <= k} d^alpha f(x~) / alpha! (x - x~)^alpha + g_k(x, x~)",
    verdict="true",
    reason="what the sum leaves over vanishes to order k + 1 at x~, and wholly if f has degree k; see eq02 for g_k",
    scope=f"all polynomials of degree {DEGREE} in 1, 2 and 3 variables (symbolic coefficients, point, root), k = 1, 2, "
    "3; for all smooth f see thm1",
)
def eq01(proof: Derivation) -> None:
    s = sympy.Symbol("s")
    proof.say("Let x = x~ + s h. What the sum leaves over is a polynomial in s; it is g_k, whatever its formula.")
    for size, k in proof.each("number of variables and order k", product((2, 1, 3), (1, 2, 3))):
        point, root, h = symbols(f"x:{size}"), symbols(f"r:{size}"), symbols(f"h:{size}")
        f = polynomial(point)
        moved = {xi: ri + s * hi for xi, ri, hi in zip(point, root, h, strict=True)}
        left_over = sympy.Poly((f - taylor(f, point, root, k)).subs(moved, simultaneous=True), s)
        proof.equal(
            f"the coefficients of 1, s, ..., s^{k} in it ({size} variables, k = {k}) are zero",
            [left_over.coeff_monomial(s**i) for i in range(k + 1)],
            [sympy.Integer(0)] * (k + 1),
        )
        proof.equal(
            f"and that of s^{k + 1} is the next term of the expansion",
            left_over.coeff_monomial(s ** (k + 1)),
            sympy.Add(*(derivative(f, point, a, root) * power(h, a) / _factorial(a) for a in indices(size, k + 1))),
        )
    for size in proof.each("number of variables", (2, 1, 3)):
        point, root = symbols(f"x:{size}"), symbols(f"r:{size}")
        f = polynomial(point)
        proof.equal(f"with k = {DEGREE}, the degree of f, nothing is left over", taylor(f, point, root, DEGREE), f)


@statement(
    "thm1",
    "Taylor's theorem in several variables",
    place="Section 3.1, Theorem 1",
    printed="Suppose f : R^d -> R is of class C^k on an open convex set S. If x and x~ are in S, then equation 1 holds "
    "with the remainder of equation 2",
    verdict="corrected",
    reason="equation 2 subtracts the derivative at x where it has to be the one at x~; with that the theorem holds",
    corrected="f(x) = sum_{|alpha| <= k} d^alpha f(x~) / alpha! (x - x~)^alpha + k sum_{|alpha| = k} (x - x~)^alpha / "
    "alpha! int_0^1 (1-t)^(k-1) [d^alpha f(tx + (1-t)x~) - d^alpha f(x~)] dt",
    scope="all f of class C^k (an unknown function), all k by induction (base and step checked for symbolic k), d = 1, "
    f"2, 3; besides, polynomials of degree {DEGREE} directly",
    parts=("along_a_line", "induction"),
)
def thm1(proof: Derivation) -> None:
    x = symbols("x:2")
    f = x[0] ** 2 + x[1]
    root = (sympy.Integer(0), sympy.Integer(0))
    proof.counterexample(
        "f = x0^2 + x1, x~ = 0, k = 1: the expansion with the printed remainder, and f",
        taylor(f, x, root, 1) + remainder(f, x, root, 1, x),
        f,
        {x[0]: 1, x[1]: 1},
        values=(0, 2),
        agrees_at={x[0]: 0, x[1]: 3},
    )
    _along_a_line(proof)
    _induction(proof)
    proof.say("So it is proved for all k. Besides, directly, with the integrals taken:")
    for size, k in proof.each("number of variables and order k", [(1, 3), (1, 4), (2, 4), (3, 1), (3, 2)]):
        point, about = symbols(f"x:{size}"), symbols(f"r:{size}")
        f = polynomial(point)
        expanded = taylor(f, point, about, k) + remainder(f, point, about, k, about)
        proof.equal(f"polynomials ({size} variables, k = {k}) are their corrected expansion", expanded, f)


def _along_a_line(proof: Derivation) -> None:
    """Several variables are one: phi(t) = f(x~ + t h)."""
    proof.part("along_a_line")
    k, product_of_factorials = symbols("k c")
    proof.say(
        "Let h = x - x~, and phi(t) = f(x~ + t h), of class C^k on [0, 1], for S is convex. By the chain rule its k-th "
        "derivative is phi_k = (h.D)^k f at x~ + t h, and the derivatives D_i commute. Claim: (h.D)^k = "
        "sum_{|alpha|=k} k!/alpha! h^alpha D^alpha. For k = 0 it is 1 = 1; the step from k to k + 1: h^beta D^beta "
        "with |beta| = k + 1 comes from the alpha = beta - e_i, and 1/(beta - e_i)! = beta_i / beta!"
    )
    for size in proof.each("number of variables", (2, 1, 3)):
        beta = symbols(f"beta1:{size + 1}")
        order = sum(beta) - 1
        below = sum((factorial(k) * b / product_of_factorials for b in beta), sympy.Integer(0))
        proof.equal(
            "k = |beta| - 1: the coefficients k!/(beta - e_i)! add up to (k + 1)!/beta!, with beta! written c",
            below.subs(k, order),
            ((k + 1) * factorial(k) / product_of_factorials).subs(k, order),
        )
        point, root, h = symbols(f"x:{size}"), symbols(f"r:{size}"), symbols(f"h:{size}")
        f = polynomial(point)
        line = tuple(ri + T * hi for ri, hi in zip(root, h, strict=True))
        proof.equal(
            "for example the third derivative of phi, for polynomials f",
            sympy.diff(f.subs(dict(zip(point, line, strict=True)), simultaneous=True), T, 3),
            sympy.Add(
                *(6 * power(h, a) / _factorial(a) * derivative(f, point, a, line) for a in indices(size, 3)),
            ),
        )
    proof.say(
        "So the theorem says, since k/alpha! = (1/(k-1)!) (k!/alpha!): phi(1) = sum_{i <= k} phi_i(0)/i! + g_k, with "
        "g_k = int_0^1 q_{k-1}(t) [phi_k(t) - phi_k(0)] dt and q_j(t) = (1-t)^j / j!"
    )


def _induction(proof: Derivation) -> None:
    """Over k, for an unknown function phi of t."""
    proof.part("induction")
    phi, phi_k = Function("phi"), Function("phi_k")
    start = sympy.Symbol("phi_1(0)")
    whole = phi(T) - T * start
    proof.equal(
        "Base k = 1: phi(t) - t phi_1(0) has as its derivative the integrand of g_1",
        sympy.diff(whole, T),
        phi(T).diff(T) - start,
    )
    proof.equal("so phi(0) + phi_1(0) + g_1 is phi(1)", phi(0) + start + (whole.subs(T, 1) - whole.subs(T, 0)), phi(1))
    k = sympy.Symbol("k", positive=True, integer=True)
    now, following = sympy.Symbol("phi_k(0)"), sympy.Symbol("phi_k+1(0)")
    q = (1 - T) ** k / factorial(k)
    below, above = k * q / (1 - T), (1 - T) * q / (k + 1)
    proof.say("Step from k to k + 1, for f of class C^(k+1): let E = -q_k (phi_k(t) - phi_k(0)) - q_{k+1} phi_{k+1}(0)")
    proof.equal(
        "the derivative of q_k is -q_{k-1}, and that of q_{k+1} is -q_k", [q.diff(T), above.diff(T)], [-below, -q]
    )
    primitive = -q * (phi_k(T) - now) - above * following
    proof.equal(
        "so E has as its derivative the integrand of g_k less that of g_{k+1}",
        sympy.diff(primitive, T),
        below * (phi_k(T) - now) - q * (phi_k(T).diff(T) - following),
    )
    proof.equal(
        "and E(1) - E(0) = g_k - g_{k+1} is the next term, phi_{k+1}(0)/(k+1)!",
        primitive.subs(T, 1) - primitive.subs(T, 0).subs(phi_k(0), now),
        following / ((k + 1) * factorial(k)),
    )


def _factorial(alpha: tuple[int, ...]) -> sympy.Expr:
    return sympy.Mul(*(factorial(k) for k in alpha))


if __name__ == "__main__":
    main()
