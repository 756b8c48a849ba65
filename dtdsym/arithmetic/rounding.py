"""What float64 rounding can do, as proven bounds on torch tensors; enclosures are built on nothing else.

u = 2^-53 (UNIT), eta = 2^-1074 (ETA). For floats a, b, round to nearest, no overflow:
(1) |fl(a op b) - (a op b)| <= u |fl(a op b)|, plus eta/2 for * and / (Higham, Accuracy and Stability of Numerical
    Algorithms, 2002, Theorem 2.3 and section 2.1); fl(a + b) = a + b where |a + b| <= 2^-1021, on the grid of eta;
(2) the error of fl(a + b) is itself a float, and TwoSum finds it (Knuth; Handbook of Floating-Point Arithmetic, 4.3);
(3) a sum of n terms, in any order, errs by at most (n-1) u sum|terms| (Jeannerod and Rump, SIAM J. Matrix Anal. Appl.
    34, 2013);
(4) a sum of n products and one more term, in any order and blocking, with or without fused multiply-add, errs by at
    most g sum|products and term| + n eta, g = (n+1)u/(1-(n+1)u): no product passes through more than n + 1 roundings
    (Higham, section 3.1; Rump, Fast and parallel interval arithmetic, BIT 39, 1999, for radii by a second product);
(5) a radius that is made of sums and products of non-negative floats loses at most a factor 1 - u for each rounding,
    and eta/2 for each product or quotient. GROW = 1 + 16 u pays for 14 roundings and its own: (1+16u)(1-u)^15 >= 1.

Assumed: IEEE 754 float64, round to nearest, and matrix products that add up products (not Strassen's, not emulated).
Checked: subnormals are kept (`require_subnormals`). Where something overflows, a result is inf or NaN and stays so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from math import inf, nextafter

import numpy as np
import torch

from dtdsym.errors import NotExact

UNIT = 2.0**-53
ETA = 2.0**-1074
SMALLEST_NORMAL = 2.0**-1022
GROW = 1.0 + 16 * UNIT
PARALLEL_GRAIN = 32768  # elements that torch gives to one thread before it wakes the next


def require_subnormals(*, everywhere: bool = False) -> None:
    """Raises NotExact if this thread flushes subnormals; `everywhere` asks torch's worker threads too (some 50 us).

    Workers inherit the setting when they start and keep it when torch.set_flush_denormal is turned off again.
    """
    flushed = SMALLEST_NORMAL * 0.5 == 0.0  # the processor's own product, in this thread
    if everywhere and not flushed and torch.get_num_threads() > 1:
        probe = torch.ones(PARALLEL_GRAIN * torch.get_num_threads(), dtype=torch.float64)
        probe[:: PARALLEL_GRAIN // 8] = SMALLEST_NORMAL
        flushed = bool((probe.mul_(0.5) == 0).any())
    if flushed:
        raise NotExact(
            "subnormal numbers are flushed to zero on this thread or torch's workers, so no rounding bound holds; "
            "never call torch.set_flush_denormal(True) in this process"
        )


def sum_error(left: torch.Tensor, right: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    """left + right - total, exactly, for total = fl(left + right) (law 2); NaN where something overflows."""
    shadow = total - left
    error = total - shadow
    torch.sub(left, error, out=error)  # in place: large tensors cost more to allocate than to subtract
    torch.sub(right, shadow, out=shadow)
    return error.add_(shadow)


def nearest(number: Fraction) -> tuple[float, float]:
    """The nearest float and the least float >= its distance; (0, inf) beyond float64's range."""
    try:
        mid = float(number)
    except OverflowError:
        return 0.0, inf
    distance = abs(number - Fraction(mid))
    rad = float(distance)
    return mid, rad if Fraction(rad) >= distance else nextafter(rad, inf)


def quotient_by_root(number: float, square: Fraction) -> float:
    """number / sqrt(square), correctly rounded (ties to even). Raises ValueError for square <= 0, OverflowError."""
    if square <= 0:
        raise ValueError(f"the root of {square}, which is not positive")
    if number == 0:
        return 0.0
    target = Fraction(number) ** 2 / square
    # 120 bits of the root, from below; only an exact root or a tie can lie closer to a boundary than these bits tell.
    shift = 2 * (120 - (target.numerator.bit_length() - target.denominator.bit_length()) // 2)
    scaled = target.numerator << shift if shift >= 0 else target.numerator
    whole, rest = divmod(scaled, target.denominator if shift >= 0 else target.denominator << -shift)
    root = math.isqrt(whole)
    exact = rest == 0 and root * root == whole
    nearest = float(Fraction(2 * root + (0 if exact else 1), 2) / Fraction(2) ** (shift // 2))
    return math.copysign(nearest, number)


def hull(low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Midpoint and radius that enclose [low, high]; (0, inf) where an end is infinite."""
    mid = low * 0.5 + high * 0.5
    rad = torch.maximum(high - mid, mid - low)
    lost = ~torch.isfinite(rad)
    rad = torch.nextafter(rad, torch.full_like(rad, inf))
    return mid.masked_fill_(lost, 0.0), rad.masked_fill_(lost, inf)


@dataclass(frozen=True)
class BoundedLayer:
    """W x + b on midpoint-radius pairs: weight = W transposed (in, out), bias (out,), and the bounds of its rounding.

    For |x - m| <= r law 4 gives |fl(W m + b) - (W x + b)| <= |W| (r + g |m|) + g |b| + n eta. This bound is computed
    as t size + floor with t = fl(r + gamma |m|), gamma >= g + 3u. The product loses at most a factor 1 - g and n eta, t
    itself (1-u)^2 and eta, so that it suffices to have size >= |W| (1 + 2 gamma), and 0 where W is 0; and
    floor >= (gamma |b| + 2 eta sum_i|W_ji| + 4 n eta)(1 + 2 gamma), and 0 where all of W_j is 0.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    size: torch.Tensor
    floor: torch.Tensor
    gamma: float
    least: float

    @staticmethod
    def of(weight: np.ndarray, bias: np.ndarray, device: torch.device) -> BoundedLayer:
        """From exact float64 arrays (out, in) and (out,), which are copied."""
        exact, offset = (torch.tensor(a, dtype=torch.float64, device=device) for a in (weight, bias))
        n = weight.shape[1]
        gamma = (n + 4) * UNIT / (1 - 2 * (n + 4) * UNIT)
        size = exact.abs()
        floor = (offset.abs() * gamma + (size * (4 * ETA)).sum(1) + 8 * (n + 1) * ETA) * (1 + 8 * gamma)
        floor.masked_fill_((size == 0).all(1), 0.0)
        grown = torch.nextafter(size * (1 + 4 * gamma), torch.full_like(size, inf)).masked_fill_(size == 0, 0.0)
        least = float(grown.masked_fill(grown == 0, inf).min())
        return BoundedLayer(exact.T, offset, grown.T, floor, gamma, least)

    def __call__(self, mid: torch.Tensor, rad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Midpoints and radii (batch, out) from (batch, in). Where every product is an exact zero, so is the radius."""
        spread = mid.abs().mul_(self.gamma).add_(rad)
        unknown = None if torch.isfinite(spread.sum()) else torch.isinf(spread)
        bound = torch.mm(spread if unknown is None else spread.masked_fill(unknown, 0.0), self.size)
        none = bound == 0
        bound.add_(self.floor)
        if none.any():
            bound.masked_fill_(none & ~self._may_underflow(mid, rad), 0.0)
        if unknown is not None:  # inf times a weight that is exactly 0 is 0
            bound.masked_fill_((unknown.double() @ (self.size > 0).double()) > 0, inf)
        return torch.addmm(self.bias, mid, self.weight), bound

    def _may_underflow(self, mid: torch.Tensor, rad: torch.Tensor) -> torch.Tensor:
        """(batch, 1): whether a product in spread size could be 0 though neither factor is. Where none can, a sum of 0
        says that every product is 0, so that the value is the bias, exactly."""
        known = mid.abs().mul_(self.gamma).add_(rad)
        lost = ((known == 0) & (mid != 0)).any(1, keepdim=True)
        smallest = known.masked_fill_(known == 0, inf).amin(1, keepdim=True)
        return lost | (smallest * self.least < 2.0**-1000)
