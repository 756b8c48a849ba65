"""load: a network from a file. The kind of file is told by its content; nothing in it is ever executed."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from dtdsym.errors import DtdsymError, LoadError
from dtdsym.network.archive import Archive, Numbers, open_legacy, open_zip
from dtdsym.network.inert import Record, Tensor, shown, typename
from dtdsym.network.network import Network
from dtdsym.network.rebuild import rebuild
from dtdsym.network.state_dict import Layers, from_state_dict, holds_state_dict

LARGEST_FILE = 2**31
_REMEDY = "save the network as torch.nn.Sequential layers with torch.save(model, path)"
_NOT_YET = f"which is not supported yet; {_REMEDY}"
_SIGNATURES = (
    (b"\x89HDF", f"an HDF5 (Keras) file; {_REMEDY}"),
    (b"\x93NUMPY", f"a numpy array, not a network; {_REMEDY}"),
    (b"ustar", f"a tar archive, perhaps of a torch before 0.1.10; {_REMEDY}"),
)


def load(path: str | PathLike[str], layers: Layers | None = None) -> Network:
    """The network saved in this file, with exact weights, in evaluation mode.

    path: torch.save of torch.nn.Sequential layers, or of a state_dict (perhaps under `state_dict` or `model`), in
    either of torch's formats. layers: for a state_dict without our header, see dtdsym.network.state_dict.
    Raises LoadError or UnsupportedLayer for what is not understood, NotExact for weights that are not finite or not
    floats, ShapeMismatch for layers that do not chain; each in one line that begins with the file's name."""
    data = _read(Path(path))
    try:
        network = _network(data, layers)
    except DtdsymError as err:
        raise type(err)(f"{shown(path)}: {err}") from err
    return replace(network, source=str(path), file_sha256=hashlib.sha256(data).hexdigest())


def load_tensor(path: str | PathLike[str]) -> np.ndarray:
    """The one tensor that torch.save wrote to this file, as exact float64, for inputs. Raises LoadError, NotExact."""
    data = _read(Path(path))
    try:
        archive = _open(data)
        if type(archive.root) is not Tensor:
            raise LoadError(f"it holds a {typename(archive.root)}; save one tensor with one input a row")
        return Numbers(archive, most=len(data)).read(archive.root, "the tensor")
    except DtdsymError as err:
        raise type(err)(f"{shown(path)}: {err}") from err


def _read(path: Path) -> bytes:
    name = shown(path)
    try:
        if not path.exists():
            raise LoadError(f"{name}: no such file; give the path of a saved network")
        if not path.is_file():
            raise LoadError(f"{name}: not a regular file; give the path of a saved network")
        if path.stat().st_size > LARGEST_FILE:
            raise LoadError(f"{name}: {path.stat().st_size} bytes; files of at most {LARGEST_FILE} bytes are read")
        data = path.read_bytes()
    except (OSError, ValueError) as err:
        reason = getattr(err, "strerror", None) or "no valid path"
        raise LoadError(f"{name}: cannot be read ({reason}); give the path of a saved network") from err
    if not data:
        raise LoadError(f"{name}: the file is empty; {_REMEDY}")
    return data


def _network(data: bytes, layers: Layers | None) -> Network:
    archive = _open(data)
    # Tensors may share what is stored, but a number takes at least two bytes of the file.
    numbers = Numbers(archive, most=len(data))
    module = _module(archive.root)
    if module is None and holds_state_dict(archive.root):
        return from_state_dict(archive.root, numbers, layers)
    if module is None:
        raise LoadError(f"it holds a {typename(archive.root)}, not a network; {_REMEDY}")
    if layers is not None:
        raise LoadError("it holds a whole module, which has its own layers; leave --layers (layers=...) away")
    return rebuild(module, numbers)


def _module(root: Any) -> Record | None:
    """The saved module: the object itself, or what a checkpoint holds under `model` or `state_dict`."""
    candidates = [root.get("model"), root.get("state_dict")] if type(root) is dict else [root]
    return next((candidate for candidate in candidates if type(candidate) is Record), None)


def _open(data: bytes) -> Archive:
    """By its first bytes, as torch tells its own formats apart."""
    if data.startswith(b"PK\x03\x04"):
        return open_zip(data)
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return open_legacy(data)
    raise LoadError(f"not a file of torch.save but {_describe(data)}")


def _describe(data: bytes) -> str:
    for signature, what in _SIGNATURES:
        if data.startswith(signature, 257 if signature == b"ustar" else 0):
            return what
    header = int.from_bytes(data[:8], "little")
    if data[8:9] == b"{" and header <= len(data) - 8:
        return f"a safetensors file, {_NOT_YET}"
    if data[0] == 8 and data[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x32", b"\x3a", b"\x42"):
        return f"probably an ONNX file, {_NOT_YET}"
    if _is_text(data[:4096]):
        return f"a text file; {_REMEDY}"
    return f"something unknown, or a damaged file; {_REMEDY}"


def _is_text(start: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)
