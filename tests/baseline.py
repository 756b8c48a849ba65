"""What a researcher would write: train-free DTD and its gradient check with torch autograd, one input and one neuron at
a time (Algorithm 2 of Sixt & Landgraf 2022). The time to beat, and an oracle in floats.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Loop:
    """roots (B, m, d), their output (B, m) and gradient (B, m, d); the inputs' output (B,) and gradient (B, d).

    m: neurons of the first layer. A missing root (w.v = 0) is NaN, and so are its output and gradient.
    """

    roots: Tensor
    root_output: Tensor
    root_gradient: Tensor
    output: Tensor
    gradient: Tensor

    @property
    def same_gradient(self) -> Tensor:
        """Boolean (B, m): gradient at the root and at the input within 1e-5, in every entry."""
        return ((self.root_gradient - self.gradient[:, None]).abs() <= 1e-5).all(-1)

    @property
    def same_output(self) -> Tensor:
        """Boolean (B, m): output at the root and at the input within 1e-6."""
        return (self.root_output - self.output[:, None]).abs() < 1e-6


def autograd_loop(module: nn.Sequential, inputs: Tensor, rule: str, logit: int = 0) -> Loop:
    """Relevance roots of all first-layer neurons for each of `inputs` (B, d), with their outputs and gradients.

    module: Linear and ReLU in turn, a ReLU last. rule: lrp0, gamma:G, w2 or zplus, used at every layer.
    """
    rows = []
    for x in inputs:
        output, gradient = _output_and_gradient(module, x, logit)
        roots = _first_layer_roots(module, x, rule, logit)
        found = [_output_and_gradient(module, root, logit) for root in roots]
        root_output, root_gradient = (torch.stack(column) for column in zip(*found, strict=True))
        rows.append((torch.stack(roots), root_output, root_gradient, output, gradient))
    return Loop(*(torch.stack(column) for column in zip(*rows, strict=True)))


def _output_and_gradient(module: nn.Sequential, point: Tensor, logit: int) -> tuple[Tensor, Tensor]:
    point = point.clone().requires_grad_(True)
    output = module(point)[logit]
    (gradient,) = torch.autograd.grad(output, point)
    return output.detach(), gradient


def _first_layer_roots(module: nn.Sequential, x: Tensor, rule: str, logit: int) -> list[Tensor]:
    layers = [layer for layer in module if isinstance(layer, nn.Linear)]
    activations = [x]
    with torch.no_grad():
        for layer in layers:
            activations.append(torch.relu(layer(activations[-1])))
    relevance = torch.zeros_like(activations[-1])
    relevance[logit] = activations[-1][logit]
    for layer, activation in zip(reversed(layers[1:]), reversed(activations[1:-1]), strict=True):
        relevance = _passed_down(layer, activation, relevance, rule)
    return [_root(w, x, r, rule) for w, r in zip(layers[0].weight.detach(), relevance, strict=True)]


def _passed_down(layer: nn.Linear, activation: Tensor, relevance: Tensor, rule: str) -> Tensor:
    """Relevance of the layer's input (n,) from that of its output (m,), neuron by neuron with autograd."""
    total = torch.zeros_like(activation)
    for j, share in enumerate(relevance):
        if share == 0 and rule != "lrp0":
            continue
        root = _root(layer.weight[j].detach(), activation, share, rule).requires_grad_(True)
        if not root.isfinite().all():
            continue
        (gradient,) = torch.autograd.grad(layer(root)[j], root)
        total += gradient * (activation - root.detach())
    return total


def _root(w: Tensor, a: Tensor, relevance: Tensor, rule: str) -> Tensor:
    """a - R/(w.v) v; NaN where w.v is 0."""
    name, _, parameter = rule.partition(":")
    positive = (w >= 0).to(w.dtype)
    match name:
        case "lrp0":
            return torch.zeros_like(a)
        case "zplus":
            v = a * positive
        case "gamma":
            v = a * (1 + float(parameter) * positive)
        case "w2":
            v = w
        case _:
            raise ValueError(f"rule {rule!r}: the loop knows lrp0, gamma:G, w2 and zplus")
    along = w @ v
    return a - relevance / along * v if along != 0 else torch.full_like(a, torch.nan)
