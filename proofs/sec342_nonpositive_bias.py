"""Section 3.4.2: with non-positive biases, is the origin in the linear region, and so a root?"""

from __future__ import annotations

from fractions import Fraction

import sympy
import z3

import dtdsym
from dtdsym.network.network import Network
from machinery import Derivation, main, statement
from machinery.neuron import (
    dot,
    network,
    patterns,
    preactivations,
    reals,
    relu,
    times,
    unknown_rows,
    vector,
    whole,
)

FLAT_PIECE = network(([[2], [1]], [-1, -1]), ([[4, -8]], [-1]))
"""[4 [2x - 1] - 8 [x - 1] - 1]."""


@statement(
    "nonpositive_bias",
    "the origin as a root, under non-positive biases",
    place="Section 3.4.2",
    printed="b_j <= 0 [...] to guarantee that the origin is a root point of f. However, this is not the case [...] the "
    "gradient is zero there. However, any input x with f(x) >= 0 will have a non-zero gradient and will therefore be "
    "in a different local region",
    verdict="corrected",
    reason="the conclusion is right where f(x) > 0, the argument is not: [x - 1] at x = 1/2 has f >= 0 and gradient 0, "
    "and [4 [2x-1] - 8 [x-1] - 1] at x = 2 even f = 3 and gradient 0",
    corrected="all biases <= 0, a ReLU on every layer with the last, no skips, f(x) > 0, x off the hinges: the origin "
    "is never in N_f(x). Without the last ReLU, or for f(x) = 0, it can be",
    scope="the corrected criterion for networks of every depth and width, in steps that Z3 decides (gradients of 2 and "
    "3 inputs); the origin outside the region (not only the cell) for every pattern of x's cell, shapes 2-2-1 and "
    "2-3-1, all weights; examples found by Z3",
    parts=("examples", "argument", "criterion", "patterns", "premises"),
)
def nonpositive_bias(proof: Derivation) -> None:
    _found_by_z3(proof)
    _argument(proof)
    _criterion(proof)
    _premises(proof)


def _found_by_z3(proof: Derivation) -> None:
    """The origin is no root: weights, biases and input unknown."""
    proof.part("examples")
    w, b, x = unknown_rows("w", 2, 2), reals("b", 2), reals("x", 2)
    z = preactivations(w, b, x)
    off = [zj != 0 for zj in z]
    gradient = [sum(z3.If(zj > 0, row[i], 0) for zj, row in zip(z, w, strict=True)) for i in range(2)]
    numbers = proof.satisfiable(
        "Z3 finds a one-layer network f = [w1.x + b1] + [w2.x + b2] with b <= 0, and an input x off its hinges, such "
        "that f is regular at the origin (b < 0, gradient 0) and has another gradient at x, so that f(x) > 0",
        [*off, *(one < 0 for one in b), z3.Or(*(one != 0 for one in gradient))],
        [*w[0], *w[1], *b, *x],
    )
    (*weights, b1, b2), _ = whole(numbers[:6])
    one = network((_pairs(weights), [b1, b2]), ([[1, 1]], [0]), final_relu=False)
    _is_outside(proof, one, numbers[6:])
    w, b, u, c, x = unknown_rows("w", 2, 2), reals("b", 2), reals("u", 2), z3.Real("c"), reals("x", 2)
    z = preactivations(w, b, x)
    out = dot(u, [relu(zj) for zj in z]) + c
    slope = [sum(z3.If(zj > 0, uj * row[i], 0) for zj, uj, row in zip(z, u, w, strict=True)) for i in range(2)]
    flat_origin = z3.Or(c < 0, z3.And(*(one < 0 for one in b)))
    numbers = proof.satisfiable(
        "and one of depth 2, f = [u1 [w1.x + b1] + u2 [w2.x + b2] + c]; where c < 0 or all b < 0, f = 0 around the "
        "origin",
        [
            *(zj != 0 for zj in z),
            *(one <= 0 for one in (*b, c)),
            out > 0,
            flat_origin,
            z3.Or(*(one != 0 for one in slope)),
        ],
        [*w[0], *w[1], *b, *u, c, *x],
    )
    _is_outside(proof, _two_layers(numbers), numbers[9:])


def _two_layers(numbers: list[Fraction]) -> Network:
    """Z3's network times a positive factor, in whole numbers."""
    (*weights, b1, b2), factor = whole(numbers[:6])
    (u1, u2, c), _ = whole([*numbers[6:8], factor * numbers[8]])
    return network((_pairs(weights), [b1, b2]), ([[u1, u2]], [c]))


def _pairs(weights: list[int]) -> list[list[int]]:
    return [weights[:2], weights[2:]]


def _is_outside(proof: Derivation, one: Network, x: list[Fraction]) -> None:
    proof.found(
        "dtdsym.place of the origin there (times a positive factor, in whole numbers), against the input itself",
        lambda point: dtdsym.place(one, x, point).inside,
        (0, 0),
        False,
        unlike=tuple(x),
    )


def _argument(proof: Derivation) -> None:
    """'f(x) >= 0 has a non-zero gradient'."""
    proof.part("argument")
    (w,), (x,), (b,) = (vector(name, 1) for name in "wxb")
    proof.counterexample(
        "[x - 1] at x = 1/2, f(x) = 0 >= 0, m = 0: the gradient w that is not 0, and the gradient of m (w x + b)",
        w,
        sympy.diff(0 * (w * x + b), x),
        {w: 1, b: -1, x: sympy.Rational(1, 2)},
        values=(1, 0),
    )
    (w, b, x), z = z3.Reals("w b x"), z3.Real("w") * z3.Real("x") + z3.Real("b")
    proof.satisfiable(
        "Z3 finds such an input itself: f(x) = [w x + b], which is >= 0, off the hinge, gradient 0",
        [b <= 0, w != 0, z != 0, z3.If(z > 0, w, 0) == 0],
        [w, b, x],
    )
    w, b, u, (c, x) = reals("w", 2), reals("b", 2), reals("u", 2), z3.Reals("c x")
    z = [wj * x + bj for wj, bj in zip(w, b, strict=True)]
    proof.satisfiable(
        "at depth 2 even f(x) > 0 can have gradient 0: f = [u1 [w1 x + b1] + u2 [w2 x + b2] + c], found by Z3",
        [
            *(one <= 0 for one in (*b, c)),
            dot(u, [relu(zj) for zj in z]) + c > 0,
            sum(z3.If(zj > 0, uj * wj, 0) for zj, uj, wj in zip(z, u, w, strict=True)) == 0,
        ],
        [*w, *b, *u, c, x],
    )
    t = sympy.Symbol("x")
    piece = 4 * (2 * t - 1) - 8 * (t - 1) - 1
    proof.equal("as [4 [2x - 1] - 8 [x - 1] - 1] for x > 1, where it is", [piece, sympy.diff(piece, t)], [3, 0])
    proof.found(
        "dtdsym.place of the origin there, for x = 2: the gradient is 0 at both, and yet it is in another region",
        lambda x: dtdsym.place(FLAT_PIECE, (x,), (0,)).name,
        2,
        "same_gradient_elsewhere",
        unlike="3/4",
    )


def _criterion(proof: Derivation) -> None:
    """Why the origin is never in the region."""
    proof.part("criterion")
    proof.say(
        "Suppose that all biases are <= 0, every layer ends with a ReLU, f(x) > 0, and the origin is in N_f(x), with "
        "gradient g. A region is open, and f is affine on it with one constant."
    )
    b, s = z3.Reals("b s")
    proof.valid("1. An input 0 gives [b] = 0, layer by layer: f(0) = 0", relu(b) == 0, given=[b <= 0])
    for d in proof.each("number of inputs", (2, 3)):
        g, x, (high,) = reals("g", d), reals("x", d), reals("f", 1)
        proof.valid(
            "2. f >= 0 at -s g, a point near the origin, where f(-s g) = 0 - s g.g: so g = 0",
            z3.And(*(one == 0 for one in g)),
            given=[s > 0, 0 - s * dot(g, g) >= 0],
        )
        proof.valid(
            "3. so f(x) = 0 + g.x is not > 0, a contradiction",
            z3.Not(high > 0),
            given=[z3.And(*(one == 0 for one in g)), high == 0 + dot(g, x)],
        )
    _on_patterns(proof)


def _on_patterns(proof: Derivation) -> None:
    """The same with the weights of small networks."""
    proof.part("patterns")
    proof.say(
        "Once more with symbolic weights, f = [u.[W x + b] + c] of 2 and 3 neurons, for each pattern m of x's cell, "
        "where f = G.x + kappa, G = sum_j u_j m_j w_j, kappa = sum_j u_j m_j b_j + c. By Definition 1 f(p) = G.p + "
        "kappa on all of the region N_f(x), of however many cells. If it holds the origin, f(0) = kappa, and f(-s G) = "
        "kappa - s G.G >= 0 for a small s > 0."
    )
    for k in proof.each("number of neurons", (2, 3)):
        b, u, c = reals("b", k), reals("u", k), z3.Real("c")
        proof.valid(
            "b, c <= 0: f(0) = 0, so kappa = 0",
            relu(dot(u, [relu(bj) for bj in b]) + c) == 0,
            given=[*(bj <= 0 for bj in b), c <= 0],
        )
    for active in proof.each("pattern of x's cell", [*patterns(2), *patterns(3)]):
        k, s = len(active), z3.Real("s")
        w, b, u, c, x = unknown_rows("w", k, 2), reals("b", k), reals("u", k), z3.Real("c"), reals("x", 2)
        slope = [dot(times(u, active), column) for column in zip(*w, strict=True)]
        kappa = dot(times(u, active), b) + c
        proof.valid(
            "so f(x) > 0 is not possible",
            dot(u, times(active, preactivations(w, b, x))) + c <= 0,
            given=[kappa == 0, kappa - s * dot(slope, slope) >= 0, s > 0],
            sharp=any(active),
        )


def _premises(proof: Derivation) -> None:
    """None of the hypotheses can go."""
    proof.part("premises")
    bent = ([[1], [-1]], [0, 0]), ([[1, -1]], [0])
    proof.found(
        "without the last ReLU: [x] - [-x] is x, and the origin is in the region of x = 1",
        lambda last: dtdsym.place(network(*bent, final_relu=last), (1,), (0,)).name,
        False,
        "same_region_segment",
        unlike=True,
    )
    proof.found(
        "without f(x) > 0: [x - 1] at x = 1/2 and the origin",
        lambda x: dtdsym.place(network(([[1]], [-1])), (x,), (0,)).name,
        "1/2",
        "same_cell",
        unlike=2,
    )
    proof.found(
        "without b <= 0: [x + 1] at x = 1 and the origin",
        lambda bias: dtdsym.place(network(([[1]], [bias])), (1,), (0,)).name,
        1,
        "same_cell",
        unlike=-0.5,
    )


if __name__ == "__main__":
    main()
