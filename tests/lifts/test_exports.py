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
from dtdsym.lifts.question import Found, Question
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
    "a square": (exists_in_box(BENT, [(0, 1)] * 2, lambda net: net.outputs[0] ** 2 >= Q(25, 4)), "sat"),
    "a cube": (exists_in_box(BENT, [(0, 1)] * 2, lambda net: (1 + net.outputs[0]) ** 3 > Q(343, 8)), "unsat"),
    "a first power": (exists_in_box(BENT, [(0, 1)] * 2, lambda net: net.outputs[0] ** 1 > 2), "sat"),
    "a whole number": (exists_in_box(BENT, [(0, 1)] * 2, lambda net: z3.IsInt(net.outputs[0])), "sat"),
    "no whole number": (
        exists_in_box(BENT, [(0, 1)] * 2, lambda net: z3.And(z3.IsInt(net.outputs[0]), net.outputs[0] > 2)),
        "unsat",
    ),
    "whole part": (
        exists_in_box(BENT, [(0, 1)] * 2, lambda net: 2 * z3.ToInt(net.outputs[0]) > 3),
        "sat",
    ),
    "a whole square": (exists_in_box(BENT, [(0, 1)] * 2, lambda net: z3.IsInt(net.inputs[0] * net.inputs[0])), "sat"),
    "a quotient": (exists_in_box(BENT, [(0, 1)] * 2, lambda net: net.outputs[0] / (2 * Q(3)) > Q(5, 12)), "unsat"),
    "cases": (exists_in_box(BENT, [(0, 1)] * 2, lambda net: z3.If(net.inputs[0] > 0, net.outputs[0], 9) > 8), "sat"),
    "words": (
        exists_in_box(
            BENT,
            [(0, 1)] * 2,
            lambda net: z3.Implies(z3.Xor(net.inputs[0] > 0, net.inputs[1] > 0), z3.Abs(net.inputs[0]) < 1),
        ),
        "sat",
    ),
    "a side of one point": (exists_in_box(BENT, [(0, 0), (0, 1)], lambda net: net.outputs[0] < 2), "sat"),
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


LOGICS = {"strictly": "QF_LRA", "a first power": "QF_LRA", "a square": "QF_NRA", "a quotient": "QF_LRA",
          "whole part": "QF_LIRA", "a whole square": "QF_NIRA", "a root by zplus": "QF_NRA"}  # fmt: skip


@pytest.mark.parametrize("name", LOGICS)
def test_the_logic_is_the_one_that_the_formulas_need(name):
    question = QUESTIONS[name][0]
    assert question.logic == LOGICS[name]
    assert f"(set-logic {LOGICS[name]})" in question.to_smtlib()


def test_unknowns_are_declared_by_their_sorts():
    flag, whole, real = z3.Bool("flag"), z3.Int("whole"), z3.Real("a real")
    own = Question("of all sorts", {}, (z3.Implies(flag, z3.ToReal(whole) == 2 * real), flag, real > 1), lambda _: True)
    script = own.to_smtlib()
    assert {"(declare-const flag Bool)", "(declare-const whole Int)", "(declare-const |a real| Real)"} <= set(
        script.splitlines()
    )
    assert by_cvc5(script) == "sat"


Y = z3.Real("y")
STRANGE = {
    "a quantifier": z3.Exists([Y], Y * 2 > 1),
    "a function": z3.Function("f", z3.RealSort(), z3.RealSort())(Y) > 1,
    "bits": z3.BitVec("b", 8) == 1,
    "a root": Y**0.5 > 1,
    "no power": Y**0 > 0,
    "a quotient as a power": Y**-1 > 0,
    "a power of two unknowns": Y**Y > 0,
    "a huge power": Y**1000 > 0,
    "text": z3.String("s") == "a",
    "a quotient by an unknown": 1 / Y > 1,
    "a quotient by nothing": Y / z3.RealVal(0) > 1,
    "a count": z3.AtMost(Y > 1, Y < 2, 1),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_arithmetic_of_reals_is_refused(name):
    with pytest.raises(InputError, match=r"quantifiers|not supported|powers are whole|divide by numbers"):
        Question("something else", {}, (STRANGE[name],), lambda points: True).to_smtlib()
    with pytest.raises(InputError, match=r"quantifiers|not supported|powers are whole|divide by numbers"):
        exists_in_box(BENT, [(0, 1)] * 2, lambda net: STRANGE[name])


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


def test_conjunctions_and_disjunctions_of_none_are_left_out_and_those_of_one_kept():
    def nested(net):
        y = net.outputs[0]
        return z3.And(z3.And(), z3.Or(z3.Or(), z3.And(y <= 1, z3.And(True))), z3.Or([y >= -2]))

    text = to_vnnlib(PAIR, [(0, 1)] * 2, nested).text
    assert text.splitlines()[-1] == "(assert (and (or (and (<= Y_0 1.0))) (or (>= Y_0 -2.0))))"


@pytest.mark.parametrize(
    "having",
    [
        lambda net: net.outputs[0] < 1,
        lambda net: z3.Not(net.outputs[0] <= 1),
        lambda net: net.outputs[0] == 1,
        lambda net: net.outputs[0] * net.outputs[0] <= 1,
        lambda net: net.outputs[0] <= Q(1, 3),
        lambda net: z3.And(),
        lambda net: z3.Or(),
        lambda net: z3.Or(net.outputs[0] <= 1, z3.And()),
        lambda net: z3.And(net.outputs[0] <= 1, z3.Or([z3.Or()])),
        lambda net: True,
    ],
    ids=[
        "strict",
        "negation",
        "equation",
        "product",
        "a third",
        "all of none",
        "one of none",
        "or true",
        "and false",
        "true",
    ],
)
def test_what_does_not_fit_vnnlib_is_refused(having):
    with pytest.raises(InputError, match="VNN-LIB"):
        to_vnnlib(BENT, [(0, 1)] * 2, having)
