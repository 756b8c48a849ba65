"""One value of the paired world: two floats that add up to a centre of some 106 bits, and a proven radius around it.

A Pair (high, low, rad) says: the true real value lies in [high + low - rad, high + low + rad]; a ball besides, that all
entries along the last axis together are no further from their centres than that, in the Euclidean norm. Sums and
products of centres go through exact transformations (error_free.py), and what these leave over is measured, not
estimated: results that fit into two floats stay exact, with radius 0. What overflows knows nothing: rad = inf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.error_free import closed, etas, pair_product, rounded_down, two_sum
from dtdsym.arithmetic.pair_balls import added_ball, scaled_ball, size_of, summed_ball
from dtdsym.arithmetic.pair_parts import leading_index, read_parts
from dtdsym.arithmetic.rounding import GROW, require_subnormals
from dtdsym.arithmetic.tensor import mask_tensor
from dtdsym.errors import NotExact, ShapeMismatch


@dataclass(frozen=True, eq=False)
class Pair:
    """The true value of each entry lies in [high + low - rad, high + low + rad].

    high, low, rad: float64 tensors of one shape and device; high finite and high = fl(high + low); rad >= 0, inf where
    nothing is known. ball: None, or a tensor of the leading shape, at least the Euclidean norm over the last axis of
    the true values' distances from high + low. Operators take what those of enclosures take.
    """

    high: torch.Tensor
    low: torch.Tensor
    rad: torch.Tensor
    ball: torch.Tensor | None = None

    __array_ufunc__ = None  # numpy arrays on the left defer to the reflected operators below

    def __post_init__(self) -> None:
        parts = [self.high, self.low, self.rad] + ([] if self.ball is None else [self.ball])
        if not self.high.shape == self.low.shape == self.rad.shape:
            raise ShapeMismatch(f"high of {self.shape}, low of {tuple(self.low.shape)}, rad of {tuple(self.rad.shape)}")
        if self.ball is not None and self.ball.shape != self.high.shape[:-1]:
            raise ShapeMismatch(
                f"a ball of {tuple(self.ball.shape)} for a value of {self.shape}: give the leading axes"
            )
        if any(part.dtype != torch.float64 for part in parts):
            raise NotExact(f"{[part.dtype for part in parts]}; all parts of a pair must be torch.float64")
        whole = torch.isfinite(self.high) & (self.high + self.low == self.high) & (self.rad >= 0)
        if not whole.all() or not all((part >= 0).all() for part in parts[3:]):
            raise NotExact("a pair needs finite high = fl(high + low), and radii >= 0 (inf where nothing is known)")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of high, low and rad."""
        return tuple(self.high.shape)

    @property
    def mid(self) -> torch.Tensor:
        """The nearest float to the centre, for people."""
        return self.high

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.high.device

    def __len__(self) -> int:
        return len(self.high)

    def __getitem__(self, index: Any) -> Pair:
        """The ball stays where only leading axes are indexed, and where the last one is sliced."""
        leading = leading_index(index if isinstance(index, tuple) else (index,), self.high.ndim)
        ball = None if self.ball is None or leading is None else self.ball[leading]
        return mapped(self, lambda part: part[index], ball)

    def reshape(self, *shape: int) -> Pair:
        """The same entries in another shape. The ball stays if the last axis does."""
        high = self.high.reshape(shape)
        same = self.ball is not None and high.shape[-1:] == self.high.shape[-1:]
        ball = self.ball.reshape(high.shape[:-1]) if self.ball is not None and same else None
        return mapped(self, lambda part: part.reshape(shape), ball)

    def expand(self, *shape: int) -> Pair:
        """The same entries broadcast to a shape. The ball stays if the last axis does."""
        high = self.high.expand(shape)
        same = self.ball is not None and high.shape[-1:] == self.high.shape[-1:]
        ball = self.ball.expand(high.shape[:-1]) if self.ball is not None and same else None
        return mapped(self, lambda part: part.expand(shape), ball)

    def unsqueeze(self, axis: int) -> Pair:
        """A new axis of length 1. The ball stays unless it is the last."""
        place = axis % (self.high.ndim + 1)
        ball = self.ball.unsqueeze(place) if self.ball is not None and place < self.high.ndim else None
        return mapped(self, lambda part: part.unsqueeze(axis), ball)

    def swapaxes(self, first: int, second: int) -> Pair:
        """Two axes exchanged. The ball stays unless one of them is the last."""
        a, b = first % self.high.ndim, second % self.high.ndim
        ball = self.ball.swapaxes(a, b) if self.ball is not None and max(a, b) < self.high.ndim - 1 else None
        return mapped(self, lambda part: part.swapaxes(a, b), ball)

    def to(self, device: torch.device | str) -> Pair:
        """The same pair on another device."""
        return mapped(self, lambda part: part.to(device), None if self.ball is None else self.ball.to(device))

    def __neg__(self) -> Pair:
        return made(-self.high, -self.low, self.rad, self.ball)

    def __abs__(self) -> Pair:
        """||x| - |m|| <= |x - m|; the centre's sign is that of high, which is its nearest float."""
        down = self.high < 0
        return made(self.high.abs(), torch.where(down, -self.low, self.low), self.rad, self.ball)

    def __add__(self, other: Any) -> Pair:
        """Radii and balls add up. All sums of centres are exact, but for what `closed` measures."""
        right = operand(other, self)
        (high, above), (low, below) = two_sum(self.high, right.high), two_sum(self.low, right.low)
        middle, between = two_sum(above, low)
        high, low, error = closed(high, middle, between, below)
        return settled(high, low, self.rad + right.rad, error, added_ball(self, right, error))

    def __sub__(self, other: Any) -> Pair:
        return self + (-operand(other, self))

    def __rsub__(self, other: Any) -> Pair:
        return operand(other, self) + (-self)

    def __mul__(self, other: Any) -> Pair:
        """|xy - mn| <= |m| s + r (|n| + s) for |x - m| <= r, |y - n| <= s, m = h + l, n = h' + l'.

        mn = hh' + (hl' + lh') + ll': the first by law 7, of the others at most u |fl| + eta each; what the sums lose is
        exact; ll' is left out, |ll'| at most. A factor 0 gives 0, exactly; products of floats stay exact."""
        if getattr(other, "dtype", None) in (torch.bool, np.dtype(bool)):
            mask = mask_tensor(other, self.device)
            return where(mask, self, from_numbers(0.0).to(self.device))
        right = operand(other, self)
        high, low, error = pair_product(self.high, self.low, right.high, right.low)
        incoming = size_of(self) * right.rad + self.rad * (size_of(right) + right.rad)
        incoming += etas(4, self.rad, right.rad)
        zero = self.is_zero() | right.is_zero()
        high, low, error, incoming = (part.masked_fill(zero, 0.0) for part in (high, low, error, incoming))
        return settled(high, low, incoming, error, scaled_ball(self, right, error))

    def __truediv__(self, other: Any) -> Pair:
        """x/y - q = (x - q y)/y for any q; with |x - m| <= r, |y - n| <= s it is at most (|m - q n| + r + |q| s)/|y|.

        q is the sum of two floats, fl(h/h') and fl((m - q n)/h'), and m - q n is computed as a pair. Where the
        remainder is exactly 0, so is the radius. Where y may be 0 nothing is known."""
        right = operand(other, self)
        center, divisor = _center(self), _center(right)
        first = self.high / right.high
        rest = center - _point(first) * divisor
        second = rest.high / right.high
        rest = rest - _point(second) * divisor
        high, low = two_sum(first, second)
        gap = abs(right).lower()
        bound = size_of(rest) + rest.rad + self.rad + (high.abs() + low.abs()) * right.rad
        bound = (bound + etas(4, right.rad)) * GROW
        rad = (bound / gap + etas(2, bound)).masked_fill_(gap <= 0, math.inf)
        zero = self.is_zero() & (gap > 0)
        high, low, rad = (part.masked_fill(zero, 0.0) for part in (high, low, rad))
        return settled(high, low, rad, torch.zeros_like(rad), None)

    def __rtruediv__(self, other: Any) -> Pair:
        return operand(other, self) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __eq__(self, other: object) -> torch.Tensor:  # type: ignore[override]
        gap = self - other
        return _decided(gap.is_zero(), gap.excludes_zero())

    def __ne__(self, other: object) -> torch.Tensor:  # type: ignore[override]
        return ~(self == other)

    def __ge__(self, other: Any) -> torch.Tensor:
        gap = self - other
        return _decided(gap.lower() >= 0, gap.upper() < 0)

    def __gt__(self, other: Any) -> torch.Tensor:
        gap = self - other
        return _decided(gap.lower() > 0, gap.upper() <= 0)

    def __le__(self, other: Any) -> torch.Tensor:
        return ~(self > other)

    def __lt__(self, other: Any) -> torch.Tensor:
        return ~(self >= other)

    def is_zero(self) -> torch.Tensor:
        """Boolean mask: exactly zero."""
        return (self.high == 0) & (self.low == 0) & (self.rad == 0)

    def excludes_zero(self) -> torch.Tensor:
        """Boolean mask: certainly not zero."""
        return (self.lower() > 0) | (self.upper() < 0)

    def lower(self) -> torch.Tensor:
        """The greatest float <= high + low - rad, or one below it; -inf where TwoSum overflows."""
        low, least = two_sum(self.low, -self.rad)
        high, low = two_sum(self.high, low)
        bound = rounded_down(high, rounded_down(low, least))
        return bound.masked_fill_(torch.isnan(bound), -math.inf)

    def upper(self) -> torch.Tensor:
        """The least float >= high + low + rad, likewise."""
        return -(-self).lower()


def where(mask: torch.Tensor, yes: Pair, no: Pair) -> Pair:
    """yes where the mask holds, else no. Of any row, some entries are yes's and the others no's: balls add up."""
    high, low, rad = (torch.where(mask, a, b) for a, b in zip(_triple(yes), _triple(no), strict=True))
    return made(high, low, rad, summed_ball(yes, no, high.shape))


def made(high: torch.Tensor, low: torch.Tensor, rad: torch.Tensor, ball: torch.Tensor | None = None) -> Pair:
    """A pair whose law is known to hold, so that it is not checked again."""
    value = object.__new__(Pair)
    for name, part in (("high", high), ("low", low), ("rad", rad), ("ball", ball)):
        object.__setattr__(value, name, part)
    return value


def mapped(value: Pair, change: Callable[[torch.Tensor], torch.Tensor], ball: torch.Tensor | None = None) -> Pair:
    """A pair of the same entries, moved as `change` moves each part."""
    return made(change(value.high), change(value.low), change(value.rad), ball)


def joined_along(parts: Sequence[Pair], axis: int) -> Pair:
    """Pairs one after the other along an axis, without their balls."""
    sides = ([part.high for part in parts], [part.low for part in parts], [part.rad for part in parts])
    return made(torch.cat(sides[0], axis), torch.cat(sides[1], axis), torch.cat(sides[2], axis))


def settled(
    high: torch.Tensor, low: torch.Tensor, incoming: torch.Tensor, error: torch.Tensor, ball: torch.Tensor | None
) -> Pair:
    """The pair of a computed centre, not yet normal, whose radius is made of two parts (law 5, for 12 roundings).

    A centre that overflowed, or is NaN, knows nothing (0, rad inf), and no ball holds there."""
    require_subnormals()
    rad = (incoming + error) * GROW
    high, low = two_sum(high, low)
    if not math.isfinite(high.sum() + low.sum() + rad.sum()):
        fell = ~torch.isfinite(high + low)
        rad = rad.masked_fill(fell | torch.isnan(rad), math.inf)
        high, low = high.masked_fill(fell, 0.0), low.masked_fill(fell, 0.0)
        ball = None if ball is None else ball.masked_fill(fell.any(-1), math.inf)
    return made(high, low, rad, None if ball is None else ball.nan_to_num(math.inf, math.inf))


def from_numbers(numbers: Any) -> Pair:
    """These numbers, as `read_parts` reads them."""
    return made(*read_parts(numbers))


def operand(other: Any, like: Any) -> Pair:
    """`other` as a pair, on the device of `like` if that is one."""
    lifted = other if isinstance(other, Pair) else from_numbers(other)
    return lifted.to(like.device) if isinstance(like, Pair) else lifted


def _triple(value: Pair) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return value.high, value.low, value.rad


def _point(number: torch.Tensor) -> Pair:
    return made(number, torch.zeros_like(number), torch.zeros_like(number))


def _center(value: Pair) -> Pair:
    return made(value.high, value.low, torch.zeros_like(value.rad))


def _decided(yes: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
    """The mask `yes`, a fact only if every entry is decided."""
    if not (yes | no).all():
        raise NotExact("a comparison needs decided signs, but an interval meets both; ask `sign`, then the rationals")
    return yes
