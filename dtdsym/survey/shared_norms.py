"""Norms of a large network's linear maps: proven once, on all workers together, and told to each of them.

Balls and expansions need a spectral norm for each map (arithmetic/norms.py). To prove them all can take as long as
hundreds of roots, which every process would spend anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from dtdsym.arithmetic.norms import remember_spectral, spectral_of, spectral_of_convolution
from dtdsym.arithmetic.windows import Windows
from dtdsym.network.layers import Affine, Convolution
from dtdsym.network.network import Network
from dtdsym.survey.workers import on_workers


@dataclass(frozen=True, eq=False)
class Proofs:
    """What is sent to the workers: a network, one of whose nodes each part is."""

    network: Network
    device: str

    def __call__(self, node: int) -> float:
        """An upper bound of its map's spectral norm."""
        weight, windows = _map(self.network, node)
        if windows is None:
            return spectral_of(weight, self.device)
        return spectral_of_convolution(weight, windows, self.device)


def prove_on(executor: Executor, network: Network, device: str) -> dict[int, float]:
    """Upper bounds of the spectral norms, by nodes, the largest maps first. Raises BrokenExecutor."""
    nodes = [index for index, node in enumerate(network.nodes) if isinstance(node, Affine | Convolution)]
    nodes.sort(key=lambda index: -_map(network, index)[0].size)
    return dict(on_workers(Proofs(network, device), executor, nodes))


def remember(network: Network, norms: Mapping[int, float]) -> None:
    """From now on these bounds, which were proven elsewhere, are the norms of the network's maps in this process."""
    for node, bound in norms.items():
        remember_spectral(*_map(network, node), bound)


def _map(network: Network, index: int) -> tuple[np.ndarray, Windows | None]:
    node = network.nodes[index]
    if isinstance(node, Convolution):
        return node.weight, node.windows
    assert isinstance(node, Affine)
    return node.weight, None
