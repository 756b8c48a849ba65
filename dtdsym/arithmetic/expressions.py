"""Worlds whose numbers are expressions of another system: numpy object arrays of them, the last axis a layer's width.

Convolutions and pools are expanded into sums of products and maxima of two, the only things that a system is asked for.
Weights may be given names: then an array of weights stands for expressions, not for the numbers that it holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import fraction
from dtdsym.arithmetic.windows import Pools, Windows


class Expressions(Pools, ABC):
    """named: id of an array of weights -> the expressions, of its shape, that it stands for."""

    def __init__(self, named: Mapping[int, np.ndarray] | None = None) -> None:
        self.named = named or {}

    @abstractmethod
    def number(self, value: Fraction) -> Any:
        """An exact number as an expression."""

    @abstractmethod
    def combination(self, factors: Sequence[Any], terms: Sequence[Any], constant: Any) -> Any:
        """sum_k factors_k terms_k + constant; factors and constant are Fractions, or expressions."""

    @abstractmethod
    def greater(self, left: Any, right: Any) -> Any:
        """max(left, right)."""

    def lift(self, numbers: Any) -> np.ndarray:
        """Floats, ints, Fractions and expressions, nested sequences or arrays of them; numbers are read exactly."""
        return self._each(np.asarray(numbers, dtype=object))

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: np.ndarray) -> np.ndarray:
        """value (..., in) @ weight.T + bias."""
        rows, constants = self._weights(weight), self._weights(bias)
        flat = value.reshape(-1, value.shape[-1])
        out = np.empty((len(flat), len(rows)), dtype=object)
        for i, entries in enumerate(flat):
            for k, (row, constant) in enumerate(zip(rows, constants, strict=True)):
                out[i, k] = self._combined(row, entries, constant)
        return out.reshape(*value.shape[:-1], len(rows))

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: np.ndarray) -> np.ndarray:
        """The convolution of value (..., in): a sum of products for each channel and position."""
        each = len(weight) // windows.groups
        rows, constants = self._weights(weight).reshape(len(weight), -1), self._weights(bias)
        patches = self.take(value, windows.index)
        out = np.empty((*value.shape[:-1], len(weight), windows.index.shape[1]), dtype=object)
        for place in np.ndindex(*out.shape):
            *batch, channel, position = place
            entries = patches[(*batch, channel // each, position)]
            out[place] = self._combined(rows[channel], entries, constants[channel])
        return out.reshape(*value.shape[:-1], -1)

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: np.ndarray) -> np.ndarray:
        """value_i weight_c + bias_c with c = i // (width / channels)."""
        repeat = value.shape[-1] // len(weight)
        factors, summands = (np.repeat(self._weights(numbers), repeat) for numbers in (weight, bias))
        out = np.empty(value.shape, dtype=object)
        for place in np.ndindex(*value.shape):
            out[place] = self._combined([factors[place[-1]]], [value[place]], summands[place[-1]])
        return out

    def add(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """left + right."""
        return np.asarray(left + right, dtype=object)

    def take(self, value: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Entries of the last axis; index -1 is the zero at the end."""
        padding = np.full((*value.shape[:-1], 1), self.number(Fraction(0)), dtype=object)
        return np.concatenate([value, padding], axis=-1)[..., index]

    def join(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Parts (..., k) side by side along the last axis."""
        return np.concatenate(parts, axis=-1)

    def maximum(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """max(left, right)."""
        left, right = np.broadcast_arrays(left, right)
        out = np.empty(left.shape, dtype=object)
        for place in np.ndindex(*left.shape):
            out[place] = self.greater(left[place], right[place])
        return out

    def relu(self, value: np.ndarray) -> np.ndarray:
        """max(value, 0)."""
        return self.maximum(value, self._each(np.array(0, dtype=object)))

    def _weights(self, array: np.ndarray) -> np.ndarray:
        """What the array stands for: expressions, or Fractions."""
        if id(array) in self.named:
            return self.named[id(array)]
        out = np.empty(array.shape, dtype=object)
        out.ravel()[:] = [fraction(entry) for entry in array.ravel().tolist()]
        return out

    def _combined(self, row: Any, entries: Any, constant: Any) -> Any:
        """A weighted sum, without what is multiplied by the number 0."""
        used = [(w, entry) for w, entry in zip(row, entries, strict=True) if not _is_zero(w)]
        return self.combination([w for w, _ in used], [entry for _, entry in used], constant)

    def _each(self, array: np.ndarray) -> np.ndarray:
        out = np.empty(array.shape, dtype=object)
        out.ravel()[:] = [self._lifted(entry) for entry in array.ravel()]
        return out

    def _lifted(self, entry: Any) -> Any:
        return entry if self.holds(entry) else self.number(fraction(entry))

    @abstractmethod
    def holds(self, entry: Any) -> bool:
        """Whether an entry is an expression of this system already."""


def _is_zero(weight: Any) -> bool:
    return isinstance(weight, Fraction) and weight == 0
