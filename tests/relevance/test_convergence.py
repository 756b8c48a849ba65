"""Convergence of maps, in floats, against exact columns."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from networks import sequential

import dtdsym

FLAT = sequential(([[1, 2], [2, 4]], [0, 0]), ([[1, 1], [3, 1]], [0, 0]), ([[1, 1]], [0]))
SIGNED = sequential(([[1, -1], [2, 1]], [0, 0]), ([[1, 2], [2, 1]], [0, 0]), ([[1, 1]], [0]))


def test_a_matrix_of_rank_1_has_converged():
    """Both rows of layer 1 are multiples of one, so that z+ gives all maps one direction."""
    found = dtdsym.convergence(FLAT, (1, 1))
    assert found[1].units == pytest.approx((0, 0, 0))
    assert found[1].singular == pytest.approx(1)
    assert found[2].units == pytest.approx((1, 1, 1))
    assert found[2].mixed == pytest.approx((1, 1, 1))
    assert found[2].singular == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("rule", ["zplus", "lrp0", "w2"])
def test_cosines_and_singular_values_are_those_of_the_columns(rule):
    """Column i: what a last layer that reads neuron i alone has explained, divided by its relevance."""
    found = dtdsym.convergence(SIGNED, (3, 2), rule=rule, layers=[3])[3]
    layers = [(layer.linear.weight.tolist(), layer.linear.bias.tolist()) for layer in SIGNED.layers[:2]]
    columns = []
    for row in ([1, 0], [0, 1]):
        top = sequential(*layers, ([row], [0]))
        columns.append([float(entry / top((3, 2))[0]) for entry in dtdsym.explain(top, (3, 2), rule=rule)])
    matrix = np.array(columns).T
    (cosine,) = [float(a @ b / math.hypot(*a) / math.hypot(*b)) for a, b in combinations(matrix.T, 2)]
    values = np.linalg.svd(matrix, compute_uv=False)
    assert found.units == pytest.approx((cosine,) * 3)
    assert found.singular == pytest.approx(values[1] / values[0])


def test_one_neuron_or_none_has_no_cosine():
    one = sequential(([[1, 1]], [0]), ([[1]], [0]))
    found = dtdsym.convergence(one, (1, 2))[2]
    assert math.isnan(found.units[1])
    assert math.isnan(found.singular)
    assert found.mixed[1] == pytest.approx(1)


def test_a_seed_gives_the_same_answer_again():
    assert dtdsym.convergence(SIGNED, (3, 2), seed=3) == dtdsym.convergence(SIGNED, (3, 2), seed=3)
    assert dtdsym.convergence(SIGNED, (3, 2), seed=3) != dtdsym.convergence(SIGNED, (3, 2), seed=4)


def test_singular_values_of_large_matrices_are_left_out(monkeypatch):
    monkeypatch.setattr("dtdsym.relevance.convergence.WHOLE", 3)
    assert dtdsym.convergence(SIGNED, (3, 2))[2].singular is None
