"""Forged roots are admissible: that they exist, and why each lies where the gradient is that of its input."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import sympy
import z3
from sympy import Matrix

from dtdsym import forge
from dtdsym.network.network import sequential
from machinery.derivation import Derivation
from machinery.forging import not_all_covered, taylor_step, unit
from machinery.regions import column, network, only, put

SUM = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))
"""f = [[x1] + [x2]]."""
ONES = (Fraction(1), Fraction(1))


def existence(proof: Derivation) -> None:
    """M as the construction asks for it."""
    proof.part("existence")
    not_all_covered(proof)
    proof.say(
        "With M = (1, t, t^2, ...) entry i of u = J_1^T M is a polynomial in t whose coefficients are column i of J_1, "
        "not all 0 for i in I: so for some t it is 0 for no i of supp r. Scaled, M makes all r_i/u_i small:"
    )
    for wide, size in proof.each("shape of J_1", ((2, 3), (3, 2))):
        jacobian, t = Matrix(size, wide, lambda j, i: sympy.Symbol(f"J{j + 1}{i + 1}")), sympy.Symbol("t")
        entries = jacobian.T * Matrix([t**k for k in range(size)])
        found = [list(reversed(sympy.Poly(entry, t).all_coeffs())) for entry in entries]
        proof.equal("the coefficients of u_i are column i", Matrix(found).T, jacobian)
    r, u, scale, rho = z3.Reals("r u s rho")
    proof.valid(
        "|r_i/(s u_i)| <= rho_1 for s |u_i| >= |r_i|/rho_1 (s with the sign of u_i)",
        z3.And(r / (scale * u) <= rho, r / (scale * u) >= -rho),
        given=[scale * u > 0, scale * u * rho >= r, scale * u * rho >= -r],
    )


def at_the_top(proof: Derivation) -> None:
    """The root of layer n, which need not be near."""
    proof.part("top")
    proof.say(
        "Admissible, layer n: G_n = W_n[xi, k] is given, and no choice brings the root near: for f = [[x1] + [x2]], "
        "near x = (1, 1), L_2 changes by sum r between f_1(x~) and a_2, whatever M is."
    )
    x, r, m = column("x", 2), column("r", 2), column("M", 2)
    moved = x - Matrix([ri / mi for ri, mi in zip(r, m, strict=True)])
    proof.equal("L_2(x) - L_2(x - r/M)", (m.T * x)[0] - (m.T * moved)[0], sum(r))
    proof.found(
        "so for r = (1000, 0) dtdsym's top root is more than 100 away from a_2 = (1, 1), for (1/8, 0) it is not",
        lambda target: _top_distance(target) > 100,
        (1000, 0),
        True,
        unlike=(Fraction(1, 8), 0),
    )
    proof.say("It is the sign of L_n that matters. F_n is [z_n], or z_n, whose gradient is the same wherever z_n > 0.")
    for width, k in proof.each("width of layer n and k", product((2, 3), (0, -1))):
        layer, inputs = only(network((width, 1)), 1), column("a", width)
        z, form, t = layer.through(inputs)[0][0][0], sympy.Symbol("L"), sympy.Symbol("t")
        step = t * form / layer.weights[0][0, k] * unit(width, k % width)
        proof.equal(
            "on the way from a to the root, t from 0 to 1, z_n is z_n - t L_n",
            put(z, inputs, inputs - step),
            z - t * form,
        )
    z, form, t = z3.Reals("z L t")
    proof.valid("positive, like z_n at a", z - t * form > 0, given=[z > 0, form < 0, t >= 0])
    proof.say("Without a final ReLU F_n is affine everywhere, and nothing is to be shown.")


def _top_distance(target: tuple) -> Fraction:
    """How far the forged root of the last layer is from (1, 1), in the largest coordinate."""
    root = forge(SUM, ONES, target)[-1]
    return max(abs(sum(row) + c - 1) for row, c in zip(root.matrix, root.vector, strict=True))


def nearness(proof: Derivation) -> None:
    """The same patterns at all points that are met below layer n."""
    proof.part("nearness")
    proof.say(
        "Layers l < n: box U_l has radius rho_l around a_l, and on its double no pre-activation changes its sign; f_l "
        "maps the double into U_{l+1}. Layer 1 by M, as above; for 2 <= l < n with T_{l+1} so large that |L_l/G_l| <= "
        "rho_l: a root of a point of U_l lies in the double."
    )
    a, p, step, rho, form, steep, bound = z3.Reals("a p step rho L G bound")
    proof.valid(
        "each coordinate of the root is within 2 rho of a_l",
        z3.And(p - step - a <= 2 * rho, p - step - a >= -2 * rho),
        given=[p - a <= rho, p - a >= -rho, step <= rho, step >= -rho],
    )
    proof.valid(
        "if |L| <= bound on U_l, it is enough that G = T W_l[q, k] >= bound/rho (signs of T and W_l[q, k] alike)",
        z3.And(form / steep <= rho, form / steep >= -rho),
        given=[form <= bound, form >= -bound, steep > 0, steep * rho >= bound],
    )
    proof.say(
        "So below layer n every derivative of the recursion is taken where the masks are those of x. Each R^{l+1}_j o "
        "f_l is affine on an open convex set S with a_l and the root (the double; the half-space z_n > 0 at the top): "
        "so the root is admissible under Definition 1 and under Theorem 1's S, and, as F_l is affine on S, too, it "
        "lies in N_{F_l}(a_l), which is what Proposition 1 as printed asks. L_l < 0 on U_l, so no root equals its "
        "input. r = 0: M = 0 and L_2 a negative constant, whose derivatives are 0:"
    )
    for widths in proof.each("widths of f_1", ((2, 3), (3, 2))):
        x, s, y, f = column("x", widths[0]), column("s", widths[0]), column("y", widths[1]), network(widths)
        constant = sympy.Symbol("c") * unit(widths[1], 0)
        proof.equal(
            "R^2 = c e_k gives R^1 = 0, with any root x - s",
            taylor_step(constant, y, f.through(x)[1][1], x, [x - s] * widths[1]),
            sympy.zeros(widths[0], 1),
        )
