"""Euclidean norms of radii, rounded upwards: of what each window of a convolution sees.

A sum of n squares loses at most a factor 1 - (n + 1) u, its root half of that and one rounding (laws 1 and 3 of
rounding.py). All is divided by the greatest entry first: then neither squares nor their sum can overflow, and squares
that underflow are below 2^-1074 of a sum that is at least about 1.
"""

from __future__ import annotations

import math

import torch

from dtdsym.arithmetic.rounding import ETA, UNIT
from dtdsym.arithmetic.unfold import window_sums
from dtdsym.arithmetic.windows import Windows

LEAST_SQUARE = 2.0**-1000


def window_norms(size: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Upper bounds of ||size||_2 of what each window of a value (batch, size), >= 0 or inf, sees: (batch, groups,
    positions); 0 only where all of it is 0."""
    top = size.amax(-1, keepdim=True)
    finite = size if math.isfinite(top.sum()) else size.masked_fill(torch.isinf(size), 0.0)
    top = finite.amax(-1, keepdim=True)
    squares = _parts(finite, top).square_().clamp_min_(LEAST_SQUARE).masked_fill_(finite == 0, 0.0)
    terms = windows.shape[0] * math.prod(windows.kernel)
    found = _scaled(window_sums(squares, windows).sqrt_(), top.unsqueeze(-1), terms)
    if finite is size:
        return found
    return found.masked_fill(window_sums(torch.isinf(size).to(size.dtype), windows) > 0, math.inf)


def _parts(size: torch.Tensor, top: torch.Tensor) -> torch.Tensor:
    return torch.where(top > 0, size / top, 0.0)


def _scaled(root: torch.Tensor, top: torch.Tensor, terms: int) -> torch.Tensor:
    found = torch.where(torch.isinf(top), math.inf, root * top * (1 + (terms + 16) * UNIT) + ETA)
    return found.masked_fill_(root == 0, 0.0)
