"""How like each other the maps of different upper relevances are, layer by layer, measured in floats, not decided.

After Sixt, Granz and Landgraf 2020, "When Explanations Lie", Sec. 4 and 5: cosine similarity of maps, and how near the
propagation matrix is to rank 1. Both converge quickly for rules with non-negative matrices; class_insensitivity proves
how far the maps can be apart at most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.rational import fractions, nearest_float, vector
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.network.cut import is_cut
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network, checked
from dtdsym.network.numbers import layer_numbers
from dtdsym.network.work import multiply_adds
from dtdsym.relevance.composite import Composite, composite, parse
from dtdsym.relevance.explain import flat_point
from dtdsym.relevance.matrix import Propagation
from dtdsym.relevance.rule import Rule

SAMPLED = 64
"""So many maps are compared, each with each other."""
WHOLE = 2**22
"""Entries of a propagation matrix whose singular values are found."""
WORK = 2**33
"""Multiply-adds of passing all its columns down."""
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Convergence:
    """Of the part of a network below layer k's input, in floats.

    units: quantiles 0.1, 0.5 and 0.9 of the cosines between maps of single neurons' relevance; mixed: of random
    relevance, |N(0, 1)| at every neuron. singular: the second singular value of the propagation matrix as a share of
    the first; None where it is too large. NaN where there are not two maps, or the matrix is 0."""

    layer: int
    units: tuple[float, float, float]
    mixed: tuple[float, float, float]
    singular: float | None


def convergence(
    network: Network,
    x: Any,
    *,
    rule: str | Rule | Composite = "zplus",
    layers: str | int | Iterable[int] = "all",
    seed: int = 0,
) -> dict[int, Convergence]:
    """Layer -> how like each other the maps of upper relevances are, for any rule; layers around whose input a skip
    goes are left out. x, layers: as for class_insensitivity. Of many neurons, 64 are drawn by the seed.
    Raises RuleError, InputError, ShapeMismatch, NotExact."""
    chosen = composite(parse(rule))
    chosen.check(checked(network))
    point = fractions(vector(flat_point(network, x), size=network.sizes[0], name="x"))
    rounded = torch.tensor([[nearest_float(number) for number in point]], dtype=torch.float64)
    made = Propagation(network, TENSOR, evaluate(network, TENSOR, {0: rounded}), chosen)
    random = torch.Generator().manual_seed(seed)
    numbers = [n for n in layer_numbers(network, layers) if is_cut(network, network.layer(n).source)]
    return {number: _at(made, number, random) for number in numbers}


def _at(made: Propagation, number: int, random: torch.Generator) -> Convergence:
    node = made.network.layer(number).source
    neurons = np.flatnonzero(made.carrying(node))
    drawn = neurons[torch.randperm(len(neurons), generator=random)[:SAMPLED].sort().values.numpy()]
    mixed = torch.zeros(SAMPLED, made.network.sizes[node], dtype=torch.float64)
    mixed[:, neurons] = torch.randn(SAMPLED, len(neurons), generator=random, dtype=torch.float64).abs()
    return Convergence(
        number, _cosines(made.columns(drawn, node)), _cosines(made.pushed(mixed, node)), _singular(made, node, neurons)
    )


def _cosines(maps: torch.Tensor) -> tuple[float, float, float]:
    """Quantiles over all pairs of maps (n, in) that are not 0."""
    sizes = maps.norm(dim=1)
    lengths = maps[sizes > 0] / sizes[sizes > 0, None]
    i, j = torch.triu_indices(len(lengths), len(lengths), 1)
    if not len(i):
        return (float("nan"),) * 3
    found = (lengths @ lengths.T)[i, j].quantile(torch.tensor(QUANTILES, dtype=torch.float64)).tolist()
    return found[0], found[1], found[2]


def _singular(made: Propagation, node: int, neurons: np.ndarray) -> float | None:
    work = multiply_adds(made.network.nodes[1 : node + 1]) * len(neurons)
    if len(neurons) * made.network.sizes[0] > WHOLE or work > WORK:
        return None
    values = torch.linalg.svdvals(made.columns(neurons, node))
    if len(values) < 2 or not values[0] > 0:
        return float("nan")
    return float(values[1] / values[0])
