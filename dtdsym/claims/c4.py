"""C4: on smooth networks full recursion needs derivatives of high order.

Printed: Sixt and Landgraf 2022, Proposition 4 (Sec. 4.4): an analytic activation gives n-ordered derivatives for n
layers.

True: R^1 needs the derivatives of layer l's activation up to order l, where the activation has them and roots are not
locally constant; layers without a ReLU are counted, too. ReLUs hide it, since their higher derivatives are zero.

Decided: on the softplus twin of one network, log(1 + exp(z)) in place of every ReLU and the same weights.

Proved: for every layer l that bends there is a neuron, on a path of non-zero weights from an input to the logit, whose
activation has, at this input, a derivative of order l that is not zero: an enclosure in exact numbers, by Arb balls,
does not hold 0.

Refuted: never: an enclosure cannot show that a derivative is zero.

Undecided: where an enclosure holds 0 or a pre-activation is too large, without a ReLU or a path of weights, on networks
that are not plain, and where the budget ends.

Bad news: never. No explanation is wrong by it, but who wants to compute the recursion on smooth networks pays with the
depth.

Proof: prop4, eq18

Certificate: the neurons and enclosures; the checker encloses every derivative again, with its own series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dtdsym.arithmetic.precision import precision
from dtdsym.arithmetic.rational import fractions, nearest_float, text
from dtdsym.arithmetic.softplus import LARGEST, SOFTPLUS, derivative, is_large
from dtdsym.claims.verdict import Proved, Question, Undecided, Verdict


def decide(question: Question) -> Verdict:
    """The largest derivative of order l among the neurons of every layer l that bends."""
    bending = [layer for layer in question.plain if layer.rectified]
    order = max((layer.number for layer in bending), default=0)
    statement = f"On the softplus twin, full recursion with roots that move needs derivatives up to order {order}."
    if not bending:
        return Undecided("c4", statement, "It speaks of networks with a ReLU.")
    live = _live(question)
    if not all(live[layer.number].any() for layer in bending):
        reason = "No path of non-zero weights leads from an input to the logit: no relevance comes down, of any order."
        return Undecided("c4", statement, reason)
    found = list(_derivatives(question, live))
    if len(found) < len(bending):
        reason = f"A pre-activation of the twin is larger than {LARGEST}, where high derivatives vanish in practice."
        return Undecided("c4", statement, reason)
    sizes = "; ".join(f"order {one['layer']}: {one['size']:.3g} at neuron {one['neuron']}" for one in found)
    witness = {"derivatives": [{key: one[key] for key in ("layer", "neuron", "low", "high")} for one in found]}
    if all(one["apart"] for one in found):
        return Proved("c4", statement, f"None of these is zero at the input: {sizes}.", witness=witness)
    return Undecided("c4", statement, f"Enclosures do not exclude zero: {sizes}.", witness=witness)


def _live(question: Question) -> dict[int, np.ndarray]:
    """For each layer, which of its neurons lie on a path of non-zero weights from an input to the logit."""
    layers = question.plain
    weighted = [np.asarray(layer.matrix != 0) for layer in layers]
    reached = [np.ones(layers[0].width, dtype=bool)]
    for matrix in weighted:
        reached.append(matrix @ reached[-1])
    reaching = [np.ones(layers[-1].size, dtype=bool)]
    for matrix in reversed(weighted):
        reaching.insert(0, reaching[0] @ matrix)
    return {layer.number: r & s for layer, r, s in zip(layers, reached[1:], reaching[1:], strict=True)}


def _derivatives(question: Question, live: Mapping[int, np.ndarray]) -> Iterator[dict[str, Any]]:
    """For each layer l that bends, the live neuron whose derivative of order l is farthest from zero, with its
    enclosure; only up to a layer with a large pre-activation."""
    meter = question.budget.start()
    with precision():
        value = SOFTPLUS.lift(list(fractions(question.x)))
        for layer in question.plain:
            z = layer.preactivation(SOFTPLUS, value)
            value = z
            if not layer.rectified:
                continue
            if any(map(is_large, z)):
                return
            bounds = [derivative(entry, layer.number) for entry in z]
            meter.tick()
            neuron = max(np.flatnonzero(live[layer.number]).tolist(), key=lambda j: max(bounds[j][0], -bounds[j][1]))
            low, high = bounds[neuron]
            yield {
                "layer": layer.number,
                "neuron": neuron,
                "low": text(low),
                "high": text(high),
                "size": nearest_float((low + high) / 2),
                "apart": max(low, -high) > 0,
            }
            value = SOFTPLUS.relu(z)
