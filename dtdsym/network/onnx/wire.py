"""ONNX files as bytes, before protobuf makes objects of them: do they look like one, and would the objects fit memory?

An empty message takes two bytes of a file and some two hundred of memory, so all but the tensors' numbers is limited.
"""

from __future__ import annotations

from typing import Any

from dtdsym.errors import LoadError

MOST_STRUCTURE = 2**23  # bytes besides numbers: nodes, names, shapes
DAMAGED = "the ONNX file is damaged or cut short; save or copy it again"
_FIRST_FIELDS = 64
_GRAPH = 7
# Fields of a ModelProto by number and wire type (0: varint, 2: bytes).
_MODEL_FIELDS = {(1, 0), (2, 2), (3, 2), (4, 2), (5, 0), (6, 2), (7, 2), (8, 2), (14, 2), (20, 2), (25, 2), (26, 2)}
# Where numbers lie: model.graph.initializer and model.graph.node.attribute.t, and their packed fields or raw_data.
_WITHIN = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor"},
}
_NUMBERS = (4, 5, 7, 9, 10, 11)


def looks_like_onnx(data: bytes) -> bool:
    """Whether the bytes begin as ONNX's writers do: ir_version, then known fields of a ModelProto up to its graph."""
    at = 0
    for _ in range(_FIRST_FIELDS):
        start = at
        tag, at = _varint(data, at, len(data))
        if at > len(data) or (tag >> 3, tag & 7) not in _MODEL_FIELDS or (start == 0 and tag != 8):
            return False
        if tag >> 3 == _GRAPH:
            return True
        length, at = _varint(data, at, len(data))
        at += length if tag & 7 == 2 else 0
    return False


def check_structure(data: bytes) -> None:
    """Raises LoadError where more than MOST_STRUCTURE bytes are no numbers of tensors, or fields do not fit."""
    structure = _structure(data, 0, len(data), "model")
    if structure > MOST_STRUCTURE:
        raise LoadError(f"it takes {structure} bytes besides its tensors; at most {MOST_STRUCTURE} are read")


def text(value: Any) -> str:
    """A text of the file; protobuf hands out bytes where it is none."""
    if not isinstance(value, str):
        raise LoadError(DAMAGED)
    return value


def _structure(data: bytes, at: int, end: int, message: str) -> int:
    """Bytes from `at` to `end`, the fields of one message, less those of numbers."""
    structure = end - at
    while at < end:
        tag, at = _varint(data, at, end)
        kind, field = tag & 7, tag >> 3
        if kind == 2:
            length, at = _varint(data, at, end)
            if message == "tensor":
                structure -= length if field in _NUMBERS else 0
            elif field in _WITHIN[message] and at + length <= end:
                structure -= length - _structure(data, at, at + length, _WITHIN[message][field])
            at += length
        elif kind == 0:
            at = _varint(data, at, end)[1]
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise LoadError(DAMAGED)
    if at > end:
        raise LoadError(DAMAGED)
    return structure


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number and where it ends; past the end if it is cut short or too long."""
    value = shift = 0
    while at < end and shift < 70:
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7
    return value, end + 1
