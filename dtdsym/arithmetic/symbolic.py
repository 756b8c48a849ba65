"""The symbolic world: values are SymPy expressions, and maxima are nested Max."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from dtdsym.arithmetic.expressions import Expressions


class Symbolic(Expressions):
    """Numpy object arrays of SymPy expressions; the last axis is a layer's width.

    activation: what stands where the network has a ReLU; None for the ReLU itself."""

    def __init__(
        self,
        named: Mapping[int, np.ndarray] | None = None,
        activation: Callable[[sympy.Expr], Any] | None = None,
    ) -> None:
        super().__init__(named)
        self.activation = activation

    def number(self, value: Fraction) -> sympy.Rational:
        """An exact number."""
        return sympy.Rational(value.numerator, value.denominator)

    def combination(self, factors: Sequence[Any], terms: Sequence[Any], constant: Any) -> sympy.Expr:
        """sum_k factors_k terms_k + constant, not expanded."""
        pairs = zip(factors, terms, strict=True)
        return sympy.Add(*(self._lifted(factor) * term for factor, term in pairs), self._lifted(constant))

    def greater(self, left: Any, right: Any) -> sympy.Expr:
        """Max(left, right); SymPy's own search for what could be left out of a maximum takes longer than its use."""
        if left == right:
            return left
        return sympy.Max(left, right, evaluate=left.is_Number and right.is_Number)

    def relu(self, value: np.ndarray) -> np.ndarray:
        """max(value, 0), or what stands for it."""
        if self.activation is None:
            return super().relu(value)
        out = np.empty(value.shape, dtype=object)
        out.ravel()[:] = [sympy.sympify(self.activation(entry)) for entry in value.ravel()]
        return out

    def holds(self, entry: Any) -> bool:
        """Whether an entry is a SymPy expression."""
        return isinstance(entry, sympy.Basic)


SYMBOLIC = Symbolic()
