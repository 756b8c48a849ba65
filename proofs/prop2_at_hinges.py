"""Proposition 2 where it needs care: inputs on a hinge, a first root that moves with the input, and the root 0."""

from __future__ import annotations

from fractions import Fraction

import sympy

from dtdsym import OnHinge, constant_root, place, recursion
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement
from machinery.definition3 import (
    Layer,
    any_roots,
    base_case,
    column,
    composed,
    constant_roots,
    definition3,
    gradient,
    network,
    recursive_step,
    vector,
)

STRAIGHT = sequential(([[1], [-1]], [0, 0]), ([[1, -1]], [2]))
"""[[x] - [-x] + 2]: x + 2 around 0."""
SHAPES = [(2, 3), (2, 2, 1), (3, 2, 2)]


@statement(
    "prop2_hinges",
    "inputs on a hinge, and moving first roots",
    place="Section 4.2, Proposition 2: what its hypotheses have to be",
    printed="The first layer's root need not be constant: one root x~(x) for all neurons gives R = grad f o (x - "
    "x~(x)), and x~ = 0 gives gradient x input. But x has to be off the hinges: f can be differentiable at x where "
    "R^2_j o f_1 is not, so that no root is admissible",
    verdict="true",
    reason="the first root is not differentiated; [[x] - [-x] + 2] at 0 has the gradient 1, but [x] and [-x] bend",
    scope="any smooth x~(x), all weights, biases, patterns, three shapes; the hinge by an exact example",
    parts=("moving", "hinge"),
)
def prop2_hinges(proof: Derivation) -> None:
    _moving(proof)
    _hinge(proof)


def _moving(proof: Derivation) -> None:
    proof.part("moving")
    for sizes in proof.each("widths", SHAPES):
        layers, x = network(*sizes), vector("x", sizes[0])
        one = any_roots(1)(0, x)
        above = [constant_roots(l, d) for l, d in enumerate(sizes[1:-1], start=2)]
        slope = gradient(composed(layers, x)[0], x)
        proof.equal(
            "x~(x) an unknown smooth function, one for all j: R = grad f o (x - x~(x))",
            column(definition3(layers, [lambda j, a: any_roots(1)(0, a), *above])[0](x)),
            slope.multiply_elementwise(column(x) - column(one)),
        )
        origin = (sympy.Integer(0),) * sizes[0]
        proof.equal(
            "x~ = 0: R = grad f o x",
            column(definition3(layers, [lambda j, a, origin=origin: origin, *above])[0](x)),
            slope.multiply_elementwise(column(x)),
        )
        signs = dict.fromkeys(slope.free_symbols, 1) | {x[0]: -1}
        value = (slope[0] * x[0]).subs(signs)
        proof.found("LRP_0, which this is (rule_lrp0), can be negative", lambda v: v < 0, value, True, unlike=-value)


def _hinge(proof: Derivation) -> None:
    proof.part("hinge")
    proof.say("f = [[x] - [-x] + 2] at x = 0, constant root c = (1, 1) of layer 2. f(x) = x + 2 on both sides:")
    (x,) = vector("x", 1)
    slopes: dict[str, list[sympy.Expr]] = {"f": [], "R^2_1 o f_1": [], "R^2_2 o f_1": []}
    for masks in ((1, 0), (0, 1)):
        first = Layer(sympy.Matrix([[1], [-1]]), (sympy.Integer(0),) * 2, tuple(map(sympy.Integer, masks)))
        top = Layer(sympy.Matrix([[1, -1]]), (sympy.Integer(2),), (sympy.Integer(1),))
        relevance = recursive_step(base_case(1), top, constant_roots(2, 2))(first((x,)))
        for name, value in zip(slopes, (composed([first, top], (x,))[0], *relevance), strict=True):
            slopes[name].append(sympy.diff(value, x))
    proof.equal("the slopes of f at x > 0 and x < 0", slopes["f"], [1, 1])
    proof.equal("those of R^2_1 o f_1", slopes["R^2_1 o f_1"], [1, 0])
    proof.equal("those of R^2_2 o f_1", slopes["R^2_2 o f_1"], [0, 1])
    proof.say("So at 0 neither has a gradient that a root could share.")
    proof.found(
        "f is differentiable at 0, and 1 is in N_f(0): [[x] + [-x] + 2] bends there",
        _placed,
        STRAIGHT,
        True,
        unlike=sequential(([[1], [-1]], [0, 0]), ([[1, 1]], [2])),
    )
    proof.found(
        "the roots of layer 1 that dtdsym finds admissible at x = 0, and at x = 1/2",
        _admissible,
        0,
        0,
        unlike=Fraction(1, 2),
    )


def _placed(known: Network) -> bool:
    try:
        return place(known, (0,), (1,)).inside
    except OnHinge:
        return False


def _admissible(x: Fraction) -> int:
    """Of the root 1 for both neurons of layer 1, with the root (1, 1) of layer 2."""
    roots = [constant_root([1]), constant_root([1, 1])]
    try:
        found = recursion(STRAIGHT, (x,), roots, check=False).admissible[0]
    except OnHinge:
        return 0
    return sum(one.name == "admissible" for one in found)


if __name__ == "__main__":
    main()
