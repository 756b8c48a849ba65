"""What claims speak of and share: the network cut to a logit, the exact values at the input, and F_l around a_l."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from dtdsym.checker.cells import Cell, cell_at
from dtdsym.checker.function import Function, Gradient, fused
from dtdsym.checker.layers import Layer, cut, layers_of
from dtdsym.checker.network import Network, Value, fractions, over_one
from dtdsym.checker.reading import Refused, index, keys, point, shown, text
from dtdsym.checker.regular import regular
from dtdsym.checker.rules import Rule, parse, relevances, root


def is_network(line: dict[str, Any]) -> bool:
    """Whether an object stands for a network, good or bad: all below belongs to it."""
    return "nodes" in line or "format" in line


def is_input(line: dict[str, Any]) -> bool:
    """Whether an object stands for an input, good or bad: the claims below belong to it."""
    return not is_network(line) and "claim" not in line


@dataclass(eq=False)
class Subject:
    """One input of one network."""

    network: Network
    hash: str
    x: tuple[Fraction, ...]
    _views: dict[int, View] = field(default_factory=dict)

    def view(self, logit: Any) -> View:
        """What belongs to one logit."""
        number = index(logit, self.network.nodes[-1].size, "logit")
        if number not in self._views:
            self._views[number] = View(cut(self.network, number), self.x)
        return self._views[number]


def read_input(line: dict[str, Any], network: Network) -> Subject:
    """An input line."""
    keys(line, "input", "network", "values")
    if line["network"] != network.hash:
        raise Refused("the input names another network than the one above it")
    x = point(line["values"], network.nodes[0].size, "values")
    own = hashlib.sha256(",".join(line["values"]).encode()).hexdigest()
    if own != line["input"]:
        raise Refused(f"the input's hash is {own}, not the {shown(line['input'])} that is stated")
    return Subject(network, own, x)


class View:
    """A network with one output at one input."""

    def __init__(self, network: Network, x: tuple[Fraction, ...]) -> None:
        self.network = network
        self.values: dict[int, Value] = network.values({0: over_one(x)})
        self.layers = layers_of(network)
        self._relevances: dict[tuple[str, int], dict[int, list[Fraction]]] = {}
        self._homes: dict[int, Home] = {}

    @property
    def output(self) -> Fraction:
        """f(x)."""
        return fractions(self.values[len(self.network.nodes) - 1])[0]

    def layer(self, number: Any) -> Layer:
        """Layer l."""
        found = {layer.number: layer for layer in self.layers.values() if layer.number}
        return found[index(number, len(found) + 1, "layer", 1)]

    def relevance(self, label: Any, lowest: int) -> tuple[Rule, dict[int, list[Fraction]]]:
        """A rule, and the relevance of all nodes from `lowest` on."""
        key = text(label, "rule"), lowest
        rule = parse(key[0])
        if key not in self._relevances:
            self._relevances[key] = relevances(self.network, self.values, rule, lowest)
        return rule, self._relevances[key]

    def root(self, number: Any, label: Any, kind: Any, j: Any) -> tuple[Fraction, ...] | None:
        """The root of a rule, derived again; None if there is none."""
        layer = self.layer(number)
        if kind not in ("relevance", "hinge"):
            raise Refused(f"root {shown(kind)} is neither relevance nor hinge")
        rule, relevance = self.relevance(label, layer.output)
        neuron = index(j, len(layer.rows), "neuron")
        return root(layer, self.values, relevance[layer.output], rule, kind, neuron)

    def home(self, number: Any) -> Home:
        """F_l around a_l."""
        layer = self.layer(number)
        if layer.source not in self._homes:
            self._homes[layer.source] = Home(self.function(layer.source), tuple(fractions(self.values[layer.source])))
        return self._homes[layer.source]

    def function(self, start: int) -> Function:
        """The function of node `start`'s value."""
        plain = Function(self.network, start, {})
        above, last = set(plain.above), len(self.network.nodes) - 1
        feeding = {source for i in above for source in self.network.nodes[i].sources} - above - {start}
        feeding |= {last} - above
        return Function(self.network, start, {i: self.values[i] for i in feeding})


class Home:
    """F_l, its fused twin, and a_l."""

    def __init__(self, plain: Function, a: tuple[Fraction, ...]) -> None:
        self.plain, self.function, self.a = plain, fused(plain), a
        self._gradients: dict[str, Gradient] = {}
        self._cells: dict[bool, Cell] = {}

    def gradient(self, cones: Any) -> Gradient:
        """g; refused where F_l is not proved to be regular at a_l."""
        if cones is not None:
            return regular(self.function, self.a, cones, "input_cones")
        if "" not in self._gradients:
            self._gradients[""] = regular(self.function, self.a, None, "input")
        return self._gradients[""]

    def cell(self, *, plain: bool = False) -> Cell:
        """The cell at a_l, of the fused function or of F_l itself."""
        if plain not in self._cells:
            self._cells[plain] = cell_at(self.plain if plain else self.function, self.a)
        return self._cells[plain]

    def at(self, p: tuple[Fraction, ...], t: Fraction) -> tuple[Fraction, ...]:
        """a_l + t (p - a_l)."""
        return tuple(a + t * (b - a) for a, b in zip(self.a, p, strict=True))
