"""Nearest admissible roots as lines that a checker accepts: the root, and for every cell why it holds no nearer one."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from dtdsym.arithmetic.rational import fraction, text
from dtdsym.certificate.cells import closed_list, row_multipliers
from dtdsym.certificate.lines import point
from dtdsym.certificate.place import Witness
from dtdsym.geometry.budget import Meter
from dtdsym.geometry.cell import Cell
from dtdsym.relevance.nearest_root import Nearest, NearestRoot
from dtdsym.relevance.root_search import NoAdmissibleRoot, whole


def nearest_line(
    head: Mapping[str, Any],
    neuron: int | None,
    asked: Nearest,
    found: NearestRoot | NoAdmissibleRoot,
    meter: Meter,
) -> dict[str, Any]:
    """The line of a nearest root, or of none at all; head: network, input, logit and layer. Raises BudgetSpent."""
    question = found.question
    evidence: dict[str, Any] = dict(Witness(question.home).at_input)
    if isinstance(found, NearestRoot):
        evidence |= {"root": point(found.point), "path": [point(crossing.point) for crossing in found.path]}
    if question.within == "region":
        evidence["cells"] = closed_list(question.home.search, meter)
    evidence["bounds"] = [bound(found, cell) for cell in found.cells.values()]
    what = {"neuron": neuron, "norm": asked.norm, "domain": asked.domain or "real", "within": question.within}
    verdict = "proved" if isinstance(found, NearestRoot) else "refuted"
    return {"claim": "nearest_root", **head, **what, "verdict": verdict, "evidence": evidence}


def bound(found: NearestRoot | NoAdmissibleRoot, cell: Cell) -> dict[str, Any]:
    """A cell's multipliers: of its rows, of the form, and of coordinates that may not be negative."""
    question = found.question
    multipliers = [fraction(y) for y in found.bounds[cell.pattern]]
    walls, rest = multipliers[: len(cell.walls)], multipliers[len(cell.walls) :]
    *domain, above, below = rest
    made = {"multipliers": row_multipliers(cell, walls), "form": text((above - below) * _scale(question.form))}
    return {**made, "domain": [[i, text(y)] for i, y in enumerate(domain) if y]} if question.domain else made


def _scale(form: tuple[Fraction, ...]) -> Fraction:
    """What `whole` multiplies a form by."""
    lead = next(place for place, entry in enumerate(form) if entry)
    return Fraction(whole(form)[lead]) / form[lead]
