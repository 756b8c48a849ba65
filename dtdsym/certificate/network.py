"""The network of a certificate file: lowered to the few kinds of nodes that checkers know, and its hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any
from weakref import WeakKeyDictionary

from dtdsym.arithmetic.rational import text
from dtdsym.network.layers import (
    Add,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Input,
    Linear,
    MaxPool,
    Relu,
    Scale,
    Take,
)
from dtdsym.network.network import Network
from dtdsym.network.receptive import Layer

FORMAT = "dtdsym-certificates/2"
_HASHES: WeakKeyDictionary[Network, str] = WeakKeyDictionary()


def network_line(network: Network) -> dict[str, Any]:
    """The line that a file begins with."""
    nodes = lowered(network)
    return {"format": FORMAT, "network": _digest(nodes), "nodes": nodes}


def network_hash(network: Network) -> str:
    """What certificates name the network by: the hash of its nodes as the line has them."""
    if network not in _HASHES:
        _HASHES[network] = _digest(lowered(network))
    return _HASHES[network]


def lowered(network: Network) -> list[dict[str, Any]]:
    """The nodes: every affine map has become weights on receptive fields, with the batch normalisation folded into it.

    A checker that cuts the network to one logit keeps one row of a last linear node. `Network.logit` does so of an
    affine node alone, and behind any other has all neurons; there all entries are taken once more."""
    found: list[dict[str, Any]] = []
    place: dict[int, int] = {}
    end = len(network.nodes) - 1
    while isinstance(network.nodes[end], Relu):
        end = network.nodes[end].sources[0]
    for index, node in enumerate(network.nodes):
        layer = network.linear.get(index)
        if layer is not None:
            found.append(_linear(layer, place[layer.source]))
            whole = not isinstance(layer.linear, Affine) or layer.norm is not None
            if index == end and whole and layer.size > 1:
                found.append({"node": "Take", "sources": [len(found) - 1], "index": list(range(layer.size))})
        elif isinstance(node, Linear):
            continue  # the layer's node stands where the batch normalisation that is folded into it does
        else:
            found.append(_other(node, [place[source] for source in node.sources]))
        place[index] = len(found) - 1
    return found


def _other(node: Input | Relu | Add | Concat | Take | MaxPool, sources: list[int]) -> dict[str, Any]:
    kind = {"node": type(node).__name__}
    match node:
        case Input():
            return {**kind, "size": node.size}
        case Take() | MaxPool():
            return {**kind, "sources": sources, "index": node.index.tolist()}
        case Relu() | Add() | Concat():
            return {**kind, "sources": sources}


def _linear(layer: Layer, source: int) -> dict[str, Any]:
    node = layer.linear
    match node:
        case Affine():
            fields, neurons = [list(range(layer.width))], [[0, j] for j in range(layer.size)]
            weights, bias = _folded(node, layer.norm)
        case Convolution():
            groups, positions, _ = node.windows.index.shape
            channels = len(node.weight)
            fields = node.windows.index.reshape(groups * positions, -1).tolist()
            first = [channel // (channels // groups) * positions for channel in range(channels)]
            neurons = [[first[c] + position, c] for c in range(channels) for position in range(positions)]
            weights, bias = _folded(node, layer.norm)
        case Scale():
            fields, neurons = [[i] for i in range(layer.size)], [[i, i // node.repeat] for i in range(layer.size)]
            weights, bias = [[factor] for factor in node.weight], node.bias.tolist()
        case AveragePool():
            counts = sorted(set(node.counts.tolist()))
            fields, neurons = node.index.tolist(), [[j, counts.index(n)] for j, n in enumerate(node.counts.tolist())]
            weights, bias = [[Fraction(1, n)] * node.index.shape[1] for n in counts], [Fraction(0)] * len(counts)
    return {
        "node": "Linear",
        "sources": [source],
        "layer": layer.number or 0,
        "fields": fields,
        "weights": [[_exact(w) for w in row] for row in weights],
        "bias": [_exact(b) for b in bias],
        "neurons": neurons,
    }


def _folded(node: Affine | Convolution, norm: Scale | None) -> tuple[list[list[Any]], list[Any]]:
    """A row of weights and a bias for each channel: floats, or Fractions where batch normalisation is folded in."""
    rows, bias = node.weight.reshape(len(node.weight), -1).tolist(), node.bias.tolist()
    if norm is None:
        return rows, bias
    factors, offsets = norm.weight.tolist(), norm.bias.tolist()
    scaled = [[factor * Fraction(w) for w in row] for factor, row in zip(factors, rows, strict=True)]
    return scaled, [factor * Fraction(b) + offset for factor, b, offset in zip(factors, bias, offsets, strict=True)]


def _exact(number: float | Fraction) -> str:
    """The number as text; a float in the shortest time, since large networks have millions."""
    if isinstance(number, Fraction):
        return text(number)
    p, q = number.as_integer_ratio()
    return str(p) if q == 1 else f"{p}/{q}"


def _digest(nodes: Sequence[Mapping[str, Any]]) -> str:
    digests: list[str] = []
    for node in nodes:
        content = dict(node)
        if "sources" in node:
            below = [digests[source] for source in node["sources"]]
            content["sources"] = sorted(below) if node["node"] == "Add" else below
        written = json.dumps(content, separators=(",", ":"), sort_keys=True)
        digests.append(hashlib.sha256(f"{FORMAT}|{written}".encode()).hexdigest())
    return digests[-1]
