"""The subdivision of a polyhedron into a network's open cells, one bending node after another.

Below a bending node no choice is left open on a part, so that node's inputs are affine there: their signs, or which
entry of a window is greatest, divide the part exactly. What bends nowhere divides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, Self

from dtdsym.arithmetic.germ import GERM, Germ, Row, integers, is_zero
from dtdsym.geometry.cell import Pattern
from dtdsym.network.evaluate import apply
from dtdsym.network.layers import MaxPool, Relu
from dtdsym.network.network import Network


class Domain(Protocol):
    """What can be subdivided."""

    def divide(self, forms: list[Row]) -> Any:
        """Its open parts on which no form changes sign, each with the signs: (part, signs)."""

    def clip(self, forms: list[Row]) -> Self | None:
        """Its open part on which no form is negative; None if that has no inner points."""


@dataclass(frozen=True, eq=False)
class Part:
    """An open cell: where it is, what the network chooses there, and the network's outputs as affine forms there."""

    domain: Any
    pattern: Pattern
    outputs: Germ


def subdivided(network: Network, inputs: Germ, domain: Domain, share: tuple[int, int] = (0, 1)) -> Iterator[Part]:
    """All open cells of the network in `domain`, one by one; `inputs` are the inputs as affine forms there.

    Memory holds one branch of the search, never all cells. Only cells with inner points are met.
    share (i, n): only those in every n-th part, from the i-th, of what the first bending node makes; the order of
    these depends on nothing but the network."""
    return _from(network, 1, {0: inputs}, domain, (), share)


def _from(
    network: Network, first: int, values: Mapping[int, Germ], domain: Any, pattern: Pattern, share: tuple[int, int]
) -> Iterator[Part]:
    known = dict(values)
    for index in range(first, len(network.nodes)):
        node = network.nodes[index]
        if isinstance(node, Relu | MaxPool):
            source = known[node.source]
            parts = _windows(node, source, domain) if isinstance(node, MaxPool) else _neurons(source, domain)
            for part, signs, value in islice(parts, share[0], None, share[1]):
                yield from _from(network, index + 1, {**known, index: value}, part, (*pattern, *signs), (0, 1))
            return
        known[index] = apply(node, GERM, known)
    if share[0] == 0:
        yield Part(domain, pattern, known[len(network.nodes) - 1])


def _neurons(source: Germ, domain: Any) -> Iterator[tuple[Any, Pattern, Germ]]:
    """Parts by the signs of pre-activations, with those and the ReLU's outputs."""
    rows = source.rows()
    nothing = integers([0] * (source.size + 1))
    for part, signs in domain.divide(rows):
        kept = [row if sign > 0 else nothing for row, sign in zip(rows, signs, strict=True)]
        yield part, signs, source.with_rows(kept)


def _windows(node: MaxPool, source: Germ, domain: Any) -> Iterator[tuple[Any, Pattern, Germ]]:
    """Parts by the winners of all windows, with all entries' choices and the pool's outputs."""
    rows = source.rows()
    windows = [[rows[place] for place in places] for places in node.index.tolist()]
    stack: list[tuple[Any, Pattern, list[Row]]] = [(domain, (), [])]
    while stack:
        part, pattern, outputs = stack.pop()
        if len(outputs) == len(windows):
            yield part, pattern, source.with_rows(outputs)
            continue
        window = windows[len(outputs)]
        for winner, below in _winners(part, window):
            choices = tuple(0 if is_zero(_less(window[winner], row)) else -1 for row in window)
            own = (*choices[:winner], 1, *choices[winner + 1 :])
            stack.append((below, (*pattern, *own), [*outputs, window[winner]]))


def _winners(part: Any, window: list[Row]) -> Iterator[tuple[int, Any]]:
    """Entries of a window that are the greatest somewhere, with where; the first of those that are equal throughout."""
    for entry, row in enumerate(window):
        if any(is_zero(_less(row, earlier)) for earlier in window[:entry]):
            continue
        found = part.clip([_less(row, other) for other in window if other is not row])
        if found is not None:
            yield entry, found


def _less(row: Row, other: Row) -> Row:
    return [a - b for a, b in zip(row, other, strict=True)]
