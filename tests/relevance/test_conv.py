"""Rules on convolutions, pools and batch normalisation: message by message, and as on their dense expansions."""

from __future__ import annotations

from fractions import Fraction
from math import inf

import builders
import numpy as np
import pytest
import torch
from builders import at_points, conv_networks, merged
from dense import dense
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure
from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.network.builder import Builder
from dtdsym.network.evaluate import differentiate, evaluate, max_masks
from dtdsym.network.layers import Add, MaxPool, Relu
from dtdsym.relevance import rule as rule_module
from dtdsym.relevance.composite import WAYS
from dtdsym.relevance.composite import parse as parse_composite
from dtdsym.relevance.root import layer_roots, roots_of_layer
from dtdsym.relevance.rule import families, parse_rule, register_rule
from dtdsym.relevance.train_free import propagate

RULES = [name if family.defaults is not None or not family.parameters else f"{name}:-1:2"
         for name, family in families().items()]  # fmt: skip
ON_ALL_OF_THE_FIELD = {"even", "zennit.flat"}
"""Rules that give a share to inputs of weight 0, so that a dense layer, whose field is everything, differs."""
AS_DENSE = [rule for rule in RULES if rule not in ON_ALL_OF_THE_FIELD]
NETWORKS = at_points(conv_networks())
DYADIC = at_points(conv_networks(dyadic=True))
NORMED = at_points(conv_networks(dyadic=True, sequence=(builders.convolve, builders.normalise, builders.rectify)))


def asked(network, rule, x, ops=RATIONAL, **more):
    """Values and relevances of all nodes at a batch of inputs, or at one."""
    values = evaluate(network, ops, {0: ops.lift(x)})
    return values, propagate(network, ops, values, rule, **more)


def on_fields(layer, messages, *, whole):
    """Messages (out, field) as a matrix (out, in) of Fractions, one entry after the other."""
    fields = None if whole else layer.fields()
    table = [[Fraction(0)] * layer.width for _ in range(layer.size)]
    rows = RATIONAL.where(np.ones((layer.size, messages.shape[-1]), dtype=bool), messages, 0)
    for neuron, row in enumerate(rows):
        for place, message in enumerate(fractions(row)):
            entry = place if fields is None else fields[neuron, place]
            if entry >= 0:
                table[neuron][entry] += message
    return table


# Messages


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=8)
@given(pair=NETWORKS, folded=st.booleans())
def test_what_is_passed_down_is_the_sum_of_the_messages(rule, pair, folded):
    network, x = pair
    network = network if folded else network.unfolded()
    own = parse_rule(rule)
    values, relevances = asked(network, own, x)
    for output, layer in network.linear.items():
        neurons = own.neurons(RATIONAL, layer, values, relevances.at[output])
        table = on_fields(layer, own.messages(neurons), whole=own.family.whole)
        passed = own.pass_down(RATIONAL, layer, values, relevances.at[output], ledger=True)
        assert list(fractions(passed.below)) == [sum(column) for column in zip(*table, strict=True)]
        gone = [sum(parts) for parts in zip(*(fractions(part) for part in passed.lost.values()), strict=True)]
        arrived = fractions(relevances.at[output])
        assert gone == [r - sum(row) for r, row in zip(arrived, table, strict=True)]


@settings(max_examples=30)
@given(pair=NETWORKS, rule=st.sampled_from(RULES))
def test_blocks_of_neurons_are_parts_of_all_of_them(pair, rule):
    network, x = pair
    own = parse_rule(rule)
    values, relevances = asked(network, own, x)
    for number in range(1, len(network.layers) + 1):
        whole = layer_roots(network, RATIONAL, values, relevances, number, own)
        for start in range(0, network.layer(number).size, 2):
            block = slice(start, start + 2)
            part = layer_roots(network, RATIONAL, values, relevances, number, own, block=block)
            assert (part.roots == whole.roots[block]).all()
            assert (part.displacement == whole.displacement[block]).all()
            assert (part.denominator == whole.denominator[block]).all()


# Dense expansions


def same_roots(here, there, layer, twin, own, kind):
    """Roots of a layer and of its dense expansion: equal on receptive fields, and the input itself off them."""
    (network, values, relevances), number = here, layer.number
    found = layer_roots(network, RATIONAL, values, relevances, number, own, kind)
    truth = layer_roots(there[0], RATIONAL, *there[1:], twin.number, own, kind)
    assert (found.denominator == truth.denominator).all()
    fields = None if own.family.whole else layer.fields()
    inside = np.ones((layer.size, layer.width), dtype=bool)
    if fields is not None:
        inside = np.array([np.isin(np.arange(layer.width), row) for row in fields])
    assert (found.roots[inside] == truth.roots[inside]).all()
    a = np.broadcast_to(values[layer.source], inside.shape)
    assert (found.roots[~inside] == a[~inside]).all()
    assert (found.roots + found.displacement == a).all()
    listed = roots_of_layer(network, values, relevances, number, own, kind)
    assert [isinstance(root, np.ndarray) for root in listed] == [along != 0 for along in found.denominator]


def as_dense(network, x, own):
    one, first = merged(network)
    wide, second = dense(one)
    where, other = asked(network, own, x), asked(wide, own, x)
    for index, place in first.items():
        assert (where[0][index] == other[0][second[place]]).all()
        assert (where[1].at[index] == other[1].at[second[place]]).all()
    for layer in network.layers:
        twin = wide.linear[second[first[layer.output]]]
        for kind in ("relevance", "hinge") if own.family.hinge else ("relevance",):
            same_roots((network, *where), (wide, *other), layer, twin, own, kind)


@pytest.mark.parametrize("rule", AS_DENSE)
@settings(max_examples=8)
@given(pair=DYADIC | NORMED)
def test_a_network_has_the_relevances_and_roots_of_its_dense_expansion(rule, pair):
    network, x = pair
    as_dense(network, x, parse_rule(rule))


@settings(max_examples=40)
@given(pair=NORMED, rule=st.sampled_from(AS_DENSE))
def test_unfolded_batch_normalisation_is_a_dense_layer_of_its_own(pair, rule):
    network, x = pair
    own, apart = parse_rule(rule), network.unfolded()
    assert len(apart.layers) > len(network.layers)
    wide, place = dense(apart)
    (_, found), (_, truth) = asked(apart, own, x), asked(wide, own, x)
    for index, there in place.items():
        assert (found.at[index] == truth.at[there]).all()


def way_names():
    return [f"{node}={way}" for node, ways in WAYS.items() for way in ways] + [
        "add=magnitude:1/2",
        "maxpool=winner:1/3",
    ]


@pytest.mark.parametrize("way", way_names())
@settings(max_examples=10)
@given(pair=DYADIC, rule=st.sampled_from(AS_DENSE))
def test_ways_of_passing_other_nodes_do_not_depend_on_how_layers_are_written(way, pair, rule):
    network, x = pair
    chosen = parse_composite(f"*={rule},{way}")
    wide, place = dense(merged(network)[0])
    found, truth = (asked(part, chosen, x)[1].input for part in (network, wide))
    assert (found == truth).all()
    assert place[0] == 0


# Other arithmetics


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=8)
@given(pair=NETWORKS, rads=st.lists(st.sampled_from([0.0, 0.0, 2.0**-40, 0.25]), min_size=12, max_size=12),
       place=st.sampled_from([Fraction(-1), Fraction(-1, 3), Fraction(0), Fraction(1)]))  # fmt: skip
def test_enclosures_hold_the_exact_relevances_and_roots(rule, pair, rads, place):
    network, x = pair
    own = parse_rule(rule)
    mid = torch.tensor([[float(number) for number in x]], dtype=torch.float64)
    rad = torch.tensor([rads[: len(x)]], dtype=torch.float64)
    point = [Fraction(m) + place * Fraction(r) for m, r in zip(mid[0].tolist(), rad[0].tolist(), strict=True)]
    values, relevances = asked(network, own, Enclosure(mid, rad), ENCLOSURE)
    true_values, true_relevances = asked(network, own, point)
    for index, truth in true_relevances.at.items():
        holds(relevances.at[index], truth)
    for number in range(1, len(network.layers) + 1):
        found = layer_roots(network, ENCLOSURE, values, relevances, number, own)
        truth = layer_roots(network, RATIONAL, true_values, true_relevances, number, own)
        for what in ("roots", "displacement", "denominator"):
            holds(getattr(found, what), getattr(truth, what))


def holds(enclosed, value):
    pairs = zip(enclosed.mid.flatten().tolist(), enclosed.rad.flatten().tolist(), strict=True)
    for (mid, rad), truth in zip(pairs, fractions(value.ravel()), strict=True):
        assert rad == inf or abs(Fraction(mid) - truth) <= Fraction(rad), (mid, rad, truth)


@settings(max_examples=100)
@given(pair=at_points(conv_networks(dyadic=True), floats=True), rule=st.sampled_from(RULES))
def test_tensors_are_close_to_the_exact_relevances(pair, rule):
    """Where products of dyadic numbers are exact, floats meet the same zeros, ties and signs."""
    network, x = pair
    _, found = asked(network, parse_rule(rule), torch.tensor([[float(n) for n in x]], dtype=torch.float64), TENSOR)
    _, truth = asked(network, parse_rule(rule), x)
    largest = max(abs(number) for value in truth.at.values() for number in fractions(value))
    for index, value in truth.at.items():
        for number, close in zip(fractions(value), found.at[index][0].tolist(), strict=True):
            assert abs(number - Fraction(close)) <= (1 + largest) / 10**9


# lrp0 is gradient x input


def gradient(network, values):
    masks = {}
    for index, node in enumerate(network.nodes):
        if isinstance(node, Relu):
            masks[index] = values[node.source] > 0
        if isinstance(node, MaxPool):
            masks[index] = max_masks(network, index, RATIONAL, values)
    return differentiate(network, RATIONAL, masks, RATIONAL.lift([1]))


@settings(max_examples=150)
@given(pair=NETWORKS | at_points(conv_networks(sequence=(builders.convolve, builders.normalise))), folded=st.booleans())
def test_lrp0_is_gradient_times_input_wherever_no_sum_is_0(pair, folded):
    """Folded or not: with factors that are rounded roots, negative and zero ones; a sum that is 0 passes nothing on."""
    network, x = pair
    network = network if folded else network.unfolded()
    values, relevances = asked(network, parse_rule("lrp0"), x)
    slopes = gradient(network, values)
    sums = [index for index, node in enumerate(network.nodes) if isinstance(node, Add) or index in network.linear]
    assume(not any(((values[index] == 0) & (slopes[index] != 0)).any() for index in sums if index in slopes))
    inside = {layer.output - 1 for layer in network.linear.values() if layer.norm is not None}
    for index, slope in slopes.items():
        if index in inside:
            continue
        assert (relevances.at[index] == slope * values[index]).all()


# A user's rule


def signed(ops, w, a, strength):
    """gamma's direction, written by a user."""
    return a + a * (w >= 0) * strength


def clipped(ops, w, a, least):
    """A direction that no built-in rule has."""
    return ops.where(w == 0, 0, ops.maximum(a, least) + w)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(rule_module, "_FAMILIES", dict(rule_module._FAMILIES))
    for direction in (signed, clipped):
        register_rule(direction.__name__, direction, parameters=("number",), defaults=(1,))


@pytest.mark.usefixtures("registered")
@settings(max_examples=40)
@given(pair=DYADIC | NORMED, strength=st.sampled_from(["0", "1/3", "2"]))
def test_a_users_rule_passes_down_what_the_same_built_in_rule_does(pair, strength):
    network, x = pair
    found, truth = (asked(network, parse_rule(f"{name}:{strength}"), x)[1] for name in ("signed", "gamma"))
    for index, value in truth.at.items():
        assert (found.at[index] == value).all()


@pytest.mark.usefixtures("registered")
@settings(max_examples=40)
@given(pair=DYADIC | NORMED)
def test_a_users_rule_has_the_relevances_and_roots_of_the_dense_expansion(pair):
    network, x = pair
    as_dense(network, x, parse_rule("clipped:1/2"))


@pytest.mark.parametrize("rule", sorted(ON_ALL_OF_THE_FIELD))
def test_rules_that_look_at_no_weight_have_enclosed_roots_where_weights_are_inexact(rule):
    """A folded factor makes each weight a product that no float holds: w == w is then not decided."""
    build = Builder((1, 3))
    value = build.convolve(build.input, np.array([[[0.1, 0.0]]]), None, padding=1)
    one = np.ones(1)
    value = build.batch_norm(value, one, one, one, one, 2.0)
    network, x = build.network(build.linear(build.flatten(value), np.ones((1, 4)), None)), [1, 2, 3]
    values, relevances = asked(network, parse_rule(rule), [x], ENCLOSURE)
    true_values, true_relevances = asked(network, parse_rule(rule), x)
    found = layer_roots(network, ENCLOSURE, values, relevances, 1, parse_rule(rule))
    truth = layer_roots(network, RATIONAL, true_values, true_relevances, 1, parse_rule(rule))
    holds(found.roots, truth.roots)
    assert (found.roots.rad < 1e-9).all()
