"""C2: with locally constant roots, Deep Taylor Decomposition is gradient x (input - root).

Printed: Sixt and Landgraf 2022, Proposition 2 (Sec. 4.2), with a term R(root) besides.

True: without that term, and for roots of layers 2, ..., n that are locally constant; the first layer's root need not
be, but has to be the same for all of its neurons.

Decided: one constant root for each layer, in the open cell of F_l that holds a_l, and neither a_l itself nor what the
root below is mapped to.

Proved: R^1(x') = grad f(x) o (x' - root) for every x', not at samples: with constant roots every R^l is one affine
function, whose gradient is made of the layers' masks at the roots, and these are the masks at the input.

Refuted: never, since it is a theorem.

Undecided: on hinges, on networks that are not plain, and where the budget ends.

Bad news: proved. Whoever uses locally constant roots computes gradient x (input - root), whatever the roots are.

Proof: prop2, prop2_hinges, prop2_on_a_network

Certificate: the roots; the checker finds each in the open cell of its layer's input."""

from __future__ import annotations

import numpy as np

from dtdsym.arithmetic.rational import ONE, RATIONAL, fractions, rational, text
from dtdsym.claims.verdict import Proved, Question, Undecided, Verdict
from dtdsym.geometry.cell import Cell, cell_at
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.slice import Slice

HALVINGS = 400


def decide(question: Question) -> Verdict:
    """Roots near the input at every layer."""
    statement = "With constant roots Definition 3 is the gradient times the input less the root, identically."
    network, meter = question.one, question.budget.start()
    roots: list[np.ndarray] = []
    image = question.x
    for number in range(1, len(question.plain) + 1):
        meter.tick()
        layer = network.layer(number)
        a = question.values[layer.source]
        cell = cell_at(Slice(network, layer.source, {}), a)
        if cell.hinged:
            return Undecided("c2", statement, f"The input of layer {number} lies on a hinge.")
        roots.append(_near(cell, a, image))
        image = _image(network, number, roots[-1])
    points = [[text(entry) for entry in fractions(root)] for root in roots]
    reason = "So it is with a root in the open cell of every layer's input: all masks are those at the input."
    return Proved("c2", statement, reason, True, {"roots": points})


def _image(network: Network, number: int, root: np.ndarray) -> np.ndarray:
    """What the next layer receives when layer `number` receives its root: where the recursion asks for its root."""
    if number == len(network.layers):
        return root
    values = evaluate(network, RATIONAL, {network.layer(number).source: root})
    return np.asarray(values[network.layer(number + 1).source], dtype=object)


def _near(cell: Cell, a: np.ndarray, other: np.ndarray) -> np.ndarray:
    """A point of a's open cell that is neither a nor the other one: towards the origin, or along the diagonal."""
    step = -a if (a != 0).any() else a + ONE
    for _ in range(HALVINGS):
        step = step * rational(1, 2)
        if cell.holds(a + step) and (a + step != other).any():
            return np.asarray(a + step, dtype=object)
    raise AssertionError("no point of an open cell is near its own point: a bug; please report")
