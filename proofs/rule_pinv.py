"""One root for a whole layer, by the pseudo-inverse of its weights (in the authors' code, not in the paper)."""

from __future__ import annotations

import sympy

import dtdsym
from machinery import Derivation, main, statement
from machinery.neuron import network, rows, scaled, vector, written


def column(name: str, size: int) -> sympy.Matrix:
    """A vector of symbols as a matrix."""
    return sympy.Matrix(size, 1, vector(name, size))


@statement(
    "rule_pinv",
    "one root on all hinges, by the pseudo-inverse",
    place="not printed; the published analysis code's root for a whole layer",
    printed="W^+ R (W^+ the pseudo-inverse, R the layer's relevance) as the root of all neurons of a layer",
    verdict="corrected",
    reason="its pre-activation is R + b where W has full row rank, not 0: w = 1, b = 0, R = 1 gives 1 for 0",
    corrected="a~ = a - W^+ (W a + b) is on every hinge iff b - W W^+ b = 0; so for every b iff W has full row rank (W "
    "W^+ = I), which needs no more neurons than inputs; it is then the nearest common root, and w^2 for one neuron",
    scope="all W of full row rank 2 x 3, 1 x 2; of full column rank 3 x 2, 2 x 1; of rank 1 and shape 2 x 3, 3 x 2; "
    "all a, b, R; that only full row rank gives W W^+ = I: the rank of a product is at most that of its factors",
    parts=("leftover",),
)
def rule_pinv(proof: Derivation) -> None:
    (w,), (a,), (b,), (r,) = (vector(name, 1) for name in "wabR")
    numbers = {w: 1, b: 0, a: 1, r: 1}
    roots = r / w, a - (w * a + b) / w
    proof.counterexample(
        "one neuron: the pre-activation at W^+ R, and at a root", *(w * e + b for e in roots), numbers, values=(1, 0)
    )
    for k, d in proof.each("shape (neurons, inputs), full row rank", ((2, 3), (1, 2))):
        weights, a, b, r = sympy.Matrix(rows("w", k, d)), column("a", d), column("b", k), column("R", k)
        inverse = weights.T * (weights * weights.T).adjugate() / (weights * weights.T).det()
        _penrose(proof, weights, inverse)
        proof.equal("W W^+ = I", weights * inverse, sympy.eye(k))
        root = a - inverse * (weights * a + b)
        proof.equal("the code's W^+ R has pre-activation R + b", weights * (inverse * r) + b, r + b)
        proof.equal("a~ is on every hinge", weights * root + b, sympy.zeros(k, 1))
        p = column("p", d)
        gap = a - p
        square = (a - root).dot(a - root) + (root - p).dot(root - p)
        multipliers = inverse.T * (a - root)
        proof.equal(
            "|a - p|^2 = |a - a~|^2 + |a~ - p|^2 - 2 u.(W p + b), u = (W^+)^T (a - a~): none on all hinges is nearer",
            gap.dot(gap),
            square - 2 * multipliers.dot(weights * p + b),
        )
        if k == 1:
            own = tuple(weights)
            along = sum(wi * wi for wi in own)
            proof.equal(
                "for one neuron it is the root of the w^2 rule",
                tuple(a - root),
                scaled((weights * a + b)[0] / along, own),
            )
    _leftover(proof)
    one = network(([[1, 2], [1, -1]], [-1, 2]), ([[1, 1]], [0]), final_relu=False)
    proof.found(
        "dtdsym.roots of [x1 + 2 x2 - 1], [x1 - x2 + 2] at (2, 3): both on x1 = -1, x2 = 1",
        lambda x: {written(root) for root in dtdsym.roots(one, (2, 3), x, root="hinge")},
        "pinv",
        {"(-1, 1)"},
        unlike="w2",
    )


def _leftover(proof: Derivation) -> None:
    """Without full row rank."""
    proof.part("leftover")
    for k, d in proof.each("shape (neurons, inputs), full column rank", ((3, 2), (2, 1))):
        weights, a, b = sympy.Matrix(rows("w", k, d)), column("a", d), column("b", k)
        inverse = (weights.T * weights).adjugate() * weights.T / (weights.T * weights).det()
        _penrose(proof, weights, inverse)
        root = a - inverse * (weights * a + b)
        proof.equal("W a~ + b = b - W W^+ b, whatever a is", weights * root + b, b - weights * inverse * b)
        proof.equal("W W^+ has trace d < k, so it is not I", (weights * inverse).trace(), d)
    for k, d in proof.each("shape (neurons, inputs), rank 1: W = u v^T", ((2, 3), (3, 2))):
        u, v, a, b = column("u", k), column("v", d), column("a", d), column("b", k)
        weights, inverse = u * v.T, v * u.T / (u.dot(u) * v.dot(v))
        _penrose(proof, weights, inverse)
        root = a - inverse * (weights * a + b)
        proof.equal("W a~ + b = b - (u.b/u.u) u", weights * root + b, b - u * (u.dot(b) / u.dot(u)))
        (s,) = vector("s", 1)
        parallel = (weights * root + b).subs(dict(zip(b, s * u, strict=True)), simultaneous=True)
        proof.equal("which is 0 where b is a multiple of u, such as b = 0", parallel, sympy.zeros(k, 1))


def _penrose(proof: Derivation, weights: sympy.Matrix, inverse: sympy.Matrix) -> None:
    """W^+ is determined by these four."""
    proof.equal("W W^+ W = W", weights * inverse * weights, weights)
    proof.equal("W^+ W W^+ = W^+", inverse * weights * inverse, inverse)
    proof.equal(
        "W W^+ and W^+ W are symmetric",
        [weights * inverse, inverse * weights],
        [(weights * inverse).T, (inverse * weights).T],
    )


if __name__ == "__main__":
    main()
