"""`exists an input in a box with a property of the outputs` for network verifiers: a VNN-LIB 1.0 file and an ONNX file.

VNN-LIB 1.0 (Demarchi et al. 2023) states in SMT-LIB's words what the inputs X_i and outputs Y_j satisfy. Verifiers read
decimals, and <= and >= alone: what does not fit is refused, never rounded or weakened.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import z3

from dtdsym.arithmetic.smt import fraction_of
from dtdsym.errors import InputError
from dtdsym.geometry.box import Box, exact_box
from dtdsym.lifts.questions import Property, formula
from dtdsym.lifts.z3_lift import Terms, Z3Lift
from dtdsym.network.network import Network
from dtdsym.network.onnx.write import write_onnx
from dtdsym.network.slice import Slice

_WORDS = {z3.Z3_OP_AND: "and", z3.Z3_OP_OR: "or", z3.Z3_OP_LE: "<=", z3.Z3_OP_GE: ">="}
_SUMS = {z3.Z3_OP_ADD: "+", z3.Z3_OP_SUB: "-", z3.Z3_OP_UMINUS: "-"}


@dataclass(frozen=True)
class VnnLib:
    """text: of the .vnnlib file. onnx: bytes of the file of the same exact network, which the text speaks of."""

    text: str
    onnx: bytes


def to_vnnlib(network: Network, box: Box, having: Property) -> VnnLib:
    """The question `exists_in_box` as files. `sat` means that there is such an input.

    having: `and` and `or` of linear <= and >= over inputs and outputs. Raises InputError for anything else, and for
    numbers that are no finite decimals; UnsupportedLayer as write_onnx does."""
    bounds = exact_box(box, network.sizes[0])
    inputs, outputs = (_constants(letter, network.sizes[node]) for letter, node in (("X", 0), ("Y", -1)))
    values = {0: inputs, len(network.nodes) - 1: outputs}
    written = _written(formula(having, Z3Lift(Slice(network, 0, {}), inputs, values, ())))
    lines = [f"(declare-const {term} Real)" for term in (*inputs, *outputs)]
    for term, (low, high) in zip(inputs, bounds, strict=True):
        lines += [f"(assert (>= {term} {_decimal(low)}))", f"(assert (<= {term} {_decimal(high)}))"]
    return VnnLib("\n".join([*lines, f"(assert {written})"]) + "\n", write_onnx(network))


def _constants(letter: str, size: int) -> Terms:
    return tuple(z3.Real(f"{letter}_{i}") for i in range(size))


def _written(condition: z3.BoolRef) -> str:
    kind = condition.decl().kind()
    if kind in (z3.Z3_OP_AND, z3.Z3_OP_OR):
        return f"({_WORDS[kind]} {' '.join(map(_written, condition.children()))})"
    if kind in _WORDS:
        return f"({_WORDS[kind]} {' '.join(map(_term, condition.children()))})"
    raise InputError(f"{condition!s:.70}: VNN-LIB has and, or, <= and >= alone; write the property with these")


def _term(term: z3.ExprRef) -> str:
    number = fraction_of(z3.simplify(term))
    if number is not None:
        return _decimal(number)
    if z3.is_const(term):
        return str(term)
    kind, parts = term.decl().kind(), term.children()
    if kind in _SUMS:
        return f"({_SUMS[kind]} {' '.join(map(_term, parts))})"
    if kind == z3.Z3_OP_MUL and sum(fraction_of(z3.simplify(part)) is None for part in parts) == 1:
        return f"(* {' '.join(map(_term, parts))})"
    raise InputError(f"{term!s:.70}: VNN-LIB has sums of inputs and outputs, each times a number")


def _decimal(number: Fraction) -> str:
    """The number in digits, exactly, as verifiers read it: -0.5, 3.0."""
    twos, fives = (_times(number.denominator, prime) for prime in (2, 5))
    places = max(twos, fives)
    if number.denominator != 2**twos * 5**fives:
        raise InputError(f"{number} is no finite decimal; VNN-LIB needs bounds and constants that are")
    digits = str(abs(number.numerator) * 10**places // number.denominator).rjust(places + 1, "0")
    whole, after = digits[: len(digits) - places], digits[len(digits) - places :]
    return f"{'-' if number < 0 else ''}{whole}.{after or '0'}"


def _times(number: int, prime: int) -> int:
    """How often the prime divides the number."""
    count = 0
    while number % prime == 0:
        number, count = number // prime, count + 1
    return count
