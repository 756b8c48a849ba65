"""Plain tensors beside copies of themselves whose roundings are shaken: how far floats can be trusted, measured.

Axis 0 of every value holds COPIES + 1 runs of one computation. Run 0 is torch's own. In the others whatever adds up
terms, affine maps, convolutions, scales and sums, gets errors of random sign and the size that roundings have, SPREAD u
times the sum of the terms' sizes, and SPREAD times the least float where products may underflow. What the runs differ
by is carried on by the network itself, so it knows its own conditioning. Values of fewer than three axes are constants,
and have no runs. This proves nothing.
Source: stochastic arithmetic, Vignes, Mathematics and Computers in Simulation 35 (1993), 233-261.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.tensor import TensorArithmetic
from dtdsym.arithmetic.windows import Windows

COPIES = 2
SPREAD = 4.0
SAFETY = 16.0
"""A number whose size is below so many times what its runs differ by has too small a margin."""
RUNS = 3
"""A value has at least so many axes: runs, inputs, and its own."""


_WEIGHTS: Kept[torch.Tensor] = Kept()


class _Sizes(TensorArithmetic):
    """Sums of the sizes of terms: of values >= 0, with the sizes of weights and biases."""

    def __init__(self) -> None:
        super().__init__()
        self._weights = _WEIGHTS

    def _like(self, array: np.ndarray, value: torch.Tensor) -> torch.Tensor:
        return super()._like(array, value).abs()


_SIZES = _Sizes()


class ShakenArithmetic(TensorArithmetic):
    """The arithmetic protocol on tensors (COPIES + 1, ..., width) of one dtype. seed: of the errors' signs, which also
    depend on what was computed before: make a new one where results are to be the same again."""

    def __init__(self, seed: int = 0, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self._weights, self._seed, self._dtype = _WEIGHTS, seed, dtype
        self._generators: dict[torch.device, torch.Generator] = {}

    def __eq__(self, other: object) -> bool:
        """What is lifted is the same for all of one dtype, so that it is kept once."""
        return isinstance(other, ShakenArithmetic) and self._dtype == other._dtype

    def __hash__(self) -> int:
        return hash((ShakenArithmetic, self._dtype))

    def lift(self, numbers: Any) -> torch.Tensor:
        """The numbers, rounded to the dtype of all values."""
        return super().lift(numbers).to(self._dtype)

    def shaken(self, value: torch.Tensor) -> torch.Tensor:
        """A value (...), float64, as the start of all runs: exactly, or where it is rounded with such errors."""
        rounded = value.to(self._dtype)
        runs = rounded.expand(COPIES + 1, *value.shape)
        return self._shake(runs, (rounded.double() - value).abs().to(self._dtype) * SPREAD)

    def rounded(self, found: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """A value, shaken as what was added up of terms of this size (...) all together."""
        return self._shake(found, size * (SPREAD * torch.finfo(found.dtype).eps / 2))

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: torch.Tensor) -> torch.Tensor:
        """value (..., in) @ weight.T + bias."""
        found = super().affine(weight, bias, value)
        return self._products(found, value, lambda size: _SIZES.affine(weight, bias, size))

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: torch.Tensor) -> torch.Tensor:
        """torch's own convolution, with float32 products kept at float32."""
        with _full_precision(value):
            found = super().convolve(weight, bias, windows, value)
            return self._products(found, value, lambda size: _SIZES.convolve(weight, bias, windows, size))

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: torch.Tensor) -> torch.Tensor:
        """The transposed convolution, likewise."""
        with _full_precision(row):
            found = super().convolve_back(weight, bias, windows, row)
            return self._products(found, row, lambda size: _SIZES.convolve_back(weight, bias, windows, size))

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: torch.Tensor) -> torch.Tensor:
        """value * weight + bias, channel by channel."""
        found = super().scale(weight, bias, value)
        return self._products(found, value, lambda size: _SIZES.scale(weight, bias, size))

    def add(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """left + right."""
        found = left + right
        return self.rounded(found, found[0].abs()) if _runs(found) else found

    def total(self, value: torch.Tensor, axis: int = -1) -> torch.Tensor:
        """Sum over one of the last axes, named from the end."""
        found = value.sum(axis)
        return self.rounded(found, value[0].abs().sum(axis)) if _runs(value) else found

    def take_back(self, row: torch.Tensor, inverse: np.ndarray) -> torch.Tensor:
        """Sums of the entries at inverse (size, m)."""
        found = super().take_back(row, inverse)
        if inverse.shape[1] == 1 or not _runs(row):
            return found
        return self.rounded(found, super().take_back(row[0].abs(), inverse))

    def _products(
        self, found: torch.Tensor, value: torch.Tensor, sizes: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """A linear map of a value, shaken. sizes: the map with the sizes of its weights, of values >= 0; of ones where
        the value is not 0 it tells which outputs have terms at all, that all may underflow."""
        if not _runs(value):
            return found
        size, numbers = sizes(value[0].abs()), torch.finfo(found.dtype)
        if (size < numbers.tiny / numbers.eps).any():
            size = size + (sizes(_has_terms(value[0])) > 0) * (2 * numbers.tiny)
        return self.rounded(found, size)

    def _shake(self, value: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Errors of random sign and half to all of this size (...) in all runs but the first: those of two steps seldom
        cancel, as errors of one size would."""
        drawn = torch.rand(value[1:].shape, generator=self._generator(value.device), device=value.device)
        errors = (drawn - 0.5 + (drawn - 0.5).sign() * 0.5).to(value.dtype)
        return torch.cat([value[:1], value[1:] + errors * scale])

    def _generator(self, device: torch.device) -> torch.Generator:
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self._seed)
        return self._generators[device]


def apart(value: torch.Tensor) -> torch.Tensor:
    """(...): how far the shaken runs are from the first, at most, times SAFETY."""
    return (value[1:] - value[0]).abs().amax(0) * SAFETY


def margin(value: torch.Tensor) -> torch.Tensor:
    """(...): the size of the first run's number over what its sign could stand; below 1 it is not to be trusted."""
    return value[0].abs() / apart(value).clamp_min(torch.finfo(value.dtype).tiny)


def _has_terms(value: torch.Tensor) -> torch.Tensor:
    return (value != 0).to(value.dtype)


def _runs(value: torch.Tensor) -> bool:
    return value.ndim >= RUNS


def _full_precision(value: torch.Tensor) -> Any:
    """On CUDA, convolutions of float32 otherwise round their factors to 10 bits."""
    if value.device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
