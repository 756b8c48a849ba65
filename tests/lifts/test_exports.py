"""Other solvers answer alike: SMT-LIB through cvc5; VNN-LIB and ONNX read again by their own readers."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product

import cvc5
import pytest
import strategies
import z3
from builders import conv_networks, convolve, points
from hypothesis import given, settings
from hypothesis import strategies as st

import dtdsym
from dtdsym.errors import InputError
from dtdsym.lifts.nonpositive_bias import nonpositive_bias_question
from dtdsym.lifts.question import Found
from dtdsym.lifts.questions import exists_in_box, exists_in_cell, exists_in_region, for_all_in_box, same_cell
from dtdsym.lifts.root_leaves import root_leaves
from dtdsym.lifts.vnnlib import to_vnnlib
from dtdsym.network.network import sequential

Q = Fraction
BENT = sequential(([[1, 0], [1, -1], [-1, 1]], [0, 0, 1]), ([[1, -1, 1]], [Q(1, 2)]))


def by_cvc5(script: str) -> str:
    """What cvc5 answers to an SMT-LIB script."""
    solver = cvc5.Solver()
    solver.setOption("strict-parsing", "true")
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, script, "question.smt2")
    symbols, answers = parser.getSymbolManager(), []
    while not (command := parser.nextCommand()).isNull():
        answers.append(str(command.invoke(solver, symbols)).strip())
    return "".join(answers)


def check_alike(question):
    expected = "sat" if isinstance(question.ask(), Found) else "unsat"
    assert by_cvc5(question.to_smtlib()) == expected
    return expected


QUESTIONS = {
    "same cell": (same_cell(BENT, [1, 0.5], [2, 1.5]), "sat"),
    "other cell": (same_cell(BENT, [1, 0.5], [1, 2]), "unsat"),
    "in a box": (exists_in_box(BENT, [(0, 1)] * 2, lambda net: net.outputs[0] >= Q(5, 2)), "sat"),
    "strictly": (exists_in_box(BENT, [(0, 1)] * 2, lambda net: net.outputs[0] > Q(5, 2)), "unsat"),
    "for all": (for_all_in_box(BENT, [(0, 1)] * 2, lambda net: net.outputs[0] >= 0), "unsat"),
    "in a cell": (exists_in_cell(BENT, [1, 0.5], lambda net: net.inputs[1] > Q(1, 3)), "sat"),
    "in a region": (exists_in_region(BENT, [1, 0.5], lambda net: net.inputs[0] < -1, box=[(-3, 3)] * 2), "unsat"),
    "a root by w2": (root_leaves(BENT, [(-1, 1)] * 2, Q(1, 3), rule="w2", neuron=1), "sat"),
    "a root by zplus": (root_leaves(BENT, [(0, 1)] * 2, Q(1, 3), rule="zplus", neuron=2), "sat"),
    "biases": (nonpositive_bias_question((1, 1)), "sat"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_cvc5_answers_alike(name):
    question, expected = QUESTIONS[name]
    assert check_alike(question) == expected


@settings(max_examples=25)
@given(layers=strategies.layers(depths=(2, 3), widths=(1, 2, 3)), bound=st.fractions(-3, 3, max_denominator=7))
def test_cvc5_answers_alike_on_random_networks(layers, bound):
    check_alike(exists_in_box(sequential(*layers), [(-1, Q(1, 3))] * 2, lambda net: net.outputs[0] > bound))


@settings(max_examples=10)
@given(data=st.data())
def test_cvc5_answers_alike_about_convolutions(data):
    network = data.draw(conv_networks(sequence=(convolve,)))
    check_alike(same_cell(network, data.draw(points(network)), data.draw(points(network))))


def test_the_script_says_what_it_is():
    lines = QUESTIONS["strictly"][0].to_smtlib().splitlines()
    assert lines[0] == "(set-info :smt-lib-version 2.6)"
    assert "(set-logic QF_LRA)" in lines
    assert "(declare-const x_0 Real)" in lines
    assert lines[-1] == "(check-sat)"
    assert "(set-logic QF_NRA)" in QUESTIONS["a root by zplus"][0].to_smtlib()


# VNN-LIB


def parsed(text: str) -> list:
    """S-expressions as nested lists."""
    stack: list[list] = [[]]
    for token in re.findall(r"[()]|[^\s()]+", re.sub(";.*", "", text)):
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    return stack[0]


def value(expression, names):
    """The value of a parsed expression, exact."""
    if isinstance(expression, str):
        return names[expression] if expression in names else Fraction(expression)
    head, *rest = expression
    parts = [value(part, names) for part in rest]
    match head:
        case "and":
            return all(parts)
        case "or":
            return any(parts)
        case "<=":
            return parts[0] <= parts[1]
        case ">=":
            return parts[0] >= parts[1]
        case "+":
            return sum(parts)
        case "-":
            return -parts[0] if len(parts) == 1 else parts[0] - sum(parts[1:])
        case "*":
            return parts[0] * parts[1]
    raise AssertionError(head)


PAIR = sequential(([[1, 0.5], [1, -1]], [0, -0.25]), ([[1, -1], [2, 0.5]], [0.125, 0]), final_relu=False)


def disjunction(net):
    a, b = net.outputs
    return z3.Or(z3.And(a <= b - Q(1, 4), net.inputs[0] >= -Q(3, 8)), Q(-1, 2) * a + b >= Q(5, 4))


def test_the_files_ask_what_the_question_asks(tmp_path):
    written = to_vnnlib(PAIR, [(-1, 0.5), (0, Q(3, 4))], disjunction)
    path = tmp_path / "net.onnx"
    path.write_bytes(written.onnx)
    network = dtdsym.load(path)
    assert network.sha256 == PAIR.sha256
    commands = parsed(written.text)
    declared = [command[1] for command in commands if command[0] == "declare-const"]
    assert declared == ["X_0", "X_1", "Y_0", "Y_1"]
    asserted = [command[1] for command in commands if command[0] == "assert"]
    lift = dtdsym.to_z3(PAIR)
    grid = [Q(n, 8) for n in range(-9, 8)]
    answers = set()
    for x in product(grid, grid):
        names = dict(zip(declared, (*x, *network(x)), strict=True))
        holds = all(value(expression, names) for expression in asserted)
        inside = -1 <= x[0] <= Q(1, 2) and 0 <= x[1] <= Q(3, 4)
        assert holds == (inside and z3.is_true(z3.simplify(disjunction(lift.at(x)))))
        answers.add(holds)
    assert answers == {True, False}
    assert isinstance(exists_in_box(PAIR, [(-1, 0.5), (0, Q(3, 4))], disjunction).ask(), Found)


def test_numbers_are_written_out_whole():
    tiny = sequential(([[1.0]], [0.0]), final_relu=False)
    text = to_vnnlib(tiny, [(-(2.0**-40), 1000)], lambda net: net.outputs[0] >= Q(-7, 80)).text
    numbers = [command[1][2] for command in parsed(text) if command[0] == "assert"]
    assert [Fraction(number) for number in numbers] == [-Q(1, 2**40), 1000, Q(-7, 80)]
    assert all(re.fullmatch(r"-?\d+\.\d+", number) for number in numbers)


@pytest.mark.parametrize(
    "having",
    [
        lambda net: net.outputs[0] < 1,
        lambda net: z3.Not(net.outputs[0] <= 1),
        lambda net: net.outputs[0] == 1,
        lambda net: net.outputs[0] * net.outputs[0] <= 1,
        lambda net: net.outputs[0] <= Q(1, 3),
    ],
    ids=["strict", "negation", "equation", "product", "a third"],
)
def test_what_does_not_fit_vnnlib_is_refused(having):
    with pytest.raises(InputError, match="VNN-LIB"):
        to_vnnlib(BENT, [(0, 1)] * 2, having)
