"""Which formulas questions are made of: real arithmetic without quantifiers, and the SMT-LIB logic that each needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import z3

from dtdsym.errors import InputError

MOST_FACTORS = 64
"""Of a whole power, which SMT-LIB writes as a product."""

_PLAIN = {
    z3.Z3_OP_TRUE, z3.Z3_OP_FALSE, z3.Z3_OP_AND, z3.Z3_OP_OR, z3.Z3_OP_NOT, z3.Z3_OP_IMPLIES, z3.Z3_OP_XOR,
    z3.Z3_OP_IFF, z3.Z3_OP_ITE, z3.Z3_OP_EQ, z3.Z3_OP_DISTINCT, z3.Z3_OP_LE, z3.Z3_OP_GE, z3.Z3_OP_LT, z3.Z3_OP_GT,
    z3.Z3_OP_ADD, z3.Z3_OP_SUB, z3.Z3_OP_UMINUS, z3.Z3_OP_MUL, z3.Z3_OP_ANUM, z3.Z3_OP_TO_REAL,
    z3.Z3_OP_TO_INT, z3.Z3_OP_IS_INT,
}  # fmt: skip
_SORTS = {z3.Z3_BOOL_SORT, z3.Z3_REAL_SORT, z3.Z3_INT_SORT}


def terms(formula: z3.ExprRef) -> Iterator[z3.ExprRef]:
    """All parts of a formula, each once."""
    seen: set[int] = set()
    stack = [formula]
    while stack:
        term = stack.pop()
        if term.get_id() not in seen:
            seen.add(term.get_id())
            yield term
            stack.extend(term.children())


def unknowns(formula: z3.ExprRef) -> dict[str, z3.SortRef]:
    """The free constants of a formula, as SMT-LIB writes their names, and their sorts."""
    return {term.sexpr(): term.sort() for term in terms(formula) if _is_unknown(term)}


def check_arithmetic(formula: z3.ExprRef) -> None:
    """Raises InputError for what is not in the arithmetic of reals (and of whole numbers, by z3.IsInt and z3.ToInt)."""
    for term in terms(formula):
        if z3.is_quantifier(term):
            raise InputError(f"{_told(term)}: quantifiers are not supported; write z3.And or z3.Or over the cases")
        kind = term.decl().kind()
        if kind == z3.Z3_OP_POWER:
            _check_power(term)
        elif kind == z3.Z3_OP_DIV:
            _check_quotient(term)
        elif term.sort().kind() not in _SORTS or not (kind in _PLAIN or _is_unknown(term)):
            raise InputError(f"{_told(term)}: not supported; compare sums and products of inputs, outputs and numbers")


def rewritten(formula: z3.BoolRef) -> z3.BoolRef:
    """The formula simplified, and powers as products: Z3 takes a conjunction or sum of one, or of none, and x ^ 2,
    which SMT-LIB does not."""
    return z3.simplify(formula, expand_power=True)


def logic_of(formulas: Sequence[z3.BoolRef]) -> str:
    """QF_LRA; QF_NRA where unknowns are multiplied; QF_LIRA and QF_NIRA where whole numbers stand in it too.

    Raises InputError as check_arithmetic."""
    for formula in formulas:
        check_arithmetic(formula)
    whole = any(_is_whole(term) for formula in formulas for term in terms(formula))
    if not whole and _is_plainly_linear(formulas):
        return "QF_LRA"
    product = any(_is_product(term) for formula in formulas for term in terms(rewritten(formula)))
    return f"QF_{'N' if product else 'L'}{'I' if whole else ''}RA"


def _is_plainly_linear(formulas: Sequence[z3.BoolRef]) -> bool:
    goal = z3.Goal()
    goal.add(*formulas)
    return bool(z3.Probe("is-qflra")(goal))


def _is_whole(term: z3.ExprRef) -> bool:
    """Of whole numbers, or a question about them."""
    return bool(term.sort() == z3.IntSort()) or term.decl().kind() == z3.Z3_OP_IS_INT


def _is_unknown(term: z3.ExprRef) -> bool:
    return z3.is_const(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED


def _is_product(term: z3.ExprRef) -> bool:
    """Of two unknowns or more."""
    return term.decl().kind() == z3.Z3_OP_MUL and sum(not _is_number(part) for part in term.children()) > 1


def _is_number(term: z3.ExprRef) -> bool:
    return z3.is_rational_value(term) or z3.is_int_value(term)


def _check_quotient(term: z3.ExprRef) -> None:
    divisor = z3.simplify(term.arg(1))
    if not _is_number(divisor) or Fraction(divisor.as_string()) == 0:
        raise InputError(f"{_told(term)}: divide by numbers other than 0 alone; multiply the comparison out")


def _check_power(term: z3.ExprRef) -> None:
    exponent = z3.simplify(term.arg(1))
    if not _is_number(exponent) or Fraction(exponent.as_string()) not in range(1, MOST_FACTORS + 1):
        raise InputError(f"{_told(term)}: powers are whole, from 1 to {MOST_FACTORS}; write it as a comparison of such")


def _told(term: z3.ExprRef) -> str:
    return " ".join(str(term).split())[:70]
