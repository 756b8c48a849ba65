"""Plain tensors beside copies of themselves whose roundings are shaken: how far floats can be trusted, measured.

Axis 0 of every value holds COPIES + 1 runs of one computation. Run 0 is torch's own. In the others every affine map
and convolution gets errors of random sign and the size that roundings have, SPREAD u sqrt(n) (||w_j|| ||a|| + |b_j|).
What the runs differ by is carried on by the network itself, so it knows its own conditioning. This proves nothing.
Source: stochastic arithmetic, Vignes, Mathematics and Computers in Simulation 35 (1993), 233-261.
"""

from __future__ import annotations

import math
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


_WEIGHTS: Kept[torch.Tensor] = Kept()
_SCALES: Kept[torch.Tensor] = Kept(light=True)


class ShakenArithmetic(TensorArithmetic):
    """The arithmetic protocol on tensors (COPIES + 1, ..., width). seed: of the errors' signs, which also depend on
    what was computed before: make a new one where results are to be the same again; converted weights are shared."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self._weights, self._seed = _WEIGHTS, seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def shaken(self, value: torch.Tensor) -> torch.Tensor:
        """A value (...) as the start of all runs."""
        return value.expand(COPIES + 1, *value.shape)

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: torch.Tensor) -> torch.Tensor:
        """value (..., in) @ weight.T + bias."""
        rows = self._scales((weight, bias), value, lambda: _norms(weight, bias))
        return self._shake(super().affine(weight, bias, value), rows, value, weight.shape[1])

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: torch.Tensor) -> torch.Tensor:
        """torch's own convolution, with float32 products kept at float32."""
        with _full_precision(value):
            found = super().convolve(weight, bias, windows, value)
        rows = self._scales((weight, bias), value, lambda: _norms(weight, bias))
        return self._shake(found, rows, value, math.prod(weight.shape[1:]))

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: torch.Tensor) -> torch.Tensor:
        """The transposed convolution, likewise."""
        with _full_precision(row):
            found = super().convolve_back(weight, bias, windows, row)
        rows = self._scales((weight,), row, lambda: _norms_across(weight, windows.groups))
        return self._shake(found, rows, row, len(weight) // windows.groups)

    def _shake(self, found: torch.Tensor, rows: torch.Tensor, value: torch.Tensor, terms: int) -> torch.Tensor:
        """rows (2, channels): norms of weights, and sizes of biases."""
        unit = torch.finfo(value.dtype).eps / 2
        size = value[0].square().sum(-1, keepdim=True).sqrt_()
        scale = (size * rows[0] + rows[1]) * (SPREAD * unit * math.sqrt(terms))
        signs = torch.randint(0, 2, found[1:].shape, generator=self._generator(found.device), device=found.device)
        shaken = (2 * signs - 1) * scale.repeat_interleave(found.shape[-1] // rows.shape[1], -1)
        return torch.cat([found[:1], found[1:] + shaken])

    def _scales(
        self, arrays: tuple[np.ndarray, ...], like: torch.Tensor, make: Callable[[], np.ndarray]
    ) -> torch.Tensor:
        return _SCALES.get(arrays, (like.dtype, like.device), lambda: torch.tensor(make()).to(like))

    def _generator(self, device: torch.device) -> torch.Generator:
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self._seed)
        return self._generators[device]


def _norms(weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(2, out): ||w_j|| and |b_j|."""
    return np.stack([np.linalg.norm(weight.reshape(len(weight), -1), axis=1), abs(bias.astype(np.float64))])


def _norms_across(weight: np.ndarray, groups: int) -> np.ndarray:
    """(2, channels in): the norm of all weights that leave a channel of inputs, and no bias."""
    cut = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
    norms = np.sqrt((cut**2).sum(axis=(1, 3))).ravel()
    return np.stack([norms, np.zeros_like(norms)])


def apart(value: torch.Tensor) -> torch.Tensor:
    """(...): how far the shaken runs are from the first, at most, times SAFETY."""
    return (value[1:] - value[0]).abs().amax(0) * SAFETY


def margin(value: torch.Tensor) -> torch.Tensor:
    """(...): the size of the first run's number over what its sign could stand; below 1 it is not to be trusted."""
    return value[0].abs() / apart(value).clamp_min(torch.finfo(value.dtype).tiny)


def _full_precision(value: torch.Tensor) -> Any:
    """On CUDA, convolutions of float32 otherwise round their factors to 10 bits."""
    if value.device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
