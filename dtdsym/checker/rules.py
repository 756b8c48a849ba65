"""Relevance and roots of the ten rules that FORMAT.md names, in Fractions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from dtdsym.checker.layers import Layer, layers_of
from dtdsym.checker.network import Network, Value, fractions
from dtdsym.checker.pseudo_inverse import pseudo_inverse
from dtdsym.checker.reading import Refused, shown

Vector = Sequence[Fraction]
ZERO = Fraction(0)
PARAMETER = re.compile(
    r"-?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][-+]?[0-9]{1,3})?|-?[0-9]{1,400}/[0-9]{1,400}", re.ASCII
)


def ratio(p: Fraction, q: Fraction) -> Fraction:
    """p / q, and 0 where q is 0."""
    return p / q if q else ZERO


@dataclass(frozen=True)
class Neuron:
    """w and a on the receptive field, whose places these are; z = w.a + b."""

    places: list[int]
    w: list[Fraction]
    a: list[Fraction]
    z: Fraction
    relevance: Fraction

    def along(self, v: Vector) -> Fraction:
        """w.v."""
        return sum((w * x for w, x in zip(self.w, v, strict=True)), ZERO)


DIRECTIONS: dict[str, Callable[..., list[Fraction]]] = {
    "zplus": lambda n: [a if w >= 0 else ZERO for w, a in zip(n.w, n.a, strict=True)],
    "gamma": lambda n, g: [a * (1 + g) if w >= 0 else a for w, a in zip(n.w, n.a, strict=True)],
    "w2": lambda n: n.w,
    "x": lambda n: n.a,
    "flat": lambda n: [ratio(Fraction(1), w) for w in n.w],
    "zbox": lambda n, l, h: [a - l if w > 0 else a - h if w < 0 else ZERO for w, a in zip(n.w, n.a, strict=True)],
}
DEFAULTS = {"gamma": (Fraction(1),), "epsilon": (Fraction(1, 10**6),), "alpha_beta": (Fraction(2), Fraction(1))}
LAWS: dict[str, tuple[int, Callable[..., bool]]] = {
    "zbox": (2, lambda l, h: l < h),
    "gamma": (1, lambda g: g >= 0),
    "epsilon": (1, lambda e: e > 0),
    "alpha_beta": (2, lambda a, b: a - b == 1 and a >= 1),
}


@dataclass(frozen=True)
class Rule:
    """A rule with its parameters."""

    name: str
    parameters: tuple[Fraction, ...]

    def shift(self, n: Neuron, share: Fraction) -> list[Fraction] | None:
        """a - root on the field, where w.a + b is to lose `share`; None: there is no root."""
        if self.name == "lrp0":
            return n.a
        if self.name == "epsilon":
            step = share / (n.z + (self.parameters[0] if n.z >= 0 else -self.parameters[0]))
            return [a * step if w else ZERO for w, a in zip(n.w, n.a, strict=True)]
        if self.name == "alpha_beta":
            p, m = (self._signed(n, sign) for sign in (1, -1))
            alpha, beta = self.parameters
            if alpha * n.along(p) - beta * n.along(m) == 0:
                return None
            up, down = alpha * ratio(share, n.along(p)), beta * ratio(share, n.along(m))
            return [x * up - y * down for x, y in zip(p, m, strict=True)]
        v = DIRECTIONS[self.name](n, *self.parameters)
        along = n.along(v)
        return [x * share / along for x in v] if along else None

    def messages(self, n: Neuron) -> list[Fraction]:
        """What the neuron passes to each input of its field."""
        if self.name == "lrp0":
            step = ratio(n.relevance, n.z)
            return [w * a * step for w, a in zip(n.w, n.a, strict=True)]
        moved = self.shift(n, n.relevance)
        return [ZERO] * len(n.w) if moved is None else [w * x for w, x in zip(n.w, moved, strict=True)]

    @staticmethod
    def _signed(n: Neuron, sign: int) -> list[Fraction]:
        return [a if w * a * sign > 0 else ZERO for w, a in zip(n.w, n.a, strict=True)]


def parse(label: str) -> Rule:
    """NAME:PARAMETER:..."""
    name, *numbers = label.split(":")
    if name not in (*DIRECTIONS, "lrp0", "epsilon", "alpha_beta", "pinv"):
        raise Refused(f"rule {shown(label)} is unknown")
    count, law = LAWS.get(name, (0, lambda: True))
    if not all(PARAMETER.fullmatch(number) for number in numbers) or any(number.endswith("/0") for number in numbers):
        raise Refused(f"rule {shown(label)}: its parameters are no numbers")
    try:
        found = tuple(map(Fraction, numbers)) or DEFAULTS.get(name, ())
    except ZeroDivisionError as err:
        raise Refused(f"rule {shown(label)}: its parameters are no numbers") from err
    if len(found) != count or not law(*found):
        raise Refused(f"rule {shown(label)}: its parameters are not allowed")
    return Rule(name, found)


def relevances(
    network: Network, values: dict[int, Value], rule: Rule, lowest: int, start: list[Fraction] | None = None
) -> dict[int, list[Fraction]]:
    """Node -> relevance, from the last node down to `lowest`; start: of the last node, else its value."""
    layers, nodes = layers_of(network), network.nodes
    found = {len(nodes) - 1: fractions(values[len(nodes) - 1]) if start is None else start}
    for i in range(len(nodes) - 1, lowest, -1):
        if i not in found:
            continue
        node, own = nodes[i], found[i]
        if i in layers:
            parts = [(layers[i].source, _through(layers[i], values, own, rule, nodes[layers[i].source].size))]
        elif node.kind == "Relu":
            parts = [(node.sources[0], own)]
        elif node.kind == "Add":
            steps = [ratio(r, total) for r, total in zip(own, fractions(values[i]), strict=True)]
            parts = [(s, [a * step for a, step in zip(fractions(values[s]), steps, strict=True)]) for s in node.sources]
        elif node.kind == "Concat":
            parts, first = [], 0
            for source in node.sources:
                parts.append((source, own[first : first + nodes[source].size]))
                first += nodes[source].size
        else:
            below, (a, _) = [ZERO] * nodes[node.sources[0]].size, values[node.sources[0]]
            for r, window in zip(own, node.windows, strict=True):
                best = max(window, key=lambda k: a[k]) if node.kind == "MaxPool" else window[0]
                if best >= 0:
                    below[best] += r
            parts = [(node.sources[0], below)]
        for source, part in parts:
            found[source] = [x + y for x, y in zip(found[source], part, strict=True)] if source in found else part
    return {i: found.get(i, [ZERO] * nodes[i].size) for i in range(lowest, len(nodes))}


def _through(layer: Layer, values: dict[int, Value], relevance: Vector, rule: Rule, size: int) -> list[Fraction]:
    below = [ZERO] * size
    if rule.name == "pinv":
        shift = pseudo_inverse(layer, relevance, size)
        for places, weights, _ in layer.rows:
            for i, w in zip(places, weights, strict=True):
                below[i] += Fraction(w, layer.scale) * shift[i]
        return below
    for j in range(len(layer.rows)):
        n = neuron(layer, values, relevance[j], j)
        for i, message in zip(n.places, rule.messages(n), strict=True):
            below[i] += message
    return below


def neuron(layer: Layer, values: dict[int, Value], relevance: Fraction, j: int) -> Neuron:
    """Neuron j of a layer."""
    places, weights, _ = layer.rows[j]
    a, scale = values[layer.source]
    z, z_scale = values[layer.output]
    w = [Fraction(weight, layer.scale) for weight in weights]
    return Neuron(places, w, [Fraction(a[i], scale) for i in places], Fraction(z[j], z_scale), relevance)


def root(
    layer: Layer, values: dict[int, Value], relevance: Vector, rule: Rule, kind: str, j: int
) -> tuple[Fraction, ...] | None:
    """The root of neuron j, a point of the layer's input space; None if there is none."""
    if kind == "hinge" and rule.name in ("epsilon", "alpha_beta"):
        raise Refused(f"rule {rule.name!r} has no hinge root")
    point = fractions(values[layer.source])
    share = fractions(values[layer.output]) if kind == "hinge" else relevance
    if rule.name == "pinv":
        return tuple(x - y for x, y in zip(point, pseudo_inverse(layer, share, len(point)), strict=True))
    n = neuron(layer, values, relevance[j], j)
    moved = rule.shift(n, share[j])
    if moved is None:
        return None
    for i, step in zip(n.places, moved, strict=True):
        point[i] -= step
    return tuple(point)
