"""The jump across a wall of a cell: how the gradient changes there, and which pattern is beyond."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from dtdsym.checker.cells import Cell
from dtdsym.checker.network import Node


def jump(cell: Cell, wall: tuple[int, ...], entries: list[int]) -> tuple[Fraction, tuple[int, ...]]:
    """lambda of the output, and the pattern beyond, across a wall on which these rows vanish."""
    lead = next(k for k, x in enumerate(wall) if x)
    heights = {entry: Fraction((cell.rows[entry] or wall)[lead], cell.units[entry] * wall[lead]) for entry in entries}
    function, zero, first = cell.function, Fraction(0), 0
    slopes = {i: [zero] * function.nodes[i].size for i in (*function.fixed, function.start)}
    beyond: list[int] = []
    for i in function.above:
        node = function.nodes[i]
        own = slopes[node.sources[0]]
        if node.kind in ("Relu", "MaxPool"):
            count = function.choices(i)
            signs, c = cell.pattern[first : first + count], [heights.get(first + k) for k in range(count)]
            slopes[i], new = (_neurons if node.kind == "Relu" else _windows)(node, own, signs, c)
            beyond += new
            first += count
        else:
            slopes[i] = _slopes(node, [slopes[s] for s in node.sources])
    return (slopes[len(function.nodes) - 1][0] if function.above else zero), tuple(beyond)


def _slopes(node: Node, sources: list[list[Fraction]]) -> list[Fraction]:
    own = sources[0]
    if node.kind == "Linear":
        rows = node.rows
        return [
            sum((w * own[i] for i, w in zip(places, ws, strict=True) if own[i]), Fraction(0)) / node.scale
            for places, ws, _ in rows
        ]
    if node.kind == "Take":
        return [Fraction(0) if i < 0 else own[i] for (i,) in node.windows]
    if node.kind == "Add":
        return [x + y for x, y in zip(*sources, strict=True)]
    return [x for part in sources for x in part]


def _neurons(
    _: Node, slopes: list[Fraction], signs: Sequence[int], c: list[Fraction | None]
) -> tuple[list[Fraction], list[int]]:
    found, beyond, zero = [], [], Fraction(0)
    for slope, sign, height in zip(slopes, signs, c, strict=True):
        if height is None and sign:
            found.append(slope if sign > 0 else zero)
            beyond.append(sign)
            continue
        gap = slope - height if sign > 0 and height is not None else slope + (height or zero)
        found.append(max(slope, height) if sign > 0 and height is not None else max(gap, zero))
        beyond.append((gap > 0) - (gap < 0))
    return found, beyond


def _windows(
    node: Node, slopes: list[Fraction], signs: Sequence[int], c: list[Fraction | None]
) -> tuple[list[Fraction], list[int]]:
    found: list[Fraction] = []
    beyond: list[int] = []
    width = len(node.windows[0])
    for place, window in enumerate(node.windows):
        first = place * width
        rising = {
            k: slopes[entry] + (c[first + k] or 0)
            for k, entry in enumerate(window)
            if signs[first + k] >= 0 or c[first + k] is not None
        }
        greatest = max(rising.values())
        winners = [k for k, slope in rising.items() if slope == greatest]
        found.append(greatest)
        beyond += [1 if k == winners[0] else 0 if k in winners else -1 for k in range(width)]
    return found, beyond
