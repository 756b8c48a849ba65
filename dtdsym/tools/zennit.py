"""`dtdsym.audit_zennit`: the rules that a zennit composite gives to each layer, and exactly their roots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from dtdsym.errors import InputError, RuleError
from dtdsym.network.layers import Affine, Convolution
from dtdsym.network.network import Network
from dtdsym.relevance.candidates import FLAWS
from dtdsym.report.audit import Report
from dtdsym.tools.answer import Explained, imported, report, targets
from dtdsym.tools.hooks import SUPPORTED, translate
from dtdsym.tools.reading import Reading, read
from dtdsym.tools.subject import Subject, subject

FUNCTIONAL = dict.fromkeys(("linear", "conv", "batchnorm", "scale", "avgpool", "relu"), "gradient") | {
    "add": "both",
    "maxpool": "winner",
}
"""What zennit does where no rule is registered: what autograd makes of it."""


def audit_zennit(
    composite_or_attributor: Any, model: Any, x: Any, target: Any, *, relevance: Any = None, **asked: Any
) -> Report | list[Report]:
    """Place every root of the rules that a zennit composite gives to a model, and name the relevance that it computes.

    composite_or_attributor: any zennit Composite, or a zennit.attribution.Gradient of the model, whose own attr_output
    holds where it has one; else relevance starts from the target's logit. Each module's rule is what the composite's
    module_map answers. Canonizers are applied first: the audited network is the one that they leave, and `.tool` says
    so. model: in evaluation mode; left as it was. x: tensor (batch, ...). target: the explained output, one Report; or
    a sequence or tensor (batch,) of them, a list of Reports, one for each output that occurs, ascending, and
    `.tool.rows` says which inputs it is about. relevance: an explanation of x made before, in x's shape, to be compared
    in place of a new one. asked: as for `dtdsym.audit`, but for rules and logit; layers are "all" by default. A float
    parameter is the decimal number that Python prints for it, a bound of ZBox the number that zennit makes of it. Batch
    normalisation is a layer of its own. `.compared` of the Report is what `identify` makes of the relevance; `.tool`
    says what zennit does at each layer, and whether DTD justifies it.

    Raises InputError (zennit is missing, no composite, a model that zennit fails on), RuleError for a rule without an
    exact form here, with its place; and what `from_module` and `dtdsym.audit` raise. Source: zennit 0.5, rules.py.
    """
    composite = _composite(composite_or_attributor, model)
    with _canonized(composite, model) as canonizers:
        given = subject(model, x)
        hooks = dict(_hooks(composite, model, given))
    logits = targets(given.network, target, len(x))
    reading = _read(given, hooks, x.dtype)
    found = _run(composite_or_attributor, composite, model, x, logits) if relevance is None else relevance
    remarks = tuple(_remarks(given.network, canonizers))
    network, folded = (_named(one, canonizers) for one in (given.network, given.folded))
    return report(Explained("zennit", network, folded, reading, found, logits, remarks), x, target, asked)


def _composite(given: Any, model: Any) -> Any:
    """The composite that is given, or that an attributor has. Raises InputError."""
    core, attribution = imported("zennit.core", "zennit"), imported("zennit.attribution", "zennit")
    composite = given
    if isinstance(given, attribution.Attributor):
        if type(given) is not attribution.Gradient:
            raise InputError(f"a {type(given).__name__} is no explanation by rules alone; give zennit's Gradient")
        if given.model is not model:
            raise InputError("the attributor's model is another one than the model given; give the attributor's")
        composite = core.Composite() if given.composite is None else given.composite
    if not isinstance(composite, core.Composite):
        raise InputError(f"audit_zennit takes a zennit Composite or Gradient, not a {type(given).__name__}")
    if composite.handles:
        raise InputError("the composite is registered on a model; leave its context first, or call its remove()")
    return composite


@contextmanager
def _canonized(composite: Any, model: Any) -> Iterator[list[Any]]:
    """The model as the composite's canonizers leave it, and those that found something to change."""
    applied: list[Any] = []
    try:
        for canonizer in composite.canonizers:
            applied += canonizer.apply(model)
        yield applied
    finally:
        for canonizer in applied:
            canonizer.remove()


def _hooks(composite: Any, model: nn.Module, given: Subject) -> Iterator[tuple[str, Any]]:
    """The rule of each module, as zennit would register it. Raises RuleError for one at what is no layer."""
    context: dict[Any, Any] = {}
    harmless = imported("zennit.rules", "zennit").Pass
    for name, part in model.named_modules():
        hook = composite.module_map(context, name, part)
        if hook is None or (name not in given.calls and not any(part.children())):
            continue
        if name not in given.leaves or (given.idle(name) and type(hook) is not harmless):
            met = f"zennit: module {name!r} ({type(part).__name__}) has {type(hook).__name__}"
            raise RuleError(f"{met}, but is no layer; {SUPPORTED}")
        yield name, hook


def _read(given: Subject, hooks: Mapping[str, Any], dtype: torch.dtype) -> Reading:
    def treat(kind: str, owner: str, _: int) -> str:
        if owner not in hooks:
            return FUNCTIONAL[kind]
        return translate(hooks[owner], kind, f"{owner!r} ({type(given.leaves[owner]).__name__})", dtype)

    reading = read(given, treat, FUNCTIONAL)
    if not _reused(given.network):
        return reading
    only = "=" not in reading.text
    return replace(reading, text=f"{'*=' * only}{reading.text},reuse=last")


def _reused(network: Network) -> bool:
    weights = [id(node.weight) for node in network.nodes if isinstance(node, Affine | Convolution)]
    return len(set(weights)) < len(weights)


def _remarks(network: Network, canonizers: Sequence[Any]) -> Iterator[str]:
    """What else zennit does on this network."""
    if canonizers:
        kinds = ", ".join(dict.fromkeys(type(canonizer).__name__ for canonizer in canonizers))
        yield f"Its canonizers ({kinds}) change the network; the audited one is the one that they leave."
    merging = imported("zennit.canonizers", "zennit").MergeBatchNorm
    if any(isinstance(canonizer, merging) for canonizer in canonizers):
        yield f"Flaw: {FLAWS['batchnorm=merged']}."
    if _reused(network):
        yield f"Flaw: {FLAWS['reuse=last']}."


def _named(network: Network, canonizers: Sequence[Any]) -> Network:
    return replace(network, source=f"{network.source}, canonized") if canonizers else network


def _run(given: Any, composite: Any, model: nn.Module, x: torch.Tensor, logits: Sequence[int]) -> torch.Tensor:
    """zennit's relevance of x."""
    attribution = imported("zennit.attribution", "zennit")
    own = isinstance(given, attribution.Attributor) and given.attr_output_fn is not attribution.identity
    seed = given.attr_output_fn if own else _seed(logits)
    try:
        _, found = attribution.Gradient(model, composite, seed)(x.detach().clone())
    except Exception as err:
        reason = (str(err).splitlines() or [""])[0]
        raise InputError(f"zennit fails on this model ({type(err).__name__}: {reason})") from err
    relevance: torch.Tensor = found.detach()
    return relevance


def _seed(logits: Sequence[int]) -> Any:
    """The value of each input's own logit, as a function of the output."""

    def seed(output: torch.Tensor) -> torch.Tensor:
        chosen = torch.zeros_like(output)
        rows = torch.arange(len(logits), device=output.device)
        chosen[rows, list(logits)] = output.detach()[rows, list(logits)]
        return chosen

    return seed
