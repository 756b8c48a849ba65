"""LRP-0 (root 0, gradient x input) and LRP-epsilon."""

from __future__ import annotations

import sympy
import z3

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import (
    added,
    dot,
    minus,
    network,
    preactivations,
    put,
    rows,
    scaled,
    taylor_term,
    times,
    vector,
    written,
)

SHAPES = ((2, 3), (3, 2))
BIASED = network(([[1, -1], [2, 1], [-1, -1]], [1, -2, 1]), ([[1, 2, 1]], [-3]))
"""At x = (2, 1): h = (2, 3, 0), f = 5, gradient (5, 1)."""


@statement(
    "rule_lrp0",
    "LRP-0 is gradient x input",
    place="Section 3.4, fourth rule",
    printed="a special case is the LRP_0 rule which [...] chooses x~ = 0. Although zero is not a valid root point in "
    "general, it was shown that LRP_0 corresponds to gradient x input",
    verdict="true",
    reason="its propagation (w o a)/(w.a + b) R_j is exactly a_l o grad F_l at each layer, where no denominator is 0; "
    "b's share is lost, so it adds up to f(x) less the biases' part; the point 0 need not be in the region",
    scope="an induction step over the layers for all weights, biases, inputs, patterns, gradients from above, shapes "
    "k x d = 2 x 3 and 3 x 2; active neurons have w.a + b != 0. A linear output of value 0 is 0/0",
)
def rule_lrp0(proof: Derivation) -> None:
    proof.say(
        "Induction downwards: let R_j = h_j g_j, with h_j = m_j z_j the neuron's output (z_j = w_j.a + b_j) and g_j = "
        "dF/dh_j; at the output R = f, g = 1. An inactive neuron (m_j = 0) has R_j = 0 and passes 0."
    )
    for k, d in proof.each("shape (neurons, inputs)", SHAPES):
        weights, bias, a = rows("w", k, d), vector("b", k), vector("a", d)
        m, g = vector("m", k), vector("g", k)
        z = preactivations(weights, bias, a)
        arriving = times(times(m, z), g)
        passed = added(scaled(r / zj, times(w, a)) for r, zj, w in zip(arriving, z, weights, strict=True))
        gradient = [sympy.diff(dot(times(m, z), g), ai) for ai in a]
        proof.equal("sum_j (w_j o a/z_j) R_j = a o (gradient by a), so the step holds", passed, times(a, gradient))
        kept = sum(passed) + dot(times(bias, m), g)
        proof.equal("and sum_j b_j m_j g_j of the relevance is lost to the biases", kept, sum(arriving))
    proof.say(
        "With the constant root 0 at every layer, and derivatives at the input's side, Definition 3 gives the same."
    )
    for k, d in proof.each("shape (neurons, inputs) below one output", SHAPES):
        weights, bias, x, m = rows("w", k, d), vector("b", k), vector("x", d), vector("m", k)
        h, (n,), (c,) = vector("h", k), vector("n", 1), vector("c", 1)
        upper = taylor_term(n * (dot(vector("u", k), h) + c), h, (0,) * k)
        z = times(m, preactivations(weights, bias, x))
        passed = added(taylor_term(put(r, h, z), x, (0,) * d) for r in upper)
        output = put(n * (dot(vector("u", k), h) + c), h, z)
        proof.equal("Definition 3 with roots 0: x o grad f", passed, times(x, [sympy.diff(output, xi) for xi in x]))
    proof.say("f = [[x1 - x2 + 1] + 2 [2 x1 + x2 - 2] + [-x1 - x2 + 1] - 3] at x = (2, 1): 5, gradient (5, 1).")
    proof.found(
        "dtdsym.explain there",
        lambda rule: written(dtdsym.explain(BIASED, (2, 1), rule)),
        "lrp0",
        "(10, 1)",
        unlike="zplus",
    )
    proof.found(
        "dtdsym.place of the root 0, against a point that is admissible",
        lambda point: dtdsym.place(BIASED, (2, 1), point).name,
        (0, 0),
        "outside",
        unlike=(3, 1),
    )


@statement(
    "rule_epsilon",
    "LRP-epsilon, its denominators and its implied root",
    place="Section 3.4, fourth rule",
    printed="the LRP_eps rule is an extension of LRP_0 that adds a small eps to increase numeric stability",
    verdict="true",
    reason="|z + eps sign(z)| >= eps with sign(0) = +1; eps = 0 is LRP-0. Its implied root is not on the hinge: with "
    "b = 0 it keeps the pre-activation z eps/(|z| + eps) and stays in the neuron's half-space",
    scope="all w, b, a, R, eps of 2 and 3 inputs, both signs of z; order by Z3",
)
def rule_epsilon(proof: Derivation) -> None:
    z, eps = z3.Reals("z eps")
    signed = z3.If(z >= 0, z + eps, z - eps)
    proof.valid("the denominator is at least eps away from 0", signed * signed >= eps * eps, given=[eps > 0])
    proof.valid(
        "and |z| < |z + eps sign(z)|: no more than R (w.a)/z is passed", signed * signed > z * z, given=[eps > 0]
    )
    small = sympy.Symbol("eps")
    for d, side in proof.each("number of inputs and sign of z", ((2, 1), (2, -1), (3, 1), (3, -1))):
        w, a, (b,), (r,) = vector("w", d), vector("a", d), vector("b", 1), vector("R", 1)
        pre = dot(w, a) + b
        messages = scaled(r / (pre + side * small), times(w, a))
        zero = [put(message, (small,), (0,)) for message in messages]
        proof.equal("eps = 0 is LRP-0", zero, scaled(r / pre, times(w, a)))
        proof.equal(
            "passed down in all: R - R (b + eps sign(z))/(z + eps sign(z))",
            sum(messages),
            r - r * (b + side * small) / (pre + side * small),
        )
        root = minus(a, [message / wi for message, wi in zip(messages, w, strict=True)])
        proof.equal(
            "the root that this implies, a_i - message_i/w_i, is on the line through 0 and a",
            root,
            scaled(1 - r / (pre + side * small), a),
        )
        own = [put(entry, (r,), (pre,)) for entry in root]
        proof.equal(
            "with R = z its pre-activation is z (b + eps sign(z))/(z + eps sign(z)), not 0",
            dot(w, own) + b,
            pre * (b + side * small) / (pre + side * small),
        )
    proof.valid(
        "b = 0, z > 0: z eps/(z + eps) > 0, in the neuron's half-space", z * eps / (z + eps) > 0, given=[z > 0, eps > 0]
    )
    one = network(([[1, 2]], [0]), ([[1]], [0]))
    proof.found(
        "dtdsym.roots of [x1 + 2 x2] at (1, 1), eps = 1: R = 9/4 after the last layer, so a (1 - (9/4)/4)",
        lambda eps: written(dtdsym.roots(one, (1, 1), f"epsilon:{eps}")[0]),
        1,
        "(7/16, 7/16)",
        unlike=2,
    )


if __name__ == "__main__":
    main()
