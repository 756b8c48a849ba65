"""HiGHS, asked for proposals in floats: powers of two scale the numbers, and nothing that it says is believed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from flint import fmpq, fmpz

Forms = Sequence[Sequence[fmpz]]
"""Integers (a_1, ..., a_d, c), each for the form a.x + c."""
FLOAT_BITS = 1000
"""Integers of so many bits are sure to fit a float's range."""
BEYOND = 2**20
"""Above every exponent met here."""
ROUNDS = 200
"""How often HiGHS may reach its iteration limit; each time the clock is looked at."""
QP_ITERATIONS = 5
"""Iterations for each row and column of a quadratic program: HiGHS's method can cycle where walls meet."""
OPTIONS: dict[str, bool | int | float | str] = {
    "output_flag": False,
    "threads": 1,
    "solver": "simplex",
    "presolve": "off",
    "simplex_scale_strategy": 0,
    "simplex_iteration_limit": 500,
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}


@dataclass(frozen=True, eq=False)
class Model:
    """Minimise objective.x (n,) with low <= matrix x <= high, (m, n), and below <= x <= above, in floats. hessian: adds
    |x|^2 / 2."""

    objective: np.ndarray
    matrix: np.ndarray
    low: np.ndarray
    high: np.ndarray
    below: np.ndarray
    above: np.ndarray
    hessian: bool = False


def solved(model: Model, pause: Callable[[], None]) -> Any | None:
    """HiGHS after it has found an optimum; None if it has not. `pause` is called now and then."""
    solver = _solver()
    solver.passModel(*_arguments(model))
    if model.hessian:
        size = len(model.objective)
        entries = np.arange(size, dtype=np.int32)
        solver.passHessian(size, size, highspy.HessianFormat.kTriangular.value, entries, entries, np.ones(size))
        solver.setOptionValue("qp_iteration_limit", QP_ITERATIONS * sum(model.matrix.shape))
    for _ in range(1 if model.hessian else ROUNDS):
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kIterationLimit:
            break
        pause()
    return solver if solver.getModelStatus() == highspy.HighsModelStatus.kOptimal else None


_LOCAL = threading.local()


def _solver() -> Any:
    """This thread's HiGHS."""
    if not hasattr(_LOCAL, "solver"):
        solver = highspy.Highs()
        for name, value in OPTIONS.items():
            solver.setOptionValue(name, value)
        _LOCAL.solver = solver
    return _LOCAL.solver


def _arguments(model: Model) -> tuple[Any, ...]:
    """Arguments of HiGHS's passModel: by rows, non-zero entries only."""
    rows, size = model.matrix.shape
    lines, places = np.nonzero(model.matrix)
    starts = np.searchsorted(lines, np.arange(rows)).astype(np.int32)
    shape = (size, rows, len(places), highspy.MatrixFormat.kRowwise.value, highspy.ObjSense.kMinimize.value, 0.0)
    columns = (model.objective, model.below, model.above)
    entries = (starts, places.astype(np.int32), model.matrix[lines, places])
    return (*shape, *columns, model.low, model.high, *entries, np.zeros(size, np.int32))


def scaled_floats(forms: Forms, columns: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Floats (n, d + 1) near the forms, whose rows, and columns if these may be, are multiplied by powers of two that
    bring entries near 1; and the exponents (d,) that lead back: x_j is the scaled variable times 2 ** exponent_j."""
    mantissas, exponents = np.frexp([_floats(form) for form in forms])
    known = mantissas != 0
    units = np.zeros(exponents.shape[1], dtype=exponents.dtype)
    for _ in range(2 if columns else 0):
        heights = _middle(exponents - units, known, axis=1)
        units = _middle(exponents - heights[:, None], known, axis=0)
    scaled = exponents - units
    scaled = scaled - scaled.max(axis=1, where=known, initial=-BEYOND)[:, None]
    return np.ldexp(mantissas, scaled), units[-1] - units[:-1]


def _middle(exponents: np.ndarray, known: np.ndarray, axis: int) -> np.ndarray:
    """Midway between the least and the greatest known exponent along an axis."""
    least = exponents.min(axis=axis, where=known, initial=BEYOND)
    return (least + exponents.max(axis=axis, where=known, initial=-BEYOND)) // 2


def _floats(form: Sequence[fmpz]) -> list[float]:
    """The form as floats, divided by a power of two if it is too long; entries that are relatively tiny vanish."""
    excess = max(map(fmpz.bit_length, form)) - FLOAT_BITS
    return [float(entry >> excess) for entry in form] if excess > 0 else list(map(float, form))


def at_scale(values: Sequence[float], exponents: np.ndarray) -> list[fmpq]:
    """The exact numbers that finite floats stand for, after `scaled_floats`."""
    return [fmpq(*x.as_integer_ratio()) * fmpq(2) ** e for x, e in zip(values, exponents.tolist(), strict=True)]
