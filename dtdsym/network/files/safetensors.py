"""Files of safetensors: eight bytes of length, a JSON header that says where each tensor lies, and the numbers.

Nothing in such a file can be executed; what it claims is checked against its size before memory is taken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtdsym.errors import LoadError, NotExact, ShapeMismatch
from dtdsym.network.files.inert import shown

LARGEST_HEADER = 2**23
_START = 8
# Bytes that one number takes.
_WIDTHS = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8, "C64": 8,
}  # fmt: skip
# numpy's names; a bfloat16 is the upper half of a float32.
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}
_DAMAGED = "the safetensors file is damaged or cut short; save or copy it again"


@dataclass(frozen=True)
class Entry:
    """A tensor of the file: numbers of one dtype from byte `begin` to `end`, counted behind the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Safetensors:
    """A file of safetensors: `entries` by name, `metadata` that words go by, and its arrays."""

    def __init__(self, data: bytes) -> None:
        """Raises LoadError for a header that is damaged or does not describe all bytes of the file, each once."""
        length = int.from_bytes(data[:_START], "little")
        if length > min(LARGEST_HEADER, len(data) - _START):
            raise LoadError(
                f"its safetensors header claims {length} bytes; the file has {len(data)}, and at most {LARGEST_HEADER} "
                f"are read; {_DAMAGED}"
            )
        header = parse(data[_START : _START + length], "its safetensors header")
        if type(header) is not dict:
            raise LoadError(f"its safetensors header is no JSON object; {_DAMAGED}")
        self.metadata = _metadata(header.pop("__metadata__", {}))
        self.entries = {name: _entry(name, entry) for name, entry in header.items()}
        self._numbers = memoryview(data)[_START + length :]
        self._arrays: dict[str, np.ndarray] = {}
        _check_cover(self.entries, len(self._numbers))

    def read(self, key: str, name: str) -> np.ndarray:
        """The tensor under `key` as float64, exactly, made once. name: whose it is, for messages.

        Raises NotExact for another dtype than floats of 16 bits and more, ShapeMismatch for an empty tensor."""
        if key not in self._arrays:
            self._arrays[key] = self._decoded(self.entries[key], name)
        return self._arrays[key]

    def _decoded(self, entry: Entry, name: str) -> np.ndarray:
        if entry.dtype not in _DTYPES:
            raise NotExact(
                f"{name} has dtype {entry.dtype}; supported are F16, BF16, F32 and F64; convert the module with "
                ".float() before saving"
            )
        if entry.begin == entry.end:
            raise ShapeMismatch(f"{name} has shape {list(entry.shape)}, which is empty; every layer needs weights")
        raw: Any = np.frombuffer(self._numbers[entry.begin : entry.end], _DTYPES[entry.dtype])
        if entry.dtype == "BF16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        return np.array(raw, dtype=np.float64).reshape(entry.shape)


def looks_like_safetensors(data: bytes) -> bool:
    """Whether the file begins as safetensors does: a length below 2^40, then a JSON object."""
    return data[8:9] == b"{" and data[5:8] == b"\0\0\0"


def written(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """A file of float32 and float64 arrays, with words beside them."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    at = 0
    for name, array in arrays.items():
        dtype = {4: "F32", 8: "F64"}[array.itemsize]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    numbers = (array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays.values())
    return len(text).to_bytes(_START, "little") + text + b"".join(numbers)


def parse(text: bytes | str, where: str) -> Any:
    """JSON without doubled keys. Raises LoadError, which names where it stood."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as err:
        raise LoadError(f"{where} is no valid JSON; {_DAMAGED}") from err


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key stands twice")
    return made


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _metadata(given: Any) -> dict[str, str]:
    if type(given) is not dict or not all(type(value) is str for value in given.values()):
        raise LoadError(f"its safetensors metadata is not words by name; {_DAMAGED}")
    return given


def _entry(name: str, given: Any) -> Entry:
    where = f"its tensor {shown(name)!r}"
    if type(given) is not dict or given.keys() != {"dtype", "shape", "data_offsets"}:
        raise LoadError(f"{where} is not described by dtype, shape and data_offsets; {_DAMAGED}")
    dtype, shape, offsets = given["dtype"], given["shape"], given["data_offsets"]
    if type(dtype) is not str or dtype not in _WIDTHS:
        raise LoadError(f"{where} is of the unknown dtype {shown(dtype)}; known are {', '.join(_WIDTHS)}")
    if not _natural(shape) or not _natural(offsets) or len(offsets) != 2 or len(shape) > 32:
        raise LoadError(f"{where} has a shape or offsets that are no natural numbers; {_DAMAGED}")
    begin, end = offsets
    claimed = math.prod(shape) * _WIDTHS[dtype]
    if end - begin != claimed:
        raise LoadError(f"{where} of shape {shown(shape)} takes {claimed} bytes, but {end - begin} are its own")
    return Entry(dtype, tuple(shape), begin, end)


def _natural(numbers: Any) -> bool:
    return type(numbers) is list and all(type(n) is int and 0 <= n < 2**48 for n in numbers)


def _check_cover(entries: Mapping[str, Entry], size: int) -> None:
    """Tensors lie one behind the other, and nothing else is in the file."""
    at = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != at:
            raise LoadError(
                f"its tensor {shown(name)!r} begins at byte {entry.begin}, where {at} is free; tensors of safetensors "
                f"neither overlap nor leave gaps; {_DAMAGED}"
            )
        at = entry.end
    if at != size:
        raise LoadError(f"its tensors take {at} bytes, but {size} are there; {_DAMAGED}")
