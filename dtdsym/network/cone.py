"""Exact values of single neurons, from nothing but what they depend on: their cone.

In a convolutional network a neuron of a low layer sees a small part of the input, so that its sign can be told exactly
where a forward pass in rationals is out of reach."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.network.layers import (
    Add,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Input,
    MaxPool,
    Node,
    Relu,
    Scale,
    Take,
)
from dtdsym.network.network import Network


def cone(network: Network, node: int, entries: np.ndarray) -> dict[int, np.ndarray]:
    """Node id -> the entries (k,), in order, of its value that these entries of `node` depend on, `node` included."""
    needed = {node: np.unique(entries)}
    for index in range(node, 0, -1):
        if index in needed:
            for source, places in _reads(network, index, needed[index]):
                known = needed.get(source, np.empty(0, dtype=np.int64))
                needed[source] = np.union1d(known, places[places >= 0])
    return needed


def work_of(network: Network, needed: Mapping[int, np.ndarray]) -> int:
    """Multiply-adds of an exact evaluation of a cone."""
    total = 0
    for index, entries in needed.items():
        node = network.nodes[index]
        if isinstance(node, Affine):
            total += len(entries) * node.weight.shape[1]
        elif isinstance(node, Convolution):
            total += len(entries) * node.windows.entries
    return total


def values_of(network: Network, needed: Mapping[int, np.ndarray], x: np.ndarray) -> dict[int, np.ndarray]:
    """Node id -> exact values (k,) of the needed entries, for the input x (in,) of floats."""
    found: dict[int, np.ndarray] = {}
    for index in sorted(needed):
        entries = needed[index]
        if isinstance(network.nodes[index], Input):
            found[index] = RATIONAL.lift(x[entries])
            continue
        known = {source: (needed[source], found[source]) for source in network.nodes[index].sources if source in found}
        found[index] = _value(network, index, entries, known)
    return found


Known = Mapping[int, tuple[np.ndarray, np.ndarray]]
"""Source -> the entries of it that are known, in order, and their values."""


def _reads(network: Network, index: int, entries: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(source, places (k, m) that each entry reads there, -1 for a zero) of one node."""
    node = network.nodes[index]
    match node:
        case Affine():
            return [(node.source, np.arange(node.weight.shape[1])[None, :])]
        case Convolution() as convolution:
            positions = convolution.size // len(convolution.weight)
            groups = entries // (convolution.size // convolution.windows.groups)
            return [(convolution.source, convolution.windows.seen(groups, entries % positions))]
        case Scale() | Relu():
            return [(node.source, entries[:, None])]
        case Add():
            return [(source, entries[:, None]) for source in node.sources]
        case Concat():
            return _parts(network, node, entries)
        case Take():
            return [(node.source, node.index[entries][:, None])]
        case MaxPool() | AveragePool():
            return [(node.source, node.index[entries])]
        case Input():
            return []


def _parts(network: Network, node: Concat, entries: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """A part for each source: -1 for the entries that stand in another one."""
    starts = np.cumsum([0, *(network.sizes[source] for source in node.sources)])
    sides = zip(node.sources, starts, starts[1:], strict=False)
    return [(source, np.where((entries >= a) & (entries < b), entries - a, -1)[:, None]) for source, a, b in sides]


def _value(network: Network, index: int, entries: np.ndarray, known: Known) -> np.ndarray:
    node = network.nodes[index]
    read = [_looked_up(*known[source], places) for source, places in _reads(network, index, entries) if source in known]
    if isinstance(node, Affine):
        return _dot(node.weight[entries], read[0], node.bias[entries])
    if isinstance(node, Convolution):
        channel = entries // (node.size // len(node.weight))
        rows = node.weight.reshape(len(node.weight), -1)[channel]
        return _dot(rows, read[0], node.bias[channel])
    return _rest(node, entries, read)


def _rest(node: Node, entries: np.ndarray, read: list[np.ndarray]) -> np.ndarray:
    """Of nodes that multiply by no matrix: read (k, m) for each source."""
    match node:
        case Scale():
            channel = entries // node.repeat
            return read[0][:, 0] * RATIONAL.lift(node.weight[channel]) + RATIONAL.lift(node.bias[channel])
        case Relu():
            return RATIONAL.relu(read[0][:, 0])
        case MaxPool():
            return reduce(RATIONAL.maximum, read[0].T)
        case AveragePool():
            return RATIONAL.total(read[0]) * RATIONAL.lift(node.shares[entries])
        case _:
            return reduce(RATIONAL.add, [part[:, 0] for part in read])


def _looked_up(entries: np.ndarray, values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Values at places (k, m), 0 where a place is -1."""
    index = np.where(places < 0, -1, np.searchsorted(entries, places))
    return RATIONAL.take(values, index)


def _dot(rows: np.ndarray, value: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """sum_i rows_ki value_ki + bias_k; value (k, m), or (1, m) where all read the same."""
    return RATIONAL.total(RATIONAL.lift(rows) * value) + RATIONAL.lift(bias)
