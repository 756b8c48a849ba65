"""Relevances of a batch of inputs, each for a logit of its own, by floats: they decide nothing."""

from __future__ import annotations

from functools import cached_property

import torch

from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import Affine, Relu, Take
from dtdsym.network.network import Network
from dtdsym.relevance.candidates import PURE_GRADIENT
from dtdsym.relevance.composite import Composite, parse
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import propagate


class EachLogit:
    """x (batch, in), float64, and the explained logit of each, logits (batch,) int64, on one device."""

    def __init__(self, network: Network, x: torch.Tensor, logits: torch.Tensor) -> None:
        self.network, self.x, self.logits = network, x, logits
        self._values = evaluate(network, TENSOR, {0: x})

    @cached_property
    def outputs(self) -> torch.Tensor:
        """The explained logits' values (batch,)."""
        last: torch.Tensor = self._values[len(self.network.nodes) - 1]
        return last.gather(1, self.logits[:, None])[:, 0]

    def relevance(self, rule: Rule | Composite, seed: torch.Tensor) -> torch.Tensor:
        """Of the inputs (batch, in), from that of the explained logits, seed (batch,): what `explain` gives from f(x).

        Logits are cut off one by one, since rules may look at a layer as one matrix; what is below is shared."""
        top, arriving = None, seed[:, None]
        if self.network.sizes[-1] > 1:
            parts = [(rows, *self._below_logit(int(k), rows, rule, seed)) for k, rows in self._rows()]
            top = parts[0][1]
            arriving = torch.empty_like(self._values[top])
            for rows, _, part in parts:
                arriving[rows] = part
        found: torch.Tensor = propagate(self.network, TENSOR, self._values, rule, seed=arriving, top=top).input
        return found

    def gradient_x_input(self) -> torch.Tensor:
        """The gradient of each explained logit times the input (batch, in)."""
        return self.x * self.relevance(parse(PURE_GRADIENT), torch.ones_like(self.outputs))

    def _rows(self) -> list[tuple[int, torch.Tensor]]:
        return [(int(k), (self.logits == k).nonzero()[:, 0]) for k in self.logits.unique()]

    def _below_logit(
        self, logit: int, rows: torch.Tensor, rule: Rule | Composite, seed: torch.Tensor
    ) -> tuple[int, torch.Tensor]:
        """The node that all outputs are computed from, the same for all logits, and its relevance (rows, width)."""
        one = self.network.logit(logit)
        last = len(one.nodes) - 1
        while isinstance(node := one.nodes[last], Relu):
            last = node.source
        assert isinstance(node, Affine | Take)
        values = {index: self._values[index][rows] for index in range(node.source, last)}
        values = evaluate(one, TENSOR, values)
        found = propagate(one, TENSOR, values, rule, node.source, seed=seed[rows][:, None])
        return node.source, found.at[node.source]
