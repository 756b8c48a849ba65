"""Systems of strict linear inequalities, decided exactly: a point inside, or multipliers that prove there is none.

HiGHS proposes a point or the rows of a proof, in floats; integers verify it. What fails goes to exact pivots from the
proposed basis. Nothing is returned that `check` has not accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flint import fmpz

from dtdsym.arithmetic.simplex import Empty, Interior

__all__ = ["Empty", "Interior", "check", "interior"]

Row = list[fmpz]
MANTISSA = 1000
"""Bits of an integer that are sure to fit a float's range."""
ITERATIONS = 500
"""Pivots that HiGHS makes between two looks at the clock."""


def interior(
    rows: Sequence[Sequence[Any]],
    equality: Sequence[Any] | None = None,
    deadline: Callable[[], None] | None = None,
) -> Interior | Empty:
    """A point x of R^d with a.x + c > 0 for all rows and a.x + c = 0 for the equality, or a proof that none exists.

    rows, equality: integers (a_1, ..., a_d, c) of any size. Without any form d is taken to be 0.
    deadline: called now and then; what it raises ends the search."""
    forms = [[fmpz(entry) for entry in row] for row in rows]
    plane = None if equality is None else [fmpz(entry) for entry in equality]
    pause = deadline or _no_deadline
    pause()
    outcome = _free(forms, pause) if plane is None else _on_plane(forms, plane, pause)
    check(forms, plane, outcome)
    return outcome
