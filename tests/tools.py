"""The real LRP tools, behind one face: input relevance in float64 whose seed is the explained logit, f(x).

captum starts from 1 and multiplies by the logit at the end; zennit starts from whatever gradient of the output it is
given, here the logit's value. zennit needs torchvision only for the names of two classes: where it is missing, an
empty stand-in takes its place.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

Rules = Mapping[str, Any]


def import_captum() -> Any:
    """captum.attr, or the test is skipped."""
    return pytest.importorskip("captum.attr")


def import_zennit() -> Any:
    """zennit, imported with a stand-in for torchvision where that is not installed, or the test is skipped."""
    missing = "zennit" not in sys.modules and importlib.util.find_spec("torchvision") is None
    stand_in = _torchvision() if missing else {}
    sys.modules.update(stand_in)
    try:
        return pytest.importorskip("zennit")
    finally:
        # Whoever asks for torchvision later must hear that it is not there.
        for name in stand_in:
            del sys.modules[name]


def _torchvision() -> dict[str, types.ModuleType]:
    """As much of torchvision as zennit imports: the names of two classes."""
    names = ("torchvision", "torchvision.models", "torchvision.models.resnet")
    modules = {name: types.ModuleType(name) for name in names}
    for block in ("BasicBlock", "Bottleneck"):
        setattr(modules[names[-1]], block, type(block, (torch.nn.Module,), {}))
    return modules


def captum_lrp(
    module: torch.nn.Module, x: torch.Tensor, target: int, rules: Rules | None = None, calls: int = 1
) -> torch.Tensor:
    """captum's LRP of logit `target`: x (batch, ...) to relevance (batch, ...).

    rules: one captum rule object per named layer; captum's own choice elsewhere. Like a user, it sets them once, and
    then calls `attribute` as often as `calls` says: captum removes them after the first.
    """
    lrp = import_captum().LRP
    _forget_rules(module)
    for name, rule in (rules or {}).items():
        module.get_submodule(name).rule = rule
    attribution = lrp(module)
    try:
        for _ in range(calls):
            found = attribution.attribute(x.clone().requires_grad_(), target=target)
    finally:
        _forget_rules(module)
    return found.detach()


def _forget_rules(module: torch.nn.Module) -> None:
    """captum leaves `rule` and `activations` behind in modules when it fails."""
    for layer in module.modules():
        for name in ("rule", "activations"):
            if name in vars(layer):
                delattr(layer, name)


def zennit_lrp(module: torch.nn.Module, x: torch.Tensor, target: int, composite: Any) -> torch.Tensor:
    """zennit's attribution of logit `target` under a composite: x (batch, ...) to relevance (batch, ...)."""
    x = x.clone().requires_grad_()
    with composite.context(module) as modified:
        output = modified(x)
        seed = torch.zeros_like(output)
        seed[:, target] = output.detach()[:, target]
        (found,) = torch.autograd.grad(output, x, seed)
    return found.detach()


def zennit_by_name(rules: Rules, rest: Callable[[], Any] | None = None, canonizers: tuple = ()) -> Any:
    """A composite of zennit rules by layer name, over zennit's own choice for what is not an affine layer.

    rest: a rule for the affine layers that are not named; None: they keep their gradient.
    """
    composites = import_zennit().composites
    kinds = import_zennit().types
    layer_map = composites.layer_map_base() + ([(kinds.Linear, rest())] if rest is not None else [])
    names = [((name,), rule) for name, rule in rules.items()]
    return composites.NameLayerMapComposite(name_map=names, layer_map=layer_map, canonizers=list(canonizers))


def autolrp_lrp(module: torch.nn.Module, x: torch.Tensor, target: int, rule: Mapping[str, Any]) -> torch.Tensor:
    """autoLRP's relevance of logit `target`, times the logit, for one x (1, ...); rule: its entries by autograd node.

    autoLRP starts from 1. The parameters must be leaves that need a gradient, or it falls back on gradients.
    """
    autolrp = pytest.importorskip("autolrp")
    wrapped = autolrp.tensor(x.clone())
    logit = module(wrapped)[0, target]
    logit.lrp(config=autolrp.LRPConfig(rule={**autolrp.BASE, **rule}))
    return torch.as_tensor(wrapped.relevance).detach() * logit.item()


def randomise(module: torch.nn.Module, seed: int = 0) -> Any:
    """Weights, biases and statistics of both signs, in float64 and evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=generator))
            if name.endswith("running_var"):
                value.abs_().add_(0.5)
    return module.double().eval()


def conv_net() -> torch.nn.Sequential:
    """0 conv, 1 batch norm, 2 ReLU, 3 max pool, 4 conv, 5 ReLU, 6 average pool, 7 flatten, 8 linear."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3, padding=1),
        torch.nn.BatchNorm2d(2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2, stride=1),
        torch.nn.Conv2d(2, 4, 2, stride=2, padding=1, groups=2),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2, stride=1, padding=1),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 3),
    )
    randomise(net)
    with torch.no_grad():
        net[0].weight[0, 0, 1, 1] = net[4].weight[1, 0, 0, 0] = 0
    return net


def images() -> torch.Tensor:
    """Two inputs of conv_net, of both signs."""
    return torch.randn(2, 1, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
