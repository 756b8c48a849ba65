"""C4, Proposition 4 (Sixt and Landgraf 2022): full recursion with roots that move needs derivatives of high order.

ReLUs hide them, since their higher derivatives are zero. On the softplus twin of one network, log(1 + exp(z)) in place
of every ReLU and the same weights, R^1 needs the derivatives of layer l's activation up to order l where roots are not
locally constant. Proved: for every layer l that bends there is a neuron, on a path of non-zero weights from an input to
the logit, whose activation has, at this input, a derivative of order l that is not zero: an enclosure in exact numbers,
by Arb balls, does not hold 0. Otherwise undecided: an enclosure cannot show that a derivative is zero. Proved is bad
news for who wants to compute the recursion on smooth networks: its cost and its size grow with the order; no
explanation is wrong by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dtdsym.arithmetic.ball import LARGEST, SOFTPLUS, derivative, is_large, precision
from dtdsym.arithmetic.rational import fractions, nearest_float, text
from dtdsym.claims.verdict import Proved, Question, Undecided, Verdict
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import Relu
from dtdsym.network.plain import plain_layers


def decide(question: Question) -> Verdict:
    """The largest derivative of order l among the neurons of every layer l."""
    orders = sum(isinstance(node, Relu) for node in question.one.nodes)
    statement = f"On the softplus twin, full recursion with roots that move needs derivatives up to order {orders}."
    if not question.chain or not orders:
        reason = "It speaks of plain chains of layers and ReLUs."
        return Undecided("c4", statement, reason)
    live = list(_live(question))
    if not all(neurons.any() for neurons in live):
        reason = "No path of non-zero weights leads from an input to the logit: no relevance comes down, of any order."
        return Undecided("c4", statement, reason)
    found = list(_derivatives(question, live))
    if len(found) < orders:
        reason = f"A pre-activation of the twin is larger than {LARGEST}, where high derivatives vanish in practice."
        return Undecided("c4", statement, reason)
    sizes = "; ".join(f"order {one['order']}: {one['size']:.3g} at neuron {one['neuron']}" for one in found)
    witness = {"derivatives": [{key: one[key] for key in ("layer", "order", "neuron", "low", "high")} for one in found]}
    if all(one["apart"] for one in found):
        return Proved("c4", statement, f"None of these is zero at the input: {sizes}.", witness=witness)
    return Undecided("c4", statement, f"Enclosures do not exclude zero: {sizes}.", witness=witness)


def _live(question: Question) -> Iterator[np.ndarray]:
    """For each ReLU in order, which of its neurons lie on a path of non-zero weights from an input to the logit."""
    layers = plain_layers(question.one)
    weighted = [np.array([[bool(w) for w in row] for row in layer.matrix]) for layer in layers]
    reached = [np.ones(layers[0].width, dtype=bool)]
    for matrix in weighted:
        reached.append(matrix @ reached[-1])
    reaching = [np.ones(layers[-1].size, dtype=bool)]
    for matrix in reversed(weighted):
        reaching.insert(0, reaching[0] @ matrix)
    return (r & s for layer, r, s in zip(layers, reached[1:], reaching[1:], strict=True) if layer.rectified)


def _derivatives(question: Question, live: Sequence[np.ndarray]) -> Iterator[dict[str, Any]]:
    """For each ReLU in order, the live neuron whose derivative of that order is farthest from zero, with its enclosure;
    only up to a layer with a large pre-activation."""
    with precision():
        values = evaluate(question.one, SOFTPLUS, {0: SOFTPLUS.lift(list(fractions(question.x)))})
        order = 0
        for node in question.one.nodes:
            if not isinstance(node, Relu):
                continue
            order += 1
            if any(is_large(z) for z in values[node.source]):
                return
            bounds = [derivative(z, order) for z in values[node.source]]
            neuron = max(np.flatnonzero(live[order - 1]).tolist(), key=lambda j: max(bounds[j][0], -bounds[j][1]))
            low, high = bounds[neuron]
            yield {
                "layer": order,
                "order": order,
                "neuron": neuron,
                "low": text(low),
                "high": text(high),
                "size": nearest_float((low + high) / 2),
                "apart": max(low, -high) > 0,
            }
