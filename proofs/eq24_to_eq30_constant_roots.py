"""Equations 24 to 30: the proof of Proposition 2 in Appendix A.1, line by line."""

from __future__ import annotations

import sympy

from machinery import Derivation, main, statement
from machinery.definition3 import (
    Function,
    Layer,
    Vector,
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
    unit,
    vector,
)

DEPTH_3 = [(2, 3, 2, 2), (3, 2, 2, 1), (2, 1, 3, 2)]
"""Widths of the networks, n = 3 and l = 1; Proposition 2's induction carries them to all n."""
PLACE = "Appendix A.1, equation"
NUMBER = "it is the entry dF_l/da_l[k] of a gradient, a number, where the left side, grad R^l_[k], is a vector"
SCOPE = "all weights, biases, patterns and constant roots that depend on the neuron, n = 3, three shapes, every k; for "
SCOPE += "all n by the induction under prop2; the counterexample is one linear neuron with two inputs"


class Chain:
    """A network of symbols with constant roots: R^l and the sums that the appendix handles."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.layers: list[Layer] = network(*sizes)
        self.a: Vector = vector("a", sizes[0])
        self.functions: list[Function] = definition3(
            self.layers, [constant_roots(l, d) for l, d in enumerate(sizes[:-1], start=1)]
        )

    def summed(self, l: int) -> sympy.Matrix:
        """sum_j grad R^l_[j] at a_l, a column; the entries of R^l are affine on the pattern."""
        width = self.layers[l - 1].width if l <= len(self.layers) else self.layers[-1].size
        h = vector("h", width)
        here = composed(self.layers[: l - 1], self.a)
        return put(slopes(self.functions[l - 1](h), h), h, here).T * column([1] * width)

    def jacobian(self, l: int) -> sympy.Matrix:
        """df_l/da_l."""
        return self.layers[l - 1].jacobian

    def gradient(self, k: int) -> sympy.Matrix:
        """grad R^1_[k], by differentiating Definition 3."""
        return gradient(self.functions[0](self.a)[k], self.a)


def equation_24(case: Chain, k: int) -> sympy.Expr:
    """sum_j df_l/da_l[k] . dR^{l+1}_[j]/df_l."""
    h = vector("h", case.layers[0].size)
    rows = put(slopes(case.functions[1](h), h), h, case.layers[0](case.a))
    return sympy.Add(*(case.jacobian(1).col(k).dot(rows.row(j)) for j in range(rows.rows)))


def equation_25(case: Chain, k: int) -> sympy.Expr:
    """df_l/da_l[k] . sum_j dR^{l+1}_[j]/df_l."""
    return case.jacobian(1).col(k).dot(case.summed(2))


def equation_26(case: Chain, k: int) -> sympy.Expr:
    """The same with sum_j dR^{l+1}_[j]/df_l put together from e_j (df_{l+1}/da_{l+1}[j] . sum_i "
    "dR^{l+2}_[i]/df_{l+1})."""
    total = sympy.zeros(case.layers[1].width, 1)
    for j in range(case.layers[1].width):
        total += unit(case.layers[1].width, j) * case.jacobian(2).col(j).dot(case.summed(3))
    return case.jacobian(1).col(k).dot(total)


def equation_27(case: Chain, k: int) -> sympy.Expr:
    """df_l/da_l[k] . df_{l+1}/da_{l+1} . sum_i dR^{l+2}_[i]/df_{l+1}."""
    return case.jacobian(1).col(k).dot(case.jacobian(2).T * case.summed(3))


def equation_28(case: Chain, k: int) -> sympy.Expr:
    """df_l/da_l[k] ... df_{n-1}/da_{n-1} . df_n/da_n . sum_i dR^{n+1}_[i]/df_n."""
    return case.jacobian(1).col(k).dot(case.jacobian(2).T * case.jacobian(3).T * case.summed(4))


def equation_29(case: Chain, k: int) -> sympy.Expr:
    """df_l/da_l[k] ... df_n/da_n . e_xi."""
    size = case.layers[-1].size
    return case.jacobian(1).col(k).dot(case.jacobian(2).T * case.jacobian(3).T * unit(size, 0))


def a_number(proof: Derivation) -> None:
    """The left side of equations 24 to 29 is a vector, the right side a number."""
    single, a = network(2, 1)[0], vector("a", 2)
    relevance = recursive_step(base_case(1), single, one_root(1, 2))(a)
    proof.ill_typed(
        "n = l = 1 with two inputs: grad R^1_[1] less its printed value J_1's column 1 times e_xi",
        "(2, 1) + (1, 1)",
        lambda: gradient(relevance[0], a) - single.jacobian.col(0).T * unit(1, 0),
        lambda: gradient(relevance[0], a) - unit(2, 0) * (single.jacobian.col(0).T * unit(1, 0)),
    )


def line(proof: Derivation, text: str, now, before=None) -> None:
    """One line of the appendix: equal to the line before, and e_k times it is the gradient."""
    a_number(proof)
    for sizes in proof.each("widths", DEPTH_3):
        case = Chain(sizes)
        for k in proof.each("k", range(sizes[0])):
            value = now(case, k)
            if before is not None:
                proof.equal("this line is equal to the line before it", value, before(case, k))
            proof.equal(f"grad R^l_[k] = e_k ({text})", case.gradient(k), unit(sizes[0], k) * value)


@statement(
    "eq24",
    "constant roots in equation 23",
    place=f"{PLACE} 24",
    printed="dR^l_[k]/da_l = sum_j df_l/da_l[k] . dR^{l+1}_[j]/df_l",
    verdict="corrected",
    reason=NUMBER,
    corrected="e_k times it",
    scope=SCOPE,
)
def eq24(proof: Derivation) -> None:
    line(proof, "sum_j df_l/da_l[k] . dR^{l+1}_[j]/df_l", equation_24)


@statement(
    "eq25",
    "the sum over the neurons drawn in",
    place=f"{PLACE} 25",
    printed="= df_l/da_l[k] . sum_j dR^{l+1}_[j]/df_l",
    verdict="corrected",
    reason="it follows from eq. 24, and like it needs the factor e_k",
    corrected="e_k times it",
    scope=SCOPE,
)
def eq25(proof: Derivation) -> None:
    line(proof, "df_l/da_l[k] . sum_j dR^{l+1}_[j]/df_l", equation_25, equation_24)


@statement(
    "eq26",
    "the next layer put in",
    place=f"{PLACE} 26",
    printed="= df_l/da_l[k] . sum_j df_{l+1}/da_{l+1}[j] . sum_i dR^{l+2}_[i]/df_{l+1}",
    verdict="corrected",
    reason="without e_j the sum over j adds up numbers, which a column of df_l/da_l cannot be multiplied with to a "
    "number",
    corrected="e_k (df_l/da_l[k] . sum_j e_j (df_{l+1}/da_{l+1}[j] . sum_i dR^{l+2}_[i]/df_{l+1}))",
    scope=SCOPE,
)
def eq26(proof: Derivation) -> None:
    case = Chain((2, 3, 2, 2))
    summed = sympy.Add(*(case.jacobian(2).col(j).dot(case.summed(3)) for j in range(3)))
    proof.ill_typed(
        "df_l/da_l[k] (3 entries) as a row, times the printed sum over j of numbers",
        "(1, 3) * (1, 1)",
        lambda: case.jacobian(1).col(0).T * sympy.Matrix([[summed]]),
        lambda: case.jacobian(1).col(0).T * (case.jacobian(2).T * case.summed(3)),
    )
    line(proof, "df_l/da_l[k] . sum_j e_j (df_{l+1}/da_{l+1}[j] . sum_i ...)", equation_26, equation_25)


@statement(
    "eq27",
    "the columns as a Jacobian",
    place=f"{PLACE} 27",
    printed="= df_l/da_l[k] . df_{l+1}/da_{l+1} . sum_i dR^{l+2}_[i]/df_{l+1}",
    verdict="corrected",
    reason="right for the sum in eq. 26 with e_j; it needs the factor e_k as eq. 24 does",
    corrected="e_k times it",
    scope=SCOPE,
)
def eq27(proof: Derivation) -> None:
    line(proof, "df_l/da_l[k] . df_{l+1}/da_{l+1} . sum_i dR^{l+2}_[i]/df_{l+1}", equation_27, equation_26)


@statement(
    "eq28",
    "down to the output",
    place=f"{PLACE} 28",
    printed="= df_l/da_l[k] . df_{l+1}/da_{l+1} ... df_{n-1}^n/da_{n-1} . sum_i "
    "dR^{n+1}_[i](f_n^{n+1}(a_n))/df_n^{n+1}(a_n)",
    verdict="corrected",
    reason="df_n/da_n is missing before the last sum (eq. 29 has it), f_n^{n+1} is not defined, and e_k is missing",
    corrected="e_k (df_l/da_l[k] ... df_{n-1}/da_{n-1} . df_n/da_n . sum_i dR^{n+1}_[i](f_n(a_n))/df_n(a_n))",
    scope=SCOPE,
)
def eq28(proof: Derivation) -> None:
    case = Chain((2, 3, 2, 1))
    proof.ill_typed(
        "widths 2, 3, 2, 1: df_2/da_2 (as d_2 x d_3) times a vector of d_4 entries",
        "(3, 2) * (1, 1)",
        lambda: case.jacobian(2).T * case.summed(4),
        lambda: case.jacobian(2).T * case.jacobian(3).T * case.summed(4),
    )
    line(proof, "df_l/da_l[k] ... df_n/da_n . sum_i dR^{n+1}_[i]/df_n", equation_28, equation_27)


@statement(
    "eq29",
    "the base case put in",
    place=f"{PLACE} 29",
    printed="= df_l/da_l[k] . df_{l+1}/da_{l+1} ... df_n/da_n . e_xi",
    verdict="corrected",
    reason=f"e_xi is right (and shows that eq. 6 means a_xi e_xi), but {NUMBER}",
    corrected="e_k times it",
    scope=SCOPE,
)
def eq29(proof: Derivation) -> None:
    for size in proof.each("number of outputs", (1, 3)):
        h = vector("h", size)
        summed = slopes(base_case(size)(h), h).T * column([1] * size)
        proof.equal("sum_i dR^{n+1}_[i]/da_{n+1} = e_xi", summed, unit(size, 0))
    line(proof, "df_l/da_l[k] ... df_n/da_n . e_xi", equation_29, equation_28)


@statement(
    "eq30",
    "a gradient of the network",
    place=f"{PLACE} 30",
    printed="dR^l_[k]/da_l = grad f_{l[xi]}(a_l)",
    verdict="corrected",
    reason="each R^l_[k] has only entry k of that gradient: for f = x1 + x2 and R_1 gives (1, 1) for (1, 0); and f_l "
    "stands for f_n o ... o f_l",
    corrected="grad R^l_[k] = (dF_l/da_l[k]) e_k and sum_k grad R^l_[k] = grad F_l(a_l), F_l = (f_n o ... o f_l)_xi",
    scope=SCOPE,
)
def eq30(proof: Derivation) -> None:
    a = vector("a", 2)
    plain = Layer(sympy.Matrix([[1, 1]]), (sympy.Integer(0),), (sympy.Integer(1),))
    relevance = recursive_step(base_case(1), plain, one_root(1, 2))(a)
    proof.counterexample(
        "f = a1 + a2: grad f, and grad R_1", sympy.Matrix([1, 1]), gradient(relevance[0], a), values=((1, 1), (1, 0))
    )
    for sizes in proof.each("widths", DEPTH_3):
        case = Chain(sizes)
        whole = gradient(composed(case.layers, case.a)[0], case.a)
        for k in proof.each("k", range(sizes[0])):
            proof.equal("equation 29 is entry k of grad F_l", equation_29(case, k), whole[k])
            proof.equal("grad R^l_[k] = (dF_l/da_l[k]) e_k", case.gradient(k), unit(sizes[0], k) * whole[k])
        proof.equal("sum_k grad R^l_[k] = grad F_l", case.summed(1), whole)


if __name__ == "__main__":
    main()
