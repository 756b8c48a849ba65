"""The way back: the value of an expression, exactly, in Fractions or in any other exact numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import sympy

from dtdsym.arithmetic.rational import fraction
from dtdsym.arithmetic.symbolic import SYMBOLIC
from dtdsym.errors import InputError, NotExact, OnHinge


def exactly(expression: Any, values: Mapping[sympy.Symbol, Any]) -> Fraction:
    """The rational value of an expression, given those of its symbols (read exactly).

    It may hold sums, products, whole powers, maxima, minima, magnitudes, steps off 0, and cases.
    Raises NotExact for anything else, InputError for a symbol without a value and where no case holds, OnHinge for a
    step at 0."""
    known = {symbol: fraction(_plain(value)) for symbol, value in values.items()}
    return fraction(evaluated([expression_of(expression)], known)[0])


def expression_of(value: Any) -> sympy.Basic:
    """The expression that a value is; numbers as they stand. Raises InputError for what is none, text among it."""
    try:
        return sympy.sympify(_plain(value), strict=True)
    except (sympy.SympifyError, TypeError, ValueError) as err:
        raise InputError(f"{value!r:.70} is no expression of SymPy; give one, or a number") from err


def evaluated(expressions: Sequence[sympy.Basic], values: Mapping[sympy.Symbol, Any]) -> list[Any]:
    """The values of several expressions; what they share is evaluated once. values: anything that has the operators of
    an ordered field, with Fractions too."""
    known: dict[sympy.Basic, Any] = dict(values)
    return [_value(expression, known) for expression in expressions]


def exact_expressions(numbers: Any) -> Any:
    """Expressions and numbers, nested, as an object array of expressions; numbers are read exactly."""
    return SYMBOLIC.lift(numbers)


def is_listed(value: Any) -> bool:
    """Whether it is a sequence of entries, not one entry and not text."""
    return hasattr(value, "__len__") and not isinstance(value, str)


def _plain(value: Any) -> Any:
    if isinstance(value, sympy.Rational):
        return Fraction(int(value.p), int(value.q))
    return value


def _value(expression: sympy.Basic, known: dict[sympy.Basic, Any]) -> Any:
    if expression not in known:
        known[expression] = _computed(expression, known)
    return known[expression]


def _computed(expression: sympy.Basic, known: dict[sympy.Basic, Any]) -> Any:
    match expression:
        case sympy.Rational():
            return _plain(expression)
        case sympy.Symbol():
            raise InputError(f"{expression} has no value; give one for every symbol of the expression")
        case sympy.Piecewise():
            return _case(expression, known)
        case sympy.logic.boolalg.BooleanAtom():
            return bool(expression)
        case sympy.And():
            return all(_value(part, known) for part in expression.args)
        case sympy.Or():
            return any(_value(part, known) for part in expression.args)
        case sympy.core.relational.Relational():
            return _compared(expression, known)
    return _combined(expression, [_value(part, known) for part in expression.args])


def _case(expression: sympy.Piecewise, known: dict[sympy.Basic, Any]) -> Any:
    for value, condition in expression.args:
        if _value(condition, known):
            return _value(value, known)
    raise InputError("none of the expression's cases holds here: a point on a hinge, or outside the box")


def _compared(expression: Any, known: dict[sympy.Basic, Any]) -> bool:
    left, right = (_value(part, known) for part in expression.args)
    match expression:
        case sympy.StrictGreaterThan():
            return bool(left > right)
        case sympy.GreaterThan():
            return bool(left >= right)
        case sympy.StrictLessThan():
            return bool(left < right)
        case sympy.LessThan():
            return bool(left <= right)
    raise NotExact(f"{expression}: conditions are inequalities; expected one of > >= < <=")


def _combined(expression: sympy.Basic, parts: list[Any]) -> Any:
    match expression:
        case sympy.Add():
            return reduce(lambda left, right: left + right, parts)
        case sympy.Mul():
            return reduce(lambda left, right: left * right, parts)
        case sympy.Pow() if isinstance(expression.exp, sympy.Integer):
            return _power(expression, parts[0], int(expression.exp))
        case sympy.Max():
            return reduce(lambda left, right: left if left >= right else right, parts)
        case sympy.Min():
            return reduce(lambda left, right: left if left <= right else right, parts)
        case sympy.Abs():
            return abs(parts[0])
        case sympy.Heaviside() | sympy.sign():
            if parts[0] == 0:
                raise OnHinge(f"{expression.func} at 0: there is no derivative at this point")
            return Fraction(int(bool(parts[0] > 0))) if isinstance(expression, sympy.Heaviside) else _sign(parts[0])
    raise NotExact(f"{expression.func} has no rational value: expected sums, products, whole powers, maxima and cases")


def _power(expression: sympy.Pow, base: Any, exponent: int) -> Any:
    if exponent >= 0:
        return base**exponent
    if isinstance(base, Fraction) and base == 0:
        raise NotExact(f"{expression.base} is 0 here, and the expression divides by it")
    return 1 / base**-exponent


def _sign(value: Any) -> Fraction:
    return Fraction(1 if value > 0 else -1)
