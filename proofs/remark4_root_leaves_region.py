"""Remark 4: nothing keeps a rule's root in the linear region of the layer's input."""

from __future__ import annotations

import z3

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import dot, minus, network, preactivations, reals, scaled, unknown_rows, whole

DIRECTIONS = ("w2", "x", "zplus")


@statement(
    "remark4",
    "no mechanism keeps the root in the linear region",
    place="Section 3.5, Remark 4",
    printed="Will this root point be in the local region N_f(a_l) of a_l? Probably not, as there is no mechanism "
    "enforcing this",
    verdict="true",
    reason="Z3 finds, for w^2, v = x and z+, an exact network and input whose root is outside the region; a root on "
    "the hinge is at best on the region's edge, where the neuron's own bend counts (the printed root has x for a_l: "
    "eq15)",
    scope="networks [w1.x + b1] + [w2.x + b2] with 2 inputs, weights, biases and input found by Z3, verified by dtdsym",
)
def remark4(proof: Derivation) -> None:
    proof.say(
        "f = [w1.x + b1] + [w2.x + b2], both neurons active at x: gradient w1 + w2, not 0. The root r of the first "
        "neuron is on its hinge; let it be beyond the second's. There the gradients are w1 and 0, not w1 + w2: r is "
        "outside, and not even in the region's closure, around whose points there are some with gradient w1 + w2."
    )
    for name in proof.each("direction", DIRECTIONS):
        w, b, x, t = unknown_rows("w", 2, 2), reals("b", 2), reals("x", 2), z3.Real("t")
        v = {"w2": w[0], "x": x, "zplus": [z3.If(wi >= 0, xi, 0) for wi, xi in zip(w[0], x, strict=True)]}[name]
        z = preactivations(w, b, x)
        root = minus(x, scaled(t, v))
        numbers = proof.satisfiable(
            f"Z3 finds weights, biases and x > 0 with such a root r = x - t v, t (w1.v) = w1.x + b1, for {name}",
            [
                *(zj > 0 for zj in z),
                *(xi > 0 for xi in x),
                t * dot(w[0], v) == z[0],
                dot(w[1], root) + b[1] < 0,
            ],
            [*w[0], *w[1], *b, *x, t],
        )
        (*flat, b1, b2), _ = whole(numbers[:6])
        one = network(([flat[:2], flat[2:]], [b1, b2]), ([[1, 1]], [0]), final_relu=False)
        found = dtdsym.roots(one, numbers[6:8], f"1={name},2=lrp0", root="hinge")[0]
        proof.found(
            "dtdsym.place of dtdsym's root there, against the input itself (f times a positive factor, in whole "
            "numbers)",
            lambda point, one=one, x=tuple(numbers[6:8]): dtdsym.place(one, x, point).name,
            tuple(found),
            "outside",
            unlike=tuple(numbers[6:8]),
        )
    proof.say(
        "And where no other hinge is crossed: [x1] + [x2 + 5] at x = (1, 1), the root (0, 1) of the first neuron."
    )
    near = network(([[1, 0], [0, 1]], [0, 5]), ([[1, 1]], [0]), final_relu=False)
    proof.found(
        "dtdsym.place of the hinge root, against a point before the hinge",
        lambda point: dtdsym.place(near, (1, 1), point).name,
        tuple(dtdsym.roots(near, (1, 1), "1=w2,2=lrp0", root="hinge")[0]),
        "boundary",
        unlike=("1/2", 1),
    )


if __name__ == "__main__":
    main()
