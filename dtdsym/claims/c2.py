"""C2, Proposition 2 (Sixt and Landgraf 2022): with locally constant roots, Definition 3 is gradient x (input - root).

On one network and input: constant roots for all layers, one a layer, each in the open cell of F_l that holds a_l, and
not a_l itself. Proved: R^1(x') = grad f(x) o (x' - root) for every x', not at samples: with constant roots every R^l is
one affine function, whose gradient is made of the layers' masks at the roots, and these are the masks at the input. It
is never refuted, since it is a theorem; it is undecided on hinges.

Proved is bad news: whoever uses locally constant roots computes gradient x (input - root), whatever the roots are."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import ONE, fractions, rational, text
from dtdsym.claims.verdict import Proved, Question, Undecided, Verdict
from dtdsym.geometry.cell import Cell, cell_at
from dtdsym.network.slice import Slice

HALVINGS = 400


def decide(question: Question) -> Verdict:
    """Roots near the input at every layer."""
    statement = "With constant roots Definition 3 is the gradient times the input less the root, identically."
    network = question.one
    if not question.chain:
        return Undecided("c2", statement, "It speaks of plain chains of layers and ReLUs.")
    roots = []
    for number, layer in enumerate(network.layers, start=1):
        a = question.values[layer.source]
        cell = cell_at(Slice(network, layer.source, {}), a)
        if cell.hinged:
            return Undecided("c2", statement, f"The input of layer {number} lies on a hinge.")
        roots.append(_near(cell, a, rational(1, 2 + number)))
    points = [[text(entry) for entry in fractions(root)] for root in roots]
    reason = "So it is with a root in the open cell of every layer's input: all masks are those at the input."
    return Proved("c2", statement, reason, True, {"roots": points})


def _near(cell: Cell, a: np.ndarray, part: Any) -> np.ndarray:
    """A point of a's open cell that is not a: towards the origin, or along the diagonal from it.

    part: of the way, another for each layer, so that a root's image is not the next layer's root."""
    step = -a if (a != 0).any() else a + ONE
    for _ in range(HALVINGS):
        step = step * part
        if cell.holds(a + step):
            return np.asarray(a + step, dtype=object)
    raise AssertionError("no point of an open cell is near its own point: a bug; please report")
