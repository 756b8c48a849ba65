"""The gamma rule: neither the printed direction nor the printed rule is it, nor do they fit each other."""

from __future__ import annotations

import sympy
import z3

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import dot, minus, network, patterns, put, reals, relu, scaled, times, vector, written

GAMMA, S = sympy.symbols("gamma s")


@statement(
    "rule_gamma",
    "the gamma rule, its direction and its limits",
    place="Section 3.4, third rule",
    printed="v_j = 1 + gamma 1_{w_j>=0} o x; R^x = sum_{j=1}^d ((w_j + gamma z_j^+)/(w_j.(1 + gamma z_j^+))) R^h_j(x); "
    "in the limit gamma -> infinity the gamma rule becomes the z+ rule",
    verdict="corrected",
    reason="the rule of the printed v is not the printed rule (w = 2, x = 1, gamma = 1: gives 2/3 for 1), and neither "
    "is LRP-gamma: both give relevance to an input 0; the printed rule's limit is not the z+ rule",
    corrected="v_j = x o (1 + gamma 1_{w_j>=0}), R^x = sum_{j=1}^k (x o (w_j + gamma w_j^+)/(x.(w_j + gamma w_j^+))) "
    "R^h_j; gamma -> infinity is z+ where z+ has a root, gamma -> 0 is v = x; w.v can vanish where w.x <= 0",
    scope="every sign pattern of w with 2 and 3 inputs, all w, b, x, gamma with w.v != 0; order by Z3 with 2 inputs",
    parts=("zero_denominator",),
)
def rule_gamma(proof: Derivation) -> None:
    (w,), (x,) = vector("w", 1), vector("x", 1)
    own = 1 + GAMMA * x
    along, printed = w * own / (w * own), (w + GAMMA * x * w) / (w * (1 + GAMMA * x * w))
    numbers = {w: 2, x: 1, GAMMA: 1}
    proof.counterexample(
        "w >= 0: the printed rule, and w o v/(w.v) of the printed v", printed, along, numbers, values=("2/3", 1)
    )
    proof.say("x = (1, 0), w = (1, 1), gamma = 1. An input 0 receives nothing by LRP-gamma.")
    w, x = (1, 1), (1, 0)
    told, meant = (2, 1), times(x, (2, 2))
    proof.counterexample(
        "the shares of the printed v = 1 + gamma x, and of v = x (1 + gamma)",
        [sympy.Rational(entry, dot(w, told)) for entry in times(w, told)],
        [sympy.Rational(entry, dot(w, meant)) for entry in times(w, meant)],
        values=(("2/3", "1/3"), (1, 0)),
    )
    w, x = vector("w", 1), vector("x", 1)
    limit = put(sympy.cancel(printed.subs(GAMMA, 1 / S)), (S,), (0,))
    proof.counterexample(
        "w >= 0: the limit of the printed rule, and z+", limit, 1, {w[0]: 2, x[0]: 1}, values=("1/2", 1)
    )
    (b,) = vector("b", 1)
    for d in proof.each("number of inputs", (2, 3)):
        w, x = vector("w", d), vector("x", d)
        for positive in proof.each("pattern 1_{w>=0}", [p for p in patterns(d) if any(p)]):
            v = times(x, [1 + GAMMA * p for p in positive])
            z, upper = dot(w, x) + b, times(positive, w)
            raised = [wi + GAMMA * ui for wi, ui in zip(w, upper, strict=True)]
            shares = scaled(1 / dot(w, v), times(w, v))
            proof.equal("the corrected v: its root is on the hinge", dot(w, minus(x, scaled(z / dot(w, v), v))) + b, 0)
            lrp = scaled(1 / dot(x, raised), times(x, raised))
            proof.equal("its shares are those of LRP-gamma, x o (w + gamma w^+)/(x.(w + gamma w^+))", shares, lrp)
            proof.equal("which add up to 1", sum(shares), 1)
            fewer = [sympy.cancel(share.subs(GAMMA, 1 / S)) for share in shares]
            zplus = scaled(1 / dot(upper, x), times(upper, x))
            proof.equal("gamma = 1/s, s -> 0: the z+ rule", [put(share, (S,), (0,)) for share in fewer], zplus)
            none = scaled(1 / dot(w, x), times(w, x))
            proof.equal("gamma = 0: v = x", [put(share, (GAMMA,), (0,)) for share in shares], none)
    _zero_denominator(proof)


def _zero_denominator(proof: Derivation) -> None:
    """Where w.v vanishes."""
    proof.part("zero_denominator")
    w, x, (g,) = reals("w", 2), reals("x", 2), reals("gamma", 1)
    product = dot(w, x)
    along = product + g * dot([relu(wi) for wi in w], x)
    proof.valid(
        "x >= 0 (of 2 inputs one is enough), gamma >= 0 and w.x > 0: w.v > 0, so there is a root",
        along > 0,
        given=[z3.Or(*(xi >= 0 for xi in x)), g >= 0, product > 0],
    )
    proof.satisfiable(
        "w.v = 0 for some x >= 0, gamma > 0", [along == 0, g > 0, *(xi > 0 for xi in x), w[0] > 0], [*w, *x, g]
    )
    w, x = (1, -2), (1, 1)
    proof.equal("as for w = (1, -2), x = (1, 1), gamma = 1, where v = (2, 1)", dot(w, times(x, (2, 1))), 0)
    one = network(([[1, -2]], [2]), ([[1]], [0]))
    proof.found(
        "dtdsym.roots there, for the active neuron [x1 - 2 x2 + 2]: the kind of what it gives",
        lambda x: type(dtdsym.roots(one, x, "gamma:1")[0]).__name__,
        x,
        "NoRoot",
        unlike=(2, 1),
    )
    b, z = z3.Real("b"), z3.Real("b") + product
    proof.valid(
        "an active neuron with b <= 0 has w.x > 0, hence a root",
        product > 0,
        given=[b <= 0, z > 0],
    )
    plain = network(([[1, -2]], [2]), ([[1]], [0]))
    proof.found(
        "dtdsym.roots at x = (2, 1), gamma = 1, v = (4, 1), w.v = 2: x - (2/2) v",
        lambda rule: written(dtdsym.roots(plain, (2, 1), rule, root="hinge")[0]),
        "gamma:1",
        "(-2, 0)",
        unlike="zplus",
    )


if __name__ == "__main__":
    main()
