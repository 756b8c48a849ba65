"""Every variant and composite is what the real tool computes, to 1e-8 in float64; and exact relevances say the same.

The networks have biases of both signs, batch norm, max and average pools, padding, groups, a weight that is 0, and a
residual addition by the tool's own module. What the authors' code computes stands in tests/tool_oracles.py.
"""

from __future__ import annotations

import pytest
import tool_oracles as oracle
import torch
from tool_networks import CAPTUM, IN_FLAT_NET, Residual, Summed, dense, flat_net, in_zennit, plain
from tools import (
    autolrp_lrp,
    captum_lrp,
    conv_net,
    images,
    import_captum,
    import_zennit,
    zennit_by_name,
    zennit_lrp,
)
from torch import nn

from dtdsym.network.from_module import from_module
from dtdsym.relevance.explain import explain
from dtdsym.relevance.variants import VARIANTS

captum = import_captum()
zennit = import_zennit()
captum_rules = pytest.importorskip("captum.attr._utils.lrp_rules")
addition = pytest.importorskip("captum.attr._utils.custom_modules").Addition_Module

TARGET = 1
LAYERS = ("0", "4", "8")
IN_CAPTUM = "batchnorm=epsilon:1e-9,avgpool=epsilon:1e-9,maxpool=winner:1e-9"
IN_ZENNIT = "batchnorm=even,avgpool=epsilon:1e-6"
IN_AUTOLRP = "batchnorm=even,avgpool=gradient"


def close(ours, theirs):
    """To 1e-8 of the largest entry."""
    assert (theirs != 0).any()
    return (ours - theirs).abs().max() <= 1e-8 * theirs.abs().max()


def ours(text, net=None, x=None):
    """Of conv_net, with batch normalisation as a layer of its own."""
    net, x = net or conv_net(), images() if x is None else x
    return explain(from_module(net, x).unfolded(), x, text, logit=TARGET)


@pytest.mark.parametrize("text", CAPTUM)
def test_captum(text):
    rules = {layer: CAPTUM[text]() for layer in IN_FLAT_NET}
    theirs = captum_lrp(flat_net(), images(), TARGET, rules)
    assert close(ours(f"conv={text},linear={text},{IN_CAPTUM}"), theirs)
    assert not close(ours(f"conv={text},linear={text},batchnorm=even"), theirs)


def test_captum_with_a_rule_for_each_layer():
    given = {"0": "captum.gamma:1", "4": "captum.alpha1_beta0", "7.linear": "epsilon:0.25"}
    rules = {layer: CAPTUM[text]() for layer, text in given.items()}
    text = ",".join(f"{layer}={rule}" for layer, rule in zip((1, 3, 4), given.values(), strict=True))
    assert close(ours(f"{text},{IN_CAPTUM}"), captum_lrp(flat_net(), images(), TARGET, rules))


def test_captum_passes_batch_norm_under_its_identity_rule():
    rules = {"1": captum_rules.IdentityRule()}
    text = f"*=epsilon:1e-9,{IN_CAPTUM}".replace("batchnorm=epsilon:1e-9", "batchnorm=even")
    assert close(ours(text), captum_lrp(flat_net(), images(), TARGET, rules))


@pytest.mark.parametrize("text", in_zennit())
def test_zennit(text):
    composite = zennit_by_name(dict.fromkeys(LAYERS, in_zennit()[text]))
    theirs = zennit_lrp(conv_net(), images(), TARGET, composite)
    assert close(ours(f"conv={text},linear={text},{IN_ZENNIT}"), theirs)


EPSILON = "linear=epsilon:1e-6"
PRESETS = {
    "epsilon_plus": ({}, f"conv=zennit.zplus,{EPSILON}"),
    "epsilon_alpha2_beta1": ({}, f"conv=zennit.alpha_beta,{EPSILON}"),
    "epsilon_plus_flat": ({}, f"first=zennit.flat,conv=zennit.zplus,{EPSILON}"),
    "epsilon_alpha2_beta1_flat": ({}, f"first=zennit.flat,conv=zennit.alpha_beta,{EPSILON}"),
    "epsilon_gamma_box": ({"low": -4.0, "high": 4.0}, f"first=zennit.zbox:-4:4,conv=zennit.gamma,{EPSILON}"),
}


@pytest.mark.parametrize("name", PRESETS)
def test_zennit_presets(name):
    arguments, text = PRESETS[name]
    theirs = zennit_lrp(conv_net(), images(), TARGET, zennit.composites.COMPOSITES[name](**arguments))
    assert close(ours(f"{text},{IN_ZENNIT}"), theirs)


def test_zennit_excitation_backprop():
    theirs = zennit_lrp(conv_net(), images(), TARGET, zennit.composites.ExcitationBackprop())
    text = "conv=zennit.zplus,linear=zennit.zplus,relu=gradient,batchnorm=gradient,avgpool=epsilon:1e-6"
    assert close(ours(text), theirs)


def test_zennit_keeps_the_gradient_of_layers_without_a_rule():
    theirs = zennit_lrp(conv_net(), images(), TARGET, zennit_by_name({"8": zennit.rules.ZPlus()}))
    assert close(ours(f"conv=gradient,linear=zennit.zplus,{IN_ZENNIT}"), theirs)


AUTOLRP = {
    "autolrp.lrp0": "epsilon",
    "autolrp.zplus": "zplus",
    "autolrp.alpha_beta": ("alpha_beta", {"alpha": 2.0, "beta": 1.0}),
    "autolrp.gamma": ("gamma", {"gamma": 0.25}),
    "autolrp.gamma_montavon": ("gamma_montavon", {"gamma": 0.25}),
    "autolrp.zbox:-4:4": ("zbox", {"low": -4.0, "high": 4.0}),
}


@pytest.mark.parametrize("text", AUTOLRP)
def test_autolrp(text):
    pytest.importorskip("autolrp")
    entries = dict.fromkeys(("AddmmBackward", "ConvolutionBackward"), AUTOLRP[text])
    theirs = torch.cat([autolrp_lrp(conv_net(), one[None], TARGET, entries) for one in images()])
    assert close(ours(f"conv={text},linear={text},{IN_AUTOLRP}"), theirs)


@pytest.mark.parametrize("tool", ["captum", "zennit", "autolrp"])
def test_residual_additions(tool):
    x, module = images(), Residual(plain)
    if tool == "captum":
        theirs = captum_lrp(Residual(addition()), x, TARGET)
        text = "*=epsilon:1e-9,add=proportional:1e-9"
    elif tool == "zennit":
        theirs = zennit_lrp(Residual(Summed()), x, TARGET, zennit.composites.EpsilonPlus())
        text = f"conv=zennit.zplus,{EPSILON},add=proportional:1e-6"
    else:
        pytest.importorskip("autolrp")
        theirs = torch.cat([autolrp_lrp(module, one[None], TARGET, {}) for one in x])
        text = "*=autolrp.lrp0,add=magnitude:1e-11"
    assert close(ours(text, module, x), theirs)


@pytest.mark.parametrize(
    ("text", "rule", "top"),
    [
        ("authors.lrp0", oracle.algorithm2_zero, (3,)),
        ("authors.pinv", oracle.algorithm2_pinv, (1,)),
    ],
)
def test_algorithm_2_as_its_authors_coded_it(text, rule, top):
    net = dense(5, 4, 3, *top)
    x = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logit = top[0] - 1
    treat = oracle.affine(rule)
    found = explain(from_module(net, x), x, text, logit=logit)
    for one, row in zip(x, found, strict=True):
        cut = nn.Linear(3, 1).double()
        cut.weight.data, cut.bias.data = net[4].weight.data[logit:], net[4].bias.data[logit:]
        treatments = [treat, oracle.unchanged, treat, oracle.unchanged, treat]
        theirs = oracle.relevance_of([*net[:4], cut], treatments, one, 0)
        assert close(row, theirs)


def parameters(name):
    """Parameters for a rule that has no defaults."""
    return f"{name}:-4:4" if name.endswith("zbox") else name


EVERYWHERE = [family.name for family in VARIANTS if family.name != "authors.pinv"]


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_batch_of_floats_is_close_to_the_exact_relevance(name):
    net, x, text = conv_net(), images()[:1], parameters(name)
    composite = f"conv={text},linear={text},batchnorm=epsilon:1e-9,avgpool=epsilon:1e-6,maxpool=winner:1e-9"
    network = from_module(net, x).unfolded()
    exact = explain(network, x[0], composite, logit=TARGET)
    assert close(
        explain(network, x, composite, logit=TARGET).reshape(-1),
        torch.tensor([float(q) for q in exact], dtype=torch.float64),
    )


@pytest.mark.parametrize("name", ["even", "gradient", "autolrp.gamma", "zennit.gamma_nobias", "authors.lrp0"])
@pytest.mark.parametrize("add", ["proportional", "magnitude:1e-11", "both"])
def test_the_ledger_adds_up(name, add):
    module, x = Residual(plain), images()
    found = explain(from_module(module, x), x[0], f"*={name},relu=gradient,add={add}", logit=TARGET)
    assert found.ledger.output == found.ledger.relevance + found.ledger.lost
    assert sum(row.amount for row in found.ledger.rows) == found.ledger.lost
    assert sum(found) == found.ledger.relevance
