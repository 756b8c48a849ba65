"""How far the normalised maps of two classes really are apart, for any rule: measured, where nothing bounds it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure
from dtdsym.arithmetic.rational import Proportions, apart, proportions
from dtdsym.geometry.budget import Meter
from dtdsym.network.evaluate import evaluate
from dtdsym.relevance.matrix import Propagation
from dtdsym.relevance.train_free import propagate


@dataclass(frozen=True)
class Change:
    """The L1 distance of the normalised maps of two logits lies in [low, high]: one number where it was found exactly.

    bounded: the cuts (node ids) at which no negative share of either logit arrives, so that a bound there holds of
    these two maps."""

    logits: tuple[int, int]
    low: Fraction
    high: Fraction
    bounded: frozenset[int]

    @property
    def exact(self) -> bool:
        """Whether it is one number."""
        return self.low == self.high

    @property
    def l1(self) -> Fraction:
        """The distance, or the middle of what encloses it."""
        return (self.low + self.high) / 2


@dataclass(frozen=True, eq=False)
class Map:
    """A map of one logit, (in,) of rationals as their proportions or (1, in) normalised in enclosures, and the cuts at
    which none of its shares is negative."""

    values: Any
    bounded: frozenset[int]


def class_changes(
    propagation: Propagation, logits: Sequence[int], cuts: Sequence[int], meter: Meter
) -> tuple[tuple[Change, ...], tuple[int, ...]]:
    """Of all pairs of these logits; and the logits that have no normalised map: f or R is 0, or not
    known not to be. Raises BudgetSpent."""
    maps: dict[int, Map] = {}
    for logit in logits:
        meter.tick()
        found = _map(propagation, logit, cuts)
        if found is not None:
            maps[logit] = found
    changes = tuple(_change((i, j), maps[i], maps[j]) for i, j in combinations(maps, 2))
    return changes, tuple(logit for logit in logits if logit not in maps)


def _map(propagation: Propagation, logit: int, cuts: Sequence[int]) -> Map | None:
    """The shares R/f of a logit f, divided by the sum of their sizes."""
    ops, one = propagation.ops, propagation.network.logit(logit)
    own = zip(one.nodes, propagation.network.nodes, strict=False)
    known = {index: propagation.values[index] for index, (node, other) in enumerate(own) if node is other}
    values = evaluate(one, ops, known)
    output = values[len(one.nodes) - 1]
    if not _positive(output) and not _positive(-output):
        return None
    relevance = propagate(one, ops, values, propagation.chosen)
    shares = relevance.input if _positive(output) else -relevance.input
    made = _normalised(shares) if isinstance(shares, Enclosure) else _proportions(shares[0])
    if made is None:
        return None
    arriving = {cut: relevance.at[cut] if _positive(output) else -relevance.at[cut] for cut in cuts}
    return Map(made, frozenset(cut for cut in cuts if _at_least_zero(arriving[cut])))


def _normalised(shares: Enclosure) -> Enclosure | None:
    total = ENCLOSURE.total(shares if _at_least_zero(shares) else abs(shares))
    return shares / total[..., None] if _positive(total) else None


def _proportions(shares: Any) -> Proportions | None:
    return proportions(shares) if (shares != 0).any() else None


def _at_least_zero(value: Any) -> bool:
    return bool((value.mid >= value.rad).all() if isinstance(value, Enclosure) else (value >= 0).all())


def _positive(value: Any) -> bool:
    return bool((value.mid > value.rad).all() if isinstance(value, Enclosure) else (value > 0).all())


def _change(logits: tuple[int, int], one: Map, other: Map) -> Change:
    bounded = one.bounded & other.bounded
    if not isinstance(one.values, Enclosure):
        distance = apart(one.values, other.values)
        return Change(logits, distance, distance, bounded)
    total = ENCLOSURE.total(abs(one.values - other.values))
    low, high = float(total.lower().clamp_min(0)), float(total.upper())
    return Change(logits, Fraction(low), Fraction(min(high, 2.0)), bounded)
