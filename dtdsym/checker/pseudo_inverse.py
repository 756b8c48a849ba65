"""The pseudo-inverse of a layer's matrix, in Fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from dtdsym.checker.layers import Layer

Vector = Sequence[Fraction]
ZERO = Fraction(0)


def pseudo_inverse(layer: Layer, share: Vector, size: int) -> list[Fraction]:
    """W^+ share: the shortest x that minimises |W x - share|; W = C F by rank, W^+ = F^T (F F^T)^-1 (C^T C)^-1 C^T."""
    matrix = [[ZERO] * size for _ in layer.rows]
    for row, (places, weights, _) in zip(matrix, layer.rows, strict=True):
        for i, w in zip(places, weights, strict=True):
            row[i] += Fraction(w, layer.scale)
    reduced, pivots = _echelon(matrix)
    if not pivots:
        return [ZERO] * size
    columns = [[row[p] for p in pivots] for row in matrix]
    first = _solve(_gram(list(zip(*columns, strict=True))), [_dot(c, share) for c in zip(*columns, strict=True)])
    second = _solve(_gram(reduced), first)
    return [_dot(column, second) for column in zip(*reduced, strict=True)]


def _dot(one: Any, other: Any) -> Fraction:
    return sum((x * y for x, y in zip(one, other, strict=True)), ZERO)


def _gram(rows: Sequence[Vector]) -> list[list[Fraction]]:
    return [[_dot(one, other) for other in rows] for one in rows]


def _echelon(matrix: Sequence[Vector]) -> tuple[list[list[Fraction]], list[int]]:
    """The rows of the reduced echelon form that are not 0, and their pivots."""
    rows = [list(row) for row in matrix]
    pivots: list[int] = []
    for column in range(len(rows[0])):
        done = len(pivots)
        chosen = next((k for k in range(done, len(rows)) if rows[k][column]), None)
        if chosen is None:
            continue
        rows[done], rows[chosen] = rows[chosen], rows[done]
        rows[done] = [x / rows[done][column] for x in rows[done]]
        for k, row in enumerate(rows):
            if k != done and row[column]:
                rows[k] = [x - row[column] * y for x, y in zip(row, rows[done], strict=True)]
        pivots.append(column)
    return rows[: len(pivots)], pivots


def _solve(matrix: Sequence[Vector], right: Vector) -> list[Fraction]:
    reduced, _ = _echelon([[*row, entry] for row, entry in zip(matrix, right, strict=True)])
    return [row[-1] for row in reduced]
