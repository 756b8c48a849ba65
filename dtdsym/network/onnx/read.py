"""read_onnx: a network from an ONNX file. Nothing in it is executed; data beside it is read from its folder only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dtdsym.errors import LoadError, NotExact, ShapeMismatch, UnsupportedLayer
from dtdsym.network.builder import MOST_ENTRIES, MOST_NODES, Builder
from dtdsym.network.files.inert import shown
from dtdsym.network.network import Network
from dtdsym.network.onnx.operators import apply
from dtdsym.network.onnx.tensors import Tensors
from dtdsym.network.onnx.values import FLOATS, Data, Operation, Scope
from dtdsym.network.onnx.wire import DAMAGED, check_structure, looks_like_onnx, text

__all__ = ["LARGEST_FILE", "looks_like_onnx", "read_onnx"]

LARGEST_FILE = 2**31 - 1  # bytes that protobuf reads
FIRST_OPSET, LAST_OPSET = 7, 28  # from the first whose arithmetic broadcasts to the last whose operators were compared
_AGAIN = "export the model again"
_TENSOR_TYPE = "tensor_type"


def read_onnx(data: bytes, folder: Path | None) -> Network:
    """The network of these bytes, with exact weights; its input without the batch dimension.

    folder: where the file lies; tensors stored beside it are read from within, None forbids that.
    Raises LoadError for damaged files, UnsupportedLayer for what is not understood, NotExact and ShapeMismatch."""
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    if len(data) > LARGEST_FILE:
        raise LoadError(f"{len(data)} bytes; ONNX files of at most {LARGEST_FILE} bytes are read")
    check_structure(data)
    try:
        return _read(ModelProto.FromString(data), Tensors(folder))
    except (DecodeError, UnicodeDecodeError) as err:
        raise LoadError(DAMAGED) from err


def _read(model: Any, tensors: Tensors) -> Network:
    opset = _opset(model)
    graph = model.graph
    initializers = {}
    for tensor in graph.initializer:
        if not tensor.name or tensor.name in initializers:
            raise LoadError(f"two initializers or none are named {shown(tensor.name)!r}; {_AGAIN}")
        initializers[text(tensor.name)] = tensor
    name, shape, kind = _input(graph, initializers)
    batch, sample = (shape[0], shape[1:]) if len(shape) > 1 else (1, shape)
    scope = Scope(Builder(sample), batch, initializers, tensors.read)
    scope.define(name, scope.result(scope.builder.input, shape, kind), "the input")
    for op in _operations(graph, opset):
        scope.define(op.outputs[0], apply(scope, op), str(op))
    return scope.builder.network(_output(graph, scope).value)


def _opset(model: Any) -> int:
    """The version of ONNX's own operators. Raises for what only other readers understand."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not model.HasField("graph") or not model.graph.node:
        raise LoadError(f"the ONNX file holds no graph with nodes; {_AGAIN}")
    if len(versions) != 1 or not FIRST_OPSET <= versions[0] <= LAST_OPSET:
        stated = ", ".join(map(str, versions[:4])) or "not stated"
        raise LoadError(f"its opset is {stated}; export with an opset from 13 to {LAST_OPSET}")
    if model.functions or model.training_info:
        raise UnsupportedLayer(f"it holds functions or training graphs of its own; {_AGAIN}, for inference and inlined")
    if model.graph.sparse_initializer or model.graph.quantization_annotation:
        raise UnsupportedLayer(f"it holds sparse or quantised tensors; {_AGAIN} with dense floats")
    return int(versions[0])


def _input(graph: Any, initializers: dict[str, Any]) -> tuple[str, tuple[int, ...], int]:
    """Name, shape with the batch (1 if it is open) and type of the only input that is no initializer."""
    inputs = [entry for entry in graph.input if entry.name not in initializers]
    if len(inputs) != 1 or inputs[0].type.WhichOneof("value") != _TENSOR_TYPE:
        raise UnsupportedLayer(f"it has {len(inputs)} inputs; expected one tensor")
    name, tensor = text(inputs[0].name), inputs[0].type.tensor_type
    if tensor.elem_type not in FLOATS:
        raise NotExact(f"its input {shown(name)!r} is of ONNX type {tensor.elem_type}; expected floats")
    sizes = [d.dim_value if d.WhichOneof("value") == "dim_value" else None for d in tensor.shape.dim]
    if not tensor.HasField("shape") or not sizes or len(sizes) > 32:
        raise ShapeMismatch(f"its input {shown(name)!r} states no shape; give the model a fixed input shape")
    if len(sizes) > 1 and (sizes[0] is None or sizes[0] <= 0):
        sizes[0] = 1
    fixed = tuple(int(size) for size in sizes if size is not None and size > 0)
    if len(fixed) != len(sizes):
        raise ShapeMismatch(
            f"its input {shown(name)!r} is of an open size beside the batch; give the model a fixed input shape"
        )
    if math.prod(fixed) > MOST_ENTRIES:
        raise ShapeMismatch(f"its input {shown(name)!r} has over {MOST_ENTRIES} numbers; give the model a batch of 1")
    return name, fixed, int(tensor.elem_type)


def _operations(graph: Any, opset: int) -> Iterator[Operation]:
    if len(graph.node) > 4 * MOST_NODES:
        raise LoadError(f"it has {len(graph.node)} nodes; at most {4 * MOST_NODES} are read")
    for node in graph.node:
        inputs, outputs = tuple(map(text, node.input)), tuple(map(text, node.output))
        name = shown(text(node.name) or (outputs[0] if outputs else "without name"))
        attributes = {text(attribute.name): attribute for attribute in node.attribute}
        op = Operation(text(node.op_type), name, inputs, outputs, attributes, opset)
        if node.domain not in ("", "ai.onnx"):
            op.refuse(f"is of the domain {shown(node.domain)!r}; only ONNX's own operators are supported")
        if len(attributes) != len(node.attribute) or any(attribute.ref_attr_name for attribute in node.attribute):
            raise LoadError(f"{op}: an attribute is given twice or by reference; {_AGAIN}")
        if not op.outputs or not op.outputs[0]:
            raise LoadError(f"{op}: computes nothing that has a name; {_AGAIN}")
        yield op


def _output(graph: Any, scope: Scope) -> Data:
    if len(graph.output) != 1:
        raise UnsupportedLayer(f"it has {len(graph.output)} outputs; export the model with its logits alone")
    name = text(graph.output[0].name)
    meaning = scope.values.get(name)
    if not isinstance(meaning, Data):
        raise LoadError(f"its output {shown(name)!r} is computed by no node from the input; {_AGAIN}")
    return meaning
