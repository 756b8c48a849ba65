"""Places of whole batches of roots by enclosures: each is decided by a proven bound, or left to the rationals.

Two facts are decided here. Equal strict signs of all neurons: `same_cell`. Strict signs (so the point is regular)
and a gradient that differs by a proven margin: `outside`. Everything else goes on to the exact search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from dtdsym.arithmetic.enclosure import ENCLOSURE, UNDECIDED, Enclosure, exact, sign
from dtdsym.network.evaluate import descendants, differentiate, evaluate
from dtdsym.network.layers import Affine, Relu
from dtdsym.network.network import Network
from dtdsym.network.slice import bypassing


@dataclass(frozen=True, eq=False)
class Home:
    """F_l around a batch of inputs: the values of all nodes there, the signs, and the gradient.

    decided (batch,): every neuron of F_l that is not zero by its weights has a strict sign, so F_l is regular.
    signs: ReLU node -> (batch, width). gradient: (batch, size), of meaning only where decided.
    """

    network: Network
    start: int
    values: Mapping[int, Enclosure]
    signs: Mapping[int, torch.Tensor]
    decided: torch.Tensor
    gradient: Enclosure

    @staticmethod
    def at(network: Network, start: int, values: Mapping[int, Enclosure]) -> Home:
        """From the values of all nodes of a one-logit network, batch first."""
        signs = _signs(network, start, values)
        gradient = _gradient(network, start, signs, values[start])
        return Home(network, start, values, signs, _all_decided(signs, values[start]), gradient)


@dataclass(frozen=True, eq=False)
class Placed:
    """Places of roots (batch, neurons): masks of what is decided, and the network's values and gradients there."""

    same_cell: torch.Tensor
    outside: torch.Tensor
    output: Enclosure
    gradient: Enclosure


def place_batch(home: Home, roots: Enclosure) -> Placed:
    """Decide what enclosures can about roots (batch, neurons, size) of `home`'s inputs."""
    feeds = {node: _broadcast(home.values[node], roots) for node in bypassing(home.network, home.start)}
    values = evaluate(home.network, ENCLOSURE, {**feeds, home.start: roots})
    signs = _signs(home.network, home.start, values)
    decided = _all_decided(signs, roots) & home.decided[:, None]
    equal = torch.ones_like(decided)
    for node, here in signs.items():
        equal &= (here == home.signs[node][:, None]).all(-1)
    gradient = _gradient(home.network, home.start, signs, roots)
    differs = (gradient - home.gradient.unsqueeze(1)).excludes_zero().any(-1)
    return Placed(decided & equal, decided & ~equal & differs, values[len(home.network.nodes) - 1][..., 0], gradient)


def _broadcast(value: Enclosure, roots: Enclosure) -> Enclosure:
    batch, neurons = roots.shape[:2]
    return value.unsqueeze(1).expand(batch, neurons, value.shape[-1])


def _signs(network: Network, start: int, values: Mapping[int, Enclosure]) -> dict[int, torch.Tensor]:
    """Signs of all pre-activations of F_l; 0 only for neurons whose weights and bias are zero."""
    signs = {}
    for node in sorted(descendants(network, start)):
        if isinstance(network.nodes[node], Relu):
            source = network.nodes[node].sources[0]
            found = sign(values[source])
            zero = found == 0
            if zero.any():
                found = torch.where(zero & ~_zero_rows(network, source, found), UNDECIDED, found)
            signs[node] = found
    return signs


def _zero_rows(network: Network, source: int, like: torch.Tensor) -> torch.Tensor:
    node: Any = network.nodes[source]
    if not isinstance(node, Affine):
        return torch.zeros(like.shape[-1], dtype=torch.bool, device=like.device)
    return torch.as_tensor(~node.weight.any(axis=1) & (node.bias == 0), device=like.device)


def _all_decided(signs: Mapping[int, torch.Tensor], points: Enclosure) -> torch.Tensor:
    decided = torch.ones(points.shape[:-1], dtype=torch.bool, device=points.mid.device)
    for found in signs.values():
        decided &= (found != UNDECIDED).all(-1)
    return decided


def _gradient(network: Network, start: int, signs: Mapping[int, torch.Tensor], points: Enclosure) -> Enclosure:
    masks = {node: found == 1 for node, found in signs.items()}
    seed = exact(torch.ones((*points.shape[:-1], 1), dtype=torch.float64, device=points.mid.device))
    return differentiate(network, ENCLOSURE, masks, seed, start)[start]
