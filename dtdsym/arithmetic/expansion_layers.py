"""Affine maps and convolutions of expansions: exact split products, and radii and balls through proven norms.

Let x be a value with centre m, radii r and ball rho = min(ball, ||r||_2), and y = W x + b. The computed centre errs by
at most `error` (split_products.py), in every entry; besides, |W (x - m)| is at most
    |W_j| r, and ||w_j||_2 rho', with rho' = rho, or less, the norm of r over the window that j sees: the radius;
    sigma rho over all outputs together, sigma >= ||W||_2 (norms.py): the ball.
An output that meets only entries that are exactly 0 is exactly its bias.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dtdsym.arithmetic.error_free import Parts, rippled
from dtdsym.arithmetic.expansion_value import Expansion, mapped, settled
from dtdsym.arithmetic.norms import row_norms
from dtdsym.arithmetic.patches import Patches, planar, reversed_windows, spread
from dtdsym.arithmetic.powers import exponent, power
from dtdsym.arithmetic.rounding import ETA, GROW, UNIT
from dtdsym.arithmetic.split_products import Job, SplitWeight, split_product
from dtdsym.arithmetic.windows import Windows


@dataclass(frozen=True, eq=False)
class AffineMap:
    """weight (1, out, in), cut; size (in, out) = |W|, full if no weight is 0; rows (out,), its norms."""

    weight: SplitWeight
    size: torch.Tensor
    full: bool
    rows: torch.Tensor

    @staticmethod
    def of(weight: np.ndarray, parts: int, device: torch.device) -> AffineMap:
        """From an exact float64 array (out, in), for values of so many parts."""
        exact = torch.tensor(weight, dtype=torch.float64, device=device)
        size, full = exact.abs().T.contiguous(), bool(exact.all())
        return AffineMap(SplitWeight.of(exact.unsqueeze(0), parts), size, full, row_norms(exact))

    def __call__(self, value: Expansion, bias: torch.Tensor, spectral: Callable[[], float]) -> Expansion:
        """value (batch, in) to (batch, out); bias (out,). spectral: asked for only where a ball is followed."""
        parts, error = split_product(self.weight, value.parts, _multiply)
        parts, error = tuple(part.squeeze(2) for part in parts), error.squeeze(2)
        error = error * self._meets((value.high != 0) | (value.rad != 0))
        incoming, rho = torch.zeros_like(error), _norm(value)
        if value.rad.any():
            incoming = torch.minimum(self._spread(value.rad), _times(self.rows, rho.unsqueeze(1)))
        return _shifted(parts, incoming, error, bias, _grown(value, rho, spectral))

    def _meets(self, entries: torch.Tensor) -> torch.Tensor:
        """1 for outputs (batch, out) that have one of these entries (batch, in), with a weight that is not 0."""
        if self.full or entries.all():
            return (entries.any(1, keepdim=True) & (self.rows != 0)).double()
        return (entries.double() @ (self.size != 0).double() > 0).double()

    def _spread(self, rad: torch.Tensor) -> torch.Tensor:
        """|W| r, rounded up (law 4); inf only where r is and the weight is not 0, 0 only where all products are."""
        unknown = torch.isinf(rad)
        count = len(self.size)
        bound = rad.masked_fill(unknown, 0.0) @ self.size * (1 + 2 * (count + 8) * UNIT)
        bound += self._meets(rad != 0) * ((count + 1) * ETA)
        if unknown.any():
            bound.masked_fill_(self._meets(unknown) > 0, math.inf)
        return bound


@dataclass(frozen=True, eq=False)
class ConvolutionMap:
    """weight (groups, out, n), cut, over windows of two dimensions; rows (channels,), its norms.

    there (groups, out, n): 1 where a weight is not 0; None if none is."""

    weight: SplitWeight
    windows: Windows
    rows: torch.Tensor
    there: torch.Tensor | None

    @staticmethod
    def _of(matrices: torch.Tensor, windows: Windows, parts: int) -> ConvolutionMap:
        """From exact matrices (groups, out, n)."""
        rows, there = row_norms(matrices).flatten(), matrices != 0
        return ConvolutionMap(SplitWeight.of(matrices, parts), windows, rows, None if there.all() else there.double())

    @staticmethod
    def of(weight: np.ndarray, windows: Windows, parts: int, device: torch.device) -> ConvolutionMap:
        """From an exact float64 array (out, in / groups, *kernel)."""
        exact = torch.tensor(weight, dtype=torch.float64, device=device)
        matrices = exact.reshape(windows.groups, len(weight) // windows.groups, -1)
        return ConvolutionMap._of(matrices, planar(windows), parts)

    @staticmethod
    def back(weight: np.ndarray, windows: Windows, parts: int, device: torch.device) -> ConvolutionMap:
        """The transposed map: the convolution with the flipped kernel, over outputs that are spread apart."""
        exact = torch.tensor(weight, dtype=torch.float64, device=device)
        flipped = exact.flip(*range(2, exact.ndim)).unflatten(0, (windows.groups, -1)).transpose(1, 2)
        turned = reversed_windows(planar(windows), len(weight))
        return ConvolutionMap._of(flipped.flatten(3).flatten(2), turned, parts)

    def __call__(self, value: Expansion, bias: torch.Tensor, spectral: Callable[[], float]) -> Expansion:
        """value (batch, width) to (batch, channels positions); bias (channels,). spectral: as in AffineMap."""
        patches = Patches(self.windows)
        parts, error = split_product(self.weight, value.parts, patches.multiply)
        rho, groups = _norm(value), (self.windows.groups, -1)
        reach = torch.minimum(self._near(patches, value), rho[:, None, None])
        incoming = _times(self.rows.reshape(*groups, 1), reach.unsqueeze(2)).flatten(1, 2)
        met = self._meets(patches, value)
        error, incoming = error.masked_fill(~met, 0.0), incoming.masked_fill(~met, 0.0)
        return _shifted(parts, incoming, error, bias.unsqueeze(1), _grown(value, rho, spectral))

    def _meets(self, patches: Patches, value: Expansion) -> torch.Tensor:
        """Which outputs (batch, channels, positions) see an entry that is not exactly 0, by a weight that is not."""
        seen = ((value.high != 0) | (value.rad != 0)).double()
        if self.there is not None:
            (found,) = patches.multiply(self.there, [seen], [[(0, 0, self.there.shape[2])]])
            return found > 0
        shape = (self.windows.groups, -1, math.prod(self.windows.shape[1:]))
        (found,) = patches.sums([seen.unflatten(1, shape).amax(2)])
        return (found > 0).repeat_interleave(len(self.rows) // self.windows.groups, 1)

    def _near(self, patches: Patches, value: Expansion) -> torch.Tensor:
        """(batch, groups, positions): the norm of r over each window.

        Squares are scaled, the greatest to at least 2^-104 and below 16; 2^-900 pays for those that underflow."""
        rad = value.rad.unflatten(1, (self.windows.groups, -1, math.prod(self.windows.shape[1:])))
        scale = exponent(value.rad.amax(1))[:, None, None]
        scaled = rad * power(-scale).unsqueeze(3)
        squares, wide = patches.sums([(scaled * scaled).sum(2), (rad != 0).any(2).double()])
        count = self.weight.grid.inner
        norm = (squares * (1 + 2 * (count + 8) * UNIT) + 2.0**-900).sqrt_().mul_(GROW) * power(scale) + ETA
        return norm.masked_fill(wide == 0, 0.0)


def spread_apart(value: Expansion, windows: Windows) -> Expansion:
    """Outputs of windows with exact zeros in between, as `ConvolutionMap.back` reads them."""
    flat = planar(windows)
    return mapped(value, lambda part: spread(part, flat), value.ball)


def _multiply(blocks: torch.Tensor, values: Sequence[torch.Tensor], jobs: Sequence[Job]) -> list[torch.Tensor]:
    """`split_products.Multiply` of a matrix: there is one position."""
    side = torch.cat(list(values), 1)
    found = []
    for (first, second, size), *others in jobs:
        out = side[:, second : second + size] @ blocks[0, :, first : first + size].T
        for first, second, size in others:
            out += side[:, second : second + size] @ blocks[0, :, first : first + size].T
        found.append(out.unsqueeze(2))
    return found


def _norm(value: Expansion) -> torch.Tensor:
    """rho (batch,)."""
    norm = row_norms(value.rad)
    return norm if value.ball is None else torch.minimum(norm, value.ball)


def _times(rows: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
    """The product, rounded up; 0 where a factor is, whatever the other."""
    bound = rows * norm * GROW + ETA
    return bound.masked_fill_((rows == 0) | (norm == 0), 0.0)


def _shifted(
    parts: Parts, incoming: torch.Tensor, error: torch.Tensor, bias: torch.Tensor, grown: torch.Tensor | None
) -> Expansion:
    """The parts and the bias as an expansion (batch, outputs); what the sums lose is exact."""
    shifted, lost = rippled(parts, bias.expand_as(error))
    error = (error + lost.abs()).flatten(1)
    ball = None if grown is None else (grown + row_norms(error * GROW)) * GROW
    return settled([part.flatten(1) for part in shifted], incoming.flatten(1), error, ball)


def _grown(value: Expansion, rho: torch.Tensor, spectral: Callable[[], float]) -> torch.Tensor | None:
    """sigma rho (batch,): where there is a ball, or nothing but points. Rules propagate values without one by matrices
    of positive weights, whose spectral norms are dear and say less than radii."""
    if value.ball is None and value.rad.any():
        return None
    return _times(torch.full_like(rho, spectral()), rho)
