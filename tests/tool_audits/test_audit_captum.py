"""audit_captum reads the rules that captum itself applies, audits their roots, and leaves everything as it was."""

from __future__ import annotations

import copy
import json
import sys
from io import StringIO

import numpy as np
import pytest
import torch
from rich.console import Console
from tool_networks import (
    CAPTUM,
    IN_FLAT_NET,
    Added,
    Functional,
    Net,
    average_pool,
    dense,
    flat_net,
    functional_relu,
    plain_addition,
    reused,
)
from tools import captum_lrp, images, import_captum
from torch import nn
from torch.nn import functional

import dtdsym
from dtdsym.errors import InputError, RuleError

captum = import_captum()
captum_rules = pytest.importorskip("captum.attr._utils.lrp_rules")
TARGET = 1
ELSEWHERE = "batchnorm=epsilon:1e-9,avgpool=epsilon:1e-9,maxpool=winner:1e-9"


def batch(width, count=4):
    return torch.randn(count, width, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def ruled(module, rules):
    """The module with these rules, by name; once more for each call, because captum takes them away."""
    for name, rule in rules.items():
        module.get_submodule(name).rule = rule
    return module


def audited(module, x, target=TARGET, **asked):
    return dtdsym.audit_captum(captum.LRP(module), x, target, domain="real", **asked)


def counted(report):
    """The root table, without names and times."""
    return [{key: row[key] for key in row if key not in ("rule", "parameter", "seconds")} for row in report.roots]


def by_hand(module, x, text, logit=TARGET):
    network = dtdsym.from_module(module, x[:1]).unfolded()
    return dtdsym.audit(network, x, rules=[text], layers="all", logit=logit, domain="real")


@pytest.mark.parametrize("text", CAPTUM)
def test_the_audited_roots_are_those_of_the_rule_that_captum_has(text):
    x, module = images(), ruled(flat_net(), {name: CAPTUM[text]() for name in IN_FLAT_NET})
    found = audited(module, x)
    assert counted(found) == counted(by_hand(flat_net(), x, f"conv={text},linear={text},{ELSEWHERE}"))
    assert found.inputs.audited
    assert found.tool.agrees is True
    rules = {rule.name: rule.rule for rule in found.tool.rules}
    assert {dtdsym.relevance.rule.parse_rule(text).label} == {rules[name] for name in IN_FLAT_NET}


def test_rules_may_differ_by_layer_and_those_without_one_have_captums_default():
    x, module = images(), ruled(flat_net(), {"0": CAPTUM["captum.gamma:1"](), "4": CAPTUM["captum.alpha1_beta0"]()})
    found = audited(module, x)
    text = f"1=captum.gamma:1,conv=captum.alpha1_beta0,linear=epsilon:1e-9,{ELSEWHERE}"
    assert counted(found) == counted(by_hand(flat_net(), x, text))
    assert counted(found) != counted(by_hand(flat_net(), x, text.replace("gamma:1", "gamma:2")))
    assert [rule.rule for rule in found.tool.rules if rule.layer is not None] == [
        "captum.gamma:1",
        "epsilon:1e-09",
        "captum.alpha1_beta0",
        "epsilon:1e-09",
    ]
    assert found.tool.agrees is True


def test_the_relevance_is_named_as_captums_own_variant():
    x, module = batch(5), ruled(dense(5, 6, 4, 3), {name: captum_rules.GammaRule() for name in ("0", "2", "4")})
    found = audited(module, x)
    named = [(match.candidate.tool, match.candidate.text) for match in found.compared.matches]
    assert ("captum", "*=captum.gamma:0.25") in named or ("captum", "captum.gamma:0.25") in named
    assert found.tool.agrees is True


def test_dtd_justifies_what_has_a_direction_and_nothing_else():
    rules = {"0": captum_rules.Alpha1_Beta0_Rule(set_bias_to_zero=True), "2": captum_rules.EpsilonRule()}
    found = audited(ruled(dense(5, 6, 4, 3), rules | {"4": captum_rules.GammaRule()}), batch(5))
    layers = [rule for rule in found.tool.rules if rule.layer]
    assert [rule.justified for rule in layers] == [True, False, False]
    assert "no search direction" in layers[1].note
    assert "bias stands in its denominator" in layers[2].note


def test_an_epsilon_of_zero_is_lrp0_and_captums_identity_passes_batch_norm_unchanged():
    rules = {"1": captum_rules.IdentityRule(), "7.linear": captum_rules.EpsilonRule(epsilon=0)}
    found = audited(ruled(flat_net(), rules), images())
    rules = {rule.name: rule.rule for rule in found.tool.rules}
    assert (rules["1"], rules["7.linear"]) == ("even", "lrp0")
    assert found.tool.agrees is True


def everything(module):
    """What a tool could leave behind."""
    state = {name: value.clone() for name, value in module.state_dict().items()}
    parts = {
        name: (
            {key: id(value) for key, value in vars(part).items()},
            list(part._forward_hooks) + list(part._forward_pre_hooks) + list(part._backward_hooks),
            part.training,
        )
        for name, part in module.named_modules()
    }
    return (
        state,
        parts,
        {name: (id(value), value.grad, value.requires_grad) for name, value in module.named_parameters()},
    )


def assert_untouched(before, after):
    assert before[1:] == after[1:]
    assert all(torch.equal(before[0][name], value) for name, value in after[0].items())


def test_model_rules_and_inputs_are_left_as_they_were():
    x, module = images(), ruled(flat_net(), {name: captum_rules.GammaRule() for name in IN_FLAT_NET})
    rules, kept, before = (
        [dict(vars(module.get_submodule(name).rule)) for name in IN_FLAT_NET],
        x.clone(),
        everything(module),
    )
    assert audited(module, x).tool.agrees is True
    assert [vars(module.get_submodule(name).rule) for name in IN_FLAT_NET] == rules
    assert_untouched(before, everything(module))
    assert torch.equal(x, kept)
    assert not x.requires_grad


def test_the_model_is_left_as_it_was_where_captum_fails():
    module = nn.Sequential(nn.Flatten(), nn.Linear(25, 4), nn.ReLU(), nn.Linear(4, 2)).double().eval()
    before = everything(module)
    with pytest.raises(InputError, match=r"captum's LRP fails on this model .*no rule defined"):
        audited(module, images(), 0)
    assert_untouched(before, everything(module))


def test_the_rules_are_still_there_for_the_users_own_call():
    x, module = images(), ruled(flat_net(), {name: captum_rules.GammaRule() for name in IN_FLAT_NET})
    audited(module, x)
    theirs = captum.LRP(module).attribute(x.clone().requires_grad_(), target=TARGET)
    assert torch.equal(
        theirs, captum_lrp(flat_net(), x, TARGET, {name: captum_rules.GammaRule() for name in IN_FLAT_NET})
    )


def test_a_rule_that_was_changed_after_captum_ran_is_seen_in_the_earlier_relevance():
    x, names = batch(5), ("0", "2", "4")
    earlier = captum_lrp(dense(5, 6, 4, 3), x, TARGET, {name: captum_rules.GammaRule(gamma=1) for name in names})
    changed = ruled(dense(5, 6, 4, 3), {name: captum_rules.GammaRule(gamma=0.5) for name in names})
    found = audited(changed, x, relevance=earlier)
    assert found.tool.agrees is False
    assert "captum.gamma:1" in " ".join(match.candidate.text for match in found.compared.matches)
    assert "A rule was changed in between" in " ".join(found.tool.sentences())
    same = ruled(dense(5, 6, 4, 3), {name: captum_rules.GammaRule(gamma=1) for name in names})
    assert audited(same, x, relevance=earlier.numpy()).tool.agrees is True


def test_rules_that_captum_has_dropped_are_missed():
    x, module = batch(5), ruled(dense(5, 6, 4, 3), {name: captum_rules.GammaRule() for name in ("0", "2", "4")})
    lrp = captum.LRP(module)
    assert "forgets custom rules" not in " ".join(dtdsym.audit_captum(lrp, x, TARGET).tool.remarks)
    earlier = lrp.attribute(x.clone().requires_grad_(), target=TARGET)
    found = dtdsym.audit_captum(lrp, x, TARGET, relevance=earlier)
    assert "forgets custom rules" in " ".join(found.tool.remarks)
    assert found.tool.agrees is False


def test_a_functional_relu_is_named_and_stops_what_it_stops():
    found = audited(Net(functional_relu), batch(4), 0)
    relu = next(rule for rule in found.tool.rules if rule.kind == "relu")
    assert (relu.rule, relu.justified) == ("gradient", False)
    assert "a ReLU is called as a function" in relu.note
    assert found.tool.agrees is True


class FunctionalRelu(Functional):
    """The ReLU is a function, and a pool behind it chooses by what captum's modified weights make of it."""


def test_what_no_composite_says_of_a_functional_relu_does_not_agree():
    def max_pool(t):
        return functional.max_pool2d(t, 2, stride=1)

    x = images()[:, :, :4, :4].abs()
    module = ruled(FunctionalRelu(max_pool), {"conv": captum_rules.Alpha1_Beta0_Rule()})
    found = audited(module, x, 0)
    assert found.tool.agrees is False
    assert "a ReLU is called as a function" in " ".join(found.tool.sentences())


def test_functional_pools_and_additions_are_named():
    found = audited(Functional(average_pool), images()[:, :, :4, :4], 0)
    assert "an average pool spread relevance evenly" in " ".join(found.tool.sentences())
    assert found.tool.agrees is True
    added = audited(Net(plain_addition), batch(4), 0)
    assert "use its Addition_Module" in " ".join(added.tool.sentences())
    assert added.tool.agrees is True
    own = audited(Added("captum"), batch(4), 0)
    assert {rule.rule for rule in own.tool.rules if rule.kind == "add"} == {"proportional:1e-09"}
    assert own.tool.agrees is True


def test_a_reused_layer_is_refused_by_name():
    with pytest.raises(InputError, match="layer 'first' is used 2 times: captum refuses that"):
        audited(Net(reused), batch(4), 0)


def test_a_layer_that_is_also_called_as_a_function_is_refused_by_name():
    def way(net, x):
        return net.last(functional.relu(functional.linear(net.relu(net.first(x)), net.first.weight)))

    with pytest.raises(RuleError, match=r"layer 'first' .* stands for 2 operations and is called 1 times"):
        audited(Net(way), batch(4), 0)


def test_two_layers_of_one_weight_are_refused_by_name():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    with pytest.raises(RuleError, match=r"layers '0' and '2' share one weight.*give one of them a clone"):
        audited(nn.Sequential(first, nn.ReLU(), second).double().eval(), batch(4), 0)


def test_a_model_that_is_one_layer_has_no_rule_in_captum():
    found = audited(Net(plain_addition).first, batch(4), 0)
    assert [rule.rule for rule in found.tool.rules] == ["gradient"]
    assert found.tool.agrees is True


class OwnRule(captum_rules.EpsilonRule):
    pass


def stabilised(factor):
    rule = captum_rules.GammaRule()
    rule.STABILITY_FACTOR = factor
    return rule


@pytest.mark.parametrize(
    ("layer", "rule", "message"),
    [
        ("0", OwnRule(), r"layer '0' \(Conv2d\) has OwnRule; supported are EpsilonRule"),
        ("0", captum_rules.IdentityRule(), r"layer '0' \(Conv2d\) has IdentityRule; supported"),
        ("7.linear", captum_rules.IdentityRule(), r"layer '7.linear' \(Linear\) has IdentityRule; supported"),
        ("1", captum_rules.GammaRule(), r"layer '1' \(BatchNorm2d\) has GammaRule, which is meant for weights"),
        ("4", stabilised(1e-3), r"layer '4' \(Conv2d\) has GammaRule with STABILITY_FACTOR 0.001, not 1e-09"),
        ("4", captum_rules.EpsilonRule(epsilon=-1), "layer '4': .*epsilon takes epsilon > 0"),
        ("4", captum_rules.EpsilonRule(epsilon=float("nan")), "the stabiliser of layer '4' is nan"),
        ("4", captum_rules.GammaRule(gamma="x"), "gamma of layer '4' is 'x'; expected a number"),
    ],
)
def test_a_rule_without_an_exact_form_is_refused_by_name_and_place(layer, rule, message):
    with pytest.raises(RuleError, match=message) as caught:
        audited(ruled(flat_net(), {layer: rule}), images())
    assert "\n" not in str(caught.value)


def test_the_identity_rule_behind_a_relu_is_refused():
    net = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.BatchNorm2d(2), nn.AvgPool2d(2)).double().eval()
    net[2].rule = captum_rules.IdentityRule()
    with pytest.raises(RuleError, match=r"layer '0.2' \(BatchNorm2d\) has IdentityRule behind a ReLU"):
        audited(nn.Sequential(net, nn.Conv2d(2, 1, 2)).double().eval(), images(), 0)


def test_modules_that_captum_has_no_rule_for_are_refused():
    net = nn.Sequential(nn.Conv1d(1, 1, 2), nn.ReLU()).double().eval()
    with pytest.raises(RuleError, match=r"layer '0' \(Conv1d\) has no rule"):
        audited(net, images()[:, :, 0], 0)


def test_a_rule_of_a_module_that_computes_nothing_is_told():
    net = nn.Sequential(nn.Flatten(), nn.Linear(25, 2)).double().eval()
    found = audited(ruled(net, {"0": captum_rules.EpsilonRule()}), images(), 0)
    assert [(rule.kind, rule.name, rule.rule) for rule in found.tool.rules if rule.layer is None] == [
        ("other", "0", "EpsilonRule")
    ]


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor, np.array], ids=lambda kind: kind.__name__)
def test_a_target_for_each_input_gives_a_report_for_each_target(kind):
    x, module = batch(5), dense(5, 6, 4, 3)
    found = audited(module, x, kind([2, 0, 2, 1]))
    assert [(one.settings.logit, one.tool.rows) for one in found] == [(0, (1,)), (1, (3,)), (2, (0, 2))]
    assert [one.tool.agrees for one in found] == [True] * 3
    for one in found:
        assert counted(one) == counted(by_hand(module, x[list(one.tool.rows)], "epsilon:1e-9", one.settings.logit))


def test_one_target_gives_one_report():
    module, x = dense(5, 6, 4, 3), batch(5)
    assert counted(audited(module, x, 2)) == counted(audited(module, x, torch.tensor(2)))
    assert [one.tool.rows for one in audited(module, x, [2] * 4)] == [(0, 1, 2, 3)]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, "target 3: give whole numbers from 0 to 2"),
        (-1, "target -1"),
        (None, "target None"),
        ("1", "target '1'"),
        ([0, 1], "2 targets for 4 inputs"),
        ([0, 1, 2, 0.5], "give whole numbers"),
        ([[0], [1], [2], [0]], "give whole numbers"),
    ],
)
def test_other_targets_are_refused(target, message):
    with pytest.raises(InputError, match=message):
        audited(dense(5, 6, 4, 3), batch(5), target)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rules": ["zplus"]}, "rules=.*captum says which rules and target"),
        ({"logit": 1}, "logit=1"),
        ({"relevance": torch.ones(4, 3)}, r"relevance has shape \(4, 3\); x has \(4, 5\)"),
        ({"relevance": object()}, "relevance is a object"),
    ],
)
def test_what_captum_says_itself_cannot_be_asked(asked, message):
    with pytest.raises(InputError, match=message):
        audited(dense(5, 6, 4, 3), batch(5), **asked)


def test_a_file_for_several_targets_is_refused(tmp_path):
    with pytest.raises(InputError, match="a file is about one target"):
        audited(dense(5, 6, 4, 3), batch(5), [0, 1, 0, 1], journal=str(tmp_path / "journal"))


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_relevance_that_cannot_be_named_is_told(value):
    found = audited(dense(5, 6, 4, 3), batch(5), relevance=torch.full((4, 5), value))
    assert found.compared is None
    assert found.tool.agrees is None
    assert "it is not compared" in found.tool.remarks[-1]


def test_other_objects_and_training_mode_are_refused():
    with pytest.raises(InputError, match=r"takes a captum\.attr\.LRP, not a Saliency"):
        dtdsym.audit_captum(captum.Saliency(dense(5, 4)), batch(5), 0)
    module = flat_net().train()
    with pytest.raises(InputError, match="layer '1' is in training mode"):
        audited(module, images())
    assert module[1].training


def test_without_captum_the_extra_is_named(monkeypatch):
    lrp = captum.LRP(dense(5, 4))
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(InputError, match=r"pip install 'dtdsym\[captum\]'") as caught:
        dtdsym.audit_captum(lrp, batch(5), 0)
    assert "\n" not in str(caught.value)


def test_terminal_json_and_html_say_what_captum_does():
    found = audited(ruled(flat_net(), {"0": captum_rules.GammaRule(gamma=1)}), images())
    data = json.loads(json.dumps(found.to_json()))["tool"]
    assert (data["name"], data["version"], data["agrees"], data["rows"]) == ("captum", "0.9.0", True, [0, 1])
    assert data["rules"][0] == {
        "layer": 1,
        "name": "0",
        "kind": "conv",
        "rule": "captum.gamma:1",
        "justified": False,
        "note": "the whole bias stands in its denominator, so that no direction gives it; the audited root is the one "
        "that its messages imply, a - message/w",
    }
    console = Console(width=200, record=True, file=StringIO())
    console.print(found)
    for shown in (console.export_text(), found._repr_html_()):
        assert "What the tool does" in shown
        assert "captum 0.9.0" in shown
        assert "DTD does not justify it: the whole bias" in shown
        assert "equals what these rules give" in shown
    assert "1=captum.gamma:1," in found.roots[0]["rule"]
    plain = copy.copy(found)
    plain.tool = None
    assert plain.to_json()["tool"] is None
