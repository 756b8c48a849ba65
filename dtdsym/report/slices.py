"""Linear regions for the page: around the first of two-number inputs, else on the plane through the first three."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from dtdsym.arithmetic.written import counted
from dtdsym.claims.verdict import sentence
from dtdsym.errors import DtdsymError, NoRoot
from dtdsym.geometry.arrangement import Arrangement, arrangement
from dtdsym.geometry.placement import place
from dtdsym.network.layers import Convolution
from dtdsym.relevance.root import roots
from dtdsym.report.pictures import first_inputs
from dtdsym.report.region_marks import Roots, place_class
from dtdsym.report.region_plot import region_plot
from dtdsym.survey.findings import Findings
from dtdsym.survey.sizes import is_large, work

CELLS = 3000
LARGEST = 2**17
"""Multiply-adds of a forward pass: cells of larger networks take too long to list beside an audit."""
PLANE = ((Fraction(-1, 4), Fraction(5, 4)),) * 2

Input = tuple[int, int, np.ndarray]
"""(number, explained logit, coordinates (in,))"""


@dataclass(frozen=True)
class RegionPicture:
    """svg: the picture, a file's bytes. words: the same for who does not see it, with counts of cells, regions,
    gradients and marked roots."""

    svg: bytes
    title: str
    words: str


def region_picture(found: Findings) -> RegionPicture | str:
    """The picture, or in a sentence why there is none."""
    network = found.network
    if is_large(network) or work(network) > LARGEST or any(isinstance(node, Convolution) for node in network.nodes):
        return "Linear regions are drawn of small networks without convolutions only."
    inputs = list(first_inputs(found))
    flat = network.sizes[0] == 2
    if len(inputs) < (1 if flat else 3) or network.sizes[0] < 2:
        return "Linear regions are drawn around an input of two numbers, or on the plane through three audited inputs."
    try:
        return _around(found, inputs[0]) if flat else _plane(found, inputs)
    except DtdsymError as err:
        return f"No linear regions are drawn. {sentence(err)}"


def _around(found: Findings, shown: Input) -> RegionPicture:
    """The whole input space of two inputs, with the first-layer roots of every rule."""
    number, logit, x = shown[0], shown[1], shown[2].tolist()
    domain = found.settings.domain
    if domain.low is not None and domain.high is not None:
        side = (domain.low, domain.high)
    else:
        reach = Fraction(max(map(abs, x))) * 2 or Fraction(1)
        side = (-reach, reach)
    listed = arrangement(found.network, box=[side, side], logit=logit, budget=found.settings.budget.at_most(CELLS))
    marked = _roots(found, logit, x)
    title = f"Linear regions of output {logit} around input {number}"
    return _picture(listed, title, "", x, marked)


def _plane(found: Findings, inputs: Sequence[Input]) -> RegionPicture:
    """The plane through three inputs: the first at t = (0, 0), the others at (1, 0) and (0, 1)."""
    numbers = [number for number, _, _ in inputs]
    logit = inputs[0][1]
    points = [x.tolist() for _, _, x in inputs]
    listed = arrangement(
        found.network, points=points, box=PLANE, logit=logit, budget=found.settings.budget.at_most(CELLS)
    )
    title = f"Linear regions of output {logit} on the plane through inputs {numbers[0]}, {numbers[1]} and {numbers[2]}"
    where = f" Input {numbers[0]} is at (0, 0), input {numbers[1]} at (1, 0), input {numbers[2]} at (0, 1)."
    return _picture(listed, title, where, [0, 0], [])


def _roots(found: Findings, logit: int, x: list[float]) -> Roots:
    marked = []
    for rule in found.settings.rules:
        for root in roots(found.network, x, rule=rule, logit=logit, root=found.settings.kind):
            if not isinstance(root, NoRoot):
                where = place(found.network, x, root, logit=logit, budget=found.settings.budget).name
                marked.append((rule.label, where, root))
    return marked


def _picture(listed: Arrangement, title: str, where: str, x: Sequence[Any], marked: Roots) -> RegionPicture:
    told = [counted(listed.counts[f"{thing}s"], thing) for thing in ("cell", "region", "gradient")]
    for name, times in Counter(place_class(name) for _, name, _ in marked).items():
        told.append(f"{counted(times, 'root')} {'at the input' if name == 'the input itself' else name}")
    words = f"{title}: {', '.join(told)}. The region of the first input is hatched.{where}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "regions.svg"
        region_plot(listed, str(path), x=x, roots=marked)
        return RegionPicture(path.read_bytes(), title, words)
