"""C3, any explanation can be forged (Sixt and Landgraf 2022, Sec. 4.3), decided exactly for one target.

Proved: affine root functions, admissible at every layer, whose Definition 3 relevance is the target, number for number.
Refuted: no admissible roots reach it, since it is not zero where input i reaches no active neuron (column i of J_1 is
0), or some J_l = 0 with l >= 2 lets nothing through. Proved is bad news: explanations rest on the choice of roots."""

from __future__ import annotations

import numpy as np

from dtdsym.arithmetic.rational import fractions
from dtdsym.claims.verdict import Proved, Question, Refuted, Undecided, Verdict, sentence
from dtdsym.errors import InputError, Unreachable
from dtdsym.network.plain import PlainLayer
from dtdsym.relevance.forge import forge
from dtdsym.relevance.recursion import recursion


def decide(question: Question) -> Verdict:
    """Forge it, and let the recursion confirm it. Raises InputError without a target, OnHinge."""
    if question.target is None:
        raise InputError("claim c3 needs a target: the relevance (in,) that is to be forged")
    statement = "Admissible roots make Definition 3 yield exactly the target."
    last = question.plain[-1]
    if len(question.plain) < 2 or (last.rectified and question.values[len(question.one.nodes) - 1][0] == 0):
        reason = "It speaks of at least two layers, and of a logit above 0 where a ReLU ends the network."
        return Undecided("c3", statement, reason)
    if any(_on_hinge(question, layer) for layer in question.plain):
        return Undecided("c3", statement, "A neuron's pre-activation is 0 at the input.")
    try:
        found = forge(question.one, fractions(question.x), question.target)
    except Unreachable as why:
        return Refuted("c3", statement, sentence(why), grounds=question.target)
    made = recursion(question.one, fractions(question.x), found, check=False, budget=question.budget)
    open_ = [one for layer in made.admissible for one in layer if one.name == "undecided"]
    if open_:
        return Undecided("c3", statement, f"Forged roots are found, but not confirmed: {open_[0].reason}.")
    made.require_admissible()
    assert tuple(made) == question.target, "forged roots that miss their target: a bug; please report"
    reason = f"One affine root for each of {len(found)} layers does it, and the recursion confirms it."
    return Proved("c3", statement, reason, True, grounds=found)


def _on_hinge(question: Question, layer: PlainLayer) -> bool:
    """Whether a neuron with any weight has a pre-activation of 0, before a ReLU."""
    z = question.values[question.one.layer(layer.number).output]
    return layer.rectified and bool((np.asarray(z == 0) & layer.weighted).any())
