"""Recorded torch.nn modules: their fields and arrays, checked where they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtdsym.errors import UnsupportedLayer
from dtdsym.network.builder import Builder, Value
from dtdsym.network.files.archive import Numbers
from dtdsym.network.files.inert import Tensor, shown, typename
from dtdsym.network.files.sequence import Step

LARGEST_SIDE = 2**31
SUPPORTED = (
    "supported are nested torch.nn.Sequential of Linear, convolutions, BatchNorm, ReLU, max and average pools, "
    "Flatten, Unflatten, ZeroPad, Dropout and Identity"
)


@dataclass(frozen=True)
class Module:
    """A recorded instance of a supported class, checked to be nothing more: its constructor's fields and its parts."""

    place: str
    kind: str
    fields: Mapping[str, Any]
    parameters: Mapping[str, Any]
    buffers: Mapping[str, Any]
    children: Mapping[str, Any]
    numbers: Numbers

    @property
    def name(self) -> str:
        """Its place in the file's module, as torch writes it: '' is the module itself."""
        return self.place or "module"

    @property
    def where(self) -> str:
        """For messages."""
        return f"layer {self.name!r}"

    @property
    def spatial(self) -> int:
        """The number in the class's name: how many spatial dimensions it has."""
        return int(self.kind[-2])

    def array(self, key: str) -> np.ndarray | None:
        """A parameter or running statistic, if the module has it."""
        tensor = {**self.buffers, **self.parameters}[key]
        if tensor is None:
            return None
        if type(tensor) is not Tensor:
            raise UnsupportedLayer(f"{self.where}: its {key} is a {typename(tensor)}, not a tensor; {SUPPORTED}")
        return self.numbers.read(tensor, f"{self.where}: its {key}")

    def weight(self) -> np.ndarray:
        """The weight, which must be there."""
        array = self.array("weight")
        if array is None:
            raise UnsupportedLayer(f"{self.where}: its weight is missing, not a tensor; {SUPPORTED}")
        return array

    def number(self, key: str, least: int = 0) -> int:
        """A field that is one whole number."""
        value = self.fields[key]
        if type(value) is not int or not least <= value < LARGEST_SIDE:
            raise self.refuse(f"its {key} is {plain(value)}; expected a whole number from {least}")
        return value

    def sides(self, key: str, least: int = 1) -> tuple[int, ...]:
        """A field that is one whole number, or one for each spatial dimension."""
        value = self.fields[key]
        numbers = (value,) * self.spatial if type(value) is int else value
        whole = type(numbers) in (tuple, list) and all(type(n) is int and least <= n < LARGEST_SIDE for n in numbers)
        if not whole or len(numbers) != self.spatial:
            raise self.refuse(f"its {key} is {plain(value)}; expected {self.spatial} whole numbers from {least}")
        return tuple(numbers)

    def flag(self, key: str) -> bool:
        """A field that is true or false."""
        value = self.fields[key]
        if type(value) is not bool:
            raise self.refuse(f"its {key} is {plain(value)}; expected True or False")
        return value

    def refuse(self, reason: str) -> UnsupportedLayer:
        """The error that names this layer."""
        return UnsupportedLayer(f"{self.where} ({self.kind}): {reason}")

    def step(self, apply: Callable[[Builder, Value], Value], **facts: Any) -> Step:
        """The layer of a sequence that this module is."""
        return Step(self.name, self.kind, apply, **facts)


@dataclass(frozen=True)
class Kind:
    """A class of layers: its constructor's fields, its parameters and buffers, and the step that an instance is.

    step: None for a container, whose children are steps. optional: attributes that change nothing, or that only some
    versions of torch write."""

    step: Callable[[Module], Step] | None
    fields: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    buffers: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()


def plain(value: Any) -> str:
    """A field's value, for messages: numbers, words, and short lists of them."""
    if type(value) in (tuple, list) and len(value) < 9:
        return f"({', '.join(typename(part) if type(part) in (tuple, list) else plain(part) for part in value)})"
    if type(value) in (float, bool, str) or (type(value) is int and abs(value) < 2**63):
        return shown(repr(value))
    return typename(value)
