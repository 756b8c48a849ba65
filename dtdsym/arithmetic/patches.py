"""The windows of convolutions over one or two dimensions, unfolded strip by strip, and products with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch.nn.functional import pad, unfold

from dtdsym.arithmetic.split_products import Job
from dtdsym.arithmetic.windows import Windows

MOST = 1 << 24
"""Entries of patches that are held at once."""


def planar(windows: Windows) -> Windows:
    """The same windows over two dimensions, for one or two."""
    if len(windows.kernel) == 2:
        return windows
    (channels, length), (padding,) = windows.shape, windows.padding
    sides = {name: (1, *getattr(windows, name)) for name in ("kernel", "stride", "dilation")}
    return Windows((channels, 1, length), padding=((0, 0), padding), groups=windows.groups, **sides)


def reversed_windows(windows: Windows, channels: int) -> Windows:
    """The windows of the transposed map over outputs (channels, ...) spread `stride` apart, for the flipped kernel.

    Output p with tap t reads the input at p stride + t dilation - before, so input i gets from place p stride what tap
    t gives, place = i + before - t dilation: a window that starts at i + before - (k - 1) dilation, taps in reverse."""
    sides = list(zip(windows.shape[1:], windows.kernel, windows.stride, windows.padding, windows.dilation, strict=True))
    apart = tuple((p - 1) * s + 1 for p, (_, _, s, _, _) in zip(windows.positions, sides, strict=True))
    before = [d * (k - 1) - low for _, k, _, (low, _), d in sides]
    after = [n + d * (k - 1) - w - b for (n, k, _, _, d), w, b in zip(sides, apart, before, strict=True)]
    padding = tuple(zip(before, after, strict=True))
    return replace(windows, shape=(channels, *apart), stride=(1,) * len(apart), padding=padding)


def spread(value: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Outputs (batch, channels positions) with zeros in between: what reversed windows see."""
    batch, (first, second) = len(value), windows.positions
    (down, across) = windows.stride
    if windows.stride == (1, 1):
        return value
    wide = value.new_zeros(batch, value.shape[1] // (first * second), (first - 1) * down + 1, (second - 1) * across + 1)
    wide[:, :, ::down, ::across] = value.reshape(batch, -1, first, second)
    return wide.reshape(batch, -1)


@dataclass(frozen=True)
class Patches:
    """Windows over two dimensions; padding may be negative, which cuts off."""

    windows: Windows

    def multiply(self, blocks: torch.Tensor, values: Sequence[torch.Tensor], jobs: Sequence[Job]) -> list[torch.Tensor]:
        """`split_products.Multiply`: outputs (batch, channels, positions). blocks (groups, out, blocks n)."""
        batch, (groups, outputs) = len(values[0]), blocks.shape[:2]
        first, second = self.windows.positions
        found = [values[0].new_empty(batch, groups, outputs, first, second) for _ in jobs]
        for samples, rows, patches in self.strips(values):
            for out, job in zip(found, jobs, strict=True):
                parts = (blocks[:, :, a : a + size] @ patches[:, :, b : b + size] for a, b, size in job)
                out[samples, :, :, rows] = reduce(torch.Tensor.add_, parts).unflatten(-1, (-1, second))
        return [out.reshape(batch, groups * outputs, first * second) for out in found]

    def sums(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Sums over each window of maps (batch, channels, plane), channel by channel: (batch, channels, positions)."""
        channels = maps[0].shape[1]
        alone = Patches(replace(self.windows, shape=(channels, *self.windows.shape[1:]), groups=channels))
        parts = [
            patches.unflatten(2, (len(maps), -1)).sum(3)
            for _, _, patches in alone.strips([each.flatten(1) for each in maps], whole=True)
        ]
        return list(torch.cat(parts).unbind(2))

    def strips(
        self, values: Sequence[torch.Tensor], *, whole: bool = False
    ) -> Iterator[tuple[slice, slice, torch.Tensor]]:
        """Samples, rows of positions, and their patches (samples, groups, values n, positions), some at a time."""
        windows, batch = self.windows, len(values[0])
        top, left = windows.padding
        inner = windows.shape[0] // windows.groups * windows.kernel[0] * windows.kernel[1]
        first, second = windows.positions
        line = len(values) * windows.groups * inner * second
        count = first if whole else max(1, min(first, MOST // line))
        together = max(1, MOST // (line * count))
        reach = windows.dilation[0] * (windows.kernel[0] - 1) + 1
        for start in range(0, batch, together):
            planes = torch.stack([value[start : start + together] for value in values], 1)
            planes = _padded(planes.reshape(len(planes), -1, *windows.shape[1:]), (*left, *top))
            for row in range(0, first, count):
                rows = min(count, first - row)
                begin = row * windows.stride[0]
                strip = planes[:, :, begin : begin + (rows - 1) * windows.stride[0] + reach]
                patches = unfold(strip, windows.kernel, windows.dilation, 0, windows.stride)
                patches = patches.reshape(len(planes), len(values), windows.groups, inner, rows * second)
                patches = patches.transpose(1, 2).reshape(len(planes), windows.groups, -1, rows * second)
                yield slice(start, start + together), slice(row, row + rows), patches


def _padded(planes: torch.Tensor, sides: tuple[int, int, int, int]) -> torch.Tensor:
    """Zeros around (n, channels, height, width); torch refuses to cut off more than there is, after which only zeros
    of the padding are left."""
    left, right, top, bottom = sides
    height, width = planes.shape[2:]
    if min(left, right) <= -width or min(top, bottom) <= -height:
        return planes.new_zeros(*planes.shape[:2], height + top + bottom, width + left + right)
    return pad(planes, sides)
