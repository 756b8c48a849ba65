"""How far two saliency maps of one input can be apart under rules that propagate by non-negative matrices."""

from __future__ import annotations

from typing import Any

import sympy
import z3

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import dot, minus, network, put, reals, relu, rows, vector, written

CHAINS = ((2, 3, 2), (3, 2, 4))
"""Widths of M_1 and M_2: d_1 x d_2 and d_2 x d_3."""


def matrix(name: str, height: int, width: int) -> sympy.Matrix:
    """A matrix of symbols."""
    return sympy.Matrix(rows(name, height, width))


def rescaled(one: sympy.Matrix, below: sympy.Matrix, above: sympy.Matrix) -> sympy.Matrix:
    """diag(below) M diag(1/above)."""
    return sympy.diag(*below) * one * sympy.diag(*(1 / entry for entry in above))


@statement(
    "class_insensitivity",
    "how far saliency maps can differ when the class or the upper layers change",
    place="Sections 1 and 6 (after Sixt et al. 2020), made exact",
    printed="the positive matrices produced by the z+-rule will converge to a rank-1 matrix [...] the explanation does "
    "not change when explaining a different class or the parameters of the deeper layers is changed",
    verdict="corrected",
    reason="the maps can differ, by at most 2 tau(N), and tau > 0 unless N has rank 1: W = I, b = 0 keeps any "
    "difference. For the plain product M of the matrices even that bound is false, as columns may lose mass",
    corrected="with s_1 = 1, s_{l+1} = s_l M_l (neurons with s = 0 dropped), N_l = diag(s_l) M_l diag(1/s_{l+1}) and N "
    "= N_1 ... N_{k-1}: N is column-stochastic, normalised maps are N p with p >= 0, sum p = 1, and differ in L1 by at "
    "most 2 tau(N) = max |N e_i - N e_j|_1, with tau(N) <= prod tau(N_l)",
    scope="two layers of widths 2, 3, 2 and 3, 2, 4, all non-negative matrices and s > 0, the step of an induction "
    "over layers; means of 2, 3 and 4 columns, one more as before; order by Z3; z+ columns of 2 and 3 inputs",
    parts=("plain_product", "rescaling", "bound", "differing"),
)
def class_insensitivity(proof: Derivation) -> None:
    _plain_product(proof)
    _rescaling(proof)
    _bound(proof)
    _differing(proof)


def _plain_product(proof: Derivation) -> None:
    proof.part("plain_product")
    proof.say(
        "x = (1, 1), W_1 = ((-1, -1), (1, 0), (0, 1)), b_1 = (3, 0, 0), so a_2 = (1, 1, 1); W_2 = ((1 - e, e, 0), (1 - "
        "e, 0, e)), e = 1/128. The first neuron has no positive weight: z+ loses what arrives there."
    )
    e = sympy.Rational(1, 128)
    first = sympy.Matrix([[0, 1, 0], [0, 0, 1]])
    second = sympy.Matrix([[1 - e, 1 - e], [e, 0], [0, e]])
    columns = [(first * second).col(k) for k in range(2)]
    proof.counterexample(
        "2 tau(M_1 M_2), the distance of its columns, and the distance of the maps of the two logits, normalised",
        _distance(*columns),
        _distance(*(column / sum(column) for column in columns)),
        values=("1/64", 2),
    )
    n1 = rescaled(first[:, 1:], sympy.ones(1, 2), sympy.ones(1, 2))
    n2 = rescaled(second[1:, :], sympy.ones(1, 2), sympy.Matrix([[e, e]]))
    proof.equal("rescaled, with the lost neuron dropped, N_1 N_2 = I and 2 tau(N) = 2", n1 * n2, sympy.eye(2))
    one = network(([[-1, -1], [1, 0], [0, 1]], [3, 0, 0]), ([[127 / 128, 1 / 128, 0], [127 / 128, 0, 1 / 128]], [0, 0]))
    proof.found(
        "dtdsym.explain of the first logit by z+: all of it is the first input's",
        lambda logit: written(dtdsym.explain(one, (1, 1), "zplus", logit=logit)),
        0,
        "(1/128, 0)",
        unlike=1,
    )


def _distance(left: sympy.Matrix, right: sympy.Matrix) -> Any:
    return sum(abs(entry) for entry in left - right)


def _rescaling(proof: Derivation) -> None:
    proof.part("rescaling")
    proof.say("z+ on x >= 0 passes by a matrix M with columns M_ij = z_ij^+/sum_i z_ij^+, which add up to 1:")
    for d in proof.each("number of inputs", (2, 3)):
        upper, x = vector("u", d), vector("x", d)
        proof.equal("a column (u = w^+)", sum(u * xi / dot(upper, x) for u, xi in zip(upper, x, strict=True)), 1)
    for widths in proof.each("widths", CHAINS):
        m1, m2 = matrix("m", widths[0], widths[1]), matrix("n", widths[1], widths[2])
        s1, s2, s3 = (sympy.Matrix(1, size, vector(name, size)) for name, size in zip("stu", widths, strict=True))
        ones = sympy.ones(1, max(widths))
        own = rescaled(m1, s1, s1 * m1)
        proof.equal("N_l's columns add up to 1, whatever s_l is", ones[:, : widths[0]] * own, ones[:, : widths[1]])
        proof.equal(
            "N_1 N_2 = diag(s_1) M_1 M_2 diag(1/s_3), whatever s_2, s_3 are; for s_1 = 1 the columns are normalised",
            rescaled(m1, s1, s2) * rescaled(m2, s2, s3),
            rescaled(m1 * m2, s1, s3),
        )
        r = sympy.Matrix(vector("r", widths[2]))
        total = sympy.Symbol("T")
        weights = sympy.Matrix([u * rk / total for u, rk in zip(s3, r, strict=True)])
        proof.equal(
            "the map M_1 M_2 r over its sum T = s_3.r is N p, p = s_3 o r/T, which adds up to 1",
            m1 * m2 * r / total,
            rescaled(m1 * m2, sympy.ones(1, widths[0]), s3) * weights,
        )
    s, r, t = z3.Reals("s r t")
    proof.valid("and p >= 0 where the relevance r >= 0", s * r / t >= 0, given=[s >= 0, r >= 0, t > 0])


def _bound(proof: Derivation) -> None:
    proof.part("bound")
    proof.say("So two maps are N p and N q. Their difference is a mean of differences of columns N e_i - N e_j:")
    for k in proof.each("number of columns", (2, 3, 4)):
        row, p, q = vector("n", k), vector("p", k), vector("q", k)
        pairs = [(i, j) for i in range(k) for j in range(k)]
        ends, rests = (p[-1], q[-1]), (1 - sum(p[:-1]), 1 - sum(q[:-1]))
        mean = sum(p[i] * q[j] * (row[i] - row[j]) for i, j in pairs)
        proof.equal(
            "one entry: n.p - n.q = sum_ij p_i q_j (n_i - n_j), where sum p = sum q = 1",
            put(dot(row, p) - dot(row, q), ends, rests),
            put(mean, ends, rests),
        )
        proof.equal("the weights p_i q_j add up to 1", put(sum(p[i] * q[j] for i, j in pairs), ends, rests), 1)
    (a, b), (u, v) = reals("a", 2), reals("w", 2)
    proof.valid(
        "and |w1 a1 + w2 a2| <= w1 |a1| + w2 |a2|, entry by entry: the mean's norm is at most the largest, 2 tau(N)",
        _norm([u * a + v * b]) <= u * _norm([a]) + v * _norm([b]),
        given=[u >= 0, v >= 0],
    )
    proof.say("It is attained, by p = e_i and q = e_j of the farthest columns.")
    u, v = reals("u", 3), reals("v", 3)
    gap = minus(u, v)
    above, below = sum(relu(g) for g in gap), sum(relu(-g) for g in gap)
    proof.valid(
        "tau(N_1 N_2) <= tau(N_1) tau(N_2): a difference of sum 0 has positive and negative parts of one sum t, half "
        "its norm",
        z3.And(above == below, 2 * above == _norm(gap)),
        given=[sum(u) == sum(v)],
    )
    proof.say(
        "For columns u, v of N_2, t <= tau(N_2), and u - v = t (p - q) with p, q >= 0 of sum 1; so N_1 (u - v) = t "
        "(N_1 p - N_1 q) has norm at most 2 tau(N_1) tau(N_2)."
    )


def _norm(entries: Any) -> Any:
    return sum(relu(entry) + relu(-entry) for entry in entries)


def _differing(proof: Derivation) -> None:
    proof.part("differing")
    proof.say("The maps do differ where tau > 0: W_1 = I, b = 0, x = (1, 1), logits [a_1] and [a_2].")
    one = network(([[1, 0], [0, 1]], [0, 0]), ([[1, 0], [0, 1]], [0, 0]))
    proof.found(
        "dtdsym.explain by z+ of the first logit, against the second",
        lambda logit: written(dtdsym.explain(one, (1, 1), "zplus", logit=logit)),
        0,
        "(1, 0)",
        unlike=1,
    )


if __name__ == "__main__":
    main()
