"""Places by floats alone, with the margin of each: for what is too large, or too much, to be proved.

Patterns and gradients are compared as floats have them. Every computation runs beside copies with shaken roundings
(arithmetic/shaken.py): a root whose place hangs on a number that is not several times larger than what the copies
differ by is flagged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.shaken import ShakenArithmetic, apart, margin
from dtdsym.geometry.placement import PLACES
from dtdsym.network.evaluate import differentiate, evaluate, max_masks, stream
from dtdsym.network.layers import MaxPool, Relu
from dtdsym.network.network import Network
from dtdsym.network.slice import bypassing
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.root import LayerRoots, layer_roots
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import Relevances, propagate
from dtdsym.survey.settings import Settings
from dtdsym.survey.verdicts import Verdicts

NUMBERS = 2**24
"""Most numbers of one node's value that are held for a block of roots."""


class NumericLadder:
    """One input (1, in) of a one-logit network: verdicts on its roots, as survey.stages.Ladder gives them."""

    names = ("numeric",)

    def __init__(self, network: Network, points: np.ndarray, settings: Settings) -> None:
        self.network, self.settings = network, settings
        self.ops = ShakenArithmetic(settings.seed)
        self.x = torch.from_numpy(points).to(settings.device, settings.dtype)
        self._gradients: dict[int, Any] = {}
        self._relevances: dict[Rule | Composite, Relevances] = {}

    @cached_property
    def values(self) -> Mapping[int, torch.Tensor]:
        """Of all nodes, (runs, inputs, width)."""
        return evaluate(self.network, self.ops, {0: self.ops.shaken(self.x)})

    @cached_property
    def choices(self) -> Mapping[int, torch.Tensor]:
        """Bending node -> masks (runs, inputs, ...) of active neurons and of winners."""
        return {i: self._choice(i, self.values) for i in range(len(self.network.nodes)) if self._bends(i)}

    @cached_property
    def margins(self) -> Mapping[int, torch.Tensor]:
        """Bending node -> the least margin (inputs,) of its choices."""
        return {i: self._margin(i, self.values) for i in self.choices}

    def decided(self, start: int) -> np.ndarray:
        """Floats take every input for regular."""
        del start
        return np.ones(len(self.x), dtype=bool)

    def above(self, least: float) -> np.ndarray:
        """(k,) signs of the explained logit less `least`."""
        logit = self.values[len(self.network.nodes) - 1][0, :, 0]
        return np.asarray(torch.sign(logit - least).cpu().numpy(), dtype=np.int64)

    def signs(self, *, exact: bool) -> dict[str, int]:
        """How many signs of ReLUs there are, all by floats."""
        del exact
        sizes = (self.values[i][0].numel() for i in self.choices if isinstance(self.network.nodes[i], Relu))
        return {"numeric": sum(sizes)}

    def verdicts(self, rule: Rule | Composite, layer: int, neurons: np.ndarray | None = None) -> Verdicts:
        """On the roots of these neurons of a layer, or of all of them."""
        if rule not in self._relevances:
            lowest = self.settings.lowest(self.network)
            self._relevances[rule] = propagate(self.network, self.ops, self.values, rule, lowest)
        wanted = np.arange(self.network.layer(layer).size) if neurons is None else neurons
        each = max(1, NUMBERS // (len(self.x) * max(self.network.sizes)))
        parts = []
        for first in range(0, len(wanted), each):
            block = wanted[first : first + each]
            found = layer_roots(
                self.network, self.ops, self.values, self._relevances[rule], layer, rule, self.settings.kind, block
            )
            parts.append(self._placed(self.network.layer(layer).source, found))
        return Verdicts.join(parts)

    def _placed(self, start: int, found: LayerRoots) -> Verdicts:
        """The places of a block of roots (runs, inputs, n, size)."""
        roots = found.roots
        feeds = {node: self.values[node].unsqueeze(2).expand(*roots.shape[:3], -1) for node in self._beside(start)}
        masks, equal, least, output = {}, None, self._home_margin(start).unsqueeze(1), roots
        for index, values in stream(self.network, self.ops, {**feeds, start: roots}):
            output = values[index]
            if self._bends(index) and index > start and index not in feeds:
                mask = masks[index] = self._choice(index, values)
                least = torch.minimum(least, self._margin(index, values))
                same = (mask[0] == self.choices[index][0].unsqueeze(1)).flatten(2).all(-1)
                equal = same if equal is None else equal & same
        gradient = self._gradient(start, masks, roots)
        equal = torch.ones(roots.shape[1:3], dtype=torch.bool, device=roots.device) if equal is None else equal
        return self._verdicts(start, found, equal, least, gradient, output[..., 0])

    def _verdicts(
        self,
        start: int,
        found: LayerRoots,
        equal: torch.Tensor,
        least: torch.Tensor,
        gradient: torch.Tensor,
        output: torch.Tensor,
    ) -> Verdicts:
        step = gradient - self._home_gradient(start).unsqueeze(2)
        differs = (step[0].abs() > apart(step)).any(-1)
        along = found.denominator.expand(*found.roots.shape[:3])
        missing, still = along[0] == 0, (found.displacement[0] == 0).all(-1)
        place = torch.full(missing.shape, PLACES.index("undecided"), device=missing.device)
        place[differs], place[equal] = PLACES.index("outside"), PLACES.index("same_cell")
        place[still], place[missing] = PLACES.index("degenerate"), PLACES.index("no_root")
        flagged = torch.minimum(least, margin(along).masked_fill(apart(along) == 0, math.inf))
        flagged = torch.where(equal | differs | missing | still, flagged, 0.0)
        home = self.values[len(self.network.nodes) - 1]
        change = home[..., 0].unsqueeze(2) - output
        residual = (change - (gradient * found.displacement).sum(-1))[0].abs()
        inside = equal | still
        facts = {
            "equal_output": still | (change[0].abs() <= apart(change)),
            "zero_relevance": output[0].abs() <= apart(output),
            "in_domain": self._in_domain(start, found.roots[0]),
        }
        told = {name: fact.long().cpu().numpy() for name, fact in facts.items()}
        size = torch.where(inside, 0.0, residual).double().cpu().numpy()
        return Verdicts(
            place.cpu().numpy(), told, size, size, np.zeros(place.shape, int), flagged.double().cpu().numpy()
        )

    def _in_domain(self, start: int, roots: torch.Tensor) -> torch.Tensor:
        low, high = self.settings.bounds(self.network, start)
        inside = torch.ones(roots.shape[:-1], dtype=torch.bool, device=roots.device)
        if low is not None:
            inside &= (roots >= float(low)).all(-1)
        if high is not None:
            inside &= (roots <= float(high)).all(-1)
        return inside

    def _home_gradient(self, start: int) -> torch.Tensor:
        """(runs, inputs, size) of F_l at the inputs."""
        if start not in self._gradients:
            self._gradients[start] = self._gradient(start, self.choices, self.values[start])
        return self._gradients[start]

    def _home_margin(self, start: int) -> torch.Tensor:
        """(inputs,) of all choices above node `start`."""
        whole = torch.full((len(self.x),), math.inf, dtype=self.x.dtype, device=self.x.device)
        for index, own in self.margins.items():
            whole = torch.minimum(whole, own) if index > start else whole
        return whole

    def _gradient(self, start: int, masks: Mapping[int, torch.Tensor], points: torch.Tensor) -> torch.Tensor:
        seed = torch.ones((*points.shape[:-1], 1), dtype=points.dtype, device=points.device)
        return differentiate(self.network, self.ops, masks, seed, start)[start]

    def _choice(self, index: int, values: Mapping[int, torch.Tensor]) -> torch.Tensor:
        node = self.network.nodes[index]
        if isinstance(node, MaxPool):
            return max_masks(self.network, index, self.ops, values)
        return values[node.sources[0]] > 0

    def _margin(self, index: int, values: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """The least margin of a node's choices: of signs, and of how far winners of windows are ahead of others that
        are not 0 too."""
        node = self.network.nodes[index]
        if isinstance(node, Relu):
            return _least(margin(values[node.source]))
        assert isinstance(node, MaxPool)
        entries = self.ops.take(values[node.source], node.index)
        behind = entries.amax(-1, keepdim=True) - entries
        ahead = margin(behind)
        quiet = (entries == 0).all(0) & (entries.amax(-1, keepdim=True) == 0).all(0)
        winners = self._choice(index, values)[0]
        repeated = torch.tensor(~node.fresh, device=winners.device)
        return _least(ahead.masked_fill(winners | quiet | repeated, math.inf).amin(-1))

    def _bends(self, index: int) -> bool:
        return isinstance(self.network.nodes[index], Relu | MaxPool)

    def _beside(self, start: int) -> frozenset[int]:
        return bypassing(self.network, start)


def _least(margins: torch.Tensor) -> torch.Tensor:
    return margins.amin(-1)
