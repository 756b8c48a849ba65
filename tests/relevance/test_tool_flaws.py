"""Where captum, zennit and autoLRP silently compute something else, and exactly what: planted networks, to 1e-10.

Each test states the formula that the tool follows, and that it is not the one that was meant.
"""

from __future__ import annotations

import pytest
import tool_oracles as oracle
import torch
from tool_networks import (
    Added,
    Functional,
    Net,
    addition_before_the_relu,
    average_pool,
    functional_relu,
    plain_addition,
    reused,
)
from tools import autolrp_lrp, captum_lrp, import_captum, import_zennit, zennit_lrp
from torch import nn
from torch.nn import functional

captum = import_captum()
zennit = import_zennit()
captum_rules = pytest.importorskip("captum.attr._utils.lrp_rules")
addition = pytest.importorskip("captum.attr._utils.custom_modules").Addition_Module

RULES = {
    "captum": oracle.affine(oracle.epsilon(oracle.CAPTUM_STABILISER)),
    "zennit": oracle.affine(oracle.epsilon(oracle.ZENNIT_STABILISER)),
    "autolrp": oracle.affine(oracle.autolrp(oracle.epsilon(oracle.AUTOLRP_STABILISER))),
}
"""Every tool's epsilon rule."""


def found_by(tool, module, x):
    """The tool's relevance of logit 0 under its epsilon rule, for one x without its batch dimension."""
    if tool == "captum":
        return captum_lrp(module, x[None], 0)[0]
    if tool == "zennit":
        return zennit_lrp(module, x[None], 0, zennit.composites.EpsilonPlus())[0]
    return autolrp_lrp(module, x[None], 0, {})[0]


def equal(found, expected):
    return torch.allclose(found, expected, rtol=1e-10, atol=1e-10)


def one_hot(values):
    """The seed: logit 0 and nothing else."""
    return torch.where(torch.arange(len(values)) == 0, values, 0.0)


def stabilised(value, e):
    return torch.where(value >= 0, value + e, value - e)


def point(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def residual_parts(net, x):
    """t, its branch, and the relevance that arrives at their sum for every tool's epsilon rule."""
    with torch.no_grad():
        t = net.first(x).relu()
        branch = net.second(t)
        top = (branch + t).relu()
        seed = one_hot(net.last(top))
    return t, branch, {tool: rule(net.last, top, seed) for tool, rule in RULES.items()}


def test_a_plain_addition_hands_all_relevance_to_both_branches_in_zennit():
    net, x = Net(plain_addition), point(4)
    rule = RULES["zennit"]
    t, branch, arriving = residual_parts(net, x)
    r = arriving["zennit"]
    found = found_by("zennit", net, x)
    assert equal(found, rule(net.first, x, rule(net.second, t, r) + r))
    assert not equal(found, proportionally(net, x, t, branch, r, "zennit"))


def proportionally(net, x, t, branch, r, tool, e=oracle.ZENNIT_STABILISER):
    """What is meant: the summands take shares of r in proportion to their signed values."""
    rule, share = RULES[tool], r / stabilised(branch + t, e)
    return rule(net.first, x, rule(net.second, t, branch * share) + t * share)


def test_a_plain_addition_multiplies_the_relevance_of_the_skip_by_its_value_in_captum():
    """The skip is the input of a ruled module, too, and captum's hook takes all of its gradient for coefficients."""
    net, x = Net(plain_addition), point(4)
    rule = RULES["captum"]
    t, branch, arriving = residual_parts(net, x)
    r = arriving["captum"]
    found = found_by("captum", net, x)
    assert equal(found, rule(net.first, x, rule(net.second, t, r) + t * r))
    assert not equal(found, proportionally(net, x, t, branch, r, "captum", oracle.CAPTUM_STABILISER))
    assert not equal(found, rule(net.first, x, rule(net.second, t, r) + r))


def test_a_plain_addition_loses_the_skip_in_captum_where_a_relu_module_takes_it_too():
    net, x = Net(addition_before_the_relu), point(4)
    with torch.no_grad():
        t = net.first(x)
        top = net.second(t.relu()) + t
        seed = one_hot(net.last(top))
    for tool, kept in (("captum", 0), ("zennit", 1)):
        rule = RULES[tool]
        r = rule(net.last, top, seed)
        expected = rule(net.first, x, rule(net.second, t.relu(), r) + kept * r)
        assert equal(found_by(tool, net, x), expected)


@pytest.mark.parametrize(("tool", "e"), [("captum", oracle.CAPTUM_STABILISER), ("zennit", oracle.ZENNIT_STABILISER)])
def test_the_tools_own_addition_splits_in_proportion_to_the_signed_summands(tool, e):
    net, x = Added(tool), point(4)
    t, branch, arriving = residual_parts(net, x)
    assert equal(found_by(tool, net, x), proportionally(net, x, t, branch, arriving[tool], tool, e))


def test_autolrp_splits_an_addition_in_proportion_to_magnitudes():
    pytest.importorskip("autolrp")
    net, x = Net(plain_addition), point(4)
    rule = RULES["autolrp"]
    t, branch, arriving = residual_parts(net, x)
    share = arriving["autolrp"] / (branch.abs() + t.abs() + oracle.AUTOLRP_STABILISER)
    expected = rule(net.first, x, rule(net.second, t, branch.abs() * share) + t.abs() * share)
    assert equal(found_by("autolrp", net, x), expected)


def test_zennit_takes_the_input_of_the_last_call_for_every_call_of_a_reused_layer():
    net, x = Net(reused), point(4)
    rule = RULES["zennit"]
    with torch.no_grad():
        once = net.first(x).relu()
        twice = net.first(once).relu()
        seed = one_hot(net.last(twice))
    r = rule(net.first, once, rule(net.last, twice, seed))
    found = found_by("zennit", net, x)
    assert equal(found, rule(net.first, once, r))
    assert not equal(found, rule(net.first, x, r))


def test_captum_refuses_a_reused_layer():
    with pytest.raises(RuntimeError, match="used more than once"):
        found_by("captum", Net(reused), point(4))


def parallel(net, x):
    """One ReLU module, called on two tensors that are computed before either call."""
    p, q = net.first(x), net.second(x)
    a, b = net.relu(p), net.relu(q)
    return net.last(torch.cat([a[:, :3], b[:, 3:]], 1))


@pytest.mark.parametrize("tool", ["captum", "zennit"])
def test_captum_gives_every_call_of_a_reused_relu_the_relevance_of_the_first_one(tool):
    net, x = Net(parallel, (4, 6), (4, 6), (6, 2)), point(4)
    rule = RULES[tool]
    with torch.no_grad():
        top = torch.cat([net.first(x).relu()[:3], net.second(x).relu()[3:]])
        seed = one_hot(net.last(top))
    r = rule(net.last, top, seed)
    early = torch.arange(6) < 3
    found = found_by(tool, net, x)
    meant = rule(net.first, x, r * early) + rule(net.second, x, r * ~early)
    assert equal(found, meant) == (tool == "zennit")
    if tool == "captum":
        assert equal(found, rule(net.first, x, r * early) + rule(net.second, x, r * early))


def test_zennit_stops_relevance_of_inactive_neurons_only_at_a_functional_relu():
    """Under the rules that send relevance there: w squared and flat."""
    x = point(4)
    layer_map = [((nn.ReLU,), zennit.rules.Pass()), ((nn.Linear,), zennit.rules.WSquare())]
    rule, found = oracle.affine(oracle.zennit_wsquare), []
    for way, passes in ((functional_relu, 0), (lambda net, x: net.last(net.relu(net.first(x))), 1)):
        net = Net(way)
        with torch.no_grad():
            z = net.first(x)
            r = rule(net.last, z.relu(), one_hot(net.last(z.relu())))
        found.append(zennit_lrp(net, x[None], 0, zennit.composites.LayerMapComposite(layer_map))[0])
        assert equal(found[-1], rule(net.first, x, torch.where(z > 0, r, passes * r)))
    assert not equal(*found)


def max_pool(t):
    return functional.max_pool2d(t, 2, stride=1)


def at_the_pool(net, x, rule):
    """z of the convolution, and the relevance of the pool's output."""
    with torch.no_grad():
        z = net.conv(x[None])[0]
        top = net.pool(z.relu()[None])[0]
        seed = one_hot(net.linear(top.flatten()))
    return z, rule(net.linear, top.flatten(), seed).reshape(top.shape)


@pytest.mark.parametrize("tool", ["captum", "zennit"])
def test_a_functional_average_pool_spreads_evenly(tool):
    net, x = Functional(average_pool), point(1, 4, 4)
    z, r = at_the_pool(net, x, RULES[tool])
    rule = RULES["captum"] if tool == "captum" else oracle.affine(oracle.zennit_zplus)
    expected = rule(net.conv, x, oracle.gradient(net.pool, z.relu(), r) * (z > 0))
    assert equal(found_by(tool, net, x), expected)


def test_captum_follows_the_modified_weights_through_functional_relu_and_max_pool():
    """The maximiser, and which neurons are active, are those of the layer with its negative weights removed."""
    net, x = Functional(max_pool), point(1, 4, 4).abs()
    z, r = at_the_pool(net, x, RULES["captum"])
    with torch.no_grad():
        kept = net.conv.weight.clone()
        net.conv.weight.clamp_(min=0)
        modified = net.conv(x[None])[0]
        net.conv.weight.copy_(kept)
    rule = oracle.affine(oracle.captum_alpha1_beta0)
    found = captum_lrp(net, x[None], 0, {"conv": captum_rules.Alpha1_Beta0_Rule()})[0]
    followed, meant = (
        rule(net.conv, x, oracle.gradient(net.pool, seen.relu(), r) * (seen > 0)) for seen in (modified, z)
    )
    assert equal(found, followed)
    assert not equal(found, meant)


def scaled(net, x):
    return net.last(2.5 * net.first(x) + 1)


@pytest.mark.parametrize("tool", ["captum", "zennit"])
def test_a_constant_factor_multiplies_the_relevance(tool):
    net, x = Net(scaled), point(4)
    rule = RULES[tool]
    with torch.no_grad():
        top = 2.5 * net.first(x) + 1
        seed = one_hot(net.last(top))
    assert equal(found_by(tool, net, x), rule(net.first, x, 2.5 * rule(net.last, top, seed)))


def test_captum_returns_gradient_times_logit_for_a_model_that_is_one_layer():
    net, x = Net(plain_addition).first, point(4)
    assert equal(found_by("captum", net, x), (net.weight[0] * net(x)[0]).detach())
