"""Roots that are known to lie on a hinge, each on that of its own neuron: what no bound could tell.

A hinge root solves w.root + b = 0 exactly, and so it is on the neuron's hinge in whatever arithmetic it is computed. If
all other choices are strict there, two cells meet at it. Where the other choices are the input's, the way to it is in
the input's cell, and it is on the edge (`boundary`) if F_l depends on the neuron, else `same_region_segment`. Where
neither cell has the input's gradient, it is `outside`. Else a search must decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from dtdsym.network.layers import MaxPool, Relu
from dtdsym.network.network import Network


@dataclass(frozen=True, eq=False)
class OwnHinges:
    """Roots each of which is exactly on the hinge of one neuron. relu: the node that bends there, and nothing else does
    by reading the same pre-activation. neurons (n,): whose hinge root k is on."""

    relu: int
    neurons: torch.Tensor

    @staticmethod
    def of(network: Network, node: int, neurons: np.ndarray, device: torch.device) -> OwnHinges | None:
        """For entries `neurons` of a node that are exactly 0; None unless just one node bends by them, a ReLU."""
        readers = [
            index for index, one in enumerate(network.nodes) if node in one.sources and isinstance(one, Relu | MaxPool)
        ]
        if len(readers) != 1 or not isinstance(network.nodes[readers[0]], Relu):
            return None
        return OwnHinges(readers[0], torch.from_numpy(neurons).to(device))

    def filled(self, choices: Mapping[int, torch.Tensor], signs: torch.Tensor) -> dict[int, torch.Tensor]:
        """The choices (batch, n, ...), with signs (batch, n) for the own neurons'."""
        part = choices[self.relu]
        places = self.neurons[:, None].expand(*part.shape[:-1], 1)
        return {**choices, self.relu: part.scatter(-1, places, signs.unsqueeze(-1))}
