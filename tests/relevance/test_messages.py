"""What one layer passes on of any relevance that arrives, in every arithmetic, is the textbook's share of it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import exactly, messages
from strategies import COORDINATES, layers

from dtdsym.arithmetic.enclosure import ENCLOSURE
from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.network.network import sequential
from dtdsym.relevance.rule import parse_rule as parse

RULES = ["lrp0", "epsilon:1/2", "gamma:1/3", "zplus", "alpha_beta:2:1", "w2", "x", "flat", "zbox:-1:3", "pinv"]


def passed(arithmetic, drawn, x, relevance, rule, z=None):
    """Messages of the first layer; z as the forward pass has it, unless it is given."""
    layer = sequential(*drawn).layer(1)
    a, arriving = arithmetic.lift(x), arithmetic.lift(relevance)
    z = arithmetic.affine(layer.linear.weight, layer.linear.bias, a) if z is None else arithmetic.lift(z)
    return parse(rule).messages(parse(rule).neurons(arithmetic, layer, {layer.source: a, layer.output: z}, arriving))


@pytest.mark.parametrize("rule", RULES)
@given(layers(3), st.tuples(COORDINATES, COORDINATES, COORDINATES), st.lists(COORDINATES, min_size=4, max_size=4))
@settings(max_examples=50)
def test_messages_are_the_textbook_shares(rule, drawn, x, relevance):
    arriving, parsed = relevance[: len(drawn[0][1])], parse(rule)
    weight, bias = exactly(drawn[0])
    expected = messages(parsed.name, parsed.parameters, weight, bias, x, arriving)
    assert [list(fractions(row)) for row in passed(RATIONAL, drawn, x, arriving, rule)] == expected
    enclosed = passed(ENCLOSURE, drawn, x, arriving, rule)
    for mids, rads, truths in zip(enclosed.mid.tolist(), enclosed.rad.tolist(), expected, strict=True):
        for mid, rad, truth in zip(mids, rads, truths, strict=True):
            assert rad == float("inf") or abs(Fraction(mid) - truth) <= Fraction(rad)


@pytest.mark.parametrize("arithmetic", [RATIONAL, ENCLOSURE, TENSOR])
def test_epsilon_takes_the_sign_of_zero_as_plus(arithmetic):
    # z = 3 - 3 = 0, so that (w o a)/(0 + 1/2) is passed on.
    found = passed(arithmetic, [([[1, -1]], [0])], [3.0, 3.0], [1.0], "epsilon:1/2", z=[0.0])
    for number, entry in zip((6, -6), found[0], strict=True):
        assert number == getattr(entry, "mid", entry)


def test_epsilon_keeps_the_bias_in_its_denominator_and_zplus_does_not():
    assert fractions(passed(RATIONAL, [([[1, 2]], [4])], (1, 1), (15,), "epsilon:1/2")[0]) == (2, 4)
    assert fractions(passed(RATIONAL, [([[1, 2]], [4])], (1, 1), (15,), "zplus")[0]) == (5, 10)
