"""Walking a segment: the exact points where F_l's choices change between x and another point, and F_l in between."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.germ import germ_along
from dtdsym.arithmetic.rational import ONE, ZERO, fractions, vector
from dtdsym.errors import InputError
from dtdsym.geometry.budget import Budget, Meter
from dtdsym.geometry.cell import decisions, evaluate_germ
from dtdsym.geometry.line import as_chain, walk_chain
from dtdsym.network.network import Network
from dtdsym.network.slice import Slice, slice_at


@dataclass(frozen=True)
class Walk:
    """F_l along start + t (end - start), 0 <= t <= 1.

    times: where a neuron's pre-activation reaches or leaves zero, or another entry of a max-pool's window becomes the
    greatest, 0 < t < 1, in order. slopes, values: on piece i, from times[i - 1] to times[i], F_l is values[i] +
    slopes[i] t; one more than times.
    """

    times: tuple[Fraction, ...]
    slopes: tuple[Fraction, ...]
    values: tuple[Fraction, ...]

    def __call__(self, t: Any) -> Fraction:
        """F_l at t, exact. Raises InputError outside 0 to 1."""
        at = self._time(t)
        piece = bisect_right(self.times, at)
        return self.values[piece] + self.slopes[piece] * at

    def residual(self, t: Any) -> Fraction:
        """What the Taylor expansion at the start misses at t: F_l there, less the first piece's line."""
        at = self._time(t)
        return self(at) - (self.values[0] + self.slopes[0] * at)

    @cached_property
    def residuals(self) -> tuple[Fraction, ...]:
        """The residual at 0, at every breakpoint and at 1: straight lines between them."""
        return tuple(self.residual(t) for t in (Fraction(0), *self.times, Fraction(1)))

    @staticmethod
    def _time(t: Any) -> Fraction:
        (at,) = fractions(vector([t], size=1, name="t"))
        if not 0 <= at <= 1:
            raise InputError(f"t = {t}; the walk goes from t = 0 to t = 1")
        return at


def walk(
    network: Network, x: Sequence[Any], other: Sequence[Any], *, logit: int = 0, layer: int = 1,
    budget: Budget | None = None,
) -> Walk:  # fmt: skip
    """F_l of one logit along the segment from a_l, the input of layer l when the network is given x, to `other`.

    Raises BudgetSpent (each breakpoint counts as a cell), ShapeMismatch, NotExact."""
    function, a = slice_at(network, x, logit=logit, layer=layer)
    meter = Budget.of(budget).start()
    return walk_slice(function, a, vector(other, size=function.size, name="other"), meter)


def walk_slice(function: Slice, start: np.ndarray, end: np.ndarray, meter: Meter) -> Walk:
    """The walk from one exact point (size,) to another."""
    chain = as_chain(function)
    found = walk_chain(chain, start, end, meter) if chain else walk_pieces(function, start, end, meter)
    times, forms = found
    slopes, values = zip(*(fractions(np.array(form, dtype=object)) for form in forms), strict=True)
    return Walk(fractions(np.array(times, dtype=object)), slopes, values)


def walk_pieces(function: Slice, start: np.ndarray, end: np.ndarray, meter: Meter) -> tuple[list[Any], list[Any]]:
    """Breakpoints, and F_l's (slope, value) on every piece, by one exact forward pass a piece: for any network."""
    times: list[Any] = []
    forms = []
    for t, form in pieces(function, start, end):
        if t > 0:
            meter.enter_cell()
            times.append(t)
        forms.append(form)
    return times, forms


def breakpoints(function: Slice, start: np.ndarray, end: np.ndarray) -> Iterator[Any]:
    """Parameters 0 < t < 1, in order, where a neuron's pre-activation reaches zero, or an entry of a max-pool's window
    reaches the window's winner, on the way from start to end; one by one, for who may stop early."""
    return (t for t, _ in pieces(function, start, end) if t > 0)


def pieces(function: Slice, start: np.ndarray, end: np.ndarray) -> Iterator[tuple[Any, tuple[Any, Any]]]:
    """(where it begins, F_l's (slope, value) on it) of every piece, one by one."""
    t, direction = ZERO, end - start
    while t < 1:
        first = germ_along(start + t * direction, direction)
        found = evaluate_germ(function, first)
        value, slope = found[len(function.network.nodes) - 1].along(0)
        yield t, (slope, value - slope * t)
        deciding = (decisions(function, node, found)[0] for node in function.bending)
        steps = [step for step in (germs.first_zero() for germs in deciding) if step is not None]
        t = t + min(steps, default=ONE)
