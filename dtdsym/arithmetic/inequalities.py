"""Open polyhedra in many dimensions, cut by hyperplanes: inequalities and inner points, without any vertex.

Ten dimensions have too many vertices to list. Here a hyperplane is known to cut when inner points lie on both of its
sides: points that were met before, or that a ray from one of them reaches before it leaves. Otherwise an exact linear
program gives a point beyond, or the proof that there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flint import fmpq, fmpz, fmpz_mat

from dtdsym.arithmetic.germ import is_zero, primitive
from dtdsym.arithmetic.linear_program import Empty, Interior, interior
from dtdsym.arithmetic.polyhedron import Vector

MOST_POINTS = 24
"""Inner points that a part remembers."""


@dataclass(frozen=True, eq=False)
class Inequalities:
    """The open polyhedron of R^k where all walls (a_1, ..., a_k, c) have a.x + c > 0.

    points: inner points as integers (x_1 w, ..., x_k w, w), w > 0; at least one. tick: called before every linear
    program; what it raises ends the work."""

    walls: tuple[Vector, ...]
    points: tuple[Vector, ...]
    tick: Callable[[], None]

    @property
    def dimension(self) -> int:
        """k."""
        return len(self.points[0]) - 1

    @property
    def inner(self) -> Vector:
        """A point of the polyhedron, homogeneous."""
        return self.points[0]

    def divide(self, forms: Sequence[Sequence[Any]]) -> Iterator[tuple[Inequalities, tuple[int, ...]]]:
        """Its open parts on which no form (k + 1 integers) changes sign, each with the signs; 0: identically zero."""
        stack: list[tuple[Inequalities, tuple[int, ...]]] = [(self, ())]
        while stack:
            part, signs = stack.pop()
            if len(signs) == len(forms):
                yield part, signs
            else:
                stack.extend((half, (*signs, sign)) for half, sign in part._halves(forms[len(signs)]))

    def clip(self, forms: Sequence[Sequence[Any]]) -> Inequalities | None:
        """Its open part on which no form is negative; None if that has no inner points."""
        part = self
        for form in forms:
            halves = {sign: half for half, sign in part._halves(form)}
            found = halves.get(1, halves.get(0))
            if found is None:
                return None
            part = found
        return part

    def closure_holds(self, point: Vector) -> bool:
        """Whether a homogeneous point lies in the closed polyhedron."""
        return all(height >= 0 for (height,) in _values(self.walls, [point])) if self.walls else True

    @cached_property
    def facets(self) -> tuple[tuple[int, Vector], ...]:
        """Its facets: (number of the wall, a point of the facet's relative interior, homogeneous)."""
        found = []
        for number, row in enumerate(self.walls):
            others = [other for place, other in enumerate(self.walls) if place != number]
            match interior(others, row, deadline=self.tick):
                case Interior(point):
                    found.append((number, _homogeneous(point)))
                case Empty():
                    continue  # another cut made this one redundant
        return tuple(found)

    def _halves(self, form: Sequence[Any]) -> list[tuple[Inequalities, int]]:
        """The parts of one form: both halves, or the whole with its sign."""
        if is_zero(list(form[:-1])):
            return [(self, (form[-1] > 0) - (form[-1] < 0))]
        heights = _values([form], self.points)[0]
        sides = {sign: [p for p, h in zip(self.points, heights, strict=True) if h * sign > 0] for sign in (1, -1)}
        for sign, side in sides.items():
            if not side:
                beyond = self._beyond(form, sign, heights)
                if beyond is None:
                    return [(self, -sign)]
                side.append(beyond)
        return [(self._half(form, sign, side), sign) for sign, side in sides.items()]

    def _half(self, form: Sequence[Any], sign: int, points: list[Vector]) -> Inequalities:
        return Inequalities(
            (*self.walls, tuple(sign * entry for entry in form)), tuple(points[:MOST_POINTS]), self.tick
        )

    def _beyond(self, form: Sequence[Any], sign: int, heights: Sequence[Any]) -> Vector | None:
        """An inner point where the form has this sign, which none of the points has; None if there is none."""
        nearest = min(range(len(heights)), key=lambda n: abs(fmpq(heights[n], self.points[n][-1])))
        reached = self._shoot(self.points[nearest], form, sign, heights[nearest])
        if reached is not None:
            return reached
        match interior([*self.walls, tuple(sign * entry for entry in form)], deadline=self.tick):
            case Interior(point):
                return _homogeneous(point)
        return None

    def _shoot(self, point: Vector, form: Sequence[Any], sign: int, height: Any) -> Vector | None:
        """A point beyond the hyperplane on the straight way from an inner point across it, if the way is inside."""
        direction = (*(sign * entry for entry in form[:-1]), fmpz(0))
        columns = fmpz_mat([list(point), list(direction)]).transpose()
        rows = [list(row) for row in (*self.walls, tuple(sign * entry for entry in form))]
        *pairs, (own, rise) = (fmpz_mat(rows) * columns).tolist()
        first = fmpq(-own, rise)  # where the hyperplane is met, in units of direction / w
        ends = [fmpq(-start, fall) for start, fall in pairs if fall < 0]
        last = min(ends) if ends else first + max(abs(first), fmpq(1))
        if last <= first:
            return None
        step = _short(first, last)
        return primitive([step.q * x + step.p * d for x, d in zip(point, direction, strict=True)])


def _short(low: fmpq, high: fmpq) -> fmpq:
    """A number strictly between two, with a small power of two for its denominator."""
    bits = max(0, (1 / (high - low)).ceil().bit_length()) + 1
    return fmpq(((low + high) / 2 * (fmpz(1) << bits)).floor(), fmpz(1) << bits)


def _homogeneous(point: Sequence[Any]) -> Vector:
    common = fmpz(1)
    for entry in point:
        common = common.lcm(entry.q)
    return (*(entry.p * (common // entry.q) for entry in point), common)


def _values(forms: Sequence[Sequence[Any]], points: Sequence[Vector]) -> list[list[Any]]:
    """Every form at every point, times the point's last entry: (forms, points)."""
    columns = fmpz_mat([list(point) for point in points]).transpose()
    found: list[list[Any]] = (fmpz_mat([list(form) for form in forms]) * columns).tolist()
    return found


def whole_space(dimension: int, tick: Callable[[], None]) -> Inequalities:
    """All of R^k."""
    return Inequalities((), ((*[fmpz(0)] * dimension, fmpz(1)),), tick)
