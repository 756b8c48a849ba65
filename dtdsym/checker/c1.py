"""Claim c1, Proposition 1 as printed: where the relevance of a layer's neurons has one gradient, so has F_l."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from dtdsym.checker.cells import cell_at
from dtdsym.checker.claims import claim
from dtdsym.checker.layers import Layer, plain_layers
from dtdsym.checker.reading import Refused, index, items, keys, point, record
from dtdsym.checker.regular import closed
from dtdsym.checker.subject import View

ALL = -1
Form = list[Fraction]


def _c1(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    layers, layer = plain_layers(view.network), view.layer(line["layer"])
    if layer.number == len(layers):
        raise Refused("the claim speaks of layers that have another one above them")
    home, above = view.home(layer.number), view.home(layer.number + 1)
    for one in (home, above):
        if not all(one.cell(plain=True).heights(one.a).values()):
            raise Refused("the input of a layer lies on a hinge")
    gradient = home.gradient(None)
    half_spaces = _half_spaces(view, layer, above.gradient(None))
    size = len(layer.rows)
    if verdict == "refuted":
        keys(evidence, "neuron", "point")
        neuron = index(evidence["neuron"], size, "neuron", ALL)
        p = point(evidence["point"], len(home.a), "point")
        for row in _rows(half_spaces, neuron):
            if sum((x * y for x, y in zip(row[:-1], p, strict=True)), row[-1]) <= 0:
                raise Refused("the relevance need not have one gradient up to the point")
        cell = cell_at(home.function, p)
        if cell.gradient == gradient or not all(cell.heights(p).values()):
            raise Refused("the point is not in an open cell of another gradient")
        return
    keys(evidence, "regions")
    proved = set()
    for place, entry in enumerate(items(evidence["regions"], "regions")):
        what = f"regions[{place}]"
        keys(record(entry, what), "neuron", "cells")
        neuron = index(entry["neuron"], size, f"{what}: neuron", ALL)
        listed = closed(home.function, entry["cells"], f"{what}: cells", rows=_rows(half_spaces, neuron))
        if home.cell().pattern not in listed:
            raise Refused(f"{what}: the list does not hold the cell of the input")
        if neuron in proved:
            raise Refused(f"{what}: neuron {neuron} stands twice")
        proved.add(neuron)
    if proved != set(range(ALL, size)):
        raise Refused("not every neuron has its list")


def _half_spaces(view: View, layer: Layer, gradient: Sequence[Fraction]) -> dict[int, Form]:
    """Of the neurons whose relevance bends where they change their state: the half-space in which they keep it."""
    if not layer.rectified:
        return {}
    found = {}
    width = view.network.nodes[layer.source].size
    for neuron, (places, weights, bias) in enumerate(layer.rows):
        row = [Fraction(0)] * width + [Fraction(bias, layer.scale)]
        for i, w in zip(places, weights, strict=True):
            row[i] += Fraction(w, layer.scale)
        z = view.values[layer.output][0][neuron]
        if gradient[neuron] and any(row[:-1]):
            found[neuron] = row if z > 0 else [-x for x in row]
    return found


def _rows(half_spaces: dict[int, Form], neuron: int) -> list[Form]:
    if neuron == ALL:
        return list(half_spaces.values())
    return [half_spaces[neuron]] if neuron in half_spaces else []


CLAIMS = {"c1": claim(_c1, of_a_rule=False)}
