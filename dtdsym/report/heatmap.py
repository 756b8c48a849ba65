"""Heat-maps of input and relevance, one row an input: images where the network's input is a square, else bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtdsym.errors import InputError
from dtdsym.network.network import Network
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import explain

LARGEST = 8


def heatmap(network: Network, points: np.ndarray, logits: Sequence[int], rules: Sequence[Rule], path: str) -> None:
    """Write a picture (PNG, SVG, PDF by the file's suffix) of the first inputs (k, in), their logits explained by
    every rule. Red is positive, blue negative, on one scale an explanation. Raises InputError."""
    pyplot = _pyplot()
    rows = min(len(points), LARGEST)
    figure, axes = pyplot.subplots(
        rows, 1 + len(rules), figsize=(1.7 * (1 + len(rules)), 1.8 * rows + 0.3), squeeze=False, layout="constrained"
    )
    for row in range(rows):
        _draw(axes[row][0], points[row], f"input, logit {logits[row]}", signed=False)
        for column, rule in enumerate(rules, start=1):
            exact = explain(network, points[row].tolist(), rule, logits[row])
            relevance = np.array([float(entry) for entry in exact])
            _draw(axes[row][column], relevance, rule.label, signed=True)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as err:
        raise InputError(f"{Path(path)}: the heat-map cannot be written ({err}); give a .png, .svg or .pdf") from err
    finally:
        pyplot.close(figure)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as err:
        raise InputError("heat-maps need matplotlib: pip install 'dtdsym[plots]'") from err
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _draw(axes: Any, values: np.ndarray, title: str, *, signed: bool) -> None:
    limit = float(np.abs(values).max()) or 1.0
    axes.set_title(title, fontsize=8)
    side = math.isqrt(len(values))
    if side * side == len(values) and side > 3:
        colours = {"cmap": "RdBu_r", "vmin": -limit} if signed else {"cmap": "gray", "vmin": float(values.min())}
        axes.imshow(values.reshape(side, side), vmax=limit, **colours)
        axes.set_axis_off()
        return
    shades = np.where(values >= 0, "#b2182b", "#2166ac") if signed else "#4d4d4d"
    axes.bar(range(len(values)), values, color=shades)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.tick_params(labelsize=6)
