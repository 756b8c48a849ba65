"""Vectors, neurons and layers of symbols, and one term of Definition 3 on them.

A vector is a tuple, of SymPy or of Z3 numbers alike. A ReLU is m z, with m = 1 where z > 0 and m = 0 where z < 0; with
symbols m all patterns are covered at once, since m is constant off the hinge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import sympy
import z3

from dtdsym.network.network import Network, sequential

Vector = Sequence[Any]


def vector(name: str, size: int) -> tuple[sympy.Symbol, ...]:
    """name1, name2, ...; a single one is name."""
    return tuple(sympy.Symbol(one) for one in _names(name, size))


def rows(name: str, outputs: int, inputs: int) -> tuple[tuple[sympy.Symbol, ...], ...]:
    """A matrix of symbols, row by row: name11, name12, ..."""
    return tuple(vector(f"{name}{j}", inputs) for j in range(1, outputs + 1))


def reals(name: str, size: int) -> tuple[Any, ...]:
    """The same as unknowns of Z3."""
    return tuple(z3.Real(one) for one in _names(name, size))


def unknown_rows(name: str, outputs: int, inputs: int) -> tuple[tuple[Any, ...], ...]:
    """A matrix of unknowns of Z3, row by row."""
    return tuple(reals(f"{name}{j}", inputs) for j in range(1, outputs + 1))


def dot(left: Vector, right: Vector) -> Any:
    """left . right."""
    return sum(u * v for u, v in zip(left, right, strict=True))


def times(left: Vector, right: Vector) -> tuple[Any, ...]:
    """left o right, entry by entry."""
    return tuple(u * v for u, v in zip(left, right, strict=True))


def scaled(factor: Any, of: Vector) -> tuple[Any, ...]:
    """factor times a vector."""
    return tuple(factor * entry for entry in of)


def minus(left: Vector, right: Vector) -> tuple[Any, ...]:
    """left - right."""
    return tuple(u - v for u, v in zip(left, right, strict=True))


def added(vectors: Iterable[Vector]) -> tuple[Any, ...]:
    """Their sum, entry by entry."""
    return tuple(sum(entries) for entries in zip(*vectors, strict=True))


def preactivations(weights: Sequence[Vector], bias: Vector, at: Vector) -> tuple[Any, ...]:
    """W a + b."""
    return tuple(dot(row, at) + b for row, b in zip(weights, bias, strict=True))


def patterns(size: int) -> list[tuple[int, ...]]:
    """All choices of 1 and 0."""
    return list(product((1, 0), repeat=size))


def relu(number: Any) -> Any:
    """[number]^+ for Z3."""
    return z3.If(number > 0, number, 0)


def put(expression: Any, variables: Vector, values: Vector) -> sympy.Expr:
    """The expression with values for its variables, all at once."""
    return sympy.sympify(expression).subs(dict(zip(variables, values, strict=True)), simultaneous=True)


def taylor_term(function: Any, at: Sequence[sympy.Symbol], root: Vector) -> tuple[sympy.Expr, ...]:
    """Definition 3's summand: the derivatives of a function by `at`, taken at the root, times (at - root)."""
    slopes = [put(sympy.diff(function, symbol), at, root) for symbol in at]
    return times(slopes, minus(at, root))


def affine_root(name: str, at: Sequence[sympy.Symbol]) -> tuple[sympy.Expr, ...]:
    """A root that is the general affine function of `at`, with symbols for its coefficients."""
    return tuple(
        sympy.Symbol(f"{name}{i}_0") + sum(sympy.Symbol(f"{name}{i}_{k}") * a for k, a in enumerate(at, start=1))
        for i in range(1, len(at) + 1)
    )


def written(numbers: Iterable[Any]) -> str:
    """Exact numbers for reading: (1/2, 3)."""
    return f"({', '.join(str(number) for number in numbers)})"


def network(*layers: tuple[Any, Any], final_relu: bool = True) -> Network:
    """dtdsym's exact network of layers (weights, biases)."""
    return sequential(*layers, final_relu=final_relu)


def whole(numbers: Sequence[Fraction]) -> tuple[list[int], int]:
    """Numbers times the least positive factor that makes them whole, and the factor."""
    factor = int(sympy.ilcm(1, 1, *(number.denominator for number in numbers)))
    return [int(factor * number) for number in numbers], factor


def _names(name: str, size: int) -> list[str]:
    return [f"{name}{i}" for i in range(1, size + 1)] if size > 1 else [name]
