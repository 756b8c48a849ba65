"""Certificates of an audit: for each input its line, then one line for every root whose place was decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtdsym.certificate.claims import rederived
from dtdsym.certificate.lines import input_line, point, written
from dtdsym.certificate.nearest import nearest_line
from dtdsym.certificate.network import network_hash
from dtdsym.errors import BudgetSpent, NoRoot
from dtdsym.geometry.placement import PLACES
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.relevance.rule import Rule
from dtdsym.survey.exactly import ExactInput

SEEN = tuple(PLACES.index(name) for name in ("degenerate", "no_root", "same_cell", "outside"))
"""Places that a checker sees without evidence where all choices are strict, since all points then lie in open cells."""


@dataclass(eq=False)
class Certificates:
    """Lines about a chunk's inputs: their number in the survey -> lines. `network` is the whole one, with all outputs.

    count: claims in them. without: what was decided, but whose evidence cost more than the
    budget. foreign: what was decided about rules that a checker does not derive again."""

    network: Network
    lines: dict[int, list[str]] = field(default_factory=dict)
    count: int = 0
    without: int = 0
    foreign: int = 0

    def text(self) -> str:
        """All lines in the order of inputs."""
        return "".join(line for number in sorted(self.lines) for line in self.lines[number])

    def add(
        self,
        number: int,
        exactly: ExactInput,
        logit: int,
        rule: Rule | Composite | Nearest,
        layer: int,
        places: np.ndarray,
        strict: np.ndarray,
    ) -> None:
        """The roots of one input, rule and layer: places (neurons,) as indices of PLACES, and which of them enclosures
        decided, the input's choices too."""
        head = {"network": network_hash(self.network), "input": exactly.hash, "logit": logit, "layer": layer}
        known = rederived(rule)
        for neuron, place in enumerate(places.tolist()):
            name = PLACES[place]
            if isinstance(rule, Nearest) and name not in ("undecided", "degenerate"):
                self._nearest(number, exactly, head, neuron, rule)
            if name == "undecided" or (name == "no_root" and not known):
                self.foreign += name == "no_root" and not isinstance(rule, Nearest)
                continue
            try:
                plain = strict[neuron] and place in SEEN
                evidence = {} if plain else self._evidence(exactly, rule, layer, neuron, name)
            except BudgetSpent:
                self.without += 1
                continue
            if known:
                what: dict[str, Any] = {"rule": rule.label, "root": exactly.settings.root, "neuron": neuron}
            else:
                what = {"point": point(exactly.root(rule, layer, neuron))}
            self.write(number, exactly, {"claim": "place", **head, **what, "place": name, "evidence": evidence})

    def _nearest(self, number: int, exactly: ExactInput, head: dict[str, Any], neuron: int, asked: Nearest) -> None:
        """That no admissible root is nearer, or that there is none."""
        found, meter = exactly.nearest(head["layer"], neuron), exactly.settings.budget.start()
        try:
            self.write(number, exactly, nearest_line(head, neuron, asked, found, meter))
        except BudgetSpent:
            self.without += 1

    def write(self, number: int, exactly: ExactInput, line: dict[str, Any]) -> None:
        """Add a claim about an input."""
        lines = self.lines.setdefault(number, [])
        if not lines:
            lines.append(written(input_line(self.network, exactly.x)))
        self.count += 1
        lines.append(written(line))

    def _evidence(
        self, exactly: ExactInput, rule: Rule | Composite | Nearest, layer: int, neuron: int, name: str
    ) -> dict[str, Any]:
        root = exactly.root(rule, layer, neuron)
        return {} if isinstance(root, NoRoot) else exactly.evidence(layer, root, name)
