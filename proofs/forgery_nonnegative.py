"""Forged roots in the domain of a layer's inputs: hidden roots without negative entries."""

from __future__ import annotations

from fractions import Fraction

import z3

from dtdsym import forge
from machinery import Derivation, main, statement
from machinery.forged_cases import Case, cases, reach

COUNT, BLIND = 60, 12
"""How many random networks, and how many with an input that reaches no neuron."""


@statement(
    "forgery_nonnegative",
    "forged roots that a ReLU could have put out",
    place="not in the paper; Section 3.4 asks for roots in the input domain",
    printed="Where all biases are <= 0 and the logit is positive, every relevance that can be forged is forged with "
    "hidden roots >= 0",
    verdict="true",
    reason="with L_l < 0 and G_l > 0 a root moves upwards, and some weight of the logit is positive",
    scope="all real numbers, by Z3, for logits of 1 to 3 inputs; 21 random exact networks with biases <= 0 and r != 0, "
    "3 of them with an input that reaches no neuron",
)
def forgery_nonnegative(proof: Derivation) -> None:
    a, form, slope, bias = z3.Reals("a L G b")
    proof.valid(
        "coordinate k of the root is at least a_k, which is >= 0",
        z3.And(a - form / slope > a, a - form / slope >= 0),
        given=[a >= 0, form < 0, slope > 0],
    )
    proof.say(
        "G_l = T W_l[q, k] > 0 for l < n: T takes the sign of the weight, and c_l keeps L_{l+1} negative. At the top:"
    )
    for size in proof.each("number of the logit's inputs", (1, 2, 3)):
        w, inputs = z3.RealVector("w", size), z3.RealVector("a", size)
        proof.valid(
            "a weight is positive where the logit is, for inputs >= 0 and a bias <= 0",
            z3.Or([weight > 0 for weight in w]),
            given=[
                *(one >= 0 for one in inputs),
                bias <= 0,
                z3.Sum([x * y for x, y in zip(w, inputs, strict=True)]) + bias > 0,
            ],
        )
    proof.satisfiable(
        "with a positive bias there need be none: G a + b > 0 with G < 0",
        [slope < 0, a > 0, slope * a + bias > 0],
        [slope, a, bias],
    )
    drawn = cases(COUNT) | cases(BLIND, blind=True)
    random = {name: case for name, case in drawn.items() if case.non_positive and any(case.target)}
    proof.found(
        "how many random networks have biases <= 0 and r != 0, and how many of these an input that reaches no neuron",
        lambda known: (len(known), sum(case.beyond is not None for case in known.values())),
        random,
        (21, 3),
        unlike=drawn,
    )
    for name in proof.each("random network with biases <= 0", random):
        case = random[name]
        proof.found(
            "the relevance is reached with nonnegative=True",
            lambda r, case=case: reach(case.network, case.x, r, nonnegative=True),
            case.target,
            case.target,
            unlike=tuple(r + 1 for r in case.target),
        )
        proof.found(
            "all hidden roots at x's activations have moved upwards (the planted opposite: mirrored at the activation)",
            lambda sign, case=case: all(sign * step >= 0 for step in _steps(case)),
            1,
            True,
            unlike=-1,
        )


def _steps(case: Case) -> list[Fraction]:
    """root - a, all entries, for the hidden layers at x's activations."""
    forged, found = forge(case.network, case.x, case.target, nonnegative=True), []
    for root, a in zip(forged[1:], case.activations[1:], strict=False):
        moved = [
            sum((m * p for m, p in zip(row, a, strict=True)), c)
            for row, c in zip(root.matrix, root.vector, strict=True)
        ]
        found += [p - q for p, q in zip(moved, a, strict=True)]
    return found


if __name__ == "__main__":
    main()
