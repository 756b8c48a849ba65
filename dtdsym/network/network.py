"""The network: a topologically ordered tuple of nodes, the last of which is the output."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL, exact_floats, fractions, vector
from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import InputError, ShapeMismatch
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import (
    Add,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Linear,
    MaxPool,
    Node,
    Relu,
    Scale,
    Take,
    size_of,
)
from dtdsym.network.receptive import Layer


@dataclass(frozen=True, eq=False)
class Network:
    """An exact piecewise linear network R^in -> R^out. nodes[0] is the Input; every source precedes its user.

    Layers are numbered from 1 over linear maps, convolutions and batch normalisation, in order; `fold`: batch
    normalisation that follows a layer is part of that layer. `source` tells people where it came from, and
    `file_sha256` is the hash of the file that it was read from, if any.
    """

    nodes: tuple[Node, ...]
    source: str = ""
    file_sha256: str | None = None
    fold: bool = True

    def __post_init__(self) -> None:
        if not self.nodes or not isinstance(self.nodes[0], Input):
            raise ShapeMismatch("a network starts with its Input node")
        for index, node in enumerate(self.nodes[1:], start=1):
            if isinstance(node, Input) or not all(0 <= source < index for source in node.sources):
                raise ShapeMismatch(f"node {index} {node.name!r}: its sources must be earlier nodes, one Input in all")
        if not self.layers:
            raise ShapeMismatch("there is no linear layer, so no root to audit; give a network with at least one")

    def __reduce__(self) -> tuple[type[Network], tuple[tuple[Node, ...], str, str | None, bool]]:
        """What was derived from the nodes is derived again where it is needed."""
        return Network, (self.nodes, self.source, self.file_sha256, self.fold)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Width of every node's value."""
        sizes: list[int] = []
        for node in self.nodes:
            sizes.append(size_of(node, sizes))
        return tuple(sizes)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input, (channels, *spatial) or (size,)."""
        assert isinstance(self.nodes[0], Input)
        return self.nodes[0].shape

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The numbered layers, layer l (from 1) at l - 1: linear maps, convolutions, batch normalisation not folded."""
        return tuple(layer for layer in self.linear.values() if layer.number is not None)

    @cached_property
    def linear(self) -> Mapping[int, Layer]:
        """Output node id -> layer, for all linear maps in order; average pools and constants have no number.

        Batch normalisation is folded into the layer that it alone follows, if `fold` holds."""
        users = [[i for i, node in enumerate(self.nodes) if index in node.sources] for index in range(len(self.nodes))]
        found: dict[int, Layer] = {}
        number = 0
        folded: set[int] = set()
        for index, node in enumerate(self.nodes):
            if not isinstance(node, Linear) or index in folded:
                continue
            counts = isinstance(node, Affine | Convolution) or (isinstance(node, Scale) and node.norm is not None)
            number += counts
            norm, output = None, index
            if self.fold and isinstance(node, Affine | Convolution) and len(users[index]) == 1:
                follower = self.nodes[users[index][0]]
                channels = len(node.bias)
                if isinstance(follower, Scale) and follower.norm is not None and len(follower.weight) == channels:
                    norm, output = follower, users[index][0]
                    folded.add(output)
            found[output] = Layer(
                node, norm, node.source, output, self.sizes[node.source], self.sizes[index],
                number if counts else None, any(isinstance(self.nodes[user], Relu) for user in users[output]),
            )  # fmt: skip
        return found

    @cached_property
    def nonnegative(self) -> frozenset[int]:
        """Ids of the nodes that can hold no negative value, whatever the input: ReLUs, and sums and picks of them."""
        found: set[int] = set()
        for index, node in enumerate(self.nodes):
            keeps = isinstance(node, Add | Concat | Take | MaxPool | AveragePool) and found.issuperset(node.sources)
            if isinstance(node, Relu) or keeps:
                found.add(index)
        return frozenset(found)

    def unfolded(self) -> Network:
        """The same function, with batch normalisation as layers of its own."""
        return replace(self, fold=False)

    @property
    def widths(self) -> tuple[int, ...]:
        """Input size, then every layer's output size."""
        return (self.sizes[0], *(layer.size for layer in self.layers))

    @property
    def parameters(self) -> int:
        """Number of weights and biases; a reused layer counts once."""
        arrays = {
            id(array): array.size
            for node in self.nodes
            if isinstance(node, Affine | Convolution) or (isinstance(node, Scale) and node.norm is not None)
            for array in (node.weight, node.bias)
        }
        return sum(arrays.values())

    @cached_property
    def least_weight(self) -> float:
        """The size of the smallest weight that is not 0, rounded; inf if all are."""
        arrays = [abs(node.weight) for node in self.nodes if isinstance(node, Affine | Convolution | Scale)]
        return float(
            min((array[array != 0].min(initial=np.inf) for array in arrays if (array != 0).any()), default=np.inf)
        )

    @cached_property
    def sha256(self) -> str:
        """Hash of the exact function as written: how nodes are wired, and their weights; names, files, the order of
        independent nodes and how the input is shaped do not count."""
        digests: list[bytes] = []
        for node in self.nodes:
            below = [digests[source] for source in node.sources]
            digest = hashlib.sha256(f"dtdsym-network/2|{type(node).__name__}|".encode())
            for part in sorted(below) if isinstance(node, Add) else below:
                digest.update(part)
            for part in _contents(node):
                digest.update(part)
            digests.append(digest.digest())
        return digests[-1].hex()

    def layer(self, number: int) -> Layer:
        """Layer l (from 1). Raises InputError if there is none."""
        found = whole_number(number)
        if found is None or not 1 <= found <= len(self.layers):
            raise InputError(f"layer {number!r} does not exist; the network has layers 1 to {len(self.layers)}")
        return self.layers[found - 1]

    def __call__(self, x: Any) -> tuple[Fraction, ...]:
        """Exact output at x, (in,) or in the input's shape: floats are read exactly, nothing is rounded."""
        shaped = tuple(getattr(x, "shape", ())) == self.input_shape and len(self.input_shape) > 1
        value = vector(x.reshape(-1) if shaped else x, size=self.sizes[0], name="x")
        return fractions(evaluate(self, RATIONAL, {0: value})[len(self.nodes) - 1])

    def logit(self, index: int) -> Network:
        """The same network cut to one output: the last linear layer keeps row `index` only, a final ReLU stays."""
        outputs, row = self.sizes[-1], whole_number(index)
        if row is None or not 0 <= row < outputs:
            raise InputError(f"logit {index!r} does not exist; the network has outputs 0 to {outputs - 1}")
        if outputs == 1:
            return self
        if row not in self._logits:
            self._logits[row] = replace(self, nodes=_keep_output(self.nodes, row))
        return self._logits[row]

    @cached_property
    def _logits(self) -> dict[int, Network]:
        """The networks cut so far: one object each, so that what arithmetics make of their weights is kept."""
        return {}


def checked(network: Any) -> Network:
    """The network, if it is one. Raises InputError otherwise, with the way to read it."""
    if isinstance(network, Network):
        return network
    way = "dtdsym.from_module(module, example_input)" if hasattr(network, "state_dict") else "dtdsym.load(path)"
    raise InputError(f"the network is a {type(network).__name__}; read it first: {way} makes a dtdsym.Network")


def _contents(node: Node) -> Iterator[bytes]:
    """What a node is besides its kind and sources."""
    match node:
        case Input():
            yield str(node.size).encode()
        case Affine() | Convolution():
            yield f"{node.weight.shape}{getattr(node, 'windows', '')}".encode()
            for array in (node.weight, node.bias):
                yield np.ascontiguousarray(array + 0.0, dtype="<f8").tobytes()
        case Scale():
            yield f"{node.norm is not None}{node.repeat}{[str(n) for n in (*node.weight, *node.bias)]}".encode()
        case Take() | MaxPool():
            yield f"{node.index.shape}".encode() + np.ascontiguousarray(node.index, dtype="<i8").tobytes()
        case AveragePool():
            for index in (node.index, node.counts):
                yield f"{index.shape}".encode() + np.ascontiguousarray(index, dtype="<i8").tobytes()
        case Relu() | Add() | Concat():
            return


def _keep_output(nodes: tuple[Node, ...], index: int) -> tuple[Node, ...]:
    """Cut the output to one entry below its final ReLUs; an affine layer keeps one row, anything else is picked."""
    below = len(nodes) - 1
    while isinstance(nodes[below], Relu):
        below = nodes[below].sources[0]
    last, kept = nodes[below], list(nodes[:below])
    if isinstance(last, Affine):
        rows = slice(index, index + 1)
        kept.append(Affine(last.weight[rows].copy(), last.bias[rows].copy(), last.source, last.name))
    else:
        kept.append(last)
        kept.append(Take(np.array([index]), below, "logit"))
    for node in nodes[below + 1 :]:
        kept.append(Relu(len(kept) - 1, node.name))
    return tuple(kept)


def sequential(*layers: tuple[Iterable[Any], Iterable[Any]], final_relu: bool = True) -> Network:
    """[W_n[... [W_1 x + b_1] ...] + b_n] from (weight, bias) pairs; floats and ints are read exactly."""
    arrays = [(exact_floats(w, name="weight"), exact_floats(b, name="bias")) for w, b in layers]
    nodes: list[Node] = [Input((int(arrays[0][0].shape[1]),))]
    for number, (weight, bias) in enumerate(arrays, start=1):
        nodes.append(Affine(weight, bias, len(nodes) - 1, f"layer {number}"))
        if final_relu or number < len(arrays):
            nodes.append(Relu(len(nodes) - 1, f"relu {number}"))
    return Network(tuple(nodes), source="sequential")
