"""The enclosed world: midpoint-radius float64 tensors, whole batches at once, every rounding error inside the radius.

An Enclosure (mid, rad) says: the true real value lies in the real interval [mid - rad, mid + rad]. The bounds rest on
laws 1 to 5 of rounding.py, which also says what is assumed of the machine. Overflow and NaN become rad = inf, which
knows nothing; exact zeros stay exact, so that the sign 0 is a fact wherever it is given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic import windows as windowed
from dtdsym.arithmetic.kept import Kept
from dtdsym.arithmetic.rational import fraction
from dtdsym.arithmetic.rounding import ETA, GROW, UNIT, BoundedLayer, hull, nearest, require_subnormals, sum_error
from dtdsym.arithmetic.tensor import mask_tensor, read, take_entries
from dtdsym.arithmetic.unfold import batches, patches, unpatched
from dtdsym.arithmetic.windows import Pools, Windows
from dtdsym.errors import NotExact, ShapeMismatch

UNDECIDED = 2


@dataclass(frozen=True, eq=False)
class Enclosure:
    """The true value of each entry lies in [mid - rad, mid + rad].

    mid, rad: float64 tensors of one shape and device; mid finite, rad >= 0, and rad = inf knows nothing.
    ball: over the leading axes, or None: besides, ||true value - mid||_2 <= ball over the last axis (see ball.py).
    Operators take enclosures, numbers, and exact tensors or arrays; a boolean mask as a factor selects.
    """

    mid: torch.Tensor
    rad: torch.Tensor
    ball: torch.Tensor | None = None

    __array_ufunc__ = None  # numpy arrays on the left defer to the reflected operators below

    def __post_init__(self) -> None:
        if self.mid.shape != self.rad.shape:
            raise ShapeMismatch(f"midpoints of shape {tuple(self.mid.shape)}, radii of {tuple(self.rad.shape)}")
        if self.mid.dtype != torch.float64 or self.rad.dtype != torch.float64:
            raise NotExact(f"midpoints of {self.mid.dtype}, radii of {self.rad.dtype}; both must be torch.float64")
        if not (torch.isfinite(self.mid) & (self.rad >= 0)).all():
            raise NotExact("an enclosure needs finite midpoints and radii >= 0 (inf where nothing is known)")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of mid and of rad."""
        return tuple(self.mid.shape)

    def __len__(self) -> int:
        return len(self.mid)

    def __getitem__(self, index: Any) -> Enclosure:
        whole = isinstance(index, int | slice) or (isinstance(index, torch.Tensor) and index.ndim == 1)
        rows = self.ball[index] if whole and self.ball is not None and self.ball.ndim else None
        return made(self.mid[index], self.rad[index], rows)

    def reshape(self, *shape: int) -> Enclosure:
        """The same entries in another shape."""
        mid = self.mid.reshape(shape)
        kept = self.ball is not None and mid.shape[-1:] == self.mid.shape[-1:]
        ball = self.ball.reshape(mid.shape[:-1]) if self.ball is not None and kept else None
        return made(mid, self.rad.reshape(shape), ball)

    def expand(self, *shape: int) -> Enclosure:
        """The same entries broadcast to a shape."""
        kept = self.ball is not None and shape[-1] == self.mid.shape[-1]
        ball = self.ball.expand(shape[:-1]) if self.ball is not None and kept else None
        return made(self.mid.expand(shape), self.rad.expand(shape), ball)

    def unsqueeze(self, axis: int) -> Enclosure:
        """A new axis of length 1."""
        leading = self.ball is not None and 0 <= axis <= self.ball.ndim
        ball = self.ball.unsqueeze(axis) if self.ball is not None and leading else None
        return made(self.mid.unsqueeze(axis), self.rad.unsqueeze(axis), ball)

    def swapaxes(self, first: int, second: int) -> Enclosure:
        """Two axes exchanged."""
        return made(self.mid.swapaxes(first, second), self.rad.swapaxes(first, second))

    def to(self, device: torch.device | str) -> Enclosure:
        """The same enclosure on another device."""
        return made(self.mid.to(device), self.rad.to(device), None if self.ball is None else self.ball.to(device))

    def __neg__(self) -> Enclosure:
        return made(-self.mid, self.rad, self.ball)

    def __abs__(self) -> Enclosure:
        """||x| - |mid|| <= |x - mid| <= rad."""
        return made(self.mid.abs(), self.rad)

    def __add__(self, other: Any) -> Enclosure:
        """Radii add up, and the exact error of the sum (law 2) with them: exact sums of points stay points."""
        right = _operand(other, self)
        mid = self.mid + right.mid
        error = sum_error(self.mid, right.mid, mid)
        return settled(mid, error.abs_().add_(self.rad + right.rad).mul_(GROW))

    def __sub__(self, other: Any) -> Enclosure:
        return self + (-_operand(other, self))

    def __rsub__(self, other: Any) -> Enclosure:
        return _operand(other, self) + (-self)

    def __mul__(self, other: Any) -> Enclosure:
        """|xy - ab| <= |a| s + r (|b| + s) for |x - a| <= r, |y - b| <= s; law 1 bounds fl(ab) - ab.

        4 eta pay for the five eta/2 of these and the radius's own products. A factor 0 gives 0, exactly.
        """
        if getattr(other, "dtype", None) in (torch.bool, np.dtype(bool)):
            selected = ENCLOSURE.where(other, self, 0)
            kept = selected.shape == self.shape  # what is set to 0, exactly, is off by nothing
            return made(selected.mid, selected.rad, self.ball if kept else None)
        right = _operand(other, self)
        mid = self.mid * right.mid
        rad = self.rad * (right.mid.abs() + right.rad)
        rad = rad.add_(self.mid.abs() * right.rad).add_(mid.abs(), alpha=UNIT).add_(4 * ETA).mul_(GROW)
        return settled(mid, rad.masked_fill_(self.is_zero() | right.is_zero(), 0.0))

    def __truediv__(self, other: Any) -> Enclosure:
        """For |x - a| <= r, |y - b| <= s, q = fl(a/b): x/y - q = (x - q y)/y with |y| >= |b| - s, and
        |x - q y| <= |a - q b| + r + |q| s, where |a - q b| <= |b| (u |q| + eta/2) by law 1.

        The other eta pay for the radius's own products. Where y may be 0 nothing is known.
        """
        right = _operand(other, self)
        mid = self.mid / right.mid
        size = right.mid.abs()
        gap = size - right.rad
        rad = (mid.abs() * UNIT).add_(2 * ETA).mul_(size).add_(mid.abs() * right.rad).add_(self.rad).add_(4 * ETA)
        rad = rad.div_(gap).mul_(GROW).add_(4 * ETA).mul_(GROW).masked_fill_(gap <= 0, math.inf)
        return settled(mid, rad.masked_fill_(self.is_zero() & (gap > 0), 0.0))

    def __rtruediv__(self, other: Any) -> Enclosure:
        return _operand(other, self) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __eq__(self, other: object) -> torch.Tensor:  # type: ignore[override]
        gap = self._gap(other)
        return _decided(gap.is_zero(), gap.excludes_zero())

    def __ne__(self, other: object) -> torch.Tensor:  # type: ignore[override]
        return ~(self == other)

    def __ge__(self, other: Any) -> torch.Tensor:
        gap = self._gap(other)
        return _decided(gap.mid >= gap.rad, -gap.mid > gap.rad)

    def __gt__(self, other: Any) -> torch.Tensor:
        gap = self._gap(other)
        return _decided(gap.mid > gap.rad, -gap.mid >= gap.rad)

    def __le__(self, other: Any) -> torch.Tensor:
        return ~(self > other)

    def __lt__(self, other: Any) -> torch.Tensor:
        return ~(self >= other)

    def _gap(self, other: Any) -> Enclosure:
        """self - other, whose sign is what a comparison asks for; exact where both are points and one is zero."""
        right = _operand(other, self)
        return self if bool(right.is_zero().all()) else self - right

    def is_zero(self) -> torch.Tensor:
        """Boolean mask: exactly zero."""
        return (self.mid == 0) & (self.rad == 0)

    def excludes_zero(self) -> torch.Tensor:
        """Boolean mask: certainly not zero."""
        return self.mid.abs() > self.rad

    def lower(self) -> torch.Tensor:
        """The greatest float <= mid - rad (the one below it, where TwoSum overflows)."""
        low = self.mid - self.rad
        error = sum_error(self.mid, -self.rad, low)
        return torch.where(error >= 0, low, torch.nextafter(low, torch.full_like(low, -math.inf)))

    def upper(self) -> torch.Tensor:
        """The least float >= mid + rad, likewise."""
        return -(-self).lower()


class EnclosureArithmetic(Pools):
    """The arithmetic protocol on enclosures; weights are converted once a device, and kept while their arrays live."""

    def __init__(self) -> None:
        self._layers: Kept[BoundedLayer] = Kept()

    def lift(self, numbers: Any) -> Enclosure:
        """Points where float64 holds the numbers, else their least enclosures. Raises NotExact for other things."""
        return numbers if isinstance(numbers, Enclosure) else exact(numbers)

    def followed(self, value: Enclosure) -> Enclosure:
        """The same: what follows balls takes that of the radii where there is none."""
        return value

    def affine(self, weight: np.ndarray, bias: np.ndarray, value: Enclosure) -> Enclosure:
        """value @ weight.T + bias, weight (out, in), bias (out,), value (..., in); bounds: BoundedLayer."""
        (*batch, width), (outputs, inputs) = value.shape, weight.shape
        if width != inputs:
            raise ShapeMismatch(f"a value of width {width} meets a weight of shape {weight.shape}; expected {inputs}")
        device = value.mid.device
        layer = self._layers.get((weight, bias), device, lambda: BoundedLayer.of(weight, bias, device))
        flat = value.reshape(math.prod(batch), inputs)
        return settled(*layer(flat.mid, flat.rad)).reshape(*batch, outputs)

    def convolve(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, value: Enclosure) -> Enclosure:
        """The convolution, patch by patch through `affine`, so with its bounds; never by torch's own convolutions,
        which may use algorithms (Winograd, FFT) that law 4 does not cover."""
        *leading, width = value.shape
        mid, rad = value.mid.reshape(-1, width), value.rad.reshape(-1, width)
        groups = windowed.groups_of(weight, bias, windows)
        rows = []
        for part in batches(windows, len(mid)):
            seen = [patches(numbers[part], windows).swapaxes(-1, -2) for numbers in (mid, rad)]
            found = [
                self.affine(group.weight, group.bias, made(*(numbers[:, number] for numbers in seen)))
                for number, group in enumerate(groups)
            ]
            rows.append([torch.cat([_flat(own) for own in side], 1) for side in zip(*map(_sides, found), strict=True)])
        return made(
            *(
                torch.cat(side).reshape(*leading, len(weight) * math.prod(windows.positions))
                for side in zip(*rows, strict=True)
            )
        )

    def convolve_back(self, weight: np.ndarray, bias: np.ndarray, windows: Windows, row: Enclosure) -> Enclosure:
        """The transposed convolution, likewise: each entry adds up a number for every window that sees it (law 3)."""
        *leading, width = row.shape
        mid, rad = row.mid.reshape(-1, width), row.rad.reshape(-1, width)
        groups, channels = windowed.groups_of(weight, bias, windows), len(weight) // windows.groups
        parts = []
        for part in batches(windows, len(mid)):
            shape = (len(mid[part]), windows.groups, channels, width // len(weight))
            sides = [numbers[part].reshape(shape).swapaxes(-1, -2) for numbers in (mid, rad)]
            columns = [
                self.affine(group.transposed, group.no_bias, made(*(side[:, number] for side in sides)))
                for number, group in enumerate(groups)
            ]
            parts.append(_added_up(stack(columns, 1).swapaxes(-1, -2), windows))
        return made(
            *(torch.cat(side).reshape(*leading, windows.size) for side in zip(*map(_sides, parts), strict=True))
        )

    def scale(self, weight: np.ndarray, bias: np.ndarray, value: Enclosure) -> Enclosure:
        """value * weight + bias, channel by channel; constants that are no floats are enclosed."""
        return windowed.scale(self, weight, bias, value, (value.mid.device,))

    def take(self, value: Enclosure, index: np.ndarray) -> Enclosure:
        """Entries of the last axis, an exact zero where the index is -1."""
        return made(take_entries(value.mid, index), take_entries(value.rad, index))

    def take_back(self, row: Enclosure, inverse: np.ndarray) -> Enclosure:
        """Sums of the entries at inverse (size, m)."""
        return self.total(self.take(row, inverse))

    def add(self, left: Enclosure, right: Enclosure) -> Enclosure:
        """left + right."""
        return left + right

    def relu(self, value: Enclosure) -> Enclosure:
        """max(x, 0): itself where x >= 0, exactly 0 where x <= 0, the hull [0, upper] where the sign is undecided."""
        mid = value.mid.clamp_min(0.0)
        rad = torch.where(value.mid > 0, value.rad, 0.0)
        unsure = value.mid.abs() < value.rad
        if unsure.any():
            high = value[unsure].upper()
            mid[unsure], rad[unsure] = hull(torch.zeros_like(high), high)
        return made(mid, rad)

    def maximum(self, left: Any, right: Any) -> Enclosure:
        """max(left, right): one of them where decided, else the hull of the intervals' maxima."""
        left, right = _operand(left, right), _operand(right, left)
        low, high = torch.maximum(left.lower(), right.lower()), torch.maximum(left.upper(), right.upper())
        either = _where(right.lower() >= left.upper(), right, made(*hull(low, high)))
        return _where(left.lower() >= right.upper(), left, either)

    def first_maximum(self, entries: Enclosure) -> Enclosure:
        """1 where an entry certainly is the first greatest one, 0 where it certainly is not, else [0, 1]."""
        low, high = entries.lower(), entries.upper()
        earlier = torch.ones(entries.shape[-1], entries.shape[-1], dtype=torch.bool, device=low.device).tril(-1)
        above = low.unsqueeze(-1) > high.unsqueeze(-2)  # [..., i, j]: i certainly greater than j
        reaches = low.unsqueeze(-1) >= high.unsqueeze(-2)
        itself = torch.eye(entries.shape[-1], dtype=torch.bool, device=low.device)
        wins = (above | (reaches & ~earlier) | itself).all(-1)
        loses = (above.transpose(-1, -2) | (reaches.transpose(-1, -2) & earlier)).any(-1)
        half = torch.where(wins | loses, 0.0, 0.5).to(low.dtype)
        return made(torch.where(wins, 1.0, half).to(low.dtype), half)

    def where(self, mask: np.ndarray | torch.Tensor, yes: Any, no: Any) -> Enclosure:
        """yes where the decided boolean mask holds, else no; either may be a number."""
        yes, no = _operand(yes, no), _operand(no, yes)
        return _where(mask_tensor(mask, yes.mid.device), yes, no)

    def ratio(self, numerator: Any, denominator: Enclosure) -> Enclosure:
        """numerator / denominator, exactly 0 where either is exactly 0; unknown where the denominator may be 0."""
        numerator = _operand(numerator, denominator)
        zero = denominator.is_zero() | numerator.is_zero()
        return self.where(zero, 0, numerator / self.where(zero, 1, denominator))

    def join(self, parts: Sequence[Enclosure]) -> Enclosure:
        """Parts (..., k) side by side along the last axis."""
        return made(torch.cat([part.mid for part in parts], -1), torch.cat([part.rad for part in parts], -1))

    def total(self, value: Enclosure, axis: int = -1) -> Enclosure:
        """Sum over one axis of n entries: radii add up, and (n-1) u S with S = sum|mid| (law 3).

        (n+1) u S is taken instead: where S >= 2^-1022, the surplus 2 u S >= eta pays for the underflow of this product
        and of the last factor; below, all additions are exact. The last factor pays for n + 3 roundings (law 5).
        """
        n = value.shape[axis]
        rad = value.mid.abs().sum(axis).mul_((n + 1) * UNIT).add_(value.rad.sum(axis))
        return settled(value.mid.sum(axis), rad.mul_(1.0 + 2 * (n + 8) * UNIT))


ENCLOSURE = EnclosureArithmetic()


def exact(numbers: Any) -> Enclosure:
    """These numbers (a tensor, array, nested sequence or number), read exactly: points wherever float64 holds them."""
    require_subnormals(everywhere=True)
    return _lifted(numbers)


def from_fractions(numbers: Any) -> Enclosure:
    """The least enclosures, around the nearest floats, of a nested sequence or object array of rationals."""
    array = np.array(numbers, dtype=object)
    pairs = torch.tensor([nearest(fraction(number)) for number in array.flat], dtype=torch.float64)
    mid, rad = pairs.reshape(*array.shape, 2).unbind(-1)
    return Enclosure(mid, rad)


def stack(parts: Sequence[Enclosure], axis: int = 0) -> Enclosure:
    """Enclosures of one shape along a new axis."""
    return made(torch.stack([part.mid for part in parts], axis), torch.stack([part.rad for part in parts], axis))


def sign(value: Enclosure) -> torch.Tensor:
    """int8: +1, -1, 0 (exactly zero: mid = rad = 0), or UNDECIDED = 2 where the interval meets 0 and more."""
    decided = value.excludes_zero() | value.is_zero()
    return value.mid.sign().to(torch.int8).masked_fill_(~decided, UNDECIDED)


def _decided(yes: torch.Tensor, no: torch.Tensor) -> torch.Tensor:
    """The mask `yes`, a fact only if every entry is decided."""
    if not (yes | no).all():
        raise NotExact("a comparison needs decided signs, but an interval meets both; ask `sign`, then the rationals")
    return yes


def _sides(value: Enclosure) -> tuple[torch.Tensor, torch.Tensor]:
    return value.mid, value.rad


def _flat(rows: torch.Tensor) -> torch.Tensor:
    """(batch, positions, channels) to (batch, channels positions)."""
    return rows.swapaxes(-1, -2).flatten(1)


def _added_up(columns: Enclosure, windows: Windows) -> Enclosure:
    """(batch, groups, entries, positions) added up at each entry of the value, as `EnclosureArithmetic.total` does."""
    n = math.prod(windows.kernel)
    mid = unpatched(columns.mid, windows)
    rad = unpatched(columns.mid.abs(), windows).mul_((n + 1) * UNIT).add_(unpatched(columns.rad, windows))
    return settled(mid, rad.mul_(1.0 + 2 * (n + 8) * UNIT))


def made(mid: torch.Tensor, rad: torch.Tensor, ball: torch.Tensor | None = None) -> Enclosure:
    """An enclosure whose law is known to hold, so that it is not checked again."""
    found = object.__new__(Enclosure)
    object.__setattr__(found, "mid", mid)
    object.__setattr__(found, "rad", rad)
    object.__setattr__(found, "ball", ball)
    return found


def settled(mid: torch.Tensor, rad: torch.Tensor, ball: torch.Tensor | None = None) -> Enclosure:
    """The enclosure of a computed pair: whatever overflowed, or is NaN, knows nothing (mid 0, rad inf). A ball around
    midpoints that were moved for this knows nothing either."""
    require_subnormals()
    if ball is not None:
        ball = ball.nan_to_num(nan=math.inf, posinf=math.inf)
    if not math.isfinite(mid.sum() + rad.sum()):
        lost = ~(torch.isfinite(mid) & torch.isfinite(rad))
        if ball is not None:
            ball = ball.masked_fill(lost.any(-1), math.inf)
        mid, rad = mid.masked_fill(lost, 0.0), rad.masked_fill(lost, math.inf)
    return made(mid, rad, ball)


def _where(mask: torch.Tensor, yes: Enclosure, no: Enclosure) -> Enclosure:
    return made(torch.where(mask, yes.mid, no.mid), torch.where(mask, yes.rad, no.rad))


def _lifted(numbers: Any) -> Enclosure:
    value = read(numbers)
    if not isinstance(value, torch.Tensor):
        return from_fractions(value)
    mid = value.detach().to(torch.float64, copy=True)
    return made(mid, torch.zeros_like(mid))


def _operand(other: Any, like: Any) -> Enclosure:
    """`other` as an enclosure, on the device of `like` if that is one."""
    lifted = other if isinstance(other, Enclosure) else _lifted(other)
    return lifted.to(like.mid.device) if isinstance(like, Enclosure) else lifted
