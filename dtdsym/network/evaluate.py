"""The one forward pass and the one backward pass, over any arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from dtdsym.arithmetic import Arithmetic, Forward
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
    inverse_of,
    taken_by,
)

if TYPE_CHECKING:
    from dtdsym.network.network import Network


def evaluate(network: Network, arithmetic: Forward, feeds: Mapping[int, Any]) -> dict[int, Any]:
    """Values of all nodes that follow from `feeds` (node id -> value); a fed node is never recomputed.

    Feeding {0: x} evaluates f. Feeding a layer's input, and the values that bypass it, evaluates F_l.
    """
    values = dict(feeds)
    for index, node in enumerate(network.nodes):
        if index not in values and node.sources and all(source in values for source in node.sources):
            values[index] = apply(node, arithmetic, values)
    return values


def stream(network: Network, arithmetic: Forward, feeds: Mapping[int, Any]) -> Iterator[tuple[int, dict[int, Any]]]:
    """(index, values) for every node that follows from `feeds`, or is fed, in order: values holds it, its sources, and
    whatever a later node needs, but nothing else, so that deep networks pass through bounded memory.

    Take what is needed of `values` before going on: the same dictionary comes again."""
    last = {source: index for index, node in enumerate(network.nodes) for source in node.sources}
    values = dict(feeds)
    for index, node in enumerate(network.nodes):
        if index not in values:
            if not node.sources or not all(source in values for source in node.sources):
                continue
            values[index] = apply(node, arithmetic, values)
        yield index, values
        for source in {*node.sources, index}:
            if last.get(source, -1) <= index:
                values.pop(source, None)


def apply(node: Node, ops: Forward, values: Mapping[int, Any]) -> Any:
    """The value of one node, given those of its sources."""
    match node:
        case Affine():
            return ops.affine(node.weight, node.bias, values[node.source])
        case Convolution():
            return ops.convolve(node.weight, node.bias, node.windows, values[node.source])
        case Scale():
            return ops.scale(node.weight, node.bias, values[node.source])
        case Relu():
            return ops.relu(values[node.source])
        case Add():
            return ops.add(values[node.left], values[node.right])
        case Concat():
            return ops.join([values[source] for source in node.sources])
        case Take():
            return ops.take(values[node.source], node.index)
        case MaxPool():
            return ops.pool(values[node.source], node.columns)
        case AveragePool():
            columns = (ops.take(values[node.source], column) for column in node.columns)
            return ops.scale(node.shares, node.nothing, reduce(ops.add, columns))
        case Input():
            raise TypeError("an Input is fed, never computed")


def differentiate(
    network: Network, arithmetic: Arithmetic, masks: Mapping[int, Any], seed: Any, start: int = 0
) -> dict[int, Any]:
    """Derivatives of seed . f with respect to every node's value, back to node `start`, at fixed masks.

    masks: what the arithmetic multiplies exactly by 0 or 1. ReLU node id -> mask of active neurons (..., width);
    MaxPool node id -> mask of the one entry that each window takes (..., width, k).
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


def _pull(network: Network, index: int, row: Any, ops: Arithmetic, masks: Mapping[int, Any]) -> list[Any]:
    node = network.nodes[index]
    match node:
        case Affine():
            return [(node.source, ops.affine(node.transposed, node.no_bias, row))]
        case Convolution():
            return [(node.source, ops.convolve_back(node.weight, node.bias, node.windows, row))]
        case Scale():
            return [(node.source, ops.scale(node.weight, node.no_bias, row))]
        case Relu():
            return [(node.source, row * masks[index])]
        case Add():
            return [(node.left, row), (node.right, row)]
        case Concat() | Take() | MaxPool() | AveragePool():
            return pull_indexed(network, index, row, ops, masks.get(index))
        case Input():
            raise TypeError("an Input has no source to pull back to")


def pull_indexed(network: Network, index: int, row: Any, ops: Arithmetic, mask: Any) -> list[tuple[int, Any]]:
    """What goes back through a node that picks entries: (source, row) for each source. mask: of a MaxPool's winners."""
    node = network.nodes[index]
    match node:
        case Concat():
            ends = list(accumulate(network.sizes[source] for source in node.sources))
            starts = [0, *ends[:-1]]
            return [(s, row[..., i:j]) for s, i, j in zip(node.sources, starts, ends, strict=True)]
        case Take():
            inverse, places = taken_by(node, network.sizes[node.source])
            return [(node.source, ops.take(ops.take_back(row, inverse), places))]
        case MaxPool():
            parts = row[..., None] * mask
        case AveragePool():
            parts = ops.where(node.index >= 0, ops.scale(node.shares, node.nothing, row)[..., None], 0)
        case _:
            raise TypeError(f"a {type(node).__name__} does not pick entries")
    flat = parts.reshape(*row.shape[:-1], node.index.size)
    return [(node.source, ops.take_back(flat, inverse_of(node, network.sizes[node.source])))]


def max_masks(network: Network, index: int, ops: Arithmetic, values: Mapping[int, Any]) -> Any:
    """Which entry each window of MaxPool node `index` takes, (..., out, k): the first of equal ones, as 0 and 1."""
    node = network.nodes[index]
    assert isinstance(node, MaxPool)
    entries = ops.take(values[node.source], node.index)
    if not node.fresh.all():  # what stands twice in a window must not compete with itself
        entries = ops.where(node.fresh, entries, -1 - ops.total(ops.maximum(entries, -entries))[..., None])
    return ops.first_maximum(entries)


def descendants(network: Network, start: int) -> set[int]:
    """Ids of the nodes whose value depends on node `start`, without it."""
    found = {start}
    for index, node in enumerate(network.nodes):
        if any(source in found for source in node.sources):
            found.add(index)
    return found - {start}
