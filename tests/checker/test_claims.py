"""Certificates of claims: every verdict on degenerate networks is accepted."""

from __future__ import annotations

import pytest
from certified import RULES, claim_lines, refusals
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import sequential
from strategies import PLANE_POINTS, layers

from dtdsym.claims.decide import CLAIMS

PLAIN = [claim for claim in CLAIMS if claim != "c3"]
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=12)


@pytest.mark.parametrize("claim", PLAIN)
@SLOW
@given(pairs=layers(), x=PLANE_POINTS)
def test_every_verdict_is_accepted(claim, pairs, x):
    for relu in (True, False):
        lines = claim_lines(sequential(*pairs, final_relu=relu), x, [claim], RULES)
        assert refusals(lines) == []


@SLOW
@given(pairs=layers(), x=PLANE_POINTS, target=PLANE_POINTS, relu=st.booleans())
def test_forgeries_and_impossible_targets_are_accepted(pairs, x, target, relu):
    network = sequential(*pairs, final_relu=relu)
    lines = claim_lines(network, x, ["c3"], [], target=target)
    assert refusals(lines) == []
