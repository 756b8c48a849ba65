"""Relevance from the logit to the input equals the textbook formulas, exactly; floats come close."""

from __future__ import annotations

import gc
import weakref
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import train_free
from strategies import COORDINATES, layers

from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.errors import InputError, NotExact, RuleError, ShapeMismatch
from dtdsym.network.evaluate import differentiate, evaluate
from dtdsym.network.layers import Add, Affine, Input, Relu, Take
from dtdsym.network.network import Network, sequential
from dtdsym.relevance import explain as subject
from dtdsym.relevance.explain import explain
from dtdsym.relevance.rule import parse_rule as parse
from dtdsym.relevance.train_free import propagate

RULES = [
    "lrp0",
    "epsilon",
    "epsilon:1/2",
    "gamma:0",
    "gamma:1",
    "gamma:1/3",
    "zplus",
    "alpha_beta:1:0",
    "alpha_beta:2:1",
    "w2",
    "x",
    "flat",
    "zbox:-1:3",
    "pinv",
]
POINTS = st.tuples(COORDINATES, COORDINATES, COORDINATES)
NONNEGATIVE = st.tuples(*[st.integers(0, 6).map(lambda n: Fraction(n, 3))] * 3)


def relevances(network, x, rule):
    return propagate(network, RATIONAL, evaluate(network, RATIONAL, {0: RATIONAL.lift(x)}), parse(rule))


@pytest.mark.parametrize("rule", RULES)
@given(layers(3), POINTS, st.booleans())
@settings(max_examples=40)
def test_every_layer_has_the_relevance_of_the_textbook(rule, drawn, x, final_relu):
    network = sequential(*drawn, final_relu=final_relu)
    parsed, found = parse(rule), relevances(network, x, rule)
    expected = train_free(drawn, x, parsed.name, parsed.parameters, final_relu)
    for layer, (lower, upper) in enumerate(pairwise(expected), start=1):
        assert fractions(found.lower(layer)) == lower
        assert fractions(found.upper(layer)) == upper
    assert explain(network, x, rule) == fractions(found.input) == expected[0]


@given(layers(3), POINTS)
def test_gamma_zero_is_the_rule_x(drawn, x):
    assert explain(sequential(*drawn), x, "gamma:0") == explain(sequential(*drawn), x, "x")


@given(layers(3), NONNEGATIVE)
def test_alpha_one_beta_zero_is_zplus_for_nonnegative_inputs(drawn, x):
    assert explain(sequential(*drawn), x, "alpha_beta:1:0") == explain(sequential(*drawn), x, "zplus")


def test_alpha_one_beta_zero_is_not_zplus_for_negative_inputs():
    network = sequential(([[1, -1]], [0]), final_relu=False)
    assert explain(network, (-2, -3), "zplus") == (1, 0)
    assert explain(network, (-2, -3), "alpha_beta:1:0") == (0, 1)


@given(layers(3), POINTS)
@settings(max_examples=100)
def test_lrp0_is_gradient_times_input(drawn, x):
    network = sequential(*drawn)
    values = evaluate(network, RATIONAL, {0: RATIONAL.lift(x)})
    masks = {i: values[node.source] > 0 for i, node in enumerate(network.nodes) if isinstance(node, Relu)}
    gradient = differentiate(network, RATIONAL, masks, RATIONAL.lift([1]))[0]
    assert explain(network, x, "lrp0") == fractions(gradient * RATIONAL.lift(x))


def test_lrp0_loses_everything_where_a_linear_logit_is_zero():
    assert explain(sequential(([[1, -1]], [0]), final_relu=False), (2, 2), "lrp0") == (0, 0)


def float64(rows):
    return np.array(rows, dtype=np.float64)


def residual_network():
    """u = [(x1 + x2, x1 - x2)]; s = u + x; f = s1 + 3 s2."""
    return Network(
        (
            Input((2,)),
            Affine(float64([[1, 1], [1, -1]]), float64([0, 0]), 0),
            Relu(1),
            Add(2, 0),
            Affine(float64([[1, 3]]), float64([0]), 3),
        )
    )


def test_an_addition_splits_in_proportion_to_signed_values():
    # At (2, -1): u = (1, 3), s = (3, 2), f = 9, R_s = (3, 6). Branch x keeps 2/3 of 3 and -1/2 of 6: (2, -3).
    # Branch u gets (1, 9); z+ sends 1 to (2 - 1) in shares (2, -1), and all of 9 to x1.
    found = relevances(residual_network(), (2, -1), "zplus")
    assert fractions(found.at[3]) == (3, 6)
    assert fractions(found.upper(1)) == (1, 9)
    assert fractions(found.input) == (2 + 2 + 9, -3 - 1)
    assert sum(fractions(found.input)) == 9


def test_an_addition_loses_what_arrives_at_a_sum_of_zero():
    # At (0, -2): u = (0, 2), s = (0, 0), f = 5, R_s = (1/2, 9/2): proportions of 0 are not defined.
    network = Network((*residual_network().nodes[:4], Affine(float64([[1, 3]]), float64([5]), 3)))
    assert fractions(relevances(network, (0, -2), "w2").at[3]) == (Fraction(1, 2), Fraction(9, 2))
    assert explain(network, (0, -2), "w2") == (0, 0)


def test_relevance_of_a_node_used_twice_adds_up():
    doubled = Network((Input((1,)), Add(0, 0), Affine(float64([[2]]), float64([0]), 1)))
    assert explain(doubled, (3,), "zplus") == (12,)


def test_a_selected_logit_puts_relevance_in_its_place():
    nodes = residual_network().nodes[:4]
    both = Network((*nodes, Affine(float64([[1, 0], [0, 1]]), float64([0, 0]), 3), Add(4, 3)))
    cut = both.logit(1)
    assert any(isinstance(node, Take) for node in cut.nodes)
    found = relevances(cut, (2, -1), "zplus")
    assert fractions(found.at[5]) == (0, 4)
    assert fractions(found.at[3]) == (0, 4)


def test_a_layer_that_the_logit_does_not_depend_on_has_relevance_zero():
    unused = Affine(float64([[1, 1], [0, 1]]), float64([1, 1]), 0)
    network = Network((Input((2,)), unused, Affine(float64([[1, 2]]), float64([0]), 0)))
    found = relevances(network, (3, 4), "zplus")
    assert fractions(found.upper(1)) == (0, 0)
    assert fractions(found.input) == (3, 8)


def test_only_one_logit_is_explained():
    with pytest.raises(ShapeMismatch, match="2 outputs; cut it to the explained one"):
        relevances(sequential(([[1], [2]], [0, 0])), (1,), "zplus")


def test_logits_are_chosen_by_number():
    network = sequential(([[1, 1], [1, -1]], [0, 0]), final_relu=False)
    assert explain(network, (1, 2), "x", logit=1) == (1, -2)
    with pytest.raises(InputError, match="logit 2 does not exist"):
        explain(network, (1, 2), logit=2)


def random_layers(seed, widths=(7, 9, 8, 1)):
    generator = np.random.default_rng(seed)
    return [
        (generator.standard_normal((out, size)).tolist(), (generator.standard_normal(out) / 2).tolist())
        for size, out in pairwise(widths)
    ]


@pytest.mark.parametrize("rule", RULES)
def test_a_batch_of_floats_comes_close_to_the_exact_relevances(rule, monkeypatch):
    *hidden, (weight, _) = random_layers(3)
    network = sequential(*hidden, (weight, [5]))
    x = torch.rand(5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float32)
    exact = [[float(q) for q in explain(network, row, rule)] for row in x]
    assert any(any(row) for row in exact)
    found = explain(network, x, rule)
    assert found.dtype == torch.float64
    assert torch.allclose(found, torch.tensor(exact, dtype=torch.float64), rtol=1e-9, atol=1e-11)
    monkeypatch.setattr(subject, "ENTRIES", 2 * max(network.sizes))
    assert torch.allclose(explain(network, x, rule), found, rtol=1e-9, atol=1e-11)


def test_a_float_is_read_exactly():
    network = sequential(([[1, 1]], [0]))
    assert explain(network, [0.1, 0.2], "zplus") == (Fraction(0.1), Fraction(0.2))
    assert explain(network, torch.tensor([0.5, 0.25]), "zplus") == (Fraction(1, 2), Fraction(1, 4))


@pytest.mark.parametrize(
    ("x", "error", "told"),
    [
        ((1,), ShapeMismatch, "expected \\(2,\\)"),
        (torch.ones(3, 5), ShapeMismatch, "x has shape \\(3, 5\\); expected \\(2,\\) for one input, a batch"),
        (torch.ones(1, 1, 2), ShapeMismatch, "x has shape \\(1, 1, 2\\)"),
        ((1, float("nan")), NotExact, "x: nan"),
        (torch.tensor([[1.0, float("inf")]]), NotExact, "every number must be finite"),
    ],
)
def test_bad_inputs_are_refused(x, error, told):
    with pytest.raises(error, match=told):
        explain(sequential(([[1, 1]], [0])), x)


def test_an_unknown_rule_is_refused():
    with pytest.raises(RuleError, match="unknown rule 'magic'; the rules are lrp0"):
        explain(sequential(([[1, 1]], [0])), (1, 1), "magic")


def test_what_was_made_of_a_network_goes_with_it():
    network = sequential(([[1, -1]], [0]), ([[2]], [1]))
    explain(network, torch.ones(1, 2), "w2")
    explain(network, [1, 1], "zplus")
    layers = [weakref.ref(layer) for layer in network.linear.values()]
    del network
    gc.collect()
    assert [layer() for layer in layers] == [None, None]
