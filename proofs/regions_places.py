"""The places that a root can be in: what each is, on examples, that there are no others, and what counts apart."""

from __future__ import annotations

import z3

from def1_linear_region import SHELTERED, TABLE
from dtdsym import Budget, NoRoot, place, roots
from dtdsym.network.network import sequential
from machinery import Derivation, main, statement

HERE = "not in the paper; Remark 4 asks whether a root is in the region"
DIFFERENCE = sequential(([[1, -1]], [0]), ([[1]], [0]))
"""[x1 - x2]."""


@statement(
    "regions_places",
    "the places that a root can be in",
    place=HERE,
    printed="For regular x exactly one holds, the first that applies, of: degenerate, same_cell, same_region_segment, "
    "same_region, boundary, same_gradient_elsewhere, outside; no_root where w.v = 0; undecided where a budget ran out. "
    "Whether the root is in the domain a >= 0 counts apart",
    verdict="true",
    reason="each is what the next weaker notion holds without it; boundary and equal gradient exclude each other",
    scope="all truth values that the implications of def1 and regions_boundary allow; each place by an exact example",
    parts=("examples", "exclusive", "apart"),
)
def regions_places(proof: Derivation) -> None:
    _examples(proof)
    _exclusive(proof)
    _apart(proof)


def _examples(proof: Derivation) -> None:
    proof.part("examples")
    for row in TABLE:
        proof.found(
            f"{row.function}, x = {row.x}, x~ = {row.other}",
            lambda other, row=row: place(row.network, row.x, other).name,
            row.other,
            row.place,
            unlike=row.unlike,
        )
    name = "[[x1] - [x1-x2]], x = (3, -1), x~ = "
    proof.found(f"{name}(4, -1)", lambda p: place(SHELTERED, (3, -1), p).name, (4, -1), "same_cell", unlike=(-1, 2))
    proof.found(f"{name}x", lambda p: place(SHELTERED, (3, -1), p).name, (3, -1), "degenerate", unlike=(4, -1))
    proof.found(
        f"{name}(-1, 2), with a budget of one cell: undecided, not a guess; without one, same_region",
        lambda cells: place(SHELTERED, (3, -1), (-1, 2), budget=Budget(cells=cells)).name,
        1,
        "undecided",
        unlike=None,
    )
    proof.found(
        "[x1 - x2] at (0, 2), z+: w.v = 0, no root, though R_j = 0 (Algorithm 2's a - (R_j/(w.v)) v would be 0/0)",
        lambda x: isinstance(roots(DIFFERENCE, x, "zplus")[0], NoRoot),
        (0, 2),
        True,
        unlike=(1, 2),
    )


def _exclusive(proof: Derivation) -> None:
    proof.part("exclusive")
    proof.say(
        "Let E: the point is x; C: in x's cell; S: the segment stays in N_f(x); N: in N_f(x); B: in its closure; G: f "
        "is differentiable there with x's gradient. E => C => S => N => B and N => G (def1); B and G => N "
        "(regions_boundary)."
    )
    truths = z3.Reals("E C S N B G")
    e, c, s, n, b, g = (one > 0 for one in truths)
    laws = [z3.Implies(p, q) for p, q in ((e, c), (c, s), (s, n), (n, b), (n, g), (z3.And(b, g), n))]
    kinds = {
        "degenerate": e,
        "same_cell": z3.And(c, z3.Not(e)),
        "same_region_segment": z3.And(s, z3.Not(c)),
        "same_region": z3.And(n, z3.Not(s)),
        "boundary": z3.And(b, z3.Not(g)),
        "same_gradient_elsewhere": z3.And(g, z3.Not(b)),
        "outside": z3.And(z3.Not(b), z3.Not(g)),
    }
    count = z3.Sum([z3.If(kind, 1, 0) for kind in kinds.values()])
    proof.valid("exactly one of the seven holds", count == 1, given=laws)
    for name in proof.each("place", kinds):
        proof.satisfiable("the laws leave it possible", [*laws, kinds[name]], truths, sharp=False)


def _apart(proof: Derivation) -> None:
    proof.part("apart")
    proof.found(
        "[x1 + x2 + 5], x = (1, 1): (-1, 1) is in the same cell, and not in the domain a >= 0; these are two answers",
        lambda p: (place(sequential(([[1, 1]], [5])), (1, 1), p).name, min(p) >= 0),
        (-1, 1),
        ("same_cell", False),
        unlike=(2, 1),
    )
    proof.say("N is taken in R^d: in a >= 0 components can split (regions_domain).")


if __name__ == "__main__":
    main()
