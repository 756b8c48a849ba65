"""Proven upper bounds of the norms of linear maps: of their rows, and of the whole map.

(1) Of a matrix, and of a convolution through its symbol: spectrum.py.
(2) A sum of m squares, and its root, computed: the sum loses at most a factor 1 - m u (law 3 of rounding.py) and m eta,
    which is nothing where all is scaled by a power of two; torch's root errs by at most one unit in the last place.
(3) Of a convolution through one matrix. Along one dimension entry i is seen by as many windows as there are taps
    t < kernel with t dilation = i + padding (mod stride): these t lie stride / gcd(stride, dilation) apart, so there
    are at most m = ceil(kernel gcd / stride). If all taps are gathered, R has a row for each channel out and a column
    for each channel in and tap, and each entry is seen m times in every dimension: ||out||^2 <= prod(m) ||R||^2
    ||x||^2. If all are scattered, R has a row for each channel out and tap, and an output adds up at most prod(kernel)
    entries of z = R x at each place: ||out||^2 <= prod(kernel) ||R||^2 ||x||^2. Padding adds zeros; groups have their
    own inputs and outputs, so the greatest of their norms is that of all. (Singla and Feizi, Fantastic four, ICLR 2021,
    for stride 1.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.powers import exponent, power
from dtdsym.arithmetic.rounding import GROW, UNIT
from dtdsym.arithmetic.spectrum import spectral_norm, symbol_norm
from dtdsym.arithmetic.windows import Windows


@dataclass(frozen=True, eq=False)
class Norms:
    """Proven upper bounds of a linear map: rows (out,) >= ||w_j||_2, one a channel for convolutions; spectral."""

    rows: torch.Tensor
    spectral: float


_NORMS: Kept[Norms] = Kept(light=True)
_SPECTRAL: Kept[float] = Kept(light=True)


def norms_of(weight: np.ndarray, device: torch.device | str) -> Norms:
    """Of the map x -> W x, weight (out, in) float64; kept while the array lives."""
    return _NORMS.get((weight,), (None, str(device)), lambda: _dense(weight, device))


def norms_of_convolution(weight: np.ndarray, windows: Windows, device: torch.device | str) -> Norms:
    """Of the convolution, and so of its transpose: weight (out, in / groups, *kernel) float64. rows: one a channel."""
    return _NORMS.get((weight,), (windows, str(device)), lambda: _convolution(weight, windows, device))


def spectral_of(weight: np.ndarray, device: torch.device | str) -> float:
    """||W||_2 from above; a transposed view of a matrix has the norm that was found for the matrix."""
    whole = _whole(weight)

    def found() -> float:
        return spectral_norm(torch.tensor(whole, dtype=torch.float64, device=device).unsqueeze(0))

    return _SPECTRAL.get((whole,), None, found)


def spectral_of_convolution(weight: np.ndarray, windows: Windows, device: torch.device | str) -> float:
    """The norm of the convolution, and so of its transpose, from above."""
    return _SPECTRAL.get((weight,), windows, lambda: _of_convolution(weight, windows, device))


def remember_spectral(weight: np.ndarray, windows: Windows | None, bound: float) -> None:
    """A bound that was proven in another process: of a convolution, or of a matrix where there are no windows."""
    _SPECTRAL.get((_whole(weight),) if windows is None else (weight,), windows, lambda: bound)


def _whole(weight: np.ndarray) -> np.ndarray:
    """The matrix that this one is a transposed view of, or itself."""
    base = weight.base
    return base if isinstance(base, np.ndarray) and _transposed(weight, base) else weight


def _transposed(view: np.ndarray, base: np.ndarray) -> bool:
    """Whether a matrix is all of another one, transposed."""
    if base.flags.writeable or base.ndim != 2 or base.T.shape != view.shape or base.T.strides != view.strides:
        return False
    return bool(base.__array_interface__["data"][0] == view.__array_interface__["data"][0])


def _dense(weight: np.ndarray, device: torch.device | str) -> Norms:
    matrix = torch.tensor(weight, dtype=torch.float64, device=device)
    return Norms(row_norms(matrix), spectral_of(weight, device))


def _convolution(weight: np.ndarray, windows: Windows, device: torch.device | str) -> Norms:
    kernel = torch.tensor(weight, dtype=torch.float64, device=device)
    return Norms(row_norms(kernel.flatten(1)), spectral_of_convolution(weight, windows, device))


def _of_convolution(weight: np.ndarray, windows: Windows, device: torch.device | str) -> float:
    kernel = torch.tensor(weight, dtype=torch.float64, device=device)
    found = [math.sqrt(factor) * spectral_norm(matrix) * GROW for factor, matrix in _foldings(kernel, windows)]
    if math.prod(windows.kernel) > 1:
        scale = int(exponent(kernel.abs().amax()))
        groups = (kernel * 2.0**-scale).reshape(windows.groups, -1, *kernel.shape[1:])
        found.append(math.nextafter(symbol_norm(groups) * 2.0**scale, math.inf))
    return min(found)


def _foldings(kernel: torch.Tensor, windows: Windows) -> Iterator[tuple[int, torch.Tensor]]:
    """(m_A kernel_B, R), R (groups, out kernel_B, in kernel_A), all dimensions gathered, or all scattered (law 3)."""
    sides = zip(windows.kernel, windows.stride, windows.dilation, strict=True)
    seen = math.prod(-(-k * math.gcd(s, d) // s) for k, s, d in sides)
    groups = kernel.reshape(windows.groups, -1, *kernel.shape[1:])
    yield seen, groups.flatten(2)
    yield math.prod(windows.kernel), groups.flatten(3).permute(0, 1, 3, 2).flatten(1, 2)


def row_norms(matrix: torch.Tensor) -> torch.Tensor:
    """(...) upper bounds of the Euclidean norms of the rows of (..., n), inf beyond float64 (law 3)."""
    if not matrix.shape[-1]:
        return matrix.new_zeros(matrix.shape[:-1])
    largest = matrix.abs().amax(-1)
    scale = exponent(largest)
    scaled = matrix * power(-scale).unsqueeze(-1)
    norm = _sum_of_squares(scaled, -1).sqrt_().mul_(GROW) * power(scale)
    zero = largest == 0
    return torch.nextafter(norm, torch.full_like(norm, math.inf)).masked_fill_(zero, 0.0)


def _sum_of_squares(numbers: torch.Tensor, axes: int | tuple[int, ...]) -> torch.Tensor:
    """At least the sum over these axes, where it is at least 2^-104 (laws 2 and 3)."""
    count = math.prod(numbers.shape[axis] for axis in ((axes,) if isinstance(axes, int) else axes))
    return (numbers * numbers).sum(axes).mul_(1 + 2 * (count + 8) * UNIT)
