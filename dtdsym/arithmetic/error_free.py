"""Sums and products of floats with their exact errors, on torch tensors: what expansions are built on.

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

Parts = tuple[torch.Tensor, ...]
"""Floats that add up to one number, the greatest first. Normal: each is the nearest float to itself and the next."""

_HALF, _MASK = 1 << 26, -(1 << 27)
_SAFE = 2.0**-960
GROWN = 1 + 128 * UNIT  # for some sixty roundings of a bound, and its own (law 5)


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


def cascade(terms: Sequence[torch.Tensor], count: int) -> tuple[Parts, torch.Tensor]:
    """So many floats near the sum of these terms, not normal yet, and at least the size of what they leave out.

    Each term goes through count + 1 sums whose errors are exact; what the last of them loses is the first part of the
    rest, and what does not fit into `count` floats at the end the second."""
    sums, lost = [terms[0]], torch.zeros_like(terms[0])
    for term in terms[1:]:
        sums, left = rippled(sums, term)
        if len(sums) <= count:
            sums.append(left)
        else:
            lost += left.abs()
    for first in range(len(sums) - 1):
        sums[first:] = _lifted(sums[first:])
    if len(sums) > count:
        lost += sums.pop().abs()
    zeros = [torch.zeros_like(lost)] * (count - len(sums))
    return (*sums, *zeros), lost.mul_(1 + 2 * (len(terms) + 4) * UNIT)


def added(levels: Sequence[Sequence[torch.Tensor]]) -> tuple[Parts, torch.Tensor]:
    """As many floats as there are levels near the sum of all terms, not normal yet, and at least the size of what they
    leave out.

    Each level's terms, usually some 2^-53 times those before, become one; the exact errors go to the next level. Those
    of the last are added to the last float in the end: what these sums lose is measured."""
    sums: list[torch.Tensor] = []
    errors: list[torch.Tensor] = []
    for terms in levels:
        total, *rest = [*terms, *errors]
        errors = []
        for term in rest:
            total, error = two_sum(total, term)
            errors.append(error)
        sums.append(total)
    *parts, last = _lifted(sums)
    lost = torch.zeros_like(last)
    if errors:
        left = errors[0]
        for error in errors[1:]:
            left, missed = two_sum(left, error)
            lost += missed.abs_()
        last, missed = two_sum(last, left)
        lost += missed.abs_()
    return (*parts, last), lost.mul_(GROWN)


def rippled(parts: Sequence[torch.Tensor], term: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Parts with the term added to the first, its error to the second, and so on; and what is left, all exactly."""
    found = []
    for part in parts:
        total, term = two_sum(part, term)
        found.append(total)
    return found, term


def _lifted(parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The same sum, exactly: the last but one takes up what it can of the last, and so on up to the first."""
    found = list(parts)
    for place in range(len(found) - 2, -1, -1):
        found[place], found[place + 1] = two_sum(found[place], found[place + 1])
    return found


def normal(parts: Sequence[torch.Tensor]) -> tuple[Parts, torch.Tensor | None]:
    """Normal parts, and the size of what they leave out, None for nothing: some, in rare entries that cancel."""
    first, *rest = _lifted(parts)
    if len(rest) < 2:
        return (first, *rest), None
    tail, lost = normal(rest)
    head, second = two_sum(first, tail[0])
    wrong = head != first  # or NaN
    if not wrong.any():
        return (first, *tail), lost
    over = total_size(tail[1:]).masked_fill_(~wrong, 0.0)
    tail = (torch.where(wrong, second, tail[0]), *(part.masked_fill(wrong, 0.0) for part in tail[1:]))
    return (torch.where(wrong, head, first), *tail), over if lost is None else over + lost


def total_size(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum of the parts' sizes: at least the size of their sum, but for a rounding for each part after the first."""
    size = parts[0].abs()
    for part in parts[1:]:
        size = size + part.abs()
    return size


def greater(left: Parts, right: Parts) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Where left is at least right, both normal, and what left lacks there, or right elsewhere: None for nothing.

    The first parts that differ decide: fl(a + a') > fl(b + b') says that a + a' > b + b'. Only if these are as close as
    a few units in the last place can the parts that follow tell otherwise."""
    ahead, equal = torch.zeros_like(left[0], dtype=torch.bool), torch.ones_like(left[0], dtype=torch.bool)
    slip = None
    for place, (a, b) in enumerate(zip(left, right, strict=True)):
        ahead |= equal & (a > b)
        if place + 2 < len(left):
            near = equal & (a != b) & ((a - b).abs() <= torch.maximum(a.abs(), b.abs()) * (8 * UNIT) + ETA)
            if near.any():
                rest = total_size((*left[place + 2 :], *right[place + 2 :])) * GROWN
                slip = torch.where(near, rest, 0.0 if slip is None else slip)
        equal &= a == b
    return ahead | equal, slip


def rounded_down(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The greatest float <= left + right (the one below it, where TwoSum overflows)."""
    total, error = two_sum(left, right)
    return torch.where(error >= 0, total, torch.nextafter(total, torch.full_like(total, -torch.inf)))


def product(left: Parts, right: Parts) -> tuple[Parts, torch.Tensor]:
    """The product of n parts with n parts as n floats, not normal yet, and at least the size of what is left out.

    Of a_i b_j, those of i + j <= n - 2 by law 7; of i + j = n - 1 as floats, which err by at most u |fl| + eta/2 each;
    the others are left out. 2 n^2 eta pay for these and for the products of the bound, GROWN for its sums."""
    count = len(left)
    levels: list[list[torch.Tensor]] = [[] for _ in range(count)]
    lost = etas(2 * count * count, *left[1:], *right[1:])
    for i, first in enumerate(left):
        for j, second in enumerate(right[: count - 1 - i]):
            high, low, error = two_product(first, second)
            levels[i + j].append(high)
            levels[i + j + 1].append(low)
            lost += error
        last = first * right[count - 1 - i]
        levels[-1].append(last)
        lost += last.abs() * UNIT
        if i:
            lost += first.abs() * total_size(right[count - i :])
    found, left_out = added(levels)
    return found, (lost + left_out).mul_(GROWN)


def etas(count: int, *parts: torch.Tensor) -> torch.Tensor:
    """count eta where one of the parts is not 0: what underflowing products lose. (A bool times 2^-1074 is 0.)"""
    present = parts[0] != 0
    for part in parts[1:]:
        present = present | (part != 0)
    return present.double() * (count * ETA)
