"""Which cells share a facet: the edges of an arrangement's graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dtdsym.arithmetic.germ import primitive
from dtdsym.arithmetic.inequalities import Inequalities
from dtdsym.arithmetic.polyhedron import Polyhedron, Vector


@dataclass(frozen=True)
class Facet:
    """A facet of cell `cell`, on hyperplane number `wall` of its domain.

    beyond: the cell on its other side, None where that is outside what was listed."""

    cell: int
    wall: int
    beyond: int | None


def shared_facets(domains: Sequence[Polyhedron | Inequalities]) -> Iterator[Facet]:
    """Each facet of the cells of one polyhedral complex once, from the side of one of its cells."""
    return _by_points(domains) if isinstance(domains[0], Inequalities) else _by_rays(domains)


def _by_rays(polyhedra: Sequence[Any]) -> Iterator[Facet]:
    """Facets are one if their rays are, modulo the lines, which all cells have in common: a hinge beyond which another
    depends on a direction depends on that direction itself, by continuity."""
    waiting: dict[frozenset[Vector], tuple[int, int]] = {}
    lines = _echelon(polyhedra[0].lines)
    for number, polyhedron in enumerate(polyhedra):
        rays = [_modulo(ray, lines) for ray in polyhedron.rays] if lines else polyhedron.rays
        for wall, on in polyhedron.facets:
            key = frozenset(rays[ray] for ray in on)
            other = waiting.pop(key, None)
            if other is None:
                waiting[key] = (number, wall)
            else:
                yield Facet(*other, number)
    for cell, wall in waiting.values():
        yield Facet(cell, wall, None)


def _by_points(domains: Sequence[Any]) -> Iterator[Facet]:
    """The cell beyond a facet is the one whose closure holds a point of its relative interior too; the choice that
    tells the two apart at the lowest node has one form on both, so that one has the same hyperplane, reversed."""
    sides: dict[Vector, list[int]] = {}
    for number, domain in enumerate(domains):
        for row in domain.walls:
            sides.setdefault(primitive(list(row)), []).append(number)
    for number, domain in enumerate(domains):
        for wall, point in domain.facets:
            others = sides.get(primitive([-entry for entry in domain.walls[wall]]), ())
            beyond = next((other for other in others if domains[other].closure_holds(point)), None)
            if beyond is None or number < beyond:
                yield Facet(number, wall, beyond)


def _echelon(lines: Iterable[Vector]) -> list[tuple[int, Vector]]:
    """A basis of the same space, each vector with the place of its pivot, where all others are zero."""
    found: list[tuple[int, Vector]] = []
    for line in lines:
        reduced = _modulo(line, found)
        pivot = next(place for place, entry in enumerate(reduced) if entry != 0)
        found = [(place, _without(other, pivot, reduced)) for place, other in found]
        found.append((pivot, reduced))
    return found


def _modulo(ray: Vector, lines: list[tuple[int, Vector]]) -> Vector:
    """The ray moved along the lines until it is zero at their pivots."""
    for pivot, line in lines:
        ray = _without(ray, pivot, line)
    return ray


def _without(ray: Vector, pivot: int, line: Vector) -> Vector:
    """A positive multiple of ray + (a multiple of line) that is zero at the pivot; without common divisors."""
    size: Any = abs(line[pivot])
    step = ray[pivot] if line[pivot] > 0 else -ray[pivot]
    return primitive([size * a - step * b for a, b in zip(ray, line, strict=True)])
