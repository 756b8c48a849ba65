"""State dicts made into a Network. Weights alone do not define a function: layers named in order do.

The layers are a list of "linear:PREFIX" (weights PREFIX.weight and, if there is one, PREFIX.bias) and "relu". They come
from a header in the file, {"dtdsym": {"format": 1, "layers": [...]}, "state_dict": model.state_dict()}, or from the
user: as such a list, as a JSON file of one, or as one of the names in SHORTHANDS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dtdsym.errors import LoadError, UnsupportedLayer
from dtdsym.network.archive import Numbers
from dtdsym.network.chain import Chain
from dtdsym.network.inert import Tensor, shown, typename
from dtdsym.network.network import Network

Layers = str | Path | Sequence[str]
HEADER, FORMAT, LARGEST_LAYERS_FILE = "dtdsym", 1, 2**20
# Linear layers in the order of their weights, ReLU between any two; the second also has one after the last.
SHORTHANDS = {"relu-mlp": False, "relu-mlp-final": True}
_EXPECTED = 'expected a list such as ["linear:fc1", "relu", "linear:fc2"]'
_HOW = (
    "weights alone do not define a function: name the layers with --layers relu-mlp (linear layers in order, ReLU "
    "between them) or --layers FILE (layers=... in Python), or save the torch.nn.Sequential itself"
)


def from_state_dict(saved: Mapping[Any, Any], numbers: Numbers, layers: Layers | None) -> Network:
    """The network that a saved dict and its header, or else `layers`, define.

    Every weight must be used, so that no layer is forgotten. Raises LoadError or UnsupportedLayer with the key met."""
    tensors, stated = _tensors(saved), _header(saved)
    if layers is not None and stated is not None:
        raise LoadError("it names its layers itself, in its dtdsym header; leave --layers (layers=...) away")
    if layers is None and stated is None:
        raise LoadError(f"it is a state_dict without a dtdsym header; {_HOW}")
    steps = stated if stated is not None else _steps(layers, tensors)
    return _chain(steps, tensors, numbers)


def holds_state_dict(saved: Any) -> bool:
    """Whether this is a dict of tensors, or one that holds such a dict under state_dict or model."""
    return type(saved) is dict and _inner(saved) is not None


def _inner(saved: Mapping[Any, Any]) -> Mapping[Any, Any] | None:
    if any(type(value) is Tensor for value in saved.values()):
        return saved
    found = [saved[key] for key in ("state_dict", "model") if type(saved.get(key)) is dict]
    if len(found) > 1:
        raise LoadError("it holds both a state_dict and a model; save the one that is meant")
    return found[0] if found and any(type(value) is Tensor for value in found[0].values()) else None


def _tensors(saved: Mapping[Any, Any]) -> dict[str, Tensor]:
    tensors = {}
    for key, value in (_inner(saved) or {}).items():
        if key == HEADER:
            continue
        if type(key) is not str or type(value) is not Tensor:
            raise LoadError(
                f"its state_dict holds a {typename(value)} under {shown(key)!r}; expected named tensors only"
            )
        tensors[key] = value
    return tensors


def _header(saved: Mapping[Any, Any]) -> list[str] | None:
    if HEADER not in saved:
        return None
    header = saved[HEADER]
    if type(header) is not dict or header.keys() != {"format", "layers"} or header["format"] != FORMAT:
        raise LoadError(f'its dtdsym header is not {{"format": {FORMAT}, "layers": [...]}}; {_EXPECTED} as layers')
    return _strings(header["layers"], "its dtdsym header")


def _steps(layers: Layers | None, tensors: Mapping[str, Tensor]) -> list[str]:
    if isinstance(layers, str) and layers in SHORTHANDS:
        return _mlp(tensors, final_relu=SHORTHANDS[layers])
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
        raise LoadError(f"{where}: neither {names} nor a readable file of layers; {_EXPECTED} in it") from err
    if len(content) > LARGEST_LAYERS_FILE:
        raise LoadError(f"{where}: over {LARGEST_LAYERS_FILE} bytes; {_EXPECTED} in it")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as err:
        raise LoadError(f"{where}: not JSON; {_EXPECTED} in it") from err


def _strings(value: Any, where: str) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(step, str) for step in value):
        raise LoadError(f"{where}: no list of layer names; {_EXPECTED}")
    return list(value)


def _mlp(tensors: Mapping[str, Tensor], *, final_relu: bool) -> list[str]:
    """Steps of linear layers in the order of their weights, which is the order in which the module made them."""
    prefixes = dict.fromkeys(_prefix(key) for key in tensors)
    steps = [step for prefix in prefixes for step in (f"linear:{prefix}", "relu")]
    return steps if final_relu else steps[:-1]


def _prefix(key: str) -> str:
    prefix, _, last = key.rpartition(".")
    if last not in ("weight", "bias"):
        raise UnsupportedLayer(
            f"its state_dict has {shown(key)!r}, which no linear layer has; --layers relu-mlp takes names that end in "
            "weight or bias; for normalised, convolutional or parametrised layers use dtdsym.from_module in Python"
        )
    return prefix


def _chain(steps: Sequence[str], tensors: Mapping[str, Tensor], numbers: Numbers) -> Network:
    chain, used = Chain(), set()
    for position, step in enumerate(steps, start=1):
        kind, colon, prefix = step.partition(":")
        if kind == "linear" and colon:
            used |= _linear(chain, prefix, tensors, numbers)
        elif step == "relu":
            chain.relu(f"relu {position}")
        else:
            raise UnsupportedLayer(
                f"layer {position} is {shown(step)!r}; supported are relu and linear:PREFIX; {_EXPECTED}"
            )
    unused = [key for key in tensors if key not in used]
    if unused:
        raise LoadError(
            f"its weights {shown(unused[0])!r} belong to none of the layers named; name every layer in order"
        )
    return chain.network()


def _linear(chain: Chain, prefix: str, tensors: Mapping[str, Tensor], numbers: Numbers) -> set[str]:
    name, dot = shown(prefix) or "linear", "." if prefix else ""
    keys = {part: f"{prefix}{dot}{part}" for part in ("weight", "bias")}
    if keys["weight"] not in tensors:
        known = shown(", ".join(tensors))
        raise LoadError(f"layer {name!r}: the state_dict has no {shown(keys['weight'])!r}; it has {known}")
    arrays = {
        part: numbers.read(tensors[key], f"layer {name!r}: its {part}") for part, key in keys.items() if key in tensors
    }
    chain.affine(arrays["weight"], arrays.get("bias"), name)
    return set(keys.values())
