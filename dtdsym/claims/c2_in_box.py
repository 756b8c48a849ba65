"""Proposition 2 (Sixt and Landgraf 2022) on one network, for every activation pattern that inputs of a box have.

On a cell of the network all layers are affine. Definition 3 with roots that are constant there, in the same cell, is
worked out symbolically on it: every root a symbol, a different one for each neuron of the layers above the first. It is
compared, as a polynomial in inputs and roots, with grad f o (x - root of the first layer). Z3 says whether the patterns
are all that there are.

Proved is no bad news here: on plain networks it is an identity, true wherever roots lie in the region and wherever they
do not, and so no sign of a Taylor expansion that is not valid. Of one input (c2) it is asked for by name."""

from __future__ import annotations

import sympy
import z3

from dtdsym.claims.box import BoxQuestion
from dtdsym.claims.verdict import Proved, Refuted, Verdict
from dtdsym.errors import Unknown
from dtdsym.lifts.choices import Choices
from dtdsym.lifts.questions import in_box, question, within
from dtdsym.lifts.sympy_lift import SympyLift, to_sympy
from dtdsym.lifts.z3_lift import lift_slice
from dtdsym.network.plain import plain_layers
from dtdsym.network.slice import Slice


def decide(asked: BoxQuestion) -> Verdict:
    """Cell by cell."""
    statement = f"Definition 3 with constant roots is gradient times input less root, at all inputs of {asked.name}."
    lift = to_sympy(asked.one)
    roots = _symbols(lift)
    patterns = {cell.pattern: cell for cell in asked.cells.cells}
    for pattern in patterns:
        asked.meter.tick()
        if not _agrees(lift, roots, pattern):
            return Refuted(
                "c2", statement, "On some cell it is another expression.", witness={"pattern": list(pattern)}
            )
    opinion = _second_opinion(asked, list(patterns))
    each = "the one activation pattern" if len(patterns) == 1 else f"each of the {len(patterns)} activation patterns"
    reason = f"It is so on {each} in the box, for all roots that share it."
    return Proved("c2", statement, f"{reason} {opinion}", witness={"patterns": len(patterns), "z3": opinion})


def _symbols(lift: SympyLift) -> list[list[tuple[sympy.Symbol, ...]]]:
    """Roots of all layers and neurons; the neurons of the first layer have one in common."""
    roots = []
    for layer in plain_layers(lift.network):
        names = [0] * layer.size if layer.number == 1 else range(layer.size)
        roots.append([tuple(sympy.Symbol(f"r{layer.number}_{j}_{i}") for i in range(layer.width)) for j in names])
    return roots


def _agrees(lift: SympyLift, roots: list[list[tuple[sympy.Symbol, ...]]], pattern: tuple[int, ...]) -> bool:
    relevance = lift.recursion(roots, pattern=pattern).relevance
    gradient = lift.piece(pattern).gradients[0]
    pairs = zip(relevance, gradient, lift.inputs, roots[0][0], strict=True)
    return all(sympy.expand(r - g * (x - root)) == 0 for r, g, x, root in pairs)


def _second_opinion(asked: BoxQuestion, patterns: list[tuple[int, ...]]) -> str:
    """Z3 on whether the box has an input off hinges with another pattern."""
    lift = lift_slice(Slice(asked.one, 0, {}))
    choices = Choices(lift)
    others = [z3.Not(z3.And(choices.pattern(pattern))) for pattern in patterns]
    formulas = [*lift.constraints, *in_box(lift.inputs, asked.bounds), *choices.decided(), *others]
    statement = "an input of the box has an activation pattern that the arrangement does not list"
    try:
        found = question(statement, {"x": lift.inputs}, formulas, lambda p: within(asked.bounds)(p["x"])).ask(
            asked.patience
        )
    except Unknown:
        return "Z3 gives no second opinion within its limits."
    assert not hasattr(found, "points"), f"{found} has a pattern that the arrangement lacks: a bug; please report"
    return "Z3 finds no further pattern."
