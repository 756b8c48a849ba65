"""A question to Z3, `is there a point such that ...`, and its answers: a verified exact point, or that none is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NoReturn

import z3

from dtdsym.arithmetic.smt import fraction_of
from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import InputError, Unknown
from dtdsym.geometry.budget import Budget
from dtdsym.lifts.smtlib import smtlib

LIMIT = Budget(seconds=60)
"""What one question may cost where nothing else is said."""
DIGITS = 40
"""Of the decimals that stand in for an irrational number of a model; the point is verified as it then is."""

LINEAR = ("QF_LRA", "QF_LIRA")
LONGEST = 2**32 - 1
"""Milliseconds that mean no limit to Z3."""

Points = Mapping[str, tuple[Fraction, ...]]


@dataclass(frozen=True, eq=False)
class Question:
    """Whether the unknown numbers can be such that all assertions hold.

    statement: the question in words. unknowns: name -> the terms whose values make a point. verified: whether points
    have the property, by the rational arithmetic alone. logic: dtdsym.lifts.logic's, QF_LRA unless unknowns are
    multiplied or whole numbers asked for.
    """

    statement: str
    unknowns: Mapping[str, Sequence[z3.ArithRef]]
    assertions: tuple[z3.BoolRef, ...]
    verified: Callable[[Points], bool]
    logic: str = "QF_LRA"

    def ask(self, budget: Budget | None = None, *, steps: int | None = None) -> Found | Unsat:
        """Z3's answer; points are verified before they are given. steps: a limit that does not depend on the machine,
        Z3's own count (rlimit). Without a budget: 60 seconds.

        Raises Unknown where Z3 gives no answer within the limits, or none that the rational arithmetic confirms."""
        solver = self._solver(LIMIT if budget is None else Budget.of(budget), steps)
        answer = solver.check()
        if answer == z3.unsat:
            return Unsat(self)
        if answer == z3.unknown:
            raise Unknown(
                f"Z3 answers unknown ({solver.reason_unknown()}) to whether {self.statement}; give a larger budget, or "
                "ask about a smaller network or box"
            )
        found = {name: [_value(solver.model(), term) for term in terms] for name, terms in self.unknowns.items()}
        points = {name: tuple(number for number, _ in numbers) for name, numbers in found.items()}
        if not self.verified(points):
            self._refuse(all(rational for numbers in found.values() for _, rational in numbers))
        return Found(self, points)

    def _refuse(self, rational: bool) -> NoReturn:
        assert not (rational and self.logic in LINEAR), f"a model of {self.statement!r} fails: please report"
        if rational:
            raise Unknown(
                f"Z3's point for whether {self.statement} is not confirmed in exact arithmetic; ask about a smaller "
                "network or box"
            )
        raise Unknown(f"Z3's point for whether {self.statement} is irrational, and the rational next to it fails")

    def to_smtlib(self) -> str:
        """The question as an SMT-LIB 2.6 script: `sat` means that there is such a point.

        Raises InputError for assertions that are no arithmetic of reals and whole numbers."""
        return smtlib(self.assertions, self.statement)

    def _solver(self, budget: Budget, steps: int | None) -> z3.Solver:
        solver = z3.SolverFor(self.logic)
        if budget.seconds is not None:
            solver.set("timeout", int(max(1, min(budget.seconds * 1000, LONGEST))))
        if steps is not None:
            limit = whole_number(steps)
            if limit is None or not 1 <= limit <= LONGEST:
                raise InputError(f"steps={steps!r:.70}: give a whole number from 1 to {LONGEST}, or None")
            solver.set("rlimit", limit)
        solver.add(*self.assertions)
        return solver


@dataclass(frozen=True, eq=False)
class Found:
    """Yes: points, by their names in the question, which the rational arithmetic has verified."""

    question: Question
    points: Points


@dataclass(frozen=True, eq=False)
class Unsat:
    """No, says Z3: of all points none. `question.to_smtlib()` lets another solver say so too."""

    question: Question


def _value(model: z3.ModelRef, term: z3.ArithRef) -> tuple[Fraction, bool]:
    """The value of a term, and whether it is rational; of one that is not, a rational number close to it."""
    value = model.eval(term, model_completion=True)
    found = fraction_of(value)
    if found is not None:
        return found, True
    near = fraction_of(value.approx(DIGITS))
    assert near is not None, f"{value} is no number"
    return near, False
