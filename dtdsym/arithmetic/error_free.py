"""Sums and products of floats with their exact errors, on torch tensors: what pairs of floats are built on.

(6) A float a is a' + a'', both floats of at most 26 bits: a' is a, rounded to 26 bits, which is integer arithmetic on
    its bits; |a''| is at most 2^26 units in the last place of a, and a multiple of one.
(7) Let a, b be normal, p = fl(ab) with 2^-960 <= |p|, without overflow. In units of ulp(a) ulp(b) >= 2^-1074 and with
    2^52 <= |a|, |b| < 2^53: the four products of parts are exact (52 bits, on the grid of eta), ulp(p) is 2^52 or 2^53,
    and so are, one after the other,
        t = a'b' - p         a multiple of 2^52, at most 2 2^79 + 2^52 + 2^52;
        t = t + a'b''        = ab - p - a''b, a multiple of 2^27 (as a' is), at most 2^52 + 2^79;
        t = t + a''b'        = ab - p - a''b'', a multiple of 2^27 (as b' is), at most 2^52 + 2^52;
        t = t + a''b''       = ab - p, a multiple of 1, at most 2^52.
    Each is a float, so p + t = ab. (The classical proof is Dekker's, for his own splitting; 1971.)
    Otherwise |ab - p| <= u |p| + eta (law 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dtdsym.arithmetic.rounding import ETA, SMALLEST_NORMAL, UNIT, sum_error

_HALF, _MASK = 1 << 26, -(1 << 27)
_SAFE = 2.0**-960


def two_sum(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """fl(left + right) and its exact error (law 2)."""
    total = left + right
    return total, sum_error(left, right, total)


def two_product(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """p, t and r with |left right - (p + t)| <= r, by law 7, r = 0 where it holds; NaN where something overflows."""
    product = left * right
    (a, a_low), (b, b_low) = _halves(left), _halves(right)
    error = (a * b).sub_(product).add_(a * b_low).add_(a_low * b).add_(a_low * b_low)
    size = product.abs()
    least = torch.minimum(left.abs(), right.abs())
    zero = least == 0
    small = ((size < _SAFE) | (least < SMALLEST_NORMAL)) & ~zero
    return product, error.masked_fill_(small | zero, 0.0), (size.mul_(UNIT).add_(ETA)).masked_fill_(~small, 0.0)


def _halves(number: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """a' and a'' (law 6)."""
    high = ((number.contiguous().view(torch.int64) + _HALF) & _MASK).view(torch.float64)
    return high, number - high


def cascade(terms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """high, low, and the size of what they leave out of the sum of these terms, rounded a few times.

    Each term goes through up to three sums whose errors are exact; what the third loses is the first part of the rest,
    and what does not fit into two floats at the end the second."""
    sums, lost = [terms[0]], torch.zeros_like(terms[0])
    for term in terms[1:]:
        for place, total in enumerate(sums):
            sums[place], term = two_sum(total, term)
        if len(sums) < 3:
            sums.append(term)
        else:
            lost += term.abs()
    high, low, third = sums + [torch.zeros_like(lost)] * (3 - len(sums))
    low, third = two_sum(low, third)
    high, low = two_sum(high, low)
    low, third = two_sum(low, third)
    return *two_sum(high, low), lost + third.abs()


def rounded_down(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The greatest float <= left + right (the one below it, where TwoSum overflows)."""
    total, error = two_sum(left, right)
    return torch.where(error >= 0, total, torch.nextafter(total, torch.full_like(total, -torch.inf)))


def closed(
    high: torch.Tensor, middle: torch.Tensor, first: torch.Tensor, second: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """high + middle + two small terms as high + low, and the size of what is lost: the errors, exactly, of two sums."""
    high, low = two_sum(high, middle)
    third = first + second
    rest = low + third
    return high, rest, sum_error(first, second, third).abs_().add_(sum_error(low, third, rest).abs_())


def pair_product(
    high: torch.Tensor, low: torch.Tensor, other_high: torch.Tensor, other_low: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(h + l)(h' + l') as high + low, and at least the size of what is left out, but for 8 roundings (law 5).

    hh' by law 7; hl' and lh' err by at most u |fl| + eta/2 each, ll' is left out; 4 eta pay for these and for the
    products of the bound. What the sums lose is exact."""
    product, error, lost = two_product(high, other_high)
    ahead, behind = high * other_low, low * other_high
    lost = lost + (ahead.abs() + behind.abs()) * UNIT + (low * other_low).abs() + etas(4, low, other_low)
    cross, between = two_sum(ahead, behind)
    middle, below = two_sum(error, cross)
    total, rest, left_over = closed(product, middle, between, below)
    return total, rest, lost + left_over


def etas(count: int, *parts: torch.Tensor) -> torch.Tensor:
    """count eta where one of the parts is not 0: what underflowing products lose. (A bool times 2^-1074 is 0.)"""
    present = parts[0] != 0
    for part in parts[1:]:
        present = present | (part != 0)
    return present.double() * (count * ETA)
