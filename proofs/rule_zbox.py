"""The z^B rule, for inputs in a box: when its root is in the box."""

from __future__ import annotations

import z3

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import dot, minus, network, patterns, reals, scaled, times, vector, written


@statement(
    "rule_zbox",
    "the z^B rule and its root in the box",
    place="Algorithm 2 (its dots); Montavon et al. 2017, rule for inputs in a box",
    printed="v_j = x - l where w_j > 0, x - h where w_j < 0, for l <= x <= h; with l <= 0 <= h and b_j <= 0 the root "
    "lies in the box; R_i = sum_j ((z_ij - l_i w_ij^+ - h_i w_ij^-)/(sum_i' z_i'j - l_i' w_i'j^+ - h_i' w_i'j^-)) R_j",
    verdict="true",
    reason="for an active neuron the root is in the box iff (w.x + b)/(w.v) <= 1, that is iff the pre-activation at "
    "the box's lowest corner is <= 0. For an inactive one it can be in the box with t < 0, too",
    scope="identities for every sign pattern of w != 0 with 2 and 3 inputs; order by Z3 with 2 inputs, each pattern, "
    "all boxes",
    parts=("order",),
)
def rule_zbox(proof: Derivation) -> None:
    (b,) = vector("b", 1)
    for d in proof.each("number of inputs", (2, 3)):
        w, x, low, high = (vector(name, d) for name in "wxlh")
        for positive in proof.each("pattern 1_{w>0}, the others < 0", patterns(d)):
            corner = [lo if p else hi for p, lo, hi in zip(positive, low, high, strict=True)]
            v, z = minus(x, corner), dot(w, x) + b
            upper = times(positive, w)
            lower = minus(w, upper)
            proof.equal("the root is on the hinge", dot(w, minus(x, scaled(z / dot(w, v), v))) + b, 0)
            parts = minus(times(w, x), [lo * u + hi * n for lo, hi, u, n in zip(low, high, upper, lower, strict=True)])
            shares = scaled(1 / dot(w, v), times(w, v))
            proof.equal("what it passes down is the z^B rule", shares, scaled(1 / sum(parts), parts))
            proof.equal("in shares that add up to 1", sum(shares), 1)
            proof.equal(
                "with t = (w.x + b)/(w.v), 1 - t is minus the pre-activation at the corner, over w.v",
                1 - z / dot(w, v),
                -(dot(w, corner) + b) / dot(w, v),
            )
    _order(proof)
    proof.say(
        "So `in the box iff 0 <= (w.x + b)/(w.v) <= 1` is right for t >= 0, an active neuron, only: from t < 0 on the "
        "root moves away from the corner, and stays in the box for as long as x is far enough inside it."
    )
    one = network(([[-1, -1]], [0]), ([[1]], [0]))
    proof.found(
        "dtdsym.roots of w = (-1, -1), b = 0 at x = (1/2, 1/2) in the box [0, 2]: t = -1/3, and the root is in it",
        lambda x: written(dtdsym.roots(one, x, "zbox:0:2", root="hinge")[0]),
        ("1/2", "1/2"),
        "(0, 0)",
        unlike=("1/2", "1/4"),
    )


def _order(proof: Derivation) -> None:
    """When the root is in the box; multiplied by w.v > 0."""
    proof.part("order")
    w, x, low, high, (b,) = (*(reals(name, 2) for name in "wxlh"), reals("b", 1))
    box = [z3.And(lo <= xi, xi <= hi) for lo, xi, hi in zip(low, x, high, strict=True)]
    z = dot(w, x) + b
    for positive in proof.each("pattern 1_{w>0} of 2 inputs, the others < 0", patterns(2)):
        signs = [wi > 0 if p else wi < 0 for wi, p in zip(w, positive, strict=True)]
        corner = [lo if p else hi for p, lo, hi in zip(positive, low, high, strict=True)]
        v = minus(x, corner)
        along = dot(w, v)
        inside = z3.And(
            *(
                z3.And(lo * along <= xi * along - z * vi, xi * along - z * vi <= hi * along)
                for lo, xi, hi, vi in zip(low, x, high, v, strict=True)
            )
        )
        sides = [lo <= xi if p else xi <= hi for p, lo, xi, hi in zip(positive, low, x, high, strict=True)]
        proof.valid("w.v >= 0 in the box", along >= 0, given=[*sides, *signs])
        proof.valid(
            "z >= 0 and w.v > 0: the root is in the box iff t <= 1",
            inside == (z <= along),
            given=[*box, *signs, z >= 0, along > 0],
            sharp=False,
        )
        zero = [lo <= 0 if p else hi >= 0 for p, lo, hi in zip(positive, low, high, strict=True)]
        proof.valid(
            "b <= 0 and a box that holds 0: the corner's pre-activation is <= 0, so t <= 1",
            dot(w, corner) + b <= 0,
            given=[*signs, *zero, b <= 0],
        )
        proof.satisfiable(
            "without b <= 0 an active neuron's root can leave the box",
            [*box, *signs, *zero, z > 0, z3.Not(inside)],
            [*w, *x, *low, *high, b],
        )
        proof.satisfiable(
            "of an inactive neuron the root can be in the box although t < 0",
            [*signs, z < 0, along > 0, inside],
            [*w, *x, *low, *high, b],
        )


if __name__ == "__main__":
    main()
