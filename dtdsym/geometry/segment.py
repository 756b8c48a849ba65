"""Walking a segment: the exact points where F_l's activation pattern may change between x and another point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dtdsym.arithmetic.germ import germ
from dtdsym.arithmetic.rational import ONE, ZERO
from dtdsym.geometry.budget import Meter
from dtdsym.geometry.cell import decisions, evaluate_germ
from dtdsym.geometry.regularity import Regular, regularity
from dtdsym.network.slice import Slice


def stays_inside(function: Slice, start: np.ndarray, end: np.ndarray, meter: Meter) -> bool:
    """Whether every point of the segment but `end` is regular with the gradient at `start`, a regular point.

    On an open piece between two breakpoints no choice changes, so one midpoint speaks for the piece."""
    gradient = _gradient(function, start, meter)
    return all(_gradient(function, point, meter) == gradient for point in _probes(function, start, end))


def breakpoints(function: Slice, start: np.ndarray, end: np.ndarray) -> Iterator[Any]:
    """Parameters 0 < t < 1, in order, where a neuron's pre-activation reaches zero, or an entry of a max-pool's window
    reaches the window's winner, on the way from start to end."""
    t, direction = ZERO, end - start
    while t < 1:
        first = germ(start + t * direction, direction)
        found = evaluate_germ(function, first)
        deciding = (decisions(function, node, found)[0] for node in function.bending)
        steps = [step for step in (germs.first_zero() for germs in deciding) if step is not None]
        t = t + min(steps, default=ONE)
        if t < 1:
            yield t


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
