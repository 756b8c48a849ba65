"""A layer at a batch of inputs, and constants that are lifted once for each layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import torch

from dtdsym.arithmetic import Arithmetic
from dtdsym.network.receptive import Layer

_LIFTED: WeakKeyDictionary[Layer, dict[Any, Any]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class State:
    """A layer at a batch of inputs: a (..., width), z (..., size), in one arithmetic."""

    ops: Arithmetic
    layer: Layer
    a: Any
    z: Any

    @cached_property
    def bias(self) -> Any:
        """The whole bias of each neuron (size,), exact."""
        channel, first = self.layer.channels
        own = lifted(self.ops, self.layer, "bias", self.a, lambda: self.layer.biases(first))
        return self.ops.take(own, channel)

    def lift(self, number: Any) -> Any:
        """An exact number, beside a."""
        return beside(self.ops.lift(number), self.a)

    def positive(self, value: Any) -> Any:
        """max(value, 0)."""
        return self.ops.relu(value)

    def negative(self, value: Any) -> Any:
        """min(value, 0)."""
        return -self.ops.relu(-value)


def lifted(ops: Arithmetic, layer: Layer, what: str, like: Any, make: Callable[[], Any]) -> Any:
    """make(), in an arithmetic and beside a value, once for each layer, arithmetic and device."""
    kept = _LIFTED.setdefault(layer, {})
    key = (what, ops, _device(like))
    if key not in kept:
        kept[key] = beside(ops.lift(make()), like)
    return kept[key]


def beside(value: Any, like: Any) -> Any:
    """A value on the device of another."""
    device = _device(like)
    return value if device is None else value.to(device)


def _device(value: Any) -> torch.device | None:
    tensor = getattr(value, "mid", value)
    return tensor.device if isinstance(tensor, torch.Tensor) else None
