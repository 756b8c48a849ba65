"""C3: roots that depend on the layer's input can make Deep Taylor Decomposition yield any explanation.

Printed: Sixt and Landgraf 2022, Proposition 3 and Sec. 4.3: "any explanation could be justified".

True: with two layers or more, off hinges (and f(x) > 0 where a ReLU ends the network), admissible roots reach exactly
the targets that are 0 where input i reaches no active neuron (column i of J_1 is 0); and only 0, if some J_l = 0 with
l >= 2 lets nothing through. Proposition 3's formula itself lacks factors.

Decided: exactly, for one target.

Proved: affine root functions, admissible at every layer, whose Definition 3 relevance is the target, number for number.

Refuted: no admissible roots reach the target, by the theorem; the reason names the input or layer.

Undecided: on networks of one layer or that are not plain, on hinges, and where the budget ends before the roots are
confirmed.

Bad news: proved. The explanation rests on the choice of roots.

Proof: forgery, prop3, forgery_conserving, forgery_nonnegative, forgery_normalised

Certificate: proved, the root functions; the checker runs the recursion on them and finds every root admissible.
Refuted, the target; it finds the masks that let nothing through."""

from __future__ import annotations

import numpy as np

from dtdsym.arithmetic.rational import fractions
from dtdsym.arithmetic.written import counted
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
    reason = f"One affine root for each of {counted(len(found), 'layer')} does it, and the recursion confirms it."
    return Proved("c3", statement, reason, True, grounds=found)


def _on_hinge(question: Question, layer: PlainLayer) -> bool:
    """Whether a neuron with any weight has a pre-activation of 0, before a ReLU."""
    z = question.values[question.one.layer(layer.number).output]
    return layer.rectified and bool((np.asarray(z == 0) & layer.weighted).any())
