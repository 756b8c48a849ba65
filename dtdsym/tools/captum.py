"""`dtdsym.audit_captum`: the rules that captum's LRP has at each layer, and exactly their roots."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from dtdsym.errors import InputError, RuleError
from dtdsym.network.layers import Relu
from dtdsym.relevance.candidates import DROPPED
from dtdsym.report.audit import Report
from dtdsym.survey.tool import LayerRule
from dtdsym.tools.answer import Explained, imported, report, targets
from dtdsym.tools.reading import epsilon, number, read
from dtdsym.tools.subject import Subject, subject

STABILISER = 1e-9
FUNCTIONAL = dict.fromkeys(("linear", "conv", "batchnorm", "scale", "avgpool", "relu"), "gradient") | {
    "add": "captum",
    "maxpool": "winner",
}
"""What captum does where it sees no module: what autograd makes of it."""
SUPPORTED = "supported are EpsilonRule, GammaRule and Alpha1_Beta0_Rule, and IdentityRule at batch normalisation"


def audit_captum(lrp: Any, x: Any, target: Any, *, relevance: Any = None, **asked: Any) -> Report | list[Report]:
    """Place every root of the rules that a captum.attr.LRP object has, and name the relevance that it computes.

    lrp: with its `.model` in evaluation mode. A layer's rule is its attribute `rule`, else captum's default
    (EpsilonRule, 1e-9): set rules anew before each call of `attribute`, which removes them; this function does not.
    Nothing of the model, its rules and x is changed: captum runs on a copy. x: tensor (batch, ...) as captum takes it.
    target: the explained output, one Report; or a sequence or tensor (batch,) of them, a list of Reports, one for each
    output that occurs, ascending, and `.tool.rows` says which inputs it is about. relevance: an explanation of x made
    before, in x's shape, to be compared in place of a new one. asked: as for `dtdsym.audit`, but for rules and logit;
    layers are "all" by default. A float parameter is the decimal number that Python prints for it. Batch normalisation
    is a layer of its own. `.compared` of the Report is what `identify` makes of the relevance; `.tool` says what captum
    does at each layer, and whether DTD justifies it.

    Raises InputError (captum is missing, no LRP, a model that captum refuses), RuleError for a rule without an exact
    form here, with its place; and what `from_module` and `dtdsym.audit` raise. Source: captum 0.9, attr/_core/lrp.py.
    """
    captum = imported("captum.attr", "captum")
    if type(lrp) is not captum.LRP:
        raise InputError(f"audit_captum takes a captum.attr.LRP, not a {type(lrp).__name__}")
    given = subject(lrp.model, x)
    logits = targets(given.network, target, len(x))
    ruled = dict(_ruled(given))
    reading = read(given, lambda kind, owner, node: _treat(given, ruled, kind, owner, node), FUNCTIONAL)
    found = _run(captum.LRP, lrp.model, x, logits) if relevance is None else relevance
    own = any(hasattr(part, "rule") for part in given.leaves.values())
    remarks = () if own else (f"No layer carries a rule, so captum's default is audited. {DROPPED}",)
    made = Explained("captum", given.network, given.folded, reading, found, logits, remarks)
    return report(made, x, target, asked, extra=_idle(given, ruled))


def _ruled(given: Subject) -> Iterator[tuple[str, Any]]:
    """The rule objects of leaves, as captum attaches them: their own, or its default; None for those without."""
    defaults = imported("captum.attr._core.lrp", "captum").SUPPORTED_LAYERS_WITH_RULES
    for name, part in given.leaves.items():
        if not name:  # captum sees only parts of the model, and passes the gradient of one that has none
            continue
        default = defaults.get(type(part))
        yield name, part.rule if hasattr(part, "rule") else default and default()


def _treat(given: Subject, ruled: Mapping[str, Any], kind: str, owner: str, node: int) -> str:
    if owner not in ruled:
        return FUNCTIONAL[kind]
    rule, part = ruled[owner], given.leaves[owner]
    if kind == "relu" and isinstance(part, nn.ReLU):
        return "pass"
    if rule is None:
        raise _refusal(owner, part, "no rule")
    if given.calls[owner] > 1:
        raise InputError(
            f"layer {owner!r} is used {given.calls[owner]} times: captum refuses that; give every use its own module"
        )
    behind_relu = isinstance(given.network.nodes[given.network.nodes[node].sources[0]], Relu)
    return _in_dtdsym(rule, kind, owner, part, behind_relu)


def _in_dtdsym(rule: Any, kind: str, owner: str, part: nn.Module, behind_relu: bool) -> str:
    rules = imported("captum.attr._utils.lrp_rules", "captum")
    stabiliser = number(rule.STABILITY_FACTOR, f"the stabiliser of layer {owner!r}")
    if type(rule) is rules.EpsilonRule and kind != "relu":
        return epsilon(kind, stabiliser)
    if type(rule) is rules.IdentityRule and kind == "batchnorm" and not behind_relu:
        return "even"
    if type(rule) not in (rules.GammaRule, rules.Alpha1_Beta0_Rule):
        why = " behind a ReLU, where captum passes coefficients for relevance" if behind_relu else ""
        raise _refusal(owner, part, type(rule).__name__ + why)
    if rule.STABILITY_FACTOR != STABILISER:
        raise _refusal(owner, part, f"{type(rule).__name__} with STABILITY_FACTOR {stabiliser}, not {STABILISER}")
    if kind in ("avgpool", "maxpool", "add"):  # there are no weights to modify
        return epsilon(kind, stabiliser)
    if kind not in ("linear", "conv"):
        raise _refusal(owner, part, f"{type(rule).__name__}, which is meant for weights, at {kind}")
    bias = "_nobias" if rule.set_bias_to_zero else ""
    if type(rule) is rules.GammaRule:
        return f"captum.gamma{bias}:{number(rule.gamma, f'gamma of layer {owner!r}')}"
    return f"captum.alpha1_beta0{bias}"


def _refusal(owner: str, part: nn.Module, met: str) -> RuleError:
    return RuleError(f"captum: layer {owner!r} ({type(part).__name__}) has {met}; {SUPPORTED}")


def _idle(given: Subject, ruled: Mapping[str, Any]) -> Iterator[LayerRule]:
    """Rules of modules that compute nothing, such as flattening: captum's stabiliser loses a little there."""
    for name, rule in ruled.items():
        if rule is not None and given.idle(name) and type(rule).__name__ != "IdentityRule":
            note = "it is no layer; what the stabiliser takes of the relevance there is left out of the audit"
            yield LayerRule(None, name, "other", type(rule).__name__, False, note)


def _run(lrp: Any, model: nn.Module, x: torch.Tensor, logits: Sequence[int]) -> torch.Tensor:
    """captum's relevance of x, from a copy of the model: captum removes rules, and leaves things behind if it fails."""
    try:
        found: torch.Tensor = lrp(copy.deepcopy(model)).attribute(
            x.detach().clone().requires_grad_(), target=torch.tensor(logits, device=x.device)
        )
    except Exception as err:
        reason = (str(err).splitlines() or [""])[0]
        raise InputError(f"captum's LRP fails on this model ({type(err).__name__}: {reason})") from err
    return found.detach()
