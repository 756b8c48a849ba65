"""What is known of the coefficient tau of the propagation below a cut."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dtdsym.arithmetic.rational import ZERO, fraction, nearest_float
from dtdsym.relevance.diameter import Diameter


@dataclass(frozen=True)
class Tau:
    """value: tau where exact holds, else a proven upper bound of it. how: exact, disjoint, enclosure, composition,
    trivial or empty. pair: neurons of the cut whose columns attain it. why: what was in the way of more, for people."""

    value: Fraction
    exact: bool
    how: str
    pair: tuple[int, int] | None = None
    why: str = ""


@dataclass(frozen=True)
class Signed:
    """No bound is known: the propagation is not known to be by non-negative matrices."""

    why: str


def half(apart: Diameter) -> Fraction:
    """A proven upper bound of tau, from the greatest distance."""
    return min(Fraction(apart.high) / 2, Fraction(1))


def single(neurons: np.ndarray, *, surely: bool = True) -> Tau:
    """Of no column, or one; surely: that one counts."""
    if not len(neurons):
        return Tau(Fraction(0), True, "empty", why="no relevance of this layer's input reaches the network's input")
    if not surely:
        return Tau(Fraction(0), False, "enclosure", why="enclosures do not tell whether any relevance arrives")
    return Tau(Fraction(0), True, "exact", (int(neurons[0]), int(neurons[0])))


def unknown() -> Tau:
    """Nothing but tau <= 1."""
    return Tau(Fraction(1), False, "trivial", why="enclosures do not tell which columns are zero")


def negative(neuron: int, column: np.ndarray) -> str:
    """What is wrong with a column, in words."""
    places = np.flatnonzero(column < ZERO)
    return (
        f"relevance 1 of neuron {neuron} becomes {nearest_float(fraction(column[places[0]])):.4g} at input {places[0]}"
    )
