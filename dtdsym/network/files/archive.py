"""Files of torch.save, in the zip format (torch 1.6 and later) and in the one before, and the numbers they hold."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np

from dtdsym.errors import LoadError, NotExact, ShapeMismatch
from dtdsym.network.files.inert import Storage, Tensor, shown
from dtdsym.network.files.unpickle import read_pickle

MAGIC_NUMBER, PROTOCOL_VERSION = 0x1950A86A20F9469CFC6C, 1001
DAMAGED = "the file is damaged or cut short; save or copy it again"
# float16, float32 and float64 by numpy's name; a bfloat16 is the upper half of a float32.
_DTYPES = {"half": "f2", "float": "f4", "double": "f8", "bfloat16": "u2"}
# What zipfile raises on damaged archives: RuntimeError and its NotImplementedError for encryption and odd versions.
_UNREADABLE = (zipfile.BadZipFile, RuntimeError, ValueError, OSError, EOFError, OverflowError, struct.error)
_ORDERS: dict[bytes, Literal["<", ">"]] = {b"little": "<", b"big": ">"}
_EXPORT_AGAIN = "save torch.export.export(model, (example_input,)) with torch.export.save"


@dataclass(frozen=True, eq=False)
class Archive:
    """What torch.save wrote: `root` is inert; `content` gives a storage's bytes, whose numbers have this byte order."""

    root: Any
    content: Callable[[Storage], bytes]
    order: Literal["<", ">"]


def open_zip(data: bytes) -> Archive:
    """The zip format: <name>/data.pkl beside one uncompressed entry <name>/data/<key> for each storage."""
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except _UNREADABLE as err:
        raise LoadError(DAMAGED) from err
    _refuse_others(archive.namelist())
    names = stored_plainly(archive, len(data))
    folder = _folder(names)
    storages: dict[str, Storage] = {}
    root = read_pickle(BytesIO(entry_of(archive, f"{folder}/data.pkl")), storages)
    order = entry_of(archive, f"{folder}/byteorder") if f"{folder}/byteorder" in names else b"little"
    if order not in _ORDERS:
        raise LoadError(f"its byte order is {shown(order[:20])}; expected little or big; {DAMAGED}")
    return Archive(root, lambda storage: entry_of(archive, f"{folder}/data/{storage.key}"), _ORDERS[order])


def is_exported(data: bytes) -> bool:
    """Whether a zip archive is one of torch.export."""
    try:
        names = zipfile.ZipFile(BytesIO(data)).namelist()
    except _UNREADABLE as err:
        raise LoadError(DAMAGED) from err
    return _has(names, "archive_format") or _has(names, "serialized_exported_program.json")


def stored_plainly(archive: zipfile.ZipFile, size: int) -> set[str]:
    """Names of the entries, none compressed, doubled or overlapping: no archive can hold more than its own bytes."""
    entries = archive.infolist()
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise LoadError(
                f"its entry {shown(entry.filename)} is compressed or encrypted, which torch.save never does; "
                "save the network again with torch.save"
            )
    names = {entry.filename for entry in entries}
    if len(names) < len(entries) or sum(entry.file_size for entry in entries) > size:
        raise LoadError("its entries overlap or share a name; save the network again with torch.save")
    return names


def _refuse_others(names: list[str]) -> None:
    if _has(names, "constants.pkl"):
        raise LoadError(
            f"it is a TorchScript archive, which runs code when it is read; {_EXPORT_AGAIN}, save the "
            "torch.nn.Sequential itself with torch.save(model, path), or use dtdsym.from_module(module, example_input)"
        )


def _has(names: list[str], ending: str) -> bool:
    return any(name == ending or name.endswith(f"/{ending}") for name in names)


def _folder(names: set[str]) -> str:
    folders = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(folders) != 1:
        raise LoadError(
            f"it is a zip archive but not one of torch.save; save it with torch.save(model, path), or {_EXPORT_AGAIN}"
        )
    return folders[0]


def entry_of(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of one entry. Raises LoadError."""
    try:
        return archive.read(name)
    except (KeyError, *_UNREADABLE) as err:
        raise LoadError(f"its entry {shown(name)} is missing or unreadable; {DAMAGED}") from err


def open_legacy(data: bytes) -> Archive:
    """The format before 1.6: pickles of a magic number, a version, the machine, the object and the storages' keys,
    then for each storage, in this order, its count (8 bytes) and its numbers, little-endian."""
    stream, storages = BytesIO(data), dict[str, Storage]()
    if read_pickle(stream) != MAGIC_NUMBER:
        raise LoadError("it is a plain pickle, not a file of torch.save; save the network with torch.save(model, path)")
    if read_pickle(stream) != PROTOCOL_VERSION:
        raise LoadError(f"it is of an unknown version of torch.save; expected {PROTOCOL_VERSION}; save it again")
    machine, root, keys = read_pickle(stream), read_pickle(stream, storages), read_pickle(stream)
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise LoadError("it was saved on a big-endian machine in the old format; save it again with a torch since 1.6")
    if type(keys) is not list or not all(type(key) is str and key in storages for key in keys):
        raise LoadError(DAMAGED)
    contents: dict[str, bytes] = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "little")
        if count != storages[key].count:
            raise LoadError(f"storage {shown(key)} should hold {storages[key].count} numbers; {DAMAGED}")
        contents[key] = stream.read(min(count * _width(storages[key]), len(data)))
    return Archive(root, lambda storage: contents.get(storage.key, b""), "<")


def _width(storage: Storage) -> int:
    """Bytes that one number of the storage takes."""
    kind = storage.kind.name.removesuffix("Storage").lower()
    widths = {"byte": 1, "char": 1, "bool": 1, "short": 2, "int": 4, "long": 8, "complexfloat": 8, "complexdouble": 16}
    if kind in _DTYPES:
        return np.dtype(_DTYPES[kind]).itemsize
    if kind in widths:
        return widths[kind]
    raise LoadError(
        f"it holds a {storage.kind}; supported are float16, bfloat16, float32 and float64; convert it first"
    )


class Numbers:
    """Reads the tensors of an archive exactly. One tensor is read once: what shares weights shares the array."""

    def __init__(self, archive: Archive, most: int) -> None:
        """most: how many numbers may be read in all, however often the tensors share what is stored."""
        self._archive, self._left = archive, most
        self._arrays: dict[tuple[Any, ...], np.ndarray] = {}

    def read(self, tensor: Tensor, name: str) -> np.ndarray:
        """The tensor as float64, exactly. Raises NotExact for another dtype, LoadError if it claims what is not there.

        name: whose tensor it is, for messages. Nothing is allocated before shape, strides and bytes were checked."""
        key = (tensor.storage.key, tensor.dtype, tensor.offset, tensor.size, tensor.stride)
        if key not in self._arrays:
            self._arrays[key] = self._decode(tensor, name)
        return self._arrays[key]

    def _decode(self, tensor: Tensor, name: str) -> np.ndarray:
        if tensor.dtype not in _DTYPES:
            raise NotExact(
                f"{name} has dtype {shown(tensor.dtype)}; supported are float16, bfloat16, float32 and float64; "
                "convert the module with .float() before saving"
            )
        dtype = np.dtype(self._archive.order + _DTYPES[tensor.dtype])
        content, stored = self._archive.content(tensor.storage), tensor.storage.count
        if len(content) != stored * dtype.itemsize:
            raise LoadError(
                f"{name} lies in a storage of {stored} numbers, but {len(content)} bytes are there; {DAMAGED}"
            )
        self._claim(tensor, name)
        strides = [step * dtype.itemsize if n > 1 else 0 for n, step in zip(tensor.size, tensor.stride, strict=True)]
        raw = np.ndarray(tensor.size, dtype, content, tensor.offset * dtype.itemsize, strides)
        if tensor.dtype == "bfloat16":
            raw = (raw.astype(np.uint32) << 16).view(np.float32)
        return np.array(raw, dtype=np.float64, order="C")

    def _claim(self, tensor: Tensor, name: str) -> None:
        """Check that every number of the tensor is stored, and that it has no more numbers than its storage."""
        claimed, stored = math.prod(tensor.size), tensor.storage.count
        last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, tensor.stride, strict=True))
        if claimed == 0:
            raise ShapeMismatch(f"{name} has shape {list(tensor.size)}, which is empty; every layer needs weights")
        if claimed > stored or last >= stored:
            raise LoadError(
                f"{name} claims {claimed} numbers, the last at {last}, of a storage of {stored}; "
                "call .contiguous() on an expanded tensor before saving"
            )
        self._left -= claimed
        if self._left < 0:
            raise LoadError(f"{name}: the tensors claim far more numbers than the file holds; save the network again")
