"""Worlds that a value can live in, all behind one small protocol, and exact linear algebra on top of them.

A network is evaluated over an arithmetic. Values are arrays whose last axis is a layer's width; leading axes are a
batch. Weights are float64 arrays and are read exactly: every float16, bfloat16, float32 and float64 is a float64.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Forward(Protocol):
    """What the forward pass asks of a world of values."""

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: Any) -> Any:
        """value @ weight.T + bias. weight (out, in), bias (out,), float64 and read exactly; value (..., in)."""

    def add(self, left: Any, right: Any) -> Any:
        """left + right, elementwise."""

    def relu(self, value: Any) -> Any:
        """max(value, 0), elementwise."""


class Arithmetic(Forward, Protocol):
    """What the backward pass and the propagation rules ask besides.

    Values then also have + - * / and unary -, and exact ones compare with numbers to boolean masks.
    """

    def lift(self, numbers: Any) -> Any:
        """The value that these exact numbers (floats, ints, Fractions; nested sequence or array) are."""

    def maximum(self, left: Any, right: Any) -> Any:
        """max(left, right), elementwise."""

    def where(self, mask: Any, yes: Any, no: Any) -> Any:
        """yes where the decided boolean mask holds, else no."""

    def ratio(self, numerator: Any, denominator: Any) -> Any:
        """numerator / denominator, and exactly 0 where the denominator is exactly 0."""

    def join(self, parts: Any) -> Any:
        """A list of values side by side along the last axis."""

    def total(self, value: Any, axis: int = -1) -> Any:
        """Sum over one axis."""
