"""The network of a certificate file: its nodes, its hash, and its exact values.

A value is a list of integers over one positive denominator. A linear node has a row for each entry of its value:
(places in its source, integer weights, integer bias), over one denominator for the node."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

from dtdsym.checker.reading import Refused, each, index, items, keys, point, record, shown, text

FORMAT = "dtdsym-certificates/2"
LARGEST = 1 << 24  # entries of a node and of all nodes together, weights of a node's neurons
KEYS = {
    "Input": ("size",),
    "Linear": ("sources", "layer", "fields", "weights", "bias", "neurons"),
    "Relu": ("sources",),
    "Add": ("sources",),
    "Concat": ("sources",),
    "Take": ("sources", "index"),
    "MaxPool": ("sources", "index"),
}
Value = tuple[list[int], int]
Row = tuple[list[int], list[int], int]


@dataclass(frozen=True)
class Node:
    """kind: one of KEYS. layer: the number of a Linear node, or 0. windows: of a MaxPool or Take."""

    kind: str
    sources: tuple[int, ...]
    size: int
    rows: tuple[Row, ...] = ()
    scale: int = 1
    layer: int = 0
    windows: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Network:
    """nodes in order; hash as FORMAT.md defines it."""

    nodes: tuple[Node, ...]
    hash: str

    def values(self, known: dict[int, Value]) -> dict[int, Value]:
        """All values that follow from the known ones."""
        found = dict(known)
        for i, node in enumerate(self.nodes):
            if i not in found and node.sources and all(source in found for source in node.sources):
                found[i] = _value(node, [found[source] for source in node.sources])
        return found


def _value(node: Node, sources: list[Value]) -> Value:
    a, scale = sources[0]
    match node.kind:
        case "Linear":
            out = [sum([w * a[i] for i, w in zip(places, ws, strict=True)]) + b * scale for places, ws, b in node.rows]
            return out, scale * node.scale
        case "Relu":
            return [max(entry, 0) for entry in a], scale
        case "Take":
            return [0 if i < 0 else a[i] for (i,) in node.windows], scale
        case "MaxPool":
            return [max([a[i] for i in window]) for window in node.windows], scale
    common = lcm(*(other for _, other in sources))
    parts = [[entry * (common // own) for entry in entries] for entries, own in sources]
    if node.kind == "Add":
        return [left + right for left, right in zip(*parts, strict=True)], common
    return [entry for part in parts for entry in part], common


def fractions(value: Value) -> list[Fraction]:
    """A value's numbers."""
    return [Fraction(entry, value[1]) for entry in value[0]]


def over_one(numbers: Any) -> Value:
    """Numbers over one denominator."""
    common = lcm(1, *(entry.denominator for entry in numbers))
    return [entry.numerator * (common // entry.denominator) for entry in numbers], common


def read_network(line: dict[str, Any]) -> Network:
    """The network line; the hash must be that of the nodes."""
    if line.get("format") != FORMAT:
        raise Refused(f"format {shown(line.get('format'))} is unknown; this is a checker of {FORMAT}")
    keys(line, "format", "network", "nodes")
    nodes: list[Node] = []
    digests: list[str] = []
    entries = layers = 0
    for place, entry in enumerate(items(line["nodes"], "nodes")):
        node = _node(record(entry, f"node {place}"), nodes, f"node {place}")
        entries = _limited(entries + node.size, "all nodes")
        layers += node.layer > 0
        if node.layer not in (0, layers):
            raise Refused(f"node {place}: layer {node.layer} stands where layer {layers} belongs")
        below = [digests[source] for source in node.sources]
        content = {**entry, "sources": sorted(below) if node.kind == "Add" else below} if below else entry
        written = json.dumps(content, separators=(",", ":"), sort_keys=True)
        digests.append(hashlib.sha256(f"{FORMAT}|{written}".encode()).hexdigest())
        nodes.append(node)
    if not layers:
        raise Refused("a network without a layer")
    if line["network"] != digests[-1]:
        raise Refused(f"the network's hash is {digests[-1]}, not the {shown(line['network'])} that is stated")
    return Network(tuple(nodes), digests[-1])


def _node(entry: dict[str, Any], nodes: list[Node], what: str) -> Node:
    kind = text(entry.get("node"), f"{what}: node")
    if (kind == "Input") != (not nodes):
        raise Refused(f"{what}: the first node, and no other, is the Input")
    if kind not in KEYS:
        raise Refused(f"{what}: a node of kind {shown(kind)} is unknown")
    keys(entry, "node", *KEYS[kind])
    if kind == "Input":
        return Node(kind, (), _limited(index(entry["size"], None, f"{what}: size", 1), what))
    sources = tuple(each(entry["sources"], f"{what}: sources", lambda s, w: index(s, len(nodes), w)))
    sizes = [nodes[source].size for source in sources]
    if len(sources) != {"Add": 2, "Concat": max(2, len(sources))}.get(kind, 1):
        raise Refused(f"{what}: {len(sources)} sources are too few or too many")
    match kind:
        case "Linear":
            return _linear(entry, sources, sizes[0], what)
        case "Concat":
            return Node(kind, sources, _limited(sum(sizes), what))
        case "Take":
            taken = each(entry["index"], f"{what}: index", lambda i, w: (index(i, sizes[0], w, -1),))
            return Node(kind, sources, _limited(len(taken), what), windows=tuple(taken))
        case "MaxPool":
            windows = _table(entry["index"], sizes[0], 0, f"{what}: index")
            return Node(kind, sources, len(windows), windows=tuple(windows))
    if len(set(sizes)) > 1:
        raise Refused(f"{what}: the summands have different sizes")
    return Node(kind, sources, sizes[0])


def _linear(entry: dict[str, Any], sources: tuple[int, ...], size: int, what: str) -> Node:
    fields = _table(entry["fields"], size, -1, f"{what}: fields")
    width, inside = len(fields[0]), [[i for i in field if i >= 0] for field in fields]
    if any(len(set(places)) < len(places) for places in inside):
        raise Refused(f"{what}: an index stands twice in a field")
    weights = each(entry["weights"], f"{what}: weights", lambda row, w: point(row, width, w))
    bias = point(entry["bias"], len(weights), f"{what}: bias")

    def pair(value: Any, what: str) -> tuple[int, int]:
        f, k = items(value, what, 2)
        return index(f, len(fields), what), index(k, len(weights), what)

    neurons = each(entry["neurons"], f"{what}: neurons", pair)
    _limited(len(neurons) * width, what)
    scale = lcm(*(w.denominator for row in (bias, *weights) for w in row))
    offsets, *kernels = ([w.numerator * (scale // w.denominator) for w in row] for row in (bias, *weights))
    rows = []
    for f, k in neurons:
        whole = len(inside[f]) == width
        own = kernels[k] if whole else [w for i, w in zip(fields[f], kernels[k], strict=True) if i >= 0]
        rows.append((inside[f], own, offsets[k]))
    return Node("Linear", sources, len(rows), tuple(rows), scale, index(entry["layer"], None, f"{what}: layer"))


def _table(value: Any, size: int, least: int, what: str) -> list[tuple[int, ...]]:
    rows = each(value, what, lambda row, w: tuple(index(i, size, w, least) for i in items(row, w)))
    if len({len(row) for row in rows}) != 1 or not rows[0]:
        raise Refused(f"{what}: rows of different or no length")
    return rows


def _limited(size: int, what: str) -> int:
    if not 0 < size <= LARGEST:
        raise Refused(f"{what}: {size} numbers; this checker takes from 1 to {LARGEST}")
    return size
