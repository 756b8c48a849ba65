"""Claim c7: its verdict and witness, when it is bad news, and its certificates on all kinds of networks."""

from __future__ import annotations

from fractions import Fraction

from builders import conv_networks
from certified import claim_lines, claims_of, refusals
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from networks import sequential

import dtdsym
from dtdsym.certificate.claims import claim_line
from dtdsym.claims.decide import ask, decide
from dtdsym.geometry.budget import Budget
from dtdsym.relevance import class_bounds
from dtdsym.relevance.composite import parse

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=15)
MIXING = sequential(([[20, 21], [21, 20]], [0, 0]), ([[1, 2], [2, 1]], [0, 0]), ([[1, 0], [0, 1]], [0, 0]))


def test_the_witness_is_tau_the_bound_and_what_attains_it():
    """Columns (20, 21)/41 and (21, 20)/41 of layer 1, which layer 2 mixes by (1/3, 2/3) and (2/3, 1/3) nearly."""
    found = decide("c7", MIXING, (1, 1), layer=2)
    assert (found.name, found.bad_news, found.witness["tau"]) == ("proved", True, "1/41")
    assert (found.witness["l1_bound"], found.witness["columns"]) == ("2/41", [0, 1])
    assert found.statement.endswith("at most 2/41 in L1, so that it is insensitive to the class to within 1/10.")
    (change,) = found.witness["changes"]
    assert change["logits"] == [0, 1]
    one, other = (dtdsym.explain(MIXING, (1, 1), logit=k) for k in (0, 1))
    assert Fraction(change["l1"]) == sum(abs(p / sum(one) - q / sum(other)) for p, q in zip(one, other, strict=True))


def test_a_bound_that_says_little_is_no_bad_news():
    found = decide("c7", MIXING, (1, 1), layer=1)
    assert (found.name, found.bad_news, found.witness["l1_bound"]) == ("proved", False, "2")


def test_it_is_undecided_by_name_for_signs_and_where_nothing_arrives():
    found = decide("c7", MIXING, (1, -1), layer=2, rule="zplus")
    assert found.name == "undecided"
    assert "At layer 1 zplus is not known to pass on non-negative shares only: relevance 1 of neuron 1" in found.reason
    assert found.witness["changes"][0]["logits"] == [0, 1]
    dead = sequential(([[-1, -1]], [3]), ([[1]], [0]))
    found = decide("c7", dead, (1, 1), layer=2)
    assert (found.name, found.reason) == (
        "undecided", "No relevance of this layer's input reaches the network's input.",
    )  # fmt: skip


def test_bounds_that_are_not_attained_have_no_certificate(monkeypatch):
    monkeypatch.setattr(class_bounds, "EXACT_WORK", 0)
    question = ask(MIXING, (1, 1), 0, 2, parse("zplus"), "relevance", Budget())
    found = decide("c7", MIXING, (1, 1), layer=2)
    assert (found.name, found.witness["exact"], found.bad_news) == ("proved", False, True)
    assert 0 <= Fraction(found.witness["tau"]) - Fraction(1, 41) < Fraction(1, 2**45)
    assert "in L1: a proven bound of all 2 columns of the propagation matrix." in found.reason
    assert claim_line(question, found) is None


@SLOW
@given(network=conv_networks(outputs=2), data=st.data())
def test_certificates_of_convolutions_pools_and_skips_are_accepted(network, data):
    x = data.draw(st.lists(st.integers(-1, 4), min_size=network.sizes[0], max_size=network.sizes[0]))
    lines = claim_lines(network, x, ["c7"], ["zplus", "w2", "flat", "zbox:-1:4", "lrp0"])
    event(f"{len(claims_of(lines))} certificates")
    assert refusals(lines) == []


def test_the_command_line_has_the_curve_over_layers():
    report = dtdsym.audit(MIXING, [(1, 1)], rules=["zplus", "lrp0"], layers="all", claims=["c7"])
    found = [claim for claim in report.claims if claim["claim"] == "c7"]
    assert [(claim["layer"], claim["rule"]) for claim in found] == [
        (layer, rule) for layer in (1, 2, 3) for rule in ("zplus", "lrp0")
    ]
    bounds = [Fraction(claim["witness"]["l1_bound"]) for claim in found if claim["rule"] == "zplus"]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[2] < bounds[1] / 2
