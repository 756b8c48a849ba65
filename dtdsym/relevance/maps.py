"""Relevances as maps that can be compared: scaled to [0, 1] as Sixt and Landgraf 2022 scale them, and how far two are
apart. Floats, so measured, never proved.

The authors' code clips a map to its 0.5 and 99.5 percentiles and scales these to 0 and 1 (Section 5.2; of the absolute
values there, which z+ maps are). Spearman's rank correlation is that of Adebayo et al. 2018, arXiv:1810.03292.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dtdsym.errors import InputError

PERCENTILES = (0.5, 99.5)
MUCH = 0.25
"""A pixel that moves by more, of the scale from 0 to 1, has changed."""
LEAST_SPREAD = 1e-9
"""As a share of a map's largest absolute value: percentiles no further apart make a flat map, which is rounding when it
is scaled; and pixels no further apart rank alike."""
CHANNELS = ("sum", "each")
BINS = 100


@dataclass(frozen=True)
class Maps:
    """What a pixel of a map is. absolute: its relevance without the sign. channels: those of an input (channels,
    height, width) are added up, "sum", or are pixels of their own, "each"."""

    absolute: bool = False
    channels: str = "sum"

    def __post_init__(self) -> None:
        if self.channels not in CHANNELS:
            raise InputError(f"channels {self.channels!r}: expected {' or '.join(CHANNELS)}")

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of the map of an input of this shape."""
        return shape[1:] if self.channels == "sum" and len(shape) > 2 else shape

    def of(self, relevance: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Maps (batch, pixels) of relevances (batch, in) of inputs of this shape."""
        if self.shape(shape) != shape:
            relevance = relevance.reshape(len(relevance), shape[0], -1).sum(1)
        return relevance.abs() if self.absolute else relevance


@dataclass(frozen=True, eq=False)
class Distance:
    """Of pairs of maps (batch,): difference, the mean of |m - m'| over the pixels of scaled maps; changed, the share of
    pixels where it is above MUCH; rank_correlation, Spearman's, of the maps before scaling. NaN where one of a pair is
    flat. counts (BINS,): how many pixels have which |m - m'|, in equal parts of [0, 1]."""

    difference: torch.Tensor
    changed: torch.Tensor
    rank_correlation: torch.Tensor
    counts: torch.Tensor

    @classmethod
    def join(cls, parts: Sequence[Distance]) -> Distance:
        """Of all pairs, from those of parts of them."""
        return cls(
            torch.cat([part.difference for part in parts]),
            torch.cat([part.changed for part in parts]),
            torch.cat([part.rank_correlation for part in parts]),
            torch.stack([part.counts for part in parts]).sum(0),
        )


def distance(one: torch.Tensor, other: torch.Tensor) -> Distance:
    """How far maps (batch, pixels) are from others, pair by pair."""
    apart = (scaled(one) - scaled(other)).abs()
    flat = apart[:, 0].isnan()
    counts = torch.histc(apart, BINS, 0, 1).long()  # which ignores NaN
    changed = (apart > MUCH).to(apart.dtype).mean(1).masked_fill(flat, math.nan)
    correlation = rank_correlation(one, other).masked_fill(flat, math.nan)
    return Distance(apart.mean(1), changed, correlation, counts)


def scaled(maps: torch.Tensor) -> torch.Tensor:
    """Maps (batch, pixels), each clipped to its own percentiles, which become 0 and 1. A flat map is NaN."""
    low, high = limits(maps)
    spread = high - low
    flat = spread <= LEAST_SPREAD * maps.abs().amax(1, keepdim=True)
    found = (maps.maximum(low).minimum(high) - low) / spread.masked_fill(flat, 1)
    return found.masked_fill(flat, math.nan)


def limits(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The 0.5 and 99.5 percentiles of each map, (batch, 1) each; between two pixels by interpolation."""
    ordered = maps.sort(1).values
    found = []
    for percent in PERCENTILES:
        below, part = divmod(percent / 100 * (maps.shape[1] - 1), 1)
        above = min(int(below) + 1, maps.shape[1] - 1)
        found.append(torch.lerp(ordered[:, int(below)], ordered[:, above], part)[:, None])
    return found[0], found[1]


def rank_correlation(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Spearman's rank correlation of maps (batch, pixels), pair by pair (batch,); equal pixels share their mean rank.
    NaN where all pixels of a map are equal."""
    left, right = (ranks - ranks.mean(1, keepdim=True) for ranks in (_ranks(one), _ranks(other)))
    size = ((left * left).sum(1) * (right * right).sum(1)).sqrt()
    return ((left * right).sum(1) / size.masked_fill(size == 0, 1)).masked_fill(size == 0, math.nan)


def _ranks(maps: torch.Tensor) -> torch.Tensor:
    """Mean ranks (batch, pixels) from 0, of pixels rounded so far that what differs by rounding is equal."""
    largest = maps.abs().amax(1, keepdim=True)
    rounded = (maps / largest.masked_fill(largest == 0, 1) / LEAST_SPREAD).round()
    ordered = rounded.sort(1).values
    first, beyond = (torch.searchsorted(ordered, rounded, right=right) for right in (False, True))
    return (first + beyond - 1).to(maps.dtype) / 2
