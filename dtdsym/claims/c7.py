"""C7: under rules such as z+ the explanation hardly depends on the class that is explained.

Printed: Sixt and Landgraf 2022, Sec. 5.2, against Arras et al. 2022, and Sec. 1; after Sixt, Granz and Landgraf 2020,
who find that the map becomes independent of the deeper layers.

True: rules that propagate by non-negative matrices pass on normalised maps that are means of the columns of one
column-stochastic matrix N. Two of them differ by at most 2 tau(N) in L1, which is small in deep networks, and 0 only if
N has rank 1.

Decided: how far the normalised map can move, however much is changed above the input of layer k (another class, other
weights). The layer's input a_k, what lies below and the rules are kept, and no negative share of a logit arrives at
a_k.

Proved: propagation below layer k is by non-negative matrices at this input, and the map moves by at most 2 tau. tau is
exact, or a proven upper bound of it where exact numbers are out of reach; certificates tell exact ones only.

Refuted: never.

Undecided: for rules that pass on shares of both signs at this input (zplus needs inputs >= 0, zbox one in its box),
where a skip goes around the layer's input, where nothing arrives at the network's input, and where the budget ends.

Bad news: proved, where the map moves by at most 1/10. Then it says next to nothing of the class.

Proof: class_insensitivity

Certificate: tau, and two neurons of layer k whose columns are that far apart; the checker propagates every neuron's
relevance alone, and finds no two that are farther."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dtdsym.arithmetic.rational import text
from dtdsym.arithmetic.written import counted
from dtdsym.claims.verdict import Proved, Question, Undecided, Verdict, sentence
from dtdsym.relevance.class_change import Change
from dtdsym.relevance.insensitivity import LayerInsensitivity, class_insensitivity, rounded_up

SLIGHT = Fraction(1, 10)
"""A map that moves by no more than this in L1 says next to nothing of the class."""
STATEMENT = (
    "Whatever is done above the input of layer {layer}, while that input and the rule are kept and no negative share "
    "arrives there, the normalised map of {rule} at this input moves by at most {bound} in L1"
)
LONGEST = 2000
"""Characters of a measured change; longer ones are told by bounds in multiples of 2^-64."""


def decide(question: Question) -> Verdict:
    """Proved with the bound, and the changes from the explained logit to others beside it."""
    number, rule = question.layer, question.rule
    found = class_insensitivity(question.network, question.x, rule=rule, layers=number, budget=question.budget)
    layer = found.layers[number]
    changes = [change for change in found.changes if question.logit in change.logits]
    measured = {"changes": [_told(change) for change in changes]}
    if layer.tau is None or layer.bound is None or layer.how == "empty":
        statement = f"What is done above the input of layer {number} moves the normalised map of {rule.label} little."
        return Undecided("c7", statement, f"{sentence(layer.why)} {found.farthest}".rstrip(), witness=measured)
    slight = layer.bound <= SLIGHT
    ends = ", so that it is insensitive to the class to within 1/10." if slight else "."
    statement = STATEMENT.format(layer=number, rule=rule.label, bound=rounded_up(layer.bound)) + ends
    bound = {"tau": text(layer.tau), "l1_bound": text(layer.bound), "exact": layer.exact}
    witness = {**bound, "columns": list(layer.witness or ()), **measured}
    return Proved("c7", statement, f"{_reason(layer, layer.bound)} {found.farthest}".rstrip(), slight, witness, layer)


def _reason(layer: LayerInsensitivity, bound: Fraction) -> str:
    head = f"It moves by at most {rounded_up(bound)} in L1: "
    if layer.witness is not None:
        i, j = layer.witness
        return f"{head}relevance that arrives at neuron {i} alone and at neuron {j} alone attains it."
    columns = f"{'all ' * (len(layer.columns) > 1)}{counted(len(layer.columns), 'column')}"
    ways = {
        "enclosure": f"a proven bound of {columns} of the propagation matrix.",
        "composition": "a product of proven bounds of two parts of the network.",
        "trivial": "normalised maps are never farther apart.",
    }
    return head + ways[layer.how] + (f" {sentence(layer.why)}" if layer.why else "")


def _told(change: Change) -> dict[str, Any]:
    """As JSON values."""
    logits = list(change.logits)
    if change.exact and len(text(change.low)) <= LONGEST:
        return {"logits": logits, "l1": text(change.low)}
    low, high = (Fraction(round(end * 2**64 + shift), 2**64) for end, shift in ((change.low, -1), (change.high, 1)))
    return {"logits": logits, "at_least": text(max(low, Fraction(0))), "at_most": text(high)}
