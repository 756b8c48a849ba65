"""Equation 31: the relevance of the input, where Proposition 2's R(x~) comes from."""

from __future__ import annotations

from fractions import Fraction

import sympy

from dtdsym import constant_root, recursion
from dtdsym.network.network import sequential
from machinery import Derivation, main, statement
from machinery.definition3 import (
    base_case,
    column,
    composed,
    constant_roots,
    definition3,
    gradient,
    network,
    one_root,
    put,
    recursive_step,
    slopes,
    vector,
)


@statement(
    "eq31",
    "the relevance of the input",
    place="Appendix A.1, equation 31",
    printed="R(x) = R(x~(x)) + dR(x)/dx |_{x = x~(x)} o (x - x~) = R(x~(x)) + grad f_{l[xi]}(x) o (x - x~(x))",
    verdict="corrected",
    reason="dR/dx is a Jacobian, so its product with x - x~ is a matrix product; the gradient enters through eq. 8, "
    "where there is no R(x~)",
    corrected="R(x) = grad f_xi(x) o (x - x~), one root x~ for all neurons of layer 1. For a constant x~, the matrix "
    "product (dR/dx)(x - x~) is all of R(x), and R is 0 at x~",
    scope="all weights, biases, patterns and constant roots, four shapes, n = 1, 2, 3; the counterexample is one "
    "neuron",
)
def eq31(proof: Derivation) -> None:
    single, a = network(2, 1)[0], vector("a", 2)
    relevance = recursive_step(base_case(1), single, one_root(1, 2))(a)
    step = column(a) - column(vector("c1_", 2))
    proof.ill_typed(
        "two inputs: the Jacobian dR/dx multiplied entry by entry with x - x~",
        "(2, 2) != (2, 1)",
        lambda: slopes(relevance, a).multiply_elementwise(step),
        lambda: slopes(relevance, a) * step,
    )
    proof.say(
        "R(x~) is no summand: f = [x]+, x = 1, root 1/2 near 1 and root 1/4 near 1/2, locally constant and admissible "
        "(eq. 16): R(1/2) + 1 (1 - 1/2), and R(1)."
    )
    one = sequential(([[1]], [0]))

    def explained(pair: tuple[Fraction, Fraction]) -> Fraction:
        return recursion(one, (pair[0],), [constant_root([pair[1]])])[0]

    half, quarter = Fraction(1, 2), Fraction(1, 4)
    proof.found("R(1/2), by dtdsym", explained, (half, quarter), quarter, unlike=(half, Fraction(1, 8)))
    proof.found("R(1), by dtdsym", explained, (Fraction(1), half), half, unlike=(Fraction(1), quarter))
    proof.counterexample(
        "as printed, and R(1)", sympy.Rational(1, 4) + sympy.Rational(1, 2), sympy.Rational(1, 2), values=("3/4", "1/2")
    )
    for sizes in proof.each("widths", [(2, 1), (2, 3, 1), (3, 2, 2), (2, 2, 2, 1)]):
        layers, x = network(*sizes), vector("x", sizes[0])
        roots = [one_root(1, sizes[0]), *(constant_roots(l, d) for l, d in enumerate(sizes[1:-1], start=2))]
        values, root = definition3(layers, roots)[0](x), vector("c1_", sizes[0])
        step = column(x) - column(root)
        slope = gradient(composed(layers, x)[0], x)
        proof.equal("dR/dx = diag(grad f_xi)", slopes(values, x), sympy.diag(*slope))
        proof.equal(
            "(dR/dx)(x - x~) = grad f_xi o (x - x~)", slopes(values, x) * step, slope.multiply_elementwise(step)
        )
        proof.equal("and that is R(x)", column(values), slope.multiply_elementwise(step))
        proof.equal("the same formula is 0 at x = x~", put(values, x, root), (sympy.Integer(0),) * sizes[0])


if __name__ == "__main__":
    main()
