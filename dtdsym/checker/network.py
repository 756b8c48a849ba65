"""The network of a certificate file: its nodes, its hash, its layers, and its exact values.

A value is a list of integers over one positive denominator. A linear node has a row for each entry of its value:
(places in its source, integer weights, integer bias), over one denominator for the node."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import lcm, prod
from typing import Any

from dtdsym.checker.reading import Refused, each, flag, index, items, keys, number, point, record, shown, text

Value = tuple[list[int], int]
Row = tuple[list[int], list[int], int]
LARGEST = 1 << 24  # entries of a node, and of all nodes together


@dataclass(frozen=True)
class Node:
    """kind: Input, Relu, Add, Concat, Take, MaxPool, or Linear. digest: what stands for the node in hashes.

    origin: the kind as written. channels: of an Affine node or a Convolution. numbered: an Affine node, a Convolution
    or batch normalisation."""

    kind: str
    sources: tuple[int, ...]
    size: int
    rows: tuple[Row, ...] = ()
    scale: int = 1
    windows: tuple[tuple[int, ...], ...] = ()
    origin: str = ""
    channels: int = 0
    norm: bool = False
    numbered: bool = False


@dataclass(frozen=True)
class Layer:
    """Node ids: its neurons compute the value of `output` from that of `source`. rows over scale, as in Node."""

    source: int
    output: int
    rows: tuple[Row, ...]
    scale: int
    number: int | None
    dense: bool


@dataclass(frozen=True)
class Network:
    """nodes in order; hash as FORMAT.md defines it."""

    nodes: tuple[Node, ...]
    hash: str
    fold: bool

    def cut(self, logit: int) -> Network:
        """The network with that output alone."""
        if self.nodes[-1].size == 1:
            index(logit, 1, "logit")
            return self
        below = len(self.nodes) - 1
        while self.nodes[below].kind == "Relu":
            below = self.nodes[below].sources[0]
        last = self.nodes[below]
        index(logit, last.size, "logit")
        kept = list(self.nodes[:below])
        if last.origin == "Affine":
            kept.append(replace(last, size=1, rows=(last.rows[logit],), channels=1))
        else:
            kept += [last, Node("Take", (below,), 1, windows=((logit,),), origin="Take")]
        for _ in self.nodes[below + 1 :]:
            kept.append(Node("Relu", (len(kept) - 1,), 1, origin="Relu"))
        return Network(tuple(kept), self.hash, self.fold)

    def layers(self) -> dict[int, Layer]:
        """Output node -> layer, for all linear nodes in order."""
        users = [sum(node.sources.count(i) > 0 for node in self.nodes) for i in range(len(self.nodes))]
        found: dict[int, Layer] = {}
        folded: set[int] = set()
        count = 0
        for i, node in enumerate(self.nodes):
            if node.kind != "Linear" or i in folded:
                continue
            count += node.numbered
            output, rows, scale = i, node.rows, node.scale
            norm = next((k for k, other in enumerate(self.nodes) if other.norm and i in other.sources), None)
            if (
                self.fold
                and node.channels
                and users[i] == 1
                and norm is not None
                and self.nodes[norm].channels == node.channels
            ):
                output, scale = norm, scale * self.nodes[norm].scale
                rows = tuple(
                    _composed(row, own, node.scale) for row, own in zip(rows, self.nodes[norm].rows, strict=True)
                )
                folded.add(norm)
            dense = node.origin == "Affine"
            found[output] = Layer(node.sources[0], output, rows, scale, count if node.numbered else None, dense)
        return found

    def values(self, known: dict[int, Value]) -> dict[int, Value]:
        """All values that follow from the known ones."""
        found = dict(known)
        for i, node in enumerate(self.nodes):
            if i not in found and node.sources and all(source in found for source in node.sources):
                found[i] = _value(node, [found[source] for source in node.sources])
        return found


def _composed(row: Row, norm: Row, scale: int) -> Row:
    places, weights, bias = row
    _, (factor,), offset = norm
    return places, [weight * factor for weight in weights], bias * factor + offset * scale


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
    keys(line, "format", "network", "fold", "nodes")
    if line["format"] != "dtdsym-certificates/1":
        raise Refused(f"format {shown(line['format'])} is unknown; this is a checker of dtdsym-certificates/1")
    nodes: list[Node] = []
    digests: list[bytes] = []
    entries = 0
    for place, entry in enumerate(items(line["nodes"], "nodes")):
        node, content = _node(record(entry, f"node {place}"), nodes, f"node {place}")
        below = [digests[source] for source in node.sources]
        head = f"dtdsym-network/2|{node.origin}|".encode()
        digests.append(
            hashlib.sha256(head + b"".join(sorted(below) if node.kind == "Add" else below) + content).digest()
        )
        nodes.append(node)
        entries = _limited(entries + node.size, "all nodes")
    if not nodes or not any(node.numbered for node in nodes):
        raise Refused("a network without a layer")
    if digests[-1].hex() != line["network"]:
        raise Refused(f"the network's hash is {digests[-1].hex()}, not the {shown(line['network'])} that is stated")
    return Network(tuple(nodes), line["network"], flag(line["fold"], "fold"))


def _node(entry: dict[str, Any], nodes: list[Node], what: str) -> tuple[Node, bytes]:
    kind = text(entry.get("node"), f"{what}: node")
    if (kind == "Input") != (not nodes):
        raise Refused(f"{what}: the first node, and no other, is the Input")
    if kind == "Input":
        keys(entry, "node", "size")
        size = index(entry["size"], None, f"{what}: size", 1)
        return Node(kind, (), _limited(size, what), origin=kind), str(size).encode()
    if kind == "Add":
        keys(entry, "node", "left", "right")
        sources = tuple(index(entry[side], len(nodes), f"{what}: {side}") for side in ("left", "right"))
        if len({nodes[source].size for source in sources}) > 1:
            raise Refused(f"{what}: the summands have different sizes")
        return Node(kind, sources, nodes[sources[0]].size, origin=kind), b""
    if kind == "Concat":
        keys(entry, "node", "sources")
        sources = tuple(each(entry["sources"], f"{what}: sources", lambda s, w: index(s, len(nodes), w)))
        if len(sources) < 2:
            raise Refused(f"{what}: a concatenation joins at least two")
        return Node(kind, sources, _limited(sum(nodes[source].size for source in sources), what), origin=kind), b""
    reader = _ONE_SOURCE.get(kind)
    if reader is None:
        raise Refused(f"{what}: a node of kind {shown(kind)} is unknown")
    source = index(entry.get("source"), len(nodes), f"{what}: source")
    node, content = reader(entry, nodes[source].size, what)
    return replace(node, sources=(source,), origin=kind), content


def _relu(entry: dict[str, Any], size: int, _: str) -> tuple[Node, bytes]:
    keys(entry, "node", "source")
    return Node("Relu", (), size), b""


def _affine(entry: dict[str, Any], size: int, what: str) -> tuple[Node, bytes]:
    keys(entry, "node", "source", "weight", "bias")
    weight = each(entry["weight"], f"{what}: weight", lambda row, w: point(row, size, w))
    bias = point(entry["bias"], len(weight), f"{what}: bias")
    if not weight or not size:
        raise Refused(f"{what}: no weights")
    content = (
        f"{(len(weight), size)}".encode() + _floats([w for row in weight for w in row], what) + _floats(bias, what)
    )
    return _linear([list(range(size))] * len(weight), weight, bias, channels=len(weight), numbered=True), content


def _convolution(entry: dict[str, Any], size: int, what: str) -> tuple[Node, bytes]:
    names = ("shape", "kernel", "stride", "padding", "dilation", "groups")
    keys(entry, "node", "source", *names, "weight", "bias")
    shape, kernel, stride, dilation = (
        _lengths(entry[name], f"{what}: {name}") for name in ("shape", "kernel", "stride", "dilation")
    )
    pairs = each(
        entry["padding"], f"{what}: padding", lambda pair, w: tuple(index(n, None, w) for n in items(pair, w, 2))
    )
    groups = index(entry["groups"], None, f"{what}: groups", 1)
    spatial = len(shape) - 1
    if (
        spatial < 1
        or {len(kernel), len(stride), len(pairs), len(dilation)} != {spatial}
        or shape[0] % groups
        or prod(shape) != size
    ):
        raise Refused(f"{what}: its windows do not fit its source")
    sides = list(zip(shape[1:], kernel, stride, pairs, dilation, strict=True))
    counts = [(n + low + high - d * (k - 1) - 1) // s + 1 for n, k, s, (low, high), d in sides]
    each_in = shape[0] // groups
    weight = each(entry["weight"], f"{what}: weight", lambda row, w: point(row, each_in * prod(kernel), w))
    bias = point(entry["bias"], len(weight), f"{what}: bias")
    if not weight or len(weight) % groups or min(counts) < 1:
        raise Refused(f"{what}: its channels or windows do not fit")
    _limited(len(weight) * prod(counts) * each_in * prod(kernel), what)
    plane = [[_place(at, tap, sides) for tap in product(*map(range, kernel))] for at in product(*map(range, counts))]
    length, fields, rows, biases = prod(shape[1:]), [], [], []
    for channel, taps in enumerate(weight):
        first = channel // (len(weight) // groups) * each_in
        for window in plane:
            field = [i if i < 0 else (first + c) * length + i for c in range(each_in) for i in window]
            fields.append([i for i in field if i >= 0])
            rows.append([w for i, w in zip(field, taps, strict=True) if i >= 0])
            biases.append(bias[channel])
    words = ", ".join(
        f"{name}={tuple(value)}" for name, value in zip(names, (shape, kernel, stride, pairs, dilation), strict=False)
    )
    head = f"{(len(weight), each_in, *kernel)}Windows({words}, groups={groups})".encode()
    content = head + _floats([w for row in weight for w in row], what) + _floats(bias, what)
    return _linear(fields, rows, biases, channels=len(weight), numbered=True), content


def _place(at: tuple[int, ...], tap: tuple[int, ...], sides: list[Any]) -> int:
    """Where an entry of a window lies in its channel; -1 in the padding."""
    flat = 0
    for position, step, (n, _, s, (low, _), d) in zip(at, tap, sides, strict=True):
        here = position * s - low + step * d
        if not 0 <= here < n:
            return -1
        flat = flat * n + here
    return flat


def _scale(entry: dict[str, Any], size: int, what: str) -> tuple[Node, bytes]:
    keys(entry, "node", "source", "weight", "bias", "repeat", "norm")
    weight = each(entry["weight"], f"{what}: weight", number)
    bias = point(entry["bias"], len(weight), f"{what}: bias")
    repeat, norm = index(entry["repeat"], None, f"{what}: repeat", 1), flag(entry["norm"], f"{what}: norm")
    if not weight or len(weight) * repeat != size:
        raise Refused(f"{what}: {len(weight)} channels of {repeat} do not fit {size} numbers")
    rows = [[weight[i // repeat]] for i in range(size)]
    node = _linear(
        [[i] for i in range(size)],
        rows,
        [bias[i // repeat] for i in range(size)],
        channels=len(weight) * norm,
        numbered=norm,
    )
    content = f"{norm}{repeat}{[*entry['weight'], *entry['bias']]}".encode()
    return replace(node, norm=norm), content


def _take(entry: dict[str, Any], size: int, what: str) -> tuple[Node, bytes]:
    keys(entry, "node", "source", "index")
    found = each(entry["index"], f"{what}: index", lambda i, w: index(i, size, w, -1))
    if not found:
        raise Refused(f"{what}: an empty index")
    return Node("Take", (), len(found), windows=tuple((i,) for i in found)), _integers(found, f"({len(found)},)")


def _max_pool(entry: dict[str, Any], size: int, what: str) -> tuple[Node, bytes]:
    keys(entry, "node", "source", "index")
    found, width = _table(entry["index"], size, 0, what)
    content = _integers([i for row in found for i in row], f"({len(found)}, {width})")
    return Node("MaxPool", (), len(found), windows=tuple(found)), content


def _average_pool(entry: dict[str, Any], size: int, what: str) -> tuple[Node, bytes]:
    keys(entry, "node", "source", "index", "counts")
    found, width = _table(entry["index"], size, -1, what)
    counts = each(
        items(entry["counts"], f"{what}: counts", len(found)), f"{what}: counts", lambda n, w: index(n, None, w, 1)
    )
    fields = [[i for i in row if i >= 0] for row in found]
    rows = [[Fraction(1, n)] * len(field) for field, n in zip(fields, counts, strict=True)]
    content = _integers([i for row in found for i in row], f"({len(found)}, {width})") + _integers(
        counts, f"({len(counts)},)"
    )
    return _linear(fields, rows, [Fraction(0)] * len(rows)), content


_ONE_SOURCE = {
    "Relu": _relu, "Affine": _affine, "Convolution": _convolution, "Scale": _scale,
    "Take": _take, "MaxPool": _max_pool, "AveragePool": _average_pool,
}  # fmt: skip


def _table(value: Any, size: int, least: int, what: str) -> tuple[list[tuple[int, ...]], int]:
    rows = each(value, f"{what}: index", lambda row, w: tuple(index(i, size, w, least) for i in items(row, w)))
    if len({len(row) for row in rows}) != 1 or not rows[0]:
        raise Refused(f"{what}: windows of different or no length")
    return rows, len(rows[0])


def _linear(fields: Any, weights: Any, bias: Any, *, channels: int = 0, numbered: bool = False) -> Node:
    scale = lcm(1, *(w.denominator for w in bias), *{w.denominator for row in weights for w in row})
    rows = tuple(
        (list(field), [w.numerator * (scale // w.denominator) for w in row], b.numerator * (scale // b.denominator))
        for field, row, b in zip(fields, weights, bias, strict=True)
    )
    return Node("Linear", (), len(rows), rows, scale, channels=channels, numbered=numbered)


def _floats(numbers: Any, what: str) -> bytes:
    try:
        floats = [float(entry) for entry in numbers]
    except OverflowError as err:
        raise Refused(f"{what}: a weight is beyond float64") from err
    if any(Fraction(stored) != entry for stored, entry in zip(floats, numbers, strict=True)):
        raise Refused(f"{what}: a weight is no float64")
    return struct.pack(f"<{len(floats)}d", *(stored + 0.0 for stored in floats))


def _integers(numbers: Any, shape: str) -> bytes:
    return shape.encode() + struct.pack(f"<{len(numbers)}q", *numbers)


def _lengths(value: Any, what: str) -> tuple[int, ...]:
    return tuple(each(value, what, lambda n, w: index(n, None, w, 1)))


def _limited(size: int, what: str) -> int:
    if size > LARGEST:
        raise Refused(f"{what}: {size} numbers are more than the {LARGEST} that this checker takes")
    return size
