"""Two directions that the paper does not name: the input itself (gamma = 0, footnote 2), and 1/w (the Flat rule)."""

from __future__ import annotations

import sympy
import z3

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import dot, minus, network, patterns, reals, scaled, times, vector, written


@statement(
    "rule_x",
    "the direction x: gamma = 0",
    place="Section 4.3, footnote 2",
    printed="for gamma = 0 the root point is given by x~ = x - (x/(w^T x)) R^l(x), which can become negative for large "
    "relevance values R^l(x)",
    verdict="true",
    reason="with one neuron's relevance R_j for R^l(x): for x > 0 and w.x > 0 the root is negative iff R_j > w.x; on "
    "the hinge (R_j = w.x + b_j) iff b_j > 0, and without a bias it is 0",
    scope="all w, b, R and x (w.x != 0) of 2 and 3 inputs; order by Z3 with 2 inputs",
)
def rule_x(proof: Derivation) -> None:
    for d in proof.each("number of inputs", (2, 3)):
        w, x, (b,), (r,) = vector("w", d), vector("x", d), vector("b", 1), vector("R", 1)
        along, z = dot(w, x), dot(w, x) + b
        proof.equal("v = x: the root is x (1 - R/(w.x))", minus(x, scaled(r / along, x)), scaled(1 - r / along, x))
        hinge = minus(x, scaled(z / along, x))
        proof.equal("R = w.x + b leads to the hinge", dot(w, hinge) + b, 0)
        proof.equal("at x (-b/(w.x)), which is 0 if b = 0", hinge, scaled(-b / along, x))
        proof.equal("passed down: w o x/(w.x) R, all of R", sum(scaled(r / along, times(w, x))), r)
    w, x, (r,), (b,) = reals("w", 2), reals("x", 2), reals("R", 1), reals("b", 1)
    along, given = dot(w, x), [z3.And(*(xi > 0 for xi in x)), dot(w, x) > 0]
    negative = z3.And(*(xi * along - r * xi < 0 for xi in x))
    proof.valid(
        "x > 0, w.x > 0: all coordinates of the root are negative iff R > w.x",
        negative == (r > along),
        given=given,
        sharp=False,
    )
    on_hinge = z3.And(*(xi * along - (along + b) * xi < 0 for xi in x))
    proof.valid("on the hinge, iff b > 0", on_hinge == (b > 0), given=given, sharp=False)
    one = network(([[1, 2]], [1]), ([[1]], [0]))
    proof.found(
        "dtdsym.roots of [x1 + 2 x2 + 1] at (1, 1), gamma = 0: -(1/3) (1, 1)",
        lambda x: written(dtdsym.roots(one, x, "gamma:0")[0]),
        (1, 1),
        "(-1/3, -1/3)",
        unlike=(2, 1),
    )


@statement(
    "rule_flat",
    "the direction 1/w: the Flat rule",
    place="not printed; a direction for equation 13 that yields the Flat rule (Bach et al. 2015)",
    printed="v_j = 1/w_j where w_j != 0, else 0: R_j is passed down evenly to the inputs that reach neuron j",
    verdict="true",
    reason="w_i v_i is 1 or 0, so the shares are 1/(number of inputs with w_i != 0); the usual Flat rule, which also "
    "gives to inputs with w_i = 0, is the message of no root",
    scope="every pattern of zero weights with 2 and 3 inputs, all w, b, x",
)
def rule_flat(proof: Derivation) -> None:
    (b,) = vector("b", 1)
    for d in proof.each("number of inputs", (2, 3)):
        x, r = vector("x", d), vector("r", d)
        for reach in proof.each("pattern of w != 0", [p for p in patterns(d) if any(p)]):
            w = times(reach, vector("w", d))
            v = [1 / wi if p else 0 for wi, p in zip(w, reach, strict=True)]
            z, count = dot(w, x) + b, sum(reach)
            root = minus(x, scaled(z / dot(w, v), v))
            proof.equal("w.v counts the inputs that reach the neuron", dot(w, v), count)
            proof.equal("the root is on the hinge", dot(w, root) + b, 0)
            shares = scaled(sympy.Rational(1, count), reach)
            proof.equal("the shares are even", scaled(1 / dot(w, v), times(w, v)), shares)
            unreached = [wi * (xi - ri) for wi, xi, ri, p in zip(w, x, r, reach, strict=True) if not p]
            if unreached:
                proof.equal(
                    "an input of weight 0 gets w_i (x_i - r_i) = 0 from every root r", unreached, [0] * len(unreached)
                )
    one = network(([[2, 0, -1]], [1]), ([[1]], [0]))
    proof.found(
        "dtdsym.explain of [2 x1 - x3 + 1] at (1, 1, 1), 2 = 1 + 0 + 1",
        lambda rule: written(dtdsym.explain(one, (1, 1, 1), f"1={rule},2=zplus")),
        "flat",
        "(1, 0, 1)",
        unlike="zennit.flat",
    )


if __name__ == "__main__":
    main()
