"""tau of a digits network's layers: settled in rationals, by enclosures alone, and by all columns in rationals.

python -m pytest tests/benchmarks/test_insensitivity_speed.py --benchmark-enable --benchmark-group-by=group
"""

from __future__ import annotations

import numpy as np
import pytest

import dtdsym
from dtdsym.arithmetic.rational import vector
from dtdsym.geometry.budget import Budget
from dtdsym.relevance import class_bounds
from dtdsym.relevance.class_bounds import Bounds
from dtdsym.relevance.composite import composite, parse

RULES = {"digits_mlp.pt": "zplus", "digits_conv.pt2": "*=zplus,add=magnitude"}


@pytest.fixture(params=RULES)
def case(request, repository):
    network = dtdsym.load(str(repository / "examples" / request.param))
    image = np.load(repository / "examples" / "digits_inputs.npy")[0].reshape(-1)
    return request.param, network, vector(image, size=64, name="x")[None]


def bounds(network, x, rule):
    return Bounds(network, x, composite(parse(rule)), Budget().start())


def test_enclosures_then_rationals(benchmark, case):
    name, network, x = case
    benchmark.group = name
    node = network.layers[-1].source
    found = benchmark(lambda: bounds(network, x, RULES[name]).tau(node))
    assert found.how == "exact"


def test_enclosures_alone(benchmark, case, monkeypatch):
    name, network, x = case
    benchmark.group = name
    monkeypatch.setattr(class_bounds, "EXACT_WORK", 0)
    node = network.layers[-1].source
    found = benchmark(lambda: bounds(network, x, RULES[name]).tau(node))
    assert found.how == "enclosure"


def test_all_columns_in_rationals(benchmark, case):
    name, network, x = case
    benchmark.group = name
    node = network.layers[-1].source

    def exactly():
        asked = bounds(network, x, RULES[name])
        return asked._exactly(node, asked.counted(node, False))

    found = benchmark(exactly)
    assert found.value == bounds(network, x, RULES[name]).tau(node).value
