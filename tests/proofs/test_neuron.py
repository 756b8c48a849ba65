"""The vectors, neurons and terms that the proofs are written with, against slow formulas."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
import z3
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import definition_3, exactly

from machinery.neuron import (
    added,
    affine_root,
    dot,
    patterns,
    preactivations,
    put,
    relu,
    rows,
    scaled,
    taylor_term,
    times,
    unknown_rows,
    vector,
    whole,
    written,
)

FRACTIONS = st.fractions(min_value=-5, max_value=5, max_denominator=12)


def test_matrices_of_symbols_are_rows_of_different_symbols():
    assert rows("w", 2, 3) == tuple(sympy.symbols(f"w{j}1 w{j}2 w{j}3") for j in (1, 2))
    assert len({str(entry) for row in unknown_rows("w", 3, 2) for entry in row}) == 6
    assert vector("b", 1) == (sympy.Symbol("b"),)


def test_vectors_of_different_lengths_are_refused():
    for operation in (dot, times):
        with pytest.raises(ValueError, match="shorter"):
            operation((1, 2), (1,))


def test_patterns_are_all_choices():
    assert sorted(patterns(2)) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@settings(max_examples=20)
@given(FRACTIONS)
def test_relu_of_z3_is_the_maximum_with_zero(number):
    z = z3.Real("z")
    value = z3.RealVal(str(number))
    assert z3.is_true(z3.simplify(z3.substitute(relu(z) == z3.RealVal(str(max(number, 0))), (z, value))))


@settings(max_examples=30)
@given(st.lists(FRACTIONS, min_size=1, max_size=5))
def test_whole_is_the_least_positive_multiple_in_whole_numbers(numbers):
    entries, factor = whole(numbers)
    assert entries == [factor * number for number in numbers]
    assert not any(all((k * number).denominator == 1 for number in numbers) for k in range(1, factor))


def test_a_term_of_definition_3_is_the_oracles():
    """Affine roots that depend on the input, in [x1 - 2 x2 + 20] + [x1 + x2 + 20], at x = (3, 1)."""
    weights, bias, at = ((1, -2), (1, 1)), (20, 20), (3, 1)
    x = vector("x", 2)
    roots = [affine_root(f"r{j}_", x) for j in (1, 2)]
    symbols = sorted({s for root in roots for entry in root for s in entry.free_symbols} - set(x), key=str)
    numbers = dict(zip(symbols, (sympy.Rational(k, 8) for k in range(1, len(symbols) + 1)), strict=True))
    exact = [[entry.subs(numbers) for entry in root] for root in roots]
    layers = (exactly([(weights, bias)])[0], (((1, 1),), (0,)))

    def lower(j, a):
        return [put(entry, x, a) for entry in exact[j]]

    expected = definition_3(layers, at, [lower, lambda j, a: [0, 0]], final_relu=False)
    z = preactivations(weights, bias, x)
    terms = added(taylor_term(zj, x, root) for zj, root in zip(z, exact, strict=True))
    assert [put(entry, x, at) for entry in terms] == expected


def test_numbers_are_written_exactly():
    assert written(scaled(Fraction(1, 2), (1, 2))) == "(1/2, 1)"
