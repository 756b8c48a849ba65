"""One value of the world of expansions: floats that add up to a centre of many bits, and a proven radius around it.

An Expansion (parts, rad) says: the true real value lies in [c - rad, c + rad], c the sum of the parts, each of which is
the nearest float to itself and the next; a ball besides, that all entries along the last axis together are no further
from their centres than that, in the Euclidean norm. Two parts hold some 106 bits, three 159. Sums and products of
centres go through exact transformations (error_free.py), and what these leave over is measured, not estimated: results
that fit into the parts stay exact, with radius 0. What overflows knows nothing: rad = inf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.error_free import (
    Parts,
    added,
    etas,
    normal,
    product,
    rounded_down,
    total_size,
    two_sum,
)
from dtdsym.arithmetic.expansion_balls import added_ball, scaled_ball, size_of, summed_ball
from dtdsym.arithmetic.expansion_parts import leading_index, read_parts
from dtdsym.arithmetic.norms import row_norms
from dtdsym.arithmetic.rounding import GROW, require_subnormals
from dtdsym.arithmetic.tensor import mask_tensor
from dtdsym.errors import NotExact, ShapeMismatch


@dataclass(frozen=True, eq=False)
class Expansion:
    """The true value of each entry lies in [c - rad, c + rad], c = parts[0] + parts[1] + ...

    parts: two float64 tensors or more, of one shape and device, the first finite, each fl(itself + the next); rad the
    same, >= 0, inf where nothing is known. ball: None, or a tensor of the leading shape, at least the Euclidean norm
    over the last axis of the true values' distances from c. Operators take what those of enclosures take.
    """

    parts: Parts
    rad: torch.Tensor
    ball: torch.Tensor | None = None

    __array_ufunc__ = None  # numpy arrays on the left defer to the reflected operators below

    def __post_init__(self) -> None:
        tensors = [*self.parts, self.rad] + ([] if self.ball is None else [self.ball])
        if any(part.shape != self.rad.shape for part in self.parts):
            raise ShapeMismatch(f"parts of {[tuple(part.shape) for part in self.parts]}, rad of {self.shape}")
        if self.ball is not None and self.ball.shape != self.rad.shape[:-1]:
            raise ShapeMismatch(
                f"a ball of {tuple(self.ball.shape)} for a value of {self.shape}: give the leading axes"
            )
        if any(part.dtype != torch.float64 for part in tensors):
            raise NotExact(f"{[part.dtype for part in tensors]}; all parts of an expansion must be torch.float64")
        whole = torch.isfinite(self.high) & (self.rad >= 0)
        for part, following in pairwise(self.parts):
            whole &= part + following == part
        if not whole.all() or not (self.ball is None or (self.ball >= 0).all()):
            raise NotExact(
                "an expansion needs a finite first part, each part fl(itself + the next), and radii >= 0 (inf where "
                "nothing is known)"
            )

    @property
    def high(self) -> torch.Tensor:
        """The first part: 0 only where the centre is 0, else of its sign."""
        return self.parts[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of each part, and of rad."""
        return tuple(self.rad.shape)

    @property
    def mid(self) -> torch.Tensor:
        """A float nearest the centre, for people."""
        return self.high

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.high.device

    def __len__(self) -> int:
        return len(self.high)

    def __getitem__(self, index: Any) -> Expansion:
        """The ball stays where only leading axes are indexed, and where the last one is sliced."""
        leading = leading_index(index if isinstance(index, tuple) else (index,), self.high.ndim)
        ball = None if self.ball is None or leading is None else self.ball[leading]
        return mapped(self, lambda part: part[index], ball)

    def reshape(self, *shape: int) -> Expansion:
        """The same entries in another shape. The ball stays if the last axis does."""
        high = self.high.reshape(shape)
        same = self.ball is not None and high.shape[-1:] == self.high.shape[-1:]
        ball = self.ball.reshape(high.shape[:-1]) if self.ball is not None and same else None
        return mapped(self, lambda part: part.reshape(shape), ball)

    def expand(self, *shape: int) -> Expansion:
        """The same entries broadcast to a shape. The ball stays if the last axis does."""
        high = self.high.expand(shape)
        same = self.ball is not None and high.shape[-1:] == self.high.shape[-1:]
        ball = self.ball.expand(high.shape[:-1]) if self.ball is not None and same else None
        return mapped(self, lambda part: part.expand(shape), ball)

    def unsqueeze(self, axis: int) -> Expansion:
        """A new axis of length 1. The ball stays unless it is the last."""
        place = axis % (self.high.ndim + 1)
        ball = self.ball.unsqueeze(place) if self.ball is not None and place < self.high.ndim else None
        return mapped(self, lambda part: part.unsqueeze(axis), ball)

    def swapaxes(self, first: int, second: int) -> Expansion:
        """Two axes exchanged. The ball stays unless one of them is the last."""
        a, b = first % self.high.ndim, second % self.high.ndim
        ball = self.ball.swapaxes(a, b) if self.ball is not None and max(a, b) < self.high.ndim - 1 else None
        return mapped(self, lambda part: part.swapaxes(a, b), ball)

    def to(self, device: torch.device | str) -> Expansion:
        """The same pair on another device."""
        return mapped(self, lambda part: part.to(device), None if self.ball is None else self.ball.to(device))

    def __neg__(self) -> Expansion:
        return made(tuple(-part for part in self.parts), self.rad, self.ball)

    def __abs__(self) -> Expansion:
        """||x| - |m|| <= |x - m|; the centre's sign is that of its first part."""
        down = self.high < 0
        return made(tuple(torch.where(down, -part, part) for part in self.parts), self.rad, self.ball)

    def __add__(self, other: Any) -> Expansion:
        """Radii and balls add up. All sums of centres are exact, but for what `added` measures."""
        left, right = both(self, other)
        parts, error = added(list(zip(left.parts, right.parts, strict=True)))
        return settled(parts, left.rad + right.rad, error, added_ball(left, right, error))

    def __sub__(self, other: Any) -> Expansion:
        left, right = both(self, other)
        return left + (-right)

    def __rsub__(self, other: Any) -> Expansion:
        return (-self) + other

    def __mul__(self, other: Any) -> Expansion:
        """|xy - mn| <= |m| s + r (|n| + s) for |x - m| <= r, |y - n| <= s, mn by `product`. A factor 0 gives exactly 0,
        and products of floats stay exact."""
        if getattr(other, "dtype", None) in (torch.bool, np.dtype(bool)):
            mask = mask_tensor(other, self.device)
            return where(mask, self, from_numbers(0.0, len(self.parts)).to(self.device))
        left, right = both(self, other)
        found, error = product(left.parts, right.parts)
        incoming = size_of(left) * right.rad + left.rad * (size_of(right) + right.rad)
        incoming += etas(4, left.rad, right.rad)
        zero = left.is_zero() | right.is_zero()
        *parts, error, incoming = (part.masked_fill(zero, 0.0) for part in (*found, error, incoming))
        return settled(parts, incoming, error, scaled_ball(left, right, error))

    def __truediv__(self, other: Any) -> Expansion:
        """x/y - q = (x - q y)/y for any q; with |x - m| <= r, |y - n| <= s it is at most (|m - q n| + r + |q| s)/|y|.

        q is the sum of as many floats as there are parts, each what is left of m, as a float, by the first part of n;
        what is left is computed as an expansion. Where it is exactly 0 in the end, so is the radius. Where y may be 0
        nothing is known."""
        left, right = both(self, other)
        rest, divisor = center(left), center(right)
        digits = []
        for _ in left.parts:
            digits.append(rest.high / divisor.high)
            rest = rest - divisor * _point(digits[-1], len(left.parts))
        gap = abs(right).lower()
        bound = size_of(rest) + rest.rad + left.rad + total_size(digits) * right.rad
        bound = (bound + etas(4, right.rad)) * GROW
        rad = (bound / gap + etas(2, bound)).masked_fill_(gap <= 0, math.inf)
        zero = left.is_zero() & (gap > 0)
        *digits, rad = (part.masked_fill(zero, 0.0) for part in (*digits, rad))
        return settled(digits, rad, torch.zeros_like(rad), None)

    def __rtruediv__(self, other: Any) -> Expansion:
        left, right = both(other, self)
        return left / right

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
        return (self.high == 0) & (self.rad == 0)

    def excludes_zero(self) -> torch.Tensor:
        """Boolean mask: certainly not zero."""
        return (self.lower() > 0) | (self.upper() < 0)

    def lower(self) -> torch.Tensor:
        """The greatest float <= c - rad, or one below it; -inf where TwoSum overflows."""
        total, errors = -self.rad, []
        for part in reversed(self.parts):
            total, error = two_sum(part, total)
            errors.append(error)
        bound = errors[0]
        for error in (*errors[1:], total):
            bound = rounded_down(error, bound)
        return bound.masked_fill_(torch.isnan(bound), -math.inf)

    def upper(self) -> torch.Tensor:
        """The least float >= c + rad, likewise."""
        return -(-self).lower()


def where(mask: torch.Tensor, yes: Expansion, no: Expansion) -> Expansion:
    """yes where the mask holds, else no. Of any row, some entries are yes's and the others no's: balls add up."""
    parts = tuple(torch.where(mask, a, b) for a, b in zip(yes.parts, no.parts, strict=True))
    return made(parts, torch.where(mask, yes.rad, no.rad), summed_ball(yes, no, parts[0].shape))


def made(parts: Parts, rad: torch.Tensor, ball: torch.Tensor | None = None) -> Expansion:
    """An expansion whose law is known to hold, so that it is not checked again."""
    value = object.__new__(Expansion)
    for name, part in (("parts", parts), ("rad", rad), ("ball", ball)):
        object.__setattr__(value, name, part)
    return value


def mapped(
    value: Expansion, change: Callable[[torch.Tensor], torch.Tensor], ball: torch.Tensor | None = None
) -> Expansion:
    """An expansion of the same entries, moved as `change` moves each part."""
    return made(tuple(change(part) for part in value.parts), change(value.rad), ball)


def joined_along(values: Sequence[Expansion], axis: int) -> Expansion:
    """Expansions one after the other along an axis, without their balls."""
    parts = zip(*(value.parts for value in values), strict=True)
    return made(tuple(torch.cat(part, axis) for part in parts), torch.cat([value.rad for value in values], axis))


def center(value: Expansion) -> Expansion:
    """The centre alone, exactly."""
    return made(value.parts, torch.zeros_like(value.rad))


def settled(
    parts: Sequence[torch.Tensor], incoming: torch.Tensor, error: torch.Tensor, ball: torch.Tensor | None
) -> Expansion:
    """The expansion of a computed centre, not yet normal, whose radius is made of two parts (law 5, for 12 roundings).

    A centre that overflowed, or is NaN, knows nothing (0, rad inf), and no ball holds there."""
    require_subnormals()
    parts, lost = normal(parts)
    rad = (incoming + error) * GROW
    if lost is not None:
        rad = (rad + lost) * GROW
        ball = None if ball is None else (ball + row_norms(lost)) * GROW
    total = sum(parts[1:], parts[0])
    if not math.isfinite(total.sum() + rad.sum()):
        fell = ~torch.isfinite(total)
        rad = rad.masked_fill(fell | torch.isnan(rad), math.inf)
        parts = tuple(part.masked_fill(fell, 0.0) for part in parts)
        ball = None if ball is None else ball.masked_fill(fell.any(-1), math.inf)
    return made(parts, rad, None if ball is None else ball.nan_to_num(math.inf, math.inf))


def from_numbers(numbers: Any, count: int) -> Expansion:
    """These numbers, as `read_parts` reads them."""
    return made(*read_parts(numbers, count))


def both(left: Any, right: Any) -> tuple[Expansion, Expansion]:
    """Two operands, one of which is an expansion at least, as expansions of as many parts on that one's device."""
    count = max(len(side.parts) for side in (left, right) if isinstance(side, Expansion))
    device = (left if isinstance(left, Expansion) else right).device
    return _as_expansion(left, count, device), _as_expansion(right, count, device)


def _as_expansion(number: Any, count: int, device: torch.device) -> Expansion:
    value = number if isinstance(number, Expansion) else from_numbers(number, count)
    zeros = (torch.zeros_like(value.rad),) * (count - len(value.parts))
    return made((*value.parts, *zeros), value.rad, value.ball).to(device)


def _point(number: torch.Tensor, count: int) -> Expansion:
    zero = torch.zeros_like(number)
    return made((number, *(zero,) * (count - 1)), zero)


def _decided(yes: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
    """The mask `yes`, a fact only if every entry is decided."""
    if not (yes | no).all():
        raise NotExact("a comparison needs decided signs, but an interval meets both; ask `sign`, then the rationals")
    return yes
