"""How F_l's gradient jumps across the walls of a cell: one forward pass for all walls, without a point on any.

Let t >= 0 be the wall's form, s = -t, and let the wall be a facet. Just beyond the facet's relative interior, on the
side s > 0, every value v of the network is v_C + lambda_v s, with v_C its form on the cell and one number lambda_v: by
induction along the network.
- The input has lambda = 0, and so have constants.
- A linear node maps lambda by its linear part.
- A choice whose form on the cell vanishes at some point of the facet's relative interior, and is >= 0 on the whole of
  it, vanishes on all of it: it is c t with c >= 0 (0 where it is identically zero on the cell). All other choices are
  strict near the facet, and remain.
- A ReLU neuron that remains active has lambda as its source has; one that remains inactive, 0. Active with z_C = c t =
  -c s: beyond, max((lambda - c) s, 0) = -c s + max(lambda, c) s. Inactive or zero, with z_C = -c t = c s: beyond,
  max((lambda + c) s, 0) = 0 + max(lambda + c, 0) s.
- A window whose entries u_i = w - c_i t = w + c_i s tie with its winner w on the facet: beyond, the greatest of
  w + (c_i + lambda_i) s, so its lambda is the greatest c_i + lambda_i.
So grad F_l beyond is the gradient on the cell minus lambda times the wall's normal: the gradient is another one iff
lambda of the output is not zero. Skips, pools, neurons that wake and hyperplanes shared by many are all included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dtdsym.arithmetic.germ import GERM, Germ, Row, no_slopes, over
from dtdsym.geometry.cell import Cell
from dtdsym.network.evaluate import apply
from dtdsym.network.layers import MaxPool

Heights = Mapping[int, list[tuple[int, Any]]]
"""Entry of a pattern, or of a node's part of it -> (wall, c), an integer over the node's unit, where it vanishes."""


def jumps(cell: Cell) -> np.ndarray:
    """lambda of F_l's output (walls,), exact: for each wall that is a facet of the cell, the gradient beyond it is
    cell.gradient - lambda * wall.row[:-1].

    The same operations on integers as on the cell's forms, from unit 1 and from constants of unit 1: so the units here
    divide those of the cell's rows."""
    function, heights, first = cell.slice, _heights(cell), 0
    constants = (function.start, *function.bypass)
    values = {node: no_slopes(function.network.sizes[node], len(cell.walls)) for node in constants}
    for index, node in enumerate(function.network.nodes):
        if index in values or not node.sources or not all(source in values for source in node.sources):
            continue
        if index in function.bending:
            signs = cell.pattern[first : first + function.choices(index)]
            slopes = values[node.sources[0]].with_unit(cell.units[index])
            own = signs, _part(heights, range(first, first + len(signs)))
            values[index] = _winners(node, slopes, *own) if isinstance(node, MaxPool) else _neurons(slopes, *own)
            first += len(signs)
        else:
            values[index] = apply(node, GERM, values)
    output = values[len(function.network.nodes) - 1]
    return over(output.rows()[0][:-1], output.unit)


def _heights(cell: Cell) -> Heights:
    heights: dict[int, list[tuple[int, Any]]] = {}
    for number, wall in enumerate(cell.walls):
        lead = next(i for i, coefficient in enumerate(wall.row) if coefficient != 0)
        for entry in wall.entries:
            row = cell.rows[entry]
            assert row is not None
            heights.setdefault(entry, []).append((number, row[lead] // wall.row[lead]))
    return heights


def _part(heights: Heights, entries: range) -> Heights:
    """The heights of one node, whose entries of the pattern these are."""
    return {own: heights[entry] for own, entry in enumerate(entries) if entry in heights}


def _neurons(slopes: Germ, signs: Sequence[int], heights: Heights) -> Germ:
    """lambda of a ReLU's outputs from those of its pre-activations."""
    found = []
    for neuron, (row, sign) in enumerate(zip(slopes.rows(), signs, strict=True)):
        kept = row if sign > 0 else [max(slope, 0) for slope in row] if sign == 0 else [row[0] * 0] * len(row)
        for wall, c in heights.get(neuron, ()):
            kept[wall] = max(row[wall], c) if sign > 0 else max(row[wall] + c, 0)
        found.append(kept)
    return slopes.with_rows(found)


def _winners(node: MaxPool, slopes: Germ, signs: Sequence[int], heights: Heights) -> Germ:
    """lambda of a max-pool's outputs from those of its source's entries: the greatest of those that tie on the wall."""
    rows = slopes.rows()
    found: list[Row] = []
    width = node.index.shape[1]
    for window, places in enumerate(node.index.tolist()):
        entries = range(window * width, (window + 1) * width)
        ties = [rows[place] for place, entry in zip(places, entries, strict=True) if signs[entry] >= 0]
        greatest = [max(column) for column in zip(*ties, strict=True)]
        for place, entry in zip(places, entries, strict=True):
            for wall, c in heights.get(entry, ()):
                greatest[wall] = max(greatest[wall], rows[place][wall] + c)
        found.append(greatest)
    return slopes.with_rows(found)
