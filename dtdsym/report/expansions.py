"""How wrong the Taylor expansion is on the way from the input to the worst root of each rule: exact, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from dtdsym.claims.verdict import sentence
from dtdsym.errors import DtdsymError, InputError, NoRoot
from dtdsym.geometry.line import as_chain
from dtdsym.geometry.walk import Walk, walk_slice
from dtdsym.network.slice import slice_at
from dtdsym.report.labels import row_label
from dtdsym.survey.chunk import largest_outputs
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.findings import Findings, RootRow
from dtdsym.survey.sizes import work

MOST_WALKS = 6
BREAKPOINTS, FEW_BREAKPOINTS = 2000, 100
"""Of one walk, through layers one after the other and through any other network; counts, not times, so that the same
audit gives the same page."""
SMALL = 2**12
"""Multiply-adds up to which any other network is walked through: each breakpoint takes an exact forward pass there."""


@dataclass(frozen=True)
class Piece:
    """From t = start to t = end. there: what an expansion made at any of its points misses at the input, as DTD makes
    it at the root. here: what the expansion made at the input misses at its ends."""

    start: Fraction
    end: Fraction
    there: Fraction
    here: tuple[Fraction, Fraction]


@dataclass(frozen=True)
class WorstRoot:
    """The root with the largest Taylor residual of a rule; walk: from the layer's input to it, or why there is none."""

    rule: str
    layer: int
    input: int
    neuron: int
    walk: Walk | str

    @property
    def pieces(self) -> list[Piece]:
        """What expansions miss on every piece of the way, from the input to the root."""
        if isinstance(self.walk, str):
            return []
        times, values, missed = (Fraction(0), *self.walk.times, Fraction(1)), self.walk.values, self.walk.residuals
        # On a piece F_l(t) = value + slope t, so the expansion at any of its points says `value` of the input, t = 0.
        return [
            Piece(times[i], times[i + 1], values[0] - value, (missed[i], missed[i + 1]))
            for i, value in enumerate(values)
        ]


def worst_roots(found: Findings) -> Iterator[WorstRoot]:
    """Of every rule, in the order of the rules; of many, those of the worst."""
    worst: dict[str, RootRow] = {}
    for row in sorted(found.rows, key=lambda row: row.tally.residuals.maximum, reverse=True):
        if row.tally.residuals.input is not None:
            worst.setdefault(row_label(found, row), row)
    for label, row in sorted(list(worst.items())[:MOST_WALKS], key=lambda item: found.rows.index(item[1])):
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
    chain = as_chain(function) is not None
    if not chain and work(network) > SMALL:
        raise InputError("ways through convolutions, pools and skips are drawn of small networks only")
    cells = BREAKPOINTS if chain else FEW_BREAKPOINTS
    return walk_slice(function, a, root, settings.budget.at_most(cells).start())
