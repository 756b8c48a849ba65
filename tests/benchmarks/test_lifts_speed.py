"""Z3 and exact geometry, the same questions about the paper's network side by side; the lift itself.

python -m pytest tests/benchmarks/test_lifts_speed.py --benchmark-enable --benchmark-group-by=group

Both routes twice: from the network and the points on, and with what can be made beforehand (formulas; the cell).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import dtdsym
from dtdsym.arithmetic.linear_program import Interior, interior
from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.geometry.cell import cell_at
from dtdsym.lifts.question import Found
from dtdsym.lifts.questions import exists_in_region, same_cell
from dtdsym.network.slice import slice_at

CLOSE, ABOVE = 1.0001, 3


@pytest.fixture(scope="module")
def network():
    return dtdsym.load("examples/paper_mlp.pt").logit(0)


@pytest.fixture(scope="module")
def x(network):
    """An input as the paper draws them, |N(0, 1)|, with logit above 1."""
    random = np.random.default_rng(0)
    while network(found := np.abs(random.normal(size=10)).tolist())[0] <= 1:
        pass
    return found


def test_lift_to_z3(benchmark, network):
    benchmark.group = "the paper's network over Z3's reals"
    assert len(benchmark(dtdsym.to_z3, network).outputs) == 1


@pytest.fixture(params=["same", "other"])
def other(request, benchmark, x):
    benchmark.group = f"are two points in one cell: {request.param}"
    return [entry * CLOSE for entry in x] if request.param == "same" else x[::-1]


def test_same_cell_by_z3(benchmark, network, x, other):
    """With the lift, the formulas of all choices and the answer."""
    found = benchmark(lambda: same_cell(network, x, other).ask())
    assert isinstance(found, Found) == (other != x[::-1])


def test_same_cell_by_z3_without_the_lift(benchmark, network, x, other):
    asked = same_cell(network, x, other)
    benchmark(asked.ask)


def test_same_cell_by_geometry(benchmark, network, x, other):
    def placed():
        function, a = slice_at(network, x)
        return cell_at(function, a).holds(RATIONAL.lift(other))

    assert benchmark(placed) == (other != x[::-1])


def test_same_cell_by_geometry_of_a_known_cell(benchmark, network, x, other):
    function, a = slice_at(network, x)
    cell, point = cell_at(function, a), RATIONAL.lift(other)
    assert benchmark(cell.holds, point) == (other != x[::-1])


def above(network):
    return network.outputs[0] > ABOVE


@pytest.fixture
def in_region(benchmark):
    benchmark.group = f"does the region hold a point with a logit above {ABOVE}"


@pytest.mark.usefixtures("in_region")
def test_exists_in_region_by_z3(benchmark, network, x):
    asked = exists_in_region(network, x, above)
    assert isinstance(benchmark.pedantic(asked.ask, rounds=5), Found)


@pytest.mark.usefixtures("in_region")
def test_exists_in_region_by_geometry(benchmark, network, x):
    """The cells of the region were listed for both; F is one affine function on all of them."""
    a = RATIONAL.lift(x)
    cells = list(dtdsym.region(network, x).cells.values())
    assert benchmark(lambda: any(isinstance(interior(rows_above(cell, a)), Interior) for cell in cells))


def rows_above(cell, a):
    """Walls of the cell that holds a, and F > ABOVE on it, as rows that are positive inside."""
    gradient = RATIONAL.lift(cell.gradient)
    form = fractions(np.append(gradient, cell.slice(a) - (gradient * a).sum() - ABOVE))
    scale = math.lcm(*(entry.denominator for entry in form))
    return [*(wall.row for wall in cell.walls), [int(entry * scale) for entry in form]]
