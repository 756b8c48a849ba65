"""The world of Z3's reals: values are linear terms, and every maximum is a fresh variable with what defines it.

A maximum y of two terms satisfies y >= left, y >= right, and y = left or y = right: a case split, and constraints that
hold before it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import z3

from dtdsym.arithmetic.expressions import Expressions
from dtdsym.arithmetic.rational import from_text, text


class Smt(Expressions):
    """Numpy object arrays of Z3 real terms; the last axis is a layer's width.

    fresh: how the names of the variables begin that stand for maxima; constraints: what defines those met so far.
    """

    def __init__(self, named: Mapping[int, np.ndarray] | None = None, *, fresh: str = "max") -> None:
        super().__init__(named)
        self.fresh, self.constraints = fresh, list[z3.BoolRef]()

    def number(self, value: Fraction) -> z3.ArithRef:
        """An exact number."""
        return numeral(value)

    def combination(self, factors: Sequence[Any], terms: Sequence[Any], constant: Any) -> z3.ArithRef:
        """sum_k factors_k terms_k + constant."""
        products = [self._lifted(factor) * term for factor, term in zip(factors, terms, strict=True)]
        return z3.Sum([*products, self._lifted(constant)])

    def greater(self, left: Any, right: Any) -> z3.ArithRef:
        """A fresh variable that is left or right, and not less than either."""
        found = z3.Real(f"{self.fresh}_{len(self.constraints)}")
        self.constraints.append(z3.And(found >= left, found >= right, z3.Or(found == left, found == right)))
        return found

    def holds(self, entry: Any) -> bool:
        """Whether an entry is a Z3 term."""
        return isinstance(entry, z3.ExprRef)


def numeral(value: Fraction) -> z3.RatNumRef:
    """An exact number as a Z3 real."""
    return z3.RealVal(text(value))


def fraction_of(term: z3.ExprRef) -> Fraction | None:
    """The rational number that a term is; None if it is none."""
    return from_text(term.as_string()) if z3.is_rational_value(term) or z3.is_int_value(term) else None
