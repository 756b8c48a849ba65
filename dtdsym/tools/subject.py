"""A module that a tool explains, beside the network that it is: which module computes which node, and how often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dtdsym.errors import InputError, RuleError
from dtdsym.network.from_module import from_module
from dtdsym.network.layers import Add, Affine, AveragePool, Convolution, MaxPool, Node, Relu, Scale
from dtdsym.network.network import Network

RULED = (Affine, Convolution, AveragePool, Scale, Relu, Add, MaxPool)
"""Nodes that a tool may have a rule for."""
_FICKLE = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


@dataclass(frozen=True, eq=False)
class Subject:
    """folded: the network, as `from_module` gives it; network: with batch normalisation as layers of its own, as tools
    see it. leaves: modules without children, by name, that forward calls; calls: how often."""

    folded: Network
    network: Network
    leaves: dict[str, nn.Module]
    calls: Counter[str]

    def owner(self, node: Node) -> str | None:
        """Name of the leaf that computes a node; None where it is called as a function.

        Raises RuleError where only some uses of a leaf's name are calls of the leaf."""
        for name in (node.name, node.name.rpartition(".")[0]):
            if name in self.leaves:
                computed = sum(self._named(other, name) for other in self.network.nodes)
                if computed > self.calls[name]:
                    raise RuleError(
                        f"layer {name!r} ({type(self.leaves[name]).__name__}) stands for {computed} operations and is "
                        f"called {self.calls[name]} times: the tool cannot see the others; make each a module"
                    )
                return name
        return None

    def _named(self, node: Node, name: str) -> bool:
        """Whether a leaf's name is that of a node, or of the module that computes it."""
        return isinstance(node, RULED) and name in (node.name, node.name.rpartition(".")[0])

    def idle(self, name: str) -> bool:
        """Whether a called leaf computes none of the nodes that have a rule: flattening, dropout."""
        return not any(self._named(node, name) for node in self.network.nodes)


def subject(model: Any, x: Any) -> Subject:
    """x: a batch (batch, ...) that the model takes. Raises InputError for a model in training mode, RuleError
    where two modules share a weight; as from_module."""
    if not isinstance(model, nn.Module):
        raise InputError(f"the model is a {type(model).__name__}; give the torch.nn.Module that the tool explains")
    fickle = [name for name, part in model.named_modules() if part.training and isinstance(part, _FICKLE)]
    if fickle:
        raise InputError(
            f"layer {fickle[0]!r} is in training mode, in which the tool explains another function at each call; call "
            "model.eval()"
        )
    folded = from_module(model, x[:1] if isinstance(x, torch.Tensor) and x.ndim else x)
    calls = _calls(model, x[:1])
    leaves = {name: part for name, part in model.named_modules() if calls[name]}
    _check_apart(leaves)
    return Subject(folded, folded.unfolded(), leaves, calls)


def _check_apart(leaves: dict[str, nn.Module]) -> None:
    """Raises RuleError where two modules hold one weight: layers are told apart by the names of their weights."""
    owners: dict[int, str] = {}
    for name, part in leaves.items():
        weight = getattr(part, "weight", None)
        if isinstance(weight, torch.Tensor) and owners.setdefault(id(weight), name) != name:
            raise RuleError(
                f"layers {owners[id(weight)]!r} and {name!r} share one weight, so that their rules cannot be told "
                "apart; give one of them a clone of it"
            )


def _calls(model: nn.Module, x: torch.Tensor) -> Counter[str]:
    """How often each module without children is called for one input."""
    counted: Counter[str] = Counter()
    leaves = [(name, part) for name, part in model.named_modules() if not any(part.children())]
    handles = [part.register_forward_hook(_counter(counted, name)) for name, part in leaves]
    try:
        with torch.no_grad():
            model(x.detach().clone())
    finally:
        for handle in handles:
            handle.remove()
    return counted


def _counter(counted: Counter[str], name: str) -> Any:
    def hook(*_: Any) -> None:
        counted[name] += 1

    return hook
