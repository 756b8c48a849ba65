"""identify names what the real tools computed, flaws included, and says where nothing matches."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from tool_networks import (
    CAPTUM,
    IN_FLAT_NET,
    Added,
    Functional,
    Net,
    Residual,
    Summed,
    addition_before_the_relu,
    average_pool,
    dense,
    flat_net,
    functional_relu,
    in_zennit,
    plain,
    plain_addition,
    reused,
)
from tools import autolrp_lrp, captum_lrp, conv_net, images, import_captum, import_zennit, zennit_by_name, zennit_lrp
from torch import nn

import dtdsym
from dtdsym.errors import InputError, NotExact, RuleError, ShapeMismatch
from dtdsym.network.builder import Builder
from dtdsym.network.from_module import from_module
from dtdsym.network.network import sequential
from dtdsym.relevance.comparison import difference
from dtdsym.relevance.explain import explain
from dtdsym.relevance.identify import identify

captum = import_captum()
zennit = import_zennit()
captum_rules = pytest.importorskip("captum.attr._utils.lrp_rules")
addition = pytest.importorskip("captum.attr._utils.custom_modules").Addition_Module

TARGET = 1


def texts(found, tool=""):
    """The compositions of the matches of one tool, or of all."""
    return [match.candidate.text for match in found.matches if tool in match.candidate.tool]


def linear_rule(text):
    """What a candidate does to a dense layer."""
    chosen = dict(part.split("=") for part in text.split(",")) if "=" in text else {"*": text}
    return chosen.get("linear", chosen.get("*"))


def told(found):
    return " ".join(found.sentences())


def of_conv_net(relevance, logit=TARGET, net=None):
    return identify(from_module(net or conv_net(), images()), images(), relevance, logit)


@pytest.mark.parametrize("text", [text for text in CAPTUM if "0.25" not in text or "gamma" in text])
def test_captum_rules_are_named(text):
    theirs = captum_lrp(flat_net(), images(), TARGET, {layer: CAPTUM[text]() for layer in IN_FLAT_NET})
    found = of_conv_net(theirs, net=flat_net())
    name = text if ":" in text or "beta" in text else f"{text}:0.25"
    assert found.matches[0].candidate.tool == "captum"
    assert [linear_rule(match) for match in texts(found)] == [name]
    assert not found.matches[0].candidate.flaws


def test_captum_with_rules_for_convolutions_only():
    theirs = captum_lrp(flat_net(), images(), TARGET, {layer: captum_rules.GammaRule() for layer in ("0", "4")})
    (match,) = of_conv_net(theirs, net=flat_net()).matches
    assert match.candidate.text.startswith("conv=captum.gamma:0.25,linear=epsilon:1e-9,")


def test_captum_without_rules_may_have_dropped_them():
    """captum forgets the rules at the second call: what is left is not what was asked for, and identify says so."""
    rules = {layer: captum_rules.Alpha1_Beta0_Rule() for layer in IN_FLAT_NET}
    once = of_conv_net(captum_lrp(flat_net(), images(), TARGET, rules), net=flat_net())
    twice = of_conv_net(captum_lrp(flat_net(), images(), TARGET, rules, calls=2), net=flat_net())
    assert "issue 1059" not in told(once)
    assert "captum forgets custom rules after the first call of attribute (its issue 1059)" in told(twice)
    assert "set them again before each call" in told(twice)
    assert twice.matches[0].candidate.text.startswith("*=epsilon:1e-9,")


@pytest.mark.parametrize("text", [text for text in in_zennit() if text not in ("zennit.gamma:2", "zennit.zbox:-4:4")])
def test_zennit_rules_are_named(text):
    composite = zennit_by_name({}, rest=lambda: in_zennit()[text])
    if "3:2" in text:
        found = identify(
            from_module(conv_net(), images()),
            images(),
            zennit_lrp(conv_net(), images(), TARGET, composite),
            TARGET,
            rules=[f"conv={text},linear={text},batchnorm=even,avgpool=epsilon:1e-6"],
        )
    else:
        found = of_conv_net(zennit_lrp(conv_net(), images(), TARGET, composite))
    named = {"zennit.gamma": "zennit.gamma:0.25", "zennit.alpha_beta": "zennit.alpha_beta:2:1"}.get(text, text)
    assert named in [linear_rule(match) for match in texts(found)]
    assert not found.matches[0].candidate.flaws


def box():
    return {"low": images().min().item(), "high": images().max().item()}


PRESETS = {
    "EpsilonPlus": dict,
    "EpsilonPlusFlat": dict,
    "EpsilonAlpha2Beta1": dict,
    "EpsilonAlpha2Beta1Flat": dict,
    "EpsilonGammaBox": box,
    "ExcitationBackprop": dict,
}


@pytest.mark.parametrize("name", PRESETS)
def test_zennit_presets_are_named(name):
    composite = getattr(zennit.composites, name)(**PRESETS[name]())
    found = of_conv_net(zennit_lrp(conv_net(), images(), TARGET, composite))
    assert [match.candidate.tool for match in found.matches] == [f"zennit {name}"]
    assert told(found).startswith(f"It equals zennit {name}: ")
    assert found.matches[0].error < 1e-12


def test_what_zennits_canonizer_leaves_of_batch_norm():
    composite = zennit.composites.EpsilonPlus(canonizers=[zennit.canonizers.SequentialMergeBatchNorm()])
    found = of_conv_net(zennit_lrp(conv_net(), images(), TARGET, composite))
    assert [match.candidate.batchnorm for match in found.matches] == ["merged"]
    assert found.matches[0].candidate.tool == "zennit EpsilonPlus"
    assert found.matches[0].candidate.flaws == ("batchnorm=merged",)
    assert "left its eps behind" in told(found)


@pytest.mark.parametrize("rule", ["epsilon", "zplus", "gamma", "gamma_montavon"])
def test_autolrp_rules_are_named(rule):
    pytest.importorskip("autolrp")
    entry = (rule, {"gamma": 0.25}) if "gamma" in rule else rule
    entries = dict.fromkeys(("AddmmBackward", "ConvolutionBackward"), entry)
    theirs = torch.cat([autolrp_lrp(conv_net(), one[None], TARGET, entries) for one in images()])
    found = of_conv_net(theirs)
    named = {"epsilon": "lrp0", "zplus": "zplus"}.get(rule, f"{rule}:0.25")
    assert [linear_rule(match) for match in texts(found)] == [f"autolrp.{named}"]


def test_this_packages_own_rules_are_named():
    network, x = from_module(conv_net(), images()), images()
    for text in ("zplus", "w2", "gamma:0.5", "conv=zplus,linear=epsilon:1e-6", "first=flat,conv=zplus,linear=lrp0"):
        assert set(texts(identify(network, x, explain(network, x, text, TARGET), TARGET))) == {text}
    found = identify(network, x, explain(network, x, "gamma:3", TARGET), TARGET, rules=["gamma:3"])
    assert texts(found) == ["gamma:3"]


def test_the_authors_code_is_named():
    net, x = dense(5, 4, 3, 1), torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    network = from_module(net, x)
    for text in ("authors.lrp0", "authors.pinv"):
        assert texts(identify(network, x, explain(network, x, text))) == [text]


def gradient_x_input(net, x, logit=TARGET):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(x)[:, logit].sum(), x)
    return (gradient * x).detach(), gradient


@pytest.mark.parametrize("by", ["autograd", "captum"])
def test_gradient_x_input_is_said_outright(by):
    net, x = conv_net(), images()
    theirs = gradient_x_input(net, x)[0]
    if by == "captum":
        theirs = captum.InputXGradient(net).attribute(x.clone().requires_grad_(), target=TARGET).detach()
    found = of_conv_net(theirs)
    assert found.is_gradient_x_input
    assert told(found).startswith("This is gradient x input")


def test_gradient_x_input_is_not_said_of_another_logit_or_of_a_rule():
    net, x = small()
    assert of_small(gradient_x_input(net, x)[0]).is_gradient_x_input
    assert not of_small(gradient_x_input(net, x)[0], logit=0).is_gradient_x_input
    assert not of_small(zennit_lrp(net, x, TARGET, wsquare())).is_gradient_x_input


def test_gradient_x_input_is_known_where_the_logit_is_zero_and_through_additions():
    network = sequential(([[1, -1], [1, 1]], [0, 0]), final_relu=False)
    found = identify(network, [2.0, 2.0], [2.0, -2.0])
    assert found.gradient_x_input == 0
    assert found.is_gradient_x_input
    module, x = Residual(plain), images()
    assert identify(from_module(module, x), x, gradient_x_input(module, x)[0], TARGET).is_gradient_x_input


def test_gradient_x_input_is_the_finding_where_no_rule_gives_it():
    """At a linear neuron whose value is exactly 0, LRP-0 has 0/0 and passes nothing down; the gradient does."""
    builder = Builder((2,))
    hidden = builder.linear(builder.input, np.array([[1.0, -1.0], [2.0, 0.0]]), np.zeros(2))
    network = builder.network(builder.linear(hidden, np.array([[2.0, 1.0]]), np.ones(1)))
    found = identify(network, [2, 2], [8.0, -4.0])
    assert found.is_gradient_x_input
    assert not found.matches
    assert [sentence.startswith("This is gradient x input") for sentence in found.sentences()] == [True]


def test_the_gradient_alone_is_named():
    found = of_conv_net(gradient_x_input(conv_net(), images())[1])
    assert "This is the gradient alone, not multiplied by the input." in told(found)
    assert not found.is_gradient_x_input


def test_float32_is_enough():
    net, x = conv_net().float(), images().float()
    theirs = zennit_lrp(net, x, TARGET, zennit.composites.EpsilonPlusFlat())
    assert theirs.dtype == torch.float32
    found = identify(from_module(net, x), x, theirs, TARGET)
    assert found.tolerance == 1e-4
    assert "zennit EpsilonPlusFlat" in [match.candidate.tool for match in found.matches]
    assert identify(from_module(net, x), x, theirs.double().numpy(), TARGET).tolerance == 1e-4
    assert found.matches[0].error > 1e-12


@pytest.mark.parametrize("kind", [np.float16, torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_compared_by_what_it_can_hold(kind):
    theirs = captum_lrp(flat_net(), images(), TARGET, {layer: captum_rules.GammaRule() for layer in IN_FLAT_NET})
    rounded = theirs.numpy().astype(kind) if kind is np.float16 else theirs.to(kind)
    found = of_conv_net(rounded, net=flat_net())
    assert found.tolerance == 1e-2
    assert "captum.gamma:0.25" in [linear_rule(match) for match in texts(found)]


def test_a_seed_of_one_is_seen():
    """zennit's documentation starts from one-hot outputs, so that its relevance is divided by the logit."""
    net, x = conv_net(), images()
    composite = zennit.composites.EpsilonPlus()
    attributor = zennit.attribution.Gradient(net, composite)
    with attributor:
        _, theirs = attributor(x, torch.eye(3, dtype=torch.float64)[[TARGET] * len(x)])
    found = of_conv_net(theirs.detach())
    assert [(match.candidate.tool, match.seed) for match in found.matches] == [("zennit EpsilonPlus", "1")]
    assert "started from 1: multiply it by the logit f(x)" in told(found)


def test_a_seed_of_all_logits_is_seen():
    net, x = conv_net(), images()
    with zennit.attribution.Gradient(net, zennit.composites.EpsilonPlus()) as attributor:
        _, theirs = attributor(x)
    found = of_conv_net(theirs.detach())
    assert [(match.candidate.tool, match.seed) for match in found.matches] == [("zennit EpsilonPlus", "all")]
    assert "all logits at once" in told(found)


def test_another_logit_is_seen():
    theirs = zennit_lrp(conv_net(), images(), 2, zennit.composites.EpsilonPlus())
    found = of_conv_net(theirs, logit=0)
    assert [(match.candidate.tool, match.seed, match.logit) for match in found.matches] == [
        ("zennit EpsilonPlus", "f(x)", 2)
    ]
    assert "for logit 2, not the one given" in told(found)


def wsquare():
    """zennit's WSquare everywhere: a rule that sends relevance to inactive neurons."""
    return zennit_by_name({}, rest=zennit.rules.WSquare)


def batch(*shape):
    return torch.randn(4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def small():
    """A small dense network and inputs: searches that end without a match are long."""
    return dense(5, 6, 4, 3), batch(5)


def of_small(relevance, logit=TARGET):
    net, x = small()
    return identify(from_module(net, x), x, relevance, logit)


def test_each_input_may_have_its_own_logit():
    net, x = small()
    rows = [zennit_lrp(net, one[None], logit, wsquare()) for one, logit in zip(x, (2, 0, 1, 2), strict=True)]
    found = of_small(torch.cat(rows), logit=[2, 0, 1, 2])
    assert texts(found) == ["zennit.wsquare"]
    swapped = of_small(torch.cat(rows), logit=np.array([2, 0, 1, 1]))
    assert not swapped.matches
    assert swapped.nearest.error > 1e-3


def test_a_random_array_matches_nothing():
    found = of_small(torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(9)))
    assert not found.matches
    assert not found.is_gradient_x_input
    assert found.nearest.error > 0.1
    first, second = found.sentences()
    assert first.startswith("It equals none of the known explanations, and none is near: ")
    assert f"the nearest differs by up to {found.nearest.error:.2g} of the largest entry" in first
    assert second


@pytest.mark.parametrize("factors", [(-1.0, -1.0), (0.25, 3.0)])
def test_maps_scaled_for_display_are_proportional_and_not_equal(factors):
    network = from_module(conv_net(), images()[:1])
    made = explain(network, images(), "zplus", TARGET)
    found = identify(network, images(), made * torch.tensor(factors, dtype=torch.float64).view(2, 1, 1, 1), TARGET)
    assert not found.matches
    assert found.factors == pytest.approx(factors)
    assert "zplus" in found.proportional.candidate.text
    assert "It is proportional to " in told(found)
    assert found.to_json()["proportional"]["composite"] == found.proportional.candidate.text
    assert identify(network, images(), made, TARGET).proportional is None


def test_noise_is_not_called_near():
    network = from_module(conv_net(), images()[:1])
    noise = torch.randn(images().shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    assert "none is near" in told(identify(network, images(), noise, TARGET))


@pytest.mark.parametrize("row", [0, 3])
def test_a_slightly_perturbed_explanation_is_not_called_equal(row):
    net, x = small()
    theirs = zennit_lrp(net, x, TARGET, wsquare())
    assert texts(of_small(theirs)) == ["zennit.wsquare"]
    theirs[row, 2] += 1e-6 * theirs[row].abs().max()
    found = of_small(theirs)
    assert not found.matches
    assert found.nearest.candidate.text == "zennit.wsquare"
    assert 0.9e-6 < found.nearest.error < 1.1e-6


def flawed(name):
    """(module, inputs, the tool's relevance of logit 0)."""
    epsilon = zennit.composites.EpsilonPlus()
    x, image = batch(4), batch(1, 4, 4)
    match name:
        case "zennit, reused layer":
            return Net(reused), x, zennit_lrp(Net(reused), x, 0, epsilon)
        case "zennit, functional ReLU":
            return Net(functional_relu), x, zennit_lrp(Net(functional_relu), x, 0, wsquare())
        case "zennit, residual block":
            return Net(plain_addition), x, zennit_lrp(Net(plain_addition), x, 0, epsilon)
        case "zennit, functional ReLU and pool":
            return Functional(average_pool), image, zennit_lrp(Functional(average_pool), image, 0, epsilon)
        case "captum, residual block":
            return Net(plain_addition), x, captum_lrp(Net(plain_addition), x, 0)
        case "captum, residual block before the ReLU":
            return Net(addition_before_the_relu), x, captum_lrp(Net(addition_before_the_relu), x, 0)
        case "captum, two branches":
            return Net(two_branches), x, captum_lrp(Net(two_branches), x, 0)
        case "captum, functional ReLU and pool":
            return Functional(average_pool), image, captum_lrp(Functional(average_pool), image, 0)
    raise AssertionError(name)


def two_branches(net, x):
    return net.last(net.other_relu(net.first(x) + net.second(x)))


FLAWED = {
    "zennit, reused layer": (("reuse=last",), "a layer that is used more than once"),
    "zennit, functional ReLU": (("relu=gradient",), "use nn.ReLU"),
    "zennit, residual block": (("add=both",), "zennit's Sum"),
    "zennit, functional ReLU and pool": (("relu=gradient", "avgpool=gradient"), "use a module for it"),
    "captum, residual block": (("add=captum",), "use its Addition_Module"),
    "captum, residual block before the ReLU": (("add=captum",), "use its Addition_Module"),
    "captum, two branches": (("add=both",), "captum's Addition_Module"),
    "captum, functional ReLU and pool": (("relu=gradient", "avgpool=gradient"), "use a module for it"),
}


@pytest.mark.parametrize("name", FLAWED)
def test_a_flaw_of_the_tool_is_named(name):
    module, x, theirs = flawed(name)
    found = identify(from_module(module, x), x, theirs)
    flaws, remedy = FLAWED[name]
    tool = name.split(",")[0]
    assert flaws in {match.candidate.flaws for match in found.matches if match.candidate.tool.startswith(tool)}
    assert "Flaw: " in told(found)
    assert remedy in told(found)


def test_the_tools_own_addition_is_no_flaw():
    x = batch(4)
    network = from_module(Net(plain_addition), x)
    for tool in ("captum", "zennit"):
        run = captum_lrp(Added(tool), x, 0) if tool == "captum" else None
        theirs = zennit_lrp(Added(tool), x, 0, zennit.composites.EpsilonPlus()) if run is None else run
        found = identify(network, x, theirs)
        assert tool in found.matches[0].candidate.tool
        assert "Flaw" not in told(found)


@pytest.mark.parametrize("tool", ["captum", "zennit"])
def test_a_residual_block_of_convolutions(tool):
    x = images()
    if tool == "captum":
        right, wrong = (captum_lrp(Residual(join), x, TARGET) for join in (addition(), plain))
    else:
        composite = zennit.composites.EpsilonPlus
        right, wrong = (zennit_lrp(Residual(join), x, TARGET, composite()) for join in (Summed(), plain))
    network = from_module(Residual(plain), x)
    assert not identify(network, x, right, TARGET).matches[0].candidate.flaws
    assert identify(network, x, wrong, TARGET).matches[0].candidate.flaws == (
        "add=captum" if tool == "captum" else "add=both",
    )


NETWORK = sequential(([[1, -1], [1, 1]], [1, 0]), ([[1, 2]], [0]), final_relu=False)
GIVEN = explain(NETWORK, (3, 1), "zplus")


@pytest.mark.parametrize(
    "relevance",
    [
        [float(q) for q in GIVEN],
        GIVEN,
        np.array([[float(q) for q in GIVEN]]),
        torch.tensor([float(q) for q in GIVEN], dtype=torch.float64),
        torch.tensor([[float(q) for q in GIVEN]], dtype=torch.float64, requires_grad=True),
    ],
    ids=lambda given: type(given).__name__,
)
def test_arrays_of_any_kind(relevance):
    x = [[3, 1]] if getattr(relevance, "ndim", 1) == 2 else [3, 1]
    assert "zplus" in texts(identify(NETWORK, x, relevance))
    assert texts(identify(NETWORK, x, relevance, rules=["gamma:7", "zplus"])).count("zplus") == 2


@pytest.mark.parametrize(
    ("x", "relevance", "logit", "error", "message"),
    [
        ([3, 1], [1.0, float("nan")], 0, NotExact, "relevance: .*nan; every number must be finite"),
        ([3, float("inf")], [1, 1], 0, NotExact, "x: .*finite"),
        ([3, 1], [1, 1, 1], 0, ShapeMismatch, r"relevance has shape \(3,\); expected \(2,\), or a batch"),
        ([3, 1], torch.ones(0, 2), 0, ShapeMismatch, r"relevance has shape \(0, 2\)"),
        ([3, 1], 1.0, 0, ShapeMismatch, r"relevance has shape \(\)"),
        ([3, 1], [[1, 1], [1, 1]], 0, ShapeMismatch, "2 rows of relevance for 1 inputs"),
        ([3, 1], [[1], [1, 1]], 0, NotExact, "relevance: "),
        ([3, 1], ["a", "b"], 0, NotExact, "relevance: "),
        ([3, 1], [0, 0], 0, InputError, "zero everywhere"),
        ([3, 1], [1, 1], 1, InputError, "logit 1 does not exist; the network has outputs 0 to 0"),
        ([3, 1], [1, 1], -1, InputError, "logit -1 does not exist"),
        ([3, 1], [1, 1], [0, 0], InputError, "2 logits|for 1 inputs"),
        ([3, 1], [1, 1], 0.5, InputError, "one whole number"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(x, relevance, logit, error, message):
    with pytest.raises(error, match=message) as caught:
        identify(NETWORK, x, relevance, logit)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["magic", "conv=magic", "batchnorm=zplus", "somewhere=zplus,*=x"])
def test_a_candidate_of_the_users_that_does_not_fit_is_refused(text):
    with pytest.raises(RuleError):
        identify(NETWORK, [3, 1], GIVEN, rules=[text])


def test_a_network_of_one_layer():
    network = sequential(([[1, -2, 3]], [2]), final_relu=False)
    found = identify(network, [1, 1, 1], [1, -2, 3])
    assert found.is_gradient_x_input
    zplus = identify(network, [1, 2, 1], [0.25, 0.0, 0.75])
    assert next((match.candidate.text, match.seed) for match in zplus.matches) == ("zplus", "1")


def test_a_logit_of_zero_has_relevance_from_a_seed_of_one():
    network = sequential(([[1, -1]], [-1]), final_relu=False)
    assert texts(identify(network, [2, 1], [1.0, 0.0]))[0] == "zplus"


def test_the_difference_is_relative_to_each_inputs_largest_entry_and_never_unknown():
    arrived = torch.tensor([[1.0, -4.0], [0.0, 0.0], [0.1, 0.2]])
    expected = arrived + torch.tensor([[0.0, 0.4], [0.0, 0.0], [0.0, 0.0]])
    assert difference(arrived, expected) == pytest.approx(0.1)
    for unknown in (float("nan"), float("inf")):
        expected[2, 0] = unknown
        assert difference(arrived, expected) == float("inf")


def test_the_finding_as_data():
    net, x = small()
    found = of_small(zennit_lrp(net, x, 2, zennit.composites.EpsilonPlusFlat()), logit=0)
    data = json.loads(json.dumps(found.to_json()))
    match = data["matches"][0]
    assert match == data["nearest"]
    expected = {"tool": "zennit EpsilonPlusFlat", "seed": "f(x)", "logit": 2, "batchnorm": "fold", "note": ""}
    assert match.items() >= expected.items()
    assert data["gradient_x_input"]["equal"] is False
    assert data["tolerance"] == 1e-8
    assert str(found) == "\n".join(found.sentences())


def test_it_is_public():
    assert dtdsym.identify is identify
    assert isinstance(GIVEN[0], Fraction)
    assert isinstance(conv_net(), nn.Module)
