"""Windows of float tensors as matrices, by torch's own unfolding where that can express them: copies, and plain sums.

A value (batch, size) is flat. Its patches are (batch, groups, entries of a window, positions).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from dtdsym.arithmetic.tensor import take_entries
from dtdsym.arithmetic.windows import Windows

NUMBERS = 2**25
"""Most numbers that the patches made at a time hold: 256 MiB of float64."""


def patches(value: torch.Tensor, windows: Windows) -> torch.Tensor:
    """(batch, groups, entries, positions): what each window sees, 0 in the padding."""
    if not _unfolds(windows):
        return take_entries(value, windows.index).swapaxes(-1, -2)
    images = value.reshape(len(value), *windows.shape)
    found = torch.nn.functional.unfold(
        images, windows.kernel, windows.dilation, tuple(low for low, _ in windows.padding), windows.stride
    )
    return found.reshape(len(value), windows.groups, windows.entries, found.shape[-1])


def unpatched(columns: torch.Tensor, windows: Windows) -> torch.Tensor:
    """The transpose of `patches`: (batch, groups, entries, positions) added up at each entry (batch, size).

    Each is a sum of at most prod(kernel) terms."""
    if not _unfolds(windows):
        flat = columns.swapaxes(-1, -2).flatten(1)
        return take_entries(flat, windows.inverse).sum(-1)
    padding = tuple(low for low, _ in windows.padding)
    found = torch.nn.functional.fold(
        columns.flatten(1, 2), windows.shape[1:], windows.kernel, windows.dilation, padding,
        windows.stride,
    )  # fmt: skip
    return found.reshape(len(columns), windows.size)


def window_sums(value: torch.Tensor, windows: Windows) -> torch.Tensor:
    """(batch, groups, positions): the sum of all that a window sees, without making the patches."""
    shape, groups = windows.shape, windows.groups
    each = value.reshape(len(value) * groups, shape[0] // groups, math.prod(shape[1:])).sum(1)
    plane = replace(windows, shape=(1, *shape[1:]), groups=1)
    return patches(each, plane).sum(-2).reshape(len(value), groups, math.prod(windows.positions))


def batches(windows: Windows, count: int) -> list[slice]:
    """Parts of a batch whose patches hold about NUMBERS numbers, at least one sample each; one part if it is empty."""
    one = windows.shape[0] * math.prod(windows.kernel) * math.prod(windows.positions)
    each = max(1, NUMBERS // one)
    return [slice(start, min(start + each, count)) for start in range(0, max(count, 1), each)]


def _unfolds(windows: Windows) -> bool:
    return len(windows.kernel) == 2 and all(low == high for low, high in windows.padding)
