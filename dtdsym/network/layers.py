"""The nodes of a network. A float64 array *is* the exact weight: every float16, bfloat16 and float32 is a float64."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from dtdsym.errors import NotExact, ShapeMismatch


def _constant(array: np.ndarray) -> np.ndarray:
    """The array, read-only from now on: what arithmetics make of it stays true."""
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False)
class Input:
    """The network's input, `size` numbers."""

    size: int
    name: str = "input"
    sources: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Affine:
    """z = W a + b. weight (out, in) and bias (out,), float64, finite; `source` is the node that holds a (in,)."""

    weight: np.ndarray
    bias: np.ndarray
    source: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1] or 0 in self.weight.shape:
            raise ShapeMismatch(
                f"layer {self.name!r}: weight of shape {self.weight.shape} with bias of shape {self.bias.shape}; "
                "expected (out, in) and (out,), none of them empty"
            )
        for what, array in (("weight", self.weight), ("bias", self.bias)):
            if array.dtype != np.float64:
                raise NotExact(f"layer {self.name!r}: {what} has dtype {array.dtype}; give float64, which is exact")
            if not np.isfinite(array).all():
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                raise NotExact(
                    f"layer {self.name!r}: {what}{list(where)} is {array[where]}; every weight must be a finite number"
                )
            _constant(array)
        object.__setattr__(self, "sources", (self.source,))

    def __reduce__(self) -> tuple[type[Affine], tuple[np.ndarray, np.ndarray, int, str]]:
        """Copies are checked and made read-only like the original."""
        return Affine, (self.weight, self.bias, self.source, self.name)

    @cached_property
    def transposed(self) -> np.ndarray:
        """W^T (in, out), one array for the node's life, so that arithmetics can cache what they make of it."""
        return _constant(self.weight.T.copy(order="C"))

    @cached_property
    def no_bias(self) -> np.ndarray:
        """Zeros (in,): the bias of the transposed map."""
        return _constant(np.zeros(self.weight.shape[1]))


@dataclass(frozen=True, eq=False)
class Relu:
    """max(z, 0), elementwise; `source` is the node that holds z."""

    source: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", (self.source,))


@dataclass(frozen=True, eq=False)
class Add:
    """left + right, elementwise: a residual addition of two nodes of equal size."""

    left: int
    right: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", (self.left, self.right))


@dataclass(frozen=True, eq=False)
class Select:
    """One entry of `source`, as a value of size 1: how a logit is cut out where no affine row can be kept alone."""

    source: int
    index: int
    name: str = ""
    sources: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", (self.source,))


Node = Input | Affine | Relu | Add | Select
