"""The ledger adds up, and every cause has the amount that a tiny network was built to lose."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction

import numpy as np
import pytest
from builders import at_points, conv_networks
from hypothesis import given, settings
from hypothesis import strategies as st

import dtdsym
from dtdsym.arithmetic.rational import RATIONAL, fractions, from_text, text
from dtdsym.network.builder import Builder
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import sequential
from dtdsym.relevance.composite import WAYS, parse
from dtdsym.relevance.explain import Explanation
from dtdsym.relevance.ledger import CAUSES, Ledger, Row, ledger_of
from dtdsym.relevance.rule import families
from dtdsym.relevance.train_free import propagate
from dtdsym.survey.tally import Tally

RULES = [name if family.defaults is not None or not family.parameters else f"{name}:-1:2"
         for name, family in families().items()]  # fmt: skip
COMPOSITES = [
    *(f"*=x,{node}={way}" for node, ways in WAYS.items() for way in ways),
    "*=gamma:1/3,add=proportional:1e-6",
    "*=zplus,maxpool=winner:1/2",
    "*=w2,maxpool=proportional:1/10,add=magnitude:1/3",
    "*=lrp0,first=zbox:-1:2,conv=zplus,avgpool=flat,scale=even",
]


@pytest.mark.parametrize("rule", [*RULES, *COMPOSITES])
@settings(max_examples=12)
@given(pair=at_points(conv_networks()), folded=st.booleans())
def test_rows_add_up_exactly(rule, pair, folded):
    network, x = pair
    network = network if folded else network.unfolded()
    found = dtdsym.explain(network, x, rule)
    ledger = found.ledger
    assert ledger.output == network(x)[0]
    assert ledger.relevance == sum(found)
    assert sum((row.amount for row in ledger.rows), Fraction(0)) == ledger.output - sum(found) == ledger.lost
    assert all(row.amount != 0 for row in ledger.rows)
    assert {row.cause for row in ledger.rows} <= set(CAUSES)
    assert sum(ledger.by_cause().values()) == ledger.lost


@settings(max_examples=60)
@given(pair=at_points(conv_networks()), rule=st.sampled_from([*RULES, *COMPOSITES]))
def test_what_a_node_loses_is_what_arrives_less_what_it_passes_on(pair, rule):
    """Row by row, for all nodes with one user below and above: in = out + lost."""
    network, x = pair
    values = evaluate(network, RATIONAL, {0: RATIONAL.lift(x)})
    plain = propagate(network, RATIONAL, values, parse(rule))
    kept = propagate(network, RATIONAL, values, parse(rule), ledger=True)
    for index, value in plain.at.items():
        assert (kept.at[index] == value).all()
    users = [
        [i for i, node in enumerate(network.nodes) if index in node.sources] for index in range(len(network.nodes))
    ]
    folded = {layer.output: layer for layer in network.linear.values()}
    for index, parts in kept.lost.items():
        source = folded[index].source if index in folded else network.nodes[index].sources[0]
        if len(users[source]) == 1 and len(network.nodes[index].sources) == 1:
            gone = sum((sum(fractions(part)) for part in parts.values()), Fraction(0))
            assert sum(fractions(kept.at[index])) - sum(fractions(kept.at[source])) == gone


def one_layer(weight, bias):
    return sequential(([weight], [bias]), final_relu=False)


def dead_relu():
    """f = [2] - [-x] + x at x = 2: a neuron whose z = -2 has relevance 0 at its ReLU; seen from w2 it has some."""
    return sequential(([[1], [-1]], [0, 0]), ([[1, 1]], [0]), final_relu=False)


def skip(left, right, width=1):
    """f = left x + right x, an addition of two layers."""
    build = Builder((width,))
    parts = [build.linear(build.input, np.full((1, width), float(w)), None, name=str(w)) for w in (left, right)]
    return build.network(build.add(*parts, name="sum"))


def padded(weights):
    """The input between two zeros, in a layer of three weights."""
    build = Builder((1,))
    value = build.pad(build.input, ((1, 1),), name="pad")
    return build.network(build.linear(value, np.array([weights]), None))


def pooled(inputs):
    """max over the inputs."""
    build = Builder((1, inputs))
    value = build.convolve(build.input, np.array([[[1.0]]]), None)
    return build.network(build.flatten(build.max_pool(value, inputs, name="pool")))


@pytest.mark.parametrize(
    ("cause", "network", "x", "rule", "amount"),
    [
        ("bias", one_layer([2, 1], 3), [1, 1], "lrp0", 3),
        ("bias", one_layer([2, 1], -1), [1, 1], "lrp0", -1),
        ("epsilon", one_layer([2, 1], 0), [1, 1], "epsilon:1", Fraction(3, 4)),
        ("epsilon", one_layer([-2, -1], 0), [1, 1], "epsilon:1", Fraction(-3, 4)),
        ("epsilon", pooled(2), [3, 1], "*=x,maxpool=winner:1", Fraction(3, 4)),
        ("no_root", one_layer([-2, -1], 5), [1, 1], "zplus", 2),
        ("no_root", one_layer([1, -1], 5), [1, 1], "x", 5),
        ("no_root", one_layer([2, 1], 0), [1, 1], "zplus", 0),
        ("rule", one_layer([2, 1], 3), [1, 1], "gradient", -12),
        ("rule", one_layer([2, 1], 3), [1, 1], "authors.lrp0", 3),
        ("dead", dead_relu(), [2], "*=w2,relu=gradient", 1),
        ("losers", pooled(2), [1, -1], "*=x,maxpool=proportional", 1),
        ("epsilon", pooled(2), [3, 1], "*=x,maxpool=proportional:1", Fraction(3, 5)),
        ("skip", skip(3, -1), [2], "*=x,add=captum", -4),
        ("skip", skip(3, -1), [2], "*=x,add=both", -4),
        ("epsilon", skip(3, -1), [2], "*=x,add=proportional:1", Fraction(4, 5)),
        ("epsilon", skip(3, -1), [2], "*=x,add=magnitude:2", Fraction(4, 5)),
        ("padding", padded([1.0, 2.0, 1.0]), [1], "flat", Fraction(4, 3)),
        ("padding", padded([1.0, 2.0, 0.0]), [1], "w2", Fraction(2, 5)),
    ],
)
def test_each_cause_takes_what_the_network_was_built_to_lose(cause, network, x, rule, amount):
    ledger = dtdsym.explain(network, x, rule).ledger
    assert ledger.by_cause() == ({cause: Fraction(amount)} if amount else {})


def test_every_cause_is_provoked_above():
    marks = test_each_cause_takes_what_the_network_was_built_to_lose.pytestmark
    assert {row[0] for row in marks[0].args[1]} == set(CAUSES)


def test_coefficients_that_leave_something_over_are_named_by_the_family():
    """zennit's gamma passes nothing where z = 0: the second neuron's half of f = 2 is lost there."""
    network = sequential(([[1], [1]], [0, -2]), ([[1, 1]], [0]), final_relu=False)
    causes = dtdsym.explain(network, [2], "1=zennit.gamma_nobias,2=w2").ledger.by_cause()
    assert causes["dead"] == 1
    assert causes["epsilon"] == 1 - Fraction(5, 2) / (Fraction(5, 2) + Fraction(1, 10**6))
    assert set(causes) == {"dead", "epsilon"}


def test_autolrp_names_the_share_that_biases_take():
    causes = dtdsym.explain(one_layer([2, 1], 3), [1, 1], "autolrp.lrp0").ledger.by_cause()
    assert causes["bias"] == 6 - 6 * Fraction(3) / (6 + Fraction(1, 10**11))


# What people see


def mixed():
    """The means of [x + 2] and of [-x], by a convolution and a pool, and a bias of 1 more."""
    build = Builder((1, 2))
    value = build.convolve(build.input, np.array([[[1.0]], [[-1.0]]]), np.array([2.0, 0.0]), name="conv")
    value = build.average_pool(build.relu(value, name="relu"), 2, name="mean")
    return build.network(build.linear(build.flatten(value), np.array([[1.0, 1.0]]), np.array([1.0]), name="head"))


def test_a_layer_without_biases_loses_nothing_to_them():
    """autoLRP splits no layer without a bias."""
    for rule in ("autolrp.lrp0", "autolrp.zplus"):
        ledger = dtdsym.explain(one_layer([1, 2], 0), [1, 1], rule).ledger
        assert {row.cause for row in ledger.rows} <= {"epsilon"}


def test_rows_say_where():
    ledger = dtdsym.explain(mixed(), [2, -4], "*=lrp0,relu=gradient").ledger
    assert ledger.output == 5
    assert ledger.relevance == 3
    assert ledger.rows == (
        Row(2, "head", "linear", "bias", Fraction(1)),
        Row(1, "conv", "conv", "bias", Fraction(1)),
    )
    gone = dtdsym.explain(mixed(), [2, -4], "*=flat,relu=gradient").ledger
    assert [(row.layer, row.name, row.kind, row.cause) for row in gone.rows] == [(None, "relu", "relu", "dead")]
    pool = dtdsym.explain(pooled(2), [3, 1], "*=x,maxpool=winner:1").ledger
    assert [(row.layer, row.name, row.kind) for row in pool.rows] == [(None, "pool", "maxpool")]
    add = dtdsym.explain(skip(3, -1), [2], "*=x,add=both").ledger
    assert [(row.layer, row.name, row.kind) for row in add.rows] == [(None, "sum", "add")]
    mean = dtdsym.explain(mixed(), [0, 0], "*=x,mean=authors.lrp0").ledger
    assert ("mean", "avgpool", "rule") in [(row.name, row.kind, row.cause) for row in mean.rows]


def test_sentences_are_plain_and_the_greatest_loss_comes_first():
    ledger = dtdsym.explain(mixed(), [2, -4], "*=lrp0,relu=gradient").ledger
    assert list(ledger.sentences()) == [
        "The inputs receive 3 of f(x) = 5, 60 %.",
        "+2 went to biases, which are no inputs.",
    ]
    assert str(ledger) == "\n".join(ledger.sentences())
    causes = dtdsym.explain(mixed(), [2, -4], "first=zplus,*=epsilon:1").ledger
    said = list(causes.sentences())
    amounts = [abs(float(line.split()[0])) for line in said[1:]]
    assert amounts == sorted(amounts, reverse=True)
    assert len(said) == 1 + len(causes.by_cause())


def test_an_output_of_0_has_no_percentage():
    ledger = dtdsym.explain(one_layer([1, -1], 0), [1, 1], "x").ledger
    assert list(ledger.sentences()) == ["The inputs receive 0 of f(x) = 0."]
    assert ledger.rows == ()


def test_json_is_exact_beside_floats():
    written = dtdsym.explain(one_layer([2, 1], 0), [1, 1], "epsilon:1/3").ledger.to_json()
    assert written["output"] == "3"
    assert written["relevance"] == "27/10"
    assert written["lost"] == "3/10"
    assert written["rows"] == [
        {"layer": 1, "name": "layer 1", "kind": "linear", "cause": "epsilon", "amount": "3/10", "float": 0.3}
    ]


def test_numbers_too_long_for_pythons_own_text_are_written_exactly():
    """Deep networks have shares of more than 4,300 digits, where str(Fraction) raises ValueError."""
    long = Fraction(3**20_000, 7**9_000)
    made = Ledger(2 * long, long, (Row(1, "conv", "conv", "epsilon", long),))
    written = json.loads(json.dumps(made.to_json()))
    assert from_text(written["lost"]) == from_text(written["rows"][0]["amount"]) == long
    assert from_text(text(-long)) == -long
    assert text(Fraction(-7)) == "-7"
    tally = Tally()
    tally.residuals.maximum = long
    assert Tally.from_json(json.loads(json.dumps(tally.to_json()))).residuals.maximum == long
    explanation = Explanation([long] * 9, one_layer([1], 0), None, parse("lrp0"))
    for shown in (repr(made), str(made), repr(made.rows), repr(explanation), str(explanation)):
        assert len(shown) < 400


@settings(max_examples=20)
@given(pair=at_points(conv_networks()), rule=st.sampled_from(["epsilon", "*=zplus,add=both"]))
def test_an_explanation_survives_pickling_with_its_ledger(pair, rule):
    network, x = pair
    found = dtdsym.explain(network, x, rule)
    copied = pickle.loads(pickle.dumps(found))
    assert copied == found
    assert copied == tuple(found)
    assert copied.ledger == found.ledger
    assert pickle.loads(pickle.dumps(found.ledger)) == found.ledger


def test_a_ledger_with_a_row_missing_is_noticed():
    network = one_layer([2, 1], 3)
    values = evaluate(network, RATIONAL, {0: RATIONAL.lift([1, 1])})
    with pytest.raises(AssertionError, match="does not add up"):
        ledger_of(propagate(network, RATIONAL, values, parse("lrp0")), values)
    assert isinstance(ledger_of(propagate(network, RATIONAL, values, parse("lrp0"), ledger=True), values), Ledger)
