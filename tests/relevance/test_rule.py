"""A rule by name: parameters exact, refusals in one clear line, and a user's own rule in ten lines."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import pytest
import torch
from oracles import dot, share

import dtdsym
from dtdsym.errors import RuleError
from dtdsym.network.network import sequential
from dtdsym.relevance import rule as subject
from dtdsym.relevance.family import Family
from dtdsym.relevance.rule import Rule, families, register_rule
from dtdsym.relevance.rule import parse_rule as parse

NAMES = ["lrp0", "epsilon", "gamma", "zplus", "alpha_beta", "w2", "x", "flat", "zbox", "pinv"]
NETWORK = sequential(([[1, -2, 0], [3, 1, 1]], [0, -1]), ([[1, 2]], [1]))


def test_the_ten_rules_are_there():
    assert list(families())[:10] == NAMES


@pytest.mark.parametrize(
    ("text", "parameters", "label"),
    [
        ("zplus", (), "zplus"),
        ("gamma", (1,), "gamma:1"),
        ("gamma:0.25", (Fraction(1, 4),), "gamma:0.25"),
        ("gamma:1/3", (Fraction(1, 3),), "gamma:1/3"),
        ("gamma:0.1", (Fraction(1, 10),), "gamma:0.1"),
        ("gamma:1e400", (Fraction(10) ** 400,), "gamma:1" + 400 * "0"),
        ("epsilon", (Fraction(1, 10**6),), "epsilon:1e-06"),
        ("epsilon:1e-400", (Fraction(1, 10**400),), "epsilon:1/1" + 400 * "0"),
        ("alpha_beta", (2, 1), "alpha_beta:2:1"),
        ("alpha_beta:3/2:0.5", (Fraction(3, 2), Fraction(1, 2)), "alpha_beta:1.5:0.5"),
        ("zbox:-1:1.5", (-1, Fraction(3, 2)), "zbox:-1:1.5"),
    ],
)
def test_parameters_are_read_exactly(text, parameters, label):
    rule = parse(text)
    assert (rule.parameters, rule.label) == (parameters, label)
    assert parse(rule.label) == rule == parse(rule)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("zpluss", "unknown rule 'zpluss'; the rules are " + ", ".join(NAMES)),
        ("", "unknown rule ''; the rules are "),
        ("gamma:-1", "rule 'gamma:-1': gamma takes gamma >= 0, for example gamma:1"),
        ("gamma:one", "rule 'gamma:one': gamma takes gamma >= 0, for example gamma:1"),
        ("gamma:nan", "rule 'gamma:nan': gamma takes gamma >= 0"),
        ("gamma:1/0", "rule 'gamma:1/0': gamma takes gamma >= 0"),
        ("gamma:1:2", "rule 'gamma:1:2': gamma takes gamma >= 0"),
        ("zplus:1", "rule 'zplus:1': zplus takes no parameters"),
        ("epsilon:0", "rule 'epsilon:0': epsilon takes epsilon > 0, for example epsilon:1e-6"),
        ("alpha_beta:2:2", "rule 'alpha_beta:2:2': alpha_beta takes ALPHA:BETA with ALPHA - BETA = 1"),
        ("alpha_beta:0.5:-0.5", "rule 'alpha_beta:0.5:-0.5': alpha_beta takes ALPHA:BETA with ALPHA - BETA = 1"),
        ("alpha_beta:2", "rule 'alpha_beta:2': alpha_beta takes ALPHA:BETA"),
        ("zbox", "rule 'zbox': zbox takes the bounds LOW:HIGH of the inputs with LOW < HIGH, for example zbox:0:1"),
        ("zbox:1:0", "rule 'zbox:1:0': zbox takes the bounds LOW:HIGH"),
        ("zbox:a:b", "rule 'zbox:a:b': zbox takes the bounds LOW:HIGH"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_in_one_line(text, told):
    with pytest.raises(RuleError) as caught:
        parse(text)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "zbox"])
def test_rules_are_values(name):
    rule = parse(name)
    assert pickle.loads(pickle.dumps(rule)) == copy.deepcopy(rule) == rule
    assert hash(parse(name)) == hash(rule)


def test_a_family_has_a_direction_or_a_shift():
    with pytest.raises(RuleError, match="a direction, a shift, or the shares"):
        Family("nothing", "")


@pytest.fixture
def signed(monkeypatch):
    monkeypatch.setattr(subject, "_FAMILIES", families())

    @dtdsym.register_rule("signed", parameters=("gamma",), defaults=(1,), takes="any gamma")
    def signed(ops, w, a, gamma):
        "v = w + gamma a where w >= 0, else w"
        return w + a * (w >= 0) * gamma

    return signed


def test_a_rule_of_ones_own_is_exact_and_batched_at_once(signed):
    x = (Fraction(1, 3), Fraction(2), Fraction(-1))
    exact = dtdsym.explain(NETWORK, x, rule="signed:1/2")
    batched = dtdsym.explain(NETWORK, torch.tensor([[float(q) for q in x]] * 2, dtype=torch.float64), "signed:1/2")
    assert exact == _signed_by_hand(x, Fraction(1, 2))
    for row in batched.tolist():
        assert row == pytest.approx([float(q) for q in exact], rel=1e-12)
    assert parse("signed").label == "signed:1"
    assert families()["signed"].doc == "v = w + gamma a where w >= 0, else w"
    assert len(dtdsym.roots(NETWORK, x, rule="signed", root="hinge")) == 2


def _signed_by_hand(x, gamma):
    relevance = [NETWORK(x)[0]]
    a = [max(Fraction(0), x[0] - 2 * x[1]), max(Fraction(0), 3 * x[0] + x[1] + x[2] - 1)]
    for rows, inputs in (([[1, 2]], a), ([[1, -2, 0], [3, 1, 1]], x)):
        sums = [Fraction(0)] * len(inputs)
        for w, r in zip(rows, relevance, strict=True):
            v = [wi + gamma * ai if wi >= 0 else Fraction(wi) for wi, ai in zip(w, inputs, strict=True)]
            sums = [s + share(wi * vi, dot(w, v)) * r for s, wi, vi in zip(sums, w, v, strict=True)]
        relevance = sums
    return tuple(relevance)


@pytest.mark.parametrize("name", ["zplus", "a:b", "a=b", "a,b", ""])
def test_a_name_that_is_taken_or_unreadable_is_refused(name):
    with pytest.raises(RuleError, match="expected a new name without colon, comma or ="):
        register_rule(name, lambda ops, w, a: a)


def test_registering_again_replaces_ones_own_rule(signed):
    before = parse("signed")
    register_rule("signed", lambda ops, w, a: a)
    assert parse("signed") == Rule(families()["signed"])
    assert parse("signed") != before
    with pytest.raises(RuleError, match="signed takes no parameters"):
        parse("signed:1")
