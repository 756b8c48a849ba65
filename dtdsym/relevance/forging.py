"""Constructions of forged roots: steep ones for any relevance, still ones for 0, constant ones up to scale.

Boxes U_l around a_l have radius rho_l; on their doubles no neuron changes its state, and f_l maps the double of U_l
into U_{l+1}. So roots of a in U_l that lie within rho_l of a keep the whole recursion above in its boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL, fraction, fractions
from dtdsym.errors import Unreachable
from dtdsym.relevance.neighbourhood import Array, Neighbourhood, near, power_above, power_below, size_of
from dtdsym.relevance.root_functions import AffineRoot, Vector, constant_root, moved_by

TRIES = 32


def boxes(here: Neighbourhood) -> list[Fraction]:
    """rho_1, ..., rho_n, powers of two."""
    radii = [here.patterns[-1]]
    for number in range(here.depth - 1, 0, -1):
        fastest = max(here.norms(number))
        maps = [power_below(radii[0] / (2 * fastest))] if fastest else []
        radii.insert(0, min([here.patterns[number - 1], *maps]))
    return radii


def still_roots(here: Neighbourhood) -> tuple[AffineRoot, ...]:
    """A constant step at every layer: R^n is constant near a_n, so R^{n-1} = 0 and all below; n >= 2."""
    steps = [
        [-radius, *([Fraction(0)] * (layer.width - 1))] for radius, layer in zip(boxes(here), here.layers, strict=True)
    ]
    return tuple(moved_by(step) for step in steps)


def constant_roots(
    here: Neighbourhood, target: Vector, shares: Sequence[Fraction]
) -> tuple[tuple[AffineRoot, ...], Vector]:
    """Constant roots, the first at x - c shares, and c target; c so small that all stays in the boxes.

    Above, a_l moved by 3/2 rho_l in one coordinate: no point that the recursion reaches is farther than rho_l."""
    radii = boxes(here)
    scale = power_below(radii[0] / max(abs(share) for share in shares))
    first = [a - scale * share for a, share in zip(fractions(here.activations[0]), shares, strict=True)]
    roots = [constant_root(first)]
    for radius, a in zip(radii[1:], here.activations[1 : here.depth], strict=True):
        point = [near(value, radius / 4) for value in fractions(a)]
        roots.append(constant_root([point[0] + radius * 3 / 2, *point[1:]]))
    return tuple(roots), tuple(scale * r for r in target)


def steep_roots(here: Neighbourhood, target: Vector, *, nonnegative: bool) -> tuple[AffineRoot, ...]:
    """root_l(a) = a - (L_l(a) / G_l) e_k, with R^l = L_l e_k for l >= 2: L_l is affine, negative on U_l, and its
    gradient pulled back is G_l in coordinate k_l, so steep that the root is within rho_l. At layer n there is no need
    to be near: L_n < 0 moves the root away from the logit's hinge. Layer 1 takes a constant step target / u."""
    radii = boxes(here)
    slopes, step = first_slopes(here.jacobians[0], target, radii[0])
    roots = [moved_by(step)]
    for number in range(2, here.depth + 1):
        radius, jacobian = radii[number - 1], here.jacobians[number - 1]
        constant, bound = _negative(slopes, fractions(here.activations[number - 1]), radius)
        last = number == here.depth
        k = _upward(jacobian[0]) if last and nonnegative else _largest_column(jacobian)
        q = max(range(len(jacobian)), key=lambda row: abs(jacobian[row, k]))
        weight = fraction(jacobian[q, k])
        steepness = Fraction(1) if last else power_above(bound / (radius * abs(weight))) * (1 if weight > 0 else -1)
        roots.append(pushed(slopes, constant, k, steepness * weight))
        slopes = [steepness if row == q else Fraction(0) for row in range(len(jacobian))]
    return tuple(roots)


def first_slopes(jacobian: Array, target: Vector, radius: Fraction) -> tuple[list[Fraction], list[Fraction]]:
    """M (d_2,) with u = M J_1 not 0 where the target is not, and so large that the step target / u is within radius."""
    support = [i for i, r in enumerate(target) if r]
    direction = spread(jacobian, support)
    u = fractions(RATIONAL.lift(direction) @ jacobian)
    scale = power_above(max(abs(target[i] / u[i]) for i in support) / radius)
    step = [r / (scale * ui) if r else Fraction(0) for r, ui in zip(target, u, strict=True)]
    return [scale * m for m in direction], step


def spread(jacobian: Array, columns: Sequence[int]) -> list[Fraction]:
    """m with (m J)_i != 0 for all these columns, none of which is 0: scattered whole numbers, the best of a few.

    Each column rules out a hyperplane, and the numbers grow, so the search ends."""
    random, most, best = np.random.default_rng(0), 8, (Fraction(0), [Fraction(0)])
    tried = 0
    while tried < TRIES or best[0] == 0:
        numbers = random.integers(-most, most + 1, len(jacobian)).tolist()
        found = RATIONAL.lift(numbers) @ jacobian
        least = min(abs(fraction(found[i])) for i in columns)
        best = max(best, (least, [Fraction(n) for n in numbers]))
        tried += 1
        most = min(2 * most, 2**30) if tried % TRIES == 0 else most
    return best[1]


def pushed(slopes: Sequence[Fraction], constant: Fraction, k: int, by: Fraction) -> AffineRoot:
    """root(a) = a - ((slopes.a + constant) / by) e_k."""
    size = len(slopes)
    matrix = [tuple(Fraction(row == column) for column in range(size)) for row in range(size)]
    matrix[k] = tuple(Fraction(column == k) - slope / by for column, slope in enumerate(slopes))
    return AffineRoot(tuple(matrix), tuple(-constant / by if row == k else Fraction(0) for row in range(size)))


def _negative(slopes: Sequence[Fraction], a: Vector, radius: Fraction) -> tuple[Fraction, Fraction]:
    """c such that slopes.p + c < 0 for all p within radius of a, and a bound on its magnitude there."""
    moves = radius * size_of(np.array(slopes, dtype=object))
    offset = 2 * power_above(moves)
    centre = near(sum((s * ai for s, ai in zip(slopes, a, strict=True)), Fraction(0)), power_below(moves))
    return -centre - offset, offset + 2 * moves


def _largest_column(jacobian: Array) -> int:
    return max(range(jacobian.shape[1]), key=lambda k: max(abs(entry) for entry in jacobian[:, k]))


def _upward(row: Array) -> int:
    """A coordinate in which the logit grows, so that the last root, where L < 0, moves up."""
    k = max(range(len(row)), key=lambda i: row[i])
    if row[k] <= 0:
        raise Unreachable(
            "nonnegative: no weight of the logit is positive, so its root cannot move up; this construction needs one "
            "(there is one wherever the biases are <= 0 and the logit is positive)"
        )
    return k
