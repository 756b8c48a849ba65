"""Roots that are known to lie on the hinge of their own neuron: what no bound could tell.

A hinge root solves w.root + b = 0 exactly, so the neuron's pre-activation is exactly 0 there in whatever arithmetic the
root is computed. What follows from this alone is exact as well, and is left to the arithmetic: batch normalisation
maps 0 to its shift, and where a skip past the layer is added to it, the sum is the skip's value, whose sign is known.
Whether anything bends at the root then shows behind these nodes (meeting_cells.py): the neuron itself, the one behind
the addition if the skip's value is exactly 0, or nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, eq=False)
class OwnHinges:
    """node: holds pre-activations; neurons (n,): which entry of it is exactly 0 at root k, by construction."""

    node: int
    neurons: torch.Tensor

    def known(self, value: Any) -> Any:
        """The node's value (batch, n, width) at the roots, with the entries that are 0 as exact zeros."""
        others = torch.ones(value.shape[1:], dtype=torch.bool, device=self.neurons.device)
        return value * others.scatter(-1, self.neurons[:, None], False)
