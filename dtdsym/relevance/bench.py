"""A network at a batch of inputs, kept evaluated while many candidates are tried on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import sqrt
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.network.evaluate import evaluate
from dtdsym.network.layers import Node, Scale, with_sources
from dtdsym.network.network import Network
from dtdsym.relevance.candidates import PURE_GRADIENT, Candidate
from dtdsym.relevance.composite import composite, parse
from dtdsym.relevance.train_free import propagate

LEFT_BEHIND = 1 / sqrt(1 + 1e-5)
"""What zennit's SequentialMergeBatchNorm leaves of a batch normalisation: its eps, here torch's default."""


class Views:
    """A network cut to one logit, or not (None), with batch normalisation treated in one way or another; kept."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._kept: dict[tuple[int | None, str], Network] = {}

    def __call__(self, logit: int | None, batchnorm: str) -> Network:
        """batchnorm: as in a Candidate."""
        if (logit, batchnorm) not in self._kept:
            cut = self.network if logit is None else self.network.logit(logit)
            self._kept[logit, batchnorm] = {"fold": _same, "own": Network.unfolded, "merged": merged}[batchnorm](cut)
        return self._kept[logit, batchnorm]


class Bench:
    """Points (batch, in), float64, and what a network makes of them; cut to one logit, or not (None)."""

    def __init__(self, views: Views, logit: int | None, points: torch.Tensor) -> None:
        self.views, self.logit, self.points = views, logit, points
        self._values: dict[str, Mapping[int, Any]] = {}

    def outputs(self, batchnorm: str = "fold") -> torch.Tensor:
        """(batch, outputs), of the network with batch normalisation treated so."""
        network, values = self._view(batchnorm)
        found: torch.Tensor = values[len(network.nodes) - 1]
        return found

    def relevance(self, candidate: Candidate, seed: torch.Tensor) -> torch.Tensor:
        """Of the inputs (batch, in), from that of the outputs (batch, outputs). Raises RuleError if it does not fit."""
        chosen = composite(parse(candidate.text))
        network, values = self._view(candidate.batchnorm)
        chosen.check(network)
        found: torch.Tensor = propagate(network, TENSOR, values, chosen, seed=seed).input
        return found

    def gradient_x_input(self) -> torch.Tensor:
        """Of the sum of the outputs (batch, in)."""
        return self.points * self.relevance(Candidate(PURE_GRADIENT), torch.ones_like(self.outputs()))

    def _view(self, batchnorm: str) -> tuple[Network, Mapping[int, Any]]:
        """The network with batch normalisation treated so, and its values."""
        network = self.views(self.logit, batchnorm)
        if batchnorm not in self._values:
            self._values[batchnorm] = evaluate(network, TENSOR, {0: self.points})
        return network, self._values[batchnorm]


def _same(network: Network) -> Network:
    return network


def merged(network: Network) -> Network:
    """Another network: each batch normalisation is divided by sqrt(1 + eps) once more, as a constant."""
    nodes: list[Node] = []
    place: list[int] = []
    for node in network.nodes:
        nodes.append(with_sources(node, [place[source] for source in node.sources]))
        if isinstance(node, Scale) and node.norm is not None:
            left = np.array([Fraction(LEFT_BEHIND)], dtype=object)
            size = len(node.weight) * node.repeat
            nodes.append(Scale(left, np.array([Fraction(0)], dtype=object), size, len(nodes) - 1, name="eps"))
        place.append(len(nodes) - 1)
    return replace(network, nodes=tuple(nodes))
