"""How wrong the Taylor expansion is on the way from the input to the worst root of each rule: exact, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dtdsym.arithmetic.rational import nearest_float
from dtdsym.claims.verdict import sentence
from dtdsym.errors import DtdsymError, NoRoot
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.walk import Walk, walk_slice
from dtdsym.network.slice import slice_at
from dtdsym.report.labels import row_label
from dtdsym.survey.chunk import largest_outputs
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.findings import Findings, RootRow

MOST_WALKS = 6
BREAKPOINTS = 2000
"""Of one walk; a count, not a time, so that the same audit gives the same page."""


@dataclass(frozen=True)
class WorstRoot:
    """The root with the largest Taylor residual of a rule; walk: from the layer's input to it, or why there is none."""

    rule: str
    layer: int
    input: int
    neuron: int
    walk: Walk | str

    @property
    def curve(self) -> list[tuple[float, float]]:
        """(t, residual) at 0, at every breakpoint and at 1, rounded for drawing."""
        if isinstance(self.walk, str):
            return []
        times = (0.0, *map(nearest_float, self.walk.times), 1.0)
        return list(zip(times, map(nearest_float, self.walk.residuals), strict=True))


def worst_roots(found: Findings) -> Iterator[WorstRoot]:
    """Of every rule, the worst rule first."""
    worst: dict[str, RootRow] = {}
    for row in sorted(found.rows, key=lambda row: row.tally.residuals.maximum, reverse=True):
        if row.tally.residuals.input is not None:
            worst.setdefault(row_label(found, row), row)
    for label, row in list(worst.items())[:MOST_WALKS]:
        number, neuron = row.tally.residuals.input, row.tally.residuals.neuron
        assert number is not None
        assert neuron is not None
        try:
            walked: Walk | str = _walk(found, row, number, neuron)
        except DtdsymError as err:
            walked = sentence(err)
        yield WorstRoot(label, row.layer, number, neuron, walked)


def _walk(found: Findings, row: RootRow, number: int, neuron: int) -> Walk:
    network, settings = found.network, found.settings
    assert found.given is not None
    points = found.given.batch(number, number + 1).points
    logit = int(largest_outputs(network, points, number)[0]) if settings.logit is None else settings.logit
    root = ExactInput(network.logit(logit), points[0], settings).root(row.rule, row.layer, neuron)
    if isinstance(root, NoRoot):
        raise root
    function, a = slice_at(network, points[0], logit=logit, layer=row.layer)
    return walk_slice(function, a, root, Budget(seconds=settings.budget.seconds, cells=BREAKPOINTS).start())
