"""Identities of rational functions, decided in the field of fractions of their symbols; nothing is simplified by luck.

What is no rational function (exp(z), a derivative of an unknown function) stands for itself, as one more symbol. So
what is equal here is equal wherever both sides are defined; maxima and cases have to be resolved before.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import sympy
from sympy.polys.fields import FracField
from sympy.polys.rings import PolyRing

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
    """Whether two expressions are one rational function. Raises ValueError for maxima and cases, and
    ZeroDivisionError for what is divided by a denominator that is 0 everywhere."""
    for side in (left, right):
        if side.has(*UNRESOLVED):
            raise ValueError(f"{side} holds a maximum or cases; resolve them first, by a pattern")
        if any(not symbol.is_commutative for symbol in side.free_symbols) or not side.is_commutative:
            raise ValueError(f"{side} does not commute")
        if side.has(sympy.nan, sympy.zoo, sympy.oo, sympy.Float):
            raise ValueError(f"{side} is no exact number")
    generators = sorted(_generators(left) | _generators(right), key=sympy.default_sort_key)
    divides = any(_divides(side) for side in (left, right))
    numbers = (FracField if divides else PolyRing)([f"g{k}" for k in range(len(generators))] or ["g"], sympy.QQ)
    known = dict(zip(generators, numbers.gens, strict=False))
    one, other = (_element(side, known, numbers) for side in (left, right))
    return bool(one == other)


def _generators(expression: sympy.Expr) -> set[sympy.Expr]:
    """What is neither a sum, nor a product, nor an integer power, nor rational."""
    if expression.is_Add or expression.is_Mul:
        return set().union(*map(_generators, expression.args))
    if expression.is_Pow and expression.exp.is_Integer:
        return _generators(expression.base)
    return set() if expression.is_Rational else {expression}


def _divides(expression: sympy.Expr) -> bool:
    return any(power.exp.is_Integer and power.exp < 0 for power in expression.atoms(sympy.Pow))


def _element(expression: sympy.Expr, known: dict[sympy.Expr, Any], numbers: Any) -> Any:
    """The expression as an element of a ring or field; every division is by what is not 0."""
    if expression in known:
        return known[expression]
    if expression.is_Add:
        return sum((_element(part, known, numbers) for part in expression.args), numbers.zero)
    if expression.is_Mul:
        return prod((_element(part, known, numbers) for part in expression.args), start=numbers.one)
    if expression.is_Pow:
        return _element(expression.base, known, numbers) ** int(expression.exp)
    return numbers(sympy.QQ(int(expression.p), int(expression.q)))


def differing(left: Side, right: Side) -> int | None:
    """The first place where two sides of one shape differ; None if they are identical. Raises ValueError."""
    if shape(left) != shape(right):
        raise ValueError(f"the sides have shapes {shape(left)} and {shape(right)}")
    pairs: Sequence[tuple[Any, Any]] = list(zip(entries(left), entries(right), strict=True))
    if not pairs:
        raise ValueError("there is nothing to compare")
    return next((place for place, pair in enumerate(pairs) if not identical(*pair)), None)
