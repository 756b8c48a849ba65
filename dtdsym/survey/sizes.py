"""How much work a network is, and from which size on the rationals are out of reach."""

from __future__ import annotations

from dtdsym.network.layers import Convolution
from dtdsym.network.network import Network
from dtdsym.network.work import multiply_adds

SMALL_WORK = 2**13
"""Multiply-adds of a forward pass up to which the rationals are as quick as enclosures of 100 bits."""
EXACT_WORK = 2**24
"""Above, no question is put to the rationals."""
SEARCH_WORK = 2**27
"""Multiply-adds times inputs, likewise, of networks with convolutions: their exact cells have many walls, and exact
relevances in them grow too long."""


def work(network: Network) -> int:
    """Multiply-adds of one forward pass."""
    return multiply_adds(network.nodes)


def is_large(network: Network) -> bool:
    """Whether the rationals are out of reach."""
    size = work(network)
    searched = any(isinstance(node, Convolution) for node in network.nodes) and size * network.sizes[0] > SEARCH_WORK
    return size > EXACT_WORK or searched
