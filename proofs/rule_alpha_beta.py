"""LRP-alpha-beta, and when alpha = 1, beta = 0 is the z+ rule."""

from __future__ import annotations

import sympy
import z3

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import dot, minus, network, patterns, reals, relu, scaled, times, vector, written


@statement(
    "rule_alpha_beta",
    "alpha1beta0 and the z+ rule",
    place="Section 5.2",
    printed="LRP_{alpha1 beta0} (equivalent to the DTD z+-rule)",
    verdict="corrected",
    reason="not for negative inputs (w = x = (1, -1) gives (1/2, 1/2) for (1, 0)), nor with the bias in the "
    "denominator, as tools have it (w = x = b = 1 gives 1/2 for 1)",
    corrected="they are equal for x >= 0 without a bias in the denominator; LRP-alpha-beta conserves R_j for alpha - "
    "beta = 1, and its implied root has pre-activation w.x + b - R_j, as the z+ rule's has",
    scope="every sign pattern of w o x with 2 and 3 inputs, all w, x, b, R, alpha (denominators != 0); order by Z3",
)
def rule_alpha_beta(proof: Derivation) -> None:
    w = x = (1, -1)
    products = times(w, x)
    half = [sympy.Rational(max(p, 0), sum(max(q, 0) for q in products)) for p in products]
    v = [xi if wi >= 0 else 0 for wi, xi in zip(w, x, strict=True)]
    proof.counterexample(
        "w = x = (1, -1): shares of alpha1beta0, and of z+",
        half,
        scaled(1, times(w, v)),
        values=(("1/2", "1/2"), (1, 0)),
    )
    proof.counterexample(
        "w = x = b = 1: the share of alpha1beta0 with the bias in the denominator, and of z+",
        sympy.Rational(1 * 1, 1 * 1 + 1),
        sympy.Rational(1 * 1, 1 * 1),
        values=("1/2", 1),
    )
    w, x = reals("w", 1), reals("x", 1)
    proof.valid(
        "x >= 0: the positive part of a product is that of z+, [w x] = w 1_{w>=0} x",
        relu(w[0] * x[0]) == w[0] * z3.If(w[0] >= 0, x[0], 0),
        given=[x[0] >= 0],
    )
    proof.say("So for x >= 0 all numerators and denominators of alpha1beta0, without a bias, are those of z+.")
    (b,), (r,), (alpha,) = vector("b", 1), vector("R", 1), vector("alpha", 1)
    for d in proof.each("number of inputs", (2, 3)):
        w, x = vector("w", d), vector("x", d)
        mixed = [p for p in patterns(d) if 0 < sum(p) < d]
        for positive in proof.each("pattern of w_i x_i > 0, both signs present", mixed):
            upper = times(positive, times(w, x))
            lower = minus(times(w, x), upper)
            first, second = scaled(alpha / sum(upper), upper), scaled((alpha - 1) / sum(lower), lower)
            messages = scaled(r, minus(first, second))
            proof.equal("alpha - beta = 1: the messages add up to R", sum(messages), r)
            root = minus(x, [message / wi for message, wi in zip(messages, w, strict=True)])
            proof.equal("their implied root x_i - message_i/w_i", dot(w, root) + b, dot(w, x) + b - r)
    one = network(([[1, -2, 3]], [1]), ([[1]], [0]))
    proof.found(
        "dtdsym.explain of [x1 - 2 x2 + 3 x3 + 1] at (1, 1, 1), f = 3: as the z+ rule's shares 1/4, 0, 3/4",
        lambda rule: written(dtdsym.explain(one, (1, 1, 1), rule)),
        "alpha_beta:1:0",
        written(dtdsym.explain(one, (1, 1, 1), "zplus")),
        unlike="captum.alpha1_beta0",
    )


if __name__ == "__main__":
    main()
