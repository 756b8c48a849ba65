"""Layers that follow one another, as files describe them: the common way to build a Network from one."""

from __future__ import annotations

import numpy as np

from dtdsym.errors import LoadError
from dtdsym.network.layers import Affine, Input, Node, Relu
from dtdsym.network.network import Network

MOST_NODES = 10_000


class Chain:
    """Nodes in order, each the source of the next. The input's size is what the first affine layer takes."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._zeros: dict[int, np.ndarray] = {}

    def affine(self, weight: np.ndarray, bias: np.ndarray | None, name: str) -> None:
        """Append W a + b; weight (out, in), bias (out,) or None for none, both float64."""
        if bias is None:  # one array of zeros for one weight, so that a reused layer stays one layer
            bias = self._zeros.setdefault(id(weight), np.zeros(weight.shape[:1]))
        self._append(Affine(weight, bias, len(self._nodes), name))

    def relu(self, name: str) -> None:
        """Append max(z, 0)."""
        self._append(Relu(len(self._nodes), name))

    def network(self) -> Network:
        """The network of these layers. Raises ShapeMismatch if they do not chain, LoadError if none is affine."""
        first = next((node for node in self._nodes if isinstance(node, Affine)), None)
        if first is None:
            raise LoadError("it holds no linear layer; expected a network with at least one torch.nn.Linear")
        return Network((Input(first.weight.shape[1]), *self._nodes))

    def _append(self, node: Node) -> None:
        if len(self._nodes) >= MOST_NODES:
            raise LoadError(f"it has over {MOST_NODES} layers; expected a network of fewer")
        self._nodes.append(node)
