"""Systems of strict linear inequalities, decided exactly: a point inside, or multipliers that prove there is none.

HiGHS proposes a point or the rows of a proof, in floats; integers verify it. What fails goes to exact pivots from the
proposed basis. Nothing is returned that `check` has not accepted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import highspy
import numpy as np
from flint import fmpq, fmpz, fmpz_mat

from dtdsym.arithmetic.rational import homogeneous_columns
from dtdsym.arithmetic.simplex import Empty, Interior, Row, System, solve

__all__ = ["Empty", "Interior", "check", "interior"]

FLOAT_BITS = 1000
"""Integers of so many bits are sure to fit a float's range."""
BEYOND = 2**20
"""Above every exponent met here."""
OPTIONS = {
    "output_flag": False,
    "threads": 1,
    "solver": "simplex",
    "presolve": "off",
    "simplex_scale_strategy": 0,
    "simplex_iteration_limit": 500,  # between two looks at the clock
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}


def interior(
    rows: Sequence[Sequence[Any]],
    equality: Sequence[Any] | None = None,
    deadline: Callable[[], None] | None = None,
) -> Interior | Empty:
    """A point x of R^d with a.x + c > 0 for all rows and a.x + c = 0 for the equality, or a proof that there is none.

    rows, equality: integers (a_1, ..., a_d, c) of any size. Without any of them d is taken to be 0.
    deadline: called now and then; what it raises ends the search."""
    plane = None if equality is None else [fmpz(entry) for entry in equality]
    forms: list[Row] = fmpz_mat([list(row) for row in rows]).tolist() if rows else []
    outcome = _outcome(forms, plane, deadline or _no_deadline)
    check(rows, equality, outcome)
    return outcome


def check(rows: Sequence[Sequence[Any]], equality: Sequence[Any] | None, outcome: Interior | Empty) -> None:
    """Accept iff the outcome holds for these forms, exactly. Raises ArithmeticError with the law that is broken."""
    forms = [*rows] if equality is None else [*rows, equality]
    match outcome:
        case Interior(point):
            _check_point(forms, len(rows), point)
        case Empty(multipliers, equality_multiplier):
            if equality is None and equality_multiplier != 0:
                raise ArithmeticError(f"the equality's multiplier is {equality_multiplier}, but there is no equality")
            factors = multipliers if equality is None else (*multipliers, equality_multiplier)
            _check_multipliers(forms, len(rows), factors)


def _check_point(forms: list[Sequence[Any]], count: int, point: Sequence[fmpq]) -> None:
    if any(len(form) != len(point) + 1 for form in forms):
        raise ArithmeticError(f"the point has {len(point)} entries, expected one fewer than each form")
    column = homogeneous_columns(np.array([point], dtype=object))
    heights = (fmpz_mat([list(form) for form in forms]) * column).entries() if forms else []
    for k, height in enumerate(heights):
        if k < count and not height > 0:
            raise ArithmeticError(f"row {k} is {fmpq(height, column[len(point), 0])} at the point, expected > 0")
        if k == count and height != 0:
            raise ArithmeticError(f"the equality is {fmpq(height, column[len(point), 0])} at the point, expected 0")


def _check_multipliers(forms: list[Sequence[Any]], count: int, factors: Sequence[fmpq]) -> None:
    if len(factors) != len(forms):
        raise ArithmeticError(f"{len(factors)} multipliers for {len(forms)} forms")
    for k, y in enumerate(factors[:count]):
        if not y >= 0:
            raise ArithmeticError(f"multiplier {k} is {y}, expected >= 0")
    used = [k for k, y in enumerate(factors) if y != 0]
    if not used:
        raise ArithmeticError("all multipliers are 0: they prove nothing")
    *whole, _ = homogeneous_columns(np.array([[factors[k] for k in used]], dtype=object)).entries()
    *slopes, constant = (fmpz_mat([whole]) * fmpz_mat([list(forms[k]) for k in used])).entries()
    if any(slopes):
        raise ArithmeticError(f"the rows add up to slopes in proportion to {slopes}, expected zeros")
    if not (constant < 0 or (constant == 0 and used[0] < count)):
        raise ArithmeticError(f"the rows add up to {constant}, expected < 0, or 0 with some row's multiplier above 0")


def _no_deadline() -> None:
    """Takes all the time it needs."""


def _outcome(rows: list[Row], plane: Row | None, pause: Callable[[], None]) -> Interior | Empty:
    """Forms whose slopes are all zero are settled here."""
    none = (fmpq(0),) * len(rows)
    if plane is not None and not any(plane[:-1]):
        if plane[-1] != 0:
            return Empty(none, fmpq(-1 if plane[-1] > 0 else 1))
        return _outcome(rows or [[*plane[:-1], fmpz(1)]], None, pause)
    kept = []
    for k, row in enumerate(rows):
        if any(row[:-1]):
            kept.append(k)
        elif row[-1] <= 0:
            return Empty((*none[:k], fmpq(1), *none[k + 1 :]), fmpq(0))
    if not kept:
        return Interior(_on_plane(plane, none_of_all))
