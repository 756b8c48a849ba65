"""The network: a topologically ordered tuple of nodes, the last of which is the output."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL, exact_floats, fractions, vector
from dtdsym.errors import InputError, ShapeMismatch
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import Add, Affine, Input, Node, Relu, Select


@dataclass(frozen=True, eq=False)
class Network:
    """An exact piecewise linear network R^in -> R^out. nodes[0] is the Input; every source precedes its user.

    Layers are numbered from 1 over the affine nodes, in order. `source` tells people where it came from, and
    `file_sha256` is the hash of the file that it was read from, if any.
    """

    nodes: tuple[Node, ...]
    source: str = ""
    file_sha256: str | None = None

    def __post_init__(self) -> None:
        if not self.nodes or not isinstance(self.nodes[0], Input):
            raise ShapeMismatch("a network starts with its Input node")
        if not self.layers:
            raise ShapeMismatch("there is no linear layer, so no root to audit; give a network with at least one")
        for index, node in enumerate(self.nodes[1:], start=1):
            if isinstance(node, Input) or not all(0 <= source < index for source in node.sources):
                raise ShapeMismatch(f"node {index} {node.name!r}: its sources must be earlier nodes, one Input in all")
        _ = self.sizes

    def __reduce__(self) -> tuple[type[Network], tuple[tuple[Node, ...], str, str | None]]:
        """What was derived from the nodes is derived again where it is needed."""
        return Network, (self.nodes, self.source, self.file_sha256)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Width of every node's value."""
        sizes: list[int] = []
        for node in self.nodes:
            sizes.append(_size(node, sizes))
        return tuple(sizes)

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Node ids of the affine nodes; layer l (from 1) is layers[l - 1]."""
        return tuple(i for i, node in enumerate(self.nodes) if isinstance(node, Affine))

    @property
    def widths(self) -> tuple[int, ...]:
        """Input size, then every layer's output size."""
        return (self.sizes[0], *(self.sizes[i] for i in self.layers))

    @property
    def parameters(self) -> int:
        """Number of weights and biases; a reused layer counts once."""
        arrays = {id(a): a.size for n in self.nodes if isinstance(n, Affine) for a in (n.weight, n.bias)}
        return sum(arrays.values())

    @cached_property
    def sha256(self) -> str:
        """Hash of the exact function as written: node kinds, sources and weights; names and file do not count."""
        digest = hashlib.sha256(b"dtdsym-network/1")
        for node in self.nodes:
            digest.update(f"|{type(node).__name__}{node.sources}".encode())
            if isinstance(node, Input):
                digest.update(str(node.size).encode())
            if isinstance(node, Affine):
                digest.update(f"{node.weight.shape}".encode())
                for array in (node.weight, node.bias):
                    digest.update(np.ascontiguousarray(array + 0.0, dtype="<f8").tobytes())
        return digest.hexdigest()

    def affine(self, layer: int) -> Affine:
        """The affine node of layer l (from 1)."""
        if not 1 <= layer <= len(self.layers):
            raise InputError(f"layer {layer} does not exist; the network has layers 1 to {len(self.layers)}")
        node = self.nodes[self.layers[layer - 1]]
        assert isinstance(node, Affine)
        return node

    def __call__(self, x: Sequence[Any]) -> tuple[Fraction, ...]:
        """Exact output at x (in,): floats are read exactly, nothing is rounded."""
        value = vector(x, size=self.sizes[0], name="x")
        return fractions(evaluate(self, RATIONAL, {0: value})[len(self.nodes) - 1])

    def logit(self, index: int) -> Network:
        """The same network cut to one output: the last affine layer keeps row `index` only, a final ReLU stays."""
        outputs = self.sizes[-1]
        if not 0 <= index < outputs:
            raise InputError(f"logit {index} does not exist; the network has outputs 0 to {outputs - 1}")
        if outputs == 1:
            return self
        if index not in self._logits:
            self._logits[index] = replace(self, nodes=_keep_output(self.nodes, index))
        return self._logits[index]

    @cached_property
    def _logits(self) -> dict[int, Network]:
        """The networks cut so far: one object each, so that what arithmetics make of their weights is kept."""
        return {}


def _size(node: Node, sizes: Sequence[int]) -> int:
    match node:
        case Input():
            return node.size
        case Affine():
            if node.weight.shape[1] != sizes[node.source]:
                raise ShapeMismatch(
                    f"layer {node.name!r} takes {node.weight.shape[1]} numbers but receives {sizes[node.source]}; "
                    "the shapes of consecutive layers must chain"
                )
            return int(node.weight.shape[0])
        case Relu():
            return sizes[node.source]
        case Select():
            return 1
        case Add():
            if sizes[node.left] != sizes[node.right]:
                raise ShapeMismatch(
                    f"addition {node.name!r} of {sizes[node.left]} and {sizes[node.right]} numbers; "
                    "a residual addition needs two values of one size"
                )
            return sizes[node.left]


def _keep_output(nodes: tuple[Node, ...], index: int) -> tuple[Node, ...]:
    """Cut the output to one entry below its final ReLUs; an affine layer keeps one row, anything else is selected."""
    below = len(nodes) - 1
    while isinstance(nodes[below], Relu):
        below = nodes[below].sources[0]
    last, kept = nodes[below], list(nodes[:below])
    if isinstance(last, Affine):
        rows = slice(index, index + 1)
        kept.append(Affine(last.weight[rows].copy(), last.bias[rows].copy(), last.source, last.name))
    else:
        kept.append(last)
        kept.append(Select(below, index, "logit"))
    for node in nodes[below + 1 :]:
        kept.append(Relu(len(kept) - 1, node.name))
    return tuple(kept)


def sequential(*layers: tuple[Iterable[Any], Iterable[Any]], final_relu: bool = True) -> Network:
    """[W_n[... [W_1 x + b_1] ...] + b_n] from (weight, bias) pairs; floats and ints are read exactly."""
    arrays = [(exact_floats(w, name="weight"), exact_floats(b, name="bias")) for w, b in layers]
    nodes: list[Node] = [Input(int(arrays[0][0].shape[1]))]
    for number, (weight, bias) in enumerate(arrays, start=1):
        nodes.append(Affine(weight, bias, len(nodes) - 1, f"layer {number}"))
        if final_relu or number < len(arrays):
            nodes.append(Relu(len(nodes) - 1, f"relu {number}"))
    return Network(tuple(nodes), source="sequential")
