"""Equations 9, 10 and 11: the relevance of the ReLU layer's output in the one-layer network of Section 3.4.

f(x) = y(h(x)), h(x) = [W x + b]^+ with k neurons, y(h) = h_1 + ... + h_k without a ReLU of its own.
"""

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
    taylor_term,
    times,
    vector,
    written,
)

SHAPES = ((2, 3), (3, 2), (4, 1))
"""Neurons and inputs."""
HIDDEN = ([[1, 0], [1, -2]], [0, 1])
"""h(x) = ([x1], [x1 - 2 x2 + 1])."""


@statement(
    "eq09",
    "the relevance of the one-layer network's output",
    place="Section 3.4, equation 9",
    printed="R^y(h(x)) = y(h(x))",
    verdict="true",
    reason="it is equation 6 for one output, composed with the sum: the function h -> h_1 + ... + h_k",
    scope="k = 2, 3 and 4 neurons, all h; the ReLU that Definition 2 puts on the sum changes nothing where h >= 0",
)
def eq09(proof: Derivation) -> None:
    proof.say("Equation 6, R(a) = a, at the output a = y(h) = h_1 + ... + h_k: a definition, put together.")
    h = reals("h", 3)
    proof.valid("where h >= 0 the sum is its own ReLU", relu(sum(h)) == sum(h), given=[one >= 0 for one in h])


@statement(
    "eq10",
    "the relevance of the ReLU layer, with the root h~ = 0",
    place="Section 3.4, equation 10",
    printed="R^h(x) = dR^y(h)/dh |_{h~=0} o h = h",
    verdict="true",
    reason="the sum is linear, so h~ = 0 is regular and in its linear region (the whole space); f(x) > 0 keeps it "
    "apart from h. If the sum had a ReLU, as in Definition 2, 0 would only be in the region's closure",
    scope="k = 2, 3 and 4 neurons, all h, generic roots; h != 0 because Definition 3 forbids the root h~ = h",
)
def eq10(proof: Derivation) -> None:
    for size in proof.each("number of neurons", (2, 3, 4)):
        h, root = vector("h", size), vector("r", size)
        proof.equal("dy/dh is 1 everywhere, at h~ = 0 too", [sympy.diff(sum(h), one) for one in h], [1] * size)
        proof.equal("Definition 3 of y, with the root 0, is h", taylor_term(sum(h), h, (0,) * size), h)
        proof.equal("with any root h~ it is h - h~", taylor_term(sum(h), h, root), minus(h, root))
        proof.equal("which adds up to y(h) - y(h~)", sum(taylor_term(sum(h), h, root)), sum(h) - sum(root))
    h = reals("h", 3)
    proof.valid(
        "0 is the only root of y that is a possible output of ReLUs, which is >= 0",
        z3.And(*(one == 0 for one in h)),
        given=[*(one >= 0 for one in h), sum(h) == 0],
    )
    (x,) = reals("x", 1)
    proof.say(
        "0 need not be h(x~) for any x~, though: equation 10 asks for a root of y alone, not for a root of the network."
    )
    proof.valid("[x + 1] + [1 - x] >= 2 for all x", relu(x + 1) + relu(1 - x) >= 2)
    proof.say("Is 0 in the linear region of y at h(x), for h(x) = ([x1], [x1 - 2 x2 + 1]) and x = (1, 1/2)?")
    summed = network(HIDDEN, ([[1, 1]], [0]), final_relu=False)
    rectified = network(HIDDEN, ([[1, 1]], [0]))
    proof.found(
        "dtdsym.place of h~ = 0: in the same cell; were a ReLU on the sum, it would be in the region's closure only",
        lambda one: dtdsym.place(one, (1, "1/2"), (0, 0), layer=2).name,
        summed,
        "same_cell",
        unlike=rectified,
    )
    proof.found(
        "dtdsym.place of h~ = 0 where the sum has a ReLU",
        lambda one: dtdsym.place(one, (1, "1/2"), (0, 0), layer=2).name,
        rectified,
        "boundary",
        unlike=summed,
    )


@statement(
    "eq11",
    "the relevance of the ReLU layer as a function of the input",
    place="Section 3.4, equation 11",
    printed="R^h(x) = [W x + b]^+",
    verdict="true",
    reason="equation 10 at h = [W x + b]^+; it is 0 for an inactive neuron",
    scope="all weights, biases, inputs and patterns of the shapes k x d = 2 x 3, 3 x 2, 4 x 1",
)
def eq11(proof: Derivation) -> None:
    proof.say("Let m_j = 1 where w_j.x + b_j > 0, m_j = 0 where it is < 0: h_j(x) = m_j (w_j.x + b_j).")
    for k, d in proof.each("shape (neurons, inputs)", SHAPES):
        weights, bias, x, m, h = rows("w", k, d), vector("b", k), vector("x", d), vector("m", k), vector("h", k)
        own = times(m, preactivations(weights, bias, x))
        passed = [put(entry, h, own) for entry in taylor_term(sum(h), h, (0,) * k)]
        proof.equal("R^h = Definition 3 of y with the root 0, at h = h(x)", passed, own)
        proof.equal("and all of f(x) arrives", sum(passed), dot(m, preactivations(weights, bias, x)))
    proof.found(
        "dtdsym.recursion at x = (1, 1/2), h = ([x1], [x1 - 2 x2 + 1]): its R^2 with the root 0 is h(x)",
        lambda root: written(
            dtdsym.recursion(
                network(HIDDEN, ([[1, 1]], [0]), final_relu=False),
                (1, "1/2"),
                [dtdsym.rule_root("w2"), dtdsym.constant_root(root)],
                check=False,
            ).layers[1]
        ),
        (0, 0),
        "(1, 1)",
        unlike=(0, 1),
    )


if __name__ == "__main__":
    main()
