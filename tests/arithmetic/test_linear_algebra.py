"""The exact pseudo-inverse obeys its four laws, which no other matrix does."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtdsym.arithmetic.linear_algebra import pseudo_inverse

ENTRIES = st.sampled_from([0.0, 0.0, 1.0, -1.0, 0.5, 3.0, 2.0**-30, 2.0**30, 0.1])


@st.composite
def matrices(draw):
    """Any rank: products of a tall and a wide factor, or plain entries."""
    rows, columns, rank = (draw(st.integers(1, 4)) for _ in range(3))
    small = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])
    if draw(st.booleans()):
        return np.array([[draw(ENTRIES) for _ in range(columns)] for _ in range(rows)])
    left = np.array([[draw(small) for _ in range(rank)] for _ in range(rows)])
    return left @ np.array([[draw(small) for _ in range(columns)] for _ in range(rank)])


def assert_pseudo_inverse(weight, inverse):
    exact = np.array([[Fraction(w) for w in row] for row in weight.tolist()], dtype=object)
    there, back = exact @ inverse, inverse @ exact
    assert (there @ exact == exact).all()
    assert (back @ inverse == inverse).all()
    assert (there == there.T).all()
    assert (back == back.T).all()


def as_fractions(inverse):
    return np.array([[Fraction(int(q.p), int(q.q)) for q in row] for row in inverse], dtype=object)


@given(matrices())
def test_moore_penrose(weight):
    assert_pseudo_inverse(weight, as_fractions(pseudo_inverse(weight)))


@pytest.mark.parametrize("rank", range(5))
@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (4, 6), (6, 4)])
def test_every_rank(rank, rows, columns):
    generator = np.random.default_rng(rank)
    left, right = generator.integers(-3, 4, (rows, rank)), generator.integers(-3, 4, (rank, columns))
    weight = (left @ right).astype(np.float64) / 8
    assert np.linalg.matrix_rank(weight) == rank
    inverse = as_fractions(pseudo_inverse(weight))
    assert inverse.shape == (columns, rows)
    assert_pseudo_inverse(weight, inverse)


def test_a_real_layer_comes_close_to_numpy():
    weight = np.random.default_rng(0).standard_normal((12, 20)).astype(np.float32).astype(np.float64)
    assert np.allclose(as_fractions(pseudo_inverse(weight)).astype(float), np.linalg.pinv(weight), rtol=1e-9, atol=1e-9)
