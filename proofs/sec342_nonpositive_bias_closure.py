"""Section 3.4.2, continued: with non-positive biases, when is the origin in the closure of the linear region?"""

from __future__ import annotations

import sympy
import z3

import dtdsym
from dtdsym.network.network import Network
from machinery import Derivation, main, statement
from machinery.neuron import (
    dot,
    minus,
    network,
    patterns,
    preactivations,
    reals,
    relu,
    rows,
    scaled,
    times,
    unknown_rows,
    vector,
)

HIDDEN_HINGE = network(([[1], [1], [1]], [0, -1, -1]), ([[1, 1, -1]], [0]))
"""[[x] + [x - 1] - [x - 1]]."""


@statement(
    "nonpositive_bias_closure",
    "when the origin is in the closure of the region, under non-positive biases",
    place="Section 3.4.2, not printed: what holds of a root on the region's edge",
    printed="(i) all first-layer biases < 0: the origin is not in the closure of N_f(x), at any depth; (ii) one "
    "sum-pooled layer: it is iff b_j = 0 for every active j; (iii) any depth: it is in the closure of x's cell iff "
    "every active ReLU neuron has bias 0; so without biases it always is",
    verdict="true",
    reason="under the same hypotheses: b <= 0, a ReLU on every layer (a linear output's bias does not count in (ii), "
    "(iii)), f(x) > 0, x off the hinges. The closure of N_f(x) can hold the origin where that of the cell does not",
    scope="(i), (iii) for every depth and width, by induction steps that Z3 decides; (ii) for every pattern with 2 and "
    "3 neurons, all weights; (iii) again for every pattern of the shapes 2-2-1 and 2-3-1 with symbolic weights",
    parts=("first_layer", "sum_pooled", "deep"),
)
def nonpositive_bias_closure(proof: Derivation) -> None:
    _first_layer(proof)
    _sum_pooled(proof)
    _deep(proof)
    proof.say("The closure of N_f(x) is larger than that of the cell where hinges cancel.")

    def closures(one: Network) -> str:
        witness = dtdsym.decide("nonpositive_bias", one, (2,)).witness
        return f"in the closure of N: {witness['in_closure']}, of the cell: {witness['in_closure_of_the_inputs_cell']}"

    proof.found(
        "dtdsym.decide at x = 2 for [[x] + [x-1] - [x-1]], against [[x]]",
        closures,
        HIDDEN_HINGE,
        "in the closure of N: True, of the cell: False",
        unlike=network(([[1]], [0]), ([[1]], [0])),
    )


def _first_layer(proof: Derivation) -> None:
    proof.part("first_layer")
    proof.say("(i) All first-layer biases < 0.")
    w, p, b, r = reals("w", 2), reals("p", 2), z3.Real("b"), z3.Real("r")
    size = sum(relu(wi) + relu(-wi) for wi in w)
    ball = z3.And(*(z3.And(-r <= pi, pi <= r) for pi in p))
    proof.valid(
        "a neuron is inactive on the cube |p_i| <= r if r (|w1| + |w2|) < -b: so there is such r > 0 where b < 0",
        dot(w, p) + b < 0,
        given=[ball, r * size < -b],
    )
    proof.say(
        "There all layers above see the input 0, so f = f(0) = 0 with gradient 0. Were the origin in the closure of "
        "N_f(x), a point p of N_f(x) would be in the cube, and g = 0."
    )
    g, x, f, fp = reals("g", 2), reals("x", 2), z3.Real("fx"), z3.Real("fp")
    zero = z3.And(*(one == 0 for one in g))
    proof.valid(
        "then f(x) = f(p) + g.(x - p) is not > 0", z3.Not(f > 0), given=[f == fp + dot(g, minus(x, p)), fp == 0, zero]
    )


def _sum_pooled(proof: Derivation) -> None:
    proof.part("sum_pooled")
    proof.say("(ii) f = sum_j m_j (w_j.x + b_j) on x's region, with gradient g = sum_j m_j w_j.")
    for k, d in proof.each("shape (neurons, inputs)", ((2, 3), (3, 2))):
        w, b, x, m = rows("w", k, d), vector("b", k), vector("x", d), vector("m", k)
        f = dot(m, preactivations(w, b, x))
        g = [sympy.diff(f, xi) for xi in x]
        proof.equal("the affine function of the region is sum_j m_j b_j at the origin", f - dot(g, x), dot(m, b))
    for active in proof.each("pattern of 3 neurons", [m for m in patterns(3) if any(m)]):
        b = reals("b", 3)
        own = [bj for bj, mj in zip(b, active, strict=True) if mj]
        proof.valid(
            "origin in the closure: that is f(0) = 0; with b <= 0, each active b_j is 0",
            z3.And(*(bj == 0 for bj in own)),
            given=[z3.And(*(bj <= 0 for bj in own)), dot(active, b) == 0],
            sharp=len(own) > 1,
        )
    proof.say("Conversely let b_j = 0 for all active j. Then t x is in x's cell for all 0 < t <= 1:")
    _towards_origin(proof)


def _towards_origin(proof: Derivation) -> None:
    """A layer at t a instead of a."""
    for d in proof.each("number of inputs", (2, 3)):
        w, a, (b,), (t,) = vector("w", d), vector("a", d), vector("b", 1), vector("t", 1)
        z = dot(w, a) + b
        proof.equal("w.(t a) + b = t (w.a + b) + (1 - t) b", dot(w, scaled(t, a)) + b, t * z + (1 - t) * b)
    z, b, t = z3.Reals("z b t")
    there = t * z + (1 - t) * b
    proof.valid(
        "an active neuron with b = 0 stays active, its output is t z",
        z3.And(there > 0, relu(there) == t * z),
        given=[z > 0, b == 0, t > 0],
    )
    proof.valid("an inactive neuron stays inactive", there < 0, given=[z < 0, b <= 0, t > 0, t <= 1])


def _deep(proof: Derivation) -> None:
    proof.part("deep")
    proof.say(
        "(iii) Let the origin be in the closure of x's cell. By continuity all active neurons have z >= 0 there, all "
        "others z <= 0. Induction upwards: where a layer's input is 0, z = b."
    )
    b = z3.Real("b")
    proof.valid(
        "an active neuron has b = 0, and the layer's output is 0 again",
        z3.And(b == 0, relu(b) == 0),
        given=[b >= 0, b <= 0],
    )
    proof.valid("an inactive neuron's output is 0 whatever b <= 0 is", relu(b) == 0, given=[b <= 0])
    proof.say(
        "Conversely let all active neurons have b = 0. Induction upwards: if a layer's input is t a at t x, its output "
        "is t times that at x and its pattern the same, by the steps of (ii) (z = 0 throughout, where inputs are dead, "
        "stays so); so t x is in the cell for 0 < t <= 1, and the origin in its closure. A linear output has no hinge: "
        "its bias does not count."
    )
    for active in proof.each("pattern of [u.[W x + b] + c], output active", [*patterns(2), *patterns(3)]):
        k = len(active)
        w, b, u, c = unknown_rows("w", k, 2), reals("b", k), reals("u", k), z3.Real("c")
        z = preactivations(w, b, (0, 0))
        closed = [zj >= 0 if m else zj <= 0 for zj, m in zip(z, active, strict=True)]
        out = dot(u, times(active, z)) + c
        zero = z3.And(c == 0, *(bj == 0 for bj, m in zip(b, active, strict=True) if m))
        proof.valid(
            "b, c <= 0: the origin satisfies the closed cell's inequalities iff all active biases are 0",
            z3.And(*closed, out >= 0) == zero,
            given=[z3.And(*(one <= 0 for one in (*b, c)))],
        )
    proof.found(
        "dtdsym.place of the origin at x = (3, 1) in [2 [x1 - x2] + [x1 + x2]], against biases -1",
        lambda bias: dtdsym.place(network(([[1, -1], [1, 1]], [bias, bias]), ([[2, 1]], [0])), (3, 1), (0, 0)).name,
        0,
        "boundary",
        unlike=-1,
    )


if __name__ == "__main__":
    main()
