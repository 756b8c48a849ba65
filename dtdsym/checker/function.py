"""F_l: its values, its derivatives, and the same function with fewer choices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Any

from dtdsym.checker.network import Network, Node, Value, over_one

Point = Sequence[Fraction]
Gradient = tuple[Fraction, ...]


@dataclass(frozen=True, eq=False)
class Function:
    """F_l: the value of node `start` to the output; `fixed`: values of the nodes that do not depend on it."""

    network: Network
    start: int
    fixed: dict[int, Value]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The network's."""
        return self.network.nodes

    @property
    def size(self) -> int:
        """d."""
        return self.nodes[self.start].size

    @cached_property
    def above(self) -> list[int]:
        """Ids of the nodes that depend on `start`, in order."""
        found: list[int] = []
        for i, node in enumerate(self.nodes):
            if i > self.start and any(source == self.start or source in found for source in node.sources):
                found.append(i)
        return found

    @cached_property
    def bending(self) -> list[int]:
        """The ReLUs and max-pools among them."""
        return [i for i in self.above if self.nodes[i].kind in ("Relu", "MaxPool")]

    def choices(self, i: int) -> int:
        """Entries of the pattern that a bending node has."""
        node = self.nodes[i]
        return node.size if node.kind == "Relu" else node.size * len(node.windows[0])

    def value(self, p: Point) -> dict[int, Value]:
        """All values at a point."""
        return self.network.values({**self.fixed, self.start: over_one(p)})

    def output(self, p: Point) -> Fraction:
        """F_l(p)."""
        (value,), scale = self.value(p)[len(self.nodes) - 1]
        return Fraction(value, scale)

    def plain_gradient(self, p: Point) -> Gradient | None:
        """The gradient at a point where no neuron is 0 and no window ties; None elsewhere."""
        values = self.value(p)
        masks: dict[int, Any] = {}
        for i in self.bending:
            a, _ = values[self.nodes[i].sources[0]]
            if self.nodes[i].kind == "Relu":
                if 0 in a:
                    return None
                masks[i] = [entry > 0 for entry in a]
            else:
                masks[i] = []
                for window in self.nodes[i].windows:
                    entries = [a[k] for k in window]
                    if entries.count(max(entries)) > 1:
                        return None
                    masks[i].append(window[entries.index(max(entries))])
        return self.derivatives(masks)[self.start]

    def derivatives(self, masks: dict[int, Any]) -> dict[int, Gradient]:
        """Of the output with respect to the nodes that it depends on above `start`, and to that; masks: ReLU -> which
        neurons are active, max-pool -> which entry of its source each window takes."""
        rows: dict[int, tuple[list[int], int]] = {len(self.nodes) - 1: ([1], 1)}
        for i in reversed(self.above):
            if i not in rows:
                continue
            node, (row, scale) = self.nodes[i], rows[i]
            for source, part, own in _pulled(node, row, scale, masks.get(i), self.nodes):
                if source in rows:
                    old, before = rows[source]
                    common = lcm(before, own)
                    rows[source] = (
                        [x * (common // before) + y * (common // own) for x, y in zip(old, part, strict=True)],
                        common,
                    )
                else:
                    rows[source] = part, own
        empty = (Fraction(0),) * self.size
        found = {i: tuple(Fraction(entry, scale) for entry in row) for i, (row, scale) in rows.items()}
        return {self.start: empty, **found}


def _pulled(
    node: Node, row: list[int], scale: int, mask: Any, nodes: Sequence[Node]
) -> Iterable[tuple[int, list[int], int]]:
    """What goes back through a node: (source, derivatives, their denominator)."""
    if node.kind == "Relu":
        yield node.sources[0], [x if active else 0 for x, active in zip(row, mask, strict=True)], scale
    elif node.kind == "Add":
        for source in node.sources:
            yield source, row, scale
    elif node.kind == "Concat":
        first = 0
        for source in node.sources:
            yield source, row[first : first + nodes[source].size], scale
            first += nodes[source].size
    else:
        below = [0] * nodes[node.sources[0]].size
        if node.kind == "Linear":
            for x, (places, weights, _) in zip(row, node.rows, strict=True):
                if x:
                    for i, w in zip(places, weights, strict=True):
                        below[i] += x * w
            scale *= node.scale
        else:
            for x, i in zip(row, mask or [k for (k,) in node.windows], strict=True):
                if i >= 0:
                    below[i] += x
        yield node.sources[0], below, scale


def fused(function: Function) -> Function:
    """The same function with ReLUs taken into the max-pools that they feed, or that feed them."""
    nodes, kept = function.nodes, {function.start, *function.fixed}

    def pair(i: int) -> int | None:
        kinds = nodes[i].kind, nodes[nodes[i].sources[0]].kind if nodes[i].sources else ""
        whole = kinds in (("Relu", "MaxPool"), ("MaxPool", "Relu"))
        return nodes[i].sources[0] if whole and i not in kept and nodes[i].sources[0] not in kept else None

    if not any(pair(i) is not None for i in range(len(nodes))):
        return function
    made: list[Node] = []
    place: dict[int, int] = {}
    for i, node in enumerate(nodes):
        lower = pair(i)
        if lower is None:
            made.append(replace(node, sources=tuple(place[source] for source in node.sources)))
        else:
            size, source = nodes[lower].sources[0], nodes[nodes[lower].sources[0]].size
            windows = (node if node.kind == "MaxPool" else nodes[lower]).windows
            taken = (*((k,) for k in range(source)), (-1,))
            made.append(Node("Take", (place[size],), source + 1, windows=taken))
            longer = tuple((*window, source) for window in windows)
            made.append(Node("MaxPool", (len(made) - 1,), len(longer), windows=longer))
        place[i] = len(made) - 1
    needed = {len(made) - 1, 0, *(place[i] for i in kept)}
    for i in range(len(made) - 1, -1, -1):
        needed |= set(made[i].sources) if i in needed else set()
    number_of = {old: new for new, old in enumerate(sorted(needed))}
    left = tuple(replace(made[i], sources=tuple(number_of[s] for s in made[i].sources)) for i in number_of)
    fixed = {number_of[place[i]]: value for i, value in function.fixed.items()}
    return Function(Network(left, function.network.hash), number_of[place[function.start]], fixed)
