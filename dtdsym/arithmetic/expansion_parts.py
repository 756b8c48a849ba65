"""How numbers become the parts of an expansion, and what an index does to its ball."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.error_free import Parts, normal
from dtdsym.arithmetic.rational import fraction
from dtdsym.arithmetic.rounding import GROW, nearest
from dtdsym.arithmetic.tensor import read

_MASKS = (torch.bool, np.dtype(bool))


def read_parts(numbers: Any, count: int) -> tuple[Parts, torch.Tensor]:
    """Parts and radii of numbers (a tensor, array, nested sequence or number): floats exactly, others to 53 bits for
    each of `count` parts."""
    value = read(numbers)
    if isinstance(value, torch.Tensor):
        high = value.detach().to(torch.float64, copy=True)
        return (high, *(torch.zeros_like(high) for _ in range(count - 1))), torch.zeros_like(high)
    split = torch.tensor([_split(fraction(number), count) for number in value.flat], dtype=torch.float64)
    *split_parts, rad = split.reshape(*value.shape, count + 1).unbind(-1)
    parts, lost = normal(split_parts)  # a part may be half a unit of the one before it, whose nearest float is another
    return parts, rad if lost is None else (rad + lost) * GROW


def _split(number: Fraction, count: int) -> list[float]:
    """The nearest float, the nearest float to the rest, and so on, and the distance of all from the number."""
    found: list[float] = []
    for _ in range(count):
        part, rad = nearest(number)
        if rad == inf:
            return [0.0] * count + [inf]
        found.append(part)
        number -= Fraction(part)
    return [*found, rad]


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
