"""load: a network from a file. The kind of file is told by its content; nothing in it is ever executed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from dtdsym.errors import DtdsymError, LoadError
from dtdsym.network.files.archive import Archive, Numbers, is_exported, open_legacy, open_zip
from dtdsym.network.files.checkpoint import HEADER, find, named_tensors
from dtdsym.network.files.inert import Record, Tensor, shown, typename
from dtdsym.network.files.rebuild import rebuild
from dtdsym.network.files.safetensors import Safetensors, looks_like_safetensors, parse
from dtdsym.network.files.sequence import Shape, agrees
from dtdsym.network.files.state_dict import Layers, Weights, from_state_dict
from dtdsym.network.network import Network
from dtdsym.network.onnx.wire import looks_like_onnx

LARGEST_FILE = 2**31
_EXPORT = "save torch.export.export(model, (example_input,)) with torch.export.save"
_REMEDY = f"{_EXPORT}, or torch.nn.Sequential layers with torch.save(model, path)"
_ZIP = b"PK\x03\x04"
_SIGNATURES = (
    (b"\x89HDF", f"an HDF5 (Keras) file; export the model to ONNX, or {_REMEDY}"),
    (b"\x93NUMPY", f"a numpy array, not a network; {_REMEDY}"),
    (b"ustar", f"a tar archive, perhaps of a torch before 0.1.10; {_REMEDY}"),
)


def load(path: str | PathLike[str], layers: Layers | None = None, input_shape: Sequence[int] | None = None) -> Network:
    """The network saved in this file, with exact weights, in evaluation mode.

    path: a file of torch.export, ONNX, or dtdsym.export; torch.save, in either of its formats, of torch.nn.Sequential
    layers or of a state_dict, alone or in a checkpoint; a state_dict in safetensors.
    layers: for a state_dict without our header, see dtdsym.network.files.steps. input_shape: of one input, (channels,
    *spatial), for Sequentials and state_dicts that begin with a convolution or pool, which do not state it.
    Raises LoadError or UnsupportedLayer for what is not understood, NotExact for weights that are not finite or not
    floats, ShapeMismatch for layers that do not chain; each in one line that begins with the file's name."""
    file = Path(path)
    data = _read(file)
    try:
        network = _network(data, file.parent, layers, input_shape)
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


def _network(data: bytes, folder: Path, layers: Layers | None, input_shape: Shape | None) -> Network:
    """By the file's first bytes, never by its name."""
    graph = _graph(data, folder)
    if graph is not None:
        _refuse_layers(layers, "a graph")
        return agrees(graph, input_shape)
    if looks_like_safetensors(data):
        file = Safetensors(data)
        header = parse(file.metadata[HEADER], "its dtdsym header") if HEADER in file.metadata else None
        return from_state_dict(Weights(tuple(file.entries), file.read), header, layers, input_shape)
    archive = _open(data)
    # Tensors may share what is stored, but a number takes at least two bytes of the file.
    return _saved(archive.root, Numbers(archive, most=len(data)), layers, input_shape)


def _graph(data: bytes, folder: Path) -> Network | None:
    """The network of a file that states its own graph in a format of others; None for a file of another kind."""
    if data.startswith(_ZIP) and is_exported(data):
        from dtdsym.network.pt2.read import read_pt2

        return read_pt2(data)
    if looks_like_onnx(data):
        try:
            from dtdsym.network.onnx.read import read_onnx

            return read_onnx(data, folder)
        except ModuleNotFoundError as err:
            raise LoadError(f"it is an ONNX file, which needs Python's package {err.name}; install onnx") from err
    return None


def _saved(root: Any, numbers: Numbers, layers: Layers | None, input_shape: Shape | None) -> Network:
    """The network of a file of torch.save."""
    found = find(root, _REMEDY)
    if isinstance(found, Record):
        _refuse_layers(layers, "a whole module")
        return rebuild(found, numbers, input_shape)
    tensors = named_tensors(found)
    header = next((part[HEADER] for part in (root, found) if HEADER in part), None)
    weights = Weights(tuple(tensors), lambda key, name: numbers.read(tensors[key], name))
    return from_state_dict(weights, header, layers, input_shape)


def _refuse_layers(layers: Layers | None, what: str) -> None:
    if layers is not None:
        raise LoadError(f"it holds {what}, which has its own layers; leave --layers (layers=...) away")


def _open(data: bytes) -> Archive:
    """A file of torch.save, as torch tells its own formats apart."""
    if data.startswith(_ZIP):
        return open_zip(data)
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return open_legacy(data)
    raise LoadError(f"it is {_describe(data)}")


def _describe(data: bytes) -> str:
    for signature, what in _SIGNATURES:
        if data.startswith(signature, 257 if signature == b"ustar" else 0):
            return what
    if data[0] == 8 and data[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x32", b"\x3a", b"\x42"):
        return "probably an ONNX file that is damaged or cut short; save or copy it again"
    if _is_text(data[:4096]):
        return f"a text file, not a network; {_REMEDY}"
    return f"something unknown, or a damaged file; {_REMEDY}"


def _is_text(start: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in start)
