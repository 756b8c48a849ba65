"""C5: train-free rules do not keep their root points inside the linear region of the layer's input.

Printed: Sixt and Landgraf 2022, Remark 4 (Sec. 3.5): there is no mechanism that would; and Sec. 5.1.

True: as printed. Whether a root leaves is a question about network, rule, layer and input.

Decided: the place of every root of the layer, exactly.

Proved: some root is on the region's boundary, in another region of the same gradient, or outside.

Refuted: all roots that exist lie in the region.

Undecided: where no root is known to leave and some places are undecided within the budget.

Bad news: proved. The Taylor expansion behind the explanation is not valid there.

Proof: remark4, regions_places, regions_boundary, regions_segment

Certificate: the first root that leaves, or all of them. The checker derives each root from the rule again, and places
it by patterns, paths and lists of cells."""

from __future__ import annotations

from dtdsym.arithmetic.written import counted, plural
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
        are = plural(len(left), "is", "are")
        reason = f"No root is known to leave, and {len(left):,} of {len(found):,} {are} undecided within the budget."
        return Undecided("c5", statement, reason, witness={"places": counts})
    inside = sum(counts.get(name, 0) for name in INSIDE)
    exist = f"{counted(inside, 'root that exists lies', 'roots that exist lie')}"
    reason = f"{'All ' * (inside > 1)}{exist} inside, of {counted(len(found), 'neuron')}."
    return Refuted("c5", statement, reason, witness={"places": counts}, grounds=found)
