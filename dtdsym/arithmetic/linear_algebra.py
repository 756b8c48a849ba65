"""Exact linear algebra on weights, by integer matrices: a float64 matrix times a power of two has integer entries."""

from __future__ import annotations

import numpy as np
from flint import fmpz_mat

from dtdsym.arithmetic.rational import rational


def pseudo_inverse(weight: np.ndarray) -> np.ndarray:
    """The Moore-Penrose inverse (in, out) of a float64 matrix (out, in) of any rank: rationals, exact.

    W^+ = G^T (F^T W G^T)^-1 F^T for columns F and rows G of W that span its column and its row space.
    Its entries are quotients of minors: some hundreds of digits at width 64, and time grows about with width^4.
    Source: Ben-Israel and Greville, Generalized Inverses, 2003, chapter 1, Theorem 5 (MacDuffee).
    """
    whole, scale = _integers(weight)
    columns, rows = _pivots(whole), _pivots(whole.transpose())
    out = np.full((weight.shape[1], weight.shape[0]), rational(0), dtype=object)
    if not columns:
        return out
    entries = whole.tolist()
    spanning_columns = fmpz_mat([[row[j] for j in columns] for row in entries]).transpose()
    spanning_rows = fmpz_mat([entries[i] for i in rows]).transpose()
    core = spanning_columns * whole * spanning_rows
    inverse = (spanning_rows * core.solve(spanning_columns)).tolist()
    for i, row in enumerate(inverse):
        out[i] = [entry * scale for entry in row]
    return out


def _integers(weight: np.ndarray) -> tuple[fmpz_mat, int]:
    """Integers weight * scale, scale the least power of two that makes all entries whole."""
    ratios = [[entry.as_integer_ratio() for entry in row] for row in weight.tolist()]
    scale = max(q for row in ratios for _, q in row)
    return fmpz_mat([[p * (scale // q) for p, q in row] for row in ratios]), scale


def _pivots(matrix: fmpz_mat) -> list[int]:
    """Indices of columns that are a basis of the column space."""
    reduced, _, rank = matrix.rref()
    rows = reduced.tolist()[:rank]
    return [next(j for j, entry in enumerate(row) if entry != 0) for row in rows]
