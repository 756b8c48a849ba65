"""The w^2 rule: the direction w leads to the nearest point of the hinge."""

from __future__ import annotations

import sympy

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import dot, minus, network, reals, scaled, times, vector, written


@statement(
    "rule_w2",
    "the w^2 rule and the nearest root",
    place="Section 3.4, first rule",
    printed="chooses the closest root point in L2 metric: v_j = w_j; root x~ = x - (w_j/(w_j.w_j)) R^h(x); R^x(x) = "
    "sum_{j=1}^d (w_j^2/(w_j.w_j)) R^h(x)",
    verdict="corrected",
    reason="R^h is a vector and lacks its index j; with R^h_j = [w_j.x + b_j]^+ the printed root of an inactive neuron "
    "is x itself, not on the hinge: w = 1, b = -2, x = 1 gives 1 for 2. The nearest root is right",
    corrected="x~(j) = x - ((w_j.x + b_j)/(w_j.w_j)) w_j, the nearest point of j's hinge; R^x = sum_{j=1}^k (w_j o "
    "w_j/(w_j.w_j)) R^h_j(x)",
    scope="the nearest root for all w != 0, b, x of any number of inputs (in inner products), of 2, 3, 4 (in "
    "coordinates); once more by Z3 for 2",
)
def rule_w2(proof: Derivation) -> None:
    column, relevance = sympy.Matrix(vector("w", 3)), sympy.Matrix(vector("R", 2))
    proof.ill_typed(
        "3 inputs, 2 neurons: w_j (3 x 1) times the vector R^h (2 x 1)",
        "(3, 1) * (2, 1)",
        lambda: column * relevance,
        lambda: column * relevance[0, 0],
    )
    (w,), (x,), (b,) = (vector(name, 1) for name in "wxb")
    z = w * x + b
    proof.counterexample(
        "an inactive neuron, [x - 2] at 1: the printed root, and the point of the hinge",
        x - w / (w * w) * sympy.Max(0, z),
        x - w / (w * w) * z,
        {w: 1, b: -2, x: 1},
        values=(1, 2),
        agrees_at={w: 3, b: -2, x: 5},
    )
    proof.say(
        "Let p be any point of the hinge, w.p + b = 0, and t = (w.x + b)/(w.w). Then |x - p|^2 = |x - x~|^2 + |x~ - "
        "p|^2 for x~ = x - t w, so none is nearer. First in inner products, where nothing depends on the number of "
        "inputs: ww = w.w, wx = w.x, and so on."
    )
    ww, wx, wp, xx, xp, pp, b = sympy.symbols("ww wx wp xx xp pp b")
    t = (wx + b) / ww
    from_x, moved = xx - 2 * xp + pp, t**2 * ww
    from_root = (xx - 2 * t * wx + t**2 * ww) - 2 * (xp - t * wp) + pp
    proof.equal(
        "|x - p|^2 = |x - x~|^2 + |x~ - p|^2 - 2 t (w.p + b), for every p",
        from_x,
        moved + from_root - 2 * t * (wp + b),
    )
    for d in proof.each("number of inputs", (2, 3, 4)):
        w, x, p, (b,) = vector("w", d), vector("x", d), vector("p", d), vector("b", 1)
        t = (dot(w, x) + b) / dot(w, w)
        root = minus(x, scaled(t, w))
        proof.equal("the root is on the hinge", dot(w, root) + b, 0)
        lengths = [dot(minus(u, v), minus(u, v)) for u, v in ((x, p), (x, root), (root, p))]
        proof.equal("the same in coordinates", lengths[0], lengths[1] + lengths[2] - 2 * t * (dot(w, p) + b))
        proof.equal("its distance: |x - x~|^2 w.w = (w.x + b)^2", lengths[1] * dot(w, w), (dot(w, x) + b) ** 2)
        shares = scaled(1 / dot(w, w), times(w, w))
        proof.equal("R_j is passed down in these shares", times(w, scaled(1 / dot(w, w), w)), shares)
        proof.equal("which add up to 1", sum(shares), 1)
    w, x, p, (b,) = reals("w", 2), reals("x", 2), reals("p", 2), reals("b", 1)
    gap = minus(x, p)
    proof.valid(
        "no point p of the hinge is nearer: |x - p|^2 w.w >= (w.x + b)^2",
        dot(gap, gap) * dot(w, w) >= (dot(w, x) + b) * (dot(w, x) + b),
        given=[dot(w, p) + b == 0],
    )
    one = network(([[1, 2], [1, -2]], [-1, -4]), ([[1, 1]], [0]), final_relu=False)
    proof.found(
        "dtdsym.roots of [x1 + 2 x2 - 1] at x = (2, 3): x - (7/5) (1, 2)",
        lambda rule: written(dtdsym.roots(one, (2, 3), rule, root="hinge")[0]),
        "w2",
        "(3/5, 1/5)",
        unlike="x",
    )
    proof.found(
        "dtdsym.roots of [x1 - 2 x2 - 4], inactive at x = (2, 3): x + (8/5) (1, -2), and not x",
        lambda kind: written(dtdsym.roots(one, (2, 3), "1=w2,2=lrp0", root=kind)[1]),
        "hinge",
        "(18/5, -1/5)",
        unlike="relevance",
    )


if __name__ == "__main__":
    main()
