"""Any Network as plain data, a header beside named arrays, and back: the same function, the same hash.

The header is {"format": 2, "input_shape": [...], "nodes": [{"op": ..., "name": ..., "sources": [...], ...}, ...]}; node
i of the list is node i + 1 of the network, the Input is node 0. Exact rationals are words "p/q". Whatever is long is an
array of float64: weights, and the places that pools and picks take, which are whole numbers below 2^53.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.windows import Windows
from dtdsym.errors import LoadError, NotExact
from dtdsym.network.builder import MOST_ENTRIES, MOST_NODES
from dtdsym.network.files.inert import shown, typename
from dtdsym.network.layers import (
    Add,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Input,
    MaxPool,
    Node,
    Norm,
    Relu,
    Scale,
    Take,
    size_of,
    with_sources,
)
from dtdsym.network.network import Network

FORMAT = 2
LARGEST_SIDE = 2**31
_FRACTION = re.compile(r"-?[0-9]{1,4000}(/[0-9]{1,4000})?")
_AGAIN = "export the network again"
Read = Callable[[str, str], np.ndarray]
"""An array by its name, as float64; the second word says whose it is, for messages."""


def to_data(network: Network) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header, fit for JSON, and the arrays. Nodes that the output does not depend on are left out."""
    arrays = _Arrays()
    nodes = [_described(node, number, arrays) for number, node in enumerate(_live(network.nodes)) if number]
    return {"format": FORMAT, "input_shape": list(network.input_shape), "nodes": nodes}, arrays.named


def from_data(header: Mapping[Any, Any], read: Read) -> Network:
    """The network that a header and its arrays describe. Raises LoadError, ShapeMismatch or NotExact for any that
    `to_data` would not write, before memory is taken for it."""
    if set(header) != {"format", "input_shape", "nodes"}:
        raise LoadError(f"its dtdsym header does not have format, input_shape and nodes alone; {_AGAIN}")
    described = header["nodes"]
    if type(described) is not list or not 0 < len(described) < MOST_NODES:
        raise LoadError(f"its dtdsym header lists no nodes, or over {MOST_NODES - 1}; {_AGAIN}")
    entry = _Entry({"input_shape": header["input_shape"]}, 0, read, [])
    nodes: list[Node] = [Input(entry.whole("input_shape", 1, 32))]
    sizes = [_bounded(nodes[0], [], entry)]
    for number, fields in enumerate(described, start=1):
        entry = _Entry(fields, number, read, sizes)
        nodes.append(entry.node())
        sizes.append(_bounded(nodes[-1], sizes, entry))
    unused = set(range(1, len(nodes) - 1)).difference(*(node.sources for node in nodes))
    if unused:
        raise LoadError(f"node {min(unused)} of its dtdsym header is used by no other; {_AGAIN}")
    return Network(tuple(nodes))


def _live(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The Input and the nodes that the last one depends on, renumbered."""
    wanted = {0, len(nodes) - 1}
    for index in range(len(nodes) - 1, -1, -1):
        wanted.update(nodes[index].sources if index in wanted else ())
    place = {index: new for new, index in enumerate(sorted(wanted))}
    return tuple(with_sources(nodes[i], [place[source] for source in nodes[i].sources]) for i in sorted(wanted))


class _Arrays:
    """Named arrays; one array object has one name, so that what shares weights shares them still."""

    def __init__(self) -> None:
        self.named: dict[str, np.ndarray] = {}
        self._names: dict[int, str] = {}

    def add(self, name: str, array: np.ndarray) -> str:
        """The name under which the array is kept."""
        if id(array) not in self._names:
            self._names[id(array)] = name
            self.named[name] = array if array.dtype == np.float64 else array.astype(np.float64)
        return self._names[id(array)]


def _described(node: Node, number: int, arrays: _Arrays) -> dict[str, Any]:
    """One entry of the header's nodes."""

    def array(part: str, values: np.ndarray) -> str:
        return arrays.add(f"n{number}.{part}", values)

    op = "batchnorm" if isinstance(node, Scale) and node.norm is not None else _OPS[type(node)]
    entry: dict[str, Any] = {"op": op, "name": node.name, "sources": list(node.sources)}
    match node:
        case Affine():
            entry |= {"weight": array("weight", node.weight), "bias": array("bias", node.bias)}
        case Convolution(windows=windows):
            entry |= {"weight": array("weight", node.weight), "bias": array("bias", node.bias)}
            entry |= {"shape": list(windows.shape), "stride": list(windows.stride), "groups": windows.groups}
            entry |= {"padding": [side for pair in windows.padding for side in pair]}
            entry |= {"dilation": list(windows.dilation)}
        case Scale(norm=None):
            entry |= {"repeat": node.repeat, "weight": list(map(str, node.weight)), "bias": list(map(str, node.bias))}
        case Scale(norm=Norm() as norm):
            if _normed(norm) != (list(node.weight), list(node.bias)):
                raise NotExact(f"{node.name!r}: its factors and summands are not those of its batch normalisation")
            entry |= {"repeat": node.repeat, "factor": array("factor", norm.factor)}
            entry |= {"mean": array("mean", norm.mean), "bias": array("bias", norm.bias)}
        case Take() | MaxPool():
            entry |= {"index": array("index", node.index)}
        case AveragePool():
            entry |= {"index": array("index", node.index), "counts": array("counts", node.counts)}
        case Input() | Relu() | Add() | Concat():
            pass
    return entry


def _normed(norm: Norm) -> tuple[list[Fraction], list[Fraction]]:
    """Factors and summands of z = factor (a - mean) + bias."""
    factor, mean, bias = ([Fraction(float(n)) for n in array] for array in (norm.factor, norm.mean, norm.bias))
    return factor, [b - f * m for f, m, b in zip(factor, mean, bias, strict=True)]


def _column(numbers: list[Fraction]) -> np.ndarray:
    array = np.empty(len(numbers), dtype=object)
    array[:] = numbers
    return array


class _Entry:
    """One entry of a header's nodes, which anyone may have written: what is read from it was checked."""

    def __init__(self, fields: Any, number: int, read: Read, sizes: Sequence[int]) -> None:
        self._fields, self._number, self._read, self._sizes = fields, number, read, sizes

    def node(self) -> Node:
        """The node that the entry describes."""
        op = self._fields.get("op") if type(self._fields) is dict else None
        if type(op) is not str or op not in _MAKERS:
            raise self.refuse(f"no operation; expected one of {', '.join(_MAKERS)}")
        fields, make = _MAKERS[op]
        if set(self._fields) != {"op", "name", "sources", *fields}:
            raise self.refuse(f"a {op} with other fields than {', '.join(('op', 'name', 'sources', *fields))}")
        return make(self)

    def refuse(self, what: str) -> LoadError:
        """The error that names the entry."""
        return LoadError(f"node {self._number} of its dtdsym header is {what}; {_AGAIN}")

    @property
    def name(self) -> str:
        """For people."""
        if type(self._fields["name"]) is not str:
            raise self.refuse("without a name")
        return shown(self._fields["name"])

    def sources(self, least: int = 1, most: int = 1) -> tuple[int, ...]:
        """Earlier nodes."""
        given = self._fields["sources"]
        whole = type(given) is list and all(type(n) is int and 0 <= n < self._number for n in given)
        if not whole or not least <= len(given) <= most:
            raise self.refuse(f"without the {least} earlier nodes that are its sources")
        return tuple(given)

    def whole(self, key: str, least: int, most: int) -> tuple[int, ...]:
        """A list of at most `most` whole numbers from `least`."""
        given = self._fields[key]
        whole = type(given) is list and all(type(n) is int and least <= n < LARGEST_SIDE for n in given)
        if not whole or not 0 < len(given) <= most:
            raise self.refuse(f"of no {key}; expected a list of whole numbers from {least}")
        return tuple(given)

    def number(self, key: str) -> int:
        """A whole number from 1."""
        value = self._fields[key]
        if type(value) is not int or not 1 <= value < LARGEST_SIDE:
            raise self.refuse(f"of no {key}; expected a whole number from 1")
        return value

    def fractions(self, key: str) -> np.ndarray:
        """Exact numbers (n,), from words."""
        given = self._fields[key]
        words = type(given) is list and all(type(word) is str and _FRACTION.fullmatch(word) for word in given)
        try:
            numbers = [Fraction(word) for word in given] if words else []
        except ZeroDivisionError as err:
            raise self.refuse(f"of a {key} that divides by 0") from err
        if not numbers:
            raise self.refuse(f"of no {key}; expected a list of fractions such as '1/3'")
        return _column(numbers)

    def array(self, key: str) -> np.ndarray:
        """Numbers that lie outside of the header."""
        name = self._fields[key]
        if type(name) is not str:
            raise self.refuse(f"of a {key} that is a {typename(name)}; expected an array's name")
        return self._read(name, f"node {self._number} ({self.name!r}): its {key}")

    def places(self, key: str, dimensions: int, least: int, below: int) -> np.ndarray:
        """Whole numbers from `least` and `below`, as int64."""
        array = self.array(key)
        inside = array.ndim == dimensions and bool(((array >= least) & (array < below)).all())
        if not inside or not (array == np.floor(array)).all():
            raise self.refuse(f"of a {key} that is not whole numbers from {least} to {below - 1}")
        return array.astype(np.int64)

    def index(self, dimensions: int, least: int) -> np.ndarray:
        """Places in the source."""
        return self.places("index", dimensions, least, self._sizes[self.sources()[0]])


def _bounded(node: Node, sizes: list[int], entry: _Entry) -> int:
    """The node's size, which must chain and be one that can be audited."""
    size = size_of(node, sizes)
    if size > MOST_ENTRIES:
        raise entry.refuse(f"of {size} numbers; at most {MOST_ENTRIES} are read")
    return size


def _affine(entry: _Entry) -> Node:
    return Affine(entry.array("weight"), entry.array("bias"), entry.sources()[0], entry.name)


def _convolution(entry: _Entry) -> Node:
    weight, shape = entry.array("weight"), entry.whole("shape", 1, 32)
    sides = entry.whole("padding", 0, 64)
    spatial = len(shape) - 1
    if weight.ndim != spatial + 2 or len(sides) != 2 * spatial or not spatial:
        raise entry.refuse("a convolution whose weight, shape and padding have different numbers of dimensions")
    windows = Windows(
        shape, weight.shape[2:], entry.whole("stride", 1, 32), tuple(zip(sides[::2], sides[1::2], strict=True)),
        entry.whole("dilation", 1, 32), entry.number("groups"),
    )  # fmt: skip
    return Convolution(weight, entry.array("bias"), entry.sources()[0], windows, entry.name)


def _scale(entry: _Entry) -> Node:
    weight, bias = entry.fractions("weight"), entry.fractions("bias")
    return Scale(weight, bias, entry.number("repeat"), entry.sources()[0], None, entry.name)


def _batch_norm(entry: _Entry) -> Node:
    norm = Norm(entry.array("factor"), entry.array("mean"), entry.array("bias"))
    arrays = (norm.factor, norm.mean, norm.bias)
    if any(array.ndim != 1 or array.shape != norm.factor.shape for array in arrays):
        raise entry.refuse("a batch normalisation with other numbers of factors, means and biases")
    if not all(np.isfinite(array).all() for array in arrays):
        raise NotExact(f"layer {entry.name!r}: a number is not finite; every weight and statistic must be")
    weight, bias = (_column(numbers) for numbers in _normed(norm))
    return Scale(weight, bias, entry.number("repeat"), entry.sources()[0], norm, entry.name)


def _add(entry: _Entry) -> Node:
    left, right = entry.sources(2, 2)
    return Add(left, right, entry.name)


def _average_pool(entry: _Entry) -> Node:
    index = entry.index(2, -1)
    return AveragePool(index, entry.places("counts", 1, 1, 2**53), entry.sources()[0], entry.name)


_OPS: dict[type[Node], str] = {
    Input: "input",
    Affine: "linear",
    Convolution: "convolution",
    Scale: "scale",
    Relu: "relu",
    Add: "add",
    Concat: "concat",
    Take: "take",
    MaxPool: "maxpool",
    AveragePool: "avgpool",
}
_MAKERS: dict[str, tuple[tuple[str, ...], Callable[[_Entry], Node]]] = {
    "linear": (("weight", "bias"), _affine),
    "convolution": (("weight", "bias", "shape", "stride", "padding", "dilation", "groups"), _convolution),
    "scale": (("weight", "bias", "repeat"), _scale),
    "batchnorm": (("factor", "mean", "bias", "repeat"), _batch_norm),
    "relu": ((), lambda entry: Relu(entry.sources()[0], entry.name)),
    "add": ((), _add),
    "concat": ((), lambda entry: Concat(entry.sources(2, MOST_NODES), entry.name)),
    "take": (("index",), lambda entry: Take(entry.index(1, -1), entry.sources()[0], entry.name)),
    "maxpool": (("index",), lambda entry: MaxPool(entry.index(2, 0), entry.sources()[0], entry.name)),
    "avgpool": (("index", "counts"), _average_pool),
}
