"""Cells of F_l: patterns, and the affine forms that they fix.

A form is a list of d + 1 integers (slopes, constant), over its node's positive denominator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any

from dtdsym.checker.function import Function, Gradient, Point
from dtdsym.checker.network import Node, Value, over_one
from dtdsym.checker.reading import Refused

Form = list[int]
SIGNS = {"+": 1, "-": -1, "0": 0}


@dataclass(frozen=True, eq=False)
class Cell:
    """rows: for each entry of the pattern its form, positive inside, None if constant; over units."""

    function: Function
    pattern: tuple[int, ...]
    rows: tuple[Form | None, ...]
    units: tuple[int, ...]
    gradient: Gradient

    def height(self, entry: int, at: Value) -> int:
        """A positive multiple of a row's value at a point."""
        numbers, scale = at
        *slopes, constant = self.row(entry)
        return sum([x * y for x, y in zip(slopes, numbers, strict=True)]) + constant * scale

    def row(self, entry: int) -> Form:
        """The form of an entry whose row is not constant."""
        found = self.rows[entry]
        if found is None:
            raise Refused(f"row {entry} is constant, where one with slopes is needed")
        return found

    def heights(self, p: Point) -> dict[int, int]:
        """Of all rows that are not constant."""
        at = over_one(p)
        return {entry: self.height(entry, at) for entry, row in enumerate(self.rows) if row is not None}

    def walls(self, kept: Iterable[int] | None = None, cone: bool = False) -> dict[tuple[int, ...], list[int]]:
        """Wall -> entries on it; kept: only these rows. cone: without their constants."""
        found: dict[tuple[int, ...], list[int]] = {}
        for entry in range(len(self.rows)) if kept is None else kept:
            row = self.rows[entry]
            if row is not None:
                found.setdefault(_primitive(row[:-1] if cone else row), []).append(entry)
        return found

    def masks(self) -> dict[int, Any]:
        """What `Function.derivatives` takes."""
        found: dict[int, Any] = {}
        first = 0
        for i in self.function.bending:
            count = self.function.choices(i)
            signs = self.pattern[first : first + count]
            node = self.function.nodes[i]
            if node.kind == "Relu":
                found[i] = [sign > 0 for sign in signs]
            else:
                width = len(node.windows[0])
                found[i] = [
                    window[signs[k * width : (k + 1) * width].index(1)] for k, window in enumerate(node.windows)
                ]
            first += count
        return found


def _primitive(row: Sequence[int]) -> tuple[int, ...]:
    common = gcd(*row)
    return tuple(x // common for x in row)


def cell_of(function: Function, pattern: str) -> Cell:
    """The cell that a pattern names, empty or not; refused if the pattern is unsound."""
    if len(pattern) != sum(map(function.choices, function.bending)) or set(pattern) - set(SIGNS):
        raise Refused("a pattern has another length, or other characters than + - 0")
    left = iter(pattern)

    def choose(i: int, _: list[Form], __: int) -> list[int]:
        signs = [SIGNS[next(left)] for _ in range(function.choices(i))]
        if function.nodes[i].kind == "MaxPool":
            width = len(function.nodes[i].windows[0])
            windows = [signs[k : k + width] for k in range(0, len(signs), width)]
            if any(window.count(1) != 1 or 0 in window[: window.index(1)] for window in windows):
                raise Refused("a pattern is unsound: a window has one winner, the first of equal entries")
        return signs

    return _forms(function, choose)


def cell_at(function: Function, p: Point, *directions: Point) -> Cell:
    """The cell at a point, along directions."""
    (at, scale), ways = over_one(p), [over_one(way)[0] for way in directions]

    def sign(form: Form) -> int:
        *slopes, constant = form
        value = sum([x * y for x, y in zip(slopes, at, strict=True)]) + constant * scale
        for found in (value, *(sum([x * y for x, y in zip(slopes, way, strict=True)]) for way in ways), *slopes):
            if found:
                return 1 if found > 0 else -1
        return 0

    def choose(i: int, source: list[Form], _: int) -> list[int]:
        node = function.nodes[i]
        if node.kind == "Relu":
            return [sign(form) for form in source]
        signs: list[int] = []
        for window in node.windows:
            best = 0
            for k in range(1, len(window)):
                if sign(_less(source[window[k]], source[window[best]])) > 0:
                    best = k
            signs += [1 if k == best else sign(_less(source[w], source[window[best]])) for k, w in enumerate(window)]
        return signs

    return _forms(function, choose)


def _forms(function: Function, choose: Callable[[int, list[Form], int], list[Any]]) -> Cell:
    """All forms, where `choose` tells for each bending node the signs of a ReLU's neurons, or of the entries of a
    max-pool's windows, from the forms of its source and their denominator."""
    d = function.size
    known: dict[int, tuple[list[Form], int]] = {
        i: ([[0] * d + [entry] for entry in entries], scale) for i, (entries, scale) in function.fixed.items()
    }
    known[function.start] = [[int(i == k) for k in range(d)] + [0] for i in range(d)], 1
    pattern: list[int] = []
    rows: list[Form | None] = []
    units: list[int] = []
    for i in function.above:
        node = function.nodes[i]
        source, scale = known[node.sources[0]]
        if node.kind not in ("Relu", "MaxPool"):
            known[i] = _form(node, [known[s] for s in node.sources], d)
            continue
        signs = choose(i, source, scale)
        if node.kind == "Relu":
            own = [list(form) for form in source]
            outputs = [form if sign > 0 else [0] * (d + 1) for form, sign in zip(own, signs, strict=True)]
        else:
            own, outputs = [], []
            width = len(node.windows[0])
            for place, window in enumerate(node.windows):
                best = signs[place * width : (place + 1) * width].index(1)
                outputs.append(source[window[best]])
                own += [_less(source[window[best]], source[k]) for k in window]
        oriented = [
            [-x for x in form] if node.kind == "Relu" and sign < 0 else form
            for form, sign in zip(own, signs, strict=True)
        ]
        for sign, form in zip(signs, oriented, strict=True):
            if (sign == 0) == any(form) and not (node.kind == "MaxPool" and sign == 1):
                raise Refused("a pattern is unsound: its 0 are not the choices that vanish identically")
            if not any(form[:-1]) and form[-1] < 0:
                raise Refused("a pattern is unsound: a constant has the other sign")
        pattern += signs
        rows += [form if any(form[:-1]) else None for form in oriented]
        units += [scale] * len(signs)
        known[i] = outputs, scale
    (form,), scale = known[len(function.nodes) - 1] if function.above else ([[0] * (d + 1)], 1)
    return Cell(function, tuple(pattern), tuple(rows), tuple(units), tuple(Fraction(x, scale) for x in form[:-1]))


def _less(form: Form, other: Form) -> Form:
    return [x - y for x, y in zip(form, other, strict=True)]


def _form(node: Node, sources: list[tuple[list[Form], int]], d: int) -> tuple[list[Form], int]:
    forms, scale = sources[0]
    if node.kind == "Linear":
        columns = list(zip(*forms, strict=True))
        out = []
        for places, weights, bias in node.rows:
            row = [sum([w * column[i] for i, w in zip(places, weights, strict=True)]) for column in columns]
            row[-1] += bias * scale
            out.append(row)
        return out, scale * node.scale
    if node.kind == "Take":
        return [[0] * (d + 1) if i < 0 else forms[i] for (i,) in node.windows], scale
    common = lcm(*(own for _, own in sources))
    parts = [[[x * (common // own) for x in form] for form in entries] for entries, own in sources]
    if node.kind == "Add":
        return [[x + y for x, y in zip(one, two, strict=True)] for one, two in zip(*parts, strict=True)], common
    return [form for part in parts for form in part], common
