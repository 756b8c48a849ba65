"""Linear regions of the plane by brute force in plain Fractions: two oracles that share nothing with the package.

One tries every sign vector, layer by layer, and asks by vertex enumeration whether its polygon has inner points. The
other draws the planar graph: hinges clipped to the cells of the layer below, cut at every crossing, and counted.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise, product
from typing import Any

Form = tuple[Fraction, Fraction, Fraction]
"""(a, b, c): a x + b y + c."""


def corners(forms: list[Form]) -> list[tuple[Fraction, Fraction]]:
    """Vertices of the polygon where all forms are >= 0, which must be bounded."""
    found = set()
    for (a, b, c), (d, e, f) in combinations(forms, 2):
        determinant = a * e - b * d
        if determinant != 0:
            point = ((b * f - c * e) / determinant, (c * d - a * f) / determinant)
            if all(value(form, point) >= 0 for form in forms):
                found.add(point)
    return list(found)


def value(form: Form, point: Any) -> Fraction:
    return form[0] * point[0] + form[1] * point[1] + form[2]


def has_inner_points(forms: list[Form]) -> bool:
    """Whether all forms are positive somewhere: then they are in the middle of the vertices."""
    points = corners(forms)
    if not points:
        return False
    middle = tuple(sum(axis, Fraction(0)) / len(points) for axis in zip(*points, strict=True))
    return all(value(form, middle) > 0 for form in forms)


def exact(pairs: Any) -> list[tuple[list[list[Fraction]], list[Fraction]]]:
    """(weight, bias) pairs in Fractions."""
    return [([[Fraction(w) for w in row] for row in weight], [Fraction(b) for b in bias]) for weight, bias in pairs]


def box_forms(box: Any) -> list[Form]:
    (left, right), (low, high) = ((Fraction(a), Fraction(b)) for a, b in box)
    one, nothing = Fraction(1), Fraction(0)
    return [(one, nothing, -left), (-one, nothing, right), (nothing, one, -low), (nothing, -one, high)]


def cells_by_signs(pairs: Any, box: Any, *, final_relu: bool) -> dict[tuple[int, ...], list[Form]]:
    """Sign vector of all ReLU neurons -> the output's forms, for every cell in the box with inner points."""
    identity = [(Fraction(1), Fraction(0), Fraction(0)), (Fraction(0), Fraction(1), Fraction(0))]
    found = [((), box_forms(box), identity)]
    layers = exact(pairs)
    for number, (weight, bias) in enumerate(layers, start=1):
        bends = final_relu or number < len(layers)
        found = [cell for below in found for cell in _above(below, weight, bias, bends)]
    return {signs: outputs for signs, _, outputs in found}


def _above(below: Any, weight: Any, bias: Any, bends: bool) -> Any:
    """The cells of one more layer inside a cell: every sign vector of its neurons is tried."""
    signs, walls, inputs = below
    forms = [_combined(row, inputs, b) for row, b in zip(weight, bias, strict=True)]
    if not bends:
        return [(signs, walls, forms)]
    choices = [(0,) if not any(form) else (1, -1) for form in forms]
    cells = []
    for chosen in product(*choices):
        own = [tuple(s * entry for entry in form) for s, form in zip(chosen, forms, strict=True) if s]
        if has_inner_points([*walls, *own]):
            outputs = [form if s > 0 else (Fraction(0),) * 3 for s, form in zip(chosen, forms, strict=True)]
            cells.append(((*signs, *chosen), [*walls, *own], outputs))
    return cells


def _combined(row: Any, inputs: list[Form], bias: Fraction) -> Form:
    sums = [sum((w * form[k] for w, form in zip(row, inputs, strict=True)), Fraction(0)) for k in range(3)]
    return (sums[0], sums[1], sums[2] + bias)


def cells_by_graph(pairs: Any, box: Any, *, final_relu: bool) -> int:
    """The number of cells in the box, by Euler's formula: the bounded faces of the hinges' graph.

    Hinges are segments: a neuron's zero line within each cell of the layers below, found by clipping, as long as the
    neuron is not zero on the whole cell. Zero on one side only, it has no hinge that is not a lower one's."""
    square = [(Fraction(x), Fraction(y)) for x, y in product(*box)]
    order = [square[0], square[2], square[3], square[1]]
    segments = {_named(a, b) for a, b in zip(order, order[1:] + order[:1], strict=True)}
    layers = exact(pairs)
    for number in range(1, len(layers) + 1):
        if final_relu or number < len(layers):
            below = _cells_below(layers[: number - 1], box)
            for walls, inputs in below:
                for row, bias in zip(*layers[number - 1], strict=True):
                    segments |= _hinge(_combined(row, inputs, bias), walls)
    return _faces(segments)


def _cells_below(layers: Any, box: Any) -> list[tuple[list[Form], list[Form]]]:
    identity = [(Fraction(1), Fraction(0), Fraction(0)), (Fraction(0), Fraction(1), Fraction(0))]
    found = [((), box_forms(box), identity)]
    for weight, bias in layers:
        found = [cell for below in found for cell in _above(below, weight, bias, True)]
    return [(walls, inputs) for _, walls, inputs in found]


def _hinge(form: Form, walls: list[Form]) -> set[Any]:
    """The part of a line inside a polygon, as a set of one segment or none."""
    if form[0] == 0 and form[1] == 0:
        return set()
    on = corners([*walls, form, tuple(-entry for entry in form)])
    return {_named(min(on), max(on))} if len(on) > 1 else set()


def _named(a: Any, b: Any) -> Any:
    return (min(a, b), max(a, b))


def _faces(segments: set[Any]) -> int:
    """Bounded faces E - V + C of the plane graph that segments make, cut wherever they meet."""
    edges = set()
    for one in segments:
        cuts = {point for other in segments for point in _meetings(one, other)} | set(one)
        ordered = sorted(cuts)
        edges |= {(a, b) for a, b in pairwise(ordered)}
    vertices = {point for edge in edges for point in edge}
    return len(edges) - len(vertices) + _components(vertices, edges)


def _meetings(one: Any, other: Any) -> list[Any]:
    """Where two segments meet: a point, or the ends of their common part."""
    (p, q), (r, s) = one, other
    determinant = (q[0] - p[0]) * (s[1] - r[1]) - (q[1] - p[1]) * (s[0] - r[0])
    if determinant == 0:
        return [point for point in (r, s) if _on(point, one)]
    t = ((r[0] - p[0]) * (s[1] - r[1]) - (r[1] - p[1]) * (s[0] - r[0])) / determinant
    point = (p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1]))
    return [point] if _on(point, one) and _on(point, other) else []


def _on(point: Any, segment: Any) -> bool:
    (p, q) = segment
    cross = (q[0] - p[0]) * (point[1] - p[1]) - (q[1] - p[1]) * (point[0] - p[0])
    return cross == 0 and all(min(a, b) <= x <= max(a, b) for a, b, x in zip(p, q, point, strict=True))


def _components(vertices: set[Any], edges: set[Any]) -> int:
    parent = {vertex: vertex for vertex in vertices}

    def root(vertex: Any) -> Any:
        while parent[vertex] != vertex:
            vertex = parent[vertex]
        return vertex

    for a, b in edges:
        parent[root(a)] = root(b)
    return sum(parent[vertex] == vertex for vertex in vertices)
