"""Exact admissible roots: against Fourier-Motzkin elimination on every cell of the region, one after another."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import sequential
from oracles import eliminated
from strategies import PLANE_POINTS, layers

import dtdsym
from dtdsym.errors import InputError, OnHinge
from dtdsym.relevance.root_search import AdmissibleRoot, NoAdmissibleRoot

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
UNIT = [[Fraction(1), Fraction(0), Fraction(0)], [Fraction(0), Fraction(1), Fraction(0)]]


def exists(network, x, domain, neuron) -> bool | None:
    """The slow way; None where the relevance is zero at the input."""
    region = dtdsym.region(network, x)
    if neuron is None:
        gradient, value = region.gradient, network(x)[0]
    else:
        node = network.nodes[1]
        gradient = [Fraction(w) for w in node.weight[neuron].tolist()]
        value = sum(g * p for g, p in zip(gradient, x, strict=True)) + Fraction(float(node.bias[neuron]))
    if value == 0:
        return None
    form = [*gradient, value - sum(g * p for g, p in zip(gradient, x, strict=True))]
    both = [form, [-entry for entry in form]]
    return any(
        eliminated([[Fraction(int(e)) for e in wall.row] for wall in cell.walls] + both + (UNIT if domain else []))
        for cell in region.cells.values()
    )


@SLOW
@given(
    pairs=layers(), x=PLANE_POINTS, relu=st.booleans(), domain=st.sampled_from([None, "nonnegative"]), own=st.booleans()
)
def test_a_root_is_found_iff_a_cell_holds_one(pairs, x, relu, domain, own):
    network, neuron = sequential(*pairs, final_relu=relu), 0 if own else None
    try:
        expected = exists(network, x, domain, neuron)
    except OnHinge:
        return
    if expected is None:
        with pytest.raises(InputError, match="the relevance is zero at the layer's input itself"):
            dtdsym.exact_root(network, x, domain=domain, neuron=neuron)
        return
    found = dtdsym.exact_root(network, x, domain=domain, neuron=neuron)
    assert isinstance(found, AdmissibleRoot) == expected
    if isinstance(found, AdmissibleRoot):
        assert domain is None or min(found.point) >= 0
        assert neuron is not None or network(found.point)[0] == 0
        assert dtdsym.place(network, x, found.point).name in (
            "same_cell",
            "same_region_segment",
            "same_region",
            "boundary",
        )


def test_with_a_final_relu_a_root_is_on_the_boundary():
    found = dtdsym.exact_root(sequential(([[1, 0]], [0])), (2, 3))
    assert found.point[0] == 0
    assert not found.inside


def test_without_one_it_can_lie_inside():
    found = dtdsym.exact_root(sequential(([[1, 0]], [0]), final_relu=False), (2, 3))
    assert found.point[0] == 0
    assert found.inside


def test_a_positive_minimum_has_no_root():
    """[[x] + 1] with x > 0: the closed region reaches x = 0, where the value is 1."""
    found = dtdsym.exact_root(sequential(([[1]], [0]), ([[1]], [1])), (2,))
    assert isinstance(found, NoAdmissibleRoot)
    assert found.bounds.keys() == found.cells.keys() == found.question.home.search.cells.keys()


def test_the_domain_can_take_the_root_away():
    network = sequential(([[1]], [1]), final_relu=False)  # zero at -1
    assert isinstance(dtdsym.exact_root(network, (1,)), AdmissibleRoot)
    assert isinstance(dtdsym.exact_root(network, (1,), domain="nonnegative"), NoAdmissibleRoot)


def test_other_domains_and_neurons_are_refused():
    network = sequential(([[1]], [1]))
    with pytest.raises(InputError, match="domain 'real': expected nonnegative"):
        dtdsym.exact_root(network, (1,), domain="real")
    with pytest.raises(InputError, match="neuron 3 does not exist; layer 1 has neurons 0 to 0"):
        dtdsym.exact_root(network, (1,), neuron=3)


def test_a_neurons_root_lies_on_its_hinge():
    rng = np.random.default_rng(0)
    network = sequential((rng.integers(-2, 3, (3, 4)), [1, 0, -1]), (np.ones((1, 3)), [0]))
    x = (1, 2, -1, 3)
    for neuron in range(3):
        z = sum(float(w) * p for w, p in zip(network.nodes[1].weight[neuron], x, strict=True))
        if z + float(network.nodes[1].bias[neuron]) == 0:
            continue
        found = dtdsym.exact_root(network, x, neuron=neuron)
        if isinstance(found, AdmissibleRoot):
            row = [Fraction(w) for w in network.nodes[1].weight[neuron].tolist()]
            bias = Fraction(float(network.nodes[1].bias[neuron]))
            assert sum(w * p for w, p in zip(row, found.point, strict=True)) + bias == 0


def test_of_the_last_layer_only_the_explained_neuron_has_relevance():
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1], [2, 1]], [0, 1]), final_relu=False)
    found = dtdsym.exact_root(network, (1, 2), layer=2, neuron=1, logit=1)
    assert 2 * found.point[0] + found.point[1] + 1 == 0
    with pytest.raises(InputError, match="neuron 0 of the last layer has no relevance: logit 1 is explained"):
        dtdsym.exact_root(network, (1, 2), layer=2, neuron=0, logit=1)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"logit": "0"}, "logit '0' does not exist"),
        ({"layer": "all"}, "layer 'all' does not exist"),
        ({"neuron": "a"}, "neuron 'a' does not exist"),
        ({"budget": 5}, "budget=5: give dtdsym.Budget"),
    ],
)
def test_arguments_of_other_kinds_are_refused(asked, message):
    with pytest.raises(InputError, match=message):
        dtdsym.exact_root(sequential(([[1, 1]], [0])), (1, 2), **asked)
