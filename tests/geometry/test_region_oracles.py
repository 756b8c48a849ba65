"""The arrangement's counts against two brute-force oracles in plain Fractions, on degenerate networks."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from region_oracles import cells_by_graph, cells_by_signs
from strategies import GAP, HUGE, TINY, layers

from dtdsym.geometry.arrangement import arrangement
from dtdsym.network.network import sequential

SQUARE = [(-3, 3), (-2, 4)]
ONE_POINT = ([[1, 0], [0, 1], [1, 1]], [0, 0, 0])


def cells(pairs, final_relu):
    found = arrangement(sequential(*pairs, final_relu=final_relu), box=SQUARE)
    return {cell.pattern: (*cell.gradients[0], cell.constants[0]) for cell in found.cells}


@given(layers(widths=(1, 2, 3, 4)), st.booleans())
@settings(max_examples=120)
def test_cells_are_the_sign_vectors_with_inner_points(pairs, final_relu):
    expected = cells_by_signs(pairs, SQUARE, final_relu=final_relu)
    assert cells(pairs, final_relu) == {signs: outputs[0] for signs, outputs in expected.items()}


@given(layers(widths=(1, 2, 3)), st.booleans())
@settings(max_examples=80)
def test_the_graph_of_hinges_has_as_many_faces(pairs, final_relu):
    assert len(cells(pairs, final_relu)) == cells_by_graph(pairs, SQUARE, final_relu=final_relu)


CASES = {
    "three lines through one point": [ONE_POINT, ([[1, 1, 1]], [-1])],
    "missing it by 2^-60": [(ONE_POINT[0], [0, 0, GAP]), ([[1, 1, 1]], [-1])],
    "parallel, 2^-60 apart": [([[1, 2], [1, 2], [-1, -2]], [0, GAP, GAP]), ([[1, -1, 1]], [0])],
    "a layer whose hinge is the one below": [([[1, 0], [0, 1]], [0, 0]), ([[1, 0], [-1, 1]], [0, 0]), ([[1, 1]], [0])],
    "zero rows": [([[0, 0], [1, -1], [0, 0]], [1, 0, 0]), ([[1, 1, 1], [0, 0, 0]], [-1, 0]), ([[1, 1]], [0])],
    "layers scaled apart": [([[TINY, 0], [0, TINY]], [TINY, 0]), ([[HUGE, -HUGE]], [0.5]), ([[1]], [-0.25])],
    "opposite pairs that cancel": [([[1, 1], [-1, -1]], [0, 0]), ([[1, -1]], [0]), ([[1]], [-1])],
    "quantised": [([[1, 0.5], [-0.5, 1], [0, -1]], [0.5, -1, 0]), ([[1, -1, 0.5], [-1, 0.5, 1]], [0, 0.5]),
                  ([[1, -0.5]], [0])],
}  # fmt: skip


@pytest.mark.parametrize("pairs", CASES.values(), ids=CASES)
@pytest.mark.parametrize("final_relu", [True, False])
def test_degenerate_networks(pairs, final_relu):
    expected = cells_by_signs(pairs, SQUARE, final_relu=final_relu)
    assert cells(pairs, final_relu) == {signs: outputs[0] for signs, outputs in expected.items()}
    assert len(expected) == cells_by_graph(pairs, SQUARE, final_relu=final_relu)


@pytest.mark.parametrize("seed", range(3))
def test_networks_with_real_weights(seed):
    rng = np.random.default_rng(seed)
    pairs = [
        (rng.standard_normal((o, i)).tolist(), rng.standard_normal(o).tolist()) for i, o in ((2, 4), (4, 3), (3, 1))
    ]
    expected = cells_by_signs(pairs, SQUARE, final_relu=True)
    assert cells(pairs, True) == {signs: outputs[0] for signs, outputs in expected.items()}
    assert len(expected) == cells_by_graph(pairs, SQUARE, final_relu=True)


def test_the_oracles_know_what_is_counted_by_hand():
    """n lines through one point make 2 n cells, in general position 1 + n + n (n - 1) / 2."""
    lines = [([[1, 0], [0, 1], [1, 1], [1, -1]], [0, 0, 0, 0])]
    assert cells_by_graph(lines, SQUARE, final_relu=True) == len(cells_by_signs(lines, SQUARE, final_relu=True)) == 8
    lines = [([[1, 0], [0, 1], [1, 1]], [0, 0, -1])]
    assert cells_by_graph(lines, SQUARE, final_relu=True) == len(cells_by_signs(lines, SQUARE, final_relu=True)) == 7
    assert cells_by_graph([([[0, 0]], [1])], SQUARE, final_relu=True) == 1
    assert cells_by_signs([([[1, 0]], [Fraction(100)])], SQUARE, final_relu=True).keys() == {(1,)}
