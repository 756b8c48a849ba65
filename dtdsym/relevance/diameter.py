"""How far apart columns of a matrix can be: the greatest L1 distance of two of them, enclosed, and who attains it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dtdsym.arithmetic.enclosure import Enclosure
from dtdsym.arithmetic.rounding import UNIT

PAIR_WORK = 2**34
"""Numbers to be compared in all pairs of columns up to which pairs are looked at; beyond, the common centre."""
BLOCK = 2**22
"""Numbers of the differences that are held at a time."""


@dataclass(frozen=True, eq=False)
class Diameter:
    """The greatest distance lies in [low, high]. pairs (n, 2): those that may attain it, the most promising first;
    None where pairs were not looked at."""

    low: float
    high: float
    pairs: np.ndarray | None


def diameter(columns: Enclosure, tick: Callable[[], None]) -> Diameter:
    """Of enclosed columns (m, d), two at least; finite. tick: raises when it is time to end."""
    m, d = columns.shape
    mid, slack = columns.mid, _upwards(columns.rad.sum(1), d)
    reach = _upwards((mid - mid.mean(0)).abs().sum(1), d) + slack
    order = torch.argsort(reach, descending=True)
    far = _distance(mid[order[0]], mid[order[1]]), float(slack[order[:2]].sum())
    low, first, second = max(far[0] * (1 - _loss(d)) - far[1], 0.0), *reach[order[:2]].tolist()
    if m * m * d > 2 * PAIR_WORK:
        return Diameter(low, (first + second) * (1 + 4 * UNIT), None)
    found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for left, right in _blocks(order, d):
        tick()
        if float(reach[left].max() + reach[right].max()) * (1 + 4 * UNIT) < low:
            continue
        apart = (mid[left, None] - mid[None, right]).abs().sum(-1)
        spread = slack[left, None] + slack[None, right]
        low = max(low, float((apart * (1 - _loss(d)) - spread).max()))
        upper = (apart * (1 + _loss(d)) + spread) * (1 + 4 * UNIT)
        i, j = torch.nonzero(upper >= low, as_tuple=True)
        found.append((left[i], right[j], upper[i, j]))
    return _settled(low, found)


def _settled(low: float, found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> Diameter:
    i, j, upper = (torch.cat(side) for side in zip(*found, strict=True))
    kept = (upper >= low) & (i != j)
    i, j, upper = i[kept], j[kept], upper[kept]
    best = torch.argsort(upper, descending=True, stable=True)
    pairs = torch.stack([torch.minimum(i, j), torch.maximum(i, j)], 1)[best].cpu().numpy()
    _, first = np.unique(pairs, axis=0, return_index=True)
    return Diameter(max(low, 0.0), float(upper.max()) if len(upper) else 0.0, pairs[np.sort(first)])


def _blocks(order: torch.Tensor, d: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Blocks of pairs, the farthest from the centre first."""
    each = max(1, int((BLOCK / d) ** 0.5))
    parts = order.split(each)
    for number, left in enumerate(parts):
        for right in parts[number:]:
            yield left, right


def _loss(d: int) -> float:
    """Of a sum of d distances: a subtraction, d - 1 additions (law 3 of rounding.py), and a product or two."""
    return (d + 16) * UNIT


def _upwards(total: torch.Tensor, d: int) -> torch.Tensor:
    """An upper bound of a sum of d floats >= 0, of which `total` is the float."""
    return total * (1 + _loss(d))


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().sum())
