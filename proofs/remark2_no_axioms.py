"""Remark 2: no axioms single out the Deep Taylor Decomposition. What of it can be decided."""

from __future__ import annotations

from fractions import Fraction

import sympy
import z3

from dtdsym import constant_root, explain, forge, recursion
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement
from machinery.definition3 import affine_roots, definition3, network, vector

SUM = sequential(([[1, 1]], [0]))
"""f = [x1 + x2]."""


def explained(network_and_root: tuple[Network, tuple]) -> tuple[Fraction, ...]:
    """R(1, 1) of a one-layer network with a constant root, checked to be admissible."""
    known, root = network_and_root
    return tuple(recursion(known, (1, 1), [constant_root(root)]))


@statement(
    "remark2",
    "no axioms that single it out",
    place="Section 3.3, Remark 2",
    printed="only vague arguments motivate the recursive application; a set of axioms with a uniqueness result, as for "
    "Shapley values, does not exist for the Deep Taylor Decomposition",
    verdict="true",
    reason="informal. Decidable part: Definition 3 with admissible roots has none of efficiency, symmetry, additivity "
    "and implementation invariance, only a weak dummy property, and is not unique",
    scope="each failure by exact numbers that Z3 finds or dtdsym confirms; the dummy property for all weights, "
    "patterns and affine roots of two shapes. That nobody has found axioms is no mathematical statement",
)
def remark2(proof: Derivation) -> None:
    proof.say(
        "Shapley values are fixed by efficiency, symmetry, dummy and additivity. One active neuron f(x) = [w1 x1 + w2 "
        "x2]+ with a constant root r in the same half-space: R = (w1 (x1 - r1), w2 (x2 - r2)), by Definition 3."
    )
    w1, w2, x1, x2, r1, r2 = z3.Reals("w1 w2 x1 x2 r1 r2")
    unknowns = [w1, w2, x1, x2, r1, r2]
    first, second = w1 * (x1 - r1), w2 * (x2 - r2)
    proof.valid(
        "efficiency, R1 + R2 = f(x), fails for every root inside the half-space",
        first + second < w1 * x1 + w2 * x2,
        given=[w1 * r1 + w2 * r2 > 0],
    )
    proof.satisfiable(
        "symmetry fails: equal weights, equal inputs, R1 != R2, even with an exact root (on the hinge)",
        [
            w1 == 1,
            w2 == 1,
            x1 == 1,
            x2 == 1,
            w1 * r1 + w2 * r2 == 0,
            first != second,
        ],
        unknowns,
    )
    proof.found(
        "R(1, 1) for f = [x1 + x2], root (1/2, 0)",
        explained,
        (SUM, (Fraction(1, 2), 0)),
        (Fraction(1, 2), Fraction(1)),
        unlike=(SUM, (0, Fraction(1, 2))),
    )
    proof.say("Dummy holds for an input that reaches no neuron, whatever the roots: its relevance is 0.")
    for sizes in proof.each("widths", [(2, 3, 1), (3, 2, 2)]):
        layers, x = network(*sizes), vector("x", sizes[0])
        roots = [affine_roots(1, sizes[0]), affine_roots(2, sizes[1])]
        absent = dict.fromkeys(tuple(layers[0].weight.col(0)), 0)
        proof.equal(
            "column 1 of W_1 is 0: R_1 = 0", definition3(layers, roots)[0](x)[0].xreplace(absent), sympy.Integer(0)
        )
    proof.say(
        "It fails for an input that the function does not depend on, if neurons pass it on and cancel: f = [[x1] + "
        "[x2] - [x2] + 1], roots of layer 1 (1/2, 1/2), (1/2, 1/2) and (1/2, 1/4); the same function as [[x1] + 1]: so "
        "Definition 3 depends on the network, not on the function alone."
    )
    cancel = sequential(([[1, 0], [0, 1], [0, 1]], [0, 0, 0]), ([[1, 1, -1]], [1]))
    half, quarter = Fraction(1, 2), Fraction(1, 4)

    def cancelled(last: Fraction) -> tuple[Fraction, ...]:
        roots = [constant_root((half, half)), constant_root((half, half)), constant_root((half, last))]
        return tuple(recursion(cancel, (1, 1), [roots, constant_root((quarter / 2,) * 3)]))

    proof.found("R(1, 1)", cancelled, quarter, (half, -quarter), unlike=half)
    proof.say(
        "Additivity fails for rules, whose roots depend on f: z+ for f = [x1 + x2], g = [x1 - x2], f + g at (2, 1)."
    )

    def zplus(rows: tuple[tuple[int, int], ...]) -> tuple[Fraction, ...]:
        parts = [explain(sequential(([row], [0])), (2, 1), rule="zplus") for row in rows]
        return tuple(map(sum, zip(*parts, strict=True)))

    proof.found("R(f) + R(g)", zplus, ((1, 1), (1, -1)), (Fraction(3), Fraction(1)), unlike=((2, 0),))
    proof.found(
        "R(f + g), f + g = [2 x1] there, as one neuron",
        zplus,
        ((2, 0),),
        (Fraction(4), Fraction(0)),
        unlike=((1, 1), (1, -1)),
    )
    proof.say(
        "And it is not unique: f = [[x1] + [x2]] at (1, 1) has admissible roots for any relevance, two of them here."
    )
    deep = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))

    def forged(target: tuple[int, int]) -> tuple[Fraction, ...]:
        return tuple(recursion(deep, (1, 1), list(forge(deep, (1, 1), target))))

    for target in proof.each("relevance", ((-5, 9), (7, 0))):
        proof.found(
            "R(1, 1) with the forged roots, checked to be admissible",
            forged,
            target,
            tuple(map(Fraction, target)),
            unlike=(1, 1),
        )


if __name__ == "__main__":
    main()
