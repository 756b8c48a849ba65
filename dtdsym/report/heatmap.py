"""Heat-maps of input and relevance, one row an input: pictures where the network's input is one, else bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtdsym.errors import InputError
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.explain import explain
from dtdsym.relevance.rule import Rule
from dtdsym.report.labels import over_lines

LARGEST = 8


def heatmap(
    network: Network, points: np.ndarray, logits: Sequence[int], rules: Sequence[Rule | Composite], path: str
) -> None:
    """Write a picture (PNG, SVG, PDF by the file's suffix) of the first inputs (k, in), their logits explained by
    every rule. Red is positive, blue negative, on one scale an explanation. Raises InputError."""
    pyplot = _pyplot()
    rows = min(len(points), LARGEST)
    figure, axes = pyplot.subplots(
        rows, 1 + len(rules), figsize=(1.7 * (1 + len(rules)), 1.8 * rows + 0.3), squeeze=False, layout="constrained"
    )
    for row in range(rows):
        draw(axes[row][0], points[row], network.input_shape, f"input, logit {logits[row]}", signed=False)
        for column, rule in enumerate(rules, start=1):
            exact = explain(network, points[row].tolist(), rule, logits[row])
            relevance = np.array([float(entry) for entry in exact])
            draw(axes[row][column], relevance, network.input_shape, over_lines(rule.label), signed=True)
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


def draw(axes: Any, values: np.ndarray, shape: tuple[int, ...], title: str, *, signed: bool) -> None:
    """One input, or one relevance (signed), into its axes: a picture or bars."""
    axes.set_title(title, fontsize=8)
    image = as_image(values, shape, signed=signed)
    limit = float(np.abs(values if image is None else image).max()) or 1.0
    if image is not None:
        low = -limit if signed else float(image.min())
        axes.imshow(image, cmap="RdBu_r" if signed else "gray", vmin=low, vmax=limit)
        axes.set_axis_off()
        return
    shades = np.where(values >= 0, "#b2182b", "#2166ac") if signed else "#4d4d4d"
    axes.bar(range(len(values)), values, color=shades)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.tick_params(labelsize=6)


def as_image(values: np.ndarray, shape: tuple[int, ...], *, signed: bool) -> np.ndarray | None:
    """The picture of one input or relevance, or None where it is none: (height, width), or for an input of three
    channels (height, width, 3) in [0, 1]. Channels of a relevance add up; a flat square is taken for a picture."""
    side = math.isqrt(len(values))
    if len(shape) == 1 and side * side == len(values) and side > 3:
        shape = (1, side, side)
    if len(shape) == 2:
        return values.reshape(shape)
    if len(shape) != 3:
        return None
    channels = values.reshape(shape)
    if not signed and shape[0] == 3:
        span = float(channels.max() - channels.min()) or 1.0
        return ((channels - channels.min()) / span).transpose(1, 2, 0)
    return channels.sum(axis=0)
