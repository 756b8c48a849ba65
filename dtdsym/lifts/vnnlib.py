"""`exists an input in a box with a property of the outputs` for network verifiers: a VNN-LIB 1.0 file and an ONNX file.

VNN-LIB 1.0 (Demarchi et al. 2023) states in SMT-LIB's words what the inputs X_i and outputs Y_j satisfy. Verifiers read
decimals, and <= and >= alone: what does not fit is refused, never rounded or weakened. Negative numbers are written
-1.0 and an `and` of one comparison is kept, (or (and (<= Y_0 -1.0)) ...), as in the benchmarks of the verification
competitions, which their readers expect, and unlike SMT-LIB's own (- 1.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import z3

from dtdsym.arithmetic.rational import text
from dtdsym.arithmetic.smt import fraction_of
from dtdsym.arithmetic.written import decimal
from dtdsym.errors import InputError
from dtdsym.geometry.box import Box, exact_box
from dtdsym.lifts.properties import Property, formula
from dtdsym.lifts.z3_lift import Terms, Z3Lift
from dtdsym.network.network import Network, checked
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

    having: `and` and `or` of linear <= and >= over inputs and outputs. Raises InputError for anything else, for a
    property that is true or false of all inputs alike, and for numbers that are no finite decimals; UnsupportedLayer
    as write_onnx does."""
    bounds = exact_box(box, checked(network).sizes[0], points=True)
    inputs, outputs = (_constants(letter, network.sizes[node]) for letter, node in (("X", 0), ("Y", -1)))
    values = {0: inputs, len(network.nodes) - 1: outputs}
    written = _written(formula(having, Z3Lift(Slice(network, 0, {}), inputs, values, ())))
    if isinstance(written, bool):
        raise InputError(f"the property is {written} of all inputs alike: nothing for VNN-LIB to ask a verifier")
    lines = [f"(declare-const {term} Real)" for term in (*inputs, *outputs)]
    for term, (low, high) in zip(inputs, bounds, strict=True):
        lines += [f"(assert (>= {term} {_decimal(low)}))", f"(assert (<= {term} {_decimal(high)}))"]
    return VnnLib("\n".join([*lines, f"(assert {written})"]) + "\n", write_onnx(network))


def _constants(letter: str, size: int) -> Terms:
    return tuple(z3.Real(f"{letter}_{i}") for i in range(size))


def _written(condition: z3.BoolRef) -> str | bool:
    """In VNN-LIB's words, or what it always is: an `and` of none is true, an `or` of none false."""
    kind = condition.decl().kind()
    if z3.is_true(condition) or z3.is_false(condition):
        return bool(z3.is_true(condition))
    if kind in (z3.Z3_OP_AND, z3.Z3_OP_OR):
        return _joined(kind, [_written(part) for part in condition.children()])
    if kind in _WORDS:
        return f"({_WORDS[kind]} {' '.join(map(_term, condition.children()))})"
    raise InputError(f"{condition!s:.70}: VNN-LIB has and, or, <= and >= alone; write the property with these")


def _joined(kind: int, parts: list[str | bool]) -> str | bool:
    """Without what changes nothing."""
    neutral = kind == z3.Z3_OP_AND
    if (not neutral) in parts:
        return not neutral
    left = [part for part in parts if isinstance(part, str)]
    return f"({_WORDS[kind]} {' '.join(left)})" if left else neutral


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
    found = decimal(number)
    if found is None:
        raise InputError(f"{text(number)} is no finite decimal; VNN-LIB needs bounds and constants that are")
    return found
