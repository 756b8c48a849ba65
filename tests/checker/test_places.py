"""Certificates of places: what the engine decides, on degenerate networks too, the checker accepts."""

from __future__ import annotations

import pytest
from builders import at_points, conv_networks
from certified import RULES, certificates, claims_of, refusals
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import SEPARATIONS, sequential
from strategies import PLANE_POINTS, layers

from dtdsym.errors import OnHinge

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("name", SEPARATIONS)
def test_every_separating_place_is_accepted(name):
    example = SEPARATIONS[name]
    lines = certificates(example.network, example.x, points=[example.other])
    assert claims_of(lines)[0]["place"] == example.place
    assert refusals(lines) == []


@SLOW
@given(pairs=layers(), points=st.lists(PLANE_POINTS, min_size=1, max_size=4), x=PLANE_POINTS, relu=st.booleans())
def test_places_of_points_are_accepted(pairs, points, x, relu):
    try:
        lines = certificates(sequential(*pairs, final_relu=relu), x, points=[*points, (0, 0)])
    except OnHinge:
        return
    assert refusals(lines) == []


@SLOW
@given(pairs=layers(), x=PLANE_POINTS, relu=st.booleans(), root=st.sampled_from(["relevance", "hinge"]))
def test_roots_of_all_rules_at_all_layers_are_accepted(pairs, x, relu, root):
    network = sequential(*pairs, final_relu=relu)
    lines = certificates(network, x, rules=RULES, root=root)
    assert refusals(lines) == []


@settings(SLOW, max_examples=30)
@given(at=at_points(conv_networks()))
def test_places_in_networks_with_convolutions_pools_skips_and_batch_norm_are_accepted(at):
    network, x = at
    assert refusals(certificates(network, x, rules=["zplus", "epsilon:1/8", "lrp0"], layers=[1])) == []
