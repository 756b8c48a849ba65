"""Proven upper bounds of the norms of linear maps: of their rows, and of the whole map.

(1) ||A||_2^2 = ||A' A||_2 for any A (A' its transpose), so that with B = fl(A' A) by law 4 of rounding.py
    ||A||_2^2 <= ||B||_2 + ||B - A' A||_F <= ||B||_2 + g ||A||_F^2 + k n eta, g = k u / (1 - k u), A of (k, n):
    the error is at most g |A|' |A| + k eta, entry by entry, and || |A|' |A| ||_F <= ||A||_F^2 (Cauchy and Schwarz).
    B need not be symmetric. A few such steps, and ||B||_F >= ||B||_2 at the last one: with s squarings after the first
    step, the bound is too large by a factor of at most n^(1/2^(s+2)), but for rounding.
(2) Before each step the matrix is scaled by a power of two, its largest entry to at least 2^-52 and below 4. So
    ||A||_F^2 >= 2^-104, and 2 u ||A||_F^2 pays for all that underflows: k n eta here, n eta in the scaling.
(3) A sum of m squares, and its root, computed: the sum loses at most a factor 1 - m u (law 3) and m eta; torch's root
    errs by at most one unit in the last place.
(4) ||A||_2 <= ||A||_F, and ||A||_2^2 <= ||A||_1 ||A||_inf.
(5) A convolution. Along one dimension entry i is seen by as many windows as there are taps t < kernel with
    t dilation = i + padding (mod stride): these t lie stride / gcd(stride, dilation) apart, so there are at most
    m = ceil(kernel gcd / stride). Let dimensions A be gathered and B scattered: R has a row for each (channel out, tap
    of B), a column for each (channel in, tap of A), and z = R applied at each place. Each entry is seen m_A times (the
    product over A), padding adds zeros: ||z||^2 <= m_A ||R||^2 ||x||^2. An output adds up at most kernel_B entries of
    z, and each of these adds to at most one: ||out||^2 <= kernel_B ||z||^2. So ||conv||^2 <= m_A kernel_B ||R||^2.
    Groups have their own inputs and outputs, so the greatest of their norms is that of all.
    (Both extremes, and the mixed ones: Singla and Feizi, Fantastic four, ICLR 2021, there for stride 1.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.powers import exponent, power
from dtdsym.arithmetic.rounding import GROW, UNIT
from dtdsym.arithmetic.windows import Windows

SQUARINGS = 6
FEW_SQUARINGS = 4  # of a large matrix
LARGE = 2048  # rows and columns of it
LARGE_MIXED = 512


@dataclass(frozen=True, eq=False)
class Norms:
    """Proven upper bounds of a linear map: rows (out,) >= ||w_j||_2, one a channel for convolutions; spectral."""

    rows: torch.Tensor
    spectral: float


_NORMS: Kept[Norms] = Kept()
_SPECTRAL: Kept[float] = Kept()


def norms_of(weight: np.ndarray, device: torch.device | str) -> Norms:
    """Of the map x -> W x, weight (out, in) float64; kept while the array lives."""
    return _NORMS.get((weight,), (None, str(device)), lambda: _dense(weight, device))


def norms_of_convolution(weight: np.ndarray, windows: Windows, device: torch.device | str) -> Norms:
    """Of the convolution, and so of its transpose: weight (out, in / groups, *kernel) float64. rows: one a channel."""
    return _NORMS.get((weight,), (windows, str(device)), lambda: _convolution(weight, windows, device))


def spectral_of(weight: np.ndarray, device: torch.device | str) -> float:
    """||W||_2 from above; a transposed view of a matrix has the norm that was found for the matrix."""
    base = weight.base
    whole = base if isinstance(base, np.ndarray) and _transposed(weight, base) else weight

    def found() -> float:
        return spectral_norm(torch.tensor(whole, dtype=torch.float64, device=device).unsqueeze(0))

    return _SPECTRAL.get((whole,), None, found)


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
    found = (math.sqrt(factor) * spectral_norm(matrix) * GROW for factor, matrix in _foldings(kernel, windows))
    return Norms(row_norms(kernel.flatten(1)), min(found))


def _foldings(kernel: torch.Tensor, windows: Windows) -> Iterator[tuple[int, torch.Tensor]]:
    """(m_A kernel_B, R), R (groups, out kernel_B, in kernel_A), for every choice of B (law 5) whose Gram matrix is not
    large; all or none of the dimensions in any case."""
    sides = list(zip(windows.kernel, windows.stride, windows.dilation, strict=True))
    seen = [-(-k * math.gcd(s, d) // s) for k, s, d in sides]
    groups = kernel.reshape(windows.groups, -1, *kernel.shape[1:])
    for scattered in product([False, True], repeat=len(sides)):
        factor = math.prod(k if b else m for k, m, b in zip(windows.kernel, seen, scattered, strict=True))
        down, across = ([i + 3 for i, b in enumerate(scattered) if b is side] for side in (True, False))
        rows = groups.shape[1] * math.prod(groups.shape[i] for i in down)
        mixed = down and across
        if mixed and min(rows, groups[0].numel() // rows) > LARGE_MIXED:
            continue
        yield factor, groups.permute(0, 1, *down, 2, *across).reshape(windows.groups, rows, -1)


def row_norms(matrix: torch.Tensor) -> torch.Tensor:
    """(...) upper bounds of the Euclidean norms of the rows of (..., n), inf beyond float64 (law 3)."""
    largest = matrix.abs().amax(-1)
    scale = exponent(largest)
    scaled = matrix * power(-scale).unsqueeze(-1)
    norm = _sum_of_squares(scaled, -1).sqrt_().mul_(GROW) * power(scale)
    zero = largest == 0
    return torch.nextafter(norm, torch.full_like(norm, math.inf)).masked_fill_(zero, 0.0)


def spectral_norm(blocks: torch.Tensor) -> float:
    """An upper bound of the greatest spectral norm of the matrices (groups, k, n), by laws 1 to 4."""
    if not blocks.any():
        return 0.0
    scale = int(exponent(blocks.abs().amax()))
    current = blocks * 2.0**-scale
    if current.shape[1] < current.shape[2]:
        current = current.transpose(1, 2)
    simple = min(_frobenius(current), _hoelder(current))
    levels = []
    for _ in range(1 + (FEW_SQUARINGS if min(blocks.shape[1:]) > LARGE else SQUARINGS)):
        gamma = (current.shape[1] + 8) * UNIT * (1 + 2.0**-20)
        squared = current.transpose(1, 2) @ current
        step = int(exponent(squared.abs().amax()))
        levels.append((step, gamma * _frobenius(current) ** 2))
        current = squared * 2.0**-step
    bound = _frobenius(current)
    for step, error in reversed(levels):
        bound = math.sqrt(bound * 2.0**step + error) * GROW
    return math.nextafter(min(bound, simple) * 2.0**scale, math.inf)


def _frobenius(blocks: torch.Tensor) -> float:
    return math.sqrt(float(_sum_of_squares(blocks, (1, 2)).max())) * GROW


def _hoelder(blocks: torch.Tensor) -> float:
    """sqrt(||A||_1 ||A||_inf), all groups together (law 4)."""
    size = blocks.abs()
    count = size.shape[1] + size.shape[2]
    return math.sqrt(float(size.sum(1).max()) * float(size.sum(2).max())) * GROW * (1 + 2 * count * UNIT)


def _sum_of_squares(numbers: torch.Tensor, axes: int | tuple[int, ...]) -> torch.Tensor:
    """At least the sum over these axes, where it is at least 2^-104 (laws 2 and 3)."""
    count = math.prod(numbers.shape[axis] for axis in ((axes,) if isinstance(axes, int) else axes))
    return (numbers * numbers).sum(axes).mul_(1 + 2 * (count + 8) * UNIT)
