"""How far whole rows of expansions are from their centres, after sums and products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from dtdsym.arithmetic.error_free import etas, total_size
from dtdsym.arithmetic.norms import row_norms
from dtdsym.arithmetic.rounding import GROW

if TYPE_CHECKING:
    from dtdsym.arithmetic.expansion_value import Expansion


def norm_of(value: Expansion, shape: Sequence[int]) -> torch.Tensor:
    """The ball of the value, broadcast to a shape; by its radii if it has none."""
    if value.ball is not None and value.shape[-1:] == tuple(shape[-1:]):
        return value.ball.expand(tuple(shape[:-1]))
    return row_norms(value.rad.expand(tuple(shape)))


def grown(ball: torch.Tensor, factor: float) -> torch.Tensor:
    """The ball times a factor (itself within one rounding), upwards: eta pays for underflow."""
    return ball * (factor * GROW) + etas(1, ball)


def summed_ball(left: Expansion, right: Expansion, shape: Sequence[int]) -> torch.Tensor | None:
    """The sum of two balls, if there is one."""
    if left.ball is None and right.ball is None:
        return None
    return (norm_of(left, shape) + norm_of(right, shape)) * GROW


def added_ball(left: Expansion, right: Expansion, error: torch.Tensor) -> torch.Tensor | None:
    """Of a sum whose centre errs by `error`."""
    ball = summed_ball(left, right, error.shape)
    return None if ball is None else (ball + row_norms(error)) * GROW


def scaled_ball(left: Expansion, right: Expansion, error: torch.Tensor) -> torch.Tensor | None:
    """||xy - mn|| <= max|y| ||x - m|| + max|m| ||y - n||, over the last axis."""
    if left.ball is None and right.ball is None:
        return None
    shape = error.shape
    most, center = (size_of(right) + right.rad).expand(shape).amax(-1), size_of(left).expand(shape).amax(-1)
    ours, theirs = norm_of(left, shape), norm_of(right, shape)
    return (most * ours + center * theirs + row_norms(error) + etas(2, ours, theirs)) * GROW


def size_of(value: Expansion) -> torch.Tensor:
    """At least the size of the centre, but for a rounding for each part after the first."""
    return total_size(value.parts)
