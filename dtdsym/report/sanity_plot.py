"""A sanity check as a picture: how far maps move, above; the maps of the first inputs, below."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch

from dtdsym.arithmetic.written import counted
from dtdsym.relevance.maps import BINS, limits
from dtdsym.report.heatmap import draw
from dtdsym.report.labels import over_lines
from dtdsym.report.region_plot import plotting, save
from dtdsym.survey.sanity import CONTROL, Measurement

MOST_STEPS = 5
"""Maps of so many steps are drawn, the first and the last among them."""
MOST_TICKS = 12
LINES = ("-", "--", ":", "-.")


def plot(found: Measurement, path: str) -> None:
    """Write it as .png, .svg or .pdf. Relevance is red where positive, blue where negative, white at zero, each map
    clipped to its own percentiles. Raises InputError."""
    pyplot = plotting()
    rows = _other_rows(found) if found.others is not None else _layer_rows(found)
    columns = len(rows[0])
    figure = pyplot.figure(figsize=(max(9.0, 1.5 * columns), 3.4 + 1.75 * len(rows)), layout="constrained", dpi=130)
    try:
        above, below = figure.subfigures(2, 1, height_ratios=(3.4, 1.75 * len(rows)))
        above.suptitle(_title(found), fontsize=10)
        (_histograms if found.others is not None else _curves)(above, found)
        for own, row in zip(below.subplots(len(rows), columns, squeeze=False), rows, strict=True):
            for axes, panel in zip(own, row, strict=True):
                draw(axes, panel.values, panel.shape, panel.title, signed=panel.signed)
        save(figure, path)
    finally:
        pyplot.close(figure)


def _title(found: Measurement) -> str:
    which = f"{counted(len(found.asked.points), 'input')} of {found.asked.network.source}"
    return f"{found.check[0].upper()}{found.check[1:]}: {which}"


def _style(found: Measurement, rule: int) -> dict[str, Any]:
    """The control is black; rules have colours of one scale that is even to the eye, and lines of their own."""
    labels = found.asked.labels
    if labels[rule] == CONTROL:
        return {"color": "black", "linestyle": "-", "label": CONTROL}
    from matplotlib import colormaps

    shade = colormaps["viridis"](0.1 + 0.75 * rule / max(1, len(labels) - 2))
    return {"color": shade, "linestyle": LINES[rule % len(LINES)], "label": over_lines(labels[rule])}


def _curves(figure: Any, found: Measurement) -> None:
    """Means over the inputs by step, the middle four fifths of the inputs shaded."""
    titles = {
        "difference": "mean absolute difference",
        "changed": "share of pixels > 1/4",
        "rank_correlation": "rank correlation",
    }
    axes = figure.subplots(1, 3)
    ticks = np.arange(len(found.steps))
    for (name, title), own in zip(titles.items(), axes, strict=True):
        values = getattr(found, name)
        for rule in range(len(found.asked.labels)):
            style = _style(found, rule)
            own.plot(ticks, values[rule].nanmean(1), marker="o", markersize=3, linewidth=1.3, **style)
            low, high = (torch.nanquantile(values[rule], q, dim=1) for q in (0.1, 0.9))
            own.fill_between(ticks, low, high, color=style["color"], alpha=0.1, linewidth=0)
        own.set_title(title, fontsize=9)
        shown = ticks[:: math.ceil(len(ticks) / MOST_TICKS)]
        names = [found.steps[tick].removeprefix("down to ").partition(" (")[0] for tick in shown]
        own.set_xticks(shown, names, fontsize=7, rotation=30, ha="right")
        own.set_xlabel("drawn anew, down to" if found.check.startswith("cascading") else "drawn anew", fontsize=8)
        own.tick_params(axis="y", labelsize=7)
        own.grid(alpha=0.25, linewidth=0.5)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=7, loc="outside right upper")


def _histograms(figure: Any, found: Measurement) -> None:
    """Pixels by their difference, on a log scale as in the paper's Figure 3; and inputs by their mean difference."""
    pixels, inputs = figure.subplots(1, 2)
    edges = np.linspace(0, 1, BINS + 1)
    shares = np.linspace(0, 1, 101)
    for rule in range(len(found.asked.labels)):
        style, counts = _style(found, rule), found.counts[rule, 0].double()
        pixels.stairs(counts / counts.sum().clamp(min=1), edges, linewidth=1.2, **style)
        known = found.difference[rule, 0]
        known = known[~known.isnan()]
        if len(known):
            inputs.plot(torch.quantile(known, torch.tensor(shares)), shares, linewidth=1.3, **style)
    pixels.set(yscale="log", xlim=(0, 1))
    for axes, below, beside in (
        (pixels, "absolute difference of a pixel", "share of the pixels"),
        (inputs, "mean absolute difference of an input's maps", "share of the inputs, at most so far"),
    ):
        axes.set_xlabel(below, fontsize=8)
        axes.set_ylabel(beside, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25, linewidth=0.5)
    figure.legend(*pixels.get_legend_handles_labels(), fontsize=7, loc="outside right upper")


class _Panel(NamedTuple):
    """An input, or a map of it (signed)."""

    values: np.ndarray
    shape: tuple[int, ...]
    title: str
    signed: bool = True


def _other_rows(found: Measurement) -> list[list[_Panel]]:
    """An input a row: every rule's map for its output and for the other."""
    assert found.others is not None
    rows = []
    for number in range(found.shown.shape[2]):
        row = [_input(found, number)]
        for rule, label in enumerate(found.asked.labels):
            for step, output in enumerate((found.asked.logits[number], found.others[number])):
                row.append(_map(found, rule, step, number, f"{over_lines(label)}\noutput {output}"))
        rows.append(row)
    return rows


def _layer_rows(found: Measurement) -> list[list[_Panel]]:
    """A rule a row: the first input's map as it is, and after some of the steps."""
    count = len(found.steps)
    steps = sorted({round(step) for step in np.linspace(0, count - 1, min(count, MOST_STEPS))})
    rows = []
    for rule, label in enumerate(found.asked.labels):
        row = [_input(found, 0), _map(found, rule, 0, 0, f"{over_lines(label)}\noutput {found.asked.logits[0]}")]
        row += [_map(found, rule, 1 + step, 0, found.steps[step].replace(" (", "\n(")) for step in steps]
        rows.append(row)
    return rows


def _input(found: Measurement, number: int) -> _Panel:
    return _Panel(found.asked.points[number], found.asked.network.input_shape, f"input {number + 1}", signed=False)


def _map(found: Measurement, rule: int, step: int, number: int, title: str) -> _Panel:
    pixels = found.shown[rule, step, number][None]
    low, high = limits(pixels)
    shape = found.asked.maps.shape(found.asked.network.input_shape)
    return _Panel(pixels.maximum(low).minimum(high)[0].numpy(), shape, title)
