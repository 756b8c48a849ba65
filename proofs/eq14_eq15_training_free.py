"""Section 3.5, the training-free relevance model: Assumption 1, equations 14 and 15, Remark 3."""

from __future__ import annotations

import sympy
import z3

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import (
    dot,
    minus,
    network,
    preactivations,
    put,
    reals,
    relu,
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
    "assumption1",
    "relevance is a constant positive multiple of the activation",
    place="Section 3.5, Assumption 1",
    printed="R^{l+1}(a_{l+1}) = a_{l+1} o c_{l+1}, where c_{l+1} in R^+ should be a constant and positive vector",
    verdict="refuted",
    reason="c is not even locally constant under z+: for w = (1, 1), b = -1 c_1 of a = (1, 1) gives 1/2 for 2/3 at (2, "
    "1). One neuron's z+ has a locally constant c iff b = 0 and no w_i < 0; LRP-0 has c = grad F, of any sign",
    scope="z+ on one active neuron with a weight > 0: every sign pattern with 2 inputs, all w, b, a; LRP-0: the "
    "induction of rule_lrp0; the base R^{n+1} = a o e_xi has zeros in c for the other outputs",
)
def assumption1(proof: Derivation) -> None:
    proof.say("(c in R^+ should read c in R_{>0}^{d_{l+1}}.) z+ on one active neuron h = w.a + b, with R = h:")
    a, b = vector("a", 2), sympy.Symbol("b")
    c = (a[0] + a[1] + b) / (a[0] + a[1])
    proof.counterexample(
        "w = (1, 1), b = -1: c_1 = R_1/a_1 at a = (1, 1), which should be constant, and at (2, 1)",
        put(c, (*a, b), (1, 1, -1)),
        put(c, (*a, b), (2, 1, -1)),
        values=("1/2", "2/3"),
    )
    proof.say("Where is it constant? R_i = a_i w_i^+ h/(w^+.a), so c_i = w_i^+ h/(w^+.a).")
    w = vector("w", 2)
    for positive in proof.each("sign pattern 1_{w>=0}", ((1, 1), (1, 0), (0, 1))):
        upper = times(positive, w)
        lower, h = minus(w, upper), dot(w, a) + b
        down = scaled(h / dot(upper, a), times(upper, a))
        factors = scaled(h / dot(upper, a), upper)
        proof.equal("R_i = a_i c_i", down, times(a, factors))
        slopes = [sympy.diff(h / dot(upper, a), ai) for ai in a]
        along = dot(upper, a)
        proof.equal(
            "the derivatives of h/(w^+.a) are (w_k^- (w^+.a) - w_k^+ (w^-.a + b))/(w^+.a)^2, with w^- = w - w^+",
            slopes,
            [(n * along - u * (dot(lower, a) + b)) / along**2 for u, n in zip(upper, lower, strict=True)],
        )
    proof.say("If they vanish: w_k^- = 0 for each k with w_k^+ = 0, that is no weight is negative; and then b = 0.")
    negative, positive, along, bias = z3.Reals("w_k w_i along b")
    proof.valid(
        "w_k < 0: the derivative by a_k, w_k/(w^+.a), is not 0",
        negative / along != 0,
        given=[negative < 0, along > 0],
    )
    proof.valid(
        "no w_k < 0: the derivative by a_i, -w_i b/(w.a)^2, is 0 for w_i > 0 only if b = 0",
        bias == 0,
        given=[positive > 0, along > 0, -positive * bias / (along * along) == 0],
    )
    u = vector("u", 2)
    proof.equal("conversely b = 0 and w >= 0: c = w, constant", scaled(dot(u, a) / dot(u, a), u), u)
    proof.say("LRP-0 passes a o grad F_l (rule_lrp0): c = grad F_l is constant on a region, but not positive.")
    proof.found(
        "dtdsym.decide on [a1 + a2 - 1] at (1, 1): z+, against LRP-0",
        lambda rule: type(dtdsym.decide("assumption_1", network(([[1, 1]], [-1])), (1, 1), rule=rule)).__name__,
        "zplus",
        "Refuted",
        unlike="lrp0",
    )


@statement(
    "eq14",
    "the relevance neuron",
    place="Section 3.5, equation 14",
    printed="hat R^{l+1}(a_{l+1}) = [hat W_{l+1} a_{l+1} + hat b_{l+1}]^+, hat W_{l+1} = W_{l+1} o C_{l+1}, C_{l+1} = "
    "[c_{l+1}, ..., c_{l+1}], hat b_{l+1} = b_{l+1} o c_{l+1}",
    verdict="corrected",
    reason="R^{l+1} = c_{l+1} o [W_l a_l + b_l]^+ is a function of a_l through W_l; W_{l+1} o C_{l+1} has no type "
    "unless d_{l+2} = d_{l+1}; c may be pulled in because c >= 0",
    corrected="hat R^{l+1}(a_l) = [hat W_l a_l + hat b_l]^+, hat W_l = W_l o C with the d_l columns c_{l+1}, hat b_l = "
    "b_l o c_{l+1}, for c_{l+1} >= 0 constant",
    scope="all W, b, a, c and patterns of the shapes 2 x 3 and 3 x 2; the sign of c by Z3",
)
def eq14(proof: Derivation) -> None:
    upper, factor = sympy.MatrixSymbol("W", 4, 3).as_explicit(), sympy.MatrixSymbol("c", 3, 1).as_explicit()
    own = sympy.MatrixSymbol("V", 3, 2).as_explicit()
    proof.ill_typed(
        "d_l = 2, d_{l+1} = 3, d_{l+2} = 4: W_{l+1} (4 x 3) o C (columns c_{l+1}, 3 entries)",
        "(4, 3) != (3, 3)",
        lambda: upper.multiply_elementwise(sympy.Matrix.hstack(*[factor] * 3)),
        lambda: own.multiply_elementwise(sympy.Matrix.hstack(*[factor] * 2)),
    )
    c, z = z3.Reals("c z")
    proof.valid("c >= 0 goes into the ReLU: c [z] = [c z]", c * relu(z) == relu(c * z), given=[c >= 0])
    for k, d in proof.each("shape (neurons, inputs)", SHAPES):
        weights, bias, a, c, m = rows("w", k, d), vector("b", k), vector("a", d), vector("c", k), vector("m", k)
        matrix, factor = sympy.Matrix(weights), sympy.Matrix(k, 1, c)
        repeated = matrix.multiply_elementwise(sympy.Matrix.hstack(*[factor] * d))
        pulled = list(repeated * sympy.Matrix(d, 1, a) + sympy.Matrix(k, 1, times(bias, c)))
        proof.equal(
            "(W_l o C) a_l + b_l o c = c o (W_l a_l + b_l), and so are their ReLUs with the same pattern m",
            times(m, pulled),
            times(times(m, c), preactivations(weights, bias, a)),
        )
    proof.say("If C had the rows c instead, the columns of W_l would be scaled, another function:")
    proof.counterexample(
        "w = (1, 2), c = 3 against a row (3, 4), a = (1, 1)",
        dot(times((1, 2), (3, 4)), (1, 1)),
        3 * dot((1, 2), (1, 1)),
        values=(11, 9),
    )
    proof.equal("where the relevance neuron is 3 (a1 + 2 a2)", 3 * dot((1, 2), (1, 1)), dot((3, 6), (1, 1)))


@statement(
    "eq15",
    "the general propagation rule of deep networks",
    place="Section 3.5, equation 15",
    printed="hat R^l(a_l) = sum_{j=1}^d (hat w_j o v_j/(hat w_j.v_j)) hat R^{l+1}_j(f_l(a_l)) = sum_{j=1}^d (w_j o "
    "v_j/(w_j.v_j)) hat R^{l+1}_j(f_l(a_l)), the c_{l+1,j} canceled out; root a~_l(j) = a_l - ((w_j.x + "
    "b_j)/(w_j.v_j)) v_j",
    verdict="corrected",
    reason="the root is printed with the network's input x in place of a_l, which has no type if d_1 != d_l and is not "
    "on the hinge otherwise; c_j cancels only where c_j != 0 (else 0/0); the sums run over d_{l+1} neurons",
    corrected="R^l = sum_{j=1}^{d_{l+1}} (w_j o v_j/(w_j.v_j)) R_j, also where c_j = 0 and R_j = 0; a~_l(j) = a_l - "
    "((w_j.a_l + b_j)/(w_j.v_j)) v_j, w_j.v_j != 0",
    scope="all W, b, a, v (w.v != 0), c != 0 and patterns of the shapes 2 x 3 and 3 x 2",
)
def eq15(proof: Derivation) -> None:
    row = sympy.MatrixSymbol("w", 1, 2).as_explicit()
    proof.ill_typed(
        "d_1 = 3 inputs, d_l = 2: w_j.x",
        "(1, 2) * (3, 1)",
        lambda: row * sympy.MatrixSymbol("x", 3, 1).as_explicit(),
        lambda: row * sympy.MatrixSymbol("a", 2, 1).as_explicit(),
    )
    (w,), (a,), (x,), (b,) = (vector(name, 1) for name in "waxb")
    numbers = {w: 1, a: 1, x: 2, b: 0}
    roots = a - (w * x + b) / w, a - (w * a + b) / w
    proof.counterexample(
        "d_1 = d_l = 1, x = 2, a_l = 1: the pre-activation at the printed root, and at the root",
        *(w * root + b for root in roots),
        numbers,
        values=(-1, 0),
        agrees_at={w: 3, a: 2, x: 2, b: 5},
    )
    for k, d in proof.each("shape (neurons, inputs)", SHAPES):
        weights, directions, bias = rows("w", k, d), rows("v", k, d), vector("b", k)
        a, c, m = vector("a", d), vector("c", k), vector("m", k)
        for j in proof.each("neuron", range(1, k + 1)):
            w, v, bj, cj, mj = (of[j - 1] for of in (weights, directions, bias, c, m))
            z, own = dot(w, a) + bj, scaled(cj, w)
            proof.equal(
                "hat w = c w: c cancels in hat w o v/(hat w.v)",
                scaled(1 / dot(own, v), times(own, v)),
                scaled(1 / dot(w, v), times(w, v)),
            )
            root = minus(a, scaled((dot(own, a) + cj * bj) / dot(own, v), v))
            proof.equal("and in the root", root, minus(a, scaled(z / dot(w, v), v)))
            proof.equal("which is on the hinge", dot(w, root) + bj, 0)
            passed = taylor_term(cj * mj * z, a, minus(a, scaled(z / dot(w, v), v)))
            proof.equal(
                "Definition 3 of the relevance neuron c m z", passed, scaled(cj * mj * z / dot(w, v), times(w, v))
            )
            proof.equal("at c = 0 the first form's denominator is 0", put(dot(own, v), (cj,), (0,)), 0)
            proof.equal("and the second form is 0", [put(entry, (cj,), (0,)) for entry in passed], [0] * d)
    w, v, c = reals("w", 2), reals("v", 2), z3.Real("c")
    proof.valid(
        "hat w.v = c w.v is 0 iff c = 0, given w.v != 0",
        (dot(scaled(c, w), v) == 0) == (c == 0),
        given=[dot(w, v) != 0],
    )
    proof.say(
        "Directions that use the weights (w^2: v = w, z+: 1_{w>=0}) lead to the same root with hat w for w if c > 0."
    )
    w, x, b, c = vector("w", 2), vector("a", 2), sympy.Symbol("b"), sympy.Symbol("c")
    own = scaled(c, w)
    proof.equal(
        "w^2 with hat w = c w",
        minus(x, scaled((dot(own, x) + c * b) / dot(own, own), own)),
        minus(x, scaled((dot(w, x) + b) / dot(w, w), w)),
    )
    two = network(([[1, 0], [0, 1]], [0, 0]), ([[1, 2]], [0]))
    proof.found(
        "dtdsym.roots of layer 2 of [[x1] + 2 [x2]] at x = (1, 1), w^2, relevance R = 3 = w.a",
        lambda x: written(dtdsym.roots(two, x, "w2", layer=2)[0]),
        (1, 1),
        "(2/5, -1/5)",
        unlike=(2, 1),
    )


@statement(
    "remark3",
    "whether c_k is constant",
    place="Section 3.5, Remark 3",
    printed="A global constant c_k cannot exist [...]. A local approximation of c_k could be correct if root points "
    "stays within the same linear region where the function's gradient is locally constant",
    verdict="corrected",
    reason="a constant root r inside the region gives c_i = g_i (1 - r_i/a_i), locally constant only if g_i r_i = 0; "
    "and the paper's own one-layer network has a global constant, c = 1 (equation 11)",
    corrected="in general no global c exists (c = grad F_2 differs between regions); with locally constant roots, c is "
    "locally constant iff the root is 0 in every input that the gradient reaches",
    scope="constant roots r, one layer of 2 and 3 neurons, all weights, biases, patterns; exact examples for the rest",
)
def remark3(proof: Derivation) -> None:
    proof.say("A global constant: R^h = h in equation 11, so c = 1 for every input (steps of eq10):")
    for k in proof.each("number of neurons", (2, 3)):
        h = vector("h", k)
        proof.equal("R^h = h o 1", taylor_term(sum(h), h, (0,) * k), times(h, (1,) * k))
    a = vector("a", 2)
    proof.say("None in general: F = [a1 - a2 + 1] + [a1 + a2 - 2], roots 0, so c = grad F (rule_lrp0).")
    proof.equal(
        "a = (2, 1): both active, c = (2, 0); a = (1, 1/2): only the first, c = (1, -1)",
        [[sympy.diff(a[0] - a[1] + 1 + m * (a[0] + a[1] - 2), ai) for ai in a] for m in (1, 0)],
        [[2, 0], [1, -1]],
    )
    proof.say("Locally, with a constant root r inside the region:")
    for k, d in proof.each("shape (neurons, inputs)", SHAPES):
        w, b, a, m, r = rows("w", k, d), vector("b", k), vector("a", d), vector("m", k), vector("r", d)
        f = dot(m, preactivations(w, b, a))
        g = [sympy.diff(f, ai) for ai in a]
        c = [entry / ai for entry, ai in zip(taylor_term(f, a, r), a, strict=True)]
        expected = [gi * (1 - ri / ai) for gi, ri, ai in zip(g, r, a, strict=True)]
        proof.equal("c_i = g_i (1 - r_i/a_i)", c, expected)
        slopes = [sympy.diff(ci, ai) for ci, ai in zip(c, a, strict=True)]
        proof.equal(
            "its derivative is g_i r_i/a_i^2: 0 iff g_i r_i = 0",
            slopes,
            [gi * ri / ai**2 for gi, ri, ai in zip(g, r, a, strict=True)],
        )
    (a,) = vector("a", 1)
    c = taylor_term(a - 1, (a,), (2,))[0] / a
    proof.counterexample(
        "[a - 1] with the root 2, inside its region {a > 1}: the c of a = 3, which a constant has at a = 4, and c at 4",
        put(c, (a,), (3,)),
        put(c, (a,), (4,)),
        values=("1/3", "1/2"),
    )
    one = network(([[1]], [-1]))
    proof.found("dtdsym.place of the root", lambda root: dtdsym.place(one, (3,), (root,)).inside, 2, True, unlike=0)
    proof.found(
        "dtdsym.recursion at 3: R = 3 c",
        lambda x: written(dtdsym.recursion(one, (x,), [dtdsym.constant_root((2,))])),
        3,
        "(1)",
        unlike=4,
    )


if __name__ == "__main__":
    main()
