"""The same network with the weights of some layers drawn anew, seeded: what sanity checks compare a network with.

A drawn float64 is an exact weight like any other. Weights and biases are drawn from a normal law of mean 0 whose
standard deviation is the root mean square of the layer's own, or are permuted among themselves. Batch normalisation,
whose factors no such law fits, has its channels permuted either way, factor and summand together: as part of the layer
that it is folded into, or as a layer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dtdsym.errors import InputError
from dtdsym.network.layers import Affine, Convolution, Linear, Node, Norm, Scale
from dtdsym.network.network import Network
from dtdsym.network.receptive import Layer

LAWS = ("normal", "permuted")


@dataclass(frozen=True)
class Tied:
    """Layers, by their numbers, that have the same weights: one layer that is used as often, so drawn once."""

    numbers: tuple[int, ...]
    name: str

    def __str__(self) -> str:
        word = "layer" if len(self.numbers) == 1 else "layers"
        plain = not self.name or self.name.isdecimal() or self.name == f"layer {self.numbers[0]}"
        named = "" if plain else f" ({self.name})"
        return f"{word} {' and '.join(map(str, self.numbers))}{named}"


def tied_layers(network: Network) -> tuple[Tied, ...]:
    """All numbered layers, from the output down; tied ones stand together, where the last of them stands."""
    groups: dict[Hashable, list[Layer]] = {}
    for layer in network.layers:
        groups.setdefault(_identity(layer.linear), []).append(layer)
    found = [
        Tied(tuple(layer.number for layer in group if layer.number is not None), group[0].name)
        for group in groups.values()
    ]
    return tuple(sorted(found, key=lambda tied: -max(tied.numbers)))


def randomised(network: Network, layers: Sequence[Tied], *, seed: int, law: str = "normal") -> Network:
    """The network with these layers drawn anew. What is drawn for a layer depends on its number and the seed only, so
    it is the same whichever other layers are drawn. Raises InputError for an unknown law."""
    checked_law(law)
    nodes = list(network.nodes)
    for tied in layers:
        draw = _Draw(np.random.default_rng([seed, tied.numbers[0]]), law)
        for number in tied.numbers:
            layer = network.layer(number)
            places = [layer.output] if layer.norm is None else [layer.norm.source, layer.output]
            for index in places:
                nodes[index] = draw.node(nodes[index])
    source = f"{network.source} with {', '.join(map(str, layers))} drawn anew"
    return replace(network, nodes=tuple(nodes), source=source, file_sha256=None)


def checked_law(law: str) -> str:
    """The law that weights are drawn from. Raises InputError for an unknown one."""
    if law not in LAWS:
        raise InputError(f"weights {law!r}: expected {' or '.join(LAWS)}")
    return law


def unchanged(network: Network, other: Network) -> bool:
    """Whether a randomised network has the weights of the original: permuting equal numbers, or scaling zeros."""
    return all(
        one is two or (np.array_equal(one.weight, two.weight) and np.array_equal(one.bias, two.bias))
        for one, two in zip(network.nodes, other.nodes, strict=True)
        if isinstance(one, Affine | Convolution | Scale) and isinstance(two, Affine | Convolution | Scale)
    )


class _Draw:
    """New weights for one layer's nodes; what was drawn for an array serves wherever the array is used."""

    def __init__(self, rng: np.random.Generator, law: str) -> None:
        self._rng, self._law = rng, law
        self._drawn: dict[Hashable, np.ndarray] = {}

    def node(self, node: Node) -> Node:
        """The node with drawn weights."""
        if isinstance(node, Affine | Convolution):
            return replace(node, weight=self._array(node.weight), bias=self._array(node.bias))
        assert isinstance(node, Scale)
        order = self._keep(_identity(node), lambda: self._rng.permutation(len(node.weight)))
        norm = node.norm and Norm(node.norm.factor[order], node.norm.mean[order], node.norm.bias[order])
        return replace(node, weight=node.weight[order], bias=node.bias[order], norm=norm)

    def _array(self, array: np.ndarray) -> np.ndarray:
        """One new array for each old one, since nodes that share an array are known by it."""
        drawn = self._keep(_buffer(array), lambda: self._new(array))
        return self._keep(id(array), lambda: drawn.reshape(array.shape))

    def _new(self, array: np.ndarray) -> np.ndarray:
        if self._law == "permuted":
            return self._rng.permutation(array.ravel())
        largest = float(abs(array).max()) or 1.0
        return self._rng.normal(0, largest * float(np.sqrt(np.mean((array / largest) ** 2))), array.size)

    def _keep(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        if key not in self._drawn:
            self._drawn[key] = make()
        return self._drawn[key]


def _identity(node: Linear) -> Hashable:
    """The same for two nodes whose weights are one thing that is used twice."""
    if isinstance(node, Affine | Convolution):
        return _buffer(node.weight)
    assert isinstance(node, Scale)
    return node.name, tuple(node.weight), tuple(node.bias)


def _buffer(array: np.ndarray) -> Hashable:
    """Where the numbers lie, and how: views of one array are the same weights, whatever sides of 1 they have."""
    sides = [(n, step) for n, step in zip(array.shape, array.strides, strict=True) if n > 1]
    return array.ctypes.data, tuple(sides)
