"""What the exact maximum of the paper's network on a box costs, and checking it; and beside Z3, whether any output is
larger, on a network small enough for Z3.

Run with --benchmark-enable.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import z3
from networks import sequential

import dtdsym
from dtdsym.geometry.maximum import check

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.benchmark(group="maximum: paper network, unit box")
def test_branch_and_bound(benchmark):
    network = dtdsym.load(str(EXAMPLES / "paper_mlp.pt"))
    found = benchmark.pedantic(dtdsym.maximum, (network, [(0, 1)] * 10), rounds=3, warmup_rounds=1)
    assert found.value > 0


@pytest.mark.benchmark(group="maximum: paper network, unit box")
def test_checking_its_leaves(benchmark):
    network, box = dtdsym.load(str(EXAMPLES / "paper_mlp.pt")), [(0, 1)] * 10
    benchmark.pedantic(check, (network, box, dtdsym.maximum(network, box)), rounds=3)


SMALL = (
    ([[1, -2, 1], [2, 1, -1], [-1, 1, 2], [1, 1, -3]], [0, -1, 1, 0]),
    ([[1, -1, 2, 1], [-2, 1, 1, -1], [1, 1, -1, 1]], [1, 0, -1]),
    ([[1, -1, 1]], [0]),
)
"""A network that Z3 decides in seconds."""


@pytest.mark.benchmark(group="maximum: 3-4-3-1, no larger output")
def test_small_by_branch_and_bound(benchmark):
    network, box = sequential(*SMALL), [(-1, 1)] * 3
    limit = dtdsym.maximum(network, box).value
    found = benchmark.pedantic(dtdsym.exceeds, (network, box, limit), rounds=5, warmup_rounds=1)
    assert not hasattr(found, "point")


@pytest.mark.benchmark(group="maximum: 3-4-3-1, no larger output")
def test_small_by_z3(benchmark):
    limit = dtdsym.maximum(sequential(*SMALL), [(-1, 1)] * 3).value
    assert benchmark.pedantic(asked, (z3.Q(limit.numerator, limit.denominator),), rounds=3) == z3.unsat


def asked(limit):
    x = z3.Reals("x y z")
    value = list(x)
    for weight, bias in SMALL:
        sums = (z3.Sum([w * v for w, v in zip(row, value, strict=True)]) for row in weight)
        value = [z3.If(v + b > 0, v + b, 0) for v, b in zip(sums, bias, strict=True)]
    solver = z3.Solver()
    solver.add(*(z3.And(v >= -1, v <= 1) for v in x), value[0] > limit)
    return solver.check()
