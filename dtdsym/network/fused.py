"""The same function with fewer choices: a ReLU next to a max-pool is one more entry, zero, of the pool's windows.

max([z_1], ..., [z_k]) = [max(z_1, ..., z_k)] = max(0, z_1, ..., z_k). Which of the losers are active then divides no
cell, nor which of the negative ones is greatest: choices that nothing depends on, and that multiply the cells of a
linear region beyond any count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dtdsym.network.layers import Input, MaxPool, Node, Relu, Take, with_sources
from dtdsym.network.network import Network
from dtdsym.network.slice import Slice


def fused(function: Slice) -> Slice:
    """F_l with ReLUs taken into the max-pools that they feed, or that feed them; F_l itself where there are none."""
    network = function.network
    fixed = {function.start, *function.bypass}
    if not any(_pair(network.nodes, index, fixed) for index in range(len(network.nodes))):
        return function
    nodes: list[Node] = []
    place: dict[int, int] = {}
    for index, node in enumerate(network.nodes):
        source = _pair(network.nodes, index, fixed)
        if source is None:
            nodes.append(with_sources(node, [place[below] for below in node.sources]))
        else:
            size = network.sizes[source]
            nodes.append(Take(np.append(np.arange(size), -1), place[source]))
            nodes.append(_with_zero(network, index, size, len(nodes) - 1))
        place[index] = len(nodes) - 1
    kept = _used(nodes, {0, *(place[index] for index in fixed)})
    number = {index: new for new, index in enumerate(kept)}
    whole = tuple(with_sources(nodes[index], [number[below] for below in nodes[index].sources]) for index in kept)
    bypass = {number[place[index]]: value for index, value in function.bypass.items()}
    return Slice(replace(network, nodes=whole), number[place[function.start]], bypass)


def _pair(nodes: Sequence[Node], index: int, fixed: set[int]) -> int | None:
    """The node below a max-pool and a ReLU, whichever of them is node `index`, if they can be one; else None.

    Nodes whose values are given, since F_l starts there, stay."""
    node = nodes[index]
    if not isinstance(node, Relu | MaxPool) or node.source in fixed or index in fixed:
        return None
    below = nodes[node.source]
    pair = isinstance(below, Relu) if isinstance(node, MaxPool) else isinstance(below, MaxPool)
    return below.sources[0] if pair else None


def _with_zero(network: Network, index: int, zero: int, source: int) -> MaxPool:
    """The pool of a pair over node `source`, whose entry `zero` joins every window."""
    node = network.nodes[index]
    pool = node if isinstance(node, MaxPool) else network.nodes[node.sources[0]]
    assert isinstance(pool, MaxPool)
    return MaxPool(np.insert(pool.index, pool.index.shape[1], zero, axis=1), source, pool.name)


def _used(nodes: Sequence[Node], wanted: set[int]) -> list[int]:
    """Ids, in order, of the nodes that the last one depends on, and of those that are wanted."""
    used = {len(nodes) - 1, *wanted}
    for index in range(len(nodes) - 1, -1, -1):
        if index in used and not isinstance(nodes[index], Input):
            used.update(nodes[index].sources)
    return sorted(used)
