"""Plain feed-forward networks: layers one after the other, each a linear map, convolution or batch normalisation (or
one of the first two with batch normalisation folded into it) with at most one ReLU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from dtdsym.arithmetic import Arithmetic, Forward
from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.errors import UnsupportedLayer
from dtdsym.network.evaluate import differentiate, evaluate
from dtdsym.network.layers import Input, Relu, with_sources
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
        return isinstance(self.network.nodes[-1], Relu)

    def preactivation(self, ops: Forward, a: Any) -> Any:
        """z = W a + b (..., size) at a (..., width)."""
        return evaluate(self.linear, ops, {0: a})[len(self.linear.nodes) - 1]

    def __call__(self, ops: Arithmetic, a: Any) -> Any:
        """f_l(a)."""
        return evaluate(self.network, ops, {0: a})[len(self.network.nodes) - 1]

    def pull(self, ops: Arithmetic, row: Any) -> Any:
        """row (..., size) times W: (..., width)."""
        return differentiate(self.linear, ops, {}, row)[0]

    @cached_property
    def linear(self) -> Network:
        """The map without its ReLU."""
        nodes = self.network.nodes
        return Network(nodes[:-1] if self.rectified else nodes)

    @cached_property
    def weighted(self) -> np.ndarray:
        """(size,) which neurons depend on the layer's input at all."""
        return np.array([bool(row.any()) for row in self.matrix])

    @cached_property
    def biases(self) -> np.ndarray:
        """b (size,), exact."""
        return np.asarray(self.preactivation(RATIONAL, RATIONAL.lift([0] * self.width)), dtype=object)

    @cached_property
    def matrix(self) -> np.ndarray:
        """W (size, width), exact."""
        return self.pull(RATIONAL, RATIONAL.lift(np.eye(self.size)))


def plain_layers(network: Network) -> tuple[PlainLayer, ...]:
    """The layers f_1, ..., f_n of a plain network. Raises UnsupportedLayer, with the node, for any other."""
    found: list[PlainLayer] = []
    end = 0
    for number, layer in enumerate(network.layers, start=1):
        start = end
        if layer.source != start:
            _refuse(network, start + 1)
        rectified = layer.output + 1 < len(network.nodes) and isinstance(network.nodes[layer.output + 1], Relu)
        end = layer.output + rectified
        own = network.nodes[start + 1 : end + 1]
        bent = next((start + 1 + k for k, node in enumerate(own) if node.sources != (start + k,)), None)
        if bent is not None:
            _refuse(network, bent)
        moved = (with_sources(node, [k]) for k, node in enumerate(own))
        found.append(PlainLayer(number, Network((Input((network.sizes[start],)), *moved))))
    if end != len(network.nodes) - 1:
        _refuse(network, end + 1)
    return tuple(found)


def _refuse(network: Network, index: int) -> NoReturn:
    node = network.nodes[index]
    name = f" {node.name!r}" if node.name else ""
    sources = " and ".join(map(str, node.sources))
    raise UnsupportedLayer(
        f"node {index}{name}, {type(node).__name__} of node {sources}: this is for plain networks, linear "
        "layers or convolutions one after the other, each with at most one ReLU"
    )
