"""Whether Deep Taylor Decomposition has a root from which a rule follows, and why (not): one sentence a rule.

A root is meant in the sense of Montavon et al. 2017, doi:10.1016/j.patcog.2016.11.008: a - t v along a search direction
v, on the neuron's hinge w.a + b = 0. That there is one says nothing about where it lies; the audit decides that.
"""

from __future__ import annotations

from dtdsym.errors import RuleError
from dtdsym.relevance.rule import parse_rule

_IMPLIED = "the audited root is the one that its messages imply, a - message/w"
_STABILISED = "but for a stabiliser in the denominator"
_REASONS: dict[str, tuple[bool, str]] = {
    "lrp0": (True, "its root is the origin, which is on a neuron's hinge only where the bias is 0"),
    "epsilon": (False, f"epsilon and the bias in its denominator leave no search direction; {_IMPLIED}"),
    "captum.gamma": (False, f"the whole bias stands in its denominator, so that no direction gives it; {_IMPLIED}"),
    "captum.gamma_nobias": (True, f"gamma's direction, a (1 + gamma) where w >= 0 and a elsewhere, {_STABILISED}"),
    "captum.alpha1_beta0": (
        False,
        f"the whole bias, negative ones too, stands in its denominator, so that no direction gives it; {_IMPLIED}",
    ),
    "captum.alpha1_beta0_nobias": (True, f"zplus's direction, a where w >= 0 and 0 elsewhere, {_STABILISED}"),
    "zennit.epsilon_nobias": (True, f"the direction a, {_STABILISED}; a large epsilon absorbs relevance"),
    "zennit.zplus": (False, f"positive biases stand in its denominator, so that no direction gives it; {_IMPLIED}"),
    "zennit.zplus_nobias": (True, f"zplus's direction, a where w a > 0 and 0 elsewhere, {_STABILISED}"),
    "zennit.alpha_beta": (
        False,
        f"positive and negative products, with biases, have denominators of their own, and no direction has two; "
        f"{_IMPLIED}",
    ),
    "zennit.alpha_beta_nobias": (
        False,
        f"positive and negative products have denominators of their own, and no direction has two; {_IMPLIED}",
    ),
    "zennit.gamma": (False, f"biases stand in its denominator, so that no direction gives it; {_IMPLIED}"),
    "zennit.gamma_nobias": (
        True,
        f"a direction for each sign of z, a (1 + gamma) where w a has that sign and a elsewhere, {_STABILISED}",
    ),
    "zennit.zbox": (True, f"zbox's direction, from a towards the corner of the box, {_STABILISED}"),
    "zennit.wsquare": (False, f"the squared bias stands in its denominator, so that no direction gives it; {_IMPLIED}"),
    "zennit.wsquare_nobias": (True, f"w2's direction, w, {_STABILISED}"),
    "zennit.flat": (
        False,
        "it spreads relevance evenly over all inputs, also those of weight 0, along which no root can move; where "
        f"w != 0, {_IMPLIED}",
    ),
    "even": (
        True,
        "each neuron has one input, and every direction gives it all of the relevance; where its factor is 0 there is "
        "no root, but the relevance passes all the same",
    ),
    "gradient": (False, f"it has no rule here, so that its gradient passes, w R without the input; {_IMPLIED}"),
}


def reason(rule: str) -> tuple[bool, str]:
    """(justified, why) of a rule as `parse_rule` reads it. Raises RuleError for one that no tool has."""
    name, parameters = parse_rule(rule).name, parse_rule(rule).parameters
    if name not in _REASONS:
        raise RuleError(f"rule {rule!r} is none of captum's or zennit's; the known ones are {', '.join(_REASONS)}")
    if name == "zennit.alpha_beta_nobias" and parameters[1] == 0:
        return _REASONS["zennit.zplus_nobias"]
    return _REASONS[name]
