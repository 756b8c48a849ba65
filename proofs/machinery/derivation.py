"""A derivation: steps that are decided as they are written, and, in the same breath, perturbed.

A perturbed claim has to be rejected, or the step fails: nothing passes because it says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar

import sympy
import z3

from machinery.identity import Side, differing, entries
from machinery.statement import CORRECTED, REFUTED, TRUE, Statement

T = TypeVar("T")
RLIMIT = 50_000_000
"""Z3's own measure of work that a step may take; it does not depend on the machine."""


class StepFailed(Exception):
    """A step does not hold, or holds whatever it says."""


@dataclass(frozen=True)
class Step:
    """One line of a derivation. kind: say, equal, valid, satisfiable, counterexample, ill-typed, found or case."""

    kind: str
    text: str
    left: Side = None
    right: Side = None
    note: str = ""


@dataclass
class Derivation:
    """The steps taken so far. show: is called with each, for a reader. case: the one that is being looked at."""

    statement: Statement
    show: Callable[[Step], None] = lambda step: None
    steps: list[Step] = field(default_factory=list)
    repeated: bool = False
    case: str = ""

    def say(self, text: str) -> None:
        """A remark for the reader: what is assumed, what comes next. Decides nothing."""
        self._take(Step("say", text))

    def equal(self, text: str, left: Side, right: Side) -> None:
        """left = right, as rational functions of their symbols: expressions, matrices, or sequences of them.

        Perturbed: every entry of the right side plus 1."""
        try:
            place = differing(left, right)
        except (ValueError, ZeroDivisionError, sympy.PolynomialError) as err:
            raise StepFailed(f"{text}: {err}") from err
        if place is not None:
            one, other = entries(left)[place], entries(right)[place]
            raise StepFailed(f"{text}: entry {place} differs: {one} is not {other}")
        for entry, same in zip(entries(right), entries(left), strict=True):
            if differing(same, entry + 1) is None:
                raise StepFailed(f"{text}: an entry may be anything")
        self._take(Step("equal", text, left, right))

    def valid(self, text: str, claim: Any, *, given: Sequence[Any] = (), sharp: bool = True) -> None:
        """Z3: the claim holds for all reals for which all of `given` hold.

        Perturbed: the claim's negation, which must not follow too; and, if sharp, each hypothesis left out, without
        which the claim must not hold."""
        against = self._search([*given, z3.Not(claim)])
        if against is not None:
            raise StepFailed(f"{text}: it does not hold at {against}")
        if self._search([*given, claim]) is None:
            raise StepFailed(f"{text}: nothing satisfies the hypotheses")
        for place in range(len(given)) if sharp else ():
            rest = [one for k, one in enumerate(given) if k != place]
            if self._search([*rest, z3.Not(claim)]) is None:
                raise StepFailed(f"{text}: it follows without {given[place]}")
        self._take(Step("valid", text, note=f"Z3, of {len(given)} hypotheses" if given else "Z3"))

    def satisfiable(self, text: str, formulas: Sequence[Any], unknowns: Sequence[Any]) -> list[Fraction]:
        """Z3 finds numbers for the unknowns with which all formulas hold, and returns them, exact.

        Perturbed: without the unknowns' freedom, that is with their negation, each formula must fail at the numbers."""
        model = self._search(list(formulas))
        if model is None:
            raise StepFailed(f"{text}: nothing satisfies this")
        values = [_number(model.eval(unknown, model_completion=True), text) for unknown in unknowns]
        put = [(u, z3.RealVal(f"{v.numerator}/{v.denominator}")) for u, v in zip(unknowns, values, strict=True)]
        for formula in formulas:
            if not z3.is_true(z3.simplify(z3.substitute(formula, *put))):
                raise StepFailed(f"{text}: the numbers do not satisfy {formula}")
        told = ", ".join(f"{unknown} = {value}" for unknown, value in zip(unknowns, values, strict=True))
        self._take(Step("satisfiable", text, note=told))
        return values

    def counterexample(self, text: str, printed: Side, actual: Side, at: Mapping[Any, Any] | None = None) -> None:
        """What is printed is not what is, at these exact numbers. Perturbed: what is, in place of what is printed,
        would be no counterexample."""
        numbers = {sympy.sympify(k): sympy.sympify(v) for k, v in (at or {}).items()}
        sides = [[entry.subs(numbers) for entry in entries(side)] for side in (printed, actual)]
        loose = {symbol for side in sides for entry in side for symbol in entry.free_symbols}
        if loose:
            raise StepFailed(f"{text}: {sorted(map(str, loose))} have no numbers")
        try:
            if differing(sides[0], sides[1]) is None:
                raise StepFailed(f"{text}: both are {sides[1]}, so this is no counterexample")
        except (ValueError, ZeroDivisionError) as err:
            raise StepFailed(f"{text}: {err}") from err
        told = ", ".join(f"{k} = {v}" for k, v in numbers.items())
        self._take(Step("counterexample", text, *(side if len(side) > 1 else side[0] for side in sides), note=told))

    def ill_typed(self, text: str, printed: Callable[[], Any], meant: Callable[[], Any]) -> None:
        """What is printed multiplies or adds matrices whose shapes do not fit; what is meant does not."""
        try:
            printed()
        except sympy.ShapeError as err:
            meant()
            self._take(Step("ill-typed", text, note=str(err)))
            return
        raise StepFailed(f"{text}: the shapes fit")

    def found(self, text: str, question: Callable[[T], Any], subject: T, answer: Any, *, unlike: T) -> None:
        """An exact function of dtdsym answers so about the subject. Perturbed: about `unlike` it must not."""
        met = question(subject)
        if met != answer:
            raise StepFailed(f"{text}: {met!r}, expected {answer!r}")
        if question(unlike) == answer:
            raise StepFailed(f"{text}: {answer!r} is the answer for the planted opposite too")
        self._take(Step("found", text, note=_plain(answer)))

    def each(self, what: str, cases: Iterable[T]) -> Iterator[T]:
        """All cases; the steps of the first are shown, those of the others taken alike. There must be a case."""
        count, outer, above = 0, self.repeated, self.case
        for case in cases:
            if not count:
                self._take(Step("case", f"For each {what}, here {case}:"))
            self.repeated, self.case = outer or count > 0, f"{above}{what} {case}; "
            yield case
            count += 1
        self.repeated, self.case = outer, above
        if not count:
            raise StepFailed(f"there is no {what}")
        self._take(Step("case", f"So for all {count} cases of {what}."))

    def close(self) -> None:
        """The verdict that the statement bears is the one that the steps show. Raises StepFailed."""
        kinds = [step.kind for step in self.steps]
        against = [k for k, kind in enumerate(kinds) if kind in ("counterexample", "ill-typed")]
        shown = [k for k, kind in enumerate(kinds) if kind in ("equal", "valid", "satisfiable", "found")]
        fits = {
            TRUE: bool(shown) and not against,
            CORRECTED: bool(against) and bool(shown) and max(shown) > min(against),
            REFUTED: bool(against),
        }
        if not fits[self.statement.verdict]:
            raise StepFailed(f"{self.statement.id}: the steps do not show that it is {self.statement.verdict}")

    def _take(self, step: Step) -> None:
        if not self.repeated or step.kind in ("counterexample", "ill-typed"):
            self.steps.append(step)
            self.show(step)

    def _search(self, formulas: Sequence[Any]) -> z3.ModelRef | None:
        """A model, or None where there is none. Raises StepFailed where Z3 does not know."""
        solver = z3.Solver()
        solver.set("rlimit", RLIMIT)
        solver.add(*formulas)
        answer = solver.check()
        if answer == z3.unknown:
            raise StepFailed(f"Z3 does not know within its limit ({solver.reason_unknown()})")
        return solver.model() if answer == z3.sat else None


def _plain(answer: Any) -> str:
    """An answer for reading: fractions as 1/2."""
    return f"({', '.join(map(_plain, answer))})" if isinstance(answer, tuple | list | set) else str(answer)


def _number(value: Any, text: str) -> Fraction:
    if not z3.is_rational_value(value):
        raise StepFailed(f"{text}: {value} is not rational")
    return Fraction(value.numerator_as_long(), value.denominator_as_long())
