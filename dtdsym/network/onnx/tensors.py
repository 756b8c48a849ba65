"""Tensors of ONNX files, exactly: what a tensor claims is compared with its bytes before anything is allocated."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from dtdsym.errors import LoadError, NotExact
from dtdsym.network.files.inert import shown
from dtdsym.network.onnx.values import FLOATS, INTEGERS, Constant
from dtdsym.network.onnx.wire import text

MOST_EXTERNAL = 2**31  # bytes in all that are read from files beside the model
_EXTERNAL = 1
_AGAIN = "export the model again"
# Which field holds numbers of a type that are not raw bytes; narrow ones are widened to int32.
_FIELDS = {1: "float_data", 11: "double_data", 7: "int64_data", 12: "uint64_data"}
_RAW = {10: "<u2", 16: "<u2", 1: "<f4", 11: "<f8"}


class Tensors:
    """Reads the tensors of one file; `folder` is where it lies, None if files beside it are out of reach."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._left = MOST_EXTERNAL

    def read(self, tensor: Any, name: str) -> Constant:
        """The tensor's numbers in its shape. Raises LoadError, NotExact for types that float64 does not hold."""
        kind, shape = tensor.data_type, tuple(int(n) for n in tensor.dims)
        if kind not in FLOATS and kind not in INTEGERS:
            raise NotExact(f"{name}: is of ONNX type {kind} (quantised, text or complex); expected floats or integers")
        if min(shape, default=0) < 0 or len(shape) > 32:
            raise LoadError(f"{name}: its shape is {shown(shape)}; {_AGAIN}")
        if tensor.HasField("segment"):
            raise LoadError(f"{name}: is stored in segments; {_AGAIN} with whole tensors")
        stored = np.dtype(_RAW[kind] if kind in FLOATS else INTEGERS[kind]).newbyteorder("<")
        numbers = self._numbers(tensor, kind, stored, math.prod(shape), name)
        return Constant(_widened(numbers, kind).reshape(shape), kind)

    def _numbers(self, tensor: Any, kind: int, stored: np.dtype, count: int, name: str) -> np.ndarray:
        fields = [f for f in ("raw_data", "int32_data", *_FIELDS.values()) if len(getattr(tensor, f))]
        if tensor.data_location == _EXTERNAL:
            if fields:
                raise LoadError(f"{name}: has numbers both in the file and beside it; {_AGAIN}")
            return np.frombuffer(self._external(tensor, count * stored.itemsize, name), stored)
        expected = _FIELDS.get(kind, "int32_data")
        if fields == ["raw_data"]:
            if len(tensor.raw_data) != count * stored.itemsize:
                raise LoadError(f"{name}: claims {shown(count)} numbers in {len(tensor.raw_data)} bytes; {_AGAIN}")
            return np.frombuffer(tensor.raw_data, stored)
        held = len(getattr(tensor, expected))
        if fields not in ([], [expected]) or held != count:
            raise LoadError(f"{name}: claims {shown(count)} numbers but holds {held}; {_AGAIN}")
        wide = {"f": np.float64, "d": np.float64, "u": np.uint64}.get(expected[0], np.int64)
        return _narrowed(np.fromiter(getattr(tensor, expected), wide, count), stored, name)

    def _external(self, tensor: Any, size: int, name: str) -> bytes:
        """Bytes of a regular file inside the folder, links resolved."""
        entries = {text(entry.key): text(entry.value) for entry in tensor.external_data}
        path = self._inside(entries.get("location", ""), name)
        offset = _natural(entries.get("offset", "0"), name)
        length = _natural(entries["length"], name) if "length" in entries else size
        if length != size:
            raise LoadError(f"{name}: claims {shown(size)} bytes but its entry names {length}; {_AGAIN}")
        self._left -= size
        if self._left < 0:
            raise LoadError(f"{name}: the tensors beside the file take over {MOST_EXTERNAL} bytes; it is too large")
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or offset + size > status.st_size:
                    raise LoadError(f"{name}: {shown(path.name)!r} beside the model lacks its {size} bytes; {_AGAIN}")
                file.seek(offset)
                return file.read(size)
        except OSError as err:
            raise LoadError(
                f"{name}: the file {shown(path.name)!r} beside the model cannot be read ({err.strerror})"
            ) from err

    def _inside(self, location: str, name: str) -> Path:
        if self._folder is None:
            raise LoadError(f"{name}: its numbers lie in another file; load the model from its folder by its path")
        parts = PurePosixPath(location).parts
        plain = parts and not set(location) & set("\0\\:") and not location.startswith("/") and ".." not in parts
        root = self._folder.resolve()
        try:
            path = (root / location).resolve() if plain else root
        except (OSError, RuntimeError) as err:
            raise LoadError(f"{name}: its numbers lie at {shown(location)!r}, which cannot be followed") from err
        if not plain or not path.is_relative_to(root):
            raise LoadError(
                f"{name}: its numbers lie at {shown(location)!r}, outside the file's folder; save the model in one file"
            )
        return path


def _without_waiting(path: str, flags: int) -> int:
    """A pipe would wait for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _natural(digits: str, name: str) -> int:
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise LoadError(f"{name}: {shown(digits)!r} is no offset or length; {_AGAIN}")
    return int(digits)


def _narrowed(numbers: np.ndarray, stored: np.dtype, name: str) -> np.ndarray:
    """Numbers of a wider field as the type that they were; raises where they are none of it."""
    if numbers.size and numbers.dtype.kind in "iu" and stored.kind in "iub":
        low, high = (0, 1) if stored.kind == "b" else (int(np.iinfo(stored).min), int(np.iinfo(stored).max))
        if int(numbers.min()) < low or int(numbers.max()) > high:
            raise LoadError(f"{name}: a number is outside of its type; {_AGAIN}")
    return numbers.astype(stored)


def _widened(numbers: np.ndarray, kind: int) -> np.ndarray:
    """float64, int64 or bool, exactly. A bfloat16 is the upper half of a float32."""
    match FLOATS.get(kind):
        case "float16":
            numbers = numbers.view("<f2")
        case "bfloat16":
            numbers = (numbers.astype("<u4") << 16).view("<f4")
        case "float32" | "float64":
            pass
        case None:
            return numbers.astype(bool if INTEGERS[kind] == "?" else np.int64)
    with np.errstate(invalid="ignore"):  # numpy warns of some NaN; whoever uses a weight refuses all of them
        return numbers.astype(np.float64)
