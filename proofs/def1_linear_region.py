"""Definition 1: linear regions, what separates them from coarser and finer notions, and what lies in one for sure."""

from __future__ import annotations

from typing import NamedTuple

import sympy
import z3
from sympy import symbols

from dtdsym import place
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement
from machinery.regions import column, gradient, network, put

SHAPES = ((2, 3, 2, 1), (3, 2, 1))


class Row(NamedTuple):
    """One network, x and a point in a place; `unlike` is one that is not."""

    separates: str
    function: str
    network: Network
    x: tuple[int, ...]
    other: tuple[int, ...]
    place: str
    unlike: tuple[int, ...]


SHELTERED = sequential(([[1, 0], [1, -1]], [0, 0]), ([[1, -1]], [0]))
TABLE = (
    Row("equal gradient, other component", "[1 - [x]]", sequential(([[1]], [0]), ([[-1]], [1])),
        (-1,), (2,), "same_gradient_elsewhere", (-2,)),
    Row("the same with gradient 1", "[2 - [-x] + [x-1]]", sequential(([[-1], [1]], [0, -1]), ([[-1, 1]], [2])),
        (-1,), (2,), "same_gradient_elsewhere", (0,)),
    Row("same component, other pattern", "[[x] - [-x] + 2]", sequential(([[1], [-1]], [0, 0]), ([[1, -1]], [2])),
        (1,), (-1,), "same_region_segment", (2,)),
    Row("same component, the segment leaves it", "[[x1] - [x1-x2]]", SHELTERED,
        (3, -1), (-1, 2), "same_region", (4, -1)),
    Row("in the closure only, on the hinge", "[x]", sequential(([[1]], [0])),
        (1,), (0,), "boundary", (2,)),
    Row("in the closure only, through a cell that is not adjacent to x", "[[x1] - [x1-x2]]", SHELTERED,
        (3, -1), (0, 5), "boundary", (1, 5)),
    Row("on a hinge of its own, not even in the closure", "[x1] + [x2-1]",
        sequential(([[1, 0], [0, 1]], [0, -1]), ([[1, 1]], [0]), final_relu=False),
        (1, 2), (0, 0), "outside", (1, 3)),
)  # fmt: skip


@statement(
    "def1",
    "linear regions",
    place="Section 3.1, Definition 1",
    printed="A linear region of f is the set N_f(x) of all points x' in N_f(x) that (1) have the same gradient at x "
    "and (2) can be reached from x without passing through a point a with a different gradient",
    verdict="corrected",
    reason="circular: the empty set satisfies it as well as the region does; and a hinge has no gradient to be "
    "different",
    corrected="N_f(x) is the path component that holds x of D_g = {p : f is differentiable at p and grad f(p) = g}, g "
    "= grad f(x)",
    scope="the separations are exact examples, decided; cells lie in regions for all real weights of widths "
    f"{SHAPES}, in every pattern (symbolic masks)",
    parts=("circular", "hinges", "cells_are_convex", "cells_lie_in_regions"),
)
def def1(proof: Derivation) -> None:
    _circular(proof)
    _hinges(proof)
    proof.say("What the corrected definition separates:")
    for row in TABLE:
        proof.found(
            f"{row.separates}: {row.function}, x = {_told(row.x)}, x~ = {_told(row.other)}",
            lambda other, row=row: place(row.network, row.x, other).name,
            row.other,
            row.place,
            unlike=row.unlike,
        )
    _cells_are_convex(proof)
    _cells_lie_in_regions(proof)


def _told(point: tuple[int, ...]) -> str:
    return str(point[0]) if len(point) == 1 else str(point)


def _circular(proof: Derivation) -> None:
    proof.part("circular")
    member, holds = symbols("N P")
    proof.say("Let N = 1 if x' is in N_f(x), else 0, and P = 1 if x' satisfies (1) and (2). Printed: N = N P.")
    proof.say("Where P = 1 that is N = N, which says nothing about N; so the empty set satisfies it.")
    proof.counterexample(
        "f = [x], x = 1, x' = 2, which satisfies (1) and (2): N of the empty set, which satisfies N = N P, and N as "
        "meant",
        member * holds,
        holds,
        {member: 0, holds: 1},
        values=(0, 1),
    )


def _hinges(proof: Derivation) -> None:
    proof.part("hinges")
    proof.say(
        "Points without a gradient: the zeros of [x1 - |x2|] + [-x1 - |x2|] with gradient 0 are two wedges that meet "
        "in the origin alone, where there is no gradient. A path through it passes no point with another gradient; N_f "
        "is to end there nevertheless, for (2) speaks of points that have the same."
    )
    wedges = sequential(
        ([[1, 0], [-1, 0], [0, 1], [0, -1]], [0] * 4), ([[1, -1, -1, -1], [-1, 1, -1, -1]], [0, 0]), ([[1, 1]], [0])
    )
    proof.found(
        "x = (0, 1), x~ = (0, -1)",
        lambda other: place(wedges, (0, 1), other).name,
        (0, -1),
        "same_gradient_elsewhere",
        unlike=(0, 2),
    )
    proof.found("and the origin", lambda other: place(wedges, (0, 1), other).name, (0, 0), "boundary", unlike=(0, -1))


def _cells_are_convex(proof: Derivation) -> None:
    proof.part("cells_are_convex")
    proof.say(
        "No arrow of `same cell => the segment stays in N_f(x) => in N_f(x) => equal gradients` reverses: by the rows "
        "above. All hold. First: let x and x~ lie in one cell, where no pre-activation has another sign, nor is 0 (but "
        "on all of it)."
    )
    t = sympy.Symbol("t")
    for widths in proof.each("network of widths", SHAPES):
        f, x, root = network(widths), column("x", widths[0]), column("r", widths[0])
        along = f.through(x + t * (root - x))[0]
        ends = zip(f.through(x)[0], f.through(root)[0], strict=True)
        for layer, (z, (at_x, at_root)) in enumerate(zip(along, ends, strict=True), start=1):
            proof.equal(
                f"layer {layer}: if below all masks are those of the cell, z(x + t(x~ - x)) = (1-t) z(x) + t z(x~)",
                z,
                (1 - t) * at_x + t * at_root,
            )
    s, p, q = z3.Reals("t p q")
    for sign, name in proof.each("sign of z at both ends", [(1, "positive"), (-1, "negative")]):
        proof.valid(
            f"so for t from 0 to 1 it is {name}: by induction over the layers all masks are those of the cell",
            sign * ((1 - s) * p + s * q) > 0,
            given=[sign * p > 0, sign * q > 0, s >= 0, s <= 1],
        )
    proof.valid(
        "and a neuron that is 0 on the whole cell, whose mask counts as 0, is 0 in between too",
        (1 - s) * p + s * q == 0,
        given=[p == 0, q == 0],
    )


def _cells_lie_in_regions(proof: Derivation) -> None:
    proof.part("cells_lie_in_regions")
    t = sympy.Symbol("t")
    for widths in proof.each("network of widths", SHAPES):
        f, x, root = network(widths), column("x", widths[0]), column("r", widths[0])
        slope = gradient(f.value(x), x)
        jacobian = f.jacobians()[0]
        for upper in f.jacobians()[1:]:
            jacobian = upper * jacobian
        proof.equal(
            "and the gradient along the segment is the constant product of the D_l W_l: the segment stays in N_f(x)",
            put(slope, x, x + t * (root - x)).T,
            jacobian,
        )
    proof.say("A segment is a path, so x~ is in N_f(x); and all of N_f(x) is in D_g, so gradients are equal.")


if __name__ == "__main__":
    main()
