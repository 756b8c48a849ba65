"""Definition 3 on symbols, one layer at a time, as it is written: differentiate R^{l+1}_j o f_l, put the root in."""

from __future__ import annotations

from collections.abc import Sequence

import sympy
from sympy import Matrix

from machinery.derivation import Derivation
from machinery.regions import gradient, put


def taylor_step(above: Matrix, outputs: Matrix, layer: Matrix, inputs: Matrix, roots: Sequence[Matrix]) -> Matrix:
    """R^l (d_l, 1) = sum_j grad(R^{l+1}_j o f_l) at root j o (a - root j), in the symbols `inputs` of a_l.

    above: R^{l+1} in the symbols `outputs` of a_{l+1}; layer: f_l in `inputs`, masks resolved; roots: one for each j,
    in `inputs`."""
    total = sympy.zeros(inputs.rows, 1)
    for relevance, root in zip(above, roots, strict=True):
        composed = put(sympy.sympify(relevance), outputs, layer)
        total += put(gradient(composed, inputs), inputs, root).multiply_elementwise(inputs - root)
    return total


def unit(size: int, place: int) -> Matrix:
    """The unit vector e_k (size, 1), k from 0."""
    return Matrix(size, 1, lambda i, _: int(i == place))


def affine(name: str, inputs: Matrix) -> sympy.Expr:
    """An affine form of the inputs, with symbols name1, name2, ... and name0."""
    slopes = [sympy.Symbol(f"{name}{i}") for i in range(1, inputs.rows + 1)]
    return sum((s * a for s, a in zip(slopes, inputs, strict=True)), sympy.Symbol(f"{name}0"))


def not_all_covered(proof: Derivation) -> None:
    """Finitely many hyperplanes do not cover the space: some M is on none of them."""
    proof.say(
        "A polynomial p of degree <= d that is not 0 has at most d zeros: if it had d + 1, t_0, ..., t_d, its "
        "coefficients would solve the Vandermonde system V c = 0, whose determinant is not 0. So m such polynomials "
        "have at most m d zeros, and of more numbers one is a zero of none."
    )
    for degree in proof.each("degree", (1, 2, 3)):
        t = sympy.symbols(f"t:{degree + 1}")
        vandermonde = Matrix(degree + 1, degree + 1, lambda i, k, t=t: t[i] ** k)
        differences = sympy.Mul(*(t[k] - t[i] for k in range(degree + 1) for i in range(k)))
        proof.equal("det V = prod of the differences", vandermonde.det(method="berkowitz"), differences)
