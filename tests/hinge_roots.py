"""Exact hinge roots, and what bounds say about their places."""

from __future__ import annotations

import torch

import dtdsym
from dtdsym.arithmetic.enclosure import ENCLOSURE
from dtdsym.arithmetic.rational import fractions
from dtdsym.errors import NoRoot
from dtdsym.geometry.batch import Home, Placed, place_batch
from dtdsym.geometry.own_hinges import OwnHinges
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.slice import slice_at


def named(placed: Placed) -> list[str | None]:
    """What the batch route says of the roots of its first input; None where it abstains."""
    found: list[str | None] = [None] * placed.same_cell.shape[1]
    for name, mask in (
        ("same_cell", placed.same_cell), ("same_region_segment", placed.same_segment),
        ("boundary", placed.boundary), ("outside", placed.outside),
    ):  # fmt: skip
        for column in mask[0].nonzero()[:, 0].tolist():
            assert found[column] is None
            found[column] = name
    return found


def places(network: Network, x, layer: int, neurons, roots, ops=ENCLOSURE) -> list[str | None]:
    """What it says of roots, each on the hinge of one neuron."""
    values = evaluate(network, ops, {0: ops.lift([list(x)])})
    where = network.layer(layer)
    own = OwnHinges(where.output, torch.as_tensor(neurons))
    home = Home.at(network, where.source, values, ops)
    return named(place_batch(home, ops.lift([[list(root) for root in roots]]), own))


def hinge_roots(network: Network, x, rule: str, layer: int = 1):
    """(neurons, exact hinge roots) that exist and are not the layer's input itself."""
    found = dtdsym.roots(network, x, rule=rule, layer=layer, root="hinge")
    a = fractions(slice_at(network, x, layer=layer)[1])
    pairs = [(j, root) for j, root in enumerate(found) if not isinstance(root, NoRoot) and tuple(root) != a]
    return [j for j, _ in pairs], [root for _, root in pairs]
