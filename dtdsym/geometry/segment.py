"""Whether a segment stays inside the linear region that it starts in."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import ONE
from dtdsym.geometry.budget import Meter
from dtdsym.geometry.regularity import Regular, regularity
from dtdsym.geometry.walk import pieces
from dtdsym.network.slice import Slice


def stays_inside(
    function: Slice, start: np.ndarray, gradient: tuple[Fraction, ...], end: np.ndarray, meter: Meter
) -> bool:
    """Whether every point of the segment but `end` is regular with the gradient at `start`, a regular point.

    On an open piece between two breakpoints no choice changes, so one midpoint speaks for the piece. Slopes of F_l on
    the pieces are asked first, since one that changes shows that the gradient does, and costs little."""
    times = _while_straight(function, start, end, meter)
    if times is None:
        return False
    return all(_gradient(function, start + t * (end - start), meter) == gradient for t in _probes(times))


def _while_straight(function: Slice, start: np.ndarray, end: np.ndarray, meter: Meter) -> list[Any] | None:
    """Where the pieces between start and end begin, and 1; None once F_l's slope is another one on one of them."""
    times, first = [], None
    for t, (slope, _) in pieces(function, start, end):
        meter.tick()
        first = slope if first is None else first
        if slope != first:
            return None
        times.append(t)
    return [*times, ONE]


def _gradient(function: Slice, point: np.ndarray, meter: Meter) -> Any:
    meter.tick()
    verdict = regularity(function, point, meter)
    return verdict.gradient if isinstance(verdict, Regular) else None


def _probes(times: list[Any]) -> Iterator[Any]:
    """A point of every piece, then the breakpoints, where more is to be done."""
    yield from ((before + after) / 2 for before, after in pairwise(times))
    yield from times[1:-1]
