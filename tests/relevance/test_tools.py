"""What captum, zennit and autoLRP compute on small networks is what tests/tool_oracles.py says, to 1e-10.

Every network is a chain with biases of both signs, batch norm statistics, pools, padding, and a weight that is 0.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import tool_oracles as oracle
import torch
from tools import (
    autolrp_lrp,
    captum_lrp,
    conv_net,
    images,
    import_captum,
    import_zennit,
    randomise,
    zennit_by_name,
    zennit_lrp,
)
from torch import nn

captum = import_captum()
zennit = import_zennit()
captum_rules = pytest.importorskip("captum.attr._utils.lrp_rules")
addition = pytest.importorskip("captum.attr._utils.custom_modules").Addition_Module

TARGET = 1
CONVOLUTIONS, DENSE = ("0", "4"), ("8",)
CAPTUM_EPSILON = oracle.affine(oracle.epsilon(oracle.CAPTUM_STABILISER))
ZENNIT_EPSILON = oracle.affine(oracle.epsilon(oracle.ZENNIT_STABILISER))
NORM = ZENNIT_EPSILON
"""zennit's Norm is its epsilon rule on a module without parameters."""


def assert_oracle(modules, treatments, found, x):
    """The tool's relevances of a batch are the oracle's, one by one."""
    assert (found != 0).any()
    for one, theirs in zip(x, found, strict=True):
        ours = oracle.relevance_of(list(modules), treatments, one, TARGET)
        assert torch.allclose(theirs, ours, rtol=1e-10, atol=1e-10), (theirs - ours).abs().max()


CAPTUM = {
    "Epsilon": (lambda: captum_rules.EpsilonRule(), oracle.epsilon(1e-9)),
    "Epsilon 0.25": (lambda: captum_rules.EpsilonRule(epsilon=0.25), oracle.epsilon(0.25)),
    "Gamma": (lambda: captum_rules.GammaRule(), oracle.captum_gamma(0.25)),
    "Gamma 1, no bias": (
        lambda: captum_rules.GammaRule(gamma=1, set_bias_to_zero=True),
        oracle.without_bias(oracle.captum_gamma(1)),
    ),
    "Alpha1_Beta0": (lambda: captum_rules.Alpha1_Beta0_Rule(), oracle.captum_alpha1_beta0),
    "Alpha1_Beta0, no bias": (
        lambda: captum_rules.Alpha1_Beta0_Rule(set_bias_to_zero=True),
        oracle.without_bias(oracle.captum_alpha1_beta0),
    ),
}
"""captum's rule and what it computes on an affine layer."""


def captum_treatments(rule):
    """Of conv_net's modules, under a rule for its convolutions and dense layers."""
    treat = oracle.affine(rule)
    pools = (oracle.stabilised_winner, CAPTUM_EPSILON)
    return [treat, CAPTUM_EPSILON, oracle.unchanged, pools[0], treat, oracle.unchanged, pools[1], CAPTUM_EPSILON, treat]


@pytest.mark.parametrize("name", CAPTUM)
def test_captum(name):
    make, rule = CAPTUM[name]
    net, x = conv_net(), images()
    rules = {layer: make() for layer in CONVOLUTIONS + DENSE} | {"7": captum_rules.EpsilonRule()}
    assert_oracle(net, captum_treatments(rule), captum_lrp(net, x, TARGET, rules), x)


def test_captum_passes_relevance_through_batch_norm_under_the_identity_rule():
    net, x = conv_net(), images()
    treatments = captum_treatments(oracle.epsilon(1e-9))
    treatments[1] = oracle.unchanged
    rules = {"1": captum_rules.IdentityRule(), "7": captum_rules.EpsilonRule()}
    assert_oracle(net, treatments, captum_lrp(net, x, TARGET, rules), x)


def coefficients(layer, a, relevance):
    """sum_j w_j R_j/(z_j + e sign(z_j)): what the epsilon rule multiplies by a."""
    return oracle.passed_on(layer.w, layer.w @ a + layer.b, oracle.CAPTUM_STABILISER, relevance)


@pytest.mark.parametrize("relu", [False, True])
def test_captum_passes_coefficients_for_relevance_under_the_identity_rule_behind_a_relu_module(relu):
    """The ReLU's hook takes the gradient that arrives at its output, before the rule's hook has replaced it."""
    net, x = chain(4, 4, 4, 2), images()[:, 0, 0, :4]
    if relu:
        net.insert(1, nn.ReLU())
    last = len(net) - 1
    found = captum_lrp(net, x, TARGET, {str(last - 1): captum_rules.IdentityRule()})
    passed = oracle.affine(coefficients) if relu else oracle.unchanged
    treatments = [CAPTUM_EPSILON, *[oracle.unchanged] * (last - 2), passed, CAPTUM_EPSILON]
    assert_oracle(net, treatments, found, x)


@pytest.mark.parametrize(
    ("rule", "weight"),
    [
        (lambda: captum_rules.GammaRule(), lambda w: w + 0.25 * w.clamp(min=0)),
        (lambda: captum_rules.Alpha1_Beta0_Rule(), lambda w: w.clamp(min=0)),
    ],
)
def test_captum_modifies_the_factor_of_batch_norm_and_with_it_the_mean_in_the_denominator(rule, weight):
    net, x = conv_net(), images()
    modified = copy.deepcopy(net[1])
    modified.weight.data = weight(modified.weight.data)
    treatments = captum_treatments(oracle.epsilon(1e-9))
    treatments[1] = lambda _, a, relevance: CAPTUM_EPSILON(modified, a, relevance)
    rules = {"1": rule(), "7": captum_rules.EpsilonRule()}
    assert_oracle(net, treatments, captum_lrp(net, x, TARGET, rules), x)


def test_captum_drops_every_rule_at_the_second_call():
    net, x = conv_net(), images()
    chain = nn.Sequential(*list(net)[:7], nn.AvgPool2d(4), Flattened(4, 3)).double().eval()
    rules = {layer: captum_rules.Alpha1_Beta0_Rule() for layer in ("0", "4", "8.linear")}
    twice = captum_lrp(chain, x, TARGET, rules, calls=2)
    assert torch.equal(twice, captum_lrp(chain, x, TARGET))
    assert not torch.allclose(twice, captum_lrp(chain, x, TARGET, rules), rtol=1e-3)


class Flattened(nn.Module):
    """A dense layer behind a flattening that is no module: captum has no rule for nn.Flatten."""

    def __init__(self, size, out):
        super().__init__()
        self.linear = randomise(nn.Linear(size, out), 5)

    def forward(self, x):
        return self.linear(x.flatten(1))


@pytest.mark.parametrize("layer", [nn.Flatten(), nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1), nn.Identity()], ids=str)
def test_captum_has_no_rule_for(layer):
    with pytest.raises(TypeError, match="no rule defined"):
        captum_lrp(nn.Sequential(layer, nn.ReLU()).double().eval(), torch.ones(1, 1, 2, dtype=torch.float64), 0)


def zennit_rules():
    """zennit's rule and what it computes on an affine layer."""
    r = zennit.rules
    return {
        "Epsilon": (r.Epsilon(), oracle.epsilon(1e-6)),
        "Epsilon 0.25": (r.Epsilon(0.25), oracle.epsilon(0.25)),
        "Epsilon, no bias": (r.Epsilon(zero_params="bias"), oracle.without_bias(oracle.epsilon(1e-6))),
        "ZPlus": (r.ZPlus(), oracle.zennit_zplus),
        "ZPlus, no bias": (r.ZPlus(zero_params="bias"), oracle.without_bias(oracle.zennit_zplus)),
        "AlphaBeta": (r.AlphaBeta(), oracle.zennit_alpha_beta(2, 1)),
        "AlphaBeta 1 0": (r.AlphaBeta(1, 0), oracle.zennit_alpha_beta(1, 0)),
        "AlphaBeta 3 2, no bias": (
            r.AlphaBeta(3, 2, zero_params="bias"),
            oracle.without_bias(oracle.zennit_alpha_beta(3, 2)),
        ),
        "Gamma": (r.Gamma(), oracle.zennit_gamma(0.25)),
        "Gamma 2": (r.Gamma(2.0), oracle.zennit_gamma(2)),
        "Gamma, no bias": (r.Gamma(zero_params="bias"), oracle.zennit_gamma_no_bias(0.25)),
        "ZBox": (r.ZBox(-4.0, 4.0), oracle.zennit_zbox(-4, 4)),
        "WSquare": (r.WSquare(), oracle.zennit_wsquare),
        "WSquare, no bias": (r.WSquare(zero_params="bias"), oracle.without_bias(oracle.zennit_wsquare)),
        "Flat": (r.Flat(), oracle.zennit_flat),
    }


def zennit_treatments(convolution, dense, first=None, norm=oracle.unchanged):
    """Of conv_net's modules, under zennit's own choice for what is not affine."""
    first, convolution, dense = oracle.affine(first or convolution), oracle.affine(convolution), oracle.affine(dense)
    winner = oracle.gradient
    return [first, norm, oracle.unchanged, winner, convolution, oracle.unchanged, NORM, oracle.unchanged, dense]


@pytest.mark.parametrize("name", zennit_rules())
def test_zennit(name):
    theirs, rule = zennit_rules()[name]
    net, x = conv_net(), images()
    composite = zennit_by_name(dict.fromkeys(CONVOLUTIONS + DENSE, theirs))
    assert_oracle(net, zennit_treatments(rule, rule), zennit_lrp(net, x, TARGET, composite), x)


EPSILON = oracle.epsilon(1e-6)
PRESETS = {
    "epsilon_plus": ({}, (oracle.zennit_zplus, EPSILON)),
    "epsilon_alpha2_beta1": ({}, (oracle.zennit_alpha_beta(2, 1), EPSILON)),
    "epsilon_plus_flat": ({}, (oracle.zennit_zplus, EPSILON, oracle.zennit_flat)),
    "epsilon_alpha2_beta1_flat": ({}, (oracle.zennit_alpha_beta(2, 1), EPSILON, oracle.zennit_flat)),
    "epsilon_gamma_box": (
        {"low": -4.0, "high": 4.0},
        (oracle.zennit_gamma(0.25), EPSILON, oracle.zennit_zbox(-4, 4)),
    ),
}
"""zennit's composite, its arguments, and the rules of convolutions, dense layers and the first layer."""


@pytest.mark.parametrize("name", PRESETS)
def test_zennit_presets(name):
    arguments, rules = PRESETS[name]
    net, x = conv_net(), images()
    composite = zennit.composites.COMPOSITES[name](**arguments)
    assert_oracle(net, zennit_treatments(*rules), zennit_lrp(net, x, TARGET, composite), x)


def test_zennit_excitation_backprop_keeps_the_gradients_of_relu_and_batch_norm():
    net, x = conv_net(), images()
    treatments = zennit_treatments(oracle.zennit_zplus, oracle.zennit_zplus, norm=oracle.gradient)
    treatments[2] = treatments[5] = oracle.gradient
    composite = zennit.composites.ExcitationBackprop()
    assert_oracle(net, treatments, zennit_lrp(net, x, TARGET, composite), x)


def test_zennit_keeps_the_gradient_of_layers_without_a_rule():
    net, x = conv_net(), images()
    treatments = zennit_treatments(oracle.epsilon(1e-6), oracle.zennit_zplus)
    treatments[0] = treatments[4] = oracle.gradient
    composite = zennit_by_name({"8": zennit.rules.ZPlus()})
    assert_oracle(net, treatments, zennit_lrp(net, x, TARGET, composite), x)


def test_zennit_merges_batch_norm_and_leaves_its_epsilon_behind():
    """The network that it then explains is another one: every merged batch norm still divides by sqrt(1 + eps)."""
    net, x = conv_net(), images()
    composite = zennit.composites.EpsilonPlus(canonizers=[zennit.canonizers.SequentialMergeBatchNorm()])
    found = zennit_lrp(net, x, TARGET, composite)
    merged = merge_batch_norm(net)
    treatments = zennit_treatments(oracle.zennit_zplus, EPSILON)
    assert_oracle(merged, treatments, found, x)
    merged[1].eps = 0.0
    assert not torch.allclose(oracle.relevance_of(list(merged), treatments, x[0], TARGET), found[0], rtol=1e-8)


def merge_batch_norm(net):
    """conv_net with its batch norm folded into the convolution before it, and a batch norm that only keeps its eps."""
    net = copy.deepcopy(net)
    scale = net[1].weight.data / (net[1].running_var + net[1].eps).sqrt()
    net[0].bias.data = (net[0].bias.data - net[1].running_mean) * scale + net[1].bias.data
    net[0].weight.data = net[0].weight.data * scale[:, None, None, None]
    kept = nn.BatchNorm2d(2, eps=net[1].eps).double().eval()
    net[1] = kept
    return net


def chain(*widths):
    """Dense layers without anything between them, so that what arrives at a layer is what the one above passes on."""
    return randomise(nn.Sequential(*(nn.Linear(size, out) for size, out in pairwise(widths))))


@pytest.mark.parametrize("tool", ["captum", "zennit"])
def test_the_stabiliser_of_a_denominator_that_is_zero_is_positive(tool):
    net = chain(2, 2, 2)
    net[0].weight.data[TARGET] = torch.tensor([1.0, -1.0])
    net[0].bias.data.zero_()
    x = torch.ones(1, 2, dtype=torch.float64)
    if tool == "captum":
        rules = {"1": captum_rules.IdentityRule()}
        found, treatments = captum_lrp(net, x, TARGET, rules), [CAPTUM_EPSILON, oracle.unchanged]
    else:
        found = zennit_lrp(net, x, TARGET, zennit_by_name({"0": zennit.rules.Epsilon(), "1": zennit.rules.WSquare()}))
        treatments = [ZENNIT_EPSILON, oracle.affine(oracle.zennit_wsquare)]
    assert found.abs().max() > 1e5
    for one, theirs in zip(x, found, strict=True):
        assert torch.allclose(theirs, oracle.relevance_of(list(net), treatments, one, TARGET), rtol=1e-10)


AUTOLRP = {
    "epsilon": ("epsilon", oracle.epsilon(1e-11)),
    "zplus": ("zplus", oracle.zennit_alpha_beta(1, 0, 1e-11)),
    "alpha_beta": (("alpha_beta", {"alpha": 2.0, "beta": 1.0}), oracle.zennit_alpha_beta(2, 1, 1e-11)),
    "gamma": (("gamma", {"gamma": 0.25}), oracle.zennit_gamma(0.25, 1e-11)),
    "gamma_montavon": (("gamma_montavon", {"gamma": 0.25}), oracle.captum_gamma(0.25, 1e-11)),
    "zbox": (("zbox", {"low": -4.0, "high": 4.0}), oracle.zennit_zbox(-4, 4, 1e-11)),
}
"""autoLRP's rule and what it computes on an affine layer once the bias has taken its share."""


@pytest.mark.parametrize("name", AUTOLRP)
def test_autolrp(name):
    pytest.importorskip("autolrp")
    theirs, rule = AUTOLRP[name]
    net, x = conv_net(), images()
    treat, relu, norm = oracle.affine(oracle.autolrp(rule)), oracle.unchanged, oracle.unchanged
    pool, flatten = oracle.gradient, oracle.unchanged
    treatments = [treat, norm, relu, pool, treat, relu, pool, flatten, treat]
    entries = dict.fromkeys(("AddmmBackward", "ConvolutionBackward"), theirs)
    found = torch.cat([autolrp_lrp(net, one[None], TARGET, entries) for one in x])
    assert_oracle(net, treatments, found, x)
