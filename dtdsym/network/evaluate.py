"""The one forward pass and the one backward pass, over any arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dtdsym.arithmetic import Arithmetic, Forward
from dtdsym.network.layers import Add, Affine, Input, Node, Relu, Select

if TYPE_CHECKING:
    from dtdsym.network.network import Network


def evaluate(network: Network, arithmetic: Forward, feeds: Mapping[int, Any]) -> dict[int, Any]:
    """Values of all nodes that follow from `feeds` (node id -> value); a fed node is never recomputed.

    Feeding {0: x} evaluates f. Feeding a layer's input, and the values that bypass it, evaluates F_l.
    """
    values = dict(feeds)
    for index, node in enumerate(network.nodes):
        if index not in values and node.sources and all(source in values for source in node.sources):
            values[index] = _apply(node, arithmetic, values)
    return values


def _apply(node: Node, arithmetic: Forward, values: Mapping[int, Any]) -> Any:
    match node:
        case Affine():
            return arithmetic.affine(node.weight, node.bias, values[node.source])
        case Relu():
            return arithmetic.relu(values[node.source])
        case Add():
            return arithmetic.add(values[node.left], values[node.right])
        case Select():
            return values[node.source][..., node.index : node.index + 1]
        case Input():
            raise TypeError("an Input is fed, never computed")


def differentiate(
    network: Network, arithmetic: Arithmetic, masks: Mapping[int, Any], seed: Any, start: int = 0
) -> dict[int, Any]:
    """Derivatives of seed . f with respect to every node's value, back to node `start`, at fixed ReLU masks.

    masks: ReLU node id -> mask of active neurons, whatever the arithmetic multiplies exactly by 0 or 1.
    seed: row vector (..., outputs). Nodes that the output does not depend on through `start`'s descendants, or on
    which it does not depend at all, are left out.
    """
    wanted = descendants(network, start) | {start}
    derivatives: dict[int, Any] = {len(network.nodes) - 1: seed}
    for index in range(len(network.nodes) - 1, start, -1):
        if index not in derivatives or index not in wanted:
            continue
        for source, part in _pull(network, index, derivatives[index], arithmetic, masks):
            derivatives[source] = part if source not in derivatives else arithmetic.add(derivatives[source], part)
    return derivatives


def _pull(network: Network, index: int, row: Any, arithmetic: Arithmetic, masks: Mapping[int, Any]) -> list[Any]:
    node = network.nodes[index]
    match node:
        case Affine():
            return [(node.source, arithmetic.affine(node.transposed, node.no_bias, row))]
        case Relu():
            return [(node.source, row * masks[index])]
        case Add():
            return [(node.left, row), (node.right, row)]
        case Select():
            placed = [row if i == node.index else row * 0 for i in range(network.sizes[node.source])]
            return [(node.source, arithmetic.join(placed))]
        case Input():
            raise TypeError("an Input has no source to pull back to")


def descendants(network: Network, start: int) -> set[int]:
    """Ids of the nodes whose value depends on node `start`, without it."""
    found = {start}
    for index, node in enumerate(network.nodes):
        if any(source in found for source in node.sources):
            found.add(index)
    return found - {start}
