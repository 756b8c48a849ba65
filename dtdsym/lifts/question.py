"""A question to Z3, `is there a point such that ...`, and its answers: a verified exact point, or that none is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import z3

from dtdsym.arithmetic.smt import fraction_of
from dtdsym.errors import Unknown
from dtdsym.geometry.budget import Budget
from dtdsym.lifts.smtlib import smtlib

LIMIT = Budget(seconds=60)
"""What one question may cost where nothing else is said."""
DIGITS = 40
"""Of the decimals that stand in for an irrational number of a model; the point is verified as it then is."""

Points = Mapping[str, tuple[Fraction, ...]]


@dataclass(frozen=True, eq=False)
class Question:
    """Whether the unknown numbers can be such that all assertions hold.

    statement: the question in words. unknowns: name -> the terms whose values make a point. verified: whether points
    have the property, by the rational arithmetic alone. logic: QF_LRA, or QF_NRA where unknowns are multiplied.
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
        solver = self._solver(LIMIT if budget is None else budget, steps)
        answer = solver.check()
        if answer == z3.unsat:
            return Unsat(self)
        if answer == z3.unknown:
            raise Unknown(
                f"Z3 answers unknown ({solver.reason_unknown()}) to whether {self.statement}; give a larger budget, or "
                "ask about a smaller network or box"
            )
        points = {name: tuple(map(_value(solver.model()), terms)) for name, terms in self.unknowns.items()}
        if not self.verified(points):
            assert self.logic != "QF_LRA", f"a model of {self.statement!r} fails in exact arithmetic: please report"
            raise Unknown(f"Z3's point for whether {self.statement} is irrational, and the rational next to it fails")
        return Found(self, points)

    def to_smtlib(self) -> str:
        """The question as an SMT-LIB 2.6 script: `sat` means that there is such a point."""
        return smtlib(self.logic, self.assertions, self.statement)

    def _solver(self, budget: Budget, steps: int | None) -> z3.Solver:
        solver = z3.SolverFor(self.logic)
        if budget.seconds is not None:
            solver.set("timeout", max(1, int(budget.seconds * 1000)))
        if steps is not None:
            solver.set("rlimit", steps)
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


def _value(model: z3.ModelRef) -> Callable[[z3.ArithRef], Fraction]:
    """The value of a term; of an algebraic number that is irrational a rational number close to it."""

    def of(term: z3.ArithRef) -> Fraction:
        value = model.eval(term, model_completion=True)
        found = fraction_of(value)
        if found is None:
            found = fraction_of(value.approx(DIGITS))
        assert found is not None, f"{value} is no number"
        return found

    return of
