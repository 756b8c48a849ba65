"""Claim admissible_root: whether the closure of the region holds a point where F_l is zero."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dtdsym.checker.cells import Cell
from dtdsym.checker.claims import claim
from dtdsym.checker.place import follow
from dtdsym.checker.reading import Refused, index, items, keys, number, point, record
from dtdsym.checker.regular import closed
from dtdsym.checker.subject import View


def _admissible_root(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    home = view.home(line["layer"])
    gradient = home.gradient(evidence.get("input_cones"))
    value = home.plain.output(home.a)
    if value == 0:
        raise Refused("the function is 0 at the layer's input itself")
    if verdict == "proved":
        keys(evidence, "root", "path", maybe=("input_cones",))
        root = point(evidence["root"], len(home.a), "root")
        follow(home, root, evidence["path"])
        if home.plain.output(root) != 0:
            raise Refused("the function is not 0 at the root")
        return
    keys(evidence, "cells", "bounds", maybe=("input_cones",))
    listed = list(closed(home.function, evidence["cells"], "cells").values())
    if home.cell().pattern not in {cell.pattern for cell in listed}:
        raise Refused("the list does not hold the cell of the input")
    sign = 1 if value > 0 else -1
    constant = value - sum((g * x for g, x in zip(gradient, home.a, strict=True)), Fraction(0))
    form = [sign * entry for entry in (*gradient, constant)]
    for place, (cell, bound) in enumerate(zip(listed, items(evidence["bounds"], "bounds", len(listed)), strict=True)):
        _check_bound(cell, bound, form, f"bounds[{place}]")


def _check_bound(cell: Cell, bound: Any, form: list[Fraction], what: str) -> None:
    """Multipliers by which the form has no zero where all rows are >= 0."""
    keys(record(bound, what), "multipliers", "form")
    total = [number(bound["form"], f"{what}: form") * entry for entry in form]
    for pair in items(bound["multipliers"], f"{what}: multipliers"):
        j, y = items(pair, f"{what}: multipliers", 2)
        j, y = index(j, len(cell.rows), f"{what}: row"), number(y, f"{what}: multiplier")
        row = cell.rows[j]
        if y < 0 or row is None:
            raise Refused(f"{what}: a multiplier is negative, or its row is constant")
        total = [x + y * Fraction(entry, cell.units[j]) for x, entry in zip(total, row, strict=True)]
    if any(total[:-1]) or total[-1] >= 0:
        raise Refused(f"{what}: the multipliers do not show that there is no zero")


CLAIMS = {"admissible_root": claim(_admissible_root, of_a_rule=False)}
