"""C5, "no mechanism to ensure that the root points are within the admissible region" (Sixt and Landgraf 2022, Sec. 3).

Proved on one network: a train-free root of this rule, at this layer and input, leaves the linear region of the layer's
input. Refuted: all roots that exist lie in it. Proved is bad news: the Taylor expansion behind the explanation is not
valid there."""

from __future__ import annotations

from dtdsym.claims.placed import placed_roots
from dtdsym.claims.verdict import Proved, Question, Refuted, Undecided, Verdict
from dtdsym.geometry.placement import INSIDE

STATEMENT = "Train-free roots of {rule} at layer {layer} are not kept inside the linear region of the layer's input."
LEAVES = ("boundary", "same_gradient_elsewhere", "outside")


def decide(question: Question) -> Verdict:
    """Proved with the first root that leaves, refuted with all places."""
    found = placed_roots(question)
    statement = STATEMENT.format(rule=question.rule.label, layer=question.layer)
    first = next((one for one in found if one.name in LEAVES), None)
    counts = {name: sum(one.name == name for one in found) for name in dict.fromkeys(one.name for one in found)}
    if first is not None:
        assert first.place is not None
        reason = f"The root of neuron {first.neuron} is {first.name}: {first.place.reason}."
        witness = {"neuron": first.neuron, "place": first.name, "places": counts}
        return Proved("c5", statement, reason, True, witness, first)
    left = [one for one in found if one.name == "undecided"]
    if left:
        reason = f"No root is known to leave, and {len(left)} of {len(found)} are undecided within the budget."
        return Undecided("c5", statement, reason, witness={"places": counts})
    inside = sum(counts.get(name, 0) for name in INSIDE)
    reason = f"All {inside} roots that exist lie inside, of {len(found)} neurons."
    return Refuted("c5", statement, reason, witness={"places": counts}, grounds=found)
