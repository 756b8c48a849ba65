"""Whether a segment stays inside the linear region that it starts in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import ONE, ZERO
from dtdsym.geometry.budget import Meter
from dtdsym.geometry.regularity import Regular, regularity
from dtdsym.geometry.walk import breakpoints
from dtdsym.network.slice import Slice


def stays_inside(function: Slice, start: np.ndarray, end: np.ndarray, meter: Meter) -> bool:
    """Whether every point of the segment but `end` is regular with the gradient at `start`, a regular point.

    On an open piece between two breakpoints no choice changes, so one midpoint speaks for the piece."""
    gradient = _gradient(function, start, meter)
    return all(_gradient(function, point, meter) == gradient for point in _probes(function, start, end))


def _gradient(function: Slice, point: np.ndarray, meter: Meter) -> Any:
    meter.tick()
    verdict = regularity(function, point, meter)
    return verdict.gradient if isinstance(verdict, Regular) else None


def _probes(function: Slice, start: np.ndarray, end: np.ndarray) -> Iterator[np.ndarray]:
    before = ZERO
    for t in breakpoints(function, start, end):
        yield start + t * (end - start)
        yield start + (before + t) / 2 * (end - start)
        before = t
    yield start + (before + ONE) / 2 * (end - start)
