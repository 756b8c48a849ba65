"""Taylor's theorem with its exact remainder, for SymPy expressions of any kind.

For f of class C^k on an open convex set that holds x and x~ (Folland 2002, Theorem 2.68):

    f(x) = sum_{|a| <= k} D^a f(x~) (x - x~)^a / a!
           + k sum_{|a| = k} (x - x~)^a / a! int_0^1 (1-t)^(k-1) [D^a f(t x + (1-t) x~) - D^a f(x~)] dt.

The derivative that is subtracted belongs at x~. Equation 2 of Sixt and Landgraf 2022 prints it at x, which is false:
for f = x^2, k = 1, x~ = 0, x = 1 the remainder is 1, and the printed one -1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any

import sympy

from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import InputError, OnHinge, ShapeMismatch
from dtdsym.lifts.values import exact_expressions, expression_of, is_listed

BENDING = (sympy.Max, sympy.Min, sympy.Abs, sympy.Piecewise, sympy.Heaviside, sympy.sign)


@dataclass(frozen=True, eq=False)
class Expansion:
    """function = polynomial + remainder, of order k around the root; see `taylor`."""

    function: sympy.Expr
    variables: tuple[sympy.Symbol, ...]
    root: tuple[sympy.Expr, ...]
    order: int

    @cached_property
    def terms(self) -> tuple[sympy.Expr, ...]:
        """The polynomial's terms of order 0, ..., k."""
        return tuple(self._summed(order, dict(self._rooted)) for order in range(self.order + 1))

    @cached_property
    def polynomial(self) -> sympy.Expr:
        """The Taylor polynomial, not expanded."""
        return sympy.Add(*self.terms)

    @cached_property
    def remainder(self) -> sympy.Expr:
        """The remainder in integral form, not evaluated; 0 where the derivatives of order k are constant."""
        t, k = sympy.Dummy("t", real=True), self.order
        between = {v: t * v + (1 - t) * r for v, r in self._rooted}
        parts = []
        for index, factor in self._monomials(k):
            derivative = self._derivative(index)
            change = derivative.xreplace(between) - derivative.xreplace(dict(self._rooted))
            if not _vanishes(change, t):
                parts.append(k * factor * sympy.Integral((1 - t) ** (k - 1) * change, (t, 0, 1)))
        return sympy.Add(*parts)

    @property
    def _rooted(self) -> list[tuple[sympy.Symbol, sympy.Expr]]:
        return list(zip(self.variables, self.root, strict=True))

    def _summed(self, order: int, at: dict[sympy.Symbol, sympy.Expr]) -> sympy.Expr:
        return sympy.Add(*(f * self._derivative(index).xreplace(at) for index, f in self._monomials(order)))

    def _derivative(self, index: tuple[int, ...]) -> sympy.Expr:
        """D^a f, the index as the numbers of the variables."""
        return sympy.diff(self.function, *(self.variables[place] for place in index)) if index else self.function

    def _monomials(self, order: int) -> Iterator[tuple[tuple[int, ...], sympy.Expr]]:
        """Every multi-index a with |a| = order, as the numbers of the variables, and (x - x~)^a / a!."""
        for index in combinations_with_replacement(range(len(self.variables)), order):
            factor = sympy.S.One
            for place in sorted(set(index)):
                power = index.count(place)
                variable, root = self.variables[place], self.root[place]
                factor *= (variable - root) ** power / sympy.factorial(power)
            yield index, factor


def taylor(function: Any, variables: Sequence[sympy.Symbol], root: Sequence[Any], order: int = 1) -> Expansion:
    """The expansion of order k >= 1 of a smooth expression around a root, whose entries are numbers (read exactly) or
    expressions; these may hold the variables too: a root that depends on the input.

    Raises InputError for another order, ShapeMismatch for another root, OnHinge for an expression with maxima or
    cases, whose derivatives do not exist everywhere."""
    expression, wanted = expression_of(function), whole_number(order)
    if wanted is None or wanted < 1:
        raise InputError(f"an expansion of order {order!r}; give a whole number from 1")
    if not is_listed(root):
        raise ShapeMismatch(f"the root is {root!r:.70}; give {len(variables)} entries, numbers or expressions")
    if len(root) != len(variables):
        raise ShapeMismatch(f"a root of {len(root)} entries for {len(variables)} variables; give one each")
    if expression.has(*BENDING):
        raise OnHinge(
            "the expression has maxima or cases, so no derivative everywhere; expand a piece, or a smooth twin"
        )
    return Expansion(expression, tuple(variables), tuple(exact_expressions(list(root))), wanted)


def _vanishes(change: sympy.Expr, t: sympy.Symbol) -> bool:
    """Whether a difference is certainly 0 for all t: as it stands, or as an expanded polynomial."""
    if change == 0:
        return True
    return bool(change.is_polynomial(*change.free_symbols | {t}) and sympy.expand(change) == 0)
