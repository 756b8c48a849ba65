"""A sanity check as a picture: how far maps move, above; the maps of the first inputs, below."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dtdsym.relevance.maps import BINS, limits
from dtdsym.report.heatmap import draw
from dtdsym.report.labels import over_lines
from dtdsym.report.region_plot import plotting, save
from dtdsym.survey.sanity import CONTROL, Measurement

MOST_STEPS = 5
"""Maps of so many steps are drawn, the first and the last among them."""
LINES = ("-", "--", ":", "-.")


def plot(found: Measurement, path: str) -> None:
    """Write it as .png, .svg or .pdf. Relevance is red where positive, blue where negative, white at zero, each map
    clipped to its own percentiles. Raises InputError."""
    pyplot = plotting()
    steps = _drawn_steps(len(found.steps))
    rows = _map_rows(found)
    columns = 2 + len(steps) if found.others is None else 3
    figure = pyplot.figure(figsize=(max(9.0, 1.55 * columns), 3.4 + 1.6 * len(rows)), layout="constrained", dpi=130)
    try:
        above, below = figure.subfigures(2, 1, height_ratios=(3.4, 1.6 * len(rows)))
        above.suptitle(_title(found), fontsize=10)
        (_histograms if found.others is not None else _curves)(above, found)
        _maps(below.subplots(len(rows), columns, squeeze=False), found, rows, steps)
        save(figure, path)
    finally:
        pyplot.close(figure)


def _title(found: Measurement) -> str:
    return (
        f"{found.check[0].upper()}{found.check[1:]}: {len(found.asked.points):,} inputs of {found.asked.network.source}"
    )


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
            own.fill_between(ticks, low, high, color=style["color"], alpha=0.12, linewidth=0)
        own.set_title(title, fontsize=9)
        own.set_xticks(ticks, [_short(step) for step in found.steps], fontsize=6, rotation=30, ha="right")
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
    inputs.set_xlim(left=0)
    figure.legend(*pixels.get_legend_handles_labels(), fontsize=7, loc="outside right upper")


def _drawn_steps(count: int) -> list[int]:
    """Which steps have their maps drawn."""
    return sorted({round(step) for step in np.linspace(0, count - 1, min(count, MOST_STEPS))})


def _map_rows(found: Measurement) -> list[tuple[int, int]]:
    """(input, rule): every rule for the first inputs where logits change, for the first input where layers do."""
    inputs = found.shown.shape[2] if found.others is not None else 1
    return [(number, rule) for number in range(inputs) for rule in range(len(found.asked.labels))]


def _maps(axes: Any, found: Measurement, rows: list[tuple[int, int]], steps: list[int]) -> None:
    shape = found.asked.network.input_shape
    for own, (number, rule) in zip(axes, rows, strict=True):
        logit = int(found.asked.logits[number])
        draw(own[0], found.asked.points[number], shape, f"input {number + 1}", signed=False)
        _map(own[1], found, rule, 0, number, f"output {logit}")
        for column, step in zip(own[2:], steps, strict=True):
            title = _short(found.steps[step]) if found.others is None else f"output {found.others[number]}"
            _map(column, found, rule, 1 + step, number, title)
        label = over_lines(found.asked.labels[rule])
        own[0].text(-0.12, 0.5, label, transform=own[0].transAxes, rotation=90, fontsize=7, ha="center", va="center")


def _map(axes: Any, found: Measurement, rule: int, step: int, number: int, title: str) -> None:
    pixels = found.shown[rule, step, number][None]
    low, high = limits(pixels)
    shown = pixels.maximum(low).minimum(high)[0].numpy()
    draw(axes, shown, found.asked.maps.shape(found.asked.network.input_shape), title, signed=True)


def _short(step: str) -> str:
    return step.replace("layers ", "").replace("layer ", "")
