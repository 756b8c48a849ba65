"""Claim c7: how far the normalised relevance of the input can move by what is done above the input of a layer."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from typing import Any

from dtdsym.checker.claims import claim
from dtdsym.checker.network import Network
from dtdsym.checker.reading import Refused, index, items, keys, number, text
from dtdsym.checker.rules import Rule, parse, relevances
from dtdsym.checker.subject import View

BY_INPUT = ("zplus", "gamma", "x", "lrp0", "epsilon", "alpha_beta")
"""Rules that pass nothing to a neuron whose value is 0, whatever the weights."""
Columns = dict[int, list[Fraction]]


def _c7(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    if verdict != "proved":
        raise Refused("c7 is never refuted")
    keys(evidence, "tau", "columns")
    tau = number(evidence["tau"], "tau")
    node = view.layer(line["layer"]).source
    below = Network(view.network.nodes[: node + 1], view.network.hash)
    if not _is_cut(view.network, node):
        raise Refused("a skip carries values around the layer's input")
    rule = parse(text(line["rule"], "rule"))
    columns = _normalised(below, view, rule, _counted(view, node, rule))
    size = below.nodes[node].size
    named = [index(entry, size, "columns") for entry in items(evidence["columns"], "columns", 2)]
    if not set(named) <= set(columns):
        raise Refused("columns: one of these neurons does not count")
    distances = {pair: _distance(columns[pair[0]], columns[pair[1]]) for pair in combinations(sorted(columns), 2)}
    greatest = max(distances.values(), default=Fraction(0))
    if tau != greatest / 2:
        raise Refused(f"tau is another number: the greatest distance is {float(greatest):.6g}")
    if distances.get((named[0], named[1]), Fraction(0) if len(columns) == 1 else None) != greatest:
        raise Refused("columns: these two do not attain it, or are out of order")


def _is_cut(network: Network, node: int) -> bool:
    """Whether every path from the input to the output passes the node."""
    reached = {node}
    for i, other in enumerate(network.nodes):
        if i > node and reached & set(other.sources):
            if not set(other.sources) <= reached:
                return False
            reached.add(i)
    return len(network.nodes) - 1 in reached


def _counted(view: View, node: int, rule: Rule) -> list[int]:
    """Neurons of the node that the rule can send relevance to, whatever the weights of the layers that read it."""
    readers = [other.kind for other in view.network.nodes if node in other.sources]
    a, _ = view.values[node]
    by_input = rule.name in BY_INPUT and set(readers) == {"Linear"}
    return [i for i, value in enumerate(a) if value or not by_input]


def _normalised(below: Network, view: View, rule: Rule, neurons: list[int]) -> Columns:
    """Neuron -> what relevance 1 of it becomes at the input, divided by its sum; those that lose all are left out."""
    found: Columns = {}
    last = below.nodes[-1].size
    for i in neurons:
        unit = [Fraction(i == k) for k in range(last)]
        column = relevances(below, view.values, rule, 0, unit)[0]
        if any(entry < 0 for entry in column):
            raise Refused(f"relevance of neuron {i} becomes negative at an input")
        total = sum(column, Fraction(0))
        if total:
            found[i] = [entry / total for entry in column]
    if not found:
        raise Refused("no relevance of the layer's input reaches the network's input")
    return found


def _distance(one: list[Fraction], other: list[Fraction]) -> Fraction:
    return sum((abs(x - y) for x, y in zip(one, other, strict=True)), Fraction(0))


CLAIMS = {"c7": claim(_c7, of_a_rule=True)}
