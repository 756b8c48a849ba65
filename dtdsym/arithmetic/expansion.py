"""The world of expansions: enclosures of 100 bits and more, in whole batches of float64 tensors.

They stand between enclosures of 53 bits and rationals: the same protocol, for two parts at some ten to twenty times the
work of floats. expansion_value.py says what one value is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic import windows as windowed
from dtdsym.arithmetic.enclosure import UNDECIDED
from dtdsym.arithmetic.error_free import Parts, greater
from dtdsym.arithmetic.expansion_balls import grown, norm_of
from dtdsym.arithmetic.expansion_layers import AffineMap, ConvolutionMap, spread_apart
from dtdsym.arithmetic.expansion_value import (
    Expansion,
    both,
    center,
    from_numbers,
    joined_along,
    made,
    mapped,
    settled,
    where,
)
from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.norms import row_norms, spectral_of, spectral_of_convolution
from dtdsym.arithmetic.rounding import GROW, UNIT, require_subnormals
from dtdsym.arithmetic.tensor import mask_tensor, take_entries
from dtdsym.arithmetic.windows import Windows
from dtdsym.errors import ShapeMismatch

__all__ = ["PAIR", "UNDECIDED", "Expansion", "ExpansionArithmetic", "exact", "sign", "stack"]


class ExpansionArithmetic:
    """The arithmetic protocol on expansions of some parts; weights are cut once a device, and kept while they live."""

    def __init__(self, parts: int) -> None:
        """parts: 2 hold some 106 bits, 3 some 159, and so on."""
        self.parts = parts
        self._maps: Kept[AffineMap] = Kept()
        self._convolutions: Kept[ConvolutionMap] = Kept()
        self._constants: Kept[Expansion] = Kept()
        self._repeats: Kept[int] = Kept()

    def lift(self, numbers: Any) -> Expansion:
        """Floats exactly, rationals to 53 bits a part. Raises NotExact for other things."""
        return numbers if isinstance(numbers, Expansion) else exact(numbers, self.parts)

    def followed(self, value: Expansion) -> Expansion:
        """The same with a ball, that of its radii where it has none: maps follow no ball that is not there."""
        return value if value.ball is not None else made(value.parts, value.rad, row_norms(value.rad))

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: Expansion) -> Expansion:
        """value (..., in) @ weight.T + bias, weight (out, in), bias (out,)."""
        (*batch, width), (outputs, inputs) = value.shape, weight.shape
        if width != inputs:
            raise ShapeMismatch(f"a value of width {width} meets a weight of shape {weight.shape}; expected {inputs}")
        device = value.device
        layer = self._maps.get((weight,), device, lambda: AffineMap.of(weight, self.parts, device))
        flat = value.reshape(math.prod(batch), inputs)
        found = layer(flat, self._constant(bias, device).high, lambda: spectral_of(weight, device))
        return found.reshape(*batch, outputs)

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: Expansion) -> Expansion:
        """The convolution: over one or two dimensions by patches that are cut before they are unfolded."""
        if len(windows.kernel) > 2:
            return windowed.convolve(self, weight, bias, windows, value)
        device = value.device
        layer = self._convolutions.get(
            (weight,), (windows, device, "forth"), lambda: ConvolutionMap.of(weight, windows, self.parts, device)
        )
        flat = value.reshape(math.prod(value.shape[:-1]), value.shape[-1])
        bound = self._constant(bias, device).high, lambda: spectral_of_convolution(weight, windows, device)
        return layer(flat, *bound).reshape(*value.shape[:-1], -1)

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: Expansion) -> Expansion:
        """The transposed convolution, without bias: (..., outputs) to (..., inputs), by the flipped kernel."""
        if len(windows.kernel) > 2:
            return windowed.convolve_back(self, weight, bias, windows, row)
        device = row.device
        layer = self._convolutions.get(
            (weight,), (windows, device, "back"), lambda: ConvolutionMap.back(weight, windows, self.parts, device)
        )
        flat = spread_apart(row.reshape(math.prod(row.shape[:-1]), row.shape[-1]), windows)
        no_bias = torch.zeros(windows.shape[0], dtype=torch.float64, device=device)
        found = layer(flat, no_bias, lambda: spectral_of_convolution(weight, windows, device))
        return found.reshape(*row.shape[:-1], -1)

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: Expansion) -> Expansion:
        """value_i weight_c + bias_c, channel by channel; constants that are no floats are enclosed."""
        each = value.shape[-1] // len(weight)
        factor, summand = (self._constant(numbers, value.device, each) for numbers in (weight, bias))
        return value * factor + summand

    def take(self, value: Expansion, index: np.ndarray) -> Expansion:
        """Entries of the last axis, an exact zero where the index is -1. By index (out,), the ball grows by the root of
        how often one entry is taken; by more axes it is lost."""
        ball = None
        if value.ball is not None and index.ndim == 1:
            ball = grown(value.ball, math.sqrt(self._most(index)))
        return mapped(value, lambda part: take_entries(part, index), ball)

    def take_back(self, row: Expansion, inverse: np.ndarray) -> Expansion:
        """Sums of the entries at inverse (size, m): of m entries, the square is at most m times the sum of squares."""
        parts, incoming, error = _collected(self.take(row, inverse))
        ball = None
        if row.ball is not None:
            factor = math.sqrt(inverse.shape[1] * self._most(inverse))
            ball = (grown(row.ball, factor) + row_norms(error)) * GROW
        return settled(parts, incoming, error, ball)

    def add(self, left: Expansion, right: Expansion) -> Expansion:
        """left + right."""
        return left + right

    def relu(self, value: Expansion) -> Expansion:
        """max(x, 0): |max(x, 0) - max(m, 0)| <= |x - m|, so radius and ball stay; exactly 0 where x <= 0."""
        keep = value.high > 0
        gone = value.upper() <= 0
        parts = tuple(part.masked_fill(~keep, 0.0) for part in value.parts)
        return made(parts, value.rad.masked_fill(gone, 0.0), value.ball)

    def maximum(self, left: Any, right: Any) -> Expansion:
        """max(left, right), within what `_larger` says."""
        found, slip = _larger(*both(left, right))
        if slip is None:
            return found
        ball = None if found.ball is None else (found.ball + row_norms(slip)) * GROW
        return made(found.parts, (found.rad + slip) * GROW, ball)

    def pool(self, value: Expansion, columns: Sequence[np.ndarray]) -> Expansion:
        """The greatest entry of each window, columns[k] (out,) its k-th entries. Each maximum is no further from its
        centre than some entry, and what centres lack; so the ball grows by the root of how often one entry is used,
        over all columns."""
        bare = made(value.parts, value.rad)
        found, slips = self.take(bare, columns[0]), torch.zeros_like(bare.rad[..., :1])
        for column in columns[1:]:
            found, slip = _larger(found, self.take(bare, column))
            slips = slips if slip is None else slips + slip
        slips = slips * (1 + 2 * (len(columns) + 8) * UNIT)  # law 3
        rad = (found.rad + slips) * GROW if slips.any() else found.rad
        if value.ball is None:
            return made(found.parts, rad)
        most = self._repeats.get(tuple(columns), None, lambda: _most(np.concatenate(columns)))
        ball = (grown(value.ball, math.sqrt(most)) + row_norms(slips)) * GROW
        return made(found.parts, rad, ball)

    def first_maximum(self, entries: Expansion) -> Expansion:
        """1 at an entry that certainly is the first greatest one, 0 where one certainly is not, else [0, 1].

        The first greatest centre is compared with all others, in all parts: they lose if they are certainly less, or
        come later and certainly are not greater; it wins if all others lose."""
        width = entries.shape[-1]
        best = _first_greatest(entries)
        top = mapped(entries, lambda part: part.gather(-1, best))
        low = (top.expand(*entries.shape) - made(entries.parts, entries.rad)).lower()
        places = torch.arange(width, device=entries.device)
        itself = places == best
        loses = ((low > 0) | ((low >= 0) & (places > best))) & ~itself
        wins = itself & (loses | itself).all(-1, keepdim=True)
        half = torch.where(wins | loses, 0.0, 0.5).double()
        zeros = (torch.zeros_like(half),) * (len(entries.parts) - 1)
        return made((torch.where(wins, 1.0, half), *zeros), half)

    def where(self, mask: np.ndarray | torch.Tensor, yes: Any, no: Any) -> Expansion:
        """yes where the decided boolean mask holds, else no; either may be a number."""
        if not isinstance(no, Expansion):
            no = self.lift(no)
        yes, no = both(yes, no)
        return where(mask_tensor(mask, yes.device), yes, no)

    def ratio(self, numerator: Any, denominator: Expansion) -> Expansion:
        """numerator / denominator, exactly 0 where either is exactly 0; unknown where the denominator may be 0."""
        numerator, denominator = both(numerator, denominator)
        zero = denominator.is_zero() | numerator.is_zero()
        return self.where(zero, 0, numerator / self.where(zero, 1, denominator))

    def join(self, parts: Sequence[Expansion]) -> Expansion:
        """Parts (..., k) side by side along the last axis."""
        joined = joined_along(parts, -1)
        if all(part.ball is None for part in parts):
            return joined
        balls = row_norms(torch.stack([norm_of(part, part.shape) for part in parts], -1))
        return made(joined.parts, joined.rad, balls)

    def total(self, value: Expansion, axis: int = -1) -> Expansion:
        """Sum over one axis of n entries. Their distances add up; over the last axis to sqrt(n) times the ball, at most
        (Cauchy and Schwarz). Over another one the balls add up."""
        place = axis % len(value.shape)  # balls have one axis less
        parts, incoming, error = _collected(value, place)
        if value.ball is None:
            return settled(parts, incoming, error, None)
        if place == len(value.shape) - 1:
            most = grown(value.ball, math.sqrt(value.shape[-1]))
            return settled(parts, torch.minimum(incoming, most), error, None)
        return settled(parts, incoming, error, (_upper_sum(value.ball, place) + row_norms(error)) * GROW)

    def _constant(self, numbers: np.ndarray, device: torch.device, each: int = 1) -> Expansion:
        """Numbers (n,) as expansions (n each,) on a device."""

        def lifted() -> Expansion:
            return mapped(from_numbers(numbers, self.parts), lambda part: part.repeat_interleave(each).to(device))

        return self._constants.get((numbers,), (device, each), lifted)

    def _most(self, index: np.ndarray) -> int:
        return self._repeats.get((index,), None, lambda: _most(index))


PAIR = ExpansionArithmetic(2)


def exact(numbers: Any, parts: int = 2) -> Expansion:
    """These numbers (a tensor, array, nested sequence or number): floats exactly, rationals to 53 bits a part."""
    require_subnormals(everywhere=True)
    return from_numbers(numbers, parts)


def stack(parts: Sequence[Expansion], axis: int = 0) -> Expansion:
    """Expansions of one shape along a new axis, without their balls."""
    return joined_along([mapped(part, lambda tensor: tensor.unsqueeze(axis)) for part in parts], axis)


def sign(value: Expansion) -> torch.Tensor:
    """int8: +1, -1, 0 (exactly zero: no radius), or UNDECIDED = 2 where the interval meets 0 and more."""
    up, down = value.lower() > 0, value.upper() < 0
    found = up.to(torch.int8) - down.to(torch.int8)
    return found.masked_fill_(~(up | down | value.is_zero()), UNDECIDED)


def _most(index: np.ndarray) -> int:
    """How often the most frequent entry is used; 1 if none is."""
    used = index[index >= 0]
    return int(np.bincount(used).max(initial=1))


def _larger(left: Expansion, right: Expansion) -> tuple[Expansion, torch.Tensor | None]:
    """max(x, y), and what its centre may lack, besides: |max(x, y) - max(m, n)| <= max(|x - m|, |y - n|), and only one
    counts where it is decided."""
    ahead, slip = greater(left.parts, right.parts)
    found = where(ahead, left, right)
    rad = torch.maximum(left.rad, right.rad)
    rad = torch.where(right.lower() >= left.upper(), right.rad, rad)
    rad = torch.where(left.lower() >= right.upper(), left.rad, rad)
    return made(found.parts, rad, found.ball), slip


def _first_greatest(entries: Expansion) -> torch.Tensor:
    """(..., 1): the place of the first greatest centre, part by part."""
    best = torch.ones_like(entries.high, dtype=torch.bool)
    for part in entries.parts:
        among = part.masked_fill(~best, -math.inf)
        best &= among == among.amax(-1, keepdim=True)
    return best.to(torch.int8).argmax(-1, keepdim=True)


def _collected(value: Expansion, axis: int = -1) -> tuple[Parts, torch.Tensor, torch.Tensor]:
    """Sums over one axis: the parts of the centres', by halving; the radii's; and the error of the former."""
    rest = center(value).swapaxes(0, axis)
    if not len(rest):
        zero = value.rad.sum(axis)
        return (zero,) * len(value.parts), zero, zero
    while len(rest) > 1:
        half = len(rest) // 2
        pairs = rest[:half] + rest[half : 2 * half]
        rest = pairs if len(rest) % 2 == 0 else joined_along([pairs, rest[-1:]], 0)
    place = axis % len(value.shape)
    found = mapped(rest.swapaxes(0, place), lambda part: part.squeeze(place))
    return found.parts, _upper_sum(value.rad, axis), found.rad


def _upper_sum(numbers: torch.Tensor, axis: int) -> torch.Tensor:
    """Sums of numbers >= 0, rounded up (law 3); additions do not underflow."""
    return numbers.sum(axis) * (1 + 2 * (numbers.shape[axis] + 8) * UNIT)
