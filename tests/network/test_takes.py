"""What goes back through a node that picks entries is the transpose of picking, however often each is picked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.network.evaluate import differentiate
from dtdsym.network.layers import Affine, Input, Take, taken_by
from dtdsym.network.network import Network

WIDTH = 6


def picking(index) -> np.ndarray:
    """The matrix of a Take, by its definition: z_j = a_index[j], or 0 where index[j] = -1."""
    matrix = np.zeros((len(index), WIDTH), dtype=int)
    for row, place in enumerate(index):
        if place >= 0:
            matrix[row, place] = 1
    return matrix


@given(st.lists(st.integers(-1, WIDTH - 1), min_size=1, max_size=12), st.data())
def test_rows_go_back_to_where_they_were_taken_from(index, data):
    same = Affine(np.eye(len(index)), np.zeros(len(index)), 1)  # networks have at least one layer
    network = Network((Input((WIDTH,)), Take(np.array(index), 0), same))
    row = data.draw(st.lists(st.integers(-9, 9), min_size=len(index), max_size=len(index)))
    expected = (np.array(row) @ picking(index)).tolist()
    assert differentiate(network, RATIONAL, {}, RATIONAL.lift(row))[0].tolist() == expected
    assert differentiate(network, TENSOR, {}, torch.tensor([row, row]).double())[0].tolist() == [expected] * 2


@pytest.mark.parametrize("size", [3, 10_000])
def test_entries_that_are_never_taken_cost_nothing(size):
    """One entry taken a thousand times, of many: the index is as long as what is taken, not their product."""
    inverse, places = taken_by(Take(np.full(1000, 2), 0), size)
    assert inverse.shape == (1, 1000)
    assert sorted(inverse[0].tolist()) == list(range(1000))
    assert places.tolist() == [-1, -1, 0] + [-1] * (size - 3)
