"""Places by floats alone, with the margin of each: for what is too large, or too much, to be proved.

Patterns and gradients are compared as floats have them. Every computation runs beside copies with shaken roundings
(arithmetic/shaken.py): a root whose place hangs on a number that is not several times larger than what the copies
differ by is flagged. So are all roots where products of the numbers that rules multiply may underflow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.shaken import ShakenArithmetic, apart, margin
from dtdsym.geometry.placement import PLACES
from dtdsym.geometry.zeros import taken, zero_entries
from dtdsym.network.evaluate import descendants, differentiate, evaluate, max_masks, stream
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
LEAST_EXPONENT = -800
"""Of a product of two weights, two values and a relevance in float64: far from underflow, at 2^-1022."""


class NumericLadder:
    """One input (1, in) of a one-logit network: verdicts on its roots, as survey.stages.Ladder gives them."""

    names = ("numeric",)

    def __init__(self, network: Network, points: np.ndarray, settings: Settings) -> None:
        self.network, self.settings = network, settings
        self.ops, self.rules = ShakenArithmetic(settings.seed, settings.dtype), ShakenArithmetic(settings.seed)
        self.x = torch.from_numpy(points).to(settings.device)
        self._homes: dict[int, _Passage] = {}
        self._gradients: dict[int, Any] = {}
        self._relevances: dict[Rule | Composite, Relevances] = {}
        self._in_range: dict[Rule | Composite, bool] = {}

    @cached_property
    def values(self) -> Mapping[int, torch.Tensor]:
        """Of all nodes, (runs, inputs, width)."""
        return evaluate(self.network, self.ops, {0: self.ops.shaken(self.x)})

    @cached_property
    def wide(self) -> Mapping[int, torch.Tensor]:
        """The values in float64, in which relevances and roots are computed: products of theirs leave float32's range,
        and what is 0 for that would pass for a relevance of 0."""
        return {index: value.double() for index, value in self.values.items()}

    def home(self, start: int) -> _Passage:
        """The choices of the function of node `start`'s value at the inputs."""
        if start not in self._homes:
            seen = self._homes[start] = _Passage(self.network, start, self.ops)
            for index in range(len(self.network.nodes)):
                seen.look(index, self.values)
        return self._homes[start]

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
        sizes = (self.values[i][0].numel() for i, node in enumerate(self.network.nodes) if isinstance(node, Relu))
        return {"numeric": sum(sizes)}

    def verdicts(self, rule: Rule | Composite, layer: int, neurons: np.ndarray | None = None) -> Verdicts:
        """On the roots of these neurons of a layer, or of all of them."""
        if rule not in self._relevances:
            lowest = self.settings.lowest(self.network)
            self._relevances[rule] = propagate(self.network, self.rules, self.wide, rule, lowest)
            self._in_range[rule] = self._multiplies_safely(self._relevances[rule])
        wanted = np.arange(self.network.layer(layer).size) if neurons is None else neurons
        each = max(1, NUMBERS // (len(self.x) * max(self.network.sizes)))
        parts = []
        for first in range(0, len(wanted), each):
            block = wanted[first : first + each]
            found = layer_roots(
                self.network, self.rules, self.wide, self._relevances[rule], layer, rule, self.settings.kind, block
            )
            parts.append(self._placed(self.network.layer(layer).source, found))
        verdicts = Verdicts.join(parts)
        return verdicts if self._in_range[rule] else replace(verdicts, margin=np.zeros_like(verdicts.margin))

    def _multiplies_safely(self, relevances: Relevances) -> bool:
        """Whether no product that a rule takes of weights, values and a relevance is near underflow."""
        values, parts = (_least_exponent(side.values()) for side in (self.wide, relevances.at))
        return 2 * math.log2(self.network.least_weight) + 2 * values + parts > LEAST_EXPONENT

    def _placed(self, start: int, found: LayerRoots) -> Verdicts:
        """The places of a block of roots (runs, inputs, n, size)."""
        size = (found.roots[0].abs() + found.displacement[0].abs()).to(self.settings.dtype)
        roots = self.ops.rounded(found.roots.to(self.settings.dtype), size)
        beside = bypassing(self.network, start)
        feeds = {node: self.values[node].unsqueeze(2).expand(*roots.shape[:3], -1) for node in beside}
        home, seen, output = self.home(start), _Passage(self.network, start, self.ops), roots
        for index, values in stream(self.network, self.ops, {**feeds, start: roots}):
            seen.look(index, values)
            output = values[index]
        equal = torch.ones(roots.shape[1:3], dtype=torch.bool, device=roots.device)
        for index, mask in seen.masks.items():
            equal &= (mask[0] == home.masks[index][0].unsqueeze(1)).flatten(2).all(-1)
        least = torch.minimum(seen.least, home.least.unsqueeze(1))
        return self._verdicts(start, found, equal, least, self._gradient(start, seen.masks, roots), output[..., 0])

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
        flagged = torch.minimum(least.double(), torch.minimum(_sure(along), _moved(found.displacement)))
        flagged = torch.where(equal | differs | missing | still, flagged, 0.0).nan_to_num(nan=0.0, posinf=math.inf)
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
        stage, no = np.zeros(place.shape, int), np.zeros(place.shape, bool)
        return Verdicts(place.cpu().numpy(), told, size, size, stage, flagged.cpu().numpy(), no, no)

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
            self._gradients[start] = self._gradient(start, self.home(start).masks, self.values[start])
        return self._gradients[start]

    def _gradient(self, start: int, masks: Mapping[int, torch.Tensor], points: torch.Tensor) -> torch.Tensor:
        seed = torch.ones((*points.shape[:-1], 1), dtype=points.dtype, device=points.device)
        return differentiate(self.network, self.ops, masks, seed, start)[start]


class _Passage:
    """Choices of F_l as floats have them, read off node by node: bending node -> masks (runs, ...) of active neurons
    and of winners. least (...): the smallest margin of all, inf where there is no choice.

    What is zero on the whole cell is no choice: inactive neurons, and what follows from these and from constants."""

    def __init__(self, network: Network, start: int, ops: ShakenArithmetic) -> None:
        self.network, self.start, self.ops = network, start, ops
        self.below, self.beside = descendants(network, start), bypassing(network, start)
        self.zeros: dict[int, np.ndarray] = {}
        self.masks: dict[int, torch.Tensor] = {}
        self.least = torch.tensor(math.inf)

    def look(self, index: int, values: Mapping[int, torch.Tensor]) -> None:
        """At node `index`, whose value and whose sources' values are known."""
        if index in self.beside:
            self.zeros[index] = (values[index] == 0).all(0).cpu().numpy()
        elif index == self.start:
            self.zeros[index] = np.zeros(values[index].shape[1:], dtype=bool)
            self.least = torch.full_like(values[index][0, ..., 0], math.inf)
        elif index in self.below:
            self._read(index, values)

    def _read(self, index: int, values: Mapping[int, torch.Tensor]) -> None:
        node = self.network.nodes[index]
        self.zeros[index] = zero_entries(node, self.zeros)
        if isinstance(node, Relu):
            dead, z = torch.from_numpy(self.zeros[index]).to(self.least.device), values[node.source]
            mask = self.masks[index] = z > 0
            self.zeros[index] = self.zeros[index] | ~mask[0].cpu().numpy()
            self._keep(margin(z).masked_fill(dead, math.inf))
        elif isinstance(node, MaxPool):
            self.masks[index] = max_masks(self.network, index, self.ops, values)
            self._keep(self._ahead(node, values[node.source], self.masks[index][0]))

    def _keep(self, margins: torch.Tensor) -> None:
        self.least = torch.minimum(self.least, margins.amin(-1))

    def _ahead(self, node: MaxPool, value: torch.Tensor, winners: torch.Tensor) -> torch.Tensor:
        """How far the winner of each window is ahead of the others, of those apart that equal it identically."""
        entries = self.ops.take(value, node.index)
        ahead = margin((entries * winners).sum(-1, keepdim=True) - entries)
        dead = torch.from_numpy(taken(self.zeros[node.source], node.index)).to(winners.device)
        same = dead & (dead & winners).any(-1, keepdim=True)
        repeated = torch.tensor(~node.fresh, device=winners.device)
        return ahead.masked_fill(winners | same | repeated, math.inf).amin(-1)


def _least_exponent(values: Iterable[torch.Tensor]) -> float:
    """log2 of the smallest size in the first runs that is not 0; 0 if there is none."""
    sizes = [value[0].abs() for value in values]
    least = min((float(size.masked_fill(size == 0, math.inf).amin()) for size in sizes if size.numel()), default=1.0)
    return math.log2(least) if least < math.inf else 0.0


def _moved(step: torch.Tensor) -> torch.Tensor:
    """The margin of a step that may be none (runs, ..., size): of its surest coordinate; of no doubt where it is 0."""
    none = (step == 0).all(0)
    return _sure(step).masked_fill(none, 0.0).amax(-1).masked_fill(none.all(-1), math.inf)


def _sure(value: torch.Tensor) -> torch.Tensor:
    """The margin of a number that may be 0: of no doubt where all runs agree."""
    return margin(value).masked_fill(apart(value) == 0, math.inf)
