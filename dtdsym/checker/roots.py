"""Claims admissible_root and nearest_root: whether the closure of the region holds a point where the relevance is zero,
and how far away it is at least."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from dtdsym.checker.cells import Cell
from dtdsym.checker.claims import claim
from dtdsym.checker.place import HEAD, follow
from dtdsym.checker.reading import Refused, index, items, keys, number, point, record, shown, text
from dtdsym.checker.regular import closed
from dtdsym.checker.subject import Home, View

Form = list[Fraction]
"""Slopes, constant."""


def _admissible_root(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    home = view.home(line["layer"])
    form = _form_of_function(home, home.gradient(evidence.get("input_cones")))
    if verdict == "proved":
        keys(evidence, "root", "path", maybe=("input_cones",))
        root = point(evidence["root"], len(home.a), "root")
        follow(home, root, evidence["path"])
        if _value(form, root) != 0:
            raise Refused("the function is not 0 at the root")
        return
    keys(evidence, "cells", "bounds", maybe=("input_cones",))
    for total, what in _totals(home, form, evidence, _all_cells(home, evidence), domain=False):
        _check_none(total, what)


def _nearest_root(line: dict[str, Any], view: View) -> str:
    keys(line, *HEAD, "neuron", "norm", "domain", "within", "verdict", "evidence")
    evidence, home = record(line["evidence"], "evidence"), view.home(line["layer"])
    verdict, norm, within = (text(line[name], name) for name in ("verdict", "norm", "within"))
    for value, known, what in (
        (verdict, ("proved", "refuted"), "verdict"),
        (norm, ("l1", "l2", "linf"), "norm"),
        (within, ("region", "cell"), "within"),
        (line["domain"], ("real", "nonnegative"), "domain"),
    ):
        if value not in known:
            raise Refused(f"{what}: {shown(value)} is none of {', '.join(known)}")
    parts = [*["root", "path"] * (verdict == "proved"), *["cells"] * (within == "region"), "bounds"]
    keys(evidence, *parts, maybe=("input_cones",))
    gradient = home.gradient(evidence.get("input_cones"))
    if within == "cell" and not all(home.cell(plain=True).heights(home.a).values()):
        raise Refused("the layer's input lies on a hinge, so in no open cell")
    form = _form_of_function(home, gradient) if line["neuron"] is None else _form_of_neuron(view, line, home)
    cells = _all_cells(home, evidence) if within == "region" else [home.cell(plain=True)]
    root = None
    if verdict == "proved":
        root = _checked_root(home, form, evidence, within, line["domain"])
    for total, what in _totals(home, form, evidence, cells, domain=line["domain"] == "nonnegative"):
        if root is None:
            _check_none(total, what)
        else:
            _check_far(total, what, home.a, root, norm)
    return f"nearest_root {verdict}"


def _form_of_function(home: Home, gradient: Sequence[Fraction]) -> Form:
    """F_l on the region, positive at the input."""
    value = home.plain.output(home.a)
    return _positive(
        [*gradient, value - sum((g * x for g, x in zip(gradient, home.a, strict=True)), Fraction(0))], home
    )


def _form_of_neuron(view: View, line: dict[str, Any], home: Home) -> Form:
    """Its pre-activation, positive at the input."""
    layer = view.layer(line["layer"])
    places, weights, bias = layer.rows[index(line["neuron"], len(layer.rows), "neuron")]
    form = [Fraction(0)] * len(home.a)
    for place, weight in zip(places, weights, strict=True):
        form[place] += Fraction(weight, layer.scale)
    return _positive([*form, Fraction(bias, layer.scale)], home)


def _positive(form: Form, home: Home) -> Form:
    value = _value(form, home.a)
    if value == 0:
        raise Refused("the relevance is 0 at the layer's input itself")
    return form if value > 0 else [-entry for entry in form]


def _checked_root(home: Home, form: Form, evidence: dict[str, Any], within: str, domain: Any) -> tuple[Fraction, ...]:
    root = point(evidence["root"], len(home.a), "root")
    if within == "region":
        follow(home, root, evidence["path"])
    elif items(evidence["path"], "path") or any(height < 0 for height in home.cell(plain=True).heights(root).values()):
        raise Refused("the root is not in the closure of the input's cell")
    if _value(form, root) != 0:
        raise Refused("the relevance is not 0 at the root")
    if domain == "nonnegative" and min(root) < 0:
        raise Refused("the root has a negative coordinate")
    return root


def _all_cells(home: Home, evidence: dict[str, Any]) -> list[Cell]:
    listed = list(closed(home.function, evidence["cells"], "cells").values())
    if home.cell().pattern not in {cell.pattern for cell in listed}:
        raise Refused("the list does not hold the cell of the input")
    return listed


def _totals(
    home: Home, form: Form, evidence: dict[str, Any], cells: Sequence[Cell], *, domain: bool
) -> Iterable[tuple[Form, str]]:
    """For every cell a form that is >= 0 wherever the cell's closure holds a root: multipliers >= 0 times rows."""
    for k, (cell, bound) in enumerate(zip(cells, items(evidence["bounds"], "bounds", len(cells)), strict=True)):
        what = f"bounds[{k}]"
        keys(record(bound, what), "multipliers", "form", *(("domain",) if domain else ()))
        factor = number(bound["form"], f"{what}: form")
        total = [factor * entry for entry in form]
        for j, y in _pairs(bound["multipliers"], len(cell.rows), f"{what}: multipliers"):
            if cell.rows[j] is None:
                raise Refused(f"{what}: a row with a multiplier is constant")
            total = [x + y * Fraction(entry, cell.units[j]) for x, entry in zip(total, cell.row(j), strict=True)]
        for i, y in _pairs(bound["domain"], len(home.a), f"{what}: domain") if domain else ():
            total[i] += y
        yield total, what


def _pairs(value: Any, size: int, what: str) -> Iterable[tuple[int, Fraction]]:
    for pair in items(value, what):
        place, y = items(pair, what, 2)
        multiplier = number(y, what)
        if multiplier < 0:
            raise Refused(f"{what}: a multiplier is negative")
        yield index(place, size, what), multiplier


def _check_none(total: Form, what: str) -> None:
    if any(total[:-1]) or total[-1] >= 0:
        raise Refused(f"{what}: the multipliers do not show that there is no zero")


def _check_far(total: Form, what: str, a: Sequence[Fraction], root: Sequence[Fraction], norm: str) -> None:
    """A point where the total is >= 0 is at least -total(a) / |slopes|_* from a, in the dual norm: not below the root's
    distance."""
    lack, slopes = -_value(total, a), [abs(entry) for entry in total[:-1]]
    gaps = [abs(p - q) for p, q in zip(root, a, strict=True)]
    if norm == "l2":
        enough = lack * lack >= sum((g * g for g in gaps), Fraction(0)) * sum((s * s for s in slopes), Fraction(0))
    elif norm == "l1":
        enough = lack >= sum(gaps, Fraction(0)) * max(slopes)
    else:
        enough = lack >= max(gaps) * sum(slopes, Fraction(0))
    if lack <= 0 or not enough:
        raise Refused(f"{what}: the multipliers do not keep all roots of the cell as far away as this one")


def _value(form: Form, p: Sequence[Fraction]) -> Fraction:
    *slopes, constant = form
    return sum((x * y for x, y in zip(slopes, p, strict=True)), constant)


CLAIMS = {"admissible_root": claim(_admissible_root, of_a_rule=False), "nearest_root": _nearest_root}
