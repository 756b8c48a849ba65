"""Files that a hostile or careless hand could have written, byte by byte where torch.save would not write them."""

from __future__ import annotations

import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dtdsym.network.files.archive import MAGIC_NUMBER, PROTOCOL_VERSION


class Touch:
    """Unpickling one with pickle would create a directory at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def save(saved: Any, path: Path, *, legacy: bool = False, protocol: int = 2) -> Path:
    """torch.save in one of its two formats."""
    torch.save(saved, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    return path


def zip_of(entries: dict[str, bytes], path: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    """A zip archive with these entries under net/, as torch.save names them."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(f"net/{name}", content)
    return path


def unzip(path: Path) -> dict[str, bytes]:
    """The entries of a file of torch.save, without their folder."""
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def legacy_of(body: bytes, path: Path, storages: dict[str, bytes] | None = None, width: int = 4) -> Path:
    """A file of the format before 1.6 around this pickle."""
    stream = BytesIO()
    for part in (MAGIC_NUMBER, PROTOCOL_VERSION, {"protocol_version": PROTOCOL_VERSION, "little_endian": True}):
        pickle.dump(part, stream, protocol=2)
    stream.write(body)
    pickle.dump(list(storages or {}), stream, protocol=2)
    for content in (storages or {}).values():
        stream.write(struct.pack("<q", len(content) // width) + content)
    path.write_bytes(stream.getvalue())
    return path


def pickled(path: Path, pickle_bytes: bytes, *, legacy: bool, storages: dict[str, bytes] | None = None) -> Path:
    """A file of torch.save in either format around this pickle and these storages."""
    if legacy:
        return legacy_of(pickle_bytes, path, storages)
    entries = {"data.pkl": pickle_bytes, "byteorder": b"little", "version": b"3\n"}
    return zip_of(entries | {f"data/{key}": content for key, content in (storages or {}).items()}, path)


def state_dict_pickle(tensors: dict[str, tuple[str, int, int, tuple[int, ...], tuple[int, ...]]]) -> bytes:
    """The pickle of an OrderedDict of tensors, each (storage key, stored, offset, size, stride) of float32."""
    saved = OrderedDict((name, _Claim(*claim)) for name, claim in tensors.items())
    stream = BytesIO()
    _Pickler(stream, protocol=2).dump(saved)
    return stream.getvalue()


class _Claim:
    """A tensor that claims to be what its storage need not hold."""

    def __init__(self, key: str, stored: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.storage = _Stored(key, stored)
        self.rest = (offset, size, stride, False, OrderedDict())

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, (self.storage, *self.rest)


class _Stored:
    def __init__(self, key: str, count: int) -> None:
        self.key, self.count = key, count


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return ("storage", torch.FloatStorage, obj.key, "cpu", obj.count) if isinstance(obj, _Stored) else None


def safetensors_of(header: bytes, path: Path, numbers: bytes = b"") -> Path:
    """A file of safetensors with this header."""
    path.write_bytes(struct.pack("<Q", len(header)) + header + numbers)
    return path


def mutations(content: bytes, count: int, seed: int) -> Iterator[bytes]:
    """The content with flipped bits, changed, lost, doubled or foreign bytes, or cut short; the same for one seed."""
    chance = random.Random(seed)
    for _ in range(count):
        made = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(made)) if made else 0
            match chance.choice(["flip", "flip", "byte", "lose", "double", "insert", "cut"]):
                case "flip":
                    made[at : at + 1] = bytes(byte ^ 1 << chance.randrange(8) for byte in made[at : at + 1])
                case "byte":
                    made[at : at + 1] = chance.choice([b"\0", b"\xff", b"0", b"9", b"R", b".", b"}"])
                case "lose":
                    del made[at : at + chance.randint(1, 16)]
                case "double":
                    made[at:at] = made[at : at + chance.randint(1, 64)]
                case "insert":
                    made[at:at] = chance.randbytes(chance.randint(1, 8))
                case "cut":
                    del made[max(at, len(made) // 2) :]
        yield bytes(made)


@contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Gives the most bytes that were allocated at once inside."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def mlp(*widths: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        linear = nn.Linear(inputs, outputs)
        for parameter in linear.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to(dtype)
