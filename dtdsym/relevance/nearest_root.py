"""The nearest admissible root, of a neuron or of the function above: what Deep Taylor Decomposition should have taken.

Admissible: in the closure of the network's linear region around the layer's input, N_{F_l}(a_l), where the whole
function above is one expansion. (`recursion(...).admissible` asks for less: Definition 3 wants neuron j's root in the
region of R^{l+1}_j o f_l, which can be larger, since Proposition 1 does not hold as printed.)

In the closure of each cell it is a linear program (L1, L-infinity) or a projection (L2), solved exactly; the nearest of
all cells is the answer, and every other cell has multipliers by which it holds none that is nearer. Cells that one
of their walls alone keeps farther away need no program.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.closed import Infeasible
from dtdsym.arithmetic.nearest import NORMS, nearest, sizes
from dtdsym.arithmetic.rational import ONE, ZERO, fraction, fractions
from dtdsym.arithmetic.square_root import nearest_square_root
from dtdsym.errors import InputError
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.cell import Cell, Pattern
from dtdsym.geometry.search import Crossing
from dtdsym.network.network import Network
from dtdsym.relevance.root_search import NoAdmissibleRoot, RootQuestion, check_domain, root_question


def check_norm(norm: str) -> None:
    """Raises InputError for an unknown norm."""
    if norm not in NORMS:
        raise InputError(f"norm {norm!r}: expected {', '.join(NORMS[:-1])} or {NORMS[-1]}")


@dataclass(frozen=True)
class Nearest:
    """Nearest roots as an audit asks for them, in place of a rule's: nearest[:NORM[:nonnegative]]."""

    norm: str = "l2"
    domain: str | None = None

    name = "nearest"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The norm, and the domain if there is one."""
        return (self.norm, self.domain) if self.domain else (self.norm,)

    @property
    def label(self) -> str:
        """As it is written."""
        return ":".join((self.name, *self.parameters))

    def __post_init__(self) -> None:
        check_norm(self.norm)
        check_domain(self.domain)

    @staticmethod
    def parse(text: str) -> Nearest:
        """Raises InputError for another norm or domain."""
        match text.split(":"):
            case ["nearest"]:
                return Nearest()
            case ["nearest", norm] if norm in NORMS:
                return Nearest(norm)
            case ["nearest", norm, "nonnegative"] if norm in NORMS:
                return Nearest(norm, "nonnegative")
        raise InputError(f"root {text!r}: expected nearest, nearest:{'|'.join(NORMS)}, or nearest:NORM:nonnegative")


@dataclass(frozen=True, eq=False)
class NearestRoot:
    """point (size,): an admissible root than which none is nearer in `norm`. squared: its distance, squared.
    path: facet crossings from the input's cell to one whose closure holds it. inside: strictly inside a cell.

    cells: all that were asked, complete. bounds: pattern -> multipliers of the rows of `RootQuestion.rows` by which the
    cell holds no nearer root (dtdsym.arithmetic.nearest)."""

    point: tuple[Fraction, ...]
    norm: str
    squared: Fraction
    path: tuple[Crossing, ...]
    inside: bool
    question: RootQuestion
    cells: dict[Pattern, Cell]
    bounds: dict[Pattern, tuple[Any, ...]]

    @property
    def distance(self) -> Fraction | float:
        """How far from the layer's input. In L1 and L-infinity a Fraction, exact. In L2, where it may be irrational,
        the nearest float (the largest float stands for all that is larger). `squared` is exact in every norm."""
        if self.norm == "l2":
            return nearest_square_root(self.squared)
        gaps = [abs(p - q) for p, q in zip(self.point, fractions(self.question.home.x), strict=True)]
        return sum(gaps, Fraction(0)) if self.norm == "l1" else max(gaps)


def nearest_root(
    network: Network,
    x: Any,
    *,
    norm: str = "l2",
    logit: int = 0,
    layer: int = 1,
    neuron: int | None = None,
    domain: str | None = None,
    within: str = "region",
    budget: Budget | None = None,
) -> NearestRoot | NoAdmissibleRoot:
    """The admissible root of F_l, or of neuron j of layer l, nearest to a_l; or the proof that there is none.

    norm: "l1", "l2" or "linf". Other arguments and errors as for `exact_root`."""
    check_norm(norm)
    asked = root_question(
        network, x, logit=logit, layer=layer, neuron=neuron, domain=domain, within=within, budget=budget
    )
    return nearest_in(asked, norm)


def nearest_in(question: RootQuestion, norm: str) -> NearestRoot | NoAdmissibleRoot:
    """The nearest root, or the proof that there is none. Raises BudgetSpent."""
    home, centre = question.home, question.home.x.tolist()
    meter = home.budget.start()
    cells = {cell.pattern: cell for cell in question.cells(meter)}
    alone = {pattern: sizes(question.rows(cell), centre, norm) for pattern, cell in cells.items()}
    bounds: dict[Pattern, tuple[Any, ...]] = {}
    best, point, owner = None, None, home.cell
    for pattern, cell in sorted(cells.items(), key=lambda item: max(alone[item[0]])):
        least = max(alone[pattern])
        if best is not None and least >= best:
            wall = alone[pattern].index(least)
            bounds[pattern] = tuple(ONE if k == wall else ZERO for k in range(len(alone[pattern])))
            continue
        found = nearest(question.rows(cell), centre, norm, meter.tick)
        bounds[pattern] = found.multipliers
        if not isinstance(found, Infeasible) and (best is None or found.size < best):
            best, point, owner = found.size, found.point, cell
    if best is None:
        return NoAdmissibleRoot(question, cells, bounds)
    root, size = np.array(point, dtype=object), fraction(best)
    squared = size if norm == "l2" else size * size
    return NearestRoot(fractions(root), norm, squared, question.path(owner), owner.holds(root), question, cells, bounds)
