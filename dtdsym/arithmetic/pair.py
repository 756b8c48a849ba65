"""The paired world: enclosures of about 100 bits, in whole batches of float64 tensors; see pair_value.py for the value.

It stands between enclosures of 53 bits and rationals: the same protocol, some ten to twenty times the work of floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic import windows as windowed
from dtdsym.arithmetic.enclosure import UNDECIDED
from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.norms import norms_of_convolution, row_norms, spectral_of
from dtdsym.arithmetic.pair_balls import grown, norm_of, summed_ball
from dtdsym.arithmetic.pair_layers import AffineMap, ConvolutionMap, spread_apart
from dtdsym.arithmetic.pair_value import (
    Pair,
    from_numbers,
    joined_along,
    made,
    mapped,
    operand,
    settled,
    where,
)
from dtdsym.arithmetic.rounding import GROW, UNIT, require_subnormals
from dtdsym.arithmetic.tensor import mask_tensor, take_entries
from dtdsym.arithmetic.windows import Windows
from dtdsym.errors import ShapeMismatch

__all__ = ["PAIR", "UNDECIDED", "Pair", "PairArithmetic", "exact", "sign", "stack"]


class PairArithmetic:
    """The arithmetic protocol on pairs; weights are cut once a device, and kept while their arrays live."""

    def __init__(self) -> None:
        self._maps: Kept[AffineMap] = Kept()
        self._convolutions: Kept[ConvolutionMap] = Kept()
        self._constants: Kept[Pair] = Kept()
        self._repeats: Kept[int] = Kept()

    def lift(self, numbers: Any) -> Pair:
        """Floats exactly, rationals to some 106 bits. Raises NotExact for other things."""
        return numbers if isinstance(numbers, Pair) else exact(numbers)

    def followed(self, value: Pair) -> Pair:
        """The same with a ball, that of its radii where it has none: maps follow no ball that is not there."""
        return value if value.ball is not None else made(value.high, value.low, value.rad, row_norms(value.rad))

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: Pair) -> Pair:
        """value (..., in) @ weight.T + bias, weight (out, in), bias (out,)."""
        (*batch, width), (outputs, inputs) = value.shape, weight.shape
        if width != inputs:
            raise ShapeMismatch(f"a value of width {width} meets a weight of shape {weight.shape}; expected {inputs}")
        device = value.device
        layer = self._maps.get((weight,), device, lambda: AffineMap.of(weight, device))
        flat = value.reshape(math.prod(batch), inputs)
        found = layer(flat, self._constant(bias, device).high, lambda: spectral_of(weight, device))
        return found.reshape(*batch, outputs)

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: Pair) -> Pair:
        """The convolution: over one or two dimensions by patches that are cut before they are unfolded."""
        if len(windows.kernel) > 2:
            return windowed.convolve(self, weight, bias, windows, value)
        device = value.device
        layer = self._convolutions.get(
            (weight,), (windows, device, "forth"), lambda: ConvolutionMap.of(weight, windows, device)
        )
        flat = value.reshape(math.prod(value.shape[:-1]), value.shape[-1])
        bound = self._constant(bias, device).high, lambda: norms_of_convolution(weight, windows, device).spectral
        return layer(flat, *bound).reshape(*value.shape[:-1], -1)

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: Pair) -> Pair:
        """The transposed convolution, without bias: (..., outputs) to (..., inputs), by the flipped kernel."""
        if len(windows.kernel) > 2:
            return windowed.convolve_back(self, weight, bias, windows, row)
        device = row.device
        layer = self._convolutions.get(
            (weight,), (windows, device, "back"), lambda: ConvolutionMap.back(weight, windows, device)
        )
        flat = spread_apart(row.reshape(math.prod(row.shape[:-1]), row.shape[-1]), windows)
        no_bias = torch.zeros(windows.shape[0], dtype=torch.float64, device=device)
        found = layer(flat, no_bias, lambda: norms_of_convolution(weight, windows, device).spectral)
        return found.reshape(*row.shape[:-1], -1)

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: Pair) -> Pair:
        """value_i weight_c + bias_c, channel by channel; constants that are no floats are enclosed."""
        each = value.shape[-1] // len(weight)
        factor, summand = (self._constant(numbers, value.device, each) for numbers in (weight, bias))
        return value * factor + summand

    def take(self, value: Pair, index: np.ndarray) -> Pair:
        """Entries of the last axis, an exact zero where the index is -1. By index (out,), the ball grows by the root of
        how often one entry is taken; by more axes it is lost."""
        ball = None
        if value.ball is not None and index.ndim == 1:
            ball = grown(value.ball, math.sqrt(self._most(index)))
        return mapped(value, lambda part: take_entries(part, index), ball)

    def take_back(self, row: Pair, inverse: np.ndarray) -> Pair:
        """Sums of the entries at inverse (size, m): of m entries, the square is at most m times the sum of squares."""
        high, low, incoming, error = _collected(self.take(row, inverse))
        ball = None
        if row.ball is not None:
            factor = math.sqrt(inverse.shape[1] * self._most(inverse))
            ball = (grown(row.ball, factor) + row_norms(error)) * GROW
        return settled(high, low, incoming, error, ball)

    def add(self, left: Pair, right: Pair) -> Pair:
        """left + right."""
        return left + right

    def relu(self, value: Pair) -> Pair:
        """max(x, 0): |max(x, 0) - max(m, 0)| <= |x - m|, so radius and ball stay; exactly 0 where x <= 0."""
        keep = value.high > 0
        gone = value.upper() <= 0
        high, low = (part.masked_fill(~keep, 0.0) for part in (value.high, value.low))
        return made(high, low, value.rad.masked_fill(gone, 0.0), value.ball)

    def maximum(self, left: Any, right: Any) -> Pair:
        """max(left, right): |max(x, y) - max(m, n)| <= max(|x - m|, |y - n|), and only one counts where it is decided.
        Centres compare as their parts do, one after the other, for high is the nearest float."""
        left, right = operand(left, right), operand(right, left)
        ahead = (left.high > right.high) | ((left.high == right.high) & (left.low >= right.low))
        high, low = (torch.where(ahead, *parts) for parts in ((left.high, right.high), (left.low, right.low)))
        rad = torch.maximum(left.rad, right.rad)
        rad = torch.where(right.lower() >= left.upper(), right.rad, rad)
        rad = torch.where(left.lower() >= right.upper(), left.rad, rad)
        return made(high, low, rad, summed_ball(left, right, high.shape))

    def pool(self, value: Pair, columns: Sequence[np.ndarray]) -> Pair:
        """The greatest entry of each window, columns[k] (out,) its k-th entries. Each maximum is no further from its
        centre than some entry, so the ball grows by the root of how often one entry is used, over all columns."""
        bare = made(value.high, value.low, value.rad)
        found = reduce(self.maximum, (self.take(bare, column) for column in columns))
        if value.ball is None:
            return found
        most = self._repeats.get(tuple(columns), None, lambda: _most(np.concatenate(columns)))
        return made(found.high, found.low, found.rad, grown(value.ball, math.sqrt(most)))

    def first_maximum(self, entries: Pair) -> Pair:
        """1 at an entry that certainly is the first greatest one, 0 where one certainly is not, else [0, 1].

        The first greatest centre is compared with all others, as a pair: they lose if they are certainly less, or come
        later and certainly are not greater; it wins if all others lose."""
        width = entries.shape[-1]
        best = _first_greatest(entries)
        top = mapped(entries, lambda part: part.gather(-1, best))
        low = (top.expand(*entries.shape) - made(entries.high, entries.low, entries.rad)).lower()
        places = torch.arange(width, device=entries.device)
        itself = places == best
        loses = ((low > 0) | ((low >= 0) & (places > best))) & ~itself
        wins = itself & (loses | itself).all(-1, keepdim=True)
        half = torch.where(wins | loses, 0.0, 0.5).double()
        return made(torch.where(wins, 1.0, half), torch.zeros_like(half), half)

    def where(self, mask: np.ndarray | torch.Tensor, yes: Any, no: Any) -> Pair:
        """yes where the decided boolean mask holds, else no; either may be a number."""
        yes, no = operand(yes, no), operand(no, yes)
        return where(mask_tensor(mask, yes.device), yes, no)

    def ratio(self, numerator: Any, denominator: Pair) -> Pair:
        """numerator / denominator, exactly 0 where either is exactly 0; unknown where the denominator may be 0."""
        numerator = operand(numerator, denominator)
        zero = denominator.is_zero() | numerator.is_zero()
        return self.where(zero, 0, numerator / self.where(zero, 1, denominator))

    def join(self, parts: Sequence[Pair]) -> Pair:
        """Parts (..., k) side by side along the last axis."""
        joined = joined_along(parts, -1)
        if all(part.ball is None for part in parts):
            return joined
        balls = row_norms(torch.stack([norm_of(part, part.shape) for part in parts], -1))
        return made(joined.high, joined.low, joined.rad, balls)

    def total(self, value: Pair, axis: int = -1) -> Pair:
        """Sum over one axis of n entries. Their distances add up; over the last axis to sqrt(n) times the ball, at most
        (Cauchy and Schwarz). Over another one the balls add up."""
        high, low, incoming, error = _collected(value, axis)
        if value.ball is None:
            return settled(high, low, incoming, error, None)
        if axis % len(value.shape) == len(value.shape) - 1:
            most = grown(value.ball, math.sqrt(value.shape[-1]))
            return settled(high, low, torch.minimum(incoming, most), error, None)
        return settled(high, low, incoming, error, (_upper_sum(value.ball, axis) + row_norms(error)) * GROW)

    def _constant(self, numbers: np.ndarray, device: torch.device, each: int = 1) -> Pair:
        """Numbers (n,) as pairs (n each,) on a device."""

        def lifted() -> Pair:
            return mapped(from_numbers(numbers), lambda part: part.repeat_interleave(each).to(device))

        return self._constants.get((numbers,), (device, each), lifted)

    def _most(self, index: np.ndarray) -> int:
        return self._repeats.get((index,), None, lambda: _most(index))


PAIR = PairArithmetic()


def exact(numbers: Any) -> Pair:
    """These numbers (a tensor, array, nested sequence or number): floats exactly, rationals to some 106 bits."""
    require_subnormals(everywhere=True)
    return from_numbers(numbers)


def stack(parts: Sequence[Pair], axis: int = 0) -> Pair:
    """Pairs of one shape along a new axis, without their balls."""
    return joined_along([mapped(part, lambda tensor: tensor.unsqueeze(axis)) for part in parts], axis)


def sign(value: Pair) -> torch.Tensor:
    """int8: +1, -1, 0 (exactly zero: no radius), or UNDECIDED = 2 where the interval meets 0 and more."""
    up, down = value.lower() > 0, value.upper() < 0
    found = up.to(torch.int8) - down.to(torch.int8)
    return found.masked_fill_(~(up | down | value.is_zero()), UNDECIDED)


def _most(index: np.ndarray) -> int:
    """How often the most frequent entry is used; 1 if none is."""
    used = index[index >= 0]
    return int(np.bincount(used).max(initial=1))


def _first_greatest(entries: Pair) -> torch.Tensor:
    """(..., 1): the place of the first greatest centre, by high, then by low."""
    greatest = entries.high == entries.high.amax(-1, keepdim=True)
    low = entries.low.masked_fill(~greatest, -math.inf)
    best = greatest & (low == low.amax(-1, keepdim=True))
    return best.to(torch.int8).argmax(-1, keepdim=True)


def _collected(value: Pair, axis: int = -1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sums over one axis: high and low of the centres', by halving; the radii's; and the error of the former."""
    rest = made(value.high, value.low, torch.zeros_like(value.rad)).swapaxes(0, axis)
    if not len(rest):
        zero = value.high.sum(axis)
        return zero, zero, zero, zero
    while len(rest) > 1:
        half = len(rest) // 2
        pairs = rest[:half] + rest[half : 2 * half]
        rest = pairs if len(rest) % 2 == 0 else joined_along([pairs, rest[-1:]], 0)
    place = axis % len(value.shape)
    center = mapped(rest.swapaxes(0, place), lambda part: part.squeeze(place))
    return center.high, center.low, _upper_sum(value.rad, axis), center.rad


def _upper_sum(numbers: torch.Tensor, axis: int) -> torch.Tensor:
    """Sums of numbers >= 0, rounded up (law 3); additions do not underflow."""
    return numbers.sum(axis) * (1 + 2 * (numbers.shape[axis] + 8) * UNIT)
