"""The container of torch.export: a zip of JSON and raw bytes. Its pickles (sample inputs, odd weights) stay shut."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import torch

from dtdsym.errors import LoadError, NotExact
from dtdsym.network.files.archive import DAMAGED, Archive, Numbers, entry_of, stored_plainly
from dtdsym.network.files.inert import Name, Storage, Tensor, shown
from dtdsym.network.pt2.constants import Constant

LARGEST_JSON = 2**24
SCHEMA = 8  # the major version of torch's schema since 2.6; a minor one only adds what older readers may pass over
EXPORT_AGAIN = "export it again with torch.export.save(torch.export.export(model.eval(), (example,)), path)"
# torch's own numbers for its dtypes.
DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
_FLOATS = {torch.float16: "half", torch.float32: "float", torch.float64: "double", torch.bfloat16: "bfloat16"}
_INTEGERS = {
    torch.uint8: "u1", torch.int8: "i1", torch.int16: "i2", torch.int32: "i4", torch.int64: "i8", torch.bool: "u1",
}  # fmt: skip
_UNREADABLE = (zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError, OverflowError, struct.error)


class Exported:
    """The graph (JSON) of an archive of torch.export, and its tensors by name."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except _UNREADABLE as err:
            raise LoadError(DAMAGED) from err
        self._names = stored_plainly(self._zip, len(data))
        self._folder = _folder(self._names)
        if self._folder + "byteorder" in self._names and self._entry("byteorder") != b"little":
            raise LoadError("it was exported on a big-endian machine, which is not read; export it on another")
        self.model = self._json("models/model.json")
        major = field(field(self.model, "schema_version", dict), "major", int)
        if major != SCHEMA:
            raise LoadError(
                f"its torch.export schema has version {shown(major)}; supported is {SCHEMA}; {EXPORT_AGAIN}"
            )
        self._tensors = {**self._config("weights", "model_weights"), **self._config("constants", "model_constants")}
        self._numbers = Numbers(Archive(None, self._content, "<"), most=len(data))

    def constant(self, name: str) -> Constant:
        """A weight, buffer or constant, exact. Raises LoadError, NotExact."""
        place, meta = self._described(name)
        dtype = DTYPES.get(field(meta, "dtype", int))
        size, stride = natural_numbers(meta.get("sizes"), name), natural_numbers(meta.get("strides"), name)
        offset = natural_numbers([meta.get("storage_offset")], name)[0]
        if dtype is None or not len(size) == len(stride) <= 64:
            raise NotExact(
                f"{shown(name)} has torch's dtype number {shown(meta.get('dtype'))} and {len(size)} dimensions; "
                "supported are float16, bfloat16, float32 and float64; convert the module with .float()"
            )
        if dtype not in _FLOATS:
            return Constant(self._integers(place, dtype, size, (offset, *stride), name), dtype)
        storage = Storage(Name("torch", _FLOATS[dtype]), place, len(self._entry(place)) // dtype.itemsize)
        tensor = Tensor(storage, offset, size, stride, _FLOATS[dtype])
        return Constant(self._numbers.read(tensor, shown(name)), dtype, self._owner(name))

    def _described(self, name: str) -> tuple[str, Mapping[str, Any]]:
        """Where a tensor lies, and what it is."""
        kind, config = self._tensors.get(name, ("", {}))
        path, meta = config.get("path_name"), config.get("tensor_meta")
        if type(path) is not str or type(meta) is not dict:
            raise LoadError(f"its tensor {shown(name)!r} is not described; {EXPORT_AGAIN}")
        return f"data/{kind}/{path}", meta

    def _owner(self, name: str) -> str:
        """The module that a weight belongs to: of those that share it, the first."""
        first = next(other for other, described in self._tensors.items() if described == self._tensors[name])
        return first.rpartition(".")[0]

    def _integers(
        self, place: str, dtype: torch.dtype, size: tuple[int, ...], where: tuple[int, ...], name: str
    ) -> np.ndarray:
        """Indices, masks and counters, which lie one after another. where: offset and strides."""
        content, count = self._entry(place), math.prod(size)
        dense = [math.prod(size[i + 1 :]) for i in range(len(size))]
        apart = [step for n, step, want in zip(size, where[1:], dense, strict=True) if n > 1 and step != want]
        if where[0] or apart or len(content) != count * dtype.itemsize or not count:
            raise LoadError(
                f"{shown(name)} claims {count} integers of an entry of {len(content)} bytes, which must hold them "
                f"and no others; {EXPORT_AGAIN}"
            )
        return np.frombuffer(content, dtype=f"<{_INTEGERS[dtype]}").astype(np.int64).reshape(size)

    def _config(self, folder: str, name: str) -> dict[str, tuple[str, Mapping[str, Any]]]:
        """Names -> folder and description, in the file's order. Raises LoadError for pickled ones."""
        path = f"data/{folder}/{name}_config.json"
        if self._folder + path not in self._names:
            return {}
        config = field(self._json(path), "config", dict)
        for key in config:
            if field(config, key, dict).get("use_pickle") is not False:
                raise LoadError(
                    f"its tensor {shown(key)!r} is pickled, and pickles are never opened; make it a plain tensor and "
                    f"{EXPORT_AGAIN}"
                )
        return {key: (folder, value) for key, value in config.items()}

    def _json(self, path: str) -> dict[str, Any]:
        content = self._entry(path)
        if len(content) > LARGEST_JSON:
            raise LoadError(f"its entry {shown(path)} has {len(content)} bytes; at most {LARGEST_JSON} are read")
        try:
            made = json.loads(content)
        except (ValueError, RecursionError) as err:
            raise LoadError(f"its entry {shown(path)} is not JSON; {DAMAGED}") from err
        if type(made) is not dict:
            raise LoadError(f"its entry {shown(path)} is no JSON object; {EXPORT_AGAIN}")
        return made

    def _content(self, storage: Storage) -> bytes:
        return self._entry(storage.key)

    def _entry(self, path: str) -> bytes:
        return entry_of(self._zip, self._folder + path)


def _folder(names: set[str]) -> str:
    """What stands before the name of every entry."""
    if not any(name.rpartition("/")[2] == "archive_format" for name in names):
        raise LoadError(
            f"it is a torch.export archive of a torch before 2.8, which keeps weights as pickles; {EXPORT_AGAIN}"
        )
    found = [name.removesuffix("models/model.json") for name in names if name.endswith("models/model.json")]
    if len(found) != 1:
        raise LoadError(
            f"it is a torch.export archive of {len(found)} graphs (compiled packages have none); expected one; "
            f"{EXPORT_AGAIN}"
        )
    return found[0]


def field(data: Any, key: str, kind: type) -> Any:
    """data[key], which must be of this kind. Raises LoadError, with the key."""
    if type(data) is not dict or type(data.get(key)) is not kind:
        raise LoadError(f"its torch.export JSON lacks {shown(key)!r}, or holds another thing there; {EXPORT_AGAIN}")
    return data[key]


def union(tagged: Any) -> tuple[str, Any]:
    """(kind, what it is) of {kind: what it is}. Raises LoadError."""
    if type(tagged) is not dict or len(tagged) != 1:
        raise LoadError(f"a value in its torch.export JSON has no single kind; {EXPORT_AGAIN}")
    return next(iter(tagged.items()))


def natural_numbers(numbers: Any, name: str) -> tuple[int, ...]:
    """[{"as_int": n}, ...] as (n, ...), each below 2^62. Raises LoadError, with whose they are."""
    listed: Sequence[Any] = numbers if type(numbers) is list else [None]
    found = tuple(entry.get("as_int") if type(entry) is dict else None for entry in listed)
    if not all(type(n) is int and 0 <= n < 2**62 for n in found):
        raise LoadError(
            f"{shown(name)}: its shape, strides or offset are no fixed natural numbers; only the first dimension of "
            f"the input may be dynamic; {EXPORT_AGAIN}"
        )
    return tuple(int(n) for n in found if n is not None)
