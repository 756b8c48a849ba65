"""How much work a part of a network is."""

from __future__ import annotations

from collections.abc import Iterable

from dtdsym.network.layers import Affine, Convolution, Node


def multiply_adds(nodes: Iterable[Node]) -> int:
    """Of one forward pass through these nodes."""
    total = 0
    for node in nodes:
        if isinstance(node, Affine):
            total += node.weight.size
        elif isinstance(node, Convolution):
            total += node.size * node.windows.entries
    return total
