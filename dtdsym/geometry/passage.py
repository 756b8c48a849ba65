"""What bounds tell of F_l's choices on the way from its inputs to its output, and what is certain besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.enclosure import UNDECIDED, sign
from dtdsym.arithmetic.tensor import mask_tensor, take_entries
from dtdsym.geometry.zeros import taken, zero_entries
from dtdsym.network.evaluate import descendants
from dtdsym.network.layers import MaxPool, Node, Relu
from dtdsym.network.network import Network
from dtdsym.network.slice import bypassing


class Passage:
    """F_l's part of the activation pattern, read off node by node: choices, bending node -> (..., choices), UNDECIDED
    where bounds do not tell.

    Known besides the bounds is what is zero on the whole cell: neurons that are certainly inactive, and what follows
    only from these and from constants. Zeros of this kind tie in a window for certain; others may do so at this point
    only, by accident. at_zero: ReLU node -> mask (..., width) of neurons that are exactly 0, perhaps by accident.
    waking: max-pool node -> mask (..., choices) of windows of ReLUs that are zero on the whole cell, but for one that
    is at_zero: it counts as the winner, which it is where it is active, and ties with the others where it is not."""

    def __init__(self, network: Network, start: int, known: Mapping[int, torch.Tensor] | None = None) -> None:
        self.network, self.start, self.known = network, start, known or {}
        self.below, self.beside = descendants(network, start), bypassing(network, start)
        self.zeros: dict[int, np.ndarray] = {}
        self.choices: dict[int, torch.Tensor] = {}
        self.at_zero: dict[int, torch.Tensor] = {}
        self.waking: dict[int, torch.Tensor] = {}

    def look(self, index: int, values: Mapping[int, Any]) -> None:
        """At node `index`, whose value and whose sources' values are known."""
        if index in self.beside:
            self.zeros[index] = values[index].is_zero().cpu().numpy()
        elif index == self.start:
            self.zeros[index] = np.zeros(values[index].shape, dtype=bool)
        elif index in self.below:
            self._read(index, self.network.nodes[index], values)

    def _read(self, index: int, node: Node, values: Mapping[int, Any]) -> None:
        self.zeros[index] = zero_entries(node, self.zeros)
        if isinstance(node, Relu):
            found = sign(values[node.source])
            at_zero = (found == 0) & ~torch.as_tensor(self.zeros[index], device=found.device)
            if at_zero.any():
                self.at_zero[index] = at_zero
                found = found.masked_fill_(at_zero, UNDECIDED)
            if index in self.known:
                found = torch.where(found == UNDECIDED, self.known[index], found)
            self.choices[index] = found
            self.zeros[index] = ((found == -1) | (found == 0)).cpu().numpy()
        elif isinstance(node, MaxPool):
            self.choices[index] = _windows(node, values[node.source], self.zeros[node.source])
            if node.source in self.at_zero:
                self._wake(index, node)

    def _wake(self, index: int, node: MaxPool) -> None:
        wakes = take_entries(self.at_zero[node.source], node.index)
        dead = torch.as_tensor(taken(self.zeros[node.source], node.index), device=wakes.device)
        first = wakes & mask_tensor(node.fresh, wakes.device)
        waking = ((wakes | dead).all(-1) & (first.sum(-1) == 1)).unsqueeze(-1).expand(wakes.shape).flatten(-2)
        found = self.choices[index].masked_fill(waking, 0)
        self.choices[index] = found.masked_fill(waking & first.flatten(-2), 1)
        self.waking[index] = waking


def _windows(node: MaxPool, value: Any, zeros: np.ndarray) -> torch.Tensor:
    """Winners (+1), losers (-1) and identical ties (0) of all windows, (..., out k).

    The entry of greatest lower bound, the first of several, is taken for the winner. It is if that bound exceeds the
    upper bounds of all others, but for those that equal it identically: its repetitions, and zeros if it is one."""
    low, high = (take_entries(bound, node.index) for bound in (value.lower(), value.upper()))
    dead = torch.as_tensor(taken(zeros, node.index), device=low.device)
    greatest = low.amax(-1, keepdim=True)
    winner = (low == greatest) & ((low == greatest).cumsum(-1) == 1)
    same = torch.as_tensor(node.index[:, :, None] == node.index[:, None, :], device=low.device)
    ties = (winner.unsqueeze(-2) & same).any(-1) | (dead & (dead & winner).any(-1, keepdim=True))
    found = torch.full(low.shape, UNDECIDED, dtype=torch.int8, device=low.device)
    found = found.masked_fill(high < greatest, -1).masked_fill(ties, 0).masked_fill(winner, 1)
    return found.flatten(-2)
