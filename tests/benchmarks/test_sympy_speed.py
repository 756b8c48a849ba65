"""The lift to SymPy of the paper's 10-10-10-2 network, side by side: one pattern's piece, with weights that are numbers
or symbols; the whole function; one exact value of it, and the network's own.

python -m pytest tests/benchmarks/test_sympy_speed.py --benchmark-enable
"""

from __future__ import annotations

from fractions import Fraction

import pytest

import dtdsym

X = [Fraction(i + 1, 7) for i in range(10)]


@pytest.fixture
def network(repository):
    return dtdsym.load(str(repository / "examples" / "paper_mlp.pt"))


def piece(network, weights):
    lift = dtdsym.to_sympy(network, weights=weights)
    found = lift.piece_at(X)
    return lift, found, found.gradients


@pytest.mark.parametrize("weights", ["numbers", "symbols"])
def test_one_pattern(benchmark, network, weights):
    benchmark.group = "lift, piece and gradients of one pattern"
    lift, found, gradients = benchmark.pedantic(piece, (network, weights), rounds=5, warmup_rounds=1)
    assert tuple(lift.exactly(output, X) for output in found.outputs) == network(X)
    assert (len(gradients), len(gradients[0])) == (2, 10)


@pytest.mark.parametrize("weights", ["numbers", "symbols"])
def test_whole_function(benchmark, network, weights):
    benchmark.group = "the whole function as nested maxima"
    assert len(benchmark(lambda: dtdsym.to_sympy(network, weights=weights).outputs)) == 2


def test_value_of_the_expression(benchmark, network):
    benchmark.group = "one exact value"
    lift = dtdsym.to_sympy(network)
    assert lift.outputs
    assert benchmark(lift.at, X) == network(X)


def test_value_of_the_network(benchmark, network):
    benchmark.group = "one exact value"
    assert len(benchmark(network, X)) == 2
