"""Formulas as SMT-LIB 2.6 scripts (Barrett, Fontaine, Tinelli 2017), for any solver of real arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import z3


def smtlib(logic: str, assertions: Sequence[z3.BoolRef], statement: str) -> str:
    """A script that asks whether all assertions can hold: set-logic, declare-const, assert, check-sat.

    Formulas are simplified first: Z3 takes a conjunction or sum of one, or of none, which the standard does not."""
    written = [z3.simplify(formula) for formula in assertions]
    names = sorted({name for formula in written for name in constants(formula)}, key=_natural)
    lines = [
        "(set-info :smt-lib-version 2.6)",
        f"; {' '.join(statement.split())}?",
        f"(set-logic {logic})",
        *(f"(declare-const {name} Real)" for name in names),
        *(f"(assert {formula.sexpr()})" for formula in written),
        "(check-sat)",
    ]
    return "\n".join(lines) + "\n"


def constants(formula: z3.ExprRef) -> set[str]:
    """Names of the unknowns that stand in a formula."""
    seen: set[int] = set()
    found: set[str] = set()
    stack = [formula]
    while stack:
        term = stack.pop()
        if term.get_id() in seen:
            continue
        seen.add(term.get_id())
        if z3.is_const(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED:
            found.add(term.sexpr())
        stack.extend(term.children())
    return found


def _natural(name: str) -> tuple[str, int]:
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if number.isdigit() else (name, -1)
