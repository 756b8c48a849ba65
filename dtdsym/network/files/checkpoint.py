"""Where in a saved object the network lies: the object itself, or what a checkpoint holds under a common name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dtdsym.errors import LoadError
from dtdsym.network.files.inert import Record, Tensor, shown, typename

HEADER = "dtdsym"
"""The key of our description of the layers."""
NAMES = ("state_dict", "model", "model_state_dict", "net")


Found = Record | Mapping[Any, Any]


def find(root: Any, remedy: str) -> Found:
    """The saved module, or the dict that holds tensors: the root itself, or under one of NAMES, or one dict deeper.

    A whole module goes before weights. Raises LoadError where there is none, or several of one kind."""
    if type(root) is Record or _holds_tensors(root):
        found: Found = root
        return found
    if type(root) is dict:
        for level in (_named(root), _deeper(root)):
            places = dict(level)
            for kind in (_is_record, _holds_tensors):
                fitting = {place: value for place, value in places.items() if kind(value)}
                if fitting:
                    return _only(fitting)
    raise LoadError(f"it holds a {typename(root)}, not a network; {remedy}")


def named_tensors(saved: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of a state_dict, which may hold nothing else but our header. Raises LoadError with the key met."""
    tensors = {}
    for key, value in saved.items():
        if key == HEADER:
            continue
        if type(key) is not str or type(value) is not Tensor:
            raise LoadError(
                f"its state_dict holds a {typename(value)} under {shown(key)!r}; expected named tensors only"
            )
        tensors[key] = value
    return tensors


def _named(saved: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name in NAMES:
        if name in saved:
            yield above + name, saved[name]


def _deeper(saved: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in saved.items():
        if type(value) is dict:
            yield from _named(value, f"{shown(key)}.")


def _is_record(value: Any) -> bool:
    return type(value) is Record


def _holds_tensors(value: Any) -> bool:
    return type(value) is dict and any(type(entry) is Tensor for entry in value.values())


def _only(found: Mapping[str, Found]) -> Found:
    first, *more = found
    if more:
        raise LoadError(f"it holds both a {first} and a {more[0]}; save the one that is meant")
    return found[first]
