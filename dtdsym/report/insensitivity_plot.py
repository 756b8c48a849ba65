"""A picture of class-insensitivity over the layers: the proven bound, the measured change between classes, and how the
maps of different upper relevances converge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from dtdsym.arithmetic.rational import nearest_float
from dtdsym.errors import InputError
from dtdsym.relevance.convergence import Convergence
from dtdsym.relevance.insensitivity import Insensitivity
from dtdsym.report.region_plot import plotting, save

BLUE, RED, GREEN, GREY, VIOLET = "#0072b2", "#d55e00", "#009e73", "#555555", "#aa4499"  # told apart by the colour-blind
LEAST = 0.02
"""Bounds below are drawn on a logarithmic axis."""


def insensitivity_plot(
    found: Sequence[Insensitivity], converged: Sequence[Mapping[int, Convergence]], path: str, *, title: str = ""
) -> None:
    """Write the curves over layers to .png, .svg or .pdf. found, converged: for each of one or more inputs, what
    class_insensitivity and convergence answer; of several, thin lines are single inputs, thick ones medians.
    Raises InputError."""
    if not found or len(found) != len(converged):
        raise InputError(f"{len(found)} results and {len(converged)} convergences; give as many, one at least")
    pyplot = plotting()
    with pyplot.rc_context({"svg.hashsalt": "dtdsym", "svg.fonttype": "path"}):
        figure, (upper, lower) = pyplot.subplots(2, 1, figsize=(8.6, 5.6), dpi=150, sharex=True, layout="constrained")
        try:
            _bounds(upper, found)
            _similarities(lower, converged)
            lower.set_xlabel("layer k: what is done above its input")
            lower.set_xticks(sorted({layer for one in found for layer in one.layers}))
            several = f", {len(found)} inputs" if len(found) > 1 else ""
            upper.set_title(title or f"{found[0].rule}{several}", fontsize=10)
            save(figure, path)
        finally:
            pyplot.close(figure)


def _bounds(axes: Any, found: Sequence[Insensitivity]) -> None:
    curves = [
        {number: nearest_float(layer.bound) for number, layer in one.layers.items() if layer.bound is not None}
        for one in found
    ]
    exact = all(layer.exact for one in found for layer in one.layers.values() if layer.bound is not None)
    known = "exact" if exact else "proven"
    changes = [nearest_float(one.largest.l1) for one in found if one.largest is not None]
    _curves(axes, curves, BLUE, "o", f"2 tau ({known}):\nbound of whatever is done above")
    if changes:
        label = "largest change\nbetween classes" + (", median" if len(changes) > 1 else "")
        axes.axhline(median(changes), color=RED, linestyle="--", linewidth=1.6, label=label)
    axes.axhline(0.1, color=GREY, linestyle=":", linewidth=1, label="1/10")
    drawn = [value for curve in curves for value in curve.values()] + changes
    if drawn and 0 < min(drawn) < LEAST:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, 2.08)
    axes.set_ylabel("L1 distance of normalised maps")
    _legend(axes)
    missing = sorted({number for one in found for number, layer in one.layers.items() if layer.bound is None})
    if missing:
        told = f"no bound known: layer {', '.join(map(str, missing))}"
        axes.text(0.5, 0.5, told, transform=axes.transAxes, ha="center", color=GREY, fontsize=9)


def _legend(axes: Any) -> None:
    """Beside the curves, on none of them."""
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def _similarities(axes: Any, converged: Sequence[Mapping[int, Convergence]]) -> None:
    for name, colour, marker, label in (
        ("units", GREEN, "s", "cosine of maps,\nsingle neurons' relevance"),
        ("mixed", GREY, "^", "cosine of maps,\nrandom relevance"),
    ):
        middle = [{number: getattr(one, name)[1] for number, one in curve.items()} for curve in converged]
        _curves(axes, middle, colour, marker, f"{label} (median)")
        if len(converged) == 1:
            low, high = ({n: getattr(one, name)[end] for n, one in converged[0].items()} for end in (0, 2))
            axes.fill_between(list(low), list(low.values()), list(high.values()), color=colour, alpha=0.15, linewidth=0)
    ratios = [{n: one.singular for n, one in curve.items() if one.singular is not None} for curve in converged]
    _curves(axes, ratios, VIOLET, "d", "second singular value\nof the matrix / first")
    axes.set_ylabel("measured, in floats")
    lowest = min((one.units[0] for curve in converged for one in curve.values() if one.units[0] < 0), default=0.0)
    axes.set_ylim(lowest - 0.04, 1.04)
    _legend(axes)


def _curves(axes: Any, curves: Sequence[Mapping[int, float]], colour: str, marker: str, label: str) -> None:
    """One line an input where there are several, and their median."""
    finite = [{n: v for n, v in sorted(curve.items()) if not math.isnan(v)} for curve in curves]
    if len(finite) > 1:
        for curve in finite:
            axes.plot(list(curve), list(curve.values()), color=colour, alpha=0.25, linewidth=0.7)
    numbers = sorted({number for curve in finite for number in curve})
    if numbers:
        middle = [median([curve[number] for curve in finite if number in curve]) for number in numbers]
        axes.plot(numbers, middle, color=colour, marker=marker, markersize=4.5, linewidth=1.8, label=label)
