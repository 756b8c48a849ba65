"""Plain feed-forward networks: layers one after the other, each a linear map or convolution with at most one ReLU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic import Arithmetic
from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.errors import UnsupportedLayer
from dtdsym.network.evaluate import differentiate, evaluate
from dtdsym.network.layers import Affine, Convolution, Input, Node, Relu, with_sources
from dtdsym.network.network import Network


@dataclass(frozen=True, eq=False)
class PlainLayer:
    """f_l : R^width -> R^size, a network of its own: the map, and its ReLU if it has one."""

    number: int
    network: Network

    @property
    def width(self) -> int:
        """d_l."""
        return self.network.sizes[0]

    @property
    def size(self) -> int:
        """d_{l+1}."""
        return self.network.sizes[1]

    @property
    def rectified(self) -> bool:
        """Whether a ReLU follows the map."""
        return len(self.network.nodes) == 3

    def preactivation(self, ops: Arithmetic, a: Any) -> Any:
        """z = W a + b (..., size) at a (..., width)."""
        return evaluate(self.linear, ops, {0: a})[1]

    def __call__(self, ops: Arithmetic, a: Any) -> Any:
        """f_l(a)."""
        return evaluate(self.network, ops, {0: a})[len(self.network.nodes) - 1]

    def pull(self, ops: Arithmetic, row: Any) -> Any:
        """row (..., size) times W: (..., width)."""
        return differentiate(self.linear, ops, {}, row)[0]

    @cached_property
    def linear(self) -> Network:
        """The map without its ReLU."""
        return Network(self.network.nodes[:2])

    @cached_property
    def weighted(self) -> np.ndarray:
        """(size,) which neurons depend on the layer's input at all."""
        return np.array([bool(row.any()) for row in self.matrix])

    @cached_property
    def matrix(self) -> np.ndarray:
        """W (size, width), exact."""
        return self.pull(RATIONAL, RATIONAL.lift(np.eye(self.size)))


def plain_layers(network: Network) -> tuple[PlainLayer, ...]:
    """The layers f_1, ..., f_n of a plain network. Raises UnsupportedLayer, with the node, for any other."""
    found: list[PlainLayer] = []
    for index, node in enumerate(network.nodes[1:], start=1):
        if node.sources != (index - 1,) or not isinstance(node, Affine | Convolution | Relu):
            _refuse(index, node)
        if isinstance(node, Relu):
            if not found or found[-1].rectified:
                _refuse(index, node)
            one: tuple[Node, ...] = (*found.pop().network.nodes, Relu(1, node.name))
        else:
            one = (Input((network.sizes[index - 1],)), with_sources(node, [0]))
        found.append(PlainLayer(len(found) + 1, Network(one)))
    return tuple(found)


def _refuse(index: int, node: Node) -> None:
    raise UnsupportedLayer(
        f"node {index} {node.name!r} is a {type(node).__name__} on {node.sources}: Definition 3 is for plain networks, "
        "linear layers or convolutions one after the other, each with at most one ReLU; see explain for others"
    )
