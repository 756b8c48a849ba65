"""What the names of an ONNX graph stand for while it is read: constants, and values of the network that is built."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NoReturn

import numpy as np

from dtdsym.errors import LoadError, ShapeMismatch, UnsupportedLayer
from dtdsym.network.builder import Builder, Value
from dtdsym.network.files.inert import shown
from dtdsym.network.layers import Scale

MOST_NUMBERS = 2**27  # that reading one graph may list in all: indices, folded constants, windows
FLOATS = {10: "float16", 16: "bfloat16", 1: "float32", 11: "float64"}
INTEGERS = {2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 12: "u4", 9: "?"}
WHOLE = (6, 7)  # int32 and int64: shapes, axes, places
_WIDER = {10: (10, 1, 11), 16: (16, 1, 11), 1: (1, 11), 11: (11,)}
_ATTRIBUTES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor known beforehand: float64, int64 or bool, exact. kind: ONNX's number for the type it was stored in."""

    array: np.ndarray
    kind: int

    @property
    def shape(self) -> tuple[int, ...]:
        """As numpy's."""
        return self.array.shape

    @cached_property
    def transposed(self) -> np.ndarray:
        """The matrix (in, out) as a weight (out, in), one array however often it is used."""
        return np.ascontiguousarray(self.array.T)


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a value comes from, for patterns of several nodes that are one layer here.

    padded: the flat value with one zero behind it; windows: its entries `index` (out, k); sums: those summed over k."""

    role: Literal["padded", "windows", "sums"]
    value: Value
    index: np.ndarray


@dataclass(frozen=True, eq=False)
class Data:
    """A value that depends on the input. value: of one sample, flat; shape: as in the graph, with the batch."""

    value: Value
    shape: tuple[int, ...]
    kind: int
    origin: Origin | None = None


Meaning = Data | Constant
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Operation:
    """A node of the graph; `attributes` are ONNX's own records."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int

    def __str__(self) -> str:
        return f"{shown(self.kind)} node {self.name!r}"

    def refuse(self, why: str) -> NoReturn:
        """Raises UnsupportedLayer with the node's name."""
        raise UnsupportedLayer(f"{self}: {why}")

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        return int(self._attribute(name, 2, default))

    def number(self, name: str, default: float) -> float:
        """A float attribute, exactly; the default is rounded to float32 as attributes are."""
        return float(self._attribute(name, 1, np.float32(default)))

    def integers(self, name: str, default: Sequence[int] | None = None) -> tuple[int, ...] | None:
        """A list of integers."""
        given = self._attribute(name, 7, default)
        return None if given is None else tuple(int(n) for n in given)

    def text(self, name: str, default: str) -> str:
        """A short text."""
        given = self._attribute(name, 3, default.encode())
        return bytes(given).decode("ascii", "backslashreplace")

    def tensor(self, name: str) -> Any:
        """ONNX's record of a tensor, or None."""
        return self._attribute(name, 4, None)

    def _attribute(self, name: str, kind: int, default: Any) -> Any:
        attribute = self.attributes.get(name)
        if attribute is None:
            return default
        if attribute.type != kind:
            raise LoadError(f"{self}: attribute {name!r} is of another type than ONNX defines; export the model again")
        return getattr(attribute, _ATTRIBUTES[kind])


class Scope:
    """The names of a graph whose nodes were read so far. batch: the input's first number, 1 where it is open."""

    def __init__(self, builder: Builder, batch: int, tensors: Mapping[str, Any], read: Callable[..., Constant]) -> None:
        """tensors: initializers, read by `read(tensor, name)` when they are first used."""
        self.builder = builder
        self.batch = batch
        self.values: dict[str, Meaning] = {}
        self.read = read
        self._tensors = tensors
        self._left = MOST_NUMBERS

    def define(self, name: str, meaning: Meaning, where: str) -> None:
        """Every name stands for one tensor."""
        if name in self.values or name in self._tensors:
            raise LoadError(f"{where}: computes {shown(name)!r}, a name that is taken; export the model again")
        self.values[name] = meaning

    def given(self, op: Operation, position: int) -> bool:
        """Whether an optional input is there."""
        return len(op.inputs) > position and op.inputs[position] != ""

    def get(self, op: Operation, position: int) -> Meaning:
        """What an input stands for. Raises LoadError for a name that was not computed before."""
        if not self.given(op, position):
            raise LoadError(f"{op}: lacks input {position + 1}; export the model again")
        name = op.inputs[position]
        if name not in self.values:
            if name not in self._tensors:
                raise LoadError(
                    f"{op}: uses {shown(name)!r}, which no earlier node computes; nodes must be in topological order"
                )
            self.values[name] = self.read(self._tensors[name], f"tensor {shown(name)!r}")
        return self.values[name]

    def data(self, op: Operation, position: int = 0) -> Data:
        """An input that depends on the network's input."""
        meaning = self.get(op, position)
        if isinstance(meaning, Constant):
            op.refuse(f"input {position + 1} is a constant; expected a value that depends on the network's input")
        return meaning

    def constant(self, op: Operation, position: int) -> Constant:
        """An input that does not."""
        meaning = self.get(op, position)
        if isinstance(meaning, Data):
            op.refuse(f"input {position + 1} depends on the network's input; only constants are supported there")
        return meaning

    def floats(self, op: Operation, position: int) -> np.ndarray:
        """A constant of float type, exactly."""
        found = self.constant(op, position)
        if found.kind not in FLOATS:
            op.refuse(f"input {position + 1} is no tensor of floats; export the model in float32 or float64")
        return found.array

    def integers(self, op: Operation, position: int) -> tuple[int, ...]:
        """A constant list of integers."""
        found = self.constant(op, position)
        if found.kind not in WHOLE or found.array.ndim > 1:
            op.refuse(f"input {position + 1} is no list of int32 or int64; export the model again")
        return tuple(int(n) for n in found.array.reshape(-1))

    def spend(self, op: Operation, numbers: int) -> None:
        """Counted before anything is listed, so that a small file cannot ask for much memory."""
        self._left -= numbers
        if self._left < 0:
            raise LoadError(f"{op}: to read the graph up to here takes over {MOST_NUMBERS} numbers; it is too large")

    def rearrange(self, op: Operation, source: Meaning, size: int, change: Change) -> Meaning:
        """`change` applied to a constant, or to the places of a value; size: how many entries it gives, -1 is zero.

        What it does to one sample must not depend on the others in the batch."""
        self.spend(op, size)
        if isinstance(source, Constant):
            return Constant(np.asarray(change(source.array), order="C"), source.kind)
        self.spend(op, math.prod(source.shape))
        places = change(np.arange(math.prod(source.shape)).reshape(source.shape))
        if not places.size:
            op.refuse("leaves no entry of its value")
        first = self.first_sample(op, places, source.value.size)
        if np.array_equal(first, np.arange(source.value.size)):
            return Data(source.value, places.shape, source.kind)
        return Data(self.builder.take(source.value, first, op.name), places.shape, source.kind)

    def first_sample(self, op: Operation, places: np.ndarray, size: int) -> np.ndarray:
        """The flat places of the first sample, if those of the others are the same, `size` further on each time."""
        if self.batch == 1:
            return places.reshape(-1)
        rows = places.reshape(self.batch, -1) if places.shape[:1] == (self.batch,) else places[None]
        shifted = np.where(rows[:1] < 0, rows[:1], rows[:1] + size * np.arange(len(rows))[:, None])
        if len(rows) != self.batch or not np.array_equal(rows, shifted):
            op.refuse(f"mixes the {self.batch} samples of the input's batch; export the model with a batch of 1")
        first: np.ndarray = rows[0]
        return first

    def expand(self, op: Operation, source: Data, shape: tuple[int, ...]) -> Data:
        """The value repeated along dimensions of length 1, as numpy broadcasts."""
        if shape == source.shape:
            return source
        wide = self.rearrange(op, source, math.prod(shape), lambda places: np.broadcast_to(places, shape))
        assert isinstance(wide, Data)
        return wide

    def sample(self, op: Operation, source: Data, least: int) -> Value:
        """The value as one sample (channels, *spatial) without the batch; least: the dimensions in the graph."""
        if len(source.shape) < least or source.shape[0] != self.batch:
            raise ShapeMismatch(
                f"{op}: a value of shape {source.shape}; expected (batch, channels, *spatial) with a batch of "
                f"{self.batch} as in the input"
            )
        return self.builder.reshape(source.value, source.shape[1:])

    def scaled(self, op: Operation, source: Data, factor: Any, summand: Any, divisor: Any) -> Data:
        """source * factor / divisor + summand, for float64 arrays that broadcast to its shape."""
        multiplied, added, divided = (
            self._column(op, np.asarray(array), source) for array in (factor, summand, divisor)
        )
        self._spend_on_constants(op, (multiplied, added, divided), source.value.node)
        value = self.builder.scale(source.value, multiplied, added, divided, name=op.name)
        return Data(value, source.shape, source.kind)

    def _column(self, op: Operation, array: np.ndarray, source: Data) -> np.ndarray:
        """An array for the flat value of one sample; it must be the same for all samples of the batch."""
        self.spend(op, math.prod(source.shape))
        rows: np.ndarray = np.broadcast_to(array, source.shape).reshape(self.batch, -1)
        if self.batch > 1 and not (rows == rows[:1]).all():
            op.refuse("its constant differs between the samples of the batch; export the model with a batch of 1")
        first: np.ndarray = rows[0]
        return first

    def _spend_on_constants(self, op: Operation, columns: Sequence[np.ndarray], node: int) -> None:
        """Fractions take more than floats, and those of a constant before this one are multiplied out."""
        changes = np.flatnonzero(np.logical_or.reduce([column[1:] != column[:-1] for column in columns])) + 1
        each, bits = math.gcd(len(columns[0]), int(np.gcd.reduce(changes))), 0
        source = self.builder.nodes[node]
        if isinstance(source, Scale):
            each = math.gcd(each, source.repeat)
            bits = max(max(abs(n.numerator), n.denominator).bit_length() for n in (*source.weight, *source.bias))
        self.spend(op, len(columns[0]) // each * (40 + bits // 16))

    def result(self, value: Value, shape: Sequence[int], kind: int) -> Data:
        """A value of the builder under its shape in the graph."""
        return Data(self.builder.flatten(value), tuple(shape), kind)


def wider(source: int, target: int) -> bool:
    """Whether every number of one float type is one of the other."""
    return target in _WIDER[source]


def axis_of(op: Operation, axis: int, dimensions: int) -> int:
    """A dimension counted from either end."""
    if not -dimensions <= axis < dimensions:
        raise ShapeMismatch(f"{op}: dimension {axis} of a value of {dimensions} dimensions")
    return axis % dimensions


def broadcast(op: Operation, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as err:
        raise ShapeMismatch(f"{op}: shapes {' and '.join(map(str, shapes))} do not broadcast to one") from err
