"""The symbolic world: values are SymPy expressions, and maxima are nested Max."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy

from dtdsym.arithmetic.expressions import Expressions


class Symbolic(Expressions):
    """Numpy object arrays of SymPy expressions; the last axis is a layer's width."""

    def number(self, value: Fraction) -> sympy.Rational:
        """An exact number."""
        return sympy.Rational(value.numerator, value.denominator)

    def combination(self, factors: Sequence[Any], terms: Sequence[Any], constant: Any) -> sympy.Expr:
        """sum_k factors_k terms_k + constant, not expanded."""
        pairs = zip(factors, terms, strict=True)
        return sympy.Add(*(self._lifted(factor) * term for factor, term in pairs), self._lifted(constant))

    def greater(self, left: Any, right: Any) -> sympy.Expr:
        """Max(left, right)."""
        return sympy.Max(left, right)

    def holds(self, entry: Any) -> bool:
        """Whether an entry is a SymPy expression."""
        return isinstance(entry, sympy.Basic)


SYMBOLIC = Symbolic()
