"""Hypothesis strategies: the degenerate networks that quantised, pruned and duplicated models are full of."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import strategies as st

TINY, HUGE, GAP = 2.0**-30, 2.0**30, 2.0**-60
WEIGHTS = {
    "quantised": st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]),
    "integers": st.integers(-3, 3).map(float),
    "sparse": st.sampled_from([0.0, 0.0, 0.0, 1.0, -1.0, 2.0]),
}
BIASES = {
    "small": st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0]),
    "none": st.just(0.0),
    "nearly equal": st.sampled_from([0.0, GAP, -GAP, 1.0, 1.0 + 2.0**-52, 1.0 - 2.0**-53]),
    "non-positive": st.sampled_from([-2.0, -1.0, -0.5, 0.0]),
}
TWISTS = ("none", "duplicate", "opposite", "dead", "scaled", "shifted")


@st.composite
def layers(draw, inputs: int = 2, depths=(1, 2, 3), widths=(1, 2, 3, 4)):
    """(weight, bias) pairs with one output, in which neurons are duplicated, opposite, dead, scaled or shifted."""
    weight, bias = draw(st.sampled_from(list(WEIGHTS.values()))), draw(st.sampled_from(list(BIASES.values())))
    sizes = [inputs, *(draw(st.sampled_from(widths)) for _ in range(draw(st.sampled_from(depths)) - 1)), 1]
    pairs = []
    for size, out in pairwise(sizes):
        rows = [[draw(weight) for _ in range(size)] for _ in range(out)]
        offsets = [draw(bias) for _ in range(out)]
        if out > 1:
            _twist(rows, offsets, draw(st.sampled_from(TWISTS)))
        pairs.append((rows, offsets))
    scale = draw(st.sampled_from([1.0, 1.0, TINY, HUGE]))
    return [([[w * scale for w in row] for row in rows], [b * scale for b in offsets]) for rows, offsets in pairs]


def _twist(rows: list, offsets: list, twist: str) -> None:
    match twist:
        case "duplicate":
            rows[1], offsets[1] = list(rows[0]), offsets[0]
        case "opposite":
            rows[1], offsets[1] = [-w for w in rows[0]], -offsets[0]
        case "dead":
            rows[1], offsets[1] = [0.0 for _ in rows[0]], 0.0
        case "scaled":
            rows[1], offsets[1] = [2.0 * w for w in rows[0]], 2.0 * offsets[0]
        case "shifted":
            rows[1], offsets[1] = list(rows[0]), offsets[0] + GAP
        case "none":
            return


COORDINATES = st.integers(-6, 6).map(lambda n: Fraction(n, 2))
PLANE_POINTS = st.tuples(COORDINATES, COORDINATES)


@st.composite
def points_near(draw, lines):
    """A point of the plane: anywhere on a grid, or exactly on a hinge, or on a corner of hinges, or a gap beside."""
    point = draw(PLANE_POINTS)
    if not lines or draw(st.booleans()):
        return point
    line = draw(st.sampled_from(lines))
    point = _project(point, line)
    if draw(st.booleans()):
        point = _meet(line, draw(st.sampled_from(lines))) or point
    gap = draw(st.sampled_from([Fraction(0), Fraction(0), Fraction(GAP), -Fraction(GAP)]))
    return (point[0] + gap * line[0], point[1] + gap * line[1])


def _project(point, line):
    a, b, c = line
    t = (a * point[0] + b * point[1] + c) / (a * a + b * b)
    return (point[0] - t * a, point[1] - t * b)


def _meet(one, two):
    determinant = one[0] * two[1] - one[1] * two[0]
    if determinant == 0:
        return None
    return (
        (one[1] * two[2] - two[1] * one[2]) / determinant,
        (two[0] * one[2] - one[0] * two[2]) / determinant,
    )
