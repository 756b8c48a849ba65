"""Arb balls: real numbers with proven radii, for the softplus twin of a network, log(1 + exp(z)) in place of each ReLU.

Values are numpy object arrays of balls; the last axis is a layer's width."""

from __future__ import annotations

from fractions import Fraction
from math import factorial
from typing import Any

import numpy as np
from flint import arb, arb_mat, arb_series

from dtdsym.arithmetic import windows as windowed
from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.arithmetic.windows import Pools, Windows

LARGEST = 4096
"""Beyond, log(1 + exp(z)) is max(z, 0) up to 2^-5000, and its derivatives of order 2 and more are as small."""
MARGIN = Fraction(1, 2**120)
"""What enclosures are wider by, so that arithmetic of another kind can confirm them."""
DIGITS = 20
"""Decimals of an enclosure that is shown."""


class Softplus(Pools):
    """The forward pass of the softplus twin. There is none of a max-pool: it has no smooth twin."""

    def lift(self, numbers: Any) -> np.ndarray:
        """Exact numbers as balls, rounded to the working precision with their error."""
        exact = RATIONAL.lift(numbers)
        out = np.empty(exact.shape, dtype=object)
        out.ravel()[:] = [arb(number) for number in exact.ravel()]
        return out

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: np.ndarray) -> np.ndarray:
        """value (..., in) @ weight.T + bias."""
        flat = value.reshape(-1, value.shape[-1])
        product = (arb_mat(weight.tolist()) * arb_mat(flat.T.tolist())).tolist()
        out = np.array(
            [[entry + float(b) for entry in row] for row, b in zip(product, bias, strict=True)], dtype=object
        )
        return out.T.reshape(*value.shape[:-1], len(bias))

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: np.ndarray) -> np.ndarray:
        """The convolution."""
        found: np.ndarray = windowed.convolve(self, weight, bias, windows, value)
        return found

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: np.ndarray) -> np.ndarray:
        """value * weight + bias, channel by channel."""
        found: np.ndarray = windowed.scale(self, weight, bias, value)
        return found

    def add(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """left + right."""
        return left + right

    def take(self, value: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Entries of the last axis; index -1 is the zero at the end."""
        padding = np.full((*value.shape[:-1], 1), arb(0), dtype=object)
        return np.concatenate([value, padding], axis=-1)[..., index]

    def join(self, parts: list[np.ndarray]) -> np.ndarray:
        """Parts side by side."""
        return np.concatenate(parts, axis=-1)

    def maximum(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Raises TypeError."""
        raise TypeError("a max-pool has no smooth twin")

    def relu(self, value: np.ndarray) -> np.ndarray:
        """log(1 + exp(value))."""
        out = np.empty(value.shape, dtype=object)
        out.ravel()[:] = [_softplus(z) for z in value.ravel()]
        return out


SOFTPLUS = Softplus()


def derivative(z: Any, order: int) -> tuple[Fraction, Fraction]:
    """(low, high) around the derivative of log(1 + exp(z)) of this order >= 1 at a ball z, |z| < LARGEST."""
    series = (arb_series([z, 1], order + 1).exp() + 1).log()
    middle, radius, exponent = (series[order] * factorial(order)).mid_rad_10exp(DIGITS)
    scale = Fraction(10) ** int(exponent)
    return (int(middle) - int(radius)) * scale - MARGIN, (int(middle) + int(radius)) * scale + MARGIN


def _softplus(z: Any) -> Any:
    """max(z, 0) + log(1 + exp(-|z|))."""
    if z > LARGEST or z < -LARGEST:
        return (z if z > 0 else arb(0)) + arb(0, arb(2) ** -5000)
    return (z.exp() + 1).log() if z < 0 else z + ((-z).exp() + 1).log()


def is_large(z: Any) -> bool:
    """Whether |z| < LARGEST is not certain."""
    return not abs(z) < LARGEST
