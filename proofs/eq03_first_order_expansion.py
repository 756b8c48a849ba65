"""Equations 3, 4 and 5: the first-order expansion of a ReLU network inside a linear region, and its relevances."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import sympy
import z3
from sympy import Matrix

from dtdsym import place
from dtdsym.network.network import sequential
from machinery import Derivation, main, statement
from machinery.regions import column, gradient, network, put

SHAPES = ((2, 3, 2, 1), (3, 2, 1))
SCOPE = f"all real weights, biases and points, every pattern at once (symbolic masks), networks of widths {SHAPES}"


@statement(
    "eq03",
    "the first-order expansion",
    place="Section 3.1, equation 3",
    printed="f(x) = f(x~) + df/dx at x~ . (x - x~), for a root point x~ within the same linear region as the input",
    verdict="true",
    reason="f is affine on a linear region; outside it the identity can fail: [x], x = 1, x~ = -1",
    scope=SCOPE + "; regions of many cells by their steps along a path",
    parts=("across_cells", "outside"),
)
def eq03(proof: Derivation) -> None:
    proof.say("In one cell: each [z]+ is m z with the same mask m at x and x~, 1 where z > 0 and 0 where z < 0.")
    for widths in proof.each("network of widths", SHAPES):
        f, x, root = network(widths), column("x", widths[0]), column("r", widths[0])
        slope = put(gradient(f.value(x), x), x, root)
        proof.equal(
            "the gradient at x~ is the product of the layers' Jacobians D_l W_l, the same at all points of the cell",
            slope.T,
            _product(f.jacobians()),
        )
        proof.equal("f(x) = f(x~) + grad f(x~).(x - x~)", f.value(x), f.value(root) + (slope.T * (x - root))[0])
    _across_cells(proof)
    _outside(proof)


def _product(jacobians: Sequence[Matrix]) -> Matrix:
    found = jacobians[0]
    for jacobian in jacobians[1:]:
        found = jacobian * found
    return found


def _across_cells(proof: Derivation) -> None:
    """Where the region has several cells, of one gradient g."""
    proof.part("across_cells")
    proof.say(
        "A region of several cells: an open connected set has polygonal paths, and each crosses finitely many cells. "
        "Let x = p_0, p_1, p_2, p_3 = x~ be its points on the hinges between cells. On cell i, closed, f is affine "
        "with the one gradient g of the region: f(p) = g.p + c_i"
    )
    g, p, c, d = z3.Reals("g p c d")
    proof.valid(
        "f has one value at a hinge, so the constants on both sides of it are equal (g.p is one number)",
        c == d,
        given=[g * p + c == g * p + d],
    )
    for size in proof.each("number of inputs", (2, 3)):
        slope, value = z3.RealVector("g", size), z3.Reals("f0 f1 f2 f3")
        points = [z3.RealVector(f"p{k}_", size) for k in range(4)]
        rises = [z3.Sum([gi * (pi - qi) for gi, pi, qi in zip(slope, p, q, strict=True)]) for p, q in pairwise(points)]
        constants = z3.Reals("c0 c1 c2")
        heights = [
            [z3.Sum([gi * pi for gi, pi in zip(slope, p, strict=True)]) for p in ends] for ends in pairwise(points)
        ]
        ends = [
            (value[k] == heights[k][0] + constants[k], value[k + 1] == heights[k][1] + constants[k]) for k in range(3)
        ]
        for k in proof.each("cell, of f(p) = g.p + c_k at both of its points", range(3)):
            proof.valid("f(p_k) - f(p_k+1) = g.(p_k - p_k+1)", value[k] - value[k + 1] == rises[k], given=ends[k])
        proof.valid(
            "so f(x) - f(x~) = g.(x - x~), the sum of its pieces, as f has one value at each hinge",
            value[0] - value[3] == z3.Sum(rises),
            given=[value[k] - value[k + 1] == rises[k] for k in range(3)],
        )


def _outside(proof: Derivation) -> None:
    """What is left over where the patterns differ."""
    proof.part("outside")
    for widths in proof.each("network of widths", ((2, 3, 1), (3, 2, 1))):
        inner, outer = network(widths, "m"), network(widths, "n")
        one = sympy.Integer(1)
        linear_top = {mask: one for f in (inner, outer) for mask in f.masks[1]}
        x, root = column("x", widths[0]), column("r", widths[0])
        slope = gradient(outer.value(x), x)
        left_over = inner.value(x) - outer.value(root) - (slope.T * (x - root))[0]
        z, flips = inner.through(x)[0][0], inner.masks[0] - outer.masks[0]
        proof.equal(
            "Outside it, masks m at x and n at x~, the last layer linear, what is left over is sum_k v_k (m_k - n_k) "
            "z_k(x)",
            left_over.subs(linear_top),
            (inner.weights[1] * flips.multiply_elementwise(z))[0],
        )
    v1, v2, w1, w2, b1, b2, x, r = z3.Reals("v1 v2 w1 w2 b1 b2 x r")
    now, there = [w1 * x + b1, w2 * x + b2], [w1 * r + b1, w2 * r + b2]
    proof.satisfiable(
        "which need not be zero: v1 [w1 x + b1] + v2 [w2 x + b2], with neuron 1 active at x alone, neuron 2 at both",
        [
            now[0] > 0,
            now[1] > 0,
            there[0] < 0,
            there[1] > 0,
            v1 * now[0] + v2 * now[1] != v2 * there[1] + v2 * w2 * (x - r),
        ],
        [v1, v2, w1, w2, b1, b2, x, r],
    )
    proof.found(
        "of [x], x = 1, the point -1 lies outside the region",
        lambda other: place(sequential(([[1]], [0])), (1,), (other,)).name,
        -1,
        "outside",
        unlike=2,
    )


def _relu(z: z3.ArithRef) -> z3.ArithRef:
    return z3.If(z > 0, z, z3.RealVal(0))


@statement(
    "eq04",
    "the difference of the output, redistributed",
    place="Section 3.2, equation 4",
    printed="If x~ is in N_f(x): f(x) - f(x~) = df/dx at x~ . (x - x~)",
    verdict="true",
    reason="it is equation 3; on the closure of N_f(x) too, with the gradient taken from x's side",
    scope=SCOPE,
)
def eq04(proof: Derivation) -> None:
    for widths in proof.each("network of widths", SHAPES):
        f, x, root = network(widths), column("x", widths[0]), column("r", widths[0])
        slope = put(gradient(f.value(x), x), x, root)
        proof.equal("f(x) - f(x~) = grad f(x~).(x - x~)", f.value(x) - f.value(root), (slope.T * (x - root))[0])
    proof.say(
        "A point of the closure, where some neuron has z = 0 at x~ but not nearby: [z]+ = 0 = m z there whichever m is "
        "taken, so with x's masks all stays as it is, the gradient too, which then is the one from x's side."
    )
    cases = [(widths, layer) for widths in SHAPES for layer in range(1, len(widths))]
    for widths, layer in proof.each("network of widths and layer", cases):
        f = network(widths)
        x, root, other = column("x", widths[0]), column("r", widths[0]), sympy.Symbol("m'")
        mask, bias = f.masks[layer - 1][0], f.biases[layer - 1][0]
        on_hinge = {bias: bias - f.through(root)[0][layer - 1][0]}
        proof.equal(
            f"neuron 1 of layer {layer} with z = 0 at x~ (solved for its bias): its mask does not change f(x~)",
            f.value(root).subs(mask, other).subs(on_hinge),
            f.value(root).subs(on_hinge),
        )
        slope = gradient(f.value(x), x)
        proof.equal(
            "and f(x) - f(x~) is grad f(x).(x - x~)",
            (f.value(x) - f.value(root)).subs(on_hinge),
            (slope.T * (x - root))[0].subs(on_hinge),
        )


@statement(
    "eq05",
    "the relevance of the input",
    place="Section 3.2, equation 5",
    printed="R(x) = df/dx at x~ o (x - x~), for x~ in N_f(x)",
    verdict="true",
    reason="a definition; its entries add up to f(x) - f(x~) in the region, to f(x) if x~ is a root; outside they need "
    "not",
    scope=SCOPE,
)
def eq05(proof: Derivation) -> None:
    for widths in proof.each("network of widths", SHAPES):
        f, x, root = network(widths), column("x", widths[0]), column("r", widths[0])
        relevance = put(gradient(f.value(x), x), x, root).multiply_elementwise(x - root)
        proof.equal("sum R = f(x) - f(x~)", sum(relevance), f.value(x) - f.value(root))
        last = sympy.Symbol(f"b{len(widths) - 1}_1")
        at_zero = sympy.solve(f.value(root), last)[0]
        proof.equal(
            "sum R = f(x) if f(x~) = 0 (solved for the last bias)",
            sum(relevance).subs(last, at_zero),
            f.value(x).subs(last, at_zero),
        )
    x, root = z3.Reals("x r")
    slope = z3.If(root > 0, z3.RealVal(1), z3.RealVal(0))
    proof.satisfiable(
        "Outside the region, f = [x]: R = f'(x~) (x - x~) need not be f(x) - f(x~), for x~ off the hinge",
        [root != 0, _relu(x) - _relu(root) != slope * (x - root)],
        [x, root],
    )


if __name__ == "__main__":
    main()
