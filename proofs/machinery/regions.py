"""ReLU networks on one cell: weights, biases and masks are symbols, so that one identity speaks of all patterns.

A mask is 1 where its neuron's pre-activation is positive and 0 where it is negative: [z]+ = m z. It is constant on a
cell, so no derivative is taken of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from sympy import Matrix


def matrix(name: str, rows: int, columns: int) -> Matrix:
    """Symbols name11, name12, ..."""
    return Matrix(rows, columns, lambda i, j: sympy.Symbol(f"{name}{i + 1}{j + 1}"))


def column(name: str, size: int) -> Matrix:
    """Symbols name1, name2, ..., one below the other."""
    return Matrix(size, 1, lambda i, _: sympy.Symbol(f"{name}{i + 1}"))


def masks(name: str, widths: Sequence[int]) -> tuple[Matrix, ...]:
    """For each layer of a network of these widths the diagonal of its masks."""
    return tuple(column(f"{name}{number}_", size) for number, size in enumerate(widths[1:], start=1))


@dataclass(frozen=True)
class OnCell:
    """f_l(a) = D_l (W_l a + b_l) for l = 1, ..., n. weights: (d_{l+1}, d_l). biases, masks: (d_{l+1}, 1)."""

    weights: tuple[Matrix, ...]
    biases: tuple[Matrix, ...]
    masks: tuple[Matrix, ...]

    def through(self, point: Matrix) -> tuple[list[Matrix], list[Matrix]]:
        """z_1, ..., z_n and a_1, ..., a_{n+1} at a point (d_1, 1)."""
        z, a = [], [point]
        for weight, bias, mask in zip(self.weights, self.biases, self.masks, strict=True):
            z.append(weight * a[-1] + bias)
            a.append(mask.multiply_elementwise(z[-1]))
        return z, a

    def value(self, point: Matrix) -> sympy.Expr:
        """The one output."""
        (found,) = self.through(point)[1][-1]
        return found

    def jacobians(self) -> list[Matrix]:
        """J_l = D_l W_l."""
        pairs = zip(self.masks, self.weights, strict=True)
        return [sympy.diag(*mask) * weight for mask, weight in pairs]


def network(widths: Sequence[int], mask: str = "m") -> OnCell:
    """All networks of these widths, in all patterns."""
    sizes = list(zip(widths[1:], widths[:-1], strict=True))
    weights = tuple(matrix(f"w{number}_", *size) for number, size in enumerate(sizes, start=1))
    biases = tuple(column(f"b{number}_", rows) for number, (rows, _) in enumerate(sizes, start=1))
    return OnCell(weights, biases, masks(mask, widths))


def gradient(value: sympy.Expr, at: Matrix) -> Matrix:
    """The derivatives with respect to the symbols `at` (d, 1), as a column."""
    return Matrix([sympy.diff(value, symbol) for symbol in at])


def put(expression: sympy.Expr | Matrix, symbols: Matrix, point: Matrix) -> sympy.Expr | Matrix:
    """The expression with the point in place of the symbols."""
    return expression.subs(dict(zip(symbols, point, strict=True)), simultaneous=True)


def only(f: OnCell, number: int) -> OnCell:
    """f_l alone, l from 1."""
    here = slice(number - 1, number)
    return OnCell(f.weights[here], f.biases[here], f.masks[here])
