"""Questions about a network: one cell, a point with a property, no point without it; `.ask()` has Z3 answer them.

A property is a Python function from a lift to a Z3 formula over its `inputs` and `outputs`:

    exists_in_box(network, [(0, 1)] * 10, lambda net: net.outputs[0] > net.outputs[1]).ask()

Write constants in it as ints, Fractions or `number(0.1)`: Z3 reads a bare float as the decimal that Python prints
(dtdsym.lifts.properties). Boxes are closed, and a side may be one point; cells, and with them regions, are open;
inequalities are as strict as they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import z3

from dtdsym.arithmetic.rational import RATIONAL, fractions, vector
from dtdsym.arithmetic.smt import numeral
from dtdsym.geometry.box import Bounds, Box, exact_box
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.cell import Pattern, cell_at
from dtdsym.geometry.component import Component
from dtdsym.lifts.choices import Choices
from dtdsym.lifts.logic import logic_of
from dtdsym.lifts.properties import Property, formula, satisfies, stated
from dtdsym.lifts.question import Points, Question
from dtdsym.lifts.surroundings import open_cell
from dtdsym.lifts.z3_lift import Terms, Z3Lift, lift_slice, to_z3
from dtdsym.network.network import Network
from dtdsym.network.slice import Slice, slice_at


def same_cell(network: Network, x: Sequence[Any], other: Sequence[Any], *, logit: int = 0, layer: int = 1) -> Question:
    """Whether the input x (in,) and `other` lie in one open cell of F_l; `other` has the shape of layer l's input.

    Asked of two lifts, one a point, and of all choices of F_l; Unsat where x lies on a hinge, too. Verified by the
    inequalities of x's cell. Raises ShapeMismatch, NotExact, InputError."""
    function, home = slice_at(network, x, logit=logit, layer=layer)
    points = {"x": fractions(home), "other": fractions(vector(other, size=function.size, name="other"))}
    one, two = (lift_slice(function, prefix=f"{name}.") for name in points)
    choices = Choices(one)
    formulas = [*equal(one.inputs, points["x"]), *equal(two.inputs, points["other"])]
    formulas += [*one.constraints, *two.constraints, *choices.decided(), *choices.shared(Choices(two))]
    cell = cell_at(function, home)

    def verified(found: Points) -> bool:
        return found == points and not cell.hinged and cell.holds(RATIONAL.lift(points["other"]))

    return question("both points lie in one open cell", {"x": one.inputs, "other": two.inputs}, formulas, verified)


def exists_in_box(network: Network, box: Box, having: Property) -> Question:
    """Whether some input in the closed box, (low, high) for each input, has the property. All of the network's outputs
    can be spoken of. Raises InputError for a box that does not fit, or where `having` gives no formula."""
    lift, bounds = to_z3(network), exact_box(box, network.sizes[0], points=True)
    formulas = [*in_box(lift.inputs, bounds), formula(having, lift)]
    return _about(lift, "an input in the box has the property", formulas, [within(bounds), satisfies(having, lift)])


def for_all_in_box(network: Network, box: Box, having: Property) -> Question:
    """Whether some input in the closed box lacks the property: Unsat says that all inputs have it, and what is found is
    a counterexample. Raises InputError."""
    lift, bounds = to_z3(network), exact_box(box, network.sizes[0], points=True)

    def lacking(at: Z3Lift) -> z3.BoolRef:
        return z3.Not(stated(having, at))

    formulas = [*in_box(lift.inputs, bounds), z3.Not(formula(having, lift))]
    return _about(lift, "an input in the box lacks the property", formulas, [within(bounds), satisfies(lacking, lift)])


def exists_in_cell(
    network: Network, x: Sequence[Any], having: Property, *, logit: int = 0, layer: int = 1, box: Box | None = None
) -> Question:
    """Whether some point of the open cell of F_l that holds x's a_l has the property; the lift's one output is F_l.

    box: closed, of layer l's inputs. Raises OnHinge if a choice ties at a_l, InputError, ShapeMismatch, NotExact."""
    function, home = slice_at(network, x, logit=logit, layer=layer)
    cell = open_cell(function, home)
    return _in_cells("cell", function, having, [cell.pattern], cell.holds, box)


def exists_in_region(
    network: Network,
    x: Sequence[Any],
    having: Property,
    *,
    logit: int = 0,
    layer: int = 1,
    box: Box | None = None,
    budget: Budget | None = None,
) -> Question:
    """Whether some point of the linear region N_{F_l}(a_l) has the property, off the hinges that divide the region: in
    one of its open cells, which geometry lists first within the budget. The lift's one output is F_l.

    A property that only points on hinges have is not found. Raises OnHinge, BudgetSpent, InputError."""
    function, home = slice_at(network, x, logit=logit, layer=layer)
    cells = Component(function, home, Budget.of(budget)).cells

    def holds(point: Any) -> bool:
        return any(cell.holds(point) for cell in cells.values())

    return _in_cells("linear region", function, having, list(cells), holds, box)


def _in_cells(
    place: str,
    function: Slice,
    having: Property,
    patterns: list[Pattern],
    holds: Callable[[Any], bool],
    box: Box | None,
) -> Question:
    lift = lift_slice(function)
    choices = Choices(lift)
    formulas = [z3.Or([z3.And(choices.pattern(pattern)) for pattern in patterns]), formula(having, lift)]
    checks = [lambda point: holds(RATIONAL.lift(point)), satisfies(having, lift)]
    if box is not None:
        bounds = exact_box(box, function.size, points=True)
        formulas += in_box(lift.inputs, bounds)
        checks.append(within(bounds))
    return _about(lift, f"a point of the {place} has the property", formulas, checks)


def _about(lift: Z3Lift, statement: str, formulas: list[z3.BoolRef], checks: list[Callable[[Any], bool]]) -> Question:
    """A question about one point."""

    def verified(found: Points) -> bool:
        return all(check(found["x"]) for check in checks)

    return question(statement, {"x": lift.inputs}, [*lift.constraints, *formulas], verified)


def question(
    statement: str, unknowns: dict[str, Terms], formulas: list[z3.BoolRef], verified: Callable[[Points], bool]
) -> Question:
    """A question in the logic that its formulas need."""
    return Question(statement, unknowns, tuple(formulas), verified, logic_of(formulas))


def within(bounds: Bounds) -> Callable[[Sequence[Fraction]], bool]:
    """Whether a point lies in the closed box."""
    return lambda point: all(low <= entry <= high for entry, (low, high) in zip(point, bounds, strict=True))


def in_box(terms: Terms, bounds: Sequence[tuple[Fraction, Fraction]]) -> list[z3.BoolRef]:
    """Together: the terms lie in the closed box."""
    return [
        z3.And(numeral(low) <= term, term <= numeral(high)) for term, (low, high) in zip(terms, bounds, strict=True)
    ]


def equal(terms: Terms, numbers: Sequence[Fraction]) -> list[z3.BoolRef]:
    """Together: the terms are these numbers."""
    return [term == numeral(number) for term, number in zip(terms, numbers, strict=True)]
