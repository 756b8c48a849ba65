"""State dicts made into a Network. Weights alone do not define a function: layers named in order do.

The layers are a list of steps, see dtdsym.network.files.steps. They come from a header in the file, {"dtdsym":
{"format": 1, "layers": [...]}, "state_dict": model.state_dict()}, or from the user: as such a list, as a JSON file of
one, or as one of the names in SHORTHANDS. A header of format 2 describes a whole graph, see
dtdsym.network.files.written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dtdsym.errors import LoadError, UnsupportedLayer
from dtdsym.network.files.inert import shown
from dtdsym.network.files.sequence import Shape, agrees, sequence
from dtdsym.network.files.steps import EXPECTED, Named, step_of
from dtdsym.network.files.written import FORMAT, from_data
from dtdsym.network.network import Network

Layers = str | Path | Sequence[str]
LISTED, LARGEST_LAYERS_FILE = 1, 2**20
# Linear layers in the order of their weights, ReLU between any two; the second also has one after the last.
SHORTHANDS = {"relu-mlp": False, "relu-mlp-final": True}
_HOW = (
    "weights alone do not define a function: name the layers with --layers relu-mlp (linear layers in order, ReLU "
    "between them) or --layers FILE (layers=... in Python), or save the torch.nn.Sequential itself"
)
# What DataParallel and torch.compile put before every name.
_WRAPPERS = ("module.", "_orig_mod.")


@dataclass(frozen=True, eq=False)
class Weights:
    """Named arrays of a file. read(key, name): one of them as float64; name says whose it is, for messages."""

    names: tuple[str, ...]
    read: Callable[[str, str], np.ndarray]


def from_state_dict(weights: Weights, header: Any, layers: Layers | None, input_shape: Shape | None) -> Network:
    """The network that a file's weights and its header, or else `layers`, define. header: None if there is none.

    Every weight must be used, so that no layer is forgotten. Raises LoadError or UnsupportedLayer with the key met."""
    if layers is not None and header is not None:
        raise LoadError("it names its layers itself, in its dtdsym header; leave --layers (layers=...) away")
    if type(header) is dict and type(header.get("format")) is int and header["format"] == FORMAT:
        return agrees(_graph(header, weights), input_shape)
    if header is not None:
        return _sequence(_listed(header), weights, input_shape)
    if layers is None:
        raise LoadError(f"it is a state_dict without a dtdsym header; {_HOW}")
    return _sequence(_steps(layers, weights.names), weights, input_shape)


def _graph(header: dict[Any, Any], weights: Weights) -> Network:
    used: set[str] = set()

    def read(key: str, name: str) -> np.ndarray:
        if key not in weights.names:
            raise LoadError(f"{name}: the file has no array {shown(key)!r}, which its dtdsym header names")
        used.add(key)
        return weights.read(key, name)

    network = from_data(header, read)
    _check_used(weights.names, used)
    return network


def _listed(header: Any) -> list[str]:
    known = type(header) is dict and header.keys() == {"format", "layers"}
    if not known or type(header["format"]) is not int or header["format"] != LISTED:
        raise LoadError(
            f'its dtdsym header is neither {{"format": {LISTED}, "layers": [...]}} nor a graph of format {FORMAT}; '
            f"{EXPECTED} as layers"
        )
    return _strings(header["layers"], "its dtdsym header")


def _steps(layers: Layers, names: Sequence[str]) -> list[str]:
    if isinstance(layers, str) and layers in SHORTHANDS:
        return _mlp(names, final_relu=SHORTHANDS[layers])
    if isinstance(layers, str | Path):
        return _strings(_read_json(Path(layers)), f"--layers {shown(layers)}")
    return _strings(layers, "layers")


def _read_json(path: Path) -> Any:
    where = f"--layers {shown(path)}"
    names = " or ".join(SHORTHANDS)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_LAYERS_FILE + 1)
    except (OSError, ValueError) as err:
        raise LoadError(f"{where}: neither {names} nor a readable file of layers; {EXPECTED} in it") from err
    if len(content) > LARGEST_LAYERS_FILE:
        raise LoadError(f"{where}: over {LARGEST_LAYERS_FILE} bytes; {EXPECTED} in it")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as err:
        raise LoadError(f"{where}: not JSON; {EXPECTED} in it") from err


def _strings(value: Any, where: str) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(step, str) for step in value):
        raise LoadError(f"{where}: no list of layer names; {EXPECTED}")
    return list(value)


def _mlp(names: Sequence[str], *, final_relu: bool) -> list[str]:
    """Steps of linear layers in the order of their weights, which is the order in which the module made them."""
    prefixes = dict.fromkeys(_prefix(key) for key in names)
    steps = [step for prefix in prefixes for step in (f"linear:{prefix}", "relu")]
    return steps if final_relu else steps[:-1]


def _prefix(key: str) -> str:
    prefix, _, last = key.rpartition(".")
    if last not in ("weight", "bias"):
        raise UnsupportedLayer(
            f"its state_dict has {shown(key)!r}, which no linear layer has; --layers relu-mlp takes names that end in "
            "weight or bias; name convolutions and batch normalisation in a file of layers, and for parametrised "
            "layers use dtdsym.from_module in Python"
        )
    return prefix


def _sequence(steps: Sequence[str], weights: Weights, input_shape: Shape | None) -> Network:
    named = Named(weights.names, weights.read, _wrapper(weights.names))
    made = [step_of(step, position, named) for position, step in enumerate(steps, start=1)]
    _check_used(weights.names, named.used)
    return sequence(made, input_shape)


def _check_used(names: Sequence[str], used: set[str]) -> None:
    unused = [key for key in names if key not in used]
    if unused:
        raise LoadError(
            f"its weights {shown(unused[0])!r} belong to none of the layers named; name every layer in order"
        )


def _wrapper(names: Sequence[str]) -> str:
    """What wrappers put before all names: such prefixes as often as all share them."""
    wrapper = ""
    while found := [word for word in _WRAPPERS if names and all(name.startswith(wrapper + word) for name in names)]:
        wrapper += found[0]
    return wrapper
