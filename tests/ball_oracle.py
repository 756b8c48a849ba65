"""Enclosures with balls and true points in them, at extreme places, and the law that they must obey, over Fractions."""

from __future__ import annotations

from fractions import Fraction
from math import inf, isqrt

import numpy as np
import torch
from enclosure_oracle import holds

from dtdsym.arithmetic.enclosure import Enclosure
from dtdsym.arithmetic.rational import RATIONAL, fraction

POWERS = (-1060, -900, -500, -30, 0, 0, 0, 500, 900)
BOUNDS = ("exact", "radii", "ball", "ball", "both", "both", "lost")


def root_above(square: Fraction) -> Fraction:
    """A rational at or just above the square root."""
    if not square:
        return Fraction(0)
    shift = max(0, 240 + square.denominator.bit_length() - square.numerator.bit_length())
    shift += shift % 2
    return Fraction(isqrt((square.numerator << shift) // square.denominator) + 1, 2 ** (shift // 2))


def norm(numbers) -> Fraction:
    """The Euclidean norm, from above."""
    return root_above(sum((number**2 for number in numbers), Fraction(0)))


def contained(value, truths, *, balls: bool = True):
    """Asserts that radii hold each of the true numbers, and balls each row of them."""
    flat = [fraction(number) for number in np.asarray(truths, dtype=object).ravel()]
    holds(value, flat)
    if not balls or value.ball is None:
        return
    width = value.shape[-1]
    assert value.ball.shape == value.mid.shape[:-1]
    gaps = [truth - Fraction(mid) for truth, mid in zip(flat, value.mid.flatten().tolist(), strict=True)]
    for row, ball in enumerate(value.ball.flatten().tolist()):
        assert ball >= 0
        square = sum((gap**2 for gap in gaps[row * width : (row + 1) * width]), Fraction(0))
        assert ball == inf or square <= Fraction(ball) ** 2, (row, ball)


def lifted(truths):
    """Exact numbers as the rationals hold them."""
    return RATIONAL.lift(np.asarray(truths, dtype=object))


def numbers(generator, *shape, power=0):
    """Floats of about one size, among them zeros, equal ones and opposite ones."""
    found = generator.standard_normal(shape) * (generator.random(shape) < 0.85)
    if generator.random() < 0.4 and shape[-1] > 1:
        found[..., -1] = -found[..., 0] * (1 + 2.0**-52)
    if generator.random() < 0.2:
        found = np.round(found * 4) / 4
    return np.ldexp(found, power)


def surrounded(generator, mid, bounds, power, direction=None):
    """A value (n, width) around these midpoints, and true points (n, width) in its radii and balls, at extreme places:
    at corners, on the ball's surface along `direction`, or where both meet."""
    shape = mid.shape
    rad = np.ldexp(generator.random(shape) * (generator.random(shape) < 0.8), power)
    ball = None
    if bounds == "exact":
        rad = np.zeros(shape)
        ball = np.zeros(shape[:-1]) if generator.random() < 0.5 else None
    elif bounds == "lost":
        gone = generator.random(shape) < 0.3
        mid, rad = np.where(gone, 0.0, mid), np.where(gone, inf, rad)
        ball = np.full(shape[:-1], inf) if generator.random() < 0.5 else np.ldexp(generator.random(shape[:-1]), power)
    elif bounds == "ball":
        rad = np.full(shape, generator.choice([inf, np.ldexp(1.0, power)]))
        ball = np.ldexp(generator.random(shape[:-1]), power)
    elif bounds == "both":
        ball = np.ldexp(generator.random(shape[:-1]), power) * 0.7
    value = Enclosure(torch.tensor(mid), torch.tensor(rad), None if ball is None else torch.tensor(ball))
    return value, [moved(generator, value[i], direction) for i in range(len(mid))]


def moved(generator, value, direction):
    """A true point of a value (width,), as far from its midpoints as some direction goes."""
    mids, rads = ([float(number) for number in part.tolist()] for part in (value.mid, value.rad))
    ball = inf if value.ball is None else float(value.ball)
    if direction is None or generator.random() < 0.4:
        direction = generator.choice([-1.0, 1.0], len(mids))
    most = max([r for r in (*rads, ball) if r < inf], default=1.0) or 1.0
    steps = [Fraction(d) * Fraction(most) * 4 for d in direction.tolist()]
    steps = [s if r == inf else max(-Fraction(r), min(Fraction(r), s)) for s, r in zip(steps, rads, strict=True)]
    length = norm(steps)
    if ball < inf and length > Fraction(ball):
        steps = [s * Fraction(ball) / length for s in steps]
    return [Fraction(m) + s for m, s in zip(mids, steps, strict=True)]
