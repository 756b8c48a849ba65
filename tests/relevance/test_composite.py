"""Composites: which rule holds at which layer, presets, what is refused and in which words."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from builders import at_points, conv_networks
from hypothesis import given, settings

import dtdsym
from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.errors import RuleError
from dtdsym.network.builder import Builder
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import sequential
from dtdsym.relevance.composite import PRESETS, WAYS, Composite, composite, parse
from dtdsym.relevance.rule import Rule, parse_rule
from dtdsym.relevance.train_free import propagate


def network(*, fold=True, names=("", "", "head")):
    """conv, batch normalisation, ReLU, average pool, conv, constant, linear: layers 1 to 3, or 4 unfolded."""
    build = Builder((1, 4))
    ones = np.ones(2)
    value = build.convolve(build.input, np.array([[[1.0]], [[-2.0]]]), np.array([1.0, 0.5]), name=names[0])
    value = build.relu(build.batch_norm(value, ones, ones, ones, ones, 1.0, name="norm"))
    value = build.average_pool(value, 2, name="mean")
    value = build.convolve(value, np.array([[[1.0], [-1.0]], [[2.0], [1.0]]]), np.array([-0.5, 0.5]), name=names[1])
    value = build.scale(value, 3.0, 1.0, name="triple")
    value = build.linear(build.flatten(value), np.array([[1.0, -1.0, 2.0, 0.5]]), np.array([0.5]), name=names[2])
    made = build.network(value)
    return made if fold else made.unfolded()


def chosen(text, net):
    """The label of the rule of every linear map, unnumbered ones included."""
    made = parse(text)
    return [made.rule(layer, net).label for layer in net.linear.values()]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("*=w2", ["w2", "w2", "w2", "w2", "w2"]),
        ("*=w2,conv=zplus", ["zplus", "w2", "zplus", "w2", "w2"]),
        ("conv=zplus,*=w2,first=flat", ["flat", "w2", "zplus", "w2", "w2"]),
        ("*=w2,last=flat,linear=zplus", ["w2", "w2", "w2", "w2", "flat"]),
        ("*=w2,last=flat,head=gamma:2", ["w2", "w2", "w2", "w2", "gamma:2"]),
        ("*=w2,last=flat,head=gamma:2,3=lrp0", ["w2", "w2", "w2", "w2", "lrp0"]),
        ("first=flat,1=lrp0,conv=zplus,linear=w2", ["lrp0", "x", "zplus", "x", "w2"]),
        ("conv=zplus,linear=w2,avgpool=flat,triple=even", ["zplus", "flat", "zplus", "even", "w2"]),
        ("*=zplus,scale=flat,mean=w2,avgpool=even", ["zplus", "w2", "zplus", "flat", "zplus"]),
        ("2=flat,1=zplus,3=w2", ["zplus", "x", "flat", "x", "w2"]),
    ],
)
def test_the_most_particular_selector_holds_in_whatever_order(text, labels):
    net = network()
    parse(text).check(net)
    assert chosen(text, net) == labels
    rules = text.split(",")
    assert chosen(",".join(reversed(rules)), net) == labels


def test_unfolded_batch_normalisation_is_a_layer_with_a_number_and_a_kind():
    net = network(fold=False)
    assert chosen("*=w2,batchnorm=flat", net) == ["w2", "flat", "w2", "w2", "w2", "w2"]
    assert chosen("*=w2,norm=zplus,2=lrp0", net) == ["w2", "lrp0", "w2", "w2", "w2", "w2"]
    assert chosen("*=w2,4=zplus", net) == ["w2", "w2", "w2", "w2", "w2", "zplus"]


def test_a_rule_for_folded_batch_normalisation_is_refused_and_says_how():
    parse("*=w2,batchnorm=flat").check(network(fold=False))
    with pytest.raises(RuleError, match=r"folded into the layers; use network.unfolded\(\) \(--batchnorm own\)"):
        parse("*=w2,batchnorm=flat").check(network())


def test_a_layer_named_by_a_number_or_first_or_a_kind_does_not_take_another_layers_rule():
    assert chosen("*=w2,2=flat", network(names=("2", "", ""))) == ["w2", "w2", "flat", "w2", "w2"]
    assert chosen("*=w2,2=flat", network(names=("", "", "2"))) == ["w2", "w2", "flat", "w2", "w2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv=zplus", r"has no rule for layer 3 \(head, linear\); add linear=RULE or \*=RULE"),
        ("linear=zplus", r"has no rule for layer 1 \(.*, conv\); add conv=RULE or \*=RULE"),
        ("*=zplus,4=w2", "no layer is '4'; expected SELECTOR=RULE"),
        ("*=zplus,had=w2", "no layer is 'had'; .*a selector is first, last, a layer's number or name"),
        ("*=zplus,0=w2", "no layer is '0'"),
    ],
)
def test_a_composite_that_does_not_fit_the_network_is_refused(text, message):
    with pytest.raises(RuleError, match=message):
        parse(text).check(network())
    with pytest.raises(RuleError, match=message):
        dtdsym.explain(network(), [1, 2, 3, 4], text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv=zplus,conv=w2", "'conv=w2' is no selector with a rule, or doubled"),
        ("add=both,add=both,*=w2", "'add=both' is no selector with a rule, or doubled"),
        ("conv=zplus,", "'' is no selector with a rule"),
        ("=zplus", "'=zplus' is no selector"),
        ("conv=zplus,w2", "'w2' is no selector"),
        ("conv=zplusz", "unknown rule 'zplusz'; the rules are lrp0, epsilon"),
        ("conv=", "unknown rule ''"),
        ("conv=gamma:-1", "rule 'gamma:-1': gamma takes gamma >= 0"),
        ("conv=epsilon:0", "rule 'epsilon:0': epsilon takes epsilon > 0"),
        ("conv=zbox", "rule 'zbox': zbox takes the bounds LOW:HIGH"),
        ("add=both", "names no rule"),
        ("*=w2,add=all", "add=all: expected proportional or magnitude or both or captum"),
        ("*=w2,relu=both", "relu=both: expected pass or gradient"),
        ("*=w2,maxpool=all", "maxpool=all: expected winner or proportional or uniform"),
        ("*=w2,reuse=first", "reuse=first: expected own or last"),
        ("*=w2,add=proportional:0", "add=proportional:0: expected"),
        ("*=w2,add=proportional:-1", "expected proportional"),
        ("*=w2,add=proportional:x", "take a stabiliser, as in add=proportional:1e-6"),
        ("*=w2,add=proportional:1/0", "take a stabiliser"),
        ("*=w2,add=both:1", "proportional, magnitude, winner take a stabiliser"),
        ("*=w2,relu=pass:1", "take a stabiliser"),
        ("epsilon_plus:1", "epsilon_plus takes 0 parameters"),
        ("epsilon_gamma_box", "epsilon_gamma_box takes 2 parameters, for example :0:1"),
        ("epsilon_gamma_box:0", "takes 2 parameters"),
        ("epsilon_gamma_box:1:0", "rule 'zbox:1:0'"),
        ("epsilon_minus", "unknown rule 'epsilon_minus'"),
    ],
)
def test_what_is_no_composite_is_refused_by_name_in_one_line(text, message):
    with pytest.raises(RuleError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_ways_and_stabilisers_are_read_exactly_and_have_defaults():
    plain = parse("*=w2")
    assert (plain.add, plain.relu, plain.maxpool, plain.reuse) == tuple(ways[0] for ways in WAYS.values())
    assert plain.epsilon("add") is None
    made = parse(" * = w2 , add = magnitude:0.1, relu=gradient, maxpool=winner:1e-3, reuse=last")
    assert (made.add, made.relu, made.maxpool, made.reuse) == ("magnitude", "gradient", "winner", "last")
    assert made.epsilon("add") == Fraction(1, 10)
    assert made.epsilon("maxpool") == Fraction(1, 1000)
    assert made.label == made.name
    assert made.parameters == ()


def test_one_rule_is_a_composite_for_all_layers():
    one = parse("gamma:1/3")
    assert isinstance(one, Rule)
    assert composite(one) == Composite("gamma:1/3", (("*", one),))
    assert composite(parse("*=gamma:1/3")) == parse("*=gamma:1/3")
    assert parse(one) is one
    made = parse("*=w2")
    assert parse(made) is made


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("epsilon_plus", ["zplus", "x", "zplus", "x", "epsilon:1e-06"]),
        ("epsilon_plus_flat", ["flat", "x", "zplus", "x", "epsilon:1e-06"]),
        ("epsilon_alpha2_beta1", ["alpha_beta:2:1", "x", "alpha_beta:2:1", "x", "epsilon:1e-06"]),
        ("epsilon_alpha2_beta1_flat", ["flat", "x", "alpha_beta:2:1", "x", "epsilon:1e-06"]),
        ("epsilon_gamma_box:-1:1/2", ["zbox:-1:0.5", "x", "gamma:0.25", "x", "epsilon:1e-06"]),
    ],
)
def test_presets_are_the_composites_of_the_literature(text, labels):
    net, made = network(), parse(text)
    assert made.label == text
    made.check(net)
    rules = [made.rule(layer, net) for layer in net.linear.values()]
    assert rules == [parse_rule(label) for label in labels]
    assert text.split(":")[0] in PRESETS


@pytest.mark.parametrize(
    "text", ["conv=zplus,linear=epsilon,*=w2", "first=flat,*=zplus", "*=lrp0,last=gamma:3,avgpool=even"]
)
@settings(max_examples=30)
@given(pair=at_points(conv_networks()))
def test_propagation_applies_the_chosen_rule_at_each_layer(text, pair):
    net, x = pair
    made = parse(text)
    values = evaluate(net, RATIONAL, {0: RATIONAL.lift(x)})
    relevances = propagate(net, RATIONAL, values, made)
    for output, layer in net.linear.items():
        users = [index for index, node in enumerate(net.nodes) if layer.source in node.sources]
        if len(users) == 1:
            rule = made.rule(layer, net)
            below = rule.pass_down(RATIONAL, layer, values, relevances.at[output]).below
            assert (relevances.at[layer.source] == below).all()


def test_presets_have_no_rule_for_batch_normalisation_that_follows_no_layer():
    ones = np.ones(1)
    build = Builder((1, 4))
    value = build.batch_norm(build.input, ones, ones, ones, ones, 1.0, name="norm")
    made = build.network(build.linear(build.flatten(value), np.ones((1, 4)), None))
    with pytest.raises(RuleError, match=r"no rule for layer 1 \(norm, batchnorm\); add batchnorm=RULE"):
        parse("epsilon_plus").check(made)
    parse("*=w2,batchnorm=flat").check(made)


def test_presets_explain_exactly_and_in_batches_alike():
    x = [1.0, -0.5, 2.0, 3.0]
    for text in ("epsilon_plus", "epsilon_plus_flat", "epsilon_gamma_box:-1:3"):
        exact = dtdsym.explain(network(), x, text)
        batch = dtdsym.explain(network(), torch.tensor([x], dtype=torch.float64), text)
        assert torch.allclose(batch[0], torch.tensor([float(r) for r in exact], dtype=torch.float64), rtol=1e-9)


def test_a_selector_that_fits_no_layer_is_what_is_wrong():
    """Even where it leaves layers without a rule."""
    with pytest.raises(RuleError, match="no layer is 'foo'"):
        parse("foo=zplus").check(sequential(([[1, 2]], [0])))
