"""C5 for all inputs of a box: does any hinge root of the first layer leave the linear region of its input?

Proved: an input, off hinges and with a logit above the threshold, with such a root, placed exactly. Refuted: for all of
them every root that exists stays inside. First at sampled inputs; then Z3 looks, cell by cell, for an input whose root
is not in the cell. Geometry places what it finds: a root that has not left lies on a face of the region, on all of
which roots are inside, and Z3 looks elsewhere, until it finds no more. Proved is bad news, as for c5."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import text
from dtdsym.arithmetic.written import counted, shown
from dtdsym.claims.box import BoxQuestion
from dtdsym.claims.c5 import LEAVES
from dtdsym.claims.verdict import Proved, Refuted, Undecided, Verdict
from dtdsym.errors import InputError, NoRoot, OnHinge, RuleError
from dtdsym.geometry.maximum import NeverExceeds, exceeds
from dtdsym.geometry.placement import Place, place
from dtdsym.lifts.question import Found
from dtdsym.lifts.root_leaves import check_asked, root_leaves
from dtdsym.relevance.root import check_kind, roots

SAMPLES = 20
Point = tuple[Fraction, ...]


def decide(asked: BoxQuestion) -> Verdict:
    """Samples, then every cell."""
    check_kind(asked.one, 1, asked.rule, "hinge")
    inputs = f"Some input of {asked.name} with a logit above {shown(asked.above)}"
    statement = f"{inputs} has a hinge root of {asked.rule.label}, at layer 1, that is not inside its linear region."
    left = next(_sampled(asked), None)
    if left is None and isinstance(exceeds(asked.one, asked.bounds, asked.above, budget=asked.left), NeverExceeds):
        return Undecided("c5", statement, "No input of the box has such a logit, so there is nothing to decide.")
    if left is None:
        try:
            check_asked(asked.one, asked.rule)
        except (InputError, RuleError) as why:
            return Undecided("c5", statement, f"No root leaves at sampled inputs. Of all inputs: {why}.")
        left = next(_searched(asked), None)
    if left is not None:
        x, neuron, root, found = left
        reason = f"The root of neuron {neuron} at that input is {found.name}: {found.reason}."
        witness = {"x": list(map(text, x)), "neuron": neuron, "root": list(map(text, root)), "place": found.name}
        return Proved("c5", statement, reason, True, witness)
    cells = len(asked.cells.cells)
    held = f"The box holds {counted(cells, 'cell')}"
    reason = f"{held}, and in none does the root of any neuron leave, at any input off hinges."
    return Refuted("c5", statement, reason, witness={"cells": cells})


def _sampled(asked: BoxQuestion) -> Iterator[tuple[Point, int, Point, Place]]:
    """Roots that leave, at the middle of the box and at random points of it."""
    shares = np.random.default_rng(0).integers(0, 1 << 20, (SAMPLES, len(asked.bounds))).tolist()
    for row in ([1 << 19] * len(asked.bounds), *shares):
        asked.meter.tick()
        x = tuple(low + (high - low) * Fraction(s, 1 << 20) for (low, high), s in zip(asked.bounds, row, strict=True))
        yield from _leaving(asked, x)


def _leaving(asked: BoxQuestion, x: Point) -> Iterator[tuple[Point, int, Point, Place]]:
    if asked.one(x)[0] <= asked.above:
        return
    for neuron, root in enumerate(_roots(asked, x)):
        if root is None:
            continue
        try:
            found = place(asked.one, x, root, budget=asked.left)
        except OnHinge:
            return
        if found.name in LEAVES:
            yield x, neuron, root, found


def _searched(asked: BoxQuestion) -> Iterator[tuple[Point, int, Point, Place]]:
    """The same by Z3, for all inputs of each cell."""
    neurons = 1 if asked.rule.name == "lrp0" else asked.one.layer(1).size  # its root is the same for all
    for cell in asked.cells.cells:
        for neuron in range(neurons):
            yield from _in_cell(asked, cell.point, neuron)


def _in_cell(asked: BoxQuestion, inner: Point, neuron: int) -> Iterator[tuple[Point, int, Point, Place]]:
    inside: list[Point] = []
    while True:
        options: dict[str, Any] = {"rule": asked.rule, "neuron": neuron, "cell_of": inner, "elsewhere": inside}
        try:
            leaves = root_leaves(asked.one, asked.bounds, asked.above, leaves="open cell", **options)
            answer = leaves.ask(asked.patience)
        except NoRoot:
            return
        if not isinstance(answer, Found):
            return
        x, root = answer.points["x"], answer.points["root"]
        found = place(asked.one, x, root, budget=asked.left)
        found.require_decided()
        if found.name in LEAVES:
            yield x, neuron, root, found
            return
        inside.append(root)


def _roots(asked: BoxQuestion, x: Point) -> list[Point | None]:
    if asked.rule.name == "lrp0":
        return [(Fraction(0),) * len(x)]
    found = roots(asked.one, x, asked.rule, root="hinge")
    return [None if isinstance(root, NoRoot) else root for root in found]
