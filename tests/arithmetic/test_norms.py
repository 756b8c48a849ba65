"""Norms are never below the truth: against the singular values of dense maps, and exactly, against rational vectors."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import numpy as np
import pytest
import torch
from enclosure_oracle import frozen
from expansion_oracle import convolutions
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import norms, spectrum
from dtdsym.arithmetic.norms import norms_of, norms_of_convolution
from dtdsym.arithmetic.powers import exponent, power
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.arithmetic.windows import Windows


def dense(weight, windows):
    """The matrix (outputs, inputs) of a convolution."""
    identity = torch.eye(windows.size, dtype=torch.float64)
    return TENSOR.convolve(weight, np.zeros(len(weight)), windows, identity).T.numpy()


def never_below(spectral, matrix):
    assert spectral >= np.linalg.norm(matrix, 2) * (1 - 1e-12)
    vector = [Fraction(x) for x in np.linalg.svd(matrix)[2][0].tolist()]
    image = sum(sum(Fraction(w) * x for w, x in zip(row, vector, strict=True)) ** 2 for row in matrix.tolist())
    assert image <= Fraction(spectral) ** 2 * sum(x**2 for x in vector)


def rows_hold(rows, weight):
    for norm, row in zip(rows.tolist(), weight.reshape(len(weight), -1).tolist(), strict=True):
        square = sum(Fraction(w) ** 2 for w in row)
        assert norm == inf or square <= Fraction(norm) ** 2
        if norm < 1e300 and norm > 1e-290:
            assert Fraction(norm) ** 2 <= square * (1 + Fraction(1, 10**12))
        assert (norm == 0) == (square == 0)


@settings(max_examples=100)
@given(convolutions())
def test_norms_of_a_convolution_are_never_below_those_of_its_dense_map(case):
    weight, windows = case
    found = norms_of_convolution(weight, windows, "cpu")
    never_below(found.spectral, dense(weight, windows))
    rows_hold(found.rows, weight)


@settings(max_examples=100)
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 10**6),
    power=st.sampled_from([-1060, -1000, -500, -30, 0, 30, 500, 1000]),
    rank=st.integers(0, 3),
)
@example(shape=(1, 6), seed=0, power=0, rank=1)
def test_norms_of_a_matrix_at_every_magnitude(shape, seed, power, rank):
    generator = np.random.default_rng(seed)
    full = generator.standard_normal(shape)
    low = generator.standard_normal((shape[0], rank)) @ generator.standard_normal((rank, shape[1]))
    weight = frozen(np.ldexp(full if rank == 3 else low, power))
    found = norms_of(weight, "cpu")
    rows_hold(found.rows, weight)
    never_below(np.ldexp(found.spectral, -power), np.ldexp(weight, -power))
    assert found.spectral <= np.ldexp(np.linalg.norm(np.ldexp(weight, -power), 2) * 1.04, power) + 2.0**-1060


def row_of_tenths():
    """One row, whose norm the bounds meet but for their last bits."""
    for n in range(1, 60):
        weight = np.full((1, n), 0.1) + np.arange(n) * 0.01
        found, square = norms_of(weight, "cpu"), sum(Fraction(w) ** 2 for w in weight[0].tolist())
        assert Fraction(found.spectral) ** 2 >= square
        assert Fraction(found.rows.item()) ** 2 >= square


def overlapping_windows():
    """Stride 2 and dilation 2: the windows overlap as if the stride were 1."""
    weight = np.ones((1, 1, 3))
    windows = Windows((1, 40), (3,), (2,), ((0, 0),), (2,))
    never_below(norms_of_convolution(weight, windows, "cpu").spectral, dense(weight, windows))


def wide_diagonal():
    """The identity and a rank-one part: the last Frobenius norm must not be taken for less."""
    for n in range(2, 12):
        matrix = np.eye(n) + 0.001 * np.outer(np.arange(n), np.arange(n))
        never_below(norms_of(matrix, "cpu").spectral, matrix)


def between_the_points():
    """A symbol whose maximum lies halfway between two points of the grid."""
    angle = np.pi / 8
    kernel = np.array([np.exp(1j * angle), 2, np.exp(-1j * angle)])
    block = np.array([[kernel.real, -kernel.imag], [kernel.imag, kernel.real]])
    weight, windows = np.ascontiguousarray(block), Windows((2, 400), (3,), (1,), ((1, 1),), (1,))
    never_below(norms_of_convolution(weight, windows, "cpu").spectral, dense(weight, windows))


def ratios():
    generator = np.random.default_rng(1)
    for inputs, outputs, kernel, stride in ((3, 8, 3, 1), (8, 8, 3, 1), (8, 16, 3, 2), (8, 16, 1, 2), (3, 8, 7, 2)):
        windows = Windows((inputs, 12, 12), (kernel,) * 2, (stride,) * 2, ((1, 1),) * 2, (1, 1))
        weight = generator.standard_normal((outputs, inputs, kernel, kernel))
        truth = np.linalg.norm(dense(weight, windows), 2)
        yield (inputs, outputs, kernel, stride), norms_of_convolution(weight, windows, "cpu").spectral / truth
    for shape in ((30, 30), (100, 300), (400, 400)):
        weight = generator.standard_normal(shape)
        yield shape, norms_of(weight, "cpu").spectral / np.linalg.norm(weight, 2)


def test_the_bounds_are_not_much_too_large():
    for case, ratio in ratios():
        print(case, f"{ratio:.4f}")
        assert 1 <= ratio < (1.04 if len(case) == 2 else 2.1)


def test_norms_are_kept_while_their_weights_live():
    weight = frozen(np.eye(3))
    assert norms_of(weight, "cpu") is norms_of(weight, torch.device("cpu"))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_a_power_of_two_scales_without_rounding(numbers):
    values = torch.tensor(numbers, dtype=torch.float64)
    scale = exponent(values)
    for number, e, factor in zip(numbers, scale.tolist(), power(scale).tolist(), strict=True):
        assert Fraction(factor) == Fraction(2) ** e
        assert abs(Fraction(number)) < 4 * Fraction(2) ** e
        assert abs(Fraction(number)) >= Fraction(2) ** e or e == -1022


def without_overlaps(kernel, windows):
    yield 1, kernel.flatten(1).unsqueeze(0)


@pytest.mark.parametrize(
    ("module", "name", "flaw", "experiment"),
    [
        (spectrum, "GROW", 1 - 2.0**-50, row_of_tenths),
        (norms.math, "gcd", lambda *_: 1, overlapping_windows),
        (norms, "_foldings", without_overlaps, overlapping_windows),
        (spectrum, "_greatest", lambda gram: float(gram.diagonal(dim1=1, dim2=2).amax()), wide_diagonal),
        (spectrum, "BETWEEN", 1.0, between_the_points),
        (spectrum, "_residual", lambda rest, factor, guess: -guess / 50, wide_diagonal),
    ],
    ids=["roundings", "dilation", "overlaps", "eigenvalue", "between points", "residual"],
)
def test_a_bound_without_one_of_its_parts_is_caught(monkeypatch, module, name, flaw, experiment):
    experiment()
    monkeypatch.setattr(module, name, flaw)
    with pytest.raises(AssertionError):
        experiment()
