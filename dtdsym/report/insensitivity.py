"""Class-insensitivity over layers, where claim c7 was decided: how much relevance changes with the explained logit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from dtdsym.arithmetic.rational import from_text, nearest_float
from dtdsym.relevance.insensitivity import rounded_up
from dtdsym.report.svg import Line, line_chart

MOST_INPUTS = 3


@dataclass(frozen=True)
class LayerChange:
    """One layer k. largest: the greatest L1 distance of the normalised maps of two logits; bound: of how far the map
    can move by what is done above the layer's input. None where the claim was left open."""

    layer: int
    verdict: str
    largest: Fraction | None
    bound: Fraction | None
    pairs: str


@dataclass(frozen=True)
class Curve:
    """One input and rule, over layers."""

    title: str
    layers: tuple[LayerChange, ...]

    @property
    def chart(self) -> Markup | None:
        """Measured and proven, over layers; None where nothing was measured, or at one layer only."""
        lines = []
        for name, kept in (("largest change, measured", "largest"), ("proven bound", "bound")):
            points = [(float(at.layer), getattr(at, kept)) for at in self.layers]
            drawn = tuple((layer, nearest_float(size)) for layer, size in points if size is not None)
            lines += [Line(name, drawn)] if drawn else []
        if not lines or len(self.layers) == 1:
            return None
        told = "; ".join(
            f"layer {at.layer}: largest {shown(at.largest)}, bound {upwards(at.bound)}" for at in self.layers
        )
        return line_chart(lines, f"{self.title}. {told}.", across="layer k", up="L1 distance of maps", whole=True)


def curves(claims: Sequence[Mapping[str, Any]]) -> Iterator[Curve]:
    """Of the first inputs; `claims` as in the JSON report."""
    found: dict[tuple[Any, Any], list[LayerChange]] = {}
    for claim in claims:
        if claim["claim"] == "c7" and claim["layer"] is not None:
            found.setdefault((claim["input"], claim["rule"]), []).append(_change(claim))
    first = list(dict.fromkeys(number for number, _ in found))[:MOST_INPUTS]
    for (number, rule), layers in found.items():
        if number in first:
            title = f"Input {number}" + (f", {rule}" if rule else "")
            yield Curve(title, tuple(sorted(layers, key=lambda at: at.layer)))


def shown(size: Fraction | None) -> str:
    """For reading."""
    return "open" if size is None else f"{nearest_float(size):.4g}"


def upwards(bound: Fraction | None) -> str:
    """A bound for reading, never less than it is."""
    return "open" if bound is None else rounded_up(bound)


def _change(claim: Mapping[str, Any]) -> LayerChange:
    witness = claim["witness"]
    changes = [(change["logits"], _size(change)) for change in witness.get("changes", ())]
    bound = witness.get("l1_bound")
    pairs = ", ".join(f"{a} and {b}: {shown(size)}" for (a, b), size in changes)
    return LayerChange(
        claim["layer"],
        claim["verdict"],
        max((size for _, size in changes), default=None),
        None if bound is None else from_text(bound),
        pairs,
    )


def _size(change: Mapping[str, Any]) -> Fraction:
    """Exact, or the upper one of two bounds that are nearer to each other than floats tell."""
    return from_text(change["l1"] if "l1" in change else change["at_most"])
