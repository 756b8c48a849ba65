"""Captum's layer-wise relevance propagation and ours agree on dense networks with biases.

Captum adds 1e-9 sign(d) to every denominator d, ours are exact: the two can only agree where no d is small, or with
captum's stabiliser turned off.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from dtdsym.network.network import sequential
from dtdsym.relevance.explain import explain

lrp = pytest.importorskip("captum.attr").LRP
rules = pytest.importorskip("captum.attr._utils.lrp_rules")

RULES = {
    "zplus": lambda: rules.Alpha1_Beta0_Rule(set_bias_to_zero=True),
    "alpha_beta:1:0": lambda: rules.Alpha1_Beta0_Rule(set_bias_to_zero=True),
    "gamma:0.25": lambda: rules.GammaRule(gamma=0.25, set_bias_to_zero=True),
    "gamma:1": lambda: rules.GammaRule(gamma=1, set_bias_to_zero=True),
    "epsilon:1e-6": lambda: rules.EpsilonRule(epsilon=1e-6),
    "epsilon:0.5": lambda: rules.EpsilonRule(epsilon=0.5),
}
WIDTHS = [(6, 8, 3), (10, 10, 10, 2), (5, 20, 20, 20, 4)]


def random_module(widths, final_relu):
    """Default initialisation, and final biases of 3, so that no logit is 0."""
    torch.manual_seed(0)
    layers = [m for size, out in pairwise(widths) for m in (torch.nn.Linear(size, out), torch.nn.ReLU())]
    torch.nn.init.constant_(layers[-2].bias, 3.0)
    return torch.nn.Sequential(*(layers if final_relu else layers[:-1])).double()


def points(width):
    return torch.rand(20, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def both(module, x, rule, logit, stabiliser=None):
    """Ours and captum's relevances."""
    linear = [layer for layer in module if isinstance(layer, torch.nn.Linear)]
    pairs = [(layer.weight.tolist(), layer.bias.tolist()) for layer in linear]
    ours = sequential(*pairs, final_relu=len(module) == 2 * len(linear))
    for layer in linear:
        layer.rule = RULES[rule]()
        if stabiliser is not None:
            layer.rule.STABILITY_FACTOR = stabiliser
    return explain(ours, x, rule, logit=logit), lrp(module).attribute(x.requires_grad_(), target=logit).detach()


def assert_agreement(found, theirs):
    assert (theirs != 0).any()
    assert torch.allclose(found, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("final_relu", [True, False])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_captum_agrees(rule, widths, final_relu):
    module = random_module(widths, final_relu)
    for logit in range(widths[-1]):
        unstabilised = None if rule.startswith("epsilon") else 1e-300
        assert_agreement(*both(module, points(widths[0]), rule, logit, unstabilised))


@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_captum_agrees_as_it_stands_where_no_denominator_is_small(rule, widths):
    module = random_module(widths, True)
    for layer in module:
        if isinstance(layer, torch.nn.Linear):
            layer.weight.data.abs_().mul_(4)[:, 0] *= -0.25
    assert_agreement(*both(module, points(widths[0]), rule, 0))
