"""Train-free Deep Taylor Decomposition (Algorithm 2 of Sixt and Landgraf 2022): relevance, from the logit to the input.

R = f(x) at the output. A ReLU passes relevance on unchanged; an affine layer passes on what its rule says, with its
relevance roots; an addition splits in proportion to its two signed values, and loses what arrives where their sum is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch

from dtdsym.arithmetic import Arithmetic
from dtdsym.arithmetic.rational import RATIONAL, fractions, vector
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.errors import ShapeMismatch
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import Add, Affine, Input, Relu, Select
from dtdsym.network.network import Network
from dtdsym.relevance.neurons import Neurons
from dtdsym.relevance.rule import Rule, parse

ENTRIES = 2**23
"""Most entries of one (inputs, neurons, width) array of the numeric route: 64 MiB."""


@dataclass(frozen=True, eq=False)
class Relevances:
    """Relevance in one arithmetic. at: node id -> relevance of each of that node's values (..., width)."""

    network: Network
    at: Mapping[int, Any]

    def upper(self, layer: int) -> Any:
        """R^{l+1} as it arrives at the outputs of layer l (from 1): (..., out)."""
        self.network.affine(layer)
        return self.at[self.network.layers[layer - 1]]

    def lower(self, layer: int) -> Any:
        """R^l, of the inputs of layer l, with what they have through skips: (..., in)."""
        return self.at[self.network.affine(layer).source]

    @property
    def input(self) -> Any:
        """R^1, of the network's input (..., in)."""
        return self.at[0]


def propagate(
    network: Network, arithmetic: Arithmetic, values: Mapping[int, Any], rule: Rule, start: int = 0
) -> Relevances:
    """Relevance of every node from `start` on, of a network of one logit, by one rule at all its layers.

    values: what `evaluate` gives, for any batch; nodes that the logit does not depend on have relevance 0.
    """
    last = len(network.nodes) - 1
    if network.sizes[last] != 1:
        raise ShapeMismatch(f"the network has {network.sizes[last]} outputs; cut it to the explained one: logit(index)")
    at = {last: values[last]}
    for index in range(last, start, -1):
        parts = _passed(network, index, arithmetic, values, at[index], rule) if index in at else []
        for source, part in parts:
            at[source] = arithmetic.add(at[source], part) if source in at else part
    return Relevances(network, {index: at.get(index, values[index] * 0) for index in range(start, last + 1)})


def _passed(
    network: Network, index: int, ops: Arithmetic, values: Mapping[int, Any], relevance: Any, rule: Rule
) -> list[tuple[int, Any]]:
    """What node `index` passes on of its relevance (..., width): a part for each of its sources."""
    node = network.nodes[index]
    match node:
        case Affine():
            neurons = Neurons.of(ops, node, values[node.source], values[index], relevance)
            return [(node.source, ops.total(rule.messages(neurons), -2))]
        case Relu():
            return [(node.source, relevance)]
        case Add():
            return [(source, relevance * ops.ratio(values[source], values[index])) for source in node.sources]
        case Select():
            places = range(network.sizes[node.source])
            return [(node.source, ops.join([relevance if i == node.index else relevance * 0 for i in places]))]
        case Input():
            raise TypeError("an Input has no source to pass relevance to")


def explain(
    network: Network, x: Any, rule: str | Rule = "zplus", logit: int = 0
) -> tuple[Fraction, ...] | torch.Tensor:
    """Relevance of each input for one logit, by train-free DTD.

    x (in,), numbers of any kind: exact. A tensor (batch, in): relevances (batch, in) in float64 on its device, which
    are numeric, rounded as torch rounds, and decide nothing. Raises RuleError, InputError, ShapeMismatch, NotExact.
    """
    one, parsed = network.logit(logit), parse(rule)
    if isinstance(x, torch.Tensor) and x.ndim != 1:
        return _explain_batch(one, x, parsed)
    point = vector(x, size=network.sizes[0], name="x")
    return fractions(propagate(one, RATIONAL, evaluate(one, RATIONAL, {0: point}), parsed).input)


def _explain_batch(network: Network, x: torch.Tensor, rule: Rule) -> torch.Tensor:
    size = network.sizes[0]
    if x.ndim != 2 or x.shape[1] != size:
        raise ShapeMismatch(f"x has shape {tuple(x.shape)}; expected ({size},) for one input, (batch, {size}) for more")
    widest = max(network.affine(layer).weight.size for layer in range(1, len(network.layers) + 1))
    rows = TENSOR.lift(x).double().split(max(1, ENTRIES // widest))
    return torch.cat([propagate(network, TENSOR, evaluate(network, TENSOR, {0: part}), rule).input for part in rows])
