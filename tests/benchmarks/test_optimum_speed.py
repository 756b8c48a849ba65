"""What an exact optimum costs: linear programs on the cells of the paper's network, beside Z3's optimiser on the same
ones; at d = 64, m = 500, where Z3 takes minutes; and the nearest root in each norm, digit by digit.

Run with --benchmark-enable.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import z3

import dtdsym
from dtdsym.arithmetic.optimum import Minimum, minimise

EXAMPLES = Path(__file__).parents[2] / "examples"
INPUTS, NEURONS = 4, 3


def paper_programs():
    """How far the first neurons' roots in the cells of the paper's network are in L-infinity: (objective, rows)."""
    network, rng, found = dtdsym.load(str(EXAMPLES / "paper_mlp.pt")), np.random.default_rng(0), []
    while len(found) < INPUTS * NEURONS:
        x = np.abs(rng.normal(size=10))
        if network(x.tolist())[0] * 10 <= 1:
            continue
        region = dtdsym.region(network, x.tolist())
        weight, bias = network.nodes[1].weight, network.nodes[1].bias
        walls = [[*map(int, wall.row[:-1]), 0, int(wall.row[-1])] for wall in region.cell.walls]
        for j in range(NEURONS):
            hinge = [*whole([*weight[j].tolist(), bias[j]])]
            zero = [*hinge[:-1], 0, hinge[-1]]
            near = [near_row(i, sign, p) for i, p in enumerate(x.tolist()) for sign in (1, -1)]
            found.append(([*[0] * 10, 1, 0], [*walls, zero, [-entry for entry in zero], *near]))
    return found


def near_row(place, sign, coordinate):
    """r - sign (x_i - p_i) >= 0, whole."""
    p, q = coordinate.as_integer_ratio()
    row = [0] * 12
    row[place], row[10], row[11] = -sign * q, q, sign * p
    return row


def whole(form):
    ratios = [float(entry).as_integer_ratio() for entry in form]
    scale = max(q for _, q in ratios)
    return [p * (scale // q) for p, q in ratios]


def large_program(seed):
    """d = 64, m = 500: random walls turned towards one point, the objective a sum of 64 of them, so it has a least
    value."""
    rng = np.random.default_rng(seed)
    forms = rng.normal(size=(500, 65)).astype(np.float32)
    forms *= np.sign(forms[:, :-1] @ rng.normal(size=64) + forms[:, -1])[:, None].astype(np.float32)
    rows = [whole(form) for form in forms]
    return [sum(column) for column in zip(*(rows[k] for k in rng.integers(0, 500, 64)), strict=True)], rows


def z3_least(objective, rows):
    x = [*(z3.Real(f"x{j}") for j in range(len(objective) - 1)), z3.RealVal(1)]
    solver = z3.Optimize()
    for row in rows:
        solver.add(z3.Sum([a * v for a, v in zip(row, x, strict=True)]) >= 0)
    goal = solver.minimize(z3.Sum([a * v for a, v in zip(objective, x, strict=True)]))
    return str(solver.lower(goal)) if solver.check() == z3.sat else None


@pytest.mark.benchmark(group="the paper's network, 12 programs")
def test_ours(benchmark):
    programs = paper_programs()
    benchmark.pedantic(lambda: [minimise(*program) for program in programs], rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="the paper's network, 12 programs")
def test_z3_optimises(benchmark):
    programs = paper_programs()
    answers = benchmark.pedantic(lambda: [z3_least(*program) for program in programs], rounds=1)
    ours = [minimise(*program) for program in programs]
    assert answers == [str(found.value) if isinstance(found, Minimum) else None for found in ours]


@pytest.mark.benchmark(group="d=64 m=500")
@pytest.mark.parametrize("seed", range(3))
def test_large_programs(benchmark, seed):
    objective, rows = large_program(seed)
    assert isinstance(minimise(objective, rows), Minimum)
    benchmark.pedantic(lambda: minimise(objective, rows), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="nearest root of a digit's first neuron, 64 inputs")
@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_nearest_roots(benchmark, norm):
    network = dtdsym.load(str(EXAMPLES / "digits_mlp.pt"))
    x = np.load(EXAMPLES / "digits_inputs.npy")[0].tolist()
    benchmark.pedantic(lambda: dtdsym.nearest_root(network, x, norm=norm, neuron=0), rounds=3, warmup_rounds=1)
