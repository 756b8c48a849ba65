"""Identities of rational functions, decided in the field of fractions of their symbols; nothing is simplified by luck.

What is no rational function (exp(z), a derivative of an unknown function) stands for itself, as one more symbol. So
what is equal here is equal wherever both sides are defined; maxima and cases have to be resolved before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy.polys.fields import sfield

UNRESOLVED = (sympy.Max, sympy.Min, sympy.Abs, sympy.Piecewise, sympy.Heaviside, sympy.sign)
Side = Any
"""An expression, a matrix, or a nested sequence of them."""


def entries(side: Side) -> list[sympy.Expr]:
    """The expressions of one side, in order."""
    if isinstance(side, sympy.MatrixBase):
        return [entry for row in side.tolist() for entry in row]
    if isinstance(side, list | tuple):
        return [entry for part in side for entry in entries(part)]
    return [sympy.sympify(side)]


def shape(side: Side) -> Any:
    """The shapes of one side, nested like it."""
    if isinstance(side, sympy.MatrixBase):
        return side.shape
    return [shape(part) for part in side] if isinstance(side, list | tuple) else ()


def identical(left: sympy.Expr, right: sympy.Expr) -> bool:
    """Whether two expressions are one rational function. Raises ValueError for maxima and cases."""
    for side in (left, right):
        if side.has(*UNRESOLVED):
            raise ValueError(f"{side} holds a maximum or cases; resolve them first, by a pattern")
        if side.has(sympy.nan, sympy.zoo, sympy.oo):
            raise ValueError(f"{side} is no number")
    _, (one, other) = sfield([left, right])
    return bool(one == other)


def differing(left: Side, right: Side) -> int | None:
    """The first place where two sides of one shape differ; None if they are identical. Raises ValueError."""
    if shape(left) != shape(right):
        raise ValueError(f"the sides have shapes {shape(left)} and {shape(right)}")
    pairs: Sequence[tuple[Any, Any]] = list(zip(entries(left), entries(right), strict=True))
    if not pairs:
        raise ValueError("there is nothing to compare")
    return next((place for place, pair in enumerate(pairs) if not identical(*pair)), None)
