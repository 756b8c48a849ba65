"""Points on the edge of a linear region, segments between two points, and domains of inputs."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import z3

from dtdsym import arrangement, place
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.search import cones_at
from dtdsym.network.network import Network, sequential
from dtdsym.network.slice import slice_at
from machinery import Derivation, main, statement

HERE = "not in the paper; what Definition 1 leaves open"
SHELTERED = sequential(([[1, 0], [1, -1]], [0, 0]), ([[1, -1]], [0]))
CORNER = sequential(([[1, 0], [0, 1]], [0, -1]), ([[1, 1]], [0]), final_relu=False)
FALLING = sequential(([[1]], [0]), ([[-1]], [1]))
Points = list[tuple[Fraction, Fraction]]


def cones(network: Network, point: tuple[int, ...]) -> set[tuple[Fraction, ...]]:
    """The gradients of all cones of the local function at a point."""
    function, a = slice_at(network, point, logit=0, layer=1)
    search, meter = cones_at(function, a), Budget().start()
    while not search.exhausted:
        search.grow(meter)
    return {cone.gradient for cone in search.cells.values()}


def regular(network: Network, point: tuple) -> bool:
    """Whether the network has a gradient there."""
    return len(cones(network, point)) == 1


@statement(
    "regions_boundary",
    "the boundary of a linear region",
    place=HERE,
    printed="A point x~ at which f is differentiable never lies in the closure of N_f(x) only. Another lies in it iff "
    "a "
    "cone of f at x~ with gradient g = grad f(x) belongs to a cell that is reached from x through cells of gradient g",
    verdict="true",
    reason="f is affine near a point where it is differentiable, and a ball is connected",
    scope="the first by proof, for every network, and on a grid of the plane; the second on exact examples of each "
    "kind",
)
def regions_boundary(proof: Derivation) -> None:
    proof.say(
        "Let f be differentiable at x~, in the closure of N_f(x). Then L_x~ is linear (regions_regular), so f is "
        "affine "
        "on a ball B around x~, with gradient grad f(x~). The ball meets N_f(x), so that gradient is g, and B is in "
        "D_g. "
        "B is connected: with the point that it shares with N_f(x), all of B is in the component N_f(x), x~ too."
    )
    grid = [(Fraction(p, 2), Fraction(q, 2)) for p, q in product(range(-4, 5), repeat=2)]
    smooth = [point for point in grid if regular(SHELTERED, point)]
    proof.found(
        "[[x1] - [x1-x2]], x = (3, -1), a grid of the plane: no point with a gradient is placed on the boundary",
        lambda points: "boundary" in _places(points),
        smooth,
        False,
        unlike=[point for point in grid if point not in smooth],
    )
    proof.say("Where f has no gradient at x~, its cones decide:")
    g = (Fraction(1), Fraction(1))
    proof.found(
        "[x1] + [x2-1], g = (1, 1): no cone at (0, 0) has it",
        lambda p: g in cones(CORNER, p),
        (0, 0),
        False,
        unlike=(0, 1),
    )
    proof.found("so that is outside", lambda p: place(CORNER, (1, 2), p).name, (0, 0), "outside", unlike=(0, 1))
    proof.found(
        "while (0, 1) is on the boundary", lambda p: place(CORNER, (1, 2), p).name, (0, 1), "boundary", unlike=(0, 0)
    )
    zero = (Fraction(0), Fraction(0))
    proof.found(
        "[[x1] - [x1-x2]], g = 0: a cone at (0, 5) has it",
        lambda p: zero in cones(SHELTERED, p),
        (0, 5),
        True,
        unlike=(3, 1),
    )
    proof.found(
        "and is reached, through cells with other patterns than x = (3, -1)",
        lambda p: (place(SHELTERED, (3, -1), p).name, len(place(SHELTERED, (3, -1), p).path) > 0),
        (0, 5),
        ("boundary", True),
        unlike=(2, 0),
    )
    none = (Fraction(0),)
    proof.found(
        "[1 - [x]], g = 0: a cone at 1 has it",
        lambda p: none in cones(FALLING, p),
        (1,),
        True,
        unlike=(Fraction(1, 2),),
    )
    proof.found(
        "but is not reached from x = -1: outside, by the complete list of the region's cells",
        lambda p: (place(FALLING, (-1,), p).name, place(FALLING, (-1,), p).search is not None),
        (1,),
        ("outside", True),
        unlike=(0,),
    )


def _places(points: Points) -> set[str]:
    return {place(SHELTERED, (3, -1), point).name for point in points}


@statement(
    "regions_segment",
    "when a segment stays inside",
    place=HERE,
    printed="The segment from x to x~ stays in N_f(x) iff f is differentiable with gradient grad f(x) at every point "
    "where a neuron changes its state on the way, and at one midpoint of each piece between them",
    verdict="true",
    reason="on a piece every pre-activation is affine and keeps its sign, or is 0 throughout, so the local function "
    "is one",
    scope="all pieces, by a proof for one pre-activation; exact examples",
)
def regions_segment(proof: Derivation) -> None:
    start, end, t = z3.Reals("p q t")
    z = (1 - t) * start + t * end
    middle, crossing = (start + end) / 2, start / (start - end)
    proof.say(
        "Layer by layer, on a piece: let the states below be the same on all of it; then z is affine in t, from p to q."
    )
    proof.valid(
        "if z is positive at the midpoint and not at t, it changes its state inside the piece, at a zero p/(p - q)",
        z3.And(crossing > 0, crossing < 1, (1 - crossing) * start + crossing * end == 0),
        given=[t > 0, t < 1, middle > 0, z <= 0],
    )
    proof.valid(
        "if it is 0 at the midpoint, either it is 0 on the whole piece or the midpoint is such a place",
        z == 0,
        given=[middle == 0, start == 0],
    )
    proof.say(
        "Such places are the ends of pieces, so all states are the same on a piece, and with them L_p "
        "(regions_regular): "
        "f is differentiable with one gradient at all its points or at none, as at the midpoint."
    )

    def name(other: tuple[int, int]) -> str:
        return place(SHELTERED, (3, -1), other).name

    proof.found(
        "[[x1] - [x1-x2]], x = (3, -1): a segment that stays inside",
        name,
        (-1, -1),
        "same_region_segment",
        unlike=(-1, 2),
    )
    proof.found("and one that leaves the region and comes back", name, (-1, 2), "same_region", unlike=(-1, -1))


@statement(
    "regions_domain",
    "regions and domains of inputs",
    place=HERE,
    printed="A linear region of f in R^d may fall into several components where only inputs >= 0 are admitted",
    verdict="true",
    reason="of [1 - [x1-2] - [2-x1] - [-x2]] the points with gradient 0 are connected only through x2 < 0",
    scope="an exact example",
)
def regions_domain(proof: Derivation) -> None:
    ridge = sequential(([[1, 0], [-1, 0], [0, -1]], [-2, 2, 0]), ([[-1, -1, -1]], [1]))
    proof.found(
        "(0, 1) and (4, 1) lie in one region",
        lambda p: place(ridge, (0, 1), p).name,
        (4, 1),
        "same_region",
        unlike=(2, 1),
    )
    proof.found(
        "whose part with x1, x2 from 0 to 5 has two components",
        lambda box: _flat_parts(ridge, box),
        [(0, 5), (0, 5)],
        2,
        unlike=[(0, 5), (-5, 5)],
    )


def _flat_parts(network: Network, box: list[tuple[int, int]]) -> int:
    """Regions of gradient 0 in a box."""
    found = arrangement(network, box=box)
    return sum(not any(found.cells[region[0]].gradients[0]) for region in found.regions)


if __name__ == "__main__":
    main()
