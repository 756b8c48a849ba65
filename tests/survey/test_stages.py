"""What balls and 100 bits decide about roots is what the rationals say, on networks small enough for all of them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from builders import conv_networks
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import layers

import dtdsym
from dtdsym.geometry.placement import PLACES
from dtdsym.network.network import sequential
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.settings import Settings
from dtdsym.survey.stages import BALLS, HUNDRED_BITS, RADII, View
from dtdsym.survey.verdicts import OPEN

RULES = ("zplus", "gamma:1", "w2", "lrp0", "epsilon:1/4", "x")
COORDINATES = st.integers(-8, 8).map(lambda n: n / 4)


def compared(network, x, rule: str, stage, most: int = 6) -> int:
    """Check what a stage says about the first roots of every layer; how many places it decided."""
    chosen = Settings.of(network, rules=[rule], layers="all", logit=0, min_logit=-1e30, budget=dtdsym.Budget(cells=200))
    one = network.logit(0)
    point = np.asarray(x, dtype=np.float64).reshape(1, -1)
    view, exactly, decided = View(stage, one, point, chosen), ExactInput(one, point[0], chosen), 0
    if exactly.on_hinge(0):
        return 0
    for layer in chosen.layers:
        size = min(most, one.layer(layer).size)
        found = view.verdicts(chosen.rules[0], layer, np.arange(size))
        for neuron in range(size):
            facts = exactly.facts(chosen.rules[0], layer, neuron)
            place = found.place[0, neuron]
            decided += place != OPEN
            if facts.place == "undecided" or exactly.on_hinge(one.layer(layer).source):
                continue
            assert place in (OPEN, PLACES.index(facts.place)), (layer, neuron, PLACES[place], facts.place)
            if facts.place == "no_root":
                continue
            for name, known in found.facts.items():
                assert known[0, neuron] in (OPEN, getattr(facts, name)), (name, layer, neuron)
            if facts.residual is not None:
                ceiling = found.ceiling[0, neuron]
                assert np.isinf(ceiling) or facts.residual <= Fraction(ceiling)
                assert not (found.residual[0, neuron] == 0 and facts.residual)
    return decided


@pytest.mark.parametrize("stage", [BALLS, HUNDRED_BITS], ids=lambda stage: stage.name)
@settings(max_examples=60, deadline=None)
@given(layers(), st.tuples(COORDINATES, COORDINATES), st.sampled_from(RULES), st.booleans())
def test_a_stage_decides_as_the_rationals_do(stage, pairs, x, rule, final):
    compared(sequential(*pairs, final_relu=final), x, rule, stage)


@pytest.mark.parametrize("stage", [RADII, BALLS, HUNDRED_BITS], ids=lambda stage: stage.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(conv_networks(), st.integers(0, 2**32 - 1), st.sampled_from(("zplus", "gamma:1", "w2")))
def test_convolutions_pools_and_additions_too(stage, network, seed, rule):
    assume(sum(network.sizes) < 400)
    x = np.random.default_rng(seed).integers(-8, 9, network.sizes[0]) / 8
    compared(network, x, rule, stage, most=2)
