"""One value and one gradient at a point, and slopes along lines, against the cells that meet there."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plane_oracle import Plane
from strategies import layers, points_near

from dtdsym.arithmetic.rational import RATIONAL, vector
from dtdsym.geometry import regularity as decided
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.cell import cell_at
from dtdsym.geometry.choices import bends_along, choices_at
from dtdsym.geometry.regularity import Irregular, Regular, regularity
from dtdsym.network.builder import Builder
from dtdsym.network.network import sequential
from dtdsym.network.slice import Slice, slice_at


def around(function: Slice, point: np.ndarray, directions: list) -> set:
    """Gradients of the cells that meet at a point, as far as directions find them."""
    return {cell_at(function, point, RATIONAL.lift(list(way))).gradient for way in directions}


@given(st.data(), layers(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_what_they_say_holds_in_all_cells_around(data, pairs, final_relu):
    plane = Plane(pairs, final_relu)
    assume(len(plane.lines) <= 14)
    network = sequential(*pairs, final_relu=final_relu)
    at = data.draw(points_near(plane.lines))
    function, point = slice_at(network, at)
    ways = [(1000, k) for k in (-999, -501, -1, 1, 502, 998)] + [(k, 1000) for k in (-997, -3, 503, 996)]
    found = around(function, point, [*ways, *((-a, -b) for a, b in ways)])
    choices = choices_at(function, point)
    if choices.gradient is not None:
        assert found == {choices.gradient}
    if choices.strict:
        assert choices.gradient is not None
    if any(bends_along(function, point, RATIONAL.lift(list(way))) for way in ways):
        assert len(found) > 1
        assert choices.gradient is None


@given(st.data(), layers(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_two_cells_of_a_bend_have_different_gradients(data, pairs, final_relu):
    plane = Plane(pairs, final_relu)
    function, point = slice_at(sequential(*pairs, final_relu=final_relu), data.draw(points_near(plane.lines)))
    verdict = regularity(function, point, Budget().start())
    if isinstance(verdict, Irregular):
        assert verdict.gradients[0] != verdict.gradients[1]
        assert tuple(cell.gradient for cell in verdict.cells) == verdict.gradients
    else:
        assert verdict.cell.gradient == verdict.gradient


def pooled(weight, bias, last) -> Slice:
    """F of two inputs: affine, ReLU, a pool over pairs of neurons, and one more row."""
    made = Builder((2,))
    hidden = made.relu(made.linear(made.input, np.array(weight, dtype=float), np.array(bias, dtype=float)))
    best = made.maxima(hidden, np.arange(len(weight)).reshape(-1, 2))
    network = made.network(made.linear(best, np.array([last], dtype=float), np.zeros(1)))
    return slice_at(network, (0, 0))[0]


POOLS = {
    "neurons that are zero tie all around": ([[1, 0], [0, 1]], [-1, -1], [1], "open cell", (0, 0)),
    "neurons tie at the point": ([[1, 0], [0, 1]], [1, 1], [1], None, None),
    "they tie, and nothing depends on it": ([[1, 0], [0, 1]], [1, 1], [0], "bends cancel", (0, 0)),
    "one is greater": ([[1, 0], [0, 1]], [2, 1], [3], "open cell", (3, 0)),
}


@pytest.mark.parametrize("name", POOLS)
def test_ties_in_pools(name):
    weight, bias, last, reason, gradient = POOLS[name]
    function = pooled(weight, bias, last)
    verdict = regularity(function, vector((0, 0), size=2, name="p"), Budget().start())
    if reason is None:
        assert isinstance(verdict, Irregular)
    else:
        assert isinstance(verdict, Regular)
        assert (verdict.reason, verdict.gradient) == (reason, tuple(map(Fraction, gradient)))


def test_a_cell_with_all_its_forms_is_read_only_where_it_is_asked_for(monkeypatch):
    """[x1] + [x2]: its gradient where it is plain, and its bend at 0, need no cell."""
    function, _ = slice_at(sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]), final_relu=False), (1, 1))
    read: Counter = Counter()
    monkeypatch.setattr(decided, "cell_at", lambda *args: read.update("c") or cell_at(*args))
    verdicts = [regularity(function, vector(p, size=2, name="p"), Budget().start()) for p in ((1, 2), (-1, 2), (0, 0))]
    assert [type(verdict) for verdict in verdicts] == [Regular, Regular, Irregular]
    assert not read
    assert len({cell.gradient for cell in verdicts[2].cells}) == 2
    assert read
