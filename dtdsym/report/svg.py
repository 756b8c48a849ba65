"""Small drawings as SVG inside a page: what is drawn is also said in words, and no colour carries anything alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

WIDTH = 640
LEFT, RIGHT, TOP, BOTTOM = 74, 16, 14, 44
"""Margins of a chart with axes."""
LINES = (("", "circle"), ("7 4", "square"), ("2 3", "diamond"), ("10 3 2 3", "triangle"))
"""Dashes and marks by which lines are told apart."""
LARGEST = 1e300
"""Stands for all that is larger in size, so that differences stay finite."""
MARKS = {"circle": 3.4, "square": 3.2, "diamond": 4.4, "triangle": 4.2}


def drawing(height: float, words: str, *, width: float = WIDTH) -> Element:
    """An empty drawing. words: what it shows, with its numbers, for who cannot see it."""
    box = f"0 0 {number(width)} {number(height)}"
    return Element("svg", {"viewBox": box, "role": "img", "aria-label": words, "class": "chart"})


def markup(made: Element) -> Markup:
    """The drawing as it stands in the page, everything in it escaped."""
    return Markup(tostring(made, encoding="unicode"))


def add(parent: Element, tag: str, words: str | None = None, **attributes: object) -> Element:
    """A further element; `klass` is its class, and underscores in names stand for hyphens."""
    named = {name.replace("klass", "class").replace("_", "-"): value for name, value in attributes.items()}
    texts = {name: number(value) if isinstance(value, float) else str(value) for name, value in named.items()}
    made = SubElement(parent, tag, texts)
    made.text = words
    return made


def number(value: float) -> str:
    """A coordinate, to a hundredth: shorter, and the same on every machine."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value else "0"


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """Straight lines through points."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + "Z" * closed


@dataclass(frozen=True)
class Line:
    """A line of a chart: its name, and its points (across, up)."""

    name: str
    points: tuple[tuple[float, float], ...]


def line_chart(
    lines: Sequence[Line], words: str, *, across: str, up: str, whole: bool = False, height: int = 260
) -> Markup:
    """Lines over two axes; zero is on the upright one. whole: only whole numbers are named below."""
    named = 20 * len(lines) * (len(lines) > 1)
    made = drawing(height + named, words)
    drawn = [[(x, max(-LARGEST, min(y, LARGEST))) for x, y in line.points] for line in lines]
    xs = [x for points in drawn for x, _ in points]
    ys = [y for points in drawn for _, y in points]
    frame = _Frame(_span(min(xs), max(xs)), _span(min(*ys, 0.0), max(*ys, 0.0)), TOP + named, height + named)
    _axes(made, frame, across, up, whole)
    for order, (line, points) in enumerate(zip(lines, drawn, strict=True)):
        dashes, mark = LINES[order % len(LINES)]
        spots = [frame.at(x, y) for x, y in points]
        add(made, "path", d=path(spots), klass="line", stroke_dasharray=dashes or "none")
        for spot in spots if len(spots) <= 60 else (spots[0], spots[-1]):
            _mark(made, mark, spot)
        if len(lines) > 1:
            _name(made, order, dashes, mark, line.name)
    return markup(made)


@dataclass(frozen=True)
class _Frame:
    """Where the axes run."""

    x: tuple[float, float]
    y: tuple[float, float]
    top: int
    height: int

    def at(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point in the drawing."""
        (left, right), (low, high) = self.x, self.y
        wide, tall = WIDTH - LEFT - RIGHT, self.height - self.top - BOTTOM
        return LEFT + wide * _share(x, left, right), self.top + tall * (1 - _share(y, low, high))


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low)


def _span(low: float, high: float) -> tuple[float, float]:
    return (low, high) if low < high else (low - 1.0, high + 1.0)


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """A few round numbers from low to high."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    step = max(1.0, step) if whole else step
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _axes(made: Element, frame: _Frame, across: str, up: str, whole: bool) -> None:
    left, floor = frame.at(frame.x[0], frame.y[0])
    right, ceiling = frame.at(frame.x[1], frame.y[1])
    for value in ticks(*frame.y):
        height = frame.at(frame.x[0], value)[1]
        add(made, "path", d=path([(left, height), (right, height)]), klass="axis" if value == 0 else "grid")
        add(made, "text", f"{value:.4g}", x=left - 6, y=height + 4, text_anchor="end")
    for value in ticks(*frame.x, whole=whole):
        place = frame.at(value, frame.y[0])[0]
        add(made, "path", d=path([(place, floor), (place, floor + 4)]), klass="axis")
        add(made, "text", f"{value:.4g}", x=place, y=floor + 17, text_anchor="middle")
    add(made, "path", d=path([(left, ceiling), (left, floor), (right, floor)]), klass="axis")
    add(made, "text", across, x=(left + right) / 2, y=floor + 36, text_anchor="middle")
    middle = (floor + ceiling) / 2
    turned = f"rotate(-90 14 {number(middle)})"
    add(made, "text", up, x=14.0, y=middle, text_anchor="middle", transform=turned)


def _mark(made: Element, kind: str, spot: tuple[float, float]) -> None:
    (x, y), r = spot, MARKS[kind]
    corners = {
        "square": [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)],
        "diamond": [(x, y - r), (x + r, y), (x, y + r), (x - r, y)],
        "triangle": [(x, y - r), (x + r, y + r * 0.8), (x - r, y + r * 0.8)],
    }
    if kind == "circle":
        add(made, "circle", cx=x, cy=y, r=r, klass="mark")
    else:
        add(made, "path", d=path(corners[kind], closed=True), klass="mark")


def _name(made: Element, order: int, dashes: str, mark: str, name: str) -> None:
    """What a line is, above the chart."""
    height = TOP + 20.0 * order
    add(made, "path", d=path([(LEFT, height), (LEFT + 40, height)]), klass="line", stroke_dasharray=dashes or "none")
    _mark(made, mark, (LEFT + 20, height))
    add(made, "text", name, x=LEFT + 48.0, y=height + 4)
