"""The exact side of one input: its regions, relevances and roots in rationals, made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.certificate.lines import hash_of, point
from dtdsym.certificate.place import Evidence, Witness
from dtdsym.errors import BudgetSpent, InputError, NoRoot, OnHinge
from dtdsym.geometry.component import Component
from dtdsym.geometry.placement import place_in
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.slice import Slice, bypassing
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.nearest_explanation import FoundRoot, NearestExplanation, explanation_in, root_of_neuron
from dtdsym.relevance.nearest_root import Nearest, NearestRoot
from dtdsym.relevance.root import roots_of_layer
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import Relevances, propagate
from dtdsym.survey.facts import Facts, facts_of
from dtdsym.survey.settings import Settings

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

BLOCK = 16  # neurons whose roots are made together

Point = tuple[Any, ...]
"""The exact coordinates of a root. Neurons and rules may share one: it is placed once, within one budget."""


class ExactInput:
    """One input (in,) of a one-logit network."""

    def __init__(self, network: Network, x: np.ndarray, settings: Settings) -> None:
        self.network, self.x, self.settings = network, x, settings
        self._homes: dict[int, Component | OnHinge | BudgetSpent] = {}
        self._relevances: dict[Rule | Composite, Relevances] = {}
        self._roots: dict[tuple[Rule | Composite, int, int], list[Any]] = {}
        self._nearest: dict[tuple[int, int], FoundRoot | BudgetSpent] = {}
        self._witnesses: dict[int, Witness] = {}
        self._facts: dict[tuple[int, Point], Facts] = {}
        self._evidence: dict[tuple[int, Point], Evidence | BudgetSpent] = {}

    @cached_property
    def values(self) -> Mapping[int, Any]:
        """Of all nodes."""
        return evaluate(self.network, RATIONAL, {0: RATIONAL.lift(self.x)})

    @property
    def output(self) -> Any:
        """The explained output, as a flint rational."""
        return self.values[len(self.network.nodes) - 1][0]

    @property
    def logit(self) -> Fraction:
        """The explained output, as a Fraction."""
        return fractions(np.array([self.output], dtype=object))[0]

    @cached_property
    def hash(self) -> str:
        """What certificates name the input by."""
        return hash_of(point(self.x.tolist()))

    def witness(self, layer: int) -> Witness:
        """Who gives evidence about points relative to layer l's region. Raises BudgetSpent, OnHinge."""
        if layer not in self._witnesses:
            home = self._home(self.network.layer(layer).source)
            if not isinstance(home, Component):
                raise home
            self._witnesses[layer] = Witness(home)
        return self._witnesses[layer]

    def evidence(self, layer: int, root: np.ndarray, name: str) -> Evidence:
        """That a root's place relative to layer l's region is the one of this name. Raises BudgetSpent, OnHinge."""
        key = self.network.layer(layer).source, tuple(root)
        return _once(self._evidence, key, lambda: self._shown(self.witness(layer), root, name))

    def _shown(self, witness: Witness, root: np.ndarray, name: str) -> Evidence:
        budget = self.settings.budget
        found = place_in(witness.home, root, budget)
        found.require_decided()
        assert found.name == name, f"a place was {name}, and is {found.name} now: a bug; please report"
        return witness.evidence(root, found, budget.start())

    def on_hinge(self, start: int) -> bool:
        """Whether the function of node `start`'s value bends there; False where the budget leaves it undecided."""
        return isinstance(self._home(start), OnHinge)

    def facts(self, rule: Rule | Composite | Nearest, layer: int, neuron: int) -> Facts:
        """All facts about one root."""
        start = self.network.layer(layer).source
        home = self._home(start)
        try:
            root = self.root(rule, layer, neuron)
        except BudgetSpent:
            return Facts("undecided", None, None, None, None)
        if isinstance(root, NoRoot):
            return Facts("no_root", None, None, None, None)
        if not isinstance(home, Component):
            return Facts("undecided", None, None, None, None)
        key = start, tuple(root)
        if key not in self._facts:
            bounds = self.settings.bounds(self.network, start)
            self._facts[key] = facts_of(home, self.output, root, bounds, self.settings.budget)
        return self._facts[key]

    def _home(self, start: int) -> Component | OnHinge | BudgetSpent:
        if start not in self._homes:
            bypass = {node: self.values[node] for node in bypassing(self.network, start)}
            try:
                found: Component | OnHinge | BudgetSpent = Component(
                    Slice(self.network, start, bypass), self.values[start], self.settings.budget
                )
            except (OnHinge, BudgetSpent) as reason:
                found = reason
            self._homes[start] = found
        return self._homes[start]

    def nearest(self, layer: int, neuron: int) -> FoundRoot:
        """A neuron's nearest admissible root. Raises BudgetSpent, OnHinge, and InputError on the neuron's own hinge."""
        asked = self.settings.root
        assert isinstance(asked, Nearest)
        home = self._home(self.network.layer(layer).source)
        if not isinstance(home, Component):
            raise home
        return _once(self._nearest, (layer, neuron), lambda: root_of_neuron(home, self.network, layer, neuron, asked))

    @cached_property
    def explanation(self) -> NearestExplanation:
        """By nearest admissible roots. Raises UnsupportedLayer, BudgetSpent, OnHinge."""
        home = self._home(0)
        if not isinstance(home, Component):
            raise home
        return explanation_in(home, self.network, lambda j: self.nearest(1, j))

    def relevance(self, rule: Rule | Composite) -> tuple[Fraction, ...]:
        """Of the network's inputs, train-free."""
        return fractions(propagate(self.network, RATIONAL, self.values, rule).input)

    def root(self, rule: Rule | Composite | Nearest, layer: int, neuron: int) -> Any:
        """One neuron's root, made with those beside it: a convolution has too many to make all for one."""
        if isinstance(rule, Nearest):
            return self._nearest_point(layer, neuron)
        start = neuron - neuron % BLOCK
        if (rule, layer, start) not in self._roots:
            if rule not in self._relevances:
                lowest = self.settings.lowest(self.network)
                self._relevances[rule] = propagate(self.network, RATIONAL, self.values, rule, lowest)
            self._roots[rule, layer, start] = roots_of_layer(
                self.network, self.values, self._relevances[rule], layer, rule, self.settings.kind,
                slice(start, start + BLOCK),
            )  # fmt: skip
        return self._roots[rule, layer, start][neuron - start]

    def _nearest_point(self, layer: int, neuron: int) -> Any:
        try:
            found = self.nearest(layer, neuron)
        except InputError:  # it is on the neuron's hinge itself
            return self.values[self.network.layer(layer).source]
        if isinstance(found, NearestRoot):
            return RATIONAL.lift(found.point)
        return NoRoot(f"neuron {neuron} of layer {layer} has no admissible root")


def _once(kept: dict[K, T | BudgetSpent], key: K, make: Callable[[], T]) -> T:
    """What is kept under the key, else made and kept; so is that the budget was spent on it. Raises BudgetSpent."""
    if key not in kept:
        try:
            kept[key] = make()
        except BudgetSpent as spent:
            kept[key] = spent
    found = kept[key]
    if isinstance(found, BudgetSpent):
        raise found
    return found
