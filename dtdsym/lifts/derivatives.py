"""Derivatives of a lifted network with respect to its inputs, as terms: the chain rule with choices for masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
import z3

from dtdsym.arithmetic.smt import Smt
from dtdsym.lifts.z3_lift import Z3Lift
from dtdsym.network.evaluate import apply
from dtdsym.network.layers import Affine, Convolution, MaxPool, Node, Relu, Scale


def tangents(
    lift: Z3Lift, named: Mapping[int, np.ndarray] | None = None, assumed: Mapping[tuple[int, int], bool] | None = None
) -> dict[int, np.ndarray]:
    """Node id -> (in, width): the derivative of every entry with respect to every input, where all choices are strict.

    A neuron that is not positive passes no derivative, and a max-pool passes that of the first of its greatest
    entries: off hinges these are the derivatives. Nodes that bypass the inputs have none, and count as 0.
    named: as in `lift_slice`. assumed: (ReLU node, entry) -> whether it counts as active, whatever its sign."""
    function, smt = lift.function, Smt(named)
    size = function.size
    found = {node: smt.lift(np.zeros((size, len(lift.values[node])))) for node in function.bypass}
    found[function.start] = smt.lift(np.eye(size))
    for index, node in enumerate(lift.network.nodes):
        if index in found or not node.sources or not all(source in found for source in node.sources):
            continue
        slopes = found[node.sources[0]]
        match node:
            case Relu():
                masks = [z > 0 for z in lift.values[node.source]]
                for (_, entry), active in (pair for pair in (assumed or {}).items() if pair[0][0] == index):
                    masks[entry] = z3.BoolVal(active)
                value = _masked(slopes, masks)
            case MaxPool():
                value = _of_winners(node, slopes, lift.values[node.source])
            case _:
                value = apply(_without_bias(node), smt, found)
        found[index] = _simplified(value)
    return found


def _without_bias(node: Node) -> Node:
    match node:
        case Affine() | Convolution():
            return replace(node, bias=np.zeros(len(node.bias)))
        case Scale():
            return replace(node, bias=np.array([Fraction(0)] * len(node.bias), dtype=object))
        case _:
            return node


def _masked(slopes: np.ndarray, masks: list[z3.BoolRef]) -> np.ndarray:
    out = np.empty(slopes.shape, dtype=object)
    for place in np.ndindex(*slopes.shape):
        out[place] = z3.If(masks[place[-1]], slopes[place], 0)
    return out


def _of_winners(pool: MaxPool, slopes: np.ndarray, values: tuple[z3.ArithRef, ...]) -> np.ndarray:
    """(in, windows): from the last entry to the first, the first of the greatest is taken last."""
    out = np.empty((len(slopes), len(pool.index)), dtype=object)
    for window, entries in enumerate(pool.index.tolist()):
        wins = [z3.And([values[entry] >= values[other] for other in entries]) for entry in entries]
        for row in range(len(slopes)):
            found = slopes[row, entries[-1]]
            for entry, win in zip(reversed(entries[:-1]), reversed(wins[:-1]), strict=True):
                found = z3.If(win, slopes[row, entry], found)
            out[row, window] = found
    return out


def _simplified(array: np.ndarray) -> np.ndarray:
    out = np.empty(array.shape, dtype=object)
    out.ravel()[:] = [z3.simplify(term) for term in array.ravel()]
    return out
