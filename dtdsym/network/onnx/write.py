"""write_onnx: a network as an ONNX file of the same exact function; reading it gives the same hash.

Tensors are float32 if that holds every weight, else float64 throughout; runtimes may lack float64 convolutions. The
batch is open.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtdsym.errors import UnsupportedLayer
from dtdsym.network.files.inert import shown
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
)
from dtdsym.network.network import Network
from dtdsym.network.onnx.write_constants import TooLong, is_float, steps
from dtdsym.network.onnx.write_pools import common_pool

OPSET, IR_VERSION = 13, 7
_FLOAT32, _FLOAT64 = 24, 53  # bits of their significands


def write_onnx(network: Network) -> bytes:
    """The bytes of an ONNX file. Raises UnsupportedLayer for constants that no product of floats gives."""
    try:
        return _Writer(network, _FLOAT32).written()
    except TooLong:
        return _Writer(network, _FLOAT64).written()


class _Writer:
    """One file; `bits`: of the significands of its floats. Values are pairs of a name and the shape of one sample."""

    def __init__(self, network: Network, bits: int) -> None:
        self._network = network
        self._bits = bits
        self._nodes: list[Any] = []
        self._tensors: dict[Any, Any] = {}
        self._held: list[np.ndarray] = []
        self._values: list[tuple[str, tuple[int, ...]]] = []
        self._shaped: dict[tuple[str, tuple[int, ...]], str] = {}
        self._taken: set[str] = set()

    def written(self) -> bytes:
        """All nodes, then the file."""
        from onnx import TensorProto, helper

        for node in self._network.nodes:
            self._values.append(self._write(node))
        kind = TensorProto.FLOAT if self._bits == _FLOAT32 else TensorProto.DOUBLE
        (first, shape), (last, end) = self._values[0], self._values[-1]
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info(first, kind, ["batch", *shape])],
            [helper.make_tensor_value_info(last, kind, ["batch", *end])],
            list(self._tensors.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        made = helper.make_model(graph, producer_name="dtdsym", opset_imports=opsets, ir_version=IR_VERSION)
        return bytes(made.SerializeToString(deterministic=True))

    def _write(self, node: Node) -> tuple[str, tuple[int, ...]]:
        match node:
            case Input():
                return "input", node.shape
            case Affine():
                given = [self._flat(node.source), self._tensor(node.weight), *self._bias(node)]
                return self._emit("Gemm", node, given, (len(node.weight),), transB=1)
            case Convolution():
                return self._convolution(node)
            case Scale():
                return self._scale(node)
            case Relu():
                name, shape = self._values[node.source]
                return self._emit("Relu", node, [name], shape)
            case Add():
                name, shape = self._values[node.left]
                return self._emit("Add", node, [name, self._as(node.right, shape)], shape)
            case Concat():
                parts = [self._flat(source) for source in node.sources]
                size = sum(self._network.sizes[source] for source in node.sources)
                return self._emit("Concat", node, parts, (size,), axis=1)
            case Take():
                return self._gathered(node, node.index)
            case MaxPool() | AveragePool():
                return self._pool(node)

    def _convolution(self, node: Convolution) -> tuple[str, tuple[int, ...]]:
        w = node.windows
        given = [self._as(node.source, w.shape), self._tensor(node.weight), *self._bias(node)]
        pads = [low for low, _ in w.padding] + [high for _, high in w.padding]
        shape = (len(node.weight), *w.positions)
        return self._emit(
            "Conv", node, given, shape,
            kernel_shape=w.kernel, strides=w.stride, pads=pads, dilations=w.dilation, group=w.groups,
        )  # fmt: skip

    def _scale(self, node: Scale) -> tuple[str, tuple[int, ...]]:
        channels = len(node.weight)
        shape = self._values[node.source][1]
        if shape[0] != channels:
            shape = (channels, node.repeat)
        value = self._as(node.source, shape), shape
        if node.norm is not None:
            stated = (node.norm.factor, node.norm.bias, node.norm.mean, np.ones(channels))
            given = [value[0], *(self._tensor(array) for array in stated)]
            return self._emit("BatchNormalization", node, given, shape, epsilon=0.0)
        source = self._network.nodes[node.source]
        fresh = isinstance(source, Affine | Convolution) and not source.bias.any()
        for kind, numbers in self._steps(node, fresh):
            column = numbers.reshape(channels, *(1,) * (len(shape) - 1))
            value = self._emit(kind, node, [value[0], self._tensor(column)], shape)
        return value

    def _steps(self, node: Scale, fresh: bool) -> list[tuple[str, np.ndarray]]:
        try:
            return steps(tuple(node.weight), tuple(node.bias), self._bits, fresh)
        except TooLong as err:
            if self._bits == _FLOAT32:
                raise
            raise UnsupportedLayer(
                f"the constants of {node.name!r} are no products and sums of floats, which are all that ONNX holds"
            ) from err

    def _pool(self, node: MaxPool | AveragePool) -> tuple[str, tuple[int, ...]]:
        name, shape = self._values[node.source]
        pool = common_pool(node, shape)
        if pool is None:
            return self._windows(node)
        kind = "MaxPool" if isinstance(node, MaxPool) else "AveragePool"
        counted = {"count_include_pad": int(pool.counted)} if isinstance(node, AveragePool) else {}
        return self._emit(
            kind, node, [name], (shape[0], *pool.positions),
            kernel_shape=pool.kernel, strides=pool.stride, pads=pool.pads, ceil_mode=int(pool.ceil), **counted,
        )  # fmt: skip

    def _windows(self, node: MaxPool | AveragePool) -> tuple[str, tuple[int, ...]]:
        """Any windows: gathered side by side, then reduced."""
        name, _ = self._gathered(node, node.index)
        shape = (len(node.index),)
        if isinstance(node, MaxPool):
            return self._emit("ReduceMax", node, [name], shape, axes=[2], keepdims=0)
        total, _ = self._emit("ReduceSum", node, [name, self._integers([2])], shape, keepdims=0)
        return self._emit("Div", node, [total, self._tensor(node.counts.astype(np.float64))], shape)

    def _gathered(self, node: Take | MaxPool | AveragePool, index: np.ndarray) -> tuple[str, tuple[int, ...]]:
        """Entries of the flat value; a zero is put behind it where one is wanted."""
        name, size = self._flat(node.source), self._network.sizes[node.source]
        if index.min() < 0:
            name, _ = self._emit("Pad", node, [name, self._integers([0, 0, 0, 1])], (size + 1,))
        places = self._integers(np.where(index < 0, size, index))
        return self._emit("Gather", node, [name, places], index.shape, axis=1)

    def _flat(self, source: int) -> str:
        return self._as(source, (self._network.sizes[source],))

    def _as(self, source: int, shape: tuple[int, ...]) -> str:
        """The value of a node in this shape of one sample."""
        name, given = self._values[source]
        if given == shape:
            return name
        if (name, shape) not in self._shaped:
            made = self._node("Reshape", f"{name}.reshape", [name, self._integers([0, *shape])], {})
            self._shaped[name, shape] = made
        return self._shaped[name, shape]

    def _bias(self, node: Affine | Convolution) -> list[str]:
        return [self._tensor(node.bias)] if node.bias.any() else []

    def _emit(
        self, kind: str, node: Node, inputs: Sequence[str], shape: Sequence[int], **attributes: Any
    ) -> tuple[str, tuple[int, ...]]:
        return self._node(kind, node.name or kind.lower(), inputs, attributes), tuple(shape)

    def _node(self, kind: str, name: str, inputs: Sequence[str], attributes: dict[str, Any]) -> str:
        from onnx import helper

        plain = own = shown(name)
        while own in self._taken:
            own = f"{plain}.{len(self._taken)}"
        self._taken.add(own)
        output = f"value_{len(self._nodes) + 1}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=own, **attributes))
        return output

    def _tensor(self, array: np.ndarray) -> str:
        """Floats, one tensor for one array. Raises TooLong where the file's type does not hold them."""
        if not is_float(array, self._bits):
            raise TooLong
        return self._initializer(array, "<f4" if self._bits == _FLOAT32 else "<f8")

    def _integers(self, numbers: Sequence[int] | np.ndarray) -> str:
        return self._initializer(np.array(numbers, dtype=np.int64), "<i8")

    def _initializer(self, array: np.ndarray, stored: str) -> str:
        from onnx import TensorProto

        if id(array) not in self._tensors:
            kinds = {"<f4": TensorProto.FLOAT, "<f8": TensorProto.DOUBLE, "<i8": TensorProto.INT64}
            name = f"tensor_{len(self._tensors) + 1}"
            raw = np.ascontiguousarray(array, dtype=stored).tobytes()
            self._tensors[id(array)] = TensorProto(name=name, dims=array.shape, data_type=kinds[stored], raw_data=raw)
            self._held.append(array)  # so that no other array gets its id
        return str(self._tensors[id(array)].name)
