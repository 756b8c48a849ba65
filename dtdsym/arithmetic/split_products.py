"""Matrix products of 100 bits and more out of float64 matrix products that round nothing (after Ozaki, Ogita, Oishi and
Rump, Error-free transformations of matrix multiplication, Numer. Algorithms 59, 2012).

Each row of the weights and each sample of the values is cut into slices of small integers,
    w = 2^d (w_0 + w_1 2^-t + w_2 2^-2t + ...),  |w_a| <= 2^beta,  t = beta + 1,
and values likewise, 2^c (x_0 + x_1 2^-t + ...). Then w x is 2^(c+d) times the sum over levels l of 2^-lt P_l, with
P_l = sum over a + b = l of w_a x_b.
(8) With n the inner dimension and L + 1 the most slices, beta = floor((53 - ceil(log2(n (L + 1)))) / 2). Each P_l is a
    sum of at most n (L + 1) products of integers of at most 2^beta, so every partial sum, in any order and blocking,
    with or without fused multiply-add, is an integer of at most 2^53: a float. One matrix product per level finds P_l
    without rounding, the slices standing side by side.
(9) Cutting is exact. With h + l + ... what is left of an entry, h as TwoSum leaves it, and s the unit of the next
    slice, a power of two, k = round(h / s), kept within 2^beta: h - k s is a float, for it is h, or a multiple of
    ulp(h) of at most |h|. Units are normal, since small rows are scaled up first (by powers of two, exactly). So
    whatever k is, nothing is lost; what the slices leave is kept, and measured where it matters.
(10) What the levels up to L leave is the sum over a of w_a x_{>L-a}, and w_{>L} x, with x_{>b} what b + 1 slices leave
    of x. It is a sum of plain products of inner dimension CHUNK or so, added one after the other, with h for x_{>b},
    which errs by u: |l| <= u |h| of two parts, and of more largest[b] counts 2^53 times all besides h. A product of
    entries passes through at most depth roundings, so (as in law 4) the error is at most
    (depth + 4) u sum_a ||w_a||_1 max|x_{>L-a}|, and 2^-300 pays for what underflows: all is scaled so that w_0 and x_0
    are integers. Where all that is left is 0, so is the error.
(11) L is the least with log2(depth u) - t (L + 1) <= -bits: errors are about 2^-bits of ||w||_1 max|x|. bits is what
    the parts of the values hold, two less: 104 for two of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import torch

from dtdsym.arithmetic.error_free import Parts, cascade, two_sum
from dtdsym.arithmetic.powers import MOST, exponent, power
from dtdsym.arithmetic.rounding import ETA, UNIT

CHUNK = 256
AT_A_TIME = 2**22  # weights that are cut
FLOOR = 2.0**-300

Job = Sequence[tuple[int, int, int]]
"""(first column of weights, first column of values, how many columns): matrix products that are added up in order."""
Multiply = Callable[[torch.Tensor, Sequence[torch.Tensor], Sequence[Job]], list[torch.Tensor]]
"""multiply(blocks of weights (groups, out, blocks n), values (batch, width) each, jobs): one result for each job, of
shape (batch, all outputs, positions)."""


@dataclass(frozen=True)
class Grid:
    """bits: beta. levels: L. inner: n. parts: how many those of the values are."""

    bits: int
    levels: int
    inner: int
    parts: int

    @staticmethod
    def of(inner: int, parts: int) -> Grid:
        """By laws 8 and 11."""
        for levels in count(1):
            grid = Grid((53 - _log2(inner * (levels + 1))) // 2, levels, inner, parts)
            if math.log2(grid.depth) - 53 - (levels + 1) * (grid.bits + 1) <= 2 - 53 * parts:
                break
        return grid

    @property
    def chunk(self) -> int:
        """Columns of one product in the sum of law 10: at least CHUNK, and the fewest roundings for many columns."""
        return max(CHUNK, math.isqrt(self.inner * (self.levels + 2)))

    @property
    def depth(self) -> int:
        """Roundings that one product of entries passes through in this sum, at most."""
        columns = self.inner * (self.levels + 2)
        return min(columns, self.chunk) + -(-columns // self.chunk)

    @property
    def last(self) -> int:
        """L t: 2^-last is the unit of the last level."""
        return self.levels * (self.bits + 1)

    @property
    def gamma(self) -> float:
        """Of law 10, with something for its own roundings."""
        return (self.depth + 16) * UNIT * (1 + 2.0**-20)


def _log2(number: int) -> int:
    """Rounded up."""
    return (number - 1).bit_length()


@dataclass(frozen=True, eq=False)
class Cut:
    """Rows (rows, width), cut: integer parts, and rests[b], what parts[:b] leave, as multiples of 2^unit.

    parts[b] counts in 2^-bt of 2^unit, unit (rows,). largest[b] (rows,) >= max|rests[b]|, 0 only if nothing is left.
    """

    parts: list[torch.Tensor]
    rests: list[torch.Tensor]
    unit: torch.Tensor
    largest: list[torch.Tensor]


def cut(values: Sequence[torch.Tensor], grid: Grid) -> Cut:
    """By law 9. Slices that are 0 everywhere, but for the first one, are left away with all that follows.

    Entries so large that they round to 2^1024 become NaN, and so does all that follows from them."""
    size = exponent(values[0].abs().amax(1, keepdim=True))
    up = (-size).clamp_min(0)
    left = [part * power(up) for part in values]
    unit = size + up + 1 + (size == MOST).long() - grid.bits  # 2^(unit + bits) exceeds all; at MOST by two powers
    parts: list[torch.Tensor] = []
    rests, largest = [left[0] * power(-unit)], [_largest(left, unit)]
    while not parts or (len(parts) <= grid.levels and largest[-1].any()):
        step = unit - len(parts) * (grid.bits + 1)
        part = torch.round(left[0] * power(-step)).clamp_(-(2.0**grid.bits), 2.0**grid.bits)
        left[0] = left[0] - part * power(step)
        for place in range(len(left) - 1):
            left[place], left[place + 1] = two_sum(left[place], left[place + 1])
        parts.append(part)
        rests.append(left[0] * power(-unit))
        largest.append(_largest(left, unit))
    return Cut(parts, rests, (unit - up).squeeze(1), largest)


def _largest(left: Sequence[torch.Tensor], unit: torch.Tensor) -> torch.Tensor:
    """(rows,) max|x_{>b}| in this unit, as law 10 needs it, rounded up; 0 only for rows of 0."""
    size = left[0].abs()
    for part in left[1:] if len(left) > 2 else ():
        size = size + part.abs() * 2.0**53
    most = size.amax(1, keepdim=True)
    return (most * power(-unit) * (1 + 8 * UNIT) + ETA).masked_fill_(most == 0, 0.0).squeeze(1)


@dataclass(frozen=True, eq=False)
class SplitWeight:
    """Weights (groups, out, n), cut once: blocks (groups, out, (slices + rest) n) side by side, the rest last.

    unit: (all outputs,). sums: (blocks, all outputs), at least the 1-norms of the blocks' rows, 0 only for rows of 0.
    slices: how many blocks are slices; another one is what they leave, if they leave anything.
    """

    blocks: torch.Tensor
    unit: torch.Tensor
    sums: torch.Tensor
    slices: int
    grid: Grid

    @staticmethod
    def of(weight: torch.Tensor, parts: int) -> SplitWeight:
        """From float64 (groups, out, n), for values of so many parts; a large one some rows at a time: cutting takes
        several times its size."""
        groups, outputs, inner = weight.shape
        each = max(1, AT_A_TIME // inner)
        if groups == 1 and outputs > each:
            return SplitWeight._put_together([SplitWeight.of(rows, parts) for rows in weight.split(each, 1)])
        grid = Grid.of(inner, parts)
        rows = weight.reshape(-1, inner)
        pieces = cut([rows], grid)
        blocks, slices = list(pieces.parts), len(pieces.parts)
        sums = [block.abs().sum(1) for block in blocks]
        if pieces.largest[slices].any():
            blocks.append(pieces.rests[slices])
            most = pieces.largest[slices]
            sums.append((blocks[slices].abs().sum(1) + inner * ETA).masked_fill_(most == 0, 0.0))
        side = torch.cat([block.reshape(groups, outputs, inner) for block in blocks], 2)
        bounds = torch.stack(sums).mul_(1 + 2 * (inner + 8) * UNIT)
        return SplitWeight(side, pieces.unit, bounds, slices, grid)

    @staticmethod
    def _put_together(rows: Sequence[SplitWeight]) -> SplitWeight:
        """One after another; where some have fewer slices, or no rest, the others' are 0."""
        grid, slices = rows[0].grid, max(part.slices for part in rows)
        count = slices + any(len(part.sums) > part.slices for part in rows)
        outputs = sum(part.blocks.shape[1] for part in rows)
        side = rows[0].blocks.new_zeros(1, outputs, count * grid.inner)
        sums, first = side.new_zeros(count, outputs), 0
        for part in rows:
            after = first + part.blocks.shape[1]
            for block in range(len(part.sums)):
                place = block if block < part.slices else slices
                columns = slice(place * grid.inner, (place + 1) * grid.inner)
                side[0, first:after, columns] = part.blocks[0, :, block * grid.inner : (block + 1) * grid.inner]
                sums[place, first:after] = part.sums[block]
            first = after
        return SplitWeight(side, torch.cat([part.unit for part in rows]), sums, slices, grid)


def split_product(weight: SplitWeight, values: Parts, multiply: Multiply) -> tuple[Parts, torch.Tensor]:
    """Parts (batch, all outputs, positions) of the product with values (batch, width) of as many parts, and the error.

    The error is 0 where the product is exact."""
    pieces = cut(values, weight.grid)
    terms = _levels(weight, pieces, multiply)
    left, error = _left(weight, pieces, multiply)
    parts, lost = cascade(terms + left, weight.grid.parts)
    unit = pieces.unit[:, None] + weight.unit
    return _scaled(unit, parts, (lost + error.unsqueeze(2)) * (1 + 2 * UNIT), weight.grid.last)


def _levels(weight: SplitWeight, pieces: Cut, multiply: Multiply) -> list[torch.Tensor]:
    """2^-lt P_l for all l up to L: the weights' slices a stand in order, those of the values, b = l - a, in reverse."""
    inner, last = weight.grid.inner, len(pieces.parts) - 1
    jobs: list[Job] = []
    scales = []
    for level in range(weight.grid.levels + 1):
        first, end = max(0, level - last), min(weight.slices, level + 1)
        if first < end:
            jobs.append([(first * inner, (last - level + first) * inner, (end - first) * inner)])
            scales.append(2.0 ** (-level * (weight.grid.bits + 1)))
    products = multiply(weight.blocks, pieces.parts[::-1], jobs)
    return [product.mul_(scale) for product, scale in zip(products, scales, strict=True)]


def _left(weight: SplitWeight, pieces: Cut, multiply: Multiply) -> tuple[list[torch.Tensor], torch.Tensor]:
    """What the levels leave, if anything, and the bound (batch, all outputs) of its error (law 10)."""
    levels, step = weight.grid.levels, weight.grid.bits + 1
    after = [(a, levels - a + 1) for a in range(weight.slices) if levels - a + 1 < len(pieces.rests)]
    after = [(a, b) for a, b in after if pieces.largest[b].any()]
    after += [(a, 0) for a in range(weight.slices, len(weight.sums))]
    if not after:
        return [], torch.zeros(len(pieces.unit), len(weight.unit), dtype=torch.float64, device=weight.unit.device)
    scales = [2.0 ** (-a * step) if a < weight.slices else 1.0 for a, _ in after]
    rests = [pieces.rests[b] * scale for (_, b), scale in zip(after, scales, strict=True)]
    sizes = torch.stack([pieces.largest[b] for _, b in after], 1)
    sums = weight.sums[after[0][0] :]
    scaled = sizes * torch.tensor(scales, dtype=torch.float64, device=sizes.device)
    touched = (sizes != 0).double() @ (sums != 0).double() > 0
    error = (scaled @ sums).mul_(weight.grid.gamma).add_(FLOOR).masked_fill_(~touched, 0.0)
    columns, chunk, start = len(after) * weight.grid.inner, weight.grid.chunk, after[0][0] * weight.grid.inner
    job = [(start + at, at, min(chunk, columns - at)) for at in range(0, columns, chunk)]
    return multiply(weight.blocks, rests, [job]), error


def _scaled(unit: torch.Tensor, parts: Parts, error: torch.Tensor, last: int) -> tuple[Parts, torch.Tensor]:
    """Parts and error (batch, out, positions) times 2^unit, unit (batch, out), in two steps; beyond the clamp all is
    below eta. Exact results, and what does not fit into their parts, are multiples of 2^(unit - last): only tiny units
    lose something of them, up to eta each. FLOOR pays for the others."""
    exponents = unit.clamp_min(-2040).unsqueeze(2)
    half = exponents >> 1
    first, second = power(half), power(exponents - half)
    tiny = exponents < max(-700, last - 1074)
    scaled = tuple(part * first * second for part in parts)
    if tiny.any():
        found = (parts[0] != 0) | (error != 0)
        for part in parts[1:]:
            found |= part != 0
        return scaled, error * first * second + (found & tiny).double() * ((2 * len(parts)) * ETA)
    return scaled, error * first * second
