"""Random exact networks on which forged explanations are confirmed by dtdsym."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import NamedTuple

from dtdsym import Network, Unreachable, forge, recursion
from dtdsym.network.network import sequential

Point = tuple[Fraction, ...]


class Case(NamedTuple):
    """x: off all hinges, f(x) > 0. target: a relevance that is reached. beyond: one that is not, if there is one."""

    layers: list
    network: Network
    x: Point
    target: Point
    beyond: Point | None

    @property
    def activations(self) -> list[Point]:
        """a_1, ..., a_{n+1}."""
        found = [self.x]
        for layer in self.layers:
            found.append(tuple(max(z, Fraction(0)) for z in preactivations(layer, found[-1])))
        return found

    @property
    def columns(self) -> list[list[int]]:
        """For each layer the inputs on which its active neurons depend."""
        return [_columns(layer, a) for layer, a in zip(self.layers, self.activations, strict=False)]

    @property
    def non_positive(self) -> bool:
        """Whether all biases are <= 0."""
        return all(max(bias) <= 0 for _, bias in self.layers)


def reach(network: Network, x: Point, target: Point, **options: bool) -> Point | None:
    """R(x) of the forged roots, admissible by proof; None where there are none."""
    try:
        return tuple(recursion(network, x, forge(network, x, target, **options)))
    except Unreachable:
        return None


def preactivations(layer: tuple, a: Point) -> list[Fraction]:
    """W a + b."""
    rows = zip(*layer, strict=True)
    return [sum((Fraction(w) * p for w, p in zip(row, a, strict=True)), Fraction(bias)) for row, bias in rows]


def _columns(layer: tuple, a: Point) -> list[int]:
    active = [row for row, z in zip(layer[0], preactivations(layer, a), strict=True) if z > 0]
    return [i for i in range(len(a)) if any(row[i] for row in active)]


def cases(count: int, seed: int = 6, *, blind: bool = False) -> dict[str, Case]:
    """So many, by name. Some have limits: inputs that reach no active neuron, layers that pass on nothing. blind: the
    first input reaches no neuron, and each layer above passes on something."""
    random, found = Random(seed), {}
    while len(found) < count:
        widths = [*(random.randint(2, 3) for _ in range(random.randint(2, 4))), 1]
        sign = random.choice([-1, 1])
        layers = [_layer(random, size, out, sign) for size, out in pairwise(widths)]
        for row in layers[0][0] if blind else ():
            row[0] = 0
        x = tuple(Fraction(random.randint(1, 64), 16) for _ in range(widths[0]))
        target = tuple(Fraction(random.randint(-30, 30), 7) for _ in x)
        case = Case(layers, sequential(*layers), x, target, None)
        z = [preactivations(layer, a) for layer, a in zip(layers, case.activations, strict=False)]
        if z[-1][0] <= 0 or not all(map(all, z)):
            continue
        first, *upper = case.columns
        if blind and not all(upper):
            continue
        on = [all(upper) and i in first for i in range(len(x))]
        target = tuple(r if reaches else Fraction(0) for r, reaches in zip(target, on, strict=True))
        beyond = None if all(on) else tuple(r + 1 for r in target)
        found[f"{'blind ' * blind}number {len(found) + 1}, widths {tuple(widths)}"] = case._replace(
            target=target, beyond=beyond
        )
    return found


def _layer(random: Random, size: int, out: int, sign: int) -> tuple[list, list]:
    weight = [[random.randint(-4, 4) / 4 for _ in range(size)] for _ in range(out)]
    return weight, [sign * random.randint(0, 4) / 8 for _ in range(out)]
