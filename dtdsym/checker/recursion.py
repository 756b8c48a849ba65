"""Claims on Definition 3: c2, with constant roots, and c3, relevances forged by affine ones."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dtdsym.checker.claims import claim
from dtdsym.checker.layers import Layer, plain_layers
from dtdsym.checker.network import fractions, over_one
from dtdsym.checker.reading import Refused, items, keys, point, record
from dtdsym.checker.subject import View

Vector = tuple[Fraction, ...]
Matrix = list[Vector]


def _c2(_: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    keys(evidence, "roots")
    if verdict != "proved":
        raise Refused("c2 is a theorem")
    numbers = [layer.number for layer in plain_layers(view.network)]
    image: Vector | None = None
    for number, entry in zip(numbers, items(evidence["roots"], "roots", len(numbers)), strict=True):
        home = view.home(number)
        root, cell = point(entry, len(home.a), f"roots[{number - 1}]"), home.cell(plain=True)
        if root in (home.a, image):
            raise Refused(f"roots[{number - 1}]: the root is the layer's input")
        if number < len(numbers):
            below = view.network.values({home.plain.start: over_one(root)})
            image = tuple(fractions(below[view.layer(number + 1).source]))
        if not all(cell.heights(home.a).values()) or any(height <= 0 for height in cell.heights(root).values()):
            raise Refused(f"roots[{number - 1}]: not in the open cell of the layer's input")


class Roots:
    """Affine roots M a + v, one a layer; M is given by the rows that are not those of the identity."""

    def __init__(self, value: Any, layers: list[Layer], view: View) -> None:
        self.maps: list[tuple[Matrix, Vector]] = []
        for place, (entry, layer) in enumerate(zip(items(value, "roots", len(layers)), layers, strict=True)):
            what, size = f"roots[{place}]", view.network.nodes[layer.source].size
            keys(record(entry, what), "matrix", "vector")
            rows = [point(row, size, f"{what}: matrix") for row in items(entry["matrix"], f"{what}: matrix", size)]
            self.maps.append((rows, point(entry["vector"], size, f"{what}: vector")))

    def at(self, place: int, a: Vector) -> Vector:
        """The root of a layer for its input."""
        rows, offset = self.maps[place]
        return tuple(_dot(row, a) + v for row, v in zip(rows, offset, strict=True))


def _c3(_: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    layers = plain_layers(view.network)
    if verdict == "refuted":
        _unreachable(view, layers, evidence)
        return
    keys(evidence, "target", "roots")
    target = point(evidence["target"], view.network.nodes[0].size, "target")
    roots = Roots(evidence["roots"], layers, view)
    a = tuple(Fraction(entry, view.values[0][1]) for entry in view.values[0][0])
    visited, masks = [], []
    for place, layer in enumerate(layers):
        root = roots.at(place, a)
        if root == a:
            raise Refused(f"roots[{place}]: the root is the layer's input")
        if _states(layers, roots, place, a) != _states(layers, roots, place, root):
            raise Refused(f"roots[{place}]: not shown to be admissible: a neuron changes its state on the way")
        mask, below = _layer(layer, root)
        visited.append((a, root))
        masks.append(mask)
        a = below
    row: Vector = (Fraction(1),)
    for place in range(len(layers) - 1, -1, -1):
        gradient = _pulled(layers[place], masks[place], row, view.network.nodes[layers[place].source].size)
        # R^l = gradient o (a - M a - v), whose entries' sum has the gradient that goes down.
        matrix = roots.maps[place][0]
        columns = zip(*matrix, strict=True)
        moved = [_dot(gradient, column) for column in columns]
        row = tuple(g - m for g, m in zip(gradient, moved, strict=True))
    x, root = visited[0]
    found = tuple(g * (p - q) for g, p, q in zip(gradient, x, root, strict=True))
    if found != target:
        raise Refused("the roots yield another relevance than the target")


def _states(layers: list[Layer], roots: Roots, place: int, p: Vector) -> list[list[bool]]:
    """The states of all neurons that R^(l+1) o f_l asks for at p: of layer l at p, of the next at its root, ..."""
    found = []
    for k in range(place, len(layers)):
        mask, p = _layer(layers[k], p if k == place else roots.at(k, p))
        found.append(mask)
    return found


def _layer(layer: Layer, a: Vector) -> tuple[list[bool], Vector]:
    """The states of a layer's neurons, none of which sits on its hinge, and their outputs."""
    z = [
        sum((w * a[i] for i, w in zip(places, weights, strict=True)), Fraction(bias)) / layer.scale
        for places, weights, bias in layer.rows
    ]
    if not layer.rectified:
        return [True] * len(z), tuple(z)
    if any(value == 0 and any(weights) for value, (_, weights, _) in zip(z, layer.rows, strict=True)):
        raise Refused("a neuron sits on its hinge at a root")
    return [value > 0 for value in z], tuple(max(value, Fraction(0)) for value in z)


def _pulled(layer: Layer, mask: list[bool], row: Vector, size: int) -> Vector:
    """row . D W."""
    found = [Fraction(0)] * size
    for active, r, (places, weights, _) in zip(mask, row, layer.rows, strict=True):
        if active and r:
            for i, w in zip(places, weights, strict=True):
                found[i] += r * Fraction(w, layer.scale)
    return tuple(found)


def _unreachable(view: View, layers: list[Layer], evidence: dict[str, Any]) -> None:
    """The theorem of forged explanations: the support of what can be reached."""
    keys(evidence, "target")
    target = point(evidence["target"], view.network.nodes[0].size, "target")
    if len(layers) < 2 or (layers[-1].rectified and view.output <= 0):
        raise Refused("the theorem speaks of at least two layers and of f(x) > 0")
    reachable: list[set[int]] = []
    for layer in layers:
        home = view.home(layer.number)
        if not all(home.cell(plain=True).heights(home.a).values()):
            raise Refused("an input of a layer lies on a hinge")
        z = view.values[layer.output][0]
        active = [row for value, row in zip(z, layer.rows, strict=True) if value > 0 or not layer.rectified]
        reachable.append({i for places, weights, _ in active for i, w in zip(places, weights, strict=True) if w})
    if not any(target):
        raise Refused("the target 0 can be reached")
    if not all(reachable[1:]):
        return
    if all(i in reachable[0] for i, r in enumerate(target) if r):
        raise Refused("the target can be reached")


def _dot(one: Vector, other: Vector) -> Fraction:
    return sum((x * y for x, y in zip(one, other, strict=True)), Fraction(0))


CLAIMS = {"c2": claim(_c2, of_a_rule=False), "c3": claim(_c3, of_a_rule=False)}
