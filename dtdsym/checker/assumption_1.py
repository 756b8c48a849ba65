"""Claim assumption_1: whether every c_j in R_j = a_j c_j is constant around a layer's input."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dtdsym.checker.claims import claim
from dtdsym.checker.layers import Layer, plain_layers
from dtdsym.checker.network import fractions, over_one
from dtdsym.checker.reading import Refused, index, keys, point
from dtdsym.checker.rules import DIRECTIONS, Rule, relevances
from dtdsym.checker.subject import View


def _assumption_1(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    home = view.home(line["layer"])
    start = home.plain.start
    layers = [layer for layer in plain_layers(view.network) if layer.source >= start]
    if not all(home.cell(plain=True).heights(home.a).values()):
        raise Refused("the input lies on a hinge")
    rule, _ = view.relevance(line["rule"], start)
    if verdict == "proved":
        keys(evidence)
        zero = not any(home.cell(plain=True).gradient) and home.plain.output(home.a) == 0
        if not zero and not all(_divides_by_z(view, layer, rule) for layer in layers):
            raise Refused("no proof is known that c is constant")
        return
    keys(evidence, "neuron", "point")
    q = point(evidence["point"], len(home.a), "point")
    neuron = index(evidence["neuron"], len(q), "neuron")
    if any(height <= 0 for height in home.cell(plain=True).heights(q).values()):
        raise Refused("the point is not in the open cell of the input")
    there = view.network.values({start: over_one(q)})
    here = {i: view.values[i] for i in there}
    if not all(_tells(layer, rule, here, there) for layer in layers):
        raise Refused("a sign or a denominator makes the point tell nothing about the input")
    own, other = (relevances(view.network, values, rule, start)[start][neuron] for values in (here, there))
    if home.a[neuron] == 0 or own / home.a[neuron] == other / q[neuron]:
        raise Refused("c is the same there")


def _tells(layer: Layer, rule: Rule, here: dict[int, Any], there: dict[int, Any]) -> bool:
    if _signs(here[layer.source]) != _signs(there[layer.source]):
        return False
    if rule.name in ("w2", "flat", "pinv", "alpha_beta"):
        return True
    if rule.name in ("lrp0", "epsilon"):
        signs = _signs(there[layer.output])
        return signs == _signs(here[layer.output]) and 0 not in signs
    a = fractions(there[layer.source])
    if rule.name == "zbox":
        return all(not any(row[1]) or _along_box(row, rule, a) != 0 for row in layer.rows)
    return all(any(terms) is False or sum(terms) != 0 for terms in (_terms(row, rule, a) for row in layer.rows))


def _terms(row: Any, rule: Rule, a: list[Fraction]) -> list[Fraction]:
    """The terms of w.v, up to one factor."""
    places, weights, _ = row
    return [w * a[i] * factor for i, w, factor in zip(places, weights, _factors(weights, rule), strict=True)]


def _along_box(row: Any, rule: Rule, a: list[Fraction]) -> Fraction:
    """w.v, up to one factor: v is a less the low end where w > 0, less the high end where w < 0."""
    low, high = rule.parameters
    pairs = zip(row[0], row[1], strict=True)
    return sum((w * (a[i] - (low if w > 0 else high)) for i, w in pairs), Fraction(0))


def _factors(weights: list[int], rule: Rule) -> list[Fraction]:
    """m, where v = a o m."""
    more = {"x": Fraction(0), "zplus": Fraction(1), "gamma": (*rule.parameters, Fraction(0))[0]}[rule.name]
    least = Fraction(0) if rule.name == "zplus" else Fraction(1)
    return [least + more if w >= 0 else least for w in weights]


def _divides_by_z(view: View, layer: Layer, rule: Rule) -> bool:
    z, a = view.values[layer.output][0], view.values[layer.source][0]
    if not layer.rectified and 0 in z:
        return False
    if rule.name == "lrp0":
        return True
    if rule.name not in ("x", "zplus", "gamma") or rule.name not in DIRECTIONS:
        return False
    for value, (places, weights, bias) in zip(z, layer.rows, strict=True):
        if value > 0 or not layer.rectified:
            factors = _factors(weights, rule)
            own = {f for i, w, f in zip(places, weights, factors, strict=True) if w and (a[i] or not layer.source)}
            if bias or len(own) != 1 or own == {Fraction(0)}:
                return False
    return True


def _signs(value: Any) -> list[int]:
    return [(entry > 0) - (entry < 0) for entry in value[0]]


CLAIMS = {"assumption_1": claim(_assumption_1, of_a_rule=True)}
