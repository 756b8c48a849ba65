"""Definition 3 in floats, by torch's nested automatic differentiation: it decides nothing, and takes no sides.

Where a root lies on a hinge, torch's own convention holds: the derivative of a ReLU at 0 is taken as 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.errors import ShapeMismatch
from dtdsym.network.network import Network
from dtdsym.network.plain import PlainLayer
from dtdsym.relevance.definition3 import Definition3, functions


def recursion_by_autograd(network: Network, x: torch.Tensor, roots: Sequence[Any], logit: int = 0) -> torch.Tensor:
    """R^1(x) of Definition 3 in x's dtype and on its device, with the root functions that `recursion` takes.

    x (in,), floating. Rounded as torch rounds, so roots on a hinge may fall on either side; nothing is checked.
    Raises UnsupportedLayer for networks that are not plain, InputError, ShapeMismatch."""
    asked = functions(network, roots, logit)
    if tuple(x.shape) != (network.sizes[0],):
        raise ShapeMismatch(f"x has shape {tuple(x.shape)}; expected ({network.sizes[0]},), one input")
    return _relevance(asked, 1, x.detach().requires_grad_()).detach()


def _relevance(asked: Definition3, number: int, a: torch.Tensor) -> torch.Tensor:
    """R^l(a), a function of a that can be differentiated again."""
    if number > asked.depth:
        return a * (torch.arange(len(a), device=a.device) == asked.logit)
    layer, own = asked.layers[number - 1], asked.roots[number - 1]
    roots = own.at(TENSOR, layer, a, lambda: _relevance(asked, number + 1, _apply(layer, a)))
    found = torch.zeros_like(a)
    for group, given in enumerate(roots.to(a.dtype)):
        root = given if given.requires_grad else given.detach().requires_grad_()
        upper = _relevance(asked, number + 1, _apply(layer, root))
        chosen = torch.tensor([j == group for j in own.which], device=a.device)
        (gradient,) = torch.autograd.grad((upper * chosen).sum(), root, create_graph=True)
        found = found + gradient * (a - root)
    return found


def _apply(layer: PlainLayer, a: torch.Tensor) -> torch.Tensor:
    """f_l, whose ReLU has derivative 0 at 0."""
    z = layer.preactivation(TENSOR, a)
    return torch.relu(z) if layer.rectified else z
