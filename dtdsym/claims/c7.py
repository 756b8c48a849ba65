"""C7, class-insensitivity (Sixt and Landgraf 2022, Sec. 4, after Sixt, Granz and Landgraf 2020): whether an explanation
depends on the class at all.

Proved on one network, input and rule whose propagation below layer k is by non-negative matrices at this input: however
much is changed above the input of layer k (another class, other weights), the normalised map moves by at most 2 tau in
L1. The layer's input a_k, what lies below and the rules are kept, and no negative share of a logit arrives at a_k. tau
is exact, or a proven upper bound of it where exact numbers are out of reach; certificates tell exact ones only.

It is never refuted. It is bad news where it proves that the map moves by at most 1/10: then it says next to nothing of
the class. It is undecided for rules that pass on shares of both signs at this input (zplus needs inputs >= 0, zbox one
in its box), where a skip goes around the layer's input, and where nothing arrives at the network's input."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dtdsym.arithmetic.rational import nearest_float, text
from dtdsym.claims.verdict import Proved, Question, Undecided, Verdict, sentence
from dtdsym.relevance.class_change import Change
from dtdsym.relevance.insensitivity import Insensitivity, LayerInsensitivity, class_insensitivity, rounded_up

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
        return Undecided("c7", statement, sentence(layer.why) + _largest(found), witness=measured)
    slight = layer.bound <= SLIGHT
    ends = ", so that it is insensitive to the class to within 1/10." if slight else "."
    statement = STATEMENT.format(layer=number, rule=rule.label, bound=rounded_up(layer.bound)) + ends
    bound = {"tau": text(layer.tau), "l1_bound": text(layer.bound), "exact": layer.exact}
    witness = {**bound, "columns": list(layer.witness or ()), **measured}
    return Proved("c7", statement, _reason(layer, layer.bound) + _largest(found), slight, witness, layer)


def _reason(layer: LayerInsensitivity, bound: Fraction) -> str:
    head = f"It moves by at most {rounded_up(bound)} in L1: "
    if layer.witness is not None:
        i, j = layer.witness
        return f"{head}relevance that arrives at neuron {i} alone and at neuron {j} alone attains it."
    ways = {
        "enclosure": f"a proven bound of all {len(layer.columns):,} columns of the propagation matrix.",
        "composition": "a product of proven bounds of two parts of the network.",
        "trivial": "normalised maps are never farther apart.",
    }
    return head + ways[layer.how] + (f" {sentence(layer.why)}" if layer.why else "")


def _largest(found: Insensitivity) -> str:
    if found.largest is None:
        return ""
    (i, j), by = found.largest.logits, nearest_float(found.largest.l1)
    return f" Of {len(found.changes)} pairs of logits, {i} and {j} differ most, by {by:.4g}."


def _told(change: Change) -> dict[str, Any]:
    """As JSON values."""
    logits = list(change.logits)
    if change.exact and len(text(change.low)) <= LONGEST:
        return {"logits": logits, "l1": text(change.low)}
    low, high = (Fraction(round(end * 2**64 + shift), 2**64) for end, shift in ((change.low, -1), (change.high, 1)))
    return {"logits": logits, "at_least": text(max(low, Fraction(0))), "at_most": text(high)}
