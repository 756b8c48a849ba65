"""The plain world: torch tensors, float32 or float64, on any device, rounded as torch rounds. It decides nothing.

Here too: how numbers are read into tensors (exactly, or by name refused), and how converted weights are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch.nn import grad

from dtdsym.arithmetic import windows as windowed
from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.rational import fraction
from dtdsym.arithmetic.windows import Pools, Windows
from dtdsym.errors import NotExact


def read(numbers: Any) -> torch.Tensor | np.ndarray:
    """The numbers unrounded: a float tensor if float64 holds each of them, else an object array of Fractions.

    numbers: a tensor (returned as it stands if it is floating), an array, a nested sequence, or one number. Arrays of
    float32 stay float32; all other dtypes widen to float64. Raises NotExact for NaN, infinity or any other type.
    """
    if isinstance(numbers, torch.Tensor):
        if numbers.is_floating_point():
            return _finite(numbers)
        return read(numbers.cpu().numpy())
    array = numbers if isinstance(numbers, np.ndarray) else np.array(numbers, dtype=object)
    if array.dtype == np.float32:
        return _finite(torch.tensor(array))
    small = array.dtype.kind in "iu" and bool(((array <= 2**53) & (array >= -(2**53))).all())
    if small or array.dtype.kind == "b" or (array.dtype.kind == "f" and array.dtype.itemsize <= 8):
        return _finite(torch.tensor(array.astype(np.float64)))
    if all(isinstance(number, float) for number in array.flat):
        return _finite(torch.tensor([float(x) for x in array.flat], dtype=torch.float64).reshape(array.shape))
    exact = np.empty(array.size, dtype=object)
    exact[:] = [fraction(number) for number in array.flat]
    return exact.reshape(array.shape)


def _finite(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself. Raises NotExact, with the place, if an entry is NaN or infinite."""
    bad = ~torch.isfinite(tensor)
    if bad.any():
        where = bad.nonzero()[0].tolist()
        raise NotExact(f"entry {where} is {tensor[tuple(where)].item()}; every number must be finite")
    return tensor


_CONVOLUTIONS: dict[int, Any] = {
    1: torch.nn.functional.conv1d,
    2: torch.nn.functional.conv2d,
    3: torch.nn.functional.conv3d,
}
_TRANSPOSES: dict[int, Any] = {
    1: grad.conv1d_input,
    2: grad.conv2d_input,
    3: grad.conv3d_input,
}
_PLACES: Kept[tuple[torch.Tensor, bool]] = Kept()


def _symmetric(windows: Windows) -> bool:
    return all(low == high for low, high in windows.padding)


def take_entries(value: torch.Tensor, index: np.ndarray) -> torch.Tensor:
    """Entries of the last axis, (..., *index.shape); 0 where the index is -1. The index is kept on value's device."""
    places, padded = _PLACES.get((index,), value.device, lambda: _places(index, value.device))
    if padded:
        value = torch.nn.functional.pad(value, (0, 1))
        places = torch.where(places < 0, value.shape[-1] - 1, places)
    return value.index_select(-1, places).reshape(*value.shape[:-1], *index.shape)


def _places(index: np.ndarray, device: torch.device) -> tuple[torch.Tensor, bool]:
    return torch.tensor(index.reshape(-1), device=device), bool(index.size and index.min() < 0)


class TensorArithmetic(Pools):
    """The arithmetic protocol on plain tensors: each result is only what torch's rounding makes of it."""

    def __init__(self) -> None:
        self._weights: Kept[torch.Tensor] = Kept()

    def lift(self, numbers: Any) -> torch.Tensor:
        """Floating tensors and float32 arrays as they stand; all else as float64, Fractions rounded to nearest."""
        value = read(numbers)
        if isinstance(value, torch.Tensor):
            return value
        try:
            return torch.tensor([float(x) for x in value.flat], dtype=torch.float64).reshape(value.shape)
        except OverflowError as err:
            raise NotExact("a number lies beyond the range of float64; use the rational arithmetic for it") from err

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: torch.Tensor) -> torch.Tensor:
        """value (..., in) @ weight.T + bias, both converted to value's dtype and device."""
        return torch.nn.functional.linear(value, self._like(weight, value), self._like(bias, value))

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: torch.Tensor) -> torch.Tensor:
        """torch's own convolution where it has one, else by windows."""
        native = _CONVOLUTIONS.get(len(windows.kernel)) if _symmetric(windows) else None
        if native is None:
            return windowed.convolve(self, weight, bias, windows, value)
        out = native(
            value.reshape(-1, *windows.shape), self._like(weight, value), self._like(bias, value),
            windows.stride, [low for low, _ in windows.padding], windows.dilation, windows.groups,
        )  # fmt: skip
        return out.reshape(*value.shape[:-1], -1)

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: torch.Tensor) -> torch.Tensor:
        """The transposed convolution, likewise."""
        native = _TRANSPOSES.get(len(windows.kernel)) if _symmetric(windows) else None
        if native is None:
            return windowed.convolve_back(self, weight, bias, windows, row)
        samples = row.reshape(-1, len(weight), *windows.positions)
        out = native(
            (len(samples), *windows.shape), self._like(weight, row), samples,
            windows.stride, [low for low, _ in windows.padding], windows.dilation, windows.groups,
        )  # fmt: skip
        return out.reshape(*row.shape[:-1], -1)

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: torch.Tensor) -> torch.Tensor:
        """value * weight + bias, channel by channel."""
        return windowed.scale(self, weight, bias, value, (value.device, value.dtype))

    def take(self, value: torch.Tensor, index: np.ndarray) -> torch.Tensor:
        """Entries of the last axis; index -1 is a zero at the end."""
        return take_entries(value, index)

    def take_back(self, row: torch.Tensor, inverse: np.ndarray) -> torch.Tensor:
        """Sums of the entries at inverse (size, m)."""
        found = take_entries(row, inverse)
        return found[..., 0] if inverse.shape[1] == 1 else found.sum(-1)

    def add(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """left + right."""
        return left + right

    def relu(self, value: torch.Tensor) -> torch.Tensor:
        """max(value, 0)."""
        return value.clamp_min(0)

    def maximum(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """max(left, right)."""
        return torch.maximum(left, right)

    def first_maximum(self, entries: torch.Tensor) -> torch.Tensor:
        """Boolean mask."""
        columns = entries.unbind(-1)  # windows are short, and torch reduces short axes slowly
        greatest = reduce(torch.maximum, columns)
        mask = torch.empty(entries.shape, dtype=torch.bool, device=entries.device)
        open_ = torch.ones_like(greatest, dtype=torch.bool)
        for place, column in enumerate(columns):
            wins = (column == greatest) & open_
            mask[..., place] = wins
            open_ &= ~wins
        return mask

    def where(self, mask: np.ndarray | torch.Tensor, yes: Any, no: Any) -> torch.Tensor:
        """yes where the boolean mask holds, else no; either may be a number."""
        device = next((side.device for side in (yes, no) if isinstance(side, torch.Tensor)), None)
        return torch.where(mask_tensor(mask, device), yes, no)

    def ratio(self, numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
        """numerator / denominator, and 0 where the denominator is 0."""
        zero = denominator == 0
        return (numerator / denominator.masked_fill(zero, 1)).masked_fill(zero, 0)

    def join(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Parts (..., k) side by side along the last axis."""
        return torch.cat(list(parts), -1)

    def total(self, value: torch.Tensor, axis: int = -1) -> torch.Tensor:
        """Sum over one axis."""
        return value.sum(axis)

    def _like(self, array: np.ndarray, value: torch.Tensor) -> torch.Tensor:
        """The exact array in value's dtype and on its device; torch.tensor copies, so `array` is not held."""
        to = (value.dtype, value.device)
        return self._weights.get((array,), to, lambda: torch.tensor(array.astype(np.float64)).to(value))


TENSOR = TensorArithmetic()


def mask_tensor(mask: Any, device: torch.device | None) -> torch.Tensor:
    """A mask as a tensor; arrays are copied, since torch may not share those that must not be written to."""
    return mask if isinstance(mask, torch.Tensor) else torch.tensor(mask, device=device)
