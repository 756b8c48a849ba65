"""A closed box, as people give it: (low, high) for each coordinate, in numbers of any kind, read exactly."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from dtdsym.arithmetic.rational import fractions, text, vector
from dtdsym.arithmetic.written import counted
from dtdsym.errors import InputError, ShapeMismatch

Box = Iterable[Any]
"""(low, high) for each coordinate: pairs, or an array or tensor (n, 2)."""
Bounds = tuple[tuple[Fraction, Fraction], ...]


def exact_box(box: Box, dimension: int, *, points: bool = False) -> Bounds:
    """The box's exact bounds. points: whether a side may be a single point; such a box holds no open cell.

    Raises InputError for what is no box of this dimension, and for a side that is empty; NotExact."""
    try:
        sides = tuple(box)
    except TypeError as err:
        raise InputError(f"box {box!r:.70}: give (low, high) for each of {dimension} coordinates") from err
    if len(sides) != dimension:
        raise InputError(
            f"the box has {counted(len(sides), 'side')}; give {dimension}, (low, high) for each coordinate"
        )
    return tuple(_side(side, number, points) for number, side in enumerate(sides, start=1))


def _side(side: Any, number: int, points: bool) -> tuple[Fraction, Fraction]:
    try:
        low, high = fractions(vector(side, size=2, name=f"side {number} of the box"))
    except (ShapeMismatch, ValueError) as err:  # ValueError: numbers and sequences mixed, which numpy makes no array of
        raise InputError(f"side {number} of the box is {side!r:.70}; give (low, high), two numbers") from err
    if low > high:
        raise InputError(f"side {number} of the box is from {text(low)} to {text(high)}; give the lower bound first")
    if low == high and not points:
        raise InputError(
            f"side {number} of the box is the single point {text(low)}, so that the box holds no open cell; give a "
            "lower bound below the upper one"
        )
    return low, high
