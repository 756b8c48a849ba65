"""Enclosures that know the error of a whole value too: besides its radii, a bound of its Euclidean norm, the ball.

Radii of single entries explode with depth: |W| r takes it that all errors conspire. A linear map makes a ball larger by
no more than its spectral norm, and ReLUs, maxima and masks not at all. So

    ||z - m_z||_2 <= ||W||_2 s + ||e||_2,    |z_j - m_j| <= ||w_j||_2 s_j + e_j,

where s bounds ||a - m_a||_2 (by the ball, or by the norm of the radii), s_j the same on what neuron j sees, and e_j the
rounding error of w_j . m_a + b_j: by law 4 of rounding.py and Cauchy and Schwarz's inequality
e_j <= g (||w_j||_2 ||m_a||_2 + |b_j|) + n eta for a sum of n products. Norms of weights are proven once (norms.py).
Every bound below is rounded upwards by factors that pay for its own roundings (law 5), and sums of eta for underflow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dtdsym.arithmetic import windows as windowed
from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure, EnclosureArithmetic, made, settled
from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.norms import Norms, norms_of, norms_of_convolution, row_norms, spectral_of_convolution
from dtdsym.arithmetic.rational import fraction
from dtdsym.arithmetic.rounding import ETA, GROW, UNIT, nearest, sum_error
from dtdsym.arithmetic.sizes import window_norms
from dtdsym.arithmetic.unfold import batches, patches, unpatched
from dtdsym.arithmetic.windows import Windows


@dataclass(frozen=True, eq=False)
class _Map:
    """A linear map's weights as a tensor, and what bounds its rounding: gamma >= g, and floor for what underflows.

    bias: the norm of the biases. flat: rows with no weight but 0."""

    weight: torch.Tensor
    offset: torch.Tensor
    norms: Norms
    gamma: float
    floor: float
    bias: float
    rows: float
    flat: torch.Tensor

    @staticmethod
    def of(
        weight: np.ndarray, bias: np.ndarray, norms: Norms, terms: int, device: torch.device, products: int = 0
    ) -> _Map:
        """weight as it stands, bias (out,); a product passes through no more than `terms` roundings, and an output adds
        up no more than so many products (0: as many as terms)."""
        offset = torch.tensor(bias, dtype=torch.float64, device=device)
        steps = (terms + 4) * UNIT
        return _Map(
            torch.tensor(weight, dtype=torch.float64, device=device), offset, norms,
            steps / (1 - 2 * steps), 2 * ((products or terms) + 1) * ETA,
            float(row_norms(offset.abs())), float(row_norms(norms.rows)), norms.rows == 0,
        )  # fmt: skip

    def errors(self, size: torch.Tensor, places: int = 1) -> torch.Tensor:
        """Norms of the rounding errors of all rows at so many places; size: of all that they are multiplied with."""
        copies, entries = math.sqrt(places), math.sqrt(len(self.offset) * places)
        slack = self.bias * copies * self.gamma * GROW + 2 * self.floor * entries
        return (size * self.rows).mul_(self.gamma * GROW).add_(slack)  # rows * gamma may underflow where this does not


class BallArithmetic(EnclosureArithmetic):
    """The arithmetic protocol on enclosures with balls, for deep networks. What has no ball gets that of its radii."""

    def __init__(self) -> None:
        super().__init__()
        self._maps: Kept[_Map] = Kept()

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: Enclosure) -> Enclosure:
        """value (..., in) @ weight.T + bias."""
        device, inputs = value.mid.device, weight.shape[1]
        known = self._maps.get(
            (weight, bias), device, lambda: _Map.of(weight, bias, norms_of(weight, device), inputs, device)
        )
        mid = torch.nn.functional.linear(value.mid, known.weight, known.offset)
        size, reach = row_norms(value.mid.abs()), reached(value)
        slack = known.offset.abs() * known.gamma + known.floor
        rad = (known.norms.rows * _spread(known, size, reach).unsqueeze(-1) + slack).mul_(GROW)
        nothing = ((size == 0) & (reach == 0)).unsqueeze(-1) | known.flat
        ball = (reach * known.norms.spectral + known.errors(size)).mul_(GROW)
        return settled(mid, rad.masked_fill_(nothing, 0.0), ball)

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: Enclosure) -> Enclosure:
        """The convolution by patches and matrix products, a few samples at a time; never by torch's own convolutions,
        which may use algorithms (Winograd, FFT) that law 4 does not cover."""
        known = self._convolution(weight, bias, windows, value.mid.device)
        *leading, width = value.shape
        flat = made(value.mid.reshape(-1, width), value.rad.reshape(-1, width))
        reach = reached(value).reshape(-1)
        parts = [_convolved(known, windows, flat[part], reach[part]) for part in batches(windows, len(flat))]
        mid, rad, ball = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        return settled(mid, rad, ball).reshape(*leading, mid.shape[-1])

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: Enclosure) -> Enclosure:
        """The transposed convolution, likewise: each channel of inputs has a norm of all weights that leave it."""
        del bias
        known = self._transposed(weight, windows, row.mid.device)
        *leading, width = row.shape
        mid = row.mid.reshape(-1, width)
        size, reach = row_norms(mid.abs()), reached(row).reshape(-1)
        image = torch.cat([_preimage(known, windows, mid[part]) for part in batches(windows, len(mid))])
        rows = known.norms.rows.repeat_interleave(windows.size // windows.shape[0])
        rad = (rows * _spread(known, size, reach).unsqueeze(-1) + known.floor).mul_(GROW)
        nothing = ((size == 0) & (reach == 0)).unsqueeze(-1) | (rows == 0)
        many = windows.size // windows.shape[0]
        ball = (reach * known.norms.spectral + known.errors(size * math.sqrt(many), many)).mul_(GROW)
        return settled(image, rad.masked_fill_(nothing, 0.0), ball).reshape(*leading, windows.size)

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: Enclosure) -> Enclosure:
        """value * weight + bias, channel by channel: the rounding of the midpoints, and radii times |weight|."""
        found = windowed.scale(self, weight, bias, value, (value.mid.device,))
        rounded = windowed.scale(self, weight, bias, points(value.mid), (value.mid.device,))
        largest = _LARGEST.get((weight,), None, lambda: _largest(weight))
        ball = _times(reached(value), largest).add_(row_norms(rounded.rad)).mul_(GROW)
        return settled(found.mid, found.rad, ball)

    def take(self, value: Enclosure, index: np.ndarray) -> Enclosure:
        """Entries of the last axis; an entry that is taken m times has its error in m places."""
        found = super().take(value, index)
        if index.ndim != 1 or value.ball is None:
            return found
        return settled(found.mid, found.rad, _times(value.ball, math.sqrt(_most(index))))

    def take_back(self, row: Enclosure, inverse: np.ndarray) -> Enclosure:
        """Sums of the entries at inverse (size, m), each of which is in one sum: at most sqrt(m) times the ball, and
        the rounding of the sums."""
        found = super().take_back(row, inverse)
        if row.ball is None:
            return found
        rounded = super().take_back(points(row.mid), inverse)
        ball = _times(row.ball, math.sqrt(inverse.shape[1])).add_(row_norms(rounded.rad)).mul_(GROW)
        return settled(found.mid, found.rad, ball)

    def add(self, left: Enclosure, right: Enclosure) -> Enclosure:
        """left + right: the balls add up, and the exact error of the sum (law 2)."""
        mid = left.mid + right.mid
        error = sum_error(left.mid, right.mid, mid).abs()
        ball = (reached(left) + reached(right) + row_norms(error)).mul_(GROW)
        return settled(mid, error.add_(left.rad + right.rad).mul_(GROW), ball)

    def relu(self, value: Enclosure) -> Enclosure:
        """max(x, 0) is not further from max(mid, 0) than x is from mid; exactly 0 where x <= 0."""
        dead = value.mid <= -value.rad
        return settled(value.mid.clamp_min(0.0), value.rad.masked_fill(dead, 0.0), value.ball)

    def pool(self, value: Enclosure, columns: tuple[np.ndarray, ...]) -> Enclosure:
        """Maxima of windows: |max x - max m| <= max |x - m|; an entry in m windows has its error in m places."""
        index = np.stack(columns, axis=1)
        entries = ENCLOSURE.take(value, index)
        mid, low, high = entries.mid.amax(-1), entries.lower().amax(-1), entries.upper().amax(-1)
        rad = torch.maximum(high - mid, mid - low)
        rad = torch.where(high == low, 0.0, torch.nextafter(rad, torch.full_like(rad, math.inf)))
        most = _POOLS.get(columns, None, lambda: _most(index))
        return settled(mid, rad, _times(reached(value), math.sqrt(most)))

    def join(self, parts: Sequence[Enclosure]) -> Enclosure:
        """Parts (..., k) side by side along the last axis."""
        found = super().join(parts)
        balls = torch.stack([reached(part) for part in parts], -1)
        return settled(found.mid, found.rad, row_norms(balls))

    def _convolution(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, device: torch.device) -> _Map:
        def cut() -> _Map:
            norms = norms_of_convolution(weight, windows, device)
            return _Map.of(weight, bias, norms, math.prod(weight.shape[1:]), device)

        return self._maps.get((weight, bias), (windows, device), cut)

    def _transposed(self, weight: np.ndarray, windows: Windows, device: torch.device) -> _Map:
        def cut() -> _Map:
            groups, spectral = windows.groups, spectral_of_convolution(weight, windows, device)
            cut = weight.reshape(groups, len(weight) // groups, weight.shape[1], -1)
            rows = row_norms(torch.tensor(abs(cut).transpose(0, 2, 1, 3).reshape(windows.shape[0], -1), device=device))
            terms = len(weight) // groups + math.prod(weight.shape[2:])
            products = len(weight) // groups * math.prod(weight.shape[2:])
            return _Map.of(weight, np.zeros(windows.shape[0]), Norms(rows, spectral), terms, device, products)

        return self._maps.get((weight,), (windows, device), cut)


BALL = BallArithmetic()
_POOLS: Kept[int] = Kept()
_LARGEST: Kept[float] = Kept()


def points(mid: torch.Tensor) -> Enclosure:
    """These midpoints, exactly."""
    return made(mid, torch.zeros_like(mid), torch.zeros(mid.shape[:-1], dtype=mid.dtype, device=mid.device))


def reached(value: Enclosure) -> torch.Tensor:
    """An upper bound of ||x - mid||_2 over the last axis: the ball's, or that of the radii."""
    radii = row_norms(value.rad)
    return radii if value.ball is None else torch.where(value.ball < radii, value.ball, radii)


def _spread(known: _Map, size: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    """What the norm of a row is multiplied with; eta pays for the underflow of size gamma, whatever that norm is."""
    return (size * known.gamma).add_(reach).add_(ETA).mul_(GROW)


def _times(ball: torch.Tensor, factor: float) -> torch.Tensor:
    """ball times factor, upwards: eta pays for underflow."""
    return (ball * (factor * GROW)).add_(ETA)


def _largest(factors: np.ndarray) -> float:
    """The largest size of these rationals, upwards."""
    return sum(nearest(max(abs(fraction(factor)) for factor in factors))) * GROW


def _most(index: np.ndarray) -> int:
    """How often the entry that is taken most often is taken."""
    flat = index.reshape(-1)
    return int(np.bincount(flat[flat >= 0], minlength=1).max())


def _convolved(
    known: _Map, windows: Windows, value: Enclosure, reach: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Midpoints, radii and balls of a few samples (batch, size)."""
    groups = windows.groups
    matrices = known.weight.reshape(groups, len(known.weight) // groups, -1)
    bias = known.offset.reshape(groups, -1, 1)
    mid = torch.matmul(matrices, patches(value.mid, windows)).add_(bias)
    size, radii = window_norms(value.mid.abs(), windows), window_norms(value.rad, windows)
    near = torch.minimum(radii, reach.reshape(-1, 1, 1))
    spread = _spread(known, size, near).unsqueeze(2)
    rad = spread * known.norms.rows.reshape(groups, -1, 1) + (bias.abs() * known.gamma + known.floor)
    nothing = ((size == 0) & (near == 0)).unsqueeze(2) | known.flat.reshape(groups, -1, 1)
    rad = rad.mul_(GROW).masked_fill_(nothing, 0.0)
    errors = known.errors(row_norms(size.flatten(1)), mid.shape[-1])
    ball = (reach * known.norms.spectral + errors).mul_(GROW)
    return mid.flatten(1), rad.flatten(1), ball


def _preimage(known: _Map, windows: Windows, row: torch.Tensor) -> torch.Tensor:
    """The transposed convolution of a few rows (batch, out positions)."""
    groups = windows.groups
    matrices = known.weight.reshape(groups, len(known.weight) // groups, -1)
    return unpatched(
        matrices.transpose(1, 2) @ row.reshape(len(row), groups, matrices.shape[1], math.prod(windows.positions)),
        windows,
    )
