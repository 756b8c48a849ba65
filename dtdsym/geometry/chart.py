"""Charts: the affine subspaces of a network's input space that regions are listed on, x = origin + t_1 b_1 + ... ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.germ import Germ, affine_forms
from dtdsym.arithmetic.linear_algebra import rank
from dtdsym.arithmetic.rational import RATIONAL, fractions, vector
from dtdsym.errors import InputError


@dataclass(frozen=True, eq=False)
class Chart:
    """x = origin + t basis: origin (in,), basis (k, in), one row a direction, linearly independent; exact.

    whole: it is the input space itself, t = x."""

    origin: np.ndarray
    basis: np.ndarray
    whole: bool = False

    @property
    def dimension(self) -> int:
        """k."""
        return len(self.basis)

    def forms(self) -> Germ:
        """The inputs as affine forms in t."""
        return affine_forms(self.origin, self.basis)

    @property
    def points(self) -> tuple[tuple[Fraction, ...], ...]:
        """k + 1 inputs that span it: at t = 0 and at every t = e_i."""
        return tuple(fractions(point) for point in (self.origin, *(self.origin + row for row in self.basis)))

    def at(self, t: Sequence[Any]) -> tuple[Fraction, ...]:
        """The input at t (k,)."""
        steps = vector(t, size=self.dimension, name="t")
        return fractions(self.origin + steps @ self.basis)


def whole_input(size: int) -> Chart:
    """The input space itself: t = x."""
    return Chart(RATIONAL.lift([0] * size), RATIONAL.lift(np.eye(size, dtype=int)), whole=True)


def through(points: Sequence[Any], size: int) -> Chart:
    """The line, plane, ... through k + 1 points (in,): t = 0 at the first, t = e_i at the one after the i-th.

    Raises InputError if they are too few or lie in a flat of lower dimension."""
    first, *others = (vector(point, size=size, name=f"point {number}") for number, point in enumerate(points, start=1))
    if not others:
        raise InputError("one point spans no line; give two points for a line, three for a plane")
    basis = np.array([other - first for other in others], dtype=object)
    if rank(basis) < len(others):
        raise InputError(f"the {len(points)} points lie in a flat of dimension below {len(others)}; move one of them")
    return Chart(first, basis)


def chart_of(points: Sequence[Any] | None, size: int) -> Chart:
    """The flat through these inputs (in,), or the input space where none are given."""
    return whole_input(size) if points is None else through(points, size)
