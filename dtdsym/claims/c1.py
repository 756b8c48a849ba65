"""C1: applying Taylor's theorem recursively cannot enlarge the region that roots may come from.

Printed: Sixt and Landgraf 2022, Proposition 1 (Sec. 4.1): the admissible region of the relevance of layer l's neurons
lies in the network's linear region, N_{R^l}(a_l) in N_{F_l}(a_l).

True: as printed it is false, for one neuron and even for all at once. The component on which all neurons that count
keep their states and f_l(a) stays in the region of the layer above lies in N_{F_l}(a_l), since there F_l is one affine
function: the region of a single neuron's relevance, or of all of them, says nothing of the layers above.

Decided: what is printed, at an inner layer l of a plain network, with constant roots in all layers above: then
R^{l+1}_j = G_j (a_{l+1} - root)_j with G = grad F_{l+1}, and R^{l+1}_j o f_l has one gradient where neuron j keeps its
state (everywhere, if G_j = 0 or its weights are 0).

Proved: no such point exists, for any neuron: where the relevance has one gradient, so has the network.

Refuted: a point where all neurons with G_j != 0 keep their states, or where neuron j does, and that lies in another
linear region of F_l.

Undecided: at the last layer, on hinges, on networks that are not plain, and where the budget ends.

Bad news: never. What holds is the proposition as corrected.

Proof: prop1, appendix_a2

Certificate: refuted, the checker evaluates the point again. Proved, it gets a list of cells for each neuron and checks
that none is missing: every wall is no facet, by Farkas multipliers, or leads to a cell of the list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dtdsym.arithmetic.rational import ONE, ZERO, fractions, text
from dtdsym.claims.verdict import Proved, Question, Refuted, Undecided, Verdict
from dtdsym.errors import OnHinge
from dtdsym.geometry.component import Component
from dtdsym.geometry.within import Contained, Escapes, within
from dtdsym.network.slice import Slice

ALL = -1
"""Stands for all neurons together."""


def decide(question: Question) -> Verdict:
    """First all neurons together, which refutes every reading at once; then each alone."""
    statement = (
        f"With constant roots above layer {question.layer}, where its neurons' relevance has one gradient the network "
        "has one, too (Proposition 1 as printed)."
    )
    if question.layer == len(question.plain):
        return Undecided("c1", statement, "It speaks of layers that have another one above them.")
    home, meter = question.home, question.budget.start()
    on_hinge = Undecided("c1", statement, "It is decided off hinges, and the input sits on one.")
    try:
        above = region_above(question)
    except OnHinge:
        return on_hinge
    if home.x_on_hinge or above.x_on_hinge:
        return on_hinge
    contained: list[tuple[int, Contained, list[Any]]] = []
    for neuron, rows, scales in regions(question, above.gradient):
        found = within(home, rows, meter)
        if isinstance(found, Escapes):
            point = [text(entry) for entry in fractions(found.point)]
            who = "all neurons that count keep their states" if neuron == ALL else f"neuron {neuron} keeps its state"
            reason = f"At another point {who}, but the network has another gradient."
            return Refuted("c1", statement, reason, witness={"neuron": neuron, "point": point}, grounds=found)
        contained.append((neuron, found, scales))
    reason = "No facet of the linear region meets the region of any neuron's relevance."
    return Proved("c1", statement, reason, grounds=contained)


def region_above(question: Question) -> Component:
    """The region of F_{l+1} around its layer's input, where it has the gradient G. Raises OnHinge, BudgetSpent."""
    start = question.one.layer(question.layer + 1).source
    return Component(Slice(question.one, start, {}), question.values[start], question.budget)


def regions(question: Question, above: tuple[Any, ...]) -> Iterator[tuple[int, list[list[Any]], list[Any]]]:
    """(neuron or ALL, the half-spaces in which the relevance has one gradient, what multiplies their pre-activations to
    make them whole): of all together, then of each."""
    layer = question.one.layer(question.layer)
    bends = question.plain[question.layer - 1].rectified
    rows = {neuron: _half_space(question, neuron) for neuron in range(layer.size)} if bends else {}
    counting = [neuron for neuron in rows if above[neuron] != 0 and rows[neuron][0]]
    for neuron, own in ((ALL, counting), *((neuron, [neuron]) for neuron in range(layer.size))):
        kept = [rows[one] for one in own if one in counting]
        yield neuron, [row for row, _ in kept], [scale for _, scale in kept]


def _half_space(question: Question, neuron: int) -> tuple[list[Any], Any]:
    """Integers (a, c) with a.x + c > 0 where the neuron keeps its state, none if it never changes it; and what they are
    multiples of the pre-activation by."""
    layer = question.plain[question.layer - 1]
    z, w = question.values[question.one.layer(question.layer).output][neuron], layer.matrix[neuron]
    bias = layer.biases[neuron]
    if z == 0 or not w.any():
        return [], ONE.q
    common = ONE.q
    for entry in (*w, bias):
        common = common.lcm(entry.q)
    sign = 1 if z > ZERO else -1
    return [(entry * common * sign).p for entry in (*w, bias)], common
