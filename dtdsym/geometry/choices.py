"""F_l's choices at one point by one exact forward pass, and its gradient by one backward pass, where these settle it.

Open at a point are the neurons that are zero there and the windows whose winner ties there, unless they are zero, or
tie, all around. If none is open, F_l is affine around the point. If F_l has no derivative with respect to the output of
any open one, it is affine there too, whatever the open choices: from the top of the network downwards these derivatives
depend on open choices only through further open outputs, which contribute zero times something.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.germ import germ_along
from dtdsym.arithmetic.rational import ONE, RATIONAL, fractions
from dtdsym.geometry.cell import evaluate_germ
from dtdsym.geometry.zeros import taken, zero_entries
from dtdsym.network.evaluate import apply, differentiate
from dtdsym.network.layers import MaxPool, Relu
from dtdsym.network.slice import Slice


@dataclass(frozen=True, eq=False)
class Choices:
    """masks: bending node -> active neurons (width,), or winners of windows (out, k), open ones inactive, and by the
    first of those that tie. open_: bending node -> which of its outputs (width,) are open."""

    function: Slice
    masks: dict[int, np.ndarray]
    open_: dict[int, np.ndarray]

    @property
    def strict(self) -> bool:
        """Whether none is open."""
        return not any(mask.any() for mask in self.open_.values())

    @cached_property
    def derivatives(self) -> dict[int, Any]:
        """Of F_l with respect to every node's value, by these masks, exact."""
        seed = np.array([ONE], dtype=object)
        return differentiate(self.function.network, RATIONAL, self.masks, seed, self.function.start)

    @property
    def gradient(self) -> tuple[Fraction, ...] | None:
        """F_l's at the point; None where open choices count, or may."""
        for node, open_ in self.open_.items():
            if node in self.derivatives and any(entry != 0 for entry in self.derivatives[node][open_]):
                return None
        found = self.derivatives.get(self.function.start)
        return (Fraction(0),) * self.function.size if found is None else fractions(found)


def choices_at(function: Slice, point: np.ndarray) -> Choices:
    """At `point` (size,), exact."""
    network, fixed = function.network, {**function.bypass, function.start: point}
    zeros = {node: np.asarray(value == 0, dtype=bool) for node, value in function.bypass.items()}
    zeros[function.start] = np.zeros(function.size, dtype=bool)
    values: dict[int, Any] = dict(fixed)
    masks, open_ = {}, {}
    for index, node in enumerate(network.nodes):
        if index in fixed or not node.sources or not all(source in values for source in node.sources):
            continue
        values[index] = apply(node, RATIONAL, values)
        zeros[index] = zero_entries(node, zeros)
        if isinstance(node, Relu | MaxPool):
            masks[index], open_[index] = _read(node, values[node.source], values[index], zeros[node.source])
        if isinstance(node, Relu):
            zeros[index] = ~masks[index] & ~open_[index]
    return Choices(function, masks, open_)


def _read(
    node: Relu | MaxPool, value: np.ndarray, output: np.ndarray, zeros: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mask of a ReLU or a max-pool, and which of its outputs are open; zeros: of its source, all around."""
    if not isinstance(node, MaxPool):
        return np.asarray(value > 0, dtype=bool), np.asarray(value == 0, dtype=bool) & ~zeros
    greatest = np.asarray(RATIONAL.take(value, node.index) == output[:, None], dtype=bool)
    first = greatest.argmax(axis=1)[:, None]
    dead = taken(zeros, node.index)
    same = node.index == np.take_along_axis(node.index, first, axis=1)
    ties = same | (dead & np.take_along_axis(dead, first, axis=1))
    mask = np.zeros(greatest.shape, dtype=bool)
    np.put_along_axis(mask, first, True, axis=1)
    return mask, (greatest & ~ties).any(axis=1)


def bends_along(function: Slice, point: np.ndarray, direction: np.ndarray) -> bool:
    """Whether F_l's one-sided slopes at the point along a direction and against it are not one slope: it bends then.
    Where they are, it may bend in other directions."""
    ahead, behind = (_slope(function, point, way) for way in (direction, -direction))
    return bool(ahead + behind != 0)


def _slope(function: Slice, point: np.ndarray, direction: np.ndarray) -> Any:
    found = evaluate_germ(function, germ_along(point, direction))
    return found[len(function.network.nodes) - 1].along(0)[1]
