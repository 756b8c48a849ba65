"""What an exact answer costs: random cells and their facets at d = 10, m = 30 and at d = 64, m = 300, float32 weights.

Run with --benchmark-enable; the groups "d=10 m=30" show z3 on the same systems (z3 takes minutes at d = 64), and
extra_info how many of the systems took exact pivots after HiGHS's proposal had failed.
"""

from __future__ import annotations

import numpy as np
import pytest
import z3

from dtdsym.arithmetic import linear_program
from dtdsym.arithmetic.linear_program import Empty, Interior, interior

# dimension, rows, systems
SIZES = {"d=10 m=30": (10, 30, 6), "d=64 m=300": (64, 300, 2)}


def integers(forms):
    """The float forms times the powers of two that make them whole."""
    ratios = [[entry.as_integer_ratio() for entry in form] for form in forms.tolist()]
    scales = [max(q for _, q in form) for form in ratios]
    return [[p * (scale // q) for p, q in form] for form, scale in zip(ratios, scales, strict=True)]


def cells(size, count, number, generator):
    """Systems (rows, equality): random hyperplanes, each turned towards one point."""
    for _ in range(number):
        forms = generator.normal(size=(count, size + 1)).astype(np.float32)
        forms *= np.sign(forms[:, :-1] @ generator.normal(size=size) + forms[:, -1])[:, None].astype(np.float32)
        yield integers(forms), None


def facets(size, count, number, generator):
    """Whether a random wall of a random cell is a facet of it."""
    for rows, _ in cells(size, count, number, generator):
        yield rows[1:], rows[0]


def empty(size, count, number, generator):
    """Random half-spaces; at three to a dimension, and more, hardly ever with a common point."""
    for _ in range(number):
        yield integers(generator.normal(size=(count, size + 1)).astype(np.float32)), None


KINDS = {"cells": cells, "facets": facets, "empty": empty}


def drawn(name, kind):
    """The systems of one size and kind."""
    return list(KINDS[kind](*SIZES[name], np.random.default_rng(0)))


def z3_decides(rows, equality):
    x = [*(z3.Real(f"x{j}") for j in range(len(rows[0]) - 1)), z3.RealVal(1)]
    solver = z3.Solver()
    for row in rows:
        solver.add(z3.Sum([a * v for a, v in zip(row, x, strict=True)]) > 0)
    if equality is not None:
        solver.add(z3.Sum([a * v for a, v in zip(equality, x, strict=True)]) == 0)
    return Interior if solver.check() == z3.sat else Empty


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SIZES)
def test_exact_systems(benchmark, monkeypatch, name, kind):
    benchmark.group = f"{name} {kind}"
    systems, solve, pivots = drawn(name, kind), linear_program.solve, []

    def counted(system, support, deadline):
        ticks = []
        outcome = solve(system, support, lambda: ticks.append(None))
        pivots.append(len(ticks))
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(linear_program, "solve", counted)
        inside = sum(isinstance(interior(*system), Interior) for system in systems)
    pivoted = sum(count > 0 for count in pivots)
    benchmark.extra_info.update(systems=len(systems), inside=inside, pivoted=pivoted, pivots=sum(pivots))
    assert inside == {"cells": len(systems), "empty": 0}.get(kind, inside)
    benchmark.pedantic(lambda: [interior(*system) for system in systems], rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("kind", KINDS)
def test_z3_on_the_small_ones(benchmark, kind):
    benchmark.group = f"d=10 m=30 {kind}"
    systems = drawn("d=10 m=30", kind)
    answers = benchmark.pedantic(lambda: [z3_decides(*system) for system in systems], rounds=1)
    assert answers == [type(interior(*system)) for system in systems]
