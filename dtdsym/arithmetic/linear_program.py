"""Systems of strict linear inequalities, decided exactly: a point inside, or multipliers that prove there is none.

HiGHS proposes a point or the rows of a proof, in floats; integers verify it. What fails goes to exact pivots from the
proposed basis. Nothing is returned that `check` has not accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import fmpq, fmpz, fmpz_mat

from dtdsym.arithmetic.highs import Model, at_scale, scaled_floats, solved
from dtdsym.arithmetic.rational import homogeneous_columns
from dtdsym.arithmetic.simplex import Empty, Interior, Row, System, solve

__all__ = ["Empty", "Interior", "check", "interior"]


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
    size = len((forms or [plane or [fmpz(1)]])[0]) - 1
    pause = deadline or no_deadline
    pause()
    outcome = _outcome(forms, plane, size, pause)
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


def no_deadline() -> None:
    """Takes all the time it needs."""


def _outcome(rows: list[Row], plane: Row | None, size: int, pause: Callable[[], None]) -> Interior | Empty:
    """Forms whose slopes are all zero are settled here."""
    if plane is not None and not any(plane[:-1]):
        if plane[-1] != 0:
            return Empty((fmpq(0),) * len(rows), fmpq(-1 if plane[-1] > 0 else 1))
        plane = None
    kept = []
    for k, row in enumerate(rows):
        if any(row[:-1]):
            kept.append(k)
        elif row[-1] <= 0:
            return Empty(_spread({k: fmpq(1)}, len(rows)), fmpq(0))
    if not kept:
        return Interior(_on_plane(plane, (fmpq(0),) * size))
    system = System([rows[k] for k in kept], plane)
    match _decided(system, pause):
        case Interior(point):
            return Interior(_rounded(system, point))
        case Empty(multipliers, equality_multiplier):
            *whole, last = _whole([*multipliers, equality_multiplier])
            return Empty(_spread(dict(zip(kept, whole, strict=True)), len(rows)), last)


def _whole(numbers: Sequence[fmpq]) -> list[fmpq]:
    """Coprime integers in the same proportions."""
    *entries, _ = homogeneous_columns(np.array([numbers], dtype=object)).entries()
    common = fmpz(0)
    for entry in entries:
        common = common.gcd(entry)
    return [fmpq(entry // common) for entry in entries]


def _spread(known: dict[int, fmpq], count: int) -> tuple[fmpq, ...]:
    """Multipliers (count,): the known ones, and 0 for all other rows."""
    return tuple(known.get(k, fmpq(0)) for k in range(count))


def _on_plane(plane: Row | None, point: Sequence[fmpq]) -> tuple[fmpq, ...]:
    """The point with one coordinate, that of the plane's largest coefficient, moved so that it lies in the plane."""
    if plane is None:
        return tuple(point)
    pivot = max(range(len(point)), key=lambda j: abs(plane[j]))
    value = sum((e * x for e, x in zip(plane, point, strict=False)), fmpq(plane[-1]))
    return (*point[:pivot], point[pivot] - value / plane[pivot], *point[pivot + 1 :])


def _rounded(system: System, point: Sequence[fmpq]) -> tuple[fmpq, ...]:
    """The interior point rounded to multiples of a power of two, coarse enough to be short, fine enough to stay inside.

    Rounding moves each coordinate by at most 1/2^(q+1); that, and going back to the plane, moves row i by at most
    2 d w_i / 2^(q+1), which is less than its height."""
    heights, denominator = system.heights(point)
    scale = system.size * denominator
    bound = max(fmpq(scale * w, height) for w, height in zip(system.weights, heights, strict=True))
    grid = fmpz(1) << bound.floor().bit_length()
    return _on_plane(system.plane, [fmpq((x * grid + fmpq(1, 2)).floor(), grid) for x in point])


def _decided(system: System, pause: Callable[[], None]) -> Interior | Empty:
    """A line by its bounds; otherwise floats propose a point, or a basis that exact pivots go on from if need be."""
    if system.plane is None and system.size == 1:
        return _on_line(system.rows)
    if system.plane is not None and system.size == 2:
        return _along(system, system.plane)
    point, support = _proposed(system, pause)
    if point is not None and all(height > 0 for height in system.heights(point)[0]):
        return Interior(point)
    return solve(system, support, pause)


def _along(system: System, plane: Row) -> Interior | Empty:
    """d = 2 with an equality: on the line base + s (-e_2, e_1), every form is one in s."""
    base = _on_plane(plane, (fmpq(0), fmpq(0)))
    heights, denominator = system.heights(base)
    slopes = [(row[1] * plane[0] - row[0] * plane[1]) * denominator for row in system.rows]
    match _on_line([list(pair) for pair in zip(slopes, heights, strict=True)]):
        case Interior(point):
            return Interior((base[0] - point[0] * plane[1], base[1] + point[0] * plane[0]))
        case Empty(multipliers, _):
            pivot = 0 if plane[0] != 0 else 1
            slope = sum((y * row[pivot] for y, row in zip(multipliers, system.rows, strict=True)), fmpq(0))
            return Empty(multipliers, -slope / plane[pivot])


def _on_line(rows: list[Row]) -> Interior | Empty:
    """d = 1: the greatest lower and the least upper bound decide, if no row is constant and not positive."""
    for k, (a, c) in enumerate(rows):
        if a == 0 and c <= 0:
            return Empty(_spread({k: fmpq(1)}, len(rows)), fmpq(0))
    lower = [(fmpq(-c, a), k) for k, (a, c) in enumerate(rows) if a > 0]
    upper = [(fmpq(-c, a), k) for k, (a, c) in enumerate(rows) if a < 0]
    if not lower or not upper:
        return Interior((max(lower)[0] + 1 if lower else min(upper, default=(fmpq(0),))[0] - 1,))
    (low, i), (high, j) = max(lower), min(upper)
    if low < high:
        return Interior(((low + high) / 2,))
    return Empty(_spread({i: fmpq(-rows[j][0]), j: fmpq(rows[i][0])}, len(rows)), fmpq(0))


def _proposed(system: System, pause: Callable[[], None]) -> tuple[tuple[fmpq, ...] | None, list[int]]:
    """HiGHS on max t, a.x + c >= t, t <= 1, in scaled floats: a point of the plane, if any, and the basis's rows."""
    count = len(system.rows)
    scaled, exponents = scaled_floats(system.rows if system.plane is None else [*system.rows, system.plane])
    solver = solved(_model(scaled, count), pause)
    if solver is None:
        return None, []
    basic = {-1 - variable for variable in solver.getBasicVariables()[1].tolist()}
    support = [k for k in range(count) if k not in basic]
    values = solver.getSolution().col_value[:-1]
    if not np.isfinite(values).all():
        return None, support
    return _on_plane(system.plane, at_scale(values, exponents)), support


def _model(scaled: np.ndarray, count: int) -> Model:
    """Variables x (d,) free and t <= 1; `count` rows a.x - t >= -c, then a.x = -c for the plane. Maximises t."""
    matrix = scaled.copy()
    matrix[:count, -1], matrix[count:, -1] = -1.0, 0.0
    upper = np.full(len(scaled), np.inf)
    upper[count:] = -scaled[count:, -1]
    objective, above = np.zeros(scaled.shape[1]), np.full(scaled.shape[1], np.inf)
    objective[-1], above[-1] = -1.0, 1.0
    return Model(objective, matrix, -scaled[:, -1], upper, np.full(scaled.shape[1], -np.inf), above)
