"""Worlds that a value can live in, all behind one small protocol, and exact linear algebra on top of them.

A network is evaluated over an arithmetic. Values are arrays whose last axis is a layer's width; leading axes are a
batch. Weights are float64 arrays and are read exactly: every float16, bfloat16, float32 and float64 is a float64.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from dtdsym.arithmetic.windows import Windows


class Forward(Protocol):
    """What the forward pass asks of a world of values."""

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: Any) -> Any:
        """value @ weight.T + bias. weight (out, in), bias (out,), float64 and read exactly; value (..., in).

        Rational, dual and tensor arithmetics take object arrays of Fractions too; tensors round them once."""

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: Any) -> Any:
        """The convolution over these windows, as dtdsym.arithmetic.windows defines it."""

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: Any) -> Any:
        """value_i weight_c + bias_c with c = i // (width / channels); weight and bias (channels,) of Fractions."""

    def add(self, left: Any, right: Any) -> Any:
        """left + right, elementwise."""

    def take(self, value: Any, index: np.ndarray) -> Any:
        """Entries of the last axis, (..., *index.shape); 0 where the index is -1."""

    def join(self, parts: Any) -> Any:
        """A list of values side by side along the last axis."""

    def maximum(self, left: Any, right: Any) -> Any:
        """max(left, right), elementwise."""

    def relu(self, value: Any) -> Any:
        """max(value, 0), elementwise."""

    def pool(self, value: Any, columns: tuple[np.ndarray, ...]) -> Any:
        """The greatest entry of each window: column k (out,) holds the k-th entry of every window."""


class Arithmetic(Forward, Protocol):
    """What the backward pass and the propagation rules ask besides.

    Values then also have + - * / and unary -, and exact ones compare with numbers to boolean masks.
    """

    def lift(self, numbers: Any) -> Any:
        """The value that these exact numbers (floats, ints, Fractions; nested sequence or array) are."""

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: Any) -> Any:
        """The transposed convolution, without bias: (..., outputs) to (..., inputs)."""

    def take_back(self, row: Any, inverse: np.ndarray) -> Any:
        """The transpose of `take`: sums of the entries at inverse (size, m), -1 adding nothing."""

    def first_maximum(self, entries: Any) -> Any:
        """What multiplies by 1 at the first greatest entry of the last axis and by 0 elsewhere."""

    def where(self, mask: Any, yes: Any, no: Any) -> Any:
        """yes where the decided boolean mask holds, else no."""

    def ratio(self, numerator: Any, denominator: Any) -> Any:
        """numerator / denominator, and exactly 0 where the denominator is exactly 0."""

    def total(self, value: Any, axis: int = -1) -> Any:
        """Sum over one axis."""
