"""How numbers become the parts of a pair, and what an index does to a pair's ball."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.error_free import two_sum
from dtdsym.arithmetic.rational import fraction
from dtdsym.arithmetic.rounding import nearest
from dtdsym.arithmetic.tensor import read

_MASKS = (torch.bool, np.dtype(bool))


def read_parts(numbers: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """high, low and rad of numbers (a tensor, array, nested sequence or number): floats exactly, others to 106 bits."""
    value = read(numbers)
    if isinstance(value, torch.Tensor):
        high = value.detach().to(torch.float64, copy=True)
        return high, torch.zeros_like(high), torch.zeros_like(high)
    parts = torch.tensor([_halved(fraction(number)) for number in value.flat], dtype=torch.float64)
    high, low, rad = parts.reshape(*value.shape, 3).unbind(-1)
    return *two_sum(high, low), rad


def _halved(number: Fraction) -> tuple[float, float, float]:
    """The nearest float, the nearest float to the rest, and the distance of both from the number."""
    high, rad = nearest(number)
    return (high, *nearest(number - Fraction(high))) if rad < math.inf else (high, 0.0, rad)


def leading_index(index: tuple[Any, ...], axes: int) -> tuple[Any, ...] | None:
    """What an index means for the leading axes of a value that has `axes`; None where it mixes up the last one.

    A slice of the last axis leaves parts of rows, whose norms are no greater."""
    if index[0] is Ellipsis:
        kept = len(index) > 1 and isinstance(index[-1], slice) and all(part is None for part in index[1:-1])
        return index[:-1] if kept else None
    if any(part is Ellipsis for part in index):
        return None
    used = sum(0 if part is None else part.ndim if getattr(part, "dtype", None) in _MASKS else 1 for part in index)
    return index if used < axes else None
