"""How reports, places, regions, arrangements, verdicts and explanations show themselves in a notebook."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import singledispatch
from io import StringIO
from typing import Any

import numpy as np
from markupsafe import Markup
from rich.console import Console

from dtdsym.arithmetic.rational import ONE, fraction, fractions, nearest_float, rational
from dtdsym.arithmetic.written import counted
from dtdsym.claims.verdict import Verdict
from dtdsym.displayed import Displayed
from dtdsym.errors import BudgetSpent, DtdsymError
from dtdsym.geometry.arrangement import Arrangement, arrangement
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.placement import Place
from dtdsym.geometry.region import Region
from dtdsym.geometry.regularity import Irregular
from dtdsym.relevance.explain import Explanation
from dtdsym.relevance.recursion import Decomposition
from dtdsym.report.card import Card
from dtdsym.report.heatmap import as_image
from dtdsym.report.labels import MEANINGS
from dtdsym.report.pixels import signed_png
from dtdsym.report.region_plot import region_svg
from dtdsym.report.regions import MEANINGS as COUNTED
from dtdsym.report.regions import where
from dtdsym.report.terminal import render
from dtdsym.report.witnesses import as_json, parts
from dtdsym.report.words import Told, asked, facts, findings, legend, places, sections
from dtdsym.survey.findings import Findings

MOST_SHOWN = 6  # numbers of a vector
MOST_CELLS = 1000  # cells of a picture: more make a page slow
LOOKING = Budget(seconds=1, cells=MOST_CELLS)
"""What may be spent to show something: who looks at an object does not ask for hours of work."""


def to_html(value: Displayed) -> str:
    """What the object shows of itself, all text in it escaped."""
    return str(card(value).to_html())


def to_bundle(value: Displayed) -> dict[str, str]:
    """The same by MIME type, with text for whatever shows no HTML."""
    made = card(value)
    text = _plain(value) if isinstance(value, Findings) else made.to_text()
    return {"text/plain": text, "text/html": str(made.to_html())}


@singledispatch
def card(value: Any) -> Card:
    """What there is to show. Raises TypeError for what shows nothing of itself."""
    raise TypeError(f"{type(value).__name__} does not show itself; shown are {', '.join(map(str, card.registry))}")


@card.register
def _report(found: Findings) -> Card:
    tables, more = (places(found), facts(found)), {"What the places mean": list(legend(found)), **sections(found)}
    opening, *rows = findings(found)
    return Card(opening[1], rows, tables=tables, more={**more, "What was asked": list(asked(found))})


def _plain(found: Findings) -> str:
    """As on a terminal."""
    console = Console(file=StringIO(), width=110, record=True, force_jupyter=False)  # else it is shown, besides
    console.print(render(found))
    return console.export_text()


@card.register
def _place(found: Place) -> Card:
    lines = [("because", found.reason), ("gradient at the input", _short(found.gradient))]
    if found.regularity is not None:
        bends = isinstance(found.regularity, Irregular)
        lines.append(("at the point", "the function bends" if bends else "the function is differentiable"))
    if found.path:
        lines.append(("path", f"{counted(len(found.path), 'facet')} from the input's cell to the point's"))
    if found.search is not None:
        lines.append(("complete list", counted(len(found.cells), "cell")))
    return Card(f"{found.name}: {MEANINGS[found.name]}", lines)


@card.register
def _region(found: Region) -> Card:
    size, meter = found.function.size, LOOKING.start()
    try:
        while not found.listing.exhausted:
            found.listing.grow(meter)
        cells = f"{len(found.listing.cells):,}, and no more"
    except BudgetSpent:
        cells = f"at least {len(found.listing.cells):,}; .cells lists all of them"
    point = fractions(found.x)
    lines = [("around", _short(point)), ("gradient on all of it", _short(found.gradient)), ("cells", cells)]
    drawn = _drawn_around(found) if size == 2 and found.function.start == 0 else Markup("")
    if drawn:
        lines.append(("picture", "the region as far as it is connected in the picture is hatched"))
    return Card(f"Linear region of an input of {counted(size, 'number')}", lines, drawn)


def _drawn_around(found: Region) -> Markup:
    """The cells of a box around the input, which is its middle."""
    reach = max(abs(entry) for entry in found.x) * rational(3, 2) + ONE
    box = [(fraction(entry - reach), fraction(entry + reach)) for entry in found.x]
    try:
        return _picture(arrangement(found.function.network, box=box, budget=LOOKING), x=fractions(found.x))
    except DtdsymError:  # too many cells, or an input on a hinge across which the gradient is the same
        return Markup("")


@card.register
def _arrangement(found: Arrangement) -> Card:
    outputs = "all outputs together" if found.logit is None else f"output {found.logit}"
    lines = [(f"{number:,}", COUNTED[name]) for name, number in found.counts.items() if number]
    return Card(f"Linear regions of {outputs}, {where(found)}", lines, _picture(found))


def _picture(found: Arrangement, **marked: Any) -> Markup:
    """The picture of a bounded one of up to two dimensions; nothing where there is none, or no matplotlib."""
    if len(found.cells) > MOST_CELLS:
        return Markup("")
    try:
        return Markup(region_svg(found, **marked))
    except DtdsymError:
        return Markup("")


@card.register
def _verdict(found: Verdict) -> Card:
    lines, more = [("", found.statement), ("because", found.reason)], dict[str, list[Told]]()
    lines += [("bad news", "an explanation loses by it")] * found.bad_news
    if found.witness:
        more["Witness as JSON"] = [("", as_json(found.witness, "all of it is .witness"))]
    lines += parts(found.claim, found.witness)
    lines.append(("more", f"dtdsym explain-claim {found.claim}"))
    return Card(f"{found.claim}: {found.name}", lines, more=more)


@card.register
def _explanation(found: Explanation) -> Card:
    title = f"Relevance of {counted(len(found), 'input')} by {found.rule.label}"
    return _relevance(title, found, found.network.input_shape, [("", told) for told in found.ledger.sentences()])


@card.register
def _decomposition(found: Decomposition) -> Card:
    """Roots are not decided here, which can take long; `recursion` has done it unless it was told not to."""
    told = "not looked at; .admissible decides"
    if "admissible" in vars(found):
        counts = Counter(verdict.name for layer in found.admissible for verdict in layer)
        told = ", ".join(f"{times:,} {name}" for name, times in counts.items())
    title = f"Relevance of {counted(len(found), 'input')} by Definition 3"
    return _relevance(title, found, (len(found),), [("roots", told)])


def _relevance(title: str, found: Sequence[Fraction], shape: tuple[int, ...], lines: list[Told]) -> Card:
    """The largest entries; and a picture where the inputs are one."""
    floats = np.array([nearest_float(entry) for entry in found])
    largest = sorted(range(len(found)), key=lambda index: -abs(found[index]))[:MOST_SHOWN]
    lines = [("largest", ", ".join(f"{floats[index]:.5g} at input {index}" for index in largest)), *lines]
    image = as_image(floats, shape, signed=True)
    drawn = Markup("")
    if image is not None:
        words = f"Heat-map of the relevance, from {floats.min():.5g} (blue, striped) to {floats.max():.5g} (red)"
        drawn = Markup('<img alt="{}" src="{}">').format(words, signed_png(image))
    return Card(title, lines, drawn)


def _short(vector: Iterable[Any]) -> str:
    """Rounded, and only the first of many."""
    numbers = [nearest_float(entry) for entry in vector]
    shown = ", ".join(f"{number:.5g}" for number in numbers[:MOST_SHOWN])
    return f"({shown}, ...: {len(numbers):,} numbers)" if len(numbers) > MOST_SHOWN else f"({shown})"
