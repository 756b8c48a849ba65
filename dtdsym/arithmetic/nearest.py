"""The point nearest to a centre where all rows are >= 0, in L1, L2 or L-infinity, exactly.

L1 and L-infinity are linear programs, L2 is a projection. In each the answer comes with multipliers y >= 0: the sum
h = sum_k y_k row_k, slopes g, is >= 0 where all rows are, so such a point is at least -h(centre) / |g|_* away, in the
dual norm |.|_*. For the nearest point that is its distance; g = 0 proves that there is no point at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import fmpq, fmpz

from dtdsym.arithmetic.closed import Forms, Infeasible, heights
from dtdsym.arithmetic.optimum import Unbounded, minimise
from dtdsym.arithmetic.projection import project
from dtdsym.arithmetic.rational import homogeneous_columns
from dtdsym.arithmetic.simplex import Row

NORMS = ("l1", "l2", "linf")


@dataclass(frozen=True)
class NearestPoint:
    """point (d,) and multipliers (m,) >= 0 of the rows. size: the distance in L1 and L-infinity, its square in L2."""

    point: tuple[fmpq, ...]
    size: fmpq
    multipliers: tuple[fmpq, ...]


def nearest(
    rows: Forms, centre: Sequence[Any], norm: str, deadline: Callable[[], None] | None = None
) -> NearestPoint | Infeasible:
    """The point with a.x + c >= 0 for all rows (a_1, ..., a_d, c) nearest to the centre (d,), or the proof of none.

    rows: integers, at least one. centre: rationals. norm: of NORMS. deadline: what it raises ends the search."""
    forms: list[Row] = [[fmpz(entry) for entry in row] for row in rows]
    *whole, common = homogeneous_columns(np.array([list(centre)], dtype=object)).entries()
    return (_projected if norm == "l2" else _programmed)(forms, whole, common, norm, deadline)


def sizes(rows: Forms, centre: Sequence[Any], norm: str) -> list[fmpq]:
    """For each row alone, how far away at least a point is where it is >= 0, as `NearestPoint.size`; 0 where there is
    none so far, and where the row has no slopes."""
    found = []
    for row, height in zip(rows, heights(rows, list(centre)), strict=True):
        slopes = [abs(fmpz(entry)) for entry in row[:-1]]
        dual = {"l1": max(slopes), "linf": sum(slopes, fmpz(0)), "l2": sum((a * a for a in slopes), fmpz(0))}[norm]
        far = height < 0 and dual != 0
        found.append((height * height if norm == "l2" else -height) / dual if far else fmpq(0))
    return found


def _projected(
    rows: list[Row], whole: list[fmpz], common: fmpz, _: str, deadline: Callable[[], None] | None
) -> NearestPoint | Infeasible:
    """With the centre as the origin."""
    moved = [[*(a * common for a in row[:-1]), _at(row, whole, common)] for row in rows]
    outcome = project(moved, deadline)
    multipliers = tuple(y * common for y in outcome.multipliers)
    if isinstance(outcome, Infeasible):
        return Infeasible(multipliers)
    point = tuple(fmpq(p, common) + x for p, x in zip(whole, outcome.point, strict=True))
    return NearestPoint(point, sum((x * x for x in outcome.point), fmpq(0)), multipliers)


def _at(row: Row, whole: list[fmpz], common: fmpz) -> fmpz:
    return sum((a * p for a, p in zip(row[:-1], whole, strict=True)), row[-1] * common)


def _programmed(
    rows: list[Row], whole: list[fmpz], common: fmpz, norm: str, deadline: Callable[[], None] | None
) -> NearestPoint | Infeasible:
    """Variables x, and bounds of the |x_i - p_i|: one for all of them (L-infinity), or one for each (L1)."""
    size = len(whole)
    more = size if norm == "l1" else 1
    program = [[*row[:-1], *[fmpz(0)] * more, row[-1]] for row in rows]
    for i, p in enumerate(whole):
        for sign in (1, -1):
            near = [fmpz(0)] * (size + more + 1)
            near[i], near[size + (i if norm == "l1" else 0)], near[-1] = sign * common, common, -sign * p
            program.append(near)
    objective = [*[fmpz(0)] * size, *[fmpz(1)] * more, fmpz(0)]
    outcome = minimise(objective, program, deadline)
    assert not isinstance(outcome, Unbounded), "distances are bounded below"
    if isinstance(outcome, Infeasible):
        return Infeasible(outcome.multipliers[: len(rows)])
    return NearestPoint(outcome.point[:size], outcome.value, outcome.multipliers[: len(rows)])
