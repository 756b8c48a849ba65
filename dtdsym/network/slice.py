"""F_l: the part of a network above a layer's input, for one logit, at one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL, vector
from dtdsym.network.evaluate import descendants, evaluate
from dtdsym.network.layers import MaxPool, Relu
from dtdsym.network.network import Network, checked


@dataclass(frozen=True, eq=False)
class Slice:
    """F_l : R^size -> R, the value of node `start` mapped to the network's single output.

    `bypass` holds the exact values of the nodes that a skip carries past `start`: constants of F_l.
    """

    network: Network
    start: int
    bypass: Mapping[int, np.ndarray]

    @property
    def size(self) -> int:
        """Dimension of the space that F_l lives on."""
        return self.network.sizes[self.start]

    @cached_property
    def bending(self) -> tuple[int, ...]:
        """Ids of the ReLUs and max-pools that belong to F_l, in order: their choices make the activation pattern."""
        below = descendants(self.network, self.start)
        return tuple(i for i, node in enumerate(self.network.nodes) if i in below and isinstance(node, Relu | MaxPool))

    def choices(self, node: int) -> int:
        """Entries of the pattern that a bending node has: its neurons, or all entries of a max-pool's windows."""
        found = self.network.nodes[node]
        return found.index.size if isinstance(found, MaxPool) else self.network.sizes[node]

    def __call__(self, point: np.ndarray) -> Any:
        """F_l(point), exact."""
        values = evaluate(self.network, RATIONAL, {**self.bypass, self.start: point})
        return values[len(self.network.nodes) - 1][0]


def slice_at(network: Network, x: Any, *, logit: int = 0, layer: int = 1) -> tuple[Slice, np.ndarray]:
    """F_l of one logit and the exact a_l, the input of layer l when the network is given x (in,)."""
    one = checked(network).logit(logit)
    start = one.layer(layer).source
    values = evaluate(one, RATIONAL, {0: vector(x, size=network.sizes[0], name="x")})
    return Slice(one, start, {i: values[i] for i in bypassing(one, start)}), values[start]


def bypassing(network: Network, start: int) -> frozenset[int]:
    """Nodes that do not depend on `start` but feed a node that does."""
    below = descendants(network, start)
    feeding = {source for index in below for source in network.nodes[index].sources}
    return frozenset(feeding - below - {start})
