"""CLEVR's attributes, answers and their categories (Johnson et al. 2017, doi:10.1109/CVPR.2017.215)."""

from __future__ import annotations

SIZES = ("small", "large")
COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
MATERIALS = ("rubber", "metal")
SHAPES = ("cube", "sphere", "cylinder")
ATTRIBUTES = {"size": SIZES, "color": COLOURS, "material": MATERIALS, "shape": SHAPES}
COUNTS = tuple(map(str, range(11)))
CATEGORIES = {"yes/no": ("yes", "no"), "count": COUNTS, **ATTRIBUTES}
"""Answers by category, under CLEVR's own names."""
ANSWERS = tuple(answer for answers in CATEGORIES.values() for answer in answers)
"""All 28; an answer's place is the number of its logit."""


def category_of(answer: str) -> str:
    """The category that an answer belongs to."""
    return next(name for name, answers in CATEGORIES.items() if answer in answers)


def others(answer: str) -> tuple[str, ...]:
    """The other answers of its category."""
    return tuple(other for other in CATEGORIES[category_of(answer)] if other != answer)
