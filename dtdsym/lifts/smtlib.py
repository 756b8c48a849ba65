"""Formulas as SMT-LIB 2.6 scripts (Barrett, Fontaine, Tinelli 2017), for any solver of real arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import z3

from dtdsym.lifts.logic import check_arithmetic, logic_of, rewritten, unknowns


def smtlib(assertions: Sequence[z3.BoolRef], statement: str) -> str:
    """A script that asks whether all assertions can hold: set-logic, declare-const, assert, check-sat.

    Raises InputError for what is no arithmetic of reals and whole numbers."""
    for formula in assertions:
        check_arithmetic(formula)
    written = [rewritten(formula) for formula in assertions]
    sorts = {name: sort for formula in written for name, sort in unknowns(formula).items()}
    lines = [
        "(set-info :smt-lib-version 2.6)",
        f"; {' '.join(statement.split())}?",
        f"(set-logic {logic_of(written)})",
        *(f"(declare-const {name} {sorts[name].sexpr()})" for name in sorted(sorts, key=_natural)),
        *(f"(assert {formula.sexpr()})" for formula in written),
        "(check-sat)",
    ]
    return "\n".join(lines) + "\n"


def _natural(name: str) -> tuple[str, int]:
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if number.isdigit() else (name, -1)
