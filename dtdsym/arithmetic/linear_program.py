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
from dtdsym.arithmetic.simplex import Empty, Interior, System, solve

__all__ = ["Empty", "Interior", "check", "interior"]

Row = list[fmpz]
FLOAT_BITS = 1000
"""Integers of so many bits are sure to fit a float's range."""
ITERATIONS = 500
"""Pivots that HiGHS makes between two looks at the clock."""
OPTIONS = {
    "output_flag": False,
    "threads": 1,
    "solver": "simplex",
    "presolve": "off",
    "simplex_scale_strategy": 0,
    "simplex_iteration_limit": ITERATIONS,
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
    forms = [[fmpz(entry) for entry in row] for row in rows]
    plane = None if equality is None else [fmpz(entry) for entry in equality]
    pause = deadline or _no_deadline
    pause()
    if plane is None:
        outcome = _free(forms, len(forms[0]) - 1 if forms else 0, pause)
    else:
        outcome = _on_plane(forms, plane, pause)
    check(forms, plane, outcome)
    return outcome


def check(rows: Sequence[Sequence[Any]], equality: Sequence[Any] | None, outcome: Interior | Empty) -> None:
    """Accept iff the outcome holds for these forms, exactly. Raises ArithmeticError with the law that is broken."""
    plane = [] if equality is None else [equality]
    match outcome:
        case Interior(point):
            heights = _heights([*rows, *plane], point)
            for k, height in enumerate(heights[: len(rows)]):
                if not height > 0:
                    raise ArithmeticError(f"row {k} is {height} / {_denominator(point)} at the point, expected > 0")
            if any(heights[len(rows) :]):
                raise ArithmeticError(f"the equality is {heights[-1]} / {_denominator(point)} at the point, expected 0")
        case Empty(multipliers, equality_multiplier):
            if equality is None and equality_multiplier != 0:
                raise ArithmeticError(f"equality multiplier {equality_multiplier} without an equality, expected 0")
            for k, y in enumerate(multipliers):
                if not y >= 0:
                    raise ArithmeticError(f"multiplier {k} is {y}, expected >= 0")
            factors = [*multipliers, equality_multiplier][: len(rows) + len(plane)]
            *slopes, constant = _combination([*rows, *plane], factors) or [0]
            if any(slopes):
                raise ArithmeticError(f"the rows add up to slopes {slopes}, expected zeros")
            if not (constant < 0 or (constant == 0 and any(multipliers))):
                raise ArithmeticError(f"the rows add up to {constant}, expected < 0, or 0 and a positive multiplier")


def _no_deadline() -> None:
    """Takes all the time it needs."""


def _on_plane(rows: list[Row], plane: Row, pause: Callable[[], None]) -> Interior | Empty:
    """With an equality: one variable is eliminated, that of its largest coefficient."""
    size = len(plane) - 1
    pivot = max(range(size), key=lambda j: abs(plane[j]), default=0)
    if not any(plane[:-1]):
        if plane[-1] == 0:
            return _free(rows, size, pause)
        return Empty((fmpq(0),) * len(rows), fmpq(-1 if plane[-1] > 0 else 1))
    lead = plane[pivot]
    match _free(_eliminated(rows, plane, pivot), size - 1, pause):
        case Interior(point):
            rest = [*plane[:pivot], *plane[pivot + 1 : -1]]
            value = sum((entry * x for entry, x in zip(rest, point, strict=True)), fmpq(plane[-1]))
            return Interior((*point[:pivot], -value / lead, *point[pivot:]))
        case Empty(multipliers, _):
            slope = sum((y * row[pivot] for y, row in zip(multipliers, rows, strict=True)), fmpq(0))
            return Empty(multipliers, -slope / lead)


def _eliminated(rows: list[Row], plane: Row, pivot: int) -> list[Row]:
    """The rows without variable `pivot`: |e| row - sign(e) row[pivot] plane, e the plane's coefficient there."""
    if not rows:
        return []
    lead = plane[pivot]
    column = fmpz_mat([[row[pivot] if lead > 0 else -row[pivot]] for row in rows])
    reduced: list[Row] = (abs(lead) * fmpz_mat(rows) - column * fmpz_mat([plane])).tolist()
    return [row[:pivot] + row[pivot + 1 :] for row in reduced]


def _free(rows: list[Row], size: int, pause: Callable[[], None]) -> Interior | Empty:
    """Without an equality. Rows that are constant are settled here."""
    kept = []
    for k, row in enumerate(rows):
        if any(row[:-1]):
            kept.append(k)
        elif row[-1] <= 0:
            return Empty(tuple(fmpq(i == k) for i in range(len(rows))), fmpq(0))
    if not kept:
        return Interior((fmpq(0),) * size)
    system = _system([rows[k] for k in kept])
    match _on_line(system.rows) if size == 1 else _decided(system, pause):
        case Interior(point):
            return Interior(_shortened(system, point))
        case Empty(multipliers, _):
            found = dict(zip(kept, multipliers, strict=True))
            return Empty(tuple(found.get(k, fmpq(0)) for k in range(len(rows))), fmpq(0))


def _system(rows: list[Row]) -> System:
    """The rows, weighted by the least power of two above their coefficients."""
    return System(rows, [fmpz(1) << max(entry.bit_length() for entry in row[:-1]) for row in rows])


def _on_line(rows: list[Row]) -> Interior | Empty:
    """d = 1: the least upper and the greatest lower bound decide."""
    bounds = [(fmpq(-c, a), k) for k, (a, c) in enumerate(rows)]
    low, i = max((bound for bound in bounds if rows[bound[1]][0] > 0), default=(None, None))
    high, j = min((bound for bound in bounds if rows[bound[1]][0] < 0), default=(None, None))
    if low is None or high is None:
        return Interior((high - 1 if low is None else low + 1,))
    if low < high:
        return Interior(((low + high) / 2,))
    shares = {i: fmpq(-rows[j][0]), j: fmpq(rows[i][0])}
    return Empty(tuple(shares.get(k, fmpq(0)) for k in range(len(rows))), fmpq(0))


def _decided(system: System, pause: Callable[[], None]) -> Interior | Empty:
    """Floats propose a point, or a basis; exact pivots go on from there if need be."""
    point, support = _proposed(system, pause)
    if point is not None and all(height > 0 for height in system.heights(point)[0]):
        return Interior(tuple(point))
    return solve(system, support, pause)


def _shortened(system: System, point: Sequence[fmpq]) -> tuple[fmpq, ...]:
    """The point rounded to multiples of a power of two that is small enough to stay inside.

    A step of at most 1/2^(q+1) in each variable moves row i by less than d w_i / 2^q."""
    heights, denominator = system.heights(point)
    inverse_margin = max(
        fmpq(system.size * denominator * w, height) for w, height in zip(system.weights, heights, strict=True)
    )
    grid = fmpz(1) << inverse_margin.floor().bit_length()
    return tuple(fmpq((x * grid + fmpq(1, 2)).floor(), grid) for x in point)


_LOCAL = threading.local()


def _solver() -> Any:
    """This thread's HiGHS."""
    if not hasattr(_LOCAL, "solver"):
        _LOCAL.solver = highspy.Highs()
        for name, value in OPTIONS.items():
            _LOCAL.solver.setOptionValue(name, value)
    return _LOCAL.solver


def _proposed(system: System, pause: Callable[[], None]) -> tuple[list[fmpq] | None, list[int]]:
    """HiGHS on max t, a.x + c >= t, t <= 1, in scaled floats: a point (d,) or None, and the rows of its basis."""
    scaled, exponents = _scaled(system.rows)
    solver = _solver()
    solver.passModel(*_model(scaled))
    solver.run()
    while solver.getModelStatus() == highspy.HighsModelStatus.kIterationLimit:
        pause()
        solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None, []
    values = np.array(solver.getSolution().col_value[:-1])
    basic = {int(-1 - variable) for variable in solver.getBasicVariables()[1] if variable < 0}
    support = [k for k in range(len(system.rows)) if k not in basic]
    if not np.isfinite(values).all():
        return None, support
    point = [fmpq(*x.as_integer_ratio()) * fmpq(2) ** int(e) for x, e in zip(values.tolist(), exponents, strict=True)]
    return point, support


def _scaled(rows: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Floats (m, d + 1) near the rows, all rows and columns multiplied by powers of two so that entries are near 1, and
    the exponents (d,) that lead back: x_j is the scaled variable times 2 ** exponent_j."""
    mantissas, exponents = np.frexp([_floats(row) for row in rows])
    known = mantissas != 0
    columns = np.zeros(exponents.shape[1], dtype=int)
    for _ in range(3):
        heights = _middle(exponents - columns, known, axis=1)
        columns = _middle(exponents - heights[:, None], known, axis=0)
    scaled = exponents - columns
    scaled = scaled - scaled.max(axis=1, where=known, initial=-(2**20))[:, None]
    return np.ldexp(mantissas, scaled), columns[-1] - columns[:-1]


def _middle(exponents: np.ndarray, known: np.ndarray, axis: int) -> np.ndarray:
    """Midway between the least and the greatest known exponent along an axis."""
    least = exponents.min(axis=axis, where=known, initial=2**20)
    return (least + exponents.max(axis=axis, where=known, initial=-(2**20))) // 2


def _floats(row: Row) -> list[float]:
    """The row as floats, divided by a power of two if it is too long; entries that are relatively tiny vanish."""
    shift = max(0, max(entry.bit_length() for entry in row) - FLOAT_BITS)
    return [float(entry >> shift) for entry in row]


def _model(scaled: np.ndarray) -> tuple[Any, ...]:
    """Arguments of HiGHS's passModel: variables x (d, free) and t <= 1; rows a.x - t >= -c, by rows, non-zeros only."""
    count, size = scaled.shape
    matrix = np.concatenate([scaled[:, :-1], -np.ones((count, 1))], axis=1)
    known = matrix != 0
    starts = np.concatenate([[0], known.sum(axis=1).cumsum()[:-1]]).astype(np.int32)
    last = np.arange(size) == size - 1
    shape = (size, count, int(known.sum()), highspy.MatrixFormat.kRowwise.value, highspy.ObjSense.kMaximize.value, 0.0)
    columns = (last.astype(float), np.full(size, -np.inf), np.where(last, 1.0, np.inf))
    bounds = (-scaled[:, -1], np.full(count, np.inf))
    return (*shape, *columns, *bounds, starts, np.nonzero(known)[1].astype(np.int32), matrix[known], np.zeros(size, np.int32))


def _denominator(point: Sequence[fmpq]) -> Any:
    return homogeneous_columns(np.array([point], dtype=object))[len(point), 0]


def _heights(rows: Sequence[Sequence[Any]], point: Sequence[fmpq]) -> list[fmpz]:
    """Every form at the point, times the point's common denominator."""
    if not rows:
        return []
    return (fmpz_mat([list(row) for row in rows]) * homogeneous_columns(np.array([point], dtype=object))).entries()


def _combination(rows: Sequence[Sequence[Any]], factors: Sequence[fmpq]) -> list[fmpz]:
    """Sum of the rows times their factors, times a positive integer that makes it whole."""
    if not rows:
        return []
    *whole, _ = homogeneous_columns(np.array([factors], dtype=object)).entries()
    return (fmpz_mat([whole]) * fmpz_mat([list(row) for row in rows])).entries()
