"""The Table 1 workload: 4 rules x 1,000 inputs x 10 roots, every place decided exactly, beside a plain autograd loop.

    python -m pytest tests/benchmarks/test_table1_speed.py --benchmark-enable

Sampling the inputs and importing are left out of both. The loop is what a researcher would write; it compares
gradients by a tolerance, and decides no place.
"""

from __future__ import annotations

import numpy as np
import pytest
from baseline import autograd_loop
from paper_network import RULES, paper_inputs, paper_network

import dtdsym


@pytest.fixture(scope="module")
def workload():
    module = paper_network()
    inputs = {rule: paper_inputs(rule) for rule in RULES}
    return module, dtdsym.from_module(module, inputs[RULES[0]][:1]), inputs


@pytest.mark.benchmark(group="table 1")
def test_every_place_decided_exactly(benchmark, workload):
    _, network, inputs = workload
    arrays = {rule: x.double().numpy() for rule, x in inputs.items()}

    def audits():
        return [dtdsym.audit(network, x, rules=[rule], logit=0) for rule, x in arrays.items()]

    reports = benchmark.pedantic(audits, rounds=5, warmup_rounds=1)
    rows = [report.roots[0] for report in reports]
    assert [row["total"] for row in rows] == [10_000] * 4
    assert not any(row["places"]["undecided"] for row in rows)
    benchmark.extra_info["decided_by"] = [row["decided_by"] for row in rows]


@pytest.mark.benchmark(group="table 1")
def test_plain_autograd_loop(benchmark, workload):
    module, _, inputs = workload
    count = 1000 if benchmark.enabled else 5

    def loops():
        return [autograd_loop(module, x[:count], rule) for rule, x in inputs.items()]

    found = benchmark.pedantic(loops, rounds=1, warmup_rounds=0)
    assert all(np.isfinite(loop.roots).all() for loop in found)
