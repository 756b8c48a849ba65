"""Equation 12: from the ReLU neurons' relevance to the input's, in the one-layer network of Section 3.4."""

from __future__ import annotations

import sympy

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import (
    added,
    affine_root,
    minus,
    network,
    preactivations,
    rows,
    scaled,
    taylor_term,
    times,
    vector,
    written,
)

SHAPES = ((2, 3), (3, 2), (1, 2))
"""Neurons and inputs."""


@statement(
    "eq12",
    "the input's relevance as a sum over the neurons",
    place="Section 3.4, equation 12",
    printed="R^x(x) = sum_{j=1}^d ( dR^h_j(x)/dx |_{x~(j)} o (x - x~(j)) ) = sum_{j=1}^d w_j o (x - x~(j)), x in R^d",
    verdict="corrected",
    reason="the sum runs over the k neurons, not over the d inputs; and the derivative of an inactive neuron is 0, not "
    "w_j: w = 1, b = -2, x = 1, x~ = 0 gives 1 for 0",
    corrected="R^x(x) = sum_{j=1}^k m_j w_j o (x - x~(j)), with m_j = 1 for an active neuron (x~(j) in its half-space, "
    "or on its hinge with the gradient from x's side) and m_j = 0 for an inactive one",
    scope="all weights, biases, inputs, patterns of the shapes k x d = 2 x 3, 3 x 2, 1 x 2; the roots are any affine "
    "functions of x, another one for each j",
)
def eq12(proof: Derivation) -> None:
    terms = sympy.MatrixSymbol("T", 2, 3).as_explicit()
    proof.ill_typed(
        "2 neurons and 3 inputs: a sum of d = 3 terms, one for each row of a matrix of 2 rows",
        "(1, 3) * (2, 3)",
        lambda: sympy.ones(1, 3) * terms,
        lambda: sympy.ones(1, 2) * terms,
    )
    proof.say("3 neurons [x1], [x2], [x1 + x2] and 2 inputs, x = (1, 1), all roots 0: the sum to d = 2 omits one.")
    weights, one = ((1, 0), (0, 1), (1, 1)), (1, 1)
    every = [times(w, one) for w in weights]
    proof.counterexample(
        "the sum to d, and the sum over all neurons", added(every[:2]), added(every), values=((1, 1), (2, 2))
    )
    proof.say("An inactive neuron is 0 around x and around all points of its region, and so is its derivative.")
    (w,), (b,), (x,), (root,), (m,) = (vector(name, 1) for name in "wbxrm")
    printed, true = scaled(w, minus((x,), (root,))), taylor_term(m * (w * x + b), (x,), (root,))
    proof.counterexample(
        "[x - 2] at x = 1, root 0, far from the hinge: w (x - x~), and its derivative times (x - x~); m = 0 (equal "
        "where m = 1)",
        printed,
        true,
        {w: 1, b: -2, x: 1, root: 0, m: 0},
        values=(1, 0),
        agrees_at={w: 3, b: -2, x: 5, root: 1, m: 1},
    )
    proof.found(
        "that root is in the cell of x, where the convention for hinges (Section 3.4) does not help",
        lambda at: dtdsym.place(network(([[1]], [-2])), (1,), (at,)).name,
        0,
        "same_cell",
        unlike=2,
    )
    proof.say("Let h_j = m_j (w_j.x + b_j), m_j constant on the neuron's region. Its root x~(j)(x) may depend on x.")
    for k, d in proof.each("shape (neurons, inputs)", SHAPES):
        weights, bias, x, m = rows("w", k, d), vector("b", k), vector("x", d), vector("m", k)
        h = times(m, preactivations(weights, bias, x))
        roots = [affine_root(f"r{j}_", x) for j in range(1, k + 1)]
        passed = [taylor_term(hj, x, root) for hj, root in zip(h, roots, strict=True)]
        expected = [times(scaled(mj, w), minus(x, r)) for mj, w, r in zip(m, weights, roots, strict=True)]
        proof.equal("each neuron's term of Definition 3 is m_j w_j o (x - x~(j))", passed, expected)
        proof.equal("and so is their sum over all k neurons", added(passed), added(expected))
    proof.say("[x1 - x2] + [x1 - 2] at x = (1, 0): the second neuron is inactive. Roots on the hinges, by w2.")
    inactive = network(([[1, -1], [1, 0]], [0, -2]), ([[1, 1]], [0]), final_relu=False)
    roots = [dtdsym.rule_root("w2"), dtdsym.constant_root((0, 0))]
    proof.found(
        "dtdsym.recursion there: (1, -1) o (1/2, -1/2) of the first neuron alone",
        lambda x: written(dtdsym.recursion(inactive, x, roots, check=False)),
        (1, 0),
        "(1/2, 1/2)",
        unlike=(3, 0),
    )


if __name__ == "__main__":
    main()
