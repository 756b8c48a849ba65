"""The z+ rule: its root, when that is non-negative, and what it passes down."""

from __future__ import annotations

import z3

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import dot, minus, network, patterns, reals, relu, scaled, times, vector, written


@statement(
    "rule_zplus",
    "the z+ rule and its non-negative root",
    place="Section 3.4, second rule; Section 3.4.1",
    printed="a direction that always yields a positive root: v_j = 1_{w_j>=0} x; root x~ = x - (w_j 1_{w_j>=0} x / "
    "(w_j.(1_{w_j>=0} x))) R^h_j(x); R^x = sum_{j=1}^d (z_j^+ / sum_i z_i^+) R^h_j(x), z_j^+ = 1_{w_j>=0} x o w_j^+; "
    "the z+ rule will always return positive relevance values",
    verdict="corrected",
    reason="the printed root carries a stray factor w_j: w = (2, 1), b = 0, x = (1, 1) gives (-1, 0) for (0, 0); "
    "without it the root is >= 0 for every x >= 0 iff b_j <= 0, and never 'always positive'",
    corrected="x~(j) = x - ((w_j.x + b_j)/(w_j.v_j)) v_j, v_j = 1_{w_j>=0} o x; for x >= 0 it is >= 0 iff b_j <= "
    "sum_{w_ji<0} |w_ji| x_i; relevance is >= 0 for x >= 0 and R_j >= 0; Algorithm 2's root can be negative",
    scope="identities for every sign pattern of w with 2 and 3 inputs; order by Z3 with 2 inputs, all reals",
    parts=("order",),
)
def rule_zplus(proof: Derivation) -> None:
    w, x, (b,) = vector("w", 2), vector("x", 2), vector("b", 1)
    v, numbers = x, dict(zip((*w, *x), (2, 1, 1, 1), strict=True))
    share = (dot(w, x) + b) / dot(w, v)
    proof.counterexample(
        "w = (2, 1) >= 0, so v = x, b = 0, x = (1, 1): the printed root, and the root on the hinge (the same for w = "
        "(1, 1))",
        minus(x, scaled(share, times(w, v))),
        minus(x, scaled(share, v)),
        numbers | {b: 0},
        values=((-1, 0), (0, 0)),
        agrees_at=numbers | {w[0]: 1, b: 3},
    )
    (b,) = vector("b", 1)
    for d in proof.each("number of inputs", (2, 3)):
        w, x = vector("w", d), vector("x", d)
        for positive in proof.each("pattern 1_{w>=0}", [p for p in patterns(d) if any(p)]):
            v, upper = times(positive, x), times(positive, w)
            z = dot(w, x) + b
            root = minus(x, scaled(z / dot(w, v), v))
            proof.equal("w.v = sum_i z_i^+", dot(w, v), dot(upper, x))
            proof.equal("the root without the stray factor is on the hinge", dot(w, root) + b, 0)
            lower = minus(w, upper)
            factor = -(dot(lower, x) + b) / dot(upper, x)
            shrunk = [xi * (factor if p else 1) for xi, p in zip(x, positive, strict=True)]
            proof.equal("it is x_i where w_i < 0, else x_i (-w^-.x - b)/(w^+.x), w^- = w - w^+", root, shrunk)
            passed = scaled(1 / dot(w, v), times(w, v))
            shares = scaled(1 / dot(upper, x), times(upper, x))
            proof.equal("the share of input i is z_i^+ / sum z^+", passed, shares)
            proof.equal("and the shares add up to 1", sum(shares), 1)
    _order(proof)
    proof.say("[2 [x]] at x = 1: R_1 = 2 arrives at the first layer, and Algorithm 2's root is x - 2 x.")
    doubled = network(([[1]], [0]), ([[2]], [0]))
    proof.found(
        "dtdsym.roots of the z+ rule: the relevance root is negative, the hinge root is 0",
        lambda kind: written(dtdsym.roots(doubled, (1,), "zplus", root=kind)[0]),
        "relevance",
        "(-1)",
        unlike="hinge",
    )


def _order(proof: Derivation) -> None:
    """What is non-negative, and when; the common factor w.v > 0 is multiplied out."""
    proof.part("order")
    w, x, (b,) = reals("w", 2), reals("x", 2), reals("b", 1)
    v = [z3.If(wi >= 0, xi, 0) for wi, xi in zip(w, x, strict=True)]
    along, z = dot(w, v), dot(w, x) + b
    positive_root = z3.And(*(xi * along - z * vi >= 0 for xi, vi in zip(x, v, strict=True)))
    domain = [xi >= 0 for xi in x]
    against = sum(relu(-wi) * xi for wi, xi in zip(w, x, strict=True))
    proof.say("Order, for 2 inputs, multiplied by w.v > 0 (where w.v = 0 there is no root).")
    proof.valid("x~ >= 0 iff b <= sum_{w_i<0} |w_i| x_i", positive_root == (b <= against), given=[*domain, along > 0])
    proof.valid("so b <= 0 suffices", positive_root, given=[*domain, b <= 0])
    u, c = z3.Reals("w1 b")
    proof.valid(
        "and is necessary for all x >= 0: b > 0, w1 > 0, x = (1, 0) has the root's first coordinate -b/w1 < 0",
        1 - (u + c) / u < 0,
        given=[u > 0, c > 0],
    )
    proof.satisfiable(
        "x >= 0 is needed as well: an active neuron with b <= 0 and a root that is not >= 0",
        [b <= 0, z > 0, along > 0, z3.Not(positive_root)],
        [*w, *x, b],
    )
    proof.valid("x >= 0 and b <= 0: an active neuron always has a root", along > 0, given=[*domain, b <= 0, z > 0])
    (r,) = reals("R", 1)
    proof.valid(
        "what is passed down, w_i v_i R/(w.v), is >= 0",
        z3.Implies(along > 0, z3.And(*(wi * vi * r / along >= 0 for wi, vi in zip(w, v, strict=True)))),
        given=[*domain, r >= 0],
    )
    proof.satisfiable(
        "but not positive: an input >= 0 of an active neuron that receives 0",
        [domain[0], z > 0, along > 0, w[0] * v[0] == 0],
        [*w, *x, b],
    )


if __name__ == "__main__":
    main()
