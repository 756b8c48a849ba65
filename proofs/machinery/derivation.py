"""A derivation: steps that are decided as they are written, and, in the same breath, perturbed.

A perturbed claim has to be rejected, or the step fails: nothing passes because it says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar

import sympy
import z3

from machinery.identity import Side, differing, entries
from machinery.perturbed import changed, hypotheses_and_claims, stronger
from machinery.statement import CORRECTED, REFUTED, TRUE, Statement

T = TypeVar("T")
DECIDED = ("equal", "valid", "satisfiable", "counterexample", "ill-typed", "found")
GIVES = re.compile(r"gives? (\([^)]*\)|[-\d/]+) for (\([^)]*\)|[-\d/]+)")
"""How a reason tells a counterexample: what is printed gives 2 for 1. A step has to give these numbers."""
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
    """The steps taken so far. show: is called with each, for a reader. case: the one that is being looked at. here: the
    part. decided: how many steps decided something; parts: how many in each. loops: those that have begun and not
    ended. against: printed and actual of the counterexamples."""

    statement: Statement
    show: Callable[[Step], None] = lambda step: None
    steps: list[Step] = field(default_factory=list)
    repeated: bool = False
    case: str = ""
    here: str = ""
    decided: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    loops: list[str] = field(default_factory=list)
    against: list[tuple[str, ...]] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A remark for the reader: what is assumed, what comes next. Decides nothing."""
        self._take(Step("say", text))

    def part(self, name: str) -> None:
        """The steps that follow are this part of the statement, one that it declares."""
        if name not in self.statement.parts:
            raise StepFailed(f"{name} is no declared part of {self.statement.id}")
        self.parts.setdefault(name, 0)
        self.here = name

    def equal(self, text: str, left: Side, right: Side) -> None:
        """left = right, as rational functions of their symbols: expressions, matrices, or sequences of them.

        Perturbed: in every entry the sign of a term, or the coefficient, of the right side (of the left if the right is
        0) is changed, which must not pass. A symbol is not compared with itself."""
        try:
            place = differing(left, right)
        except (ValueError, ZeroDivisionError, sympy.PolynomialError) as err:
            raise StepFailed(f"{text}: {err}") from err
        pairs = list(zip(entries(left), entries(right), strict=True))
        if place is not None:
            raise StepFailed(f"{text}: entry {place} differs: {pairs[place][0]} is not {pairs[place][1]}")
        if isinstance(left, sympy.Symbol) and left == right:
            raise StepFailed(f"{text}: {left} is compared with itself, so nothing is decided")
        for one, other in pairs:
            kept, moved = (other, one) if other.is_zero else (one, other)
            if all(differing(kept, wrong) is None for wrong in changed(moved)):
                raise StepFailed(f"{text}: an entry may be anything")
        self._take(Step("equal", text, left, right))

    def valid(self, text: str, claim: Any, *, given: Sequence[Any] = (), sharp: bool = True) -> None:
        """Z3: the claim holds for all reals for which all of `given` hold. `A implies B` is B, given A.

        Perturbed: the claim's negation, which must not follow too; and, if sharp, each hypothesis left out, and each
        conjunct of the claim made stronger, which must not hold."""
        given, parts = hypotheses_and_claims(given, claim)
        for one in parts:
            if z3.is_true(z3.simplify(one)):
                raise StepFailed(f"{text}: {one} holds as it is written, so nothing is decided")
        claim = z3.And(parts)
        against = self._search([*given, z3.Not(claim)])
        if against is not None:
            raise StepFailed(f"{text}: it does not hold at {against}")
        if self._search([*given, claim]) is None:
            raise StepFailed(f"{text}: nothing satisfies the hypotheses")
        for place in range(len(given)) if sharp else ():
            rest = [one for k, one in enumerate(given) if k != place]
            if self._search([*rest, z3.Not(claim)]) is None:
                raise StepFailed(f"{text}: it follows without {given[place]}")
        for one in parts if sharp else ():
            if self._search([*given, z3.Not(stronger(one))]) is None:
                raise StepFailed(f"{text}: {stronger(one)} follows too")
        self._take(Step("valid", text, note=f"Z3, of {len(given)} hypotheses" if given else "Z3"))

    def satisfiable(
        self, text: str, formulas: Sequence[Any], unknowns: Sequence[Any], *, sharp: bool = True
    ) -> list[Fraction]:
        """Z3 finds numbers for the unknowns with which all formulas hold, and returns them, exact.

        Perturbed: if sharp, each formula, which must be able to fail while the others hold: none is needless."""
        model = self._search(list(formulas))
        if model is None:
            raise StepFailed(f"{text}: nothing satisfies this")
        values = [_number(model.eval(unknown, model_completion=True), text) for unknown in unknowns]
        put = [(u, z3.RealVal(f"{v.numerator}/{v.denominator}")) for u, v in zip(unknowns, values, strict=True)]
        for formula in formulas:
            if not z3.is_true(z3.simplify(z3.substitute(formula, *put))):
                raise StepFailed(f"{text}: the numbers do not satisfy {formula}")
        for place, formula in enumerate(formulas) if sharp else ():
            rest = [one for k, one in enumerate(formulas) if k != place]
            if self._search([*rest, z3.Not(formula)]) is None:
                raise StepFailed(f"{text}: {formula} follows from the others, or always holds")
        told = ", ".join(f"{unknown} = {value}" for unknown, value in zip(unknowns, values, strict=True))
        self._take(Step("satisfiable", text, note=told))
        return values

    def counterexample(
        self,
        text: str,
        printed: Side,
        actual: Side,
        at: Mapping[Any, Any] | None = None,
        *,
        values: tuple[Any, Any],
        agrees_at: Mapping[Any, Any] | None = None,
    ) -> None:
        """What is printed is not what is, at these exact numbers. values: what the two are there.

        Perturbed: what is, in place of what is printed, would be no counterexample; and at agrees_at, if given, the
        two are the same number, so that what is printed is what is printed and not some other formula."""
        sides = [_numbers(text, side, at) for side in (printed, actual)]
        for side, value in zip(sides, values, strict=True):
            if side != [sympy.sympify(entry) for entry in entries(_plain_side(value))]:
                raise StepFailed(f"{text}: {side} is not {value}")
        if sides[0] == sides[1]:
            raise StepFailed(f"{text}: both are {sides[1]}, so this is no counterexample")
        if agrees_at is not None:
            same = [_numbers(text, side, agrees_at) for side in (printed, actual)]
            if same[0] != same[1]:
                raise StepFailed(f"{text}: {same[0]} is not {same[1]} where they should agree")
        told = ", ".join(f"{k} = {v}" for k, v in (at or {}).items())
        self.against.append(tuple(map(_told, sides)))
        self._take(Step("counterexample", text, *(side if len(side) > 1 else side[0] for side in sides), note=told))

    def ill_typed(self, text: str, law: str, printed: Callable[[], Any], meant: Callable[[], Any]) -> None:
        """What is printed multiplies or adds matrices whose shapes do not fit; what is meant does not.

        law: the one that is broken, as `(2, 1) + (1, 1)`: these shapes cannot be put together so."""
        try:
            printed()
        except sympy.ShapeError as err:
            if law not in str(err):
                raise StepFailed(f"{text}: {law} is not what fails: {err}") from err
            if not isinstance(meant(), sympy.MatrixBase):
                raise StepFailed(f"{text}: what is meant is no matrix") from err
            self._take(Step("ill-typed", text, note=f"no such thing as {law}"))
            return
        raise StepFailed(f"{text}: the shapes fit")

    def found(self, text: str, question: Callable[[T], Any], subject: T, answer: Any, *, unlike: T) -> None:
        """An exact function of dtdsym answers so about the subject. Perturbed: about `unlike` it must answer, too, and
        not so."""
        met = question(subject)
        if met != answer:
            raise StepFailed(f"{text}: {met!r}, expected {answer!r}")
        other = question(unlike)
        if other == answer:
            raise StepFailed(f"{text}: {answer!r} is the answer for the planted opposite too")
        if isinstance(other, list | tuple | set) and not other:
            raise StepFailed(f"{text}: the planted opposite has no answer")
        self._take(Step("found", text, note=_plain(answer)))

    def each(self, what: str, cases: Iterable[T]) -> Iterator[T]:
        """All cases; the steps of the first are shown, those of the others taken alike. There must be a case, in each
        of them something must be decided, and none may be left out by leaving the loop."""
        count, outer, above = 0, self.repeated, self.case
        self.loops.append(what)
        for case in cases:
            if not count:
                self._take(Step("case", f"For each {what}, here {case}:"))
            self.repeated, self.case = outer or count > 0, f"{above}{what} {case}; "
            before = self.decided
            yield case
            if self.decided == before:
                raise StepFailed(f"nothing is decided for {what} {case}")
            count += 1
        self.repeated, self.case = outer, above
        self.loops.remove(what)
        if not count:
            raise StepFailed(f"there is no {what}")
        self._take(Step("case", f"So for all {count} cases of {what}."))

    def close(self) -> None:
        """All that was begun and declared was done, and the verdict that the statement bears is the one that the steps
        show. Raises StepFailed."""
        one = self.statement
        if self.loops:
            raise StepFailed(f"{one.id}: not all cases of {self.loops[0]} were taken")
        for name in one.parts:
            if not self.parts.get(name):
                raise StepFailed(f"{one.id}: its part {name} is missing")
        for pair in GIVES.findall(one.reason):
            if pair not in self.against:
                raise StepFailed(f"{one.id}: no step gives {pair[0]} for {pair[1]}, as its reason says")
        kinds = [step.kind for step in self.steps]
        against = [k for k, kind in enumerate(kinds) if kind in ("counterexample", "ill-typed")]
        shown = [k for k, kind in enumerate(kinds) if kind in ("equal", "valid", "satisfiable", "found")]
        fits = {
            TRUE: bool(shown) and not against,
            CORRECTED: bool(against) and bool(shown) and max(shown) > min(against),
            REFUTED: bool(against),
        }
        if not fits[one.verdict]:
            raise StepFailed(f"{one.id}: the steps do not show that it is {one.verdict}")

    def _take(self, step: Step) -> None:
        if step.kind in DECIDED:
            self.decided += 1
            if self.here:
                self.parts[self.here] += 1
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


def _numbers(text: str, side: Side, at: Mapping[Any, Any] | None) -> list[sympy.Rational]:
    """The entries of one side at these numbers, exact."""
    numbers = {sympy.sympify(k): sympy.sympify(v) for k, v in (at or {}).items()}
    found = [entry.subs(numbers) for entry in entries(side)]
    loose = {symbol for entry in found for symbol in entry.free_symbols}
    if loose:
        raise StepFailed(f"{text}: {sorted(map(str, loose))} have no numbers")
    for entry in found:
        if not entry.is_Rational:
            raise StepFailed(f"{text}: {entry} is no rational number")
    return found


def _plain_side(value: Any) -> Any:
    """A number or tuple of numbers as it is written in a script: 1, "1/2", (1, "1/2")."""
    return [_plain_side(one) for one in value] if isinstance(value, tuple) else sympy.Rational(value)


def _told(side: list[sympy.Rational]) -> str:
    return str(side[0]) if len(side) == 1 else f"({', '.join(map(str, side))})"
