"""Exact linear algebra on weights, by integer matrices: a float64 matrix times a power of two has integer entries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from flint import fmpz_mat

from dtdsym.arithmetic.rational import fraction, rational


def pseudo_inverse(weight: np.ndarray) -> np.ndarray:
    """The Moore-Penrose inverse (in, out) of a matrix (out, in) of floats or rationals, of any rank: exact.

    W^+ = G^T (F^T W G^T)^-1 F^T for columns of F and rows of G that are bases of W's column and row space.
    Its entries are quotients of minors: some hundreds of digits at width 64, some thousand at 128, where it takes
    seconds. Source: Ben-Israel and Greville, Generalized Inverses, 2003, chapter 1, Theorem 5 (MacDuffee).
    """
    whole, scale = _integers(weight)
    f, g_transposed = _column_basis(whole), _column_basis(whole.transpose())
    if f.ncols() == 0:
        return np.full(weight.T.shape, rational(0), dtype=object)
    core = f.transpose() * whole * g_transposed
    solution: Any = core.solve(f.transpose())
    numerators, denominator = solution.numer_denom()
    inverse = np.array((g_transposed * numerators).tolist(), dtype=object).reshape(weight.T.shape)
    return inverse * rational(scale, denominator)


def rank(matrix: np.ndarray) -> int:
    """The rank of a matrix of floats or rationals, exact."""
    return _integers(matrix)[0].rank()


def _integers(weight: np.ndarray) -> tuple[fmpz_mat, int]:
    """Integers weight * scale, scale the least number that makes all entries whole."""
    ratios = [[_ratio(entry) for entry in row] for row in weight.tolist()]
    scale = math.lcm(*(q for row in ratios for _, q in row))
    return fmpz_mat([[p * (scale // q) for p, q in row] for row in ratios]), scale


def _ratio(entry: Any) -> tuple[int, int]:
    exact = fraction(entry)
    return exact.numerator, exact.denominator


def _column_basis(matrix: fmpz_mat) -> fmpz_mat:
    """Columns (out, rank) that are a basis of the column space: unit vectors where that is the whole space."""
    size = matrix.nrows()
    reduced, _, rank = matrix.rref()
    if rank == size:
        return fmpz_mat([[int(i == j) for j in range(size)] for i in range(size)])
    pivots = [next(j for j, entry in enumerate(row) if entry != 0) for row in reduced.tolist()[:rank]]
    return fmpz_mat(size, rank, [row[j] for row in matrix.tolist() for j in pivots])
