"""What a rule sees: the neurons of one affine layer at the layer's input, in whatever arithmetic they live."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic import Arithmetic
from dtdsym.arithmetic.enclosure import Enclosure
from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.linear_algebra import pseudo_inverse
from dtdsym.network.layers import Affine

_EXACT: Kept[np.ndarray] = Kept()
_LIFTED: Kept[Any] = Kept()


@dataclass(frozen=True, eq=False)
class Neurons:
    """Neurons j of an affine layer with inputs i, as entries that broadcast to (..., out, in).

    a: the layer's input (..., 1, in). z: pre-activations w.a + b (..., out, 1). relevance: R_j as it arrives, likewise.
    """

    ops: Arithmetic
    node: Affine
    a: Any
    z: Any
    relevance: Any

    @staticmethod
    def of(ops: Arithmetic, node: Affine, a: Any, z: Any, relevance: Any) -> Neurons:
        """From the layer's values, as the forward pass has them: a (..., in); z and relevance (..., out)."""
        return Neurons(ops, node, a[..., None, :], z[..., None], relevance[..., None])

    @cached_property
    def w(self) -> Any:
        """Exact weights (out, in)."""
        return self._lift("weight", self.node.weight)

    @cached_property
    def pseudo_inverse(self) -> Any:
        """W^+ (in, out), exact, or rounded once by an arithmetic that cannot hold it."""
        return self._lift("inverse", _EXACT.get((self.node.weight,), None, lambda: pseudo_inverse(self.node.weight)))

    def lift(self, number: Any) -> Any:
        """An exact number, in the arithmetic and on the device of these neurons."""
        return _beside(self.ops.lift(number), self.a)

    def _lift(self, what: str, numbers: np.ndarray) -> Any:
        key = (what, self.ops, _device(self.a))
        return _LIFTED.get((self.node.weight,), key, lambda: self.lift(numbers))


@dataclass(frozen=True, eq=False)
class Shift:
    """How far the root of each neuron lies from the layer's input, a - root, entries that broadcast to (..., out, in).

    denominator: (..., out) or less; where it is 0 there is no root, and the displacement is 0.
    root: the root itself, where a - displacement would say less about it.
    """

    displacement: Any
    denominator: Any
    root: Any = None


def along(neurons: Neurons, v: Any, share: Any) -> Shift:
    """(share / (w.v)) v, on which w.a + b changes by share. v: (..., out, in); share: (..., out, 1)."""
    denominator = neurons.ops.total(neurons.w * v)
    return Shift(v * neurons.ops.ratio(share, denominator[..., None]), denominator)


def _device(value: Any) -> torch.device | None:
    tensor = value.mid if isinstance(value, Enclosure) else value
    return tensor.device if isinstance(tensor, torch.Tensor) else None


def _beside(value: Any, like: Any) -> Any:
    device = _device(like)
    return value if device is None else value.to(device)
