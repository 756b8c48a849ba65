"""Cuts: nodes that every path from the input to the output passes."""

from __future__ import annotations

from dtdsym.network.evaluate import descendants
from dtdsym.network.network import Network
from dtdsym.network.slice import bypassing


def is_cut(network: Network, node: int) -> bool:
    """Whether all that the output knows of the input it knows from this node's value."""
    last = len(network.nodes) - 1
    return (node == last or last in descendants(network, node)) and not bypassing(network, node)


def ancestors(network: Network, node: int) -> frozenset[int]:
    """Ids of the nodes that a node's value depends on, itself included."""
    found = {node}
    for index in range(node, 0, -1):
        if index in found:
            found.update(network.nodes[index].sources)
    return frozenset(found)
