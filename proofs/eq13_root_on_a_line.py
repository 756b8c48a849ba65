"""Equation 13 and the line that its root lies on, with the sign of t; and the root of Algorithm 2 instead."""

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
    reals,
    rows,
    scaled,
    taylor_term,
    times,
    vector,
    written,
)

SHAPES = ((2, 3), (3, 2))
"""Neurons and inputs."""


@statement(
    "sign_of_t",
    "where the line through x meets the hinge",
    place="Section 3.4, before equation 13",
    printed="h~_j = x - t v_j; the intersection with w_j.x + b_j = 0 yields t = -(w_j.x + b_j)/(w_j.v_j) and therefore "
    "x~(j) = x - ((w_j.x + b_j)/(w_j.v_j)) v_j",
    verdict="corrected",
    reason="with x - t v and this t the pre-activation doubles: w = v = 1, b = 0, x = 1 gives 2 for 0; the root is x + "
    "t v, as printed last",
    corrected="x~(j) = x + t v_j with t = -(w_j.x + b_j)/(w_j.v_j), if w_j.v_j != 0 (and x~(j), not h~_j, an input)",
    scope="all w, b, x, v with w.v != 0 of 1, 2 and 3 inputs; the conditions on w.v by Z3 for 2 inputs",
)
def sign_of_t(proof: Derivation) -> None:
    (w,), (x,), (v,), (b,) = (vector(name, 1) for name in "wxvb")
    t, numbers = -(w * x + b) / (w * v), {w: 1, v: 1, b: 0, x: 1}
    proof.counterexample(
        "w (x - t v) + b with the printed t, on a hinge?",
        w * (x - t * v) + b,
        0,
        numbers,
        values=(2, 0),
        agrees_at={w: 3, v: 2, b: -3, x: 1},
    )
    for d in proof.each("number of inputs", (1, 2, 3)):
        w, x, v, (b,) = vector("w", d), vector("x", d), vector("v", d), vector("b", 1)
        t = -(dot(w, x) + b) / dot(w, v)
        away = dot(w, minus(x, scaled(t, v))) + b
        proof.equal("with the printed t, x - t v doubles the pre-activation", away, 2 * (dot(w, x) + b))
        there = dot(w, minus(x, scaled(-t, v))) + b
        proof.equal("and x + t v is on the hinge", there, 0)
        root = minus(x, scaled((dot(w, x) + b) / dot(w, v), v))
        proof.equal("x + t v is the root that is printed last", minus(x, scaled(-t, v)), root)
    w, x, v, (b, t, s) = reals("w", 2), reals("x", 2), reals("v", 2), (*reals("b", 1), *z3.Reals("t s"))
    on = dot(w, minus(x, scaled(-t, v))) + b == 0
    also = dot(w, minus(x, scaled(-s, v))) + b == 0
    proof.valid("where w.v != 0 there is no other t", s == t, given=[on, also, dot(w, v) != 0])
    proof.valid(
        "where w.v = 0, no t leads from x off the hinge onto it", z3.Not(on), given=[dot(w, v) == 0, dot(w, x) + b != 0]
    )


@statement(
    "eq13",
    "the input's relevance, with a root along a direction",
    place="Section 3.4, equation 13",
    printed="R^x(x) = sum_{j=1}^d w_j o ((w_j.x + b_j)/(w_j.v_j)) v_j = sum_{j=1}^d (w_j o v_j/(w_j.v_j)) R^h_j(x)",
    verdict="corrected",
    reason="the first form is wrong for an inactive neuron, whose R^h_j is 0: w = v = 1, b = -2, x = 1 gives -1 for 0; "
    "the second form is right; the sums run over the k neurons",
    corrected="R^x(x) = sum_{j=1}^k (w_j o v_j/(w_j.v_j)) R^h_j(x), with R^h_j = [w_j.x + b_j]^+ and w_j.v_j != 0",
    scope="all weights, biases, inputs, directions (w_j.v_j != 0) and patterns of the shapes k x d = 2 x 3 and 3 x 2",
)
def eq13(proof: Derivation) -> None:
    (w,), (x,), (v,), (b,) = (vector(name, 1) for name in "wxvb")
    z, numbers = w * x + b, {w: 1, v: 1, b: -2, x: 1}
    proof.counterexample(
        "an inactive neuron, [x - 2] at 1: the first printed form, and the second with R^h = [w x + b]^+",
        w * z / (w * v) * v,
        w * v / (w * v) * sympy.Max(0, z),
        numbers,
        values=(-1, 0),
        agrees_at={w: 3, v: 2, b: -2, x: 5},
    )
    for k, d in proof.each("shape (neurons, inputs)", SHAPES):
        weights, directions, bias = rows("w", k, d), rows("v", k, d), vector("b", k)
        x, m = vector("x", d), vector("m", k)
        z = preactivations(weights, bias, x)
        lines = list(zip(weights, directions, strict=True))
        roots = [minus(x, scaled(zj / dot(w, v), v)) for zj, (w, v) in zip(z, lines, strict=True)]
        proof.equal(
            "each root is on its hinge", [dot(w, r) + b for w, r, b in zip(weights, roots, bias, strict=True)], [0] * k
        )
        passed = added(taylor_term(mj * zj, x, r) for mj, zj, r in zip(m, z, roots, strict=True))
        second = added(scaled(mj * zj / dot(w, v), times(w, v)) for mj, zj, (w, v) in zip(m, z, lines, strict=True))
        first = added(scaled(zj / dot(w, v), times(w, v)) for zj, (w, v) in zip(z, lines, strict=True))
        proof.equal("Definition 3 with these roots (h_j = m_j z_j) is the second form", passed, second)
        every = [entry.subs(dict.fromkeys(m, 1)) for entry in second]
        proof.equal("the first form is the second where all neurons are active", first, every)
        proof.equal("all of f(x) = sum_j R^h_j is redistributed", sum(passed), dot(m, z))
    proof.say(
        "[x1 - x2] + [x1 - 2] at x = (1, 0), w2: the second neuron is inactive, so (1/2, 1/2) of the first alone."
    )
    one = network(([[1, -1], [1, 0]], [0, -2]), ([[1, 1]], [0]), final_relu=False)
    proof.found(
        "dtdsym.explain there (second form); at (3, 0) both neurons are active",
        lambda x: written(dtdsym.explain(one, x, "1=w2,2=lrp0")),
        (1, 0),
        "(1/2, 1/2)",
        unlike=(3, 0),
    )


@statement(
    "relevance_root",
    "the root of Algorithm 2 against the root of equation 15",
    place="Section 3.5, root of equation 15, and Algorithm 2",
    printed="x~(j) = a - ((w_j.a + b_j)/(w_j.v_j)) v_j (Sections 3.4, 3.5); t = R_j/(w_j.v_j), return a - t v_j "
    "(Algorithm 2)",
    verdict="corrected",
    reason="two roots: for R_j = c_j (w_j.a + b_j) Algorithm 2's leaves the pre-activation (1 - c_j)(w_j.a + b_j), so "
    "it is on the hinge only if c_j = 1, and beyond it if c_j > 1",
    corrected="they are one root iff c_j = 1 (or w_j.a + b_j = 0); both pass (w_j o v_j/(w_j.v_j)) R_j down for an "
    "active neuron, with the derivative taken at a's side",
    scope="all w, b, a, v (w.v != 0) and c of 2 and 3 inputs; order by Z3",
)
def relevance_root(proof: Derivation) -> None:
    (w,), (a,), (v,), (b,), (c,) = (vector(name, 1) for name in "wavbc")
    z, numbers = w * a + b, {w: 1, v: 1, b: 0, a: 1, c: 2}
    proof.say("[a] at a = 1 with R = 2 [a], as from [2 [a]]: c = 2.")
    proof.counterexample(
        "Algorithm 2's root, and that on the hinge",
        a - c * z / (w * v) * v,
        a - z / (w * v) * v,
        numbers,
        values=(-1, 0),
        agrees_at={w: 3, v: 2, b: -2, a: 5, c: 1},
    )
    for d in proof.each("number of inputs", (2, 3)):
        w, a, v, (b,) = vector("w", d), vector("a", d), vector("v", d), vector("b", 1)
        z = dot(w, a) + b
        hinge, own = (minus(a, scaled(share / dot(w, v), v)) for share in (z, c * z))
        proof.equal("Algorithm 2's comment holds: w.(a - a~) = R_j", dot(w, minus(a, own)), c * z)
        proof.equal("so its pre-activation is (1 - c)(w.a + b)", dot(w, own) + b, (1 - c) * z)
        proof.equal("that of the root of equation 15 is 0", dot(w, hinge) + b, 0)
        proof.equal("they lie (c - 1)(w.a + b)/(w.v) v apart", minus(hinge, own), scaled((c - 1) * z / dot(w, v), v))
        below = scaled(c * z / dot(w, v), times(w, v))
        proof.equal("passed down from the hinge: derivative c w of c (w.a + b)", taylor_term(c * z, a, hinge), below)
        proof.equal("passed down from Algorithm 2's root: derivative w of w.a + b", taylor_term(z, a, own), below)
    z, factor = z3.Reals("z c")
    proof.valid(
        "for c > 1 it has left the half-space of an active neuron", (1 - factor) * z < 0, given=[z > 0, factor > 1]
    )
    proof.valid("for c < 1 it is strictly inside, not at the hinge", (1 - factor) * z > 0, given=[z > 0, factor < 1])
    proof.say("[2 [a]] at a = 1, layer 1, direction v = a: R = 2, so c = 2.")
    one = network(([[1]], [0]), ([[2]], [0]))
    proof.found(
        "dtdsym.roots: the relevance root; the hinge root is 0",
        lambda kind: written(dtdsym.roots(one, (1,), "zplus", root=kind)[0]),
        "relevance",
        "(-1)",
        unlike="hinge",
    )


if __name__ == "__main__":
    main()
