"""The charts of the page: places of roots, the flow of a ledger, relevances of inputs that are no pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from xml.etree.ElementTree import Element

from markupsafe import Markup

from dtdsym.arithmetic.written import counted
from dtdsym.geometry.placement import PLACES
from dtdsym.report.labels import SHORT
from dtdsym.report.svg import WIDTH, add, drawing, markup, number, path
from dtdsym.report.words import percent

LABEL, TOTAL = 74, 84  # left and right of bars
NAMED = 0.07  # of a bar: shares from which on a segment is named above it
ROW = 40
MOST_BARS = 32
WIDEST = 150  # of a flow: half of its bed


def place_bars(title: str, rows: Sequence[Mapping[str, Any]]) -> Markup:
    """One bar a layer, one segment a place; rows as in the JSON report."""
    words = f"{title}. " + " ".join(f"Layer {row['layer']}: {_in_words(row)}." for row in rows)
    made = drawing(ROW * len(rows) + 4, words)
    for order, row in enumerate(rows):
        _bar(made, ROW * order, row)
    return markup(made)


def _in_words(row: Mapping[str, Any]) -> str:
    """The places of one row with their counts."""
    if not row["total"]:
        return "no roots"
    met = (f"{SHORT[name]} {row['places'][name]:,}" for name in PLACES if row["places"][name])
    return f"{', '.join(met)}, of {counted(row['total'], 'root')}"


def _bar(made: Element, top: float, row: Mapping[str, Any]) -> None:
    total, x, wide = row["total"], float(LABEL), float(WIDTH - LABEL - TOTAL)
    add(made, "text", f"layer {row['layer']}", x=LABEL - 8.0, y=top + 31, text_anchor="end")
    add(made, "text", f"of {total:,}", x=WIDTH - TOTAL + 8.0, y=top + 31)
    for name in PLACES:
        count = row["places"][name]
        if not count:
            continue
        share = count / total
        where: dict[str, Any] = {"x": x, "y": top + 18.0, "width": wide * share, "height": 18.0}
        held = {"data_place": name, "data_layer": row["layer"], "data_count": count}
        add(made, "rect", **where, klass=f"p-{name}", **held)
        add(made, "rect", **where, fill=f"url(#k-{name})", klass="edge")
        if share >= NAMED:
            named = percent(count, total) if share < 2 * NAMED else f"{SHORT[name]} {percent(count, total)}"
            add(made, "text", named, x=x + wide * share / 2, y=top + 13, text_anchor="middle")
        x += wide * share


@dataclass(frozen=True)
class Step:
    """A stretch of the flow: where it leads, how much relevance arrives, and (cause, amount) of what is lost on it."""

    name: str
    left: float
    lost: tuple[tuple[str, float], ...]


def flow(output: tuple[str, float], steps: Sequence[Step], words: str) -> Markup:
    """Relevance from the logit down to the inputs, as wide as it is much; what is lost leaves to the right, what is
    made comes in from there. Hatched where it is negative."""
    most = max(abs(value) for value in (output[1], *(step.left for step in steps))) or 1.0
    heights = [20 * max(len(step.lost), 1) + 28 for step in steps]
    made = drawing(sum(heights) + 34, words)
    tops = [18.0 + height for height in accumulate(heights, initial=0)]
    widths = [output[1] / most, *(step.left / most for step in steps)]
    for order, step in enumerate(steps):
        _stretch(made, (tops[order], tops[order + 1]), (widths[order], widths[order + 1]), step.lost)
    labels = [(output[0], output[1]), *((step.name, step.left) for step in steps)]
    for top, (name, left) in zip(tops, labels, strict=True):
        add(made, "text", f"{name}: {left:.5g}", x=float(WIDEST), y=top + 4, text_anchor="middle", klass="halo")
    return markup(made)


def _stretch(
    made: Element, ends: tuple[float, float], shares: tuple[float, float], lost: Sequence[tuple[str, float]]
) -> None:
    """The bed from above to below, and what leaves or joins it on the way."""
    (top, foot), (above, below) = ends, shares
    if above * below < 0:  # it runs dry on the way
        dry = top + (foot - top) * above / (above - below)
        _bed(made, (top, dry), (above, 0.0))
        _bed(made, (dry, foot), (0.0, below))
    else:
        _bed(made, ends, shares)
    edge = WIDEST + (abs(above) + abs(below)) / 2 * (WIDEST - 24) + 4
    for order, (cause, amount) in enumerate(lost):
        y = (top + foot) / 2 + 20 * (order - (len(lost) - 1) / 2)
        end, away = WIDEST * 2.0 + 16, amount > 0
        tip, barb = (end, end - 7) if away else (edge, edge + 7)
        add(made, "path", d=path([(edge, y), (end, y)]), klass="line")
        add(made, "path", d=path([(barb, y - 4), (tip, y), (barb, y + 4)]), klass="line")
        told = f"{abs(amount):.4g} {'lost' if away else 'made'}: {cause}"
        add(made, "text", told, x=end + 8, y=y + 4, data_amount=repr(amount))


def _bed(made: Element, ends: tuple[float, float], shares: tuple[float, float]) -> None:
    (top, foot), (above, below) = ends, (max(abs(share) * (WIDEST - 24), 0.75) for share in shares)
    corners = [(WIDEST - above, top), (WIDEST + above, top), (WIDEST + below, foot), (WIDEST - below, foot)]
    add(made, "path", d=path(corners, closed=True), klass="flow")
    if min(shares) < 0:
        add(made, "path", d=path(corners, closed=True), fill="url(#k-negative)")


def value_bars(values: Sequence[float], words: str) -> Markup:
    """A bar for each coordinate, to the right where positive, to the left and hatched where negative; of many, the
    largest in size."""
    shown = sorted(sorted(range(len(values)), key=lambda i: (-abs(values[i]), i))[:MOST_BARS])
    most = max(abs(values[i]) for i in shown) or 1.0
    made = drawing(16 * len(shown) + 4, words, width=240)
    for order, i in enumerate(shown):
        y, long = 16.0 * order + 3, 62 * abs(values[i]) / most
        add(made, "text", f"{i}", x=26.0, y=y + 10, text_anchor="end")
        where: dict[str, Any] = {"x": 100 - long * (values[i] < 0), "y": y, "width": long, "height": 11.0}
        add(made, "rect", **where, klass="edge less" if values[i] >= 0 else "edge flow", data_value=repr(values[i]))
        if values[i] < 0:
            add(made, "rect", **where, fill="url(#k-negative)")
        add(made, "text", f"{values[i]:.3g}", x=168.0, y=y + 10)
    add(made, "path", d=f"M100 0V{number(16 * len(shown) + 4)}", klass="axis")
    return markup(made)
