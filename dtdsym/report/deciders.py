"""In words: what decided how much, what a sample says of all roots, and what floats alone are worth."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor

from dtdsym.arithmetic.written import counted, plural
from dtdsym.geometry.placement import VALID
from dtdsym.survey.findings import Findings, RootRow

DECIDERS = {
    "enclosure": "enclosures with proven bounds",
    "ball": "enclosures in Euclidean balls with proven bounds",
    "hundred_bits": "enclosures of about 100 bits with proven bounds",
    "two_hundred_bits": "such of about 200 bits",
    "four_hundred_bits": "such of about 400 bits",
    "rational": "exact rationals",
    "numeric": "floats, which prove nothing",
}


def expanded(found: Findings, total: int) -> str:
    """Where the explanations expand the network."""
    if any(row.sampled for row in found.rows):
        return (
            "These explanations expand the network at one root point for each input and neuron; "
            f"{counted(total, 'was', 'were')} drawn at random, up to {found.settings.sample_roots:,} in every layer, "
            "and audited."
        )
    return f"These explanations expand the network at {counted(total, 'root point')}, one for each input and neuron."


def caveat(found: Findings) -> str:
    """What must be said of places by floats alone; else nothing."""
    if not found.settings.numeric:
        return ""
    flagged, total = (
        sum(counts) for counts in zip(*((r.tally.flagged, r.tally.total) for r in found.rows), strict=True)
    )
    margin = min(row.tally.margin for row in found.rows)
    return (
        f" Floats say so ({found.settings.engine}, {found.settings.device}), and prove nothing: {flagged:,} of "
        f"{counted(total, 'place')} {plural(flagged, 'hangs', 'hang')} on a number that is too small for what "
        f"roundings do to it; the smallest margin is {margin:.3g}, where below 1 is flagged."
    )


def of_all(row: RootRow) -> Iterator[str]:
    """What the draws of a row say of all its roots."""
    if row.sampled and row.tally.total:
        told = []
        for words, names in (("valid", VALID), ("outside", ("outside", "same_gradient_elsewhere"))):
            low, high = row.share(sum(row.tally.places[name] for name in names))
            told.append(f"{floor(1000 * low) / 10:.1f} to {ceil(1000 * high) / 10:.1f} % are {words}")
        yield f"Of all roots of the layer {', '.join(told)} (95 % confidence)."


def how_decided(found: Findings) -> Iterator[tuple[str, str]]:
    """Places, and signs of neurons at the inputs, by what decided them."""
    by = {name: sum(row.tally.decided_by[name] for row in found.rows) for name in DECIDERS}
    told = _listed(by, "place") or "no place"
    left = sum(row.tally.places["undecided"] for row in found.rows)
    bounded = found.settings.budget.seconds or found.settings.budget.cells
    yield "decided", told + (f"; {left:,} not{', within the budget' * bool(bounded)}" if left else "")
    signs = {name: found.signs.get(name, 0) for name in DECIDERS}
    if any(signs.values()):
        open_ = found.signs.get("open", 0)
        yield "signs", _listed(signs, "sign", " of ReLUs at the inputs") + (f"; {open_:,} open" if open_ else "")


def _listed(by: dict[str, int], thing: str, of_what: str = "") -> str:
    """The first with what it is."""
    counts = {name: f"{times:,}" for name, times in by.items() if times}
    for first in list(counts)[:1]:
        counts[first] = counted(by[first], thing) + of_what
    return ", ".join(f"{times} by {DECIDERS[name]}" for name, times in counts.items())
