"""Appendix A.2: the induction by which Proposition 1 is proved."""

from __future__ import annotations

import sympy
import z3

from machinery import Derivation, main, statement
from machinery.definition3 import column, constant_roots, network, vector
from prop1_admissible_regions import literal, relu


@statement(
    "appendix_a2",
    "the induction of Proposition 1's proof",
    place="Appendix A.2",
    printed="R^n(a~_n) = f_{l[xi]}(a~_n); N_{R_{l+1}} subseteq N_{f_{l+1}} implies N_{R^l} subseteq N_{f_l}",
    verdict="refuted",
    reason="the base case equates a vector with a number, and R^n(a) = grad f o (a - a~) has another region than f (f "
    "= [x1], root (x1, x2 + 1): the whole plane); the step forgets the hinges of f_l and that R^{l+1}_j sees one "
    "neuron",
    scope="each failure by its smallest exact example",
    parts=("literal", "step"),
)
def appendix_a2(proof: Derivation) -> None:
    proof.say("Base case. R^n is a vector of d_n entries, f_n[xi] a number:")
    last, a = network(2, 1)[0], vector("a", 2)
    roots = constant_roots(1, 2)
    relevance = last.jacobian.T.multiply_elementwise(column(a) - column(roots(0, a)))
    proof.ill_typed(
        "R^n(a) = f_n(a) with two inputs and one output",
        "(2, 1) + (1, 1)",
        lambda: relevance - column(last(a)),
        lambda: relevance - last.jacobian.T.multiply_elementwise(column(a)),
    )
    proof.say("Its region is another too: n = 1, f = [x1], of two inputs.")
    literal(proof)
    proof.part("step")
    proof.say(
        "Step. The induction hypothesis is about points of layer l + 1. f = [[x1]+ + [x2]+]+: the region of F_2 at a_2 "
        "= (1, 1) is a1 + a2 > 0. Its preimage under f_1 holds x' = (1/2, -1), where f_1 has passed a hinge of its own:"
    )
    x1, x2 = z3.Reals("x1 x2")
    found = proof.satisfiable(
        "a point with f_1(x') in N_{F_2}(a_2), and x2 < 0, so that grad f(x') != grad f(1, 1)",
        [relu(x1) + relu(x2) > 0, x2 < 0],
        [x1, x2],
    )
    gradients = {}
    for name, point in (("x", (1, 1)), ("x'", found)):
        gradients[name] = [sympy.Integer(int(entry > 0)) for entry in point]
    proof.counterexample(
        "grad f at x' if the step held, and grad f(x')", gradients["x"], gradients["x'"], values=((1, 1), (1, 0))
    )
    proof.say("And R^{l+1}_j o f_l may be blind to that hinge: see prop1, where x' is an admissible root of neuron 1.")


if __name__ == "__main__":
    main()
