"""Claims about all inputs of a box at once, not at samples, on small networks.

Inputs are meant off the hinges of the explained logit. The box is cut into the open cells of the network
(dtdsym.geometry.arrangement), on each of which everything is a formula; Z3 is the second opinion on whether the cells
are all that there are, or decides what the formulas leave open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from importlib import import_module
from typing import Any

from dtdsym.arithmetic.rational import text
from dtdsym.arithmetic.written import exact_number
from dtdsym.claims.verdict import Undecided, Verdict, sentence
from dtdsym.errors import BudgetSpent, InputError, RuleError, UnsupportedLayer
from dtdsym.geometry.arrangement import Arrangement, arrangement
from dtdsym.geometry.box import Box, exact_box
from dtdsym.geometry.budget import Budget, Meter
from dtdsym.network.network import Network, checked
from dtdsym.relevance.composite import Composite, parse
from dtdsym.relevance.rule import Rule

IN_A_BOX: Mapping[str, str] = {
    "c2": "with constant roots Definition 3 is gradient x (input - root), at all inputs",
    "c5": "the hinge root of some input leaves the linear region of that input",
}
"""Claims that are decided for all inputs of a box, and what is proved where they are proved."""


@dataclass(frozen=True, eq=False)
class BoxQuestion:
    """One network, cut to the explained logit; bounds: (low, high) of each input, closed; above: inputs are meant whose
    logit is above it. rule: where a claim speaks of one."""

    one: Network
    bounds: tuple[tuple[Fraction, Fraction], ...]
    above: Fraction
    rule: Rule
    budget: Budget
    meter: Meter

    @cached_property
    def cells(self) -> Arrangement:
        """All open cells in the box. Raises BudgetSpent."""
        return arrangement(self.one, box=self.bounds, budget=self.left)

    @property
    def left(self) -> Budget:
        """What is left of the budget. Raises BudgetSpent."""
        return self.meter.left()

    @property
    def patience(self) -> Budget | None:
        """The same for a solver, whose questions have a limit of their own where there is no budget."""
        return None if self.budget.seconds is None else self.left

    @property
    def name(self) -> str:
        """The box, in words."""
        sides = sorted(set(self.bounds))
        if len(sides) == 1:
            return f"the box from {text(sides[0][0])} to {text(sides[0][1])}"
        return "the box " + " x ".join(f"[{text(low)}, {text(high)}]" for low, high in self.bounds)


def decide_in_box(
    claim: str,
    network: Network,
    box: Box,
    *,
    logit: int = 0,
    rule: str | Rule | Composite = "zplus",
    above: Any = 0,
    budget: Budget | None = None,
) -> Verdict:
    """Proved, Refuted or Undecided, for all inputs of a closed box off hinges, on small networks.

    claim: c2 (Proposition 2 on this plain network, for every activation pattern in the box; undecided on networks that
    are not plain), or c5 (whether any hinge root of layer 1 leaves the region of the layer's input, of inputs whose
    logit is above `above`). c5 can be proved, by an input that was placed exactly, for every rule with hinge roots and
    every first layer; refuted for the rules lrp0, w2, flat, zplus, gamma, x and zbox where the first layer is a plain
    linear one of the network's input, without batch normalisation. Elsewhere it is undecided where no root leaves at
    sampled inputs. box: (low, high) for each input, exact, low below high. Raises InputError, RuleError (also for rules
    without hinge roots), NotExact, ShapeMismatch."""
    if claim not in tuple(IN_A_BOX):
        raise InputError(f"claim {claim!r} is not decided for a box; these are: {', '.join(IN_A_BOX)}")
    one, allowed = checked(network).logit(logit), Budget.of(budget)
    bounds = exact_box(box, one.sizes[0])
    question = BoxQuestion(one, bounds, exact_number(above, name="above"), _one_rule(rule), allowed, allowed.start())
    decided: Callable[[BoxQuestion], Verdict] = import_module(f"dtdsym.claims.{claim}_in_box").decide
    try:
        return decided(question)
    except (BudgetSpent, UnsupportedLayer) as why:
        return Undecided(claim, sentence(f"{IN_A_BOX[claim]} of {question.name}"), sentence(why))


def _one_rule(rule: str | Rule | Composite) -> Rule:
    found = parse(rule)
    if isinstance(found, Composite):
        raise RuleError(f"{found.label} is a composite; a box is decided for one rule")
    return found
