"""Enclosed relevances and roots hold the exact ones, and say nothing where a sign that matters is open."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import layers

from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure, exact
from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import sequential
from dtdsym.relevance.root import layer_roots
from dtdsym.relevance.rule import parse_rule as parse
from dtdsym.relevance.train_free import propagate

RULES = ["lrp0", "epsilon:1/2", "gamma:1/3", "zplus", "alpha_beta:2:1", "w2", "x", "flat", "zbox:-1:3", "pinv"]
HINGED = [rule for rule in RULES if rule not in ("epsilon:1/2", "alpha_beta:2:1")]
MIDS = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
RADS = st.sampled_from([0.0, 0.0, 2.0**-40, 0.25, 1.0])
PLACES = st.sampled_from([Fraction(-1), Fraction(-1, 3), Fraction(0), Fraction(1)])
COORDINATES = st.tuples(*[st.tuples(MIDS, RADS, PLACES)] * 3)


def asked(network, arithmetic, x, rule, layer=1, kind="relevance"):
    """Relevances of all nodes, and the roots of a layer."""
    values = evaluate(network, arithmetic, {0: x})
    relevances = propagate(network, arithmetic, values, parse(rule))
    return relevances, layer_roots(network, arithmetic, values, relevances, layer, parse(rule), kind)


def holds(enclosed, value):
    """Asserts that each entry of a batch of one encloses its exact value."""
    pairs = zip(enclosed.mid.flatten().tolist(), enclosed.rad.flatten().tolist(), strict=True)
    for (mid, rad), truth in zip(pairs, fractions(value.ravel()), strict=True):
        assert rad == inf or abs(Fraction(mid) - truth) <= Fraction(rad), (mid, rad, truth)


def assert_encloses(network, box, point, rule, layer, kind):
    relevances, found = asked(network, ENCLOSURE, box, rule, layer, kind)
    truths, true_roots = asked(network, RATIONAL, RATIONAL.lift(point), rule, layer, kind)
    for node, value in truths.at.items():
        holds(relevances.at[node], value)
    for what in ("roots", "displacement", "denominator"):
        holds(getattr(found, what), getattr(true_roots, what))


@pytest.mark.parametrize("rule", RULES)
@given(drawn=layers(3), coordinates=COORDINATES, final_relu=st.booleans(), data=st.data())
@settings(max_examples=50)
def test_what_holds_the_input_holds_its_relevances_and_roots(rule, drawn, coordinates, final_relu, data):
    network = sequential(*drawn, final_relu=final_relu)
    mid, rad = (torch.tensor([[entry[i] for entry in coordinates]], dtype=torch.float64) for i in (0, 1))
    point = [Fraction(m) + place * Fraction(r) for m, r, place in coordinates]
    layer = data.draw(st.integers(1, len(drawn)))
    kind = data.draw(st.sampled_from(["relevance", "hinge"] if rule in HINGED else ["relevance"]))
    assert_encloses(network, Enclosure(mid, rad), point, rule, layer, kind)


@pytest.mark.parametrize("rule", RULES)
def test_on_ordinary_networks_bounds_are_narrow(rule):
    generator = np.random.default_rng(5)
    shapes = [(8, 6), (8, 8), (1, 8)]
    drawn = [(generator.standard_normal(s).tolist(), generator.standard_normal(s[0]).tolist()) for s in shapes]
    network = sequential(*drawn[:2], (drawn[2][0], [6.0]))
    x = np.abs(generator.standard_normal((20, 6)))
    relevances, found = asked(network, ENCLOSURE, exact(x), rule)
    assert torch.isfinite(relevances.input.rad).all()
    assert relevances.input.rad.median() <= 1e-10
    assert found.roots.rad.median() <= 1e-10
    assert (relevances.input.mid != 0).any()
    for index in (0, 7):
        assert_encloses(network, exact(x[index : index + 1]), x[index].tolist(), rule, 1, "relevance")


@pytest.mark.parametrize("rule", RULES)
@given(drawn=layers(3), x=st.tuples(MIDS, MIDS, MIDS))
@settings(max_examples=30)
def test_facts_about_roots_are_facts(rule, drawn, x):
    network = sequential(*drawn)
    _, found = asked(network, ENCLOSURE, exact([x]), rule)
    _, truth = asked(network, RATIONAL, RATIONAL.lift(x), rule)
    missing = truth.denominator == 0
    still = (truth.displacement == 0).all(-1)
    assert (found.denominator.is_zero()[0].numpy() <= missing).all()
    assert (found.denominator.excludes_zero()[0].numpy() <= ~missing).all()
    assert (found.displacement.is_zero()[0].all(-1).numpy() <= still).all()
    assert (found.displacement.excludes_zero()[0].any(-1).numpy() <= ~still).all()


def test_degenerate_and_missing_roots_are_recognised():
    # Neuron 0 is inactive, so that R = 0; neuron 1 sees only zeros; neuron 2 is ordinary.
    network = sequential(([[1, -3], [0, 0], [1, 1]], [0, 1, 0]), ([[1, 1, 1]], [0]))
    _, found = asked(network, ENCLOSURE, exact([[1.0, 1.0]]), "zplus")
    assert found.denominator.is_zero().tolist() == [[False, True, False]]
    assert found.denominator.excludes_zero().tolist() == [[True, False, True]]
    assert found.displacement.is_zero().all(-1).tolist() == [[True, True, False]]


def test_the_root_of_lrp0_is_exactly_zero_at_any_layer():
    network = sequential(([[0.1, 0.3], [0.7, 0.2]], [0.1, 0.2]), ([[0.1, 0.3]], [0]))
    _, found = asked(network, ENCLOSURE, exact([[0.1, 0.7]]), "lrp0", layer=2)
    assert (found.displacement.rad > 0).all()
    assert found.roots.is_zero().all()


def around(*pairs):
    mid, rad = torch.tensor([pairs], dtype=torch.float64).unbind(-1)
    return Enclosure(mid, rad)


@pytest.mark.parametrize(
    ("rule", "x", "unknown"),
    [
        ("epsilon:1/2", around((1, 1), (1, 1)), [True, True]),  # the sign of x1 - x2
        ("lrp0", around((1, 1), (1, 1)), [True, True]),  # x1 - x2 may be 0
        ("x", around((1, 1), (1, 1)), [True, True]),
        ("zplus", around((0, 1), (3, 0)), [True, False]),  # the sum of positive parts, x1, may be 0
        ("alpha_beta:2:1", around((0, 1), (3, 0)), [True, False]),  # the sum of positive parts; the negative one is < 0
        ("zbox:0:9", around((0, 1), (9, 0)), [True, False]),
        ("epsilon:1/2", around((5, 1), (1, 1)), [False, False]),
        ("alpha_beta:2:1", around((5, 1), (1, 0)), [False, False]),
    ],
)
def test_an_open_sign_that_matters_means_that_nothing_is_known(rule, x, unknown):
    network = sequential(([[1, -1]], [0]), final_relu=False)
    relevances, found = asked(network, ENCLOSURE, x, rule)
    assert torch.isinf(relevances.input.rad).tolist() == [unknown]
    if rule != "lrp0":
        assert torch.isinf(found.roots.rad).tolist() == [[unknown]]
