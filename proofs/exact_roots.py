"""Does an admissible exact root exist at all? Where it can lie, and the proof that there is none."""

from __future__ import annotations

import sympy
import z3
from sympy import Matrix, symbols

from dtdsym import Network, arrangement, exact_root, lowest_relevance, nearest_root, place
from dtdsym.network.network import sequential
from dtdsym.relevance.root_search import NoAdmissibleRoot
from machinery import Derivation, StepFailed, main, statement
from machinery.regions import column

RAISED = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 2]], [1]))
TWO_CELLS = sequential(([[1, 0], [0, 1], [0, 1], [0, 1]], [0, 0, -1, -2]), ([[1, 1, -1, 0]], [1]))
CORNER = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))
LINEAR = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, -1]], [1]), final_relu=False)
PLATEAU = sequential(([[2], [1]], [-1, -1]), ([[4, -8]], [-1]))
SHIFTED = sequential(([[1, 0], [0, 1]], [1, 0]), ([[1, 1]], [0]))


@statement(
    "exact_roots",
    "whether there is an admissible exact root",
    place="not in the paper; Section 3.4 prefers roots with f(x~) = 0, within the linear region by Section 3.1",
    printed="With a final ReLU and f(x) > 0 no zero of f lies in N_f(x): an exact root is at most on its boundary, and "
    "if grad f(x) = 0 there is none. The minimum of f over the closure of N_f(x) is attained; if it is positive there "
    "is no admissible exact root, and multipliers for each cell of the complete list of cells prove it",
    verdict="true",
    reason="a zero inside would be a minimum of an affine function; beyond that it is a linear program for each cell",
    scope="the first for all affine pieces of 1 to 3 inputs, by Z3; duality for all cells with 3 walls in 2 dimensions "
    "and with 2 in 3; exact networks of each kind",
    parts=("not_inside", "duality", "certified", "of_neurons"),
)
def exact_roots(proof: Derivation) -> None:
    _not_inside(proof)
    _duality(proof)
    for name in _WITHOUT:
        _certified(proof, name)
    _of_neurons(proof)


def _not_inside(proof: Derivation) -> None:
    proof.part("not_inside")
    proof.say(
        "With a final ReLU f >= 0. Let f(p) = 0 at a p of N_f(x), which is open; near p, f(p + h) = g.h, with g = grad "
        "f(x)."
    )
    for size in proof.each("number of inputs", (1, 2, 3)):
        g, e = z3.RealVector("g", size), z3.Real("e")
        downhill = z3.Sum([gi * (-e * gi) for gi in g])
        proof.valid(
            "for g != 0, f is negative at p - e g, for any small e > 0: a contradiction",
            downhill < 0,
            given=[e > 0, z3.Or([gi != 0 for gi in g])],
        )
    proof.say(
        "So g = 0, and f = f(x) > 0 on all of N_f(x) and, by continuity, on its closure: no p, and no root at all."
    )
    g, c, x, p = z3.Reals("g c x p")
    proof.valid("for f = g.p + c", g * p + c > 0, given=[g == 0, g * x + c > 0])
    proof.found(
        "[4 [2x-1] - 8 [x-1] - 1], x = 2: gradient 0, f = 3, and no root (at x = 3/4 gradient 8, and there is one)",
        lambda x: isinstance(exact_root(PLATEAU, x), NoAdmissibleRoot),
        (2,),
        True,
        unlike=("3/4",),
    )
    proof.found(
        "[[x1] + [x2]], x = (1, 1): the root is on the boundary",
        _where,
        (CORNER, (1, 1)),
        "boundary",
        unlike=(LINEAR, (1, 1)),
    )
    proof.found(
        "[x1] - [x2] + 1, without a final ReLU: it lies inside",
        _where,
        (LINEAR, (1, 1)),
        "same_cell",
        unlike=(CORNER, (1, 1)),
    )
    proof.found(
        "and f can fall without end there",
        lambda f: type(lowest_relevance(f, (1, 1))).__name__,
        LINEAR,
        "UnboundedRelevance",
        unlike=CORNER,
    )


def _where(asked: tuple[Network, tuple]) -> str:
    f, x = asked
    return place(f, x, exact_root(f, x).point).name


def _duality(proof: Derivation) -> None:
    """Why multipliers are a proof, in the form that certificates hold."""
    proof.part("duality")
    proof.say(
        "On the closure of a cell {p : w_i.p + c_i >= 0 for its walls i}, f = g.p + d. Let g = sum_i y_i w_i with y_i "
        ">= 0."
    )
    for walls, size in proof.each("numbers of walls and inputs", ((3, 2), (2, 3))):
        y, c, p = column("y", walls), column("c", walls), column("p", size)
        w = Matrix(walls, size, lambda i, k: sympy.Symbol(f"w{i + 1}{k + 1}"))
        d = sympy.Symbol("d")
        value = ((w.T * y).T * p)[0] + d
        proof.equal(
            "then f(p) = d - y.c + sum_i y_i (w_i.p + c_i)",
            value,
            d - (y.T * c)[0] + (y.T * (w * p + c))[0],
        )
    y1, y2, s1, s2, low = z3.Reals("y1 y2 s1 s2 low")
    proof.valid(
        "which is positive where the wall's forms s_i are >= 0, if d - y.c > 0: the cell's closure holds no root",
        low + y1 * s1 + y2 * s2 > 0,
        given=[low > 0, y1 >= 0, y2 >= 0, s1 >= 0, s2 >= 0],
    )
    proof.say(
        "Such y exist whenever f > 0 on the closure (Farkas). f is bounded below by 0 there, and a linear form that is "
        "bounded below on a polyhedron has a minimum; there are finitely many cells, so the minimum of all is attained."
    )


_WITHOUT = {
    "[[x1] + 2 [x2] + 1], x = (2, 1)": (RAISED, (2, 1), 1),
    "[[x1] + [x2] - [x2-1] + 1], with an idle neuron [x2-2], x = (2, 3)": (TWO_CELLS, (2, 3), 2),
}


def _certified(proof: Derivation, name: str) -> None:
    """The multipliers that dtdsym gives, cell by cell."""
    proof.part("certified")
    f, x, least = _WITHOUT[name]
    found = exact_root(f, x)
    if not isinstance(found, NoAdmissibleRoot):
        raise StepFailed(f"{name} has a root")
    p = Matrix([*sympy.symbols("p1 p2"), 1])
    proof.say(f"f = {name}. The multipliers y that dtdsym gives, of the walls, then of f and of -f:")
    for number, (pattern, cell) in enumerate(found.cells.items(), start=1):
        rows = [[int(entry) for entry in row] for row in found.question.rows(cell)]
        forms = [(Matrix([row]) * p)[0] for row in rows]
        y = [sympy.Rational(str(multiplier)) for multiplier in found.bounds[pattern]]
        used = ", ".join(f"{m} ({form})" for m, form in zip(y, forms, strict=True) if m)
        constant = sum((m * row[-1] for m, row in zip(y, rows, strict=True)), sympy.Integer(0))
        total = sum((m * form for m, form in zip(y, forms, strict=True)), sympy.Integer(0))
        proof.say(f"Cell {number}: the forms {', '.join(map(str, forms))} would all be >= 0 at a root.")
        proof.equal(f"but {used} add up to a constant, wherever p is", total, constant)
        proof.found("which is negative", lambda value: value < 0, constant, True, unlike=-constant)
        proof.found("and no multiplier is negative", lambda given: min(given) >= 0, y, True, unlike=[-m for m in y])
    proof.found(
        "the cells are complete: as many as the arrangement of the plane has in this region",
        _cells_around,
        (f, x),
        len(found.cells),
        unlike=next(other[:2] for other in _WITHOUT.values() if other[0] is not f),
    )
    proof.found("the minimum, which is attained", lambda one: lowest_relevance(one, x).value, f, least, unlike=CORNER)


def _cells_around(asked: tuple[Network, tuple[int, int]]) -> int:
    """How many cells of the plane lie in the region of x."""
    f, x = asked
    found = arrangement(f)
    home = next(cell.number for cell in found.cells if x in cell)
    return found.region_of.count(found.region_of[home])


def _of_neurons(proof: Derivation) -> None:
    proof.part("of_neurons")
    proof.say(
        "For a neuron's z = w.a + b in place of f, the same linear programs decide; the domain a >= 0 adds walls."
    )

    def exists(domain: str | None) -> bool:
        return not isinstance(exact_root(SHIFTED, (1, 1), neuron=0, domain=domain), NoAdmissibleRoot)

    proof.found("x1 + 1, x = (1, 1): with x1, x2 >= 0 there is no root", exists, "nonnegative", False, unlike=None)
    a, y = symbols("a1 y")
    proof.equal("y = 1: -(a1 + 1) + y a1 is negative", (-(a + 1) + y * a).subs(y, 1), sympy.Integer(-1))
    line = sequential(([[1, 1]], [-1]))
    proof.found(
        "[x1 + x2 - 1], x = (2, 1): the nearest root in L2 is x - w (w.x + b)/(w.w), that of the w^2 rule",
        lambda x: nearest_root(line, x, norm="l2").point,
        (2, 1),
        (1, 0),
        unlike=(3, 1),
    )


if __name__ == "__main__":
    main()
