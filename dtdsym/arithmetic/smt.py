"""The world of Z3's reals: values are linear terms, and maxima are if-then-else."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import z3

from dtdsym.arithmetic.expressions import Expressions
from dtdsym.arithmetic.rational import text


class Smt(Expressions):
    """Numpy object arrays of Z3 real terms; the last axis is a layer's width."""

    def number(self, value: Fraction) -> z3.ArithRef:
        """An exact number."""
        return z3.RealVal(text(value))

    def combination(self, factors: Sequence[Any], terms: Sequence[Any], constant: Any) -> z3.ArithRef:
        """sum_k factors_k terms_k + constant."""
        products = [self._lifted(factor) * term for factor, term in zip(factors, terms, strict=True)]
        return z3.Sum([*products, self._lifted(constant)])

    def greater(self, left: Any, right: Any) -> z3.ArithRef:
        """If left >= right then left, else right."""
        return z3.If(left >= right, left, right)

    def holds(self, entry: Any) -> bool:
        """Whether an entry is a Z3 term."""
        return isinstance(entry, z3.ExprRef)


SMT = Smt()
