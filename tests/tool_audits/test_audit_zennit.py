"""audit_zennit reads the rules that zennit itself registers, audits their roots, and leaves everything as it was."""

from __future__ import annotations

import json
import sys
from fractions import Fraction

import pytest
import torch
from tool_networks import (
    Added,
    Functional,
    Net,
    Residual,
    Summed,
    average_pool,
    dense,
    functional_relu,
    in_zennit,
    plain_addition,
    reused,
)
from tools import conv_net, images, import_zennit, zennit_by_name, zennit_lrp
from torch import nn

import dtdsym
from dtdsym.errors import InputError, RuleError
from dtdsym.relevance.rule import parse_rule

zennit = import_zennit()
TARGET = 1
LAYERS = ("0", "4", "8")
ELSEWHERE = "batchnorm=even,avgpool=epsilon:1e-6"


def batch(width, count=4):
    return torch.randn(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def audited(composite, module, x, target=TARGET, **asked):
    return dtdsym.audit_zennit(composite, module, x, target, domain="real", **asked)


def counted(report):
    """The root table, without names and times."""
    return [{key: row[key] for key in row if key not in ("rule", "parameter", "seconds")} for row in report.roots]


def by_hand(module, x, text, logit=TARGET):
    network = dtdsym.from_module(module, x[:1]).unfolded()
    return dtdsym.audit(network, x, rules=[text], layers="all", logit=logit, domain="real")


def rule_of(report, name):
    return next(rule.rule for rule in report.tool.rules if rule.name == name)


@pytest.mark.parametrize("text", in_zennit())
def test_the_audited_roots_are_those_of_the_rule_that_zennit_has(text):
    composite = zennit_by_name(dict.fromkeys(LAYERS, in_zennit()[text]))
    found = audited(composite, conv_net(), images())
    assert counted(found) == counted(by_hand(conv_net(), images(), f"conv={text},linear={text},{ELSEWHERE}"))
    assert {rule_of(found, name) for name in LAYERS} == {parse_rule(text).label}
    assert found.inputs.audited
    assert found.tool.agrees is True


PRESETS = {
    "EpsilonPlus": ({}, "conv=zennit.zplus,linear=epsilon:1e-6"),
    "EpsilonPlusFlat": ({}, "1=zennit.flat,conv=zennit.zplus,linear=epsilon:1e-6"),
    "EpsilonAlpha2Beta1": ({}, "conv=zennit.alpha_beta:2:1,linear=epsilon:1e-6"),
    "EpsilonAlpha2Beta1Flat": ({}, "1=zennit.flat,conv=zennit.alpha_beta:2:1,linear=epsilon:1e-6"),
    "EpsilonGammaBox": (
        {"low": -4.0, "high": torch.full((1, 1, 5, 5), 4.0)},
        "1=zennit.zbox:-4:4,conv=zennit.gamma:0.25,linear=epsilon:1e-6",
    ),
}


@pytest.mark.parametrize("name", PRESETS)
def test_zennits_composites(name):
    arguments, text = PRESETS[name]
    found = audited(getattr(zennit.composites, name)(**arguments), conv_net(), images())
    assert counted(found) == counted(by_hand(conv_net(), images(), f"{text},{ELSEWHERE}"))
    assert found.tool.agrees is True
    if name != "EpsilonGammaBox":  # whose box no one knows who only sees the relevance
        assert f"zennit {name}" in [match.candidate.tool for match in found.compared.matches]


def composites():
    """Further kinds of composites, with the rules of conv_net's three layers that they give."""
    r, c, types = zennit.rules, zennit.composites, zennit.types
    base = c.layer_map_base()
    yield c.LayerMapComposite([*base, (types.Linear, r.WSquare())]), ("zennit.wsquare",) * 3
    names = [(("0", "8"), r.Epsilon(0.25)), (("4",), r.ZPlus()), (("1", "2", "5"), r.Pass()), (("6",), r.Norm())]
    yield c.NameMapComposite(names), ("epsilon:0.25", "zennit.zplus", "epsilon:0.25")
    first = [((nn.Conv2d,), r.Flat())]
    rest = [*base, (types.Linear, r.Gamma(0.5))]
    yield c.SpecialFirstLayerMapComposite(rest, first), ("zennit.flat", "zennit.gamma:0.5", "zennit.gamma:0.5")
    parts = [c.NameMapComposite([(("4",), r.Epsilon())]), c.EpsilonPlusFlat()]
    yield c.MixedComposite(parts), ("zennit.flat", "epsilon:1e-06", "epsilon:1e-06")
    yield c.NameLayerMapComposite([(("8",), r.ZPlus())], rest), ("zennit.gamma:0.5", "zennit.gamma:0.5", "zennit.zplus")


@pytest.mark.parametrize("number", range(5))
def test_the_rules_are_those_that_the_composite_answers(number):
    composite, rules = list(composites())[number]
    found = audited(composite, conv_net(), images())
    assert tuple(rule_of(found, name) for name in LAYERS) == rules
    assert found.tool.agrees is True


def test_layers_without_a_rule_pass_their_gradient():
    module_map = {"8": zennit.rules.Epsilon()}
    composite = zennit.core.Composite(lambda context, name, part: module_map.get(name))
    found = audited(composite, conv_net(), images())
    assert [rule_of(found, name) for name in ("0", "1", "2", "4", "6", "8")] == ["gradient"] * 5 + ["epsilon:1e-06"]
    assert found.tool.agrees is True
    assert audited(zennit.attribution.Gradient(module := dense(5, 6, 3)), module, batch(5)).tool.agrees is True


def test_a_bound_is_the_number_that_zennit_makes_of_it():
    x, module = batch(5), dense(5, 6, 3)
    composite = zennit_by_name({"0": zennit.rules.ZBox(-2.1179, 2.64), "2": zennit.rules.Epsilon()})
    found = audited(composite, module, x)
    name, low, high = rule_of(found, "0").split(":")
    single = [Fraction(torch.tensor(bound).item()) for bound in (-2.1179, 2.64)]
    assert (name, Fraction(low), Fraction(high)) == ("zennit.zbox", *single)
    assert Fraction(low) != Fraction("-2.1179")
    assert found.tool.agrees is True


def test_dtd_justifies_what_has_a_direction_and_nothing_else():
    r = zennit.rules
    given = {
        "0": (r.ZPlus(zero_params="bias"), True, "zplus's direction"),
        "2": (r.AlphaBeta(), False, "no direction has two"),
        "4": (r.AlphaBeta(1, 0, zero_params=["bias"]), True, "zplus's direction"),
        "6": (r.Flat(), False, "along which no root can move"),
        "8": (r.Epsilon(), False, "no search direction"),
    }
    composite = zennit_by_name({name: rule for name, (rule, _, _) in given.items()})
    found = audited(composite, dense(5, 6, 6, 6, 6, 3), batch(5))
    for rule in found.tool.rules:
        if rule.layer:
            _, justified, why = given[rule.name]
            assert rule.justified is justified
            assert why in rule.note


def merging():
    return zennit.composites.EpsilonPlus(canonizers=[zennit.canonizers.SequentialMergeBatchNorm()])


def test_the_network_is_the_one_that_canonizers_leave():
    module, x = conv_net(), images()
    found = audited(merging(), module, x)
    composite = merging()
    with composite.context(module):
        merged = [(part.weight.clone(), part.bias.clone()) for part in (module[0], module[1])]
    layers = found.network.nodes[1:3]
    assert torch.equal(torch.tensor(layers[0].weight), merged[0][0].detach())
    assert found.network.sha256 != dtdsym.from_module(module, x).sha256
    assert rule_of(found, "1") == "even"
    assert "left its eps behind" in " ".join(found.tool.remarks)
    assert "SequentialMergeBatchNorm" in found.tool.remarks[0]
    assert found.tool.agrees is True
    plain = audited(zennit.composites.EpsilonPlus(), module, x)
    assert plain.tool.remarks == ()
    assert plain.network.sha256 == dtdsym.from_module(module, x).unfolded().sha256


def everything(module):
    """What a tool could leave behind."""
    parts = {
        name: (
            {key: id(value) for key, value in vars(part).items()},
            list(part._forward_hooks) + list(part._forward_pre_hooks) + list(part._backward_hooks),
            part.training,
        )
        for name, part in module.named_modules()
    }
    parameters = {
        name: (id(value), value.data_ptr(), value.grad, value.requires_grad)
        for name, value in module.named_parameters()
    }
    return {name: value.clone() for name, value in module.state_dict().items()}, parts, parameters


def assert_untouched(before, after):
    assert before[1:] == after[1:]
    assert all(torch.equal(before[0][name], value) for name, value in after[0].items())


def test_model_composite_and_inputs_are_left_as_they_were():
    module, x, composite = conv_net(), images(), merging()
    before, kept = everything(module), x.clone()
    assert audited(composite, module, x).tool.agrees is True
    assert_untouched(before, everything(module))
    assert torch.equal(x, kept)
    assert not x.requires_grad
    assert not composite.handles


@pytest.mark.parametrize("where", ["while the rules are read", "while zennit runs"])
def test_the_model_is_left_as_it_was_where_it_fails(where):
    module, x, composite = conv_net(), images(), merging()
    before = everything(module)
    if where == "while zennit runs":
        attributor = zennit.attribution.Gradient(module, composite, attr_output=torch.ones(7, 7))
        with pytest.raises(InputError, match=r"zennit fails on this model \(RuntimeError"):
            audited(attributor, module, x)
    else:
        composite.layer_map.insert(0, ((nn.Conv2d,), zennit.rules.Pass()))
        with pytest.raises(RuleError, match=r"module '0' \(Conv2d\) has Pass"):
            audited(composite, module, x)
    assert_untouched(before, everything(module))
    assert not composite.handles


def test_a_rule_that_was_changed_after_zennit_ran_is_seen_in_the_earlier_relevance():
    x, module = batch(5), dense(5, 6, 4, 3)
    earlier = zennit_lrp(module, x, TARGET, zennit_by_name({}, rest=zennit.rules.WSquare))
    changed = zennit_by_name({}, rest=zennit.rules.Flat)
    found = audited(changed, module, x, relevance=earlier)
    assert found.tool.agrees is False
    assert "zennit.wsquare" in [match.candidate.text for match in found.compared.matches]
    assert "A rule was changed in between" in " ".join(found.tool.sentences())
    assert audited(zennit_by_name({}, rest=zennit.rules.WSquare), module, x, relevance=earlier).tool.agrees is True


def test_a_reused_layer_is_named():
    x = batch(4)
    found = audited(zennit.composites.EpsilonPlus(), Net(reused), x, 0)
    assert "a layer that is used more than once" in " ".join(found.tool.remarks)
    assert found.roots[0]["rule"] == "*=epsilon:1e-06,reuse=last"
    assert found.tool.agrees is True


def test_a_functional_relu_is_named_and_stops_what_it_stops():
    found = audited(zennit_by_name({}, rest=zennit.rules.WSquare), Net(functional_relu), batch(4), 0)
    relu = next(rule for rule in found.tool.rules if rule.kind == "relu")
    assert (relu.rule, relu.justified) == ("gradient", False)
    assert "a ReLU is called as a function" in relu.note
    assert found.tool.agrees is True


def test_of_relus_that_differ_the_relevance_tells_whether_it_matters():
    def half(net, x):
        t = nn.functional.relu(net.second(net.other_relu(net.first(x))))
        return net.last(t)

    quiet = audited(zennit.composites.EpsilonPlus(), Net(half), batch(4), 0)
    loud = audited(zennit_by_name({}, rest=zennit.rules.WSquare), Net(half), batch(4), 0)
    for found in (quiet, loud):
        assert sorted(rule.rule for rule in found.tool.rules if rule.kind == "relu") == ["gradient", "pass"]
    assert quiet.tool.agrees is True
    assert loud.tool.agrees is False


def test_pools_and_additions_are_named():
    composite = zennit.composites.EpsilonPlus()
    pooled = audited(composite, Functional(average_pool), images()[:, :, :4, :4], 0)
    assert "an average pool spread relevance evenly" in " ".join(pooled.tool.sentences())
    assert pooled.tool.agrees is True
    added = audited(composite, Net(plain_addition), batch(4), 0)
    assert "zennit's Sum" in " ".join(added.tool.sentences())
    assert added.tool.agrees is True
    for module, x in ((Added("zennit"), batch(4)), (Residual(Summed()), images())):
        own = audited(composite, module, x, 0)
        assert {rule.rule for rule in own.tool.rules if rule.kind == "add"} == {"proportional:1e-06"}
        assert "Flaw" not in " ".join(own.tool.sentences())
        assert own.tool.agrees is True


class OwnRule(zennit.rules.Epsilon):
    pass


def refused():
    r, s = zennit.rules, zennit.core.Stabilizer
    tampered = r.Gamma()
    tampered.gradient_mapper = lambda gradient, outputs: gradient
    return {
        "an own class": ("8", OwnRule(), r"module '8' \(Linear\) has OwnRule, which is not zennit's own"),
        "Pass": ("0", r.Pass(), r"module '0' \(Conv2d\) has Pass, which is no rule for conv"),
        "DeconvNet": ("2", r.ReLUDeconvNet(), r"'2' \(ReLU\) has ReLUDeconvNet, which is no rule for relu"),
        "GuidedBackprop": ("2", r.ReLUGuidedBackprop(), "ReLUGuidedBackprop"),
        "BetaSmooth": ("2", r.ReLUBetaSmooth(), "ReLUBetaSmooth"),
        "Epsilon at a ReLU": ("2", r.Epsilon(), "Epsilon, which is no rule for relu"),
        "ZPlus at a pool": ("6", r.ZPlus(), r"'6' \(AvgPool2d\) has ZPlus, which is no rule for avgpool"),
        "Gamma at batch norm": ("1", r.Gamma(), "Gamma, which is no rule for batchnorm"),
        "Epsilon at batch norm": ("1", r.Epsilon(zero_params="bias"), "Epsilon with zero_params at batchnorm"),
        "a stabiliser": ("4", r.ZPlus(stabilizer=1e-3), "ZPlus with the stabiliser 0.001, not 1e-06"),
        "clipped": ("8", r.Epsilon(s(1e-6, clip=True)), "Epsilon with a stabiliser that clips"),
        "scaled": ("8", r.Epsilon(s(1e-6, norm_scale=True)), "Epsilon with a stabiliser that clips, scales"),
        "a function": ("8", r.Epsilon(torch.abs), "or is a function"),
        "no weights": ("8", r.WSquare(zero_params=["weight"]), r"WSquare with zero_params=\['weight'\]"),
        "negative": ("8", r.Epsilon(-1.0), "layer '8': .*epsilon takes epsilon > 0"),
        "a box by channel": ("0", r.ZBox(torch.tensor([0.0, 1.0]), 2.0), "low of '0' .* has 2 values"),
        "a flat box": ("0", r.ZBox(1.0, 1.0), "layer '0': .*LOW < HIGH"),
        "tampered": ("8", tampered, "modifiers without stabilizer_fn, so that they are not zennit's own"),
        "what is no layer": ("7", r.Epsilon(), r"module '7' \(Flatten\) has Epsilon, but is no layer"),
        "a container": ("", r.Epsilon(), r"module '' \(Sequential\) has Epsilon, but is no layer"),
    }


@pytest.mark.parametrize("case", refused())
def test_a_rule_without_an_exact_form_is_refused_by_name_and_place(case):
    name, rule, message = refused()[case]
    with pytest.raises(RuleError, match=message) as caught:
        audited(zennit_by_name({name: rule}), conv_net(), images())
    assert "\n" not in str(caught.value)


def test_an_epsilon_of_zero_is_lrp0():
    found = audited(zennit_by_name({"8": zennit.rules.Epsilon(0)}, rest=zennit.rules.ZPlus), conv_net(), images())
    assert rule_of(found, "8") == "lrp0"
    assert found.tool.agrees is True


def test_an_attributor_may_stand_for_its_composite():
    module, x = conv_net(), images()
    attributor = zennit.attribution.Gradient(module, zennit.composites.EpsilonPlus())
    found = audited(attributor, module, x)
    assert counted(found) == counted(audited(zennit.composites.EpsilonPlus(), module, x))
    assert found.tool.agrees is True
    seeded = zennit.attribution.Gradient(module, zennit.composites.EpsilonPlus(), torch.eye(3).double()[[TARGET] * 2])
    started = audited(seeded, module, x)
    assert next(match.seed for match in started.compared.matches) == "1"
    assert started.tool.agrees is False


def test_other_attributors_and_objects_are_refused():
    module, x, composite = dense(5, 4), batch(5), zennit.composites.EpsilonPlus()
    with pytest.raises(InputError, match="a SmoothGrad is no explanation by rules alone"):
        audited(zennit.attribution.SmoothGrad(module, composite), module, x)
    with pytest.raises(InputError, match="another one than the model given"):
        audited(zennit.attribution.Gradient(dense(5, 4), composite), module, x)
    with pytest.raises(InputError, match="takes a zennit Composite or Gradient, not a Epsilon"):
        audited(zennit.rules.Epsilon(), module, x)
    with pytest.raises(InputError, match="the model is a function"):
        audited(composite, lambda value: value, x)
    with composite.context(module), pytest.raises(InputError, match="registered on a model"):
        audited(composite, module, x)
    with pytest.raises(InputError, match="layer '1' is in training mode"):
        audited(composite, conv_net().train(), images())


def test_a_target_for_each_input_gives_a_report_for_each_target():
    x, module = batch(5), dense(5, 6, 4, 3)
    found = audited(zennit_by_name({}, rest=zennit.rules.WSquare), module, x, torch.tensor([2, 0, 2, 1]))
    assert [(one.settings.logit, one.tool.rows) for one in found] == [(0, (1,)), (1, (3,)), (2, (0, 2))]
    for one in found:
        assert one.tool.agrees is True
        assert counted(one) == counted(by_hand(module, x[list(one.tool.rows)], "zennit.wsquare", one.settings.logit))


def test_float32_models():
    found = audited(zennit.composites.EpsilonPlusFlat(), conv_net().float(), images().float())
    assert found.compared.tolerance == 1e-4
    assert found.tool.agrees is True


def test_without_zennit_the_extra_is_named(monkeypatch):
    composite = zennit.composites.EpsilonPlus()
    monkeypatch.setitem(sys.modules, "zennit.core", None)
    with pytest.raises(InputError, match=r"pip install 'dtdsym\[zennit\]'") as caught:
        dtdsym.audit_zennit(composite, dense(5, 4), batch(5), 0)
    assert "\n" not in str(caught.value)


def test_the_report_says_what_zennit_does():
    found = audited(merging(), conv_net(), images())
    data = json.loads(json.dumps(found.to_json()))["tool"]
    assert (data["name"], data["agrees"]) == ("zennit", True)
    assert [(rule["layer"], rule["rule"], rule["justified"]) for rule in data["rules"] if rule["layer"]] == [
        (1, "zennit.zplus", False),
        (2, "even", True),
        (3, "zennit.zplus", False),
        (4, "epsilon:1e-06", False),
    ]
    assert "left its eps behind" in found._repr_html_()
    assert "Layers 1, 3" in " ".join(found.tool.sentences())
