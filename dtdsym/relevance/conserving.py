"""Forged roots that conserve relevance: R^l = L_l e_p + (F_l - L_l) e_q for l >= 2, with L_l affine and steep.

Layer l < n has two roots. Neuron p' of the layer above, whose relevance is G.a + ..., takes coordinates p and q by
L_l / G_p and (L_{l+1} - L_l) / G_q, all others of the layer too; neuron q' takes coordinate q by (F_l - L_{l+1}) over
(grad F_l - G)_q. So the relevance of each is 0 at its root, the parts add up to R^l, and all roots are as near as G is
steep. Layer n has one root, on the logit's hinge, however far away. The first layer splits the target between its two.

Evaluations stay within eta_l of a_l, roots within rho_l of these: together below what keeps every pattern, and mapped
into what is within eta_{l+1} of a_{l+1}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.errors import Unreachable
from dtdsym.relevance.forging import spread
from dtdsym.relevance.neighbourhood import Neighbourhood, near, power_above, power_below, size_of
from dtdsym.relevance.root_functions import AffineRoot, Vector, moved_by

HALVINGS = 64
Roots = AffineRoot | tuple[AffineRoot, ...]


@dataclass(frozen=True)
class Form:
    """slopes.a + constant."""

    slopes: Vector
    constant: Fraction

    def __sub__(self, other: Form) -> Form:
        slopes = tuple(s - t for s, t in zip(self.slopes, other.slopes, strict=True))
        return Form(slopes, self.constant - other.constant)

    def at(self, point: Vector) -> Fraction:
        """The value at a point."""
        return sum((s * a for s, a in zip(self.slopes, point, strict=True)), self.constant)


@dataclass(frozen=True, eq=False)
class _Level:
    """Layer l: p, q; the direction m (d_{l+1},) of L_{l+1}, v = m J_l; rho, eta."""

    p: int
    q: int
    direction: list[Fraction]
    v: Vector
    rho: Fraction
    eta: Fraction


def conserving_roots(here: Neighbourhood, target: Vector) -> tuple[Roots, ...]:
    """The roots of all layers, n >= 2, for a target of sum f(x). Raises Unreachable where some J_l, l >= 2, has only
    one non-zero column.

    A root must not be its own input: offsets are halved until none of the points that the recursion asks is met."""
    if here.output == 0 and not here.gradients[0].any():
        raise Unreachable(
            "conserving: the logit is 0 on the whole linear region, so at the roots of the first layer no relevance is "
            "left that a root of the second could take away"
        )
    for halvings in range(HALVINGS):
        roots = _with_offsets(here, target, Fraction(1, 2**halvings))
        if _move(here, roots):
            return roots
    raise Unreachable(f"conserving: some root of this construction equals its input, whatever the offset ({HALVINGS})")


def _move(here: Neighbourhood, roots: tuple[Roots, ...]) -> bool:
    """Whether every root differs from its input, at the activations and at all points that follow from roots."""
    points: list[np.ndarray] = []
    for layer, a, own in zip(here.layers, here.activations[: here.depth], roots, strict=True):
        points.append(a)
        functions = [own] if isinstance(own, AffineRoot) else dict.fromkeys(own)
        found = [(point, root(RATIONAL, point)) for point in points for root in functions]
        if any(bool((point == moved).all()) for point, moved in found):
            return False
        points = [layer(RATIONAL, moved) for _, moved in found]
    return True


def _with_offsets(here: Neighbourhood, target: Vector, share: Fraction) -> tuple[Roots, ...]:
    """The roots, with L_l(a_l) a share of the largest offset that keeps them near."""
    pairs = [_two_columns(here, number) for number in range(2, here.depth + 1)]
    levels = _levels(here, target, pairs)
    first, (form, bound) = _first(here, levels[0], target, share)
    found: list[tuple[AffineRoot, AffineRoot]] = [first]
    for number in range(2, here.depth):
        level = levels[number - 1]
        whole = _value(here, number)
        reach = bound + abs(whole.at(fractions(here.activations[number - 1]))) + level.eta * _size(whole.slopes)
        least = min(abs(level.v[level.p]), abs(level.v[level.q]))
        steep = power_above(max(16 * reach / (level.rho * least), 2 * abs(whole.slopes[level.q] / level.v[level.q])))
        upper, upper_bound = _steep(here, number + 1, level, steep, share * power_below(level.rho * least / 16))
        composed = _pulled(here, number, upper)
        slope_p, slope_q = composed.slopes[level.p], composed.slopes[level.q]
        one = _root({level.p: (form, slope_p), level.q: (composed - form, slope_q)}, len(level.v))
        two = _root({level.q: (whole - composed, whole.slopes[level.q] - slope_q)}, len(level.v))
        found.append((one, two))
        form, bound = upper, upper_bound
    p, q = pairs[-1]
    weights, whole = fractions(here.jacobians[-1][0]), _value(here, here.depth)
    top = _root({p: (form, weights[p]), q: (whole - form, weights[q])}, len(weights))
    sizes = [layer.size for layer in here.layers[:-1]]
    below = zip(found, pairs, sizes, strict=True)
    return (*(tuple(two if j == q else one for j in range(size)) for (one, two), (_, q), size in below), top)


def _two_columns(here: Neighbourhood, number: int) -> tuple[int, int]:
    """p_l, q_l: the largest columns of J_l."""
    jacobian = here.jacobians[number - 1]
    sizes = [max(abs(entry) for entry in column) for column in jacobian.T]
    largest = sorted(range(len(sizes)), key=lambda k: sizes[k], reverse=True)
    if len(sizes) < 2 or sizes[largest[1]] == 0:
        raise Unreachable(
            f"conserving needs two inputs of layer {number} on which its active neurons depend; there is only input "
            f"{largest[0]}, so what this construction moves between two has no second place to go"
        )
    return largest[0], largest[1]


def _levels(here: Neighbourhood, target: Vector, pairs: Sequence[tuple[int, int]]) -> list[_Level]:
    """Layers 1, ..., n - 1."""
    eta = here.patterns[-1]
    found: list[_Level] = []
    support = [i for i, r in enumerate(target) if r] or _columns(here.jacobians[0])
    for number in range(here.depth - 1, 0, -1):
        columns = list(pairs[number - 2]) if number > 1 else support
        direction = spread(here.jacobians[number - 1], columns)
        v = fractions(RATIONAL.lift(direction) @ here.jacobians[number - 1])
        fastest = max(here.norms(number))
        rho = min(here.patterns[number - 1], power_below(eta / (2 * fastest)))
        eta = power_below(rho * min(abs(v[k]) for k in columns) / (8 * _size(v)))
        p, q = columns if number > 1 else (support[0], support[0])
        found.insert(0, _Level(p, q, direction, v, rho, eta))
    return found


def _columns(jacobian: np.ndarray) -> list[int]:
    found = [i for i in range(jacobian.shape[1]) if jacobian[:, i].any()]
    if not found:
        raise Unreachable("conserving: J_1 = 0, so no step of the input changes any relevance; there is no exact root")
    return found[:1]


def _steep(here: Neighbourhood, number: int, below: _Level, steep: Fraction, offset: Fraction) -> tuple[Form, Fraction]:
    """L_l = steep (m.(a - a_l) + offset), up to rounding of its constant, and its bound within eta_l."""
    a, last = fractions(here.activations[number - 1]), number == here.depth
    reach = here.patterns[-1] if last else (2 * below.rho * max(here.norms(number - 1)))
    centre = sum((m * ai for m, ai in zip(below.direction, a, strict=True)), Fraction(0))
    constant = offset - near(centre, offset / 4)
    bound = steep * (reach * _size(tuple(below.direction)) + 2 * offset)
    return Form(tuple(steep * m for m in below.direction), steep * constant), bound


def _first(
    here: Neighbourhood, level: _Level, target: Vector, share: Fraction
) -> tuple[tuple[AffineRoot, AffineRoot], tuple[Form, Fraction]]:
    """The first layer's two roots x - s, and L_2: shares c of the target with sum c = L_2(a_2), s = c / G."""
    gradient, total = fractions(here.gradients[0]), here.output
    support = [i for i, r in enumerate(target) if r] or [level.p]
    largest = max(abs(r) for r in target) + 1
    least = min(abs(level.v[i]) for i in support)
    ratio = abs(total) / largest if total else Fraction(1)
    offset = share * power_below(level.rho * least * ratio / 16)
    steep = max(16 * largest / (level.rho * least), *(2 * abs(gradient[i] / level.v[i]) for i in support))
    upper, bound = _steep(here, 2, level, power_above(steep), offset)
    at = upper.at(fractions(here.activations[1]))
    if total:
        shares = [r * at / total for r in target]
    else:
        shares = [r + (at if i == support[0] else 0) for i, r in enumerate(target)]
    composed = _pulled(here, 1, upper).slopes
    one = [c / g if c else Fraction(0) for c, g in zip(shares, composed, strict=True)]
    rest = zip(target, shares, gradient, composed, strict=True)
    two = [(r - c) / (g - h) if r != c else Fraction(0) for r, c, g, h in rest]
    return (moved_by(one), moved_by(two)), (upper, bound)


def _value(here: Neighbourhood, number: int) -> Form:
    """F_l near a_l."""
    slopes = fractions(here.gradients[number - 1])
    return Form(slopes, here.output - Form(slopes, Fraction(0)).at(fractions(here.activations[number - 1])))


def _pulled(here: Neighbourhood, number: int, form: Form) -> Form:
    """form o f_l near a_l."""
    slopes = fractions(RATIONAL.lift(form.slopes) @ here.jacobians[number - 1])
    inside = Form(slopes, Fraction(0)).at(fractions(here.activations[number - 1]))
    return Form(slopes, form.at(fractions(here.activations[number])) - inside)


def _root(steps: dict[int, tuple[Form, Fraction]], size: int) -> AffineRoot:
    """a - sum over k of (form(a) / by) e_k."""
    matrix = [[Fraction(row == column) for column in range(size)] for row in range(size)]
    vector = [Fraction(0)] * size
    for k, (form, by) in steps.items():
        matrix[k] = [entry - slope / by for entry, slope in zip(matrix[k], form.slopes, strict=True)]
        vector[k] = -form.constant / by
    return AffineRoot(tuple(map(tuple, matrix)), tuple(vector))


def _size(slopes: Sequence[Fraction]) -> Fraction:
    return size_of(np.array(slopes, dtype=object))
