"""What stands in every line of a certificate file: exact numbers as text, the network, inputs, and their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import fraction, text
from dtdsym.network.layers import Add, Affine, AveragePool, Concat, Convolution, Input, MaxPool, Node, Relu, Scale, Take
from dtdsym.network.network import Network

FORMAT = "dtdsym-certificates/1"


def written(line: Mapping[str, Any]) -> str:
    """The line as it stands in a file, with its end."""
    return json.dumps(line, separators=(",", ":")) + "\n"


def point(numbers: Iterable[Any]) -> list[str]:
    """Exact numbers as text."""
    return [text(number if isinstance(number, Fraction) else fraction(number)) for number in numbers]


def network_line(network: Network) -> dict[str, Any]:
    """The line that a file begins with."""
    nodes = [_node(node) for node in network.nodes]
    return {"format": FORMAT, "network": network.sha256, "fold": network.fold, "nodes": nodes}


def input_line(network: Network, x: Iterable[Any]) -> dict[str, Any]:
    """The line of one input (in,), before the claims about it."""
    values = point(x)
    return {"input": hash_of(values), "network": network.sha256, "values": values}


def hash_of(values: list[str]) -> str:
    """An input's hash."""
    return hashlib.sha256(",".join(values).encode()).hexdigest()


def _node(node: Node) -> dict[str, Any]:
    kind = {"node": type(node).__name__}
    match node:
        case Input():
            return {**kind, "size": node.size}
        case Affine():
            return {**kind, "source": node.source, **_weights(node)}
        case Convolution():
            w = node.windows
            sides = {name: list(getattr(w, name)) for name in ("shape", "kernel", "stride")}
            padding = [list(pair) for pair in w.padding]
            rest = {"padding": padding, "dilation": list(w.dilation), "groups": w.groups}
            return {**kind, "source": node.source, **sides, **rest, **_weights(node)}
        case Scale():
            numbers = {"weight": point(node.weight), "bias": point(node.bias)}
            return {**kind, "source": node.source, **numbers, "repeat": node.repeat, "norm": node.norm is not None}
        case Relu():
            return {**kind, "source": node.source}
        case Add():
            return {**kind, "left": node.left, "right": node.right}
        case Concat():
            return {**kind, "sources": list(node.sources)}
        case Take() | MaxPool():
            return {**kind, "source": node.source, "index": node.index.tolist()}
        case AveragePool():
            return {**kind, "source": node.source, "index": node.index.tolist(), "counts": node.counts.tolist()}


def _weights(node: Affine | Convolution) -> dict[str, Any]:
    rows: np.ndarray = node.weight.reshape(len(node.weight), -1)
    return {"weight": [point(row) for row in rows.tolist()], "bias": point(node.bias.tolist())}
