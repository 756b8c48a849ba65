"""Claims changed in one place: what a step has to refuse, so that nothing passes because it says nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sympy
import z3

LESS, MORE = (z3.Z3_OP_LE, z3.Z3_OP_LT), (z3.Z3_OP_GE, z3.Z3_OP_GT)


def changed(entry: sympy.Expr) -> Iterator[sympy.Expr]:
    """The expression with one term's sign, or its coefficient, changed; a number plus 1."""
    if entry.is_Add:
        yield from (entry - 2 * term for term in entry.args)
    elif entry.is_Number:
        yield entry + 1
    else:
        yield 2 * entry


def hypotheses_and_claims(given: Sequence[Any], claim: Any) -> tuple[list[Any], list[Any]]:
    """The conjuncts of `given` and, for a claim `A implies B`, of A; and those of B."""
    hypotheses = [part for one in given for part in conjuncts(one)]
    while z3.is_implies(claim):
        hypotheses += conjuncts(claim.arg(0))
        claim = claim.arg(1)
    return hypotheses, list(conjuncts(claim))


def conjuncts(formula: Any) -> Iterator[Any]:
    """What `formula` is the conjunction of."""
    if z3.is_and(formula):
        for part in formula.children():
            yield from conjuncts(part)
    else:
        yield formula


def stronger(claim: Any) -> Any:
    """An inequality or equation of reals whose right side has moved by 1; what is neither, negated."""
    kind = claim.decl().kind()
    if z3.is_eq(claim) and z3.is_arith(claim.arg(0)):
        return claim.arg(0) == claim.arg(1) + 1
    if kind in LESS:
        return claim.arg(0) <= claim.arg(1) - 1
    if kind in MORE:
        return claim.arg(0) >= claim.arg(1) + 1
    return z3.Not(claim)
