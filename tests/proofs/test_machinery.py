"""The steps of proofs refuse what is false, what is vacuous, and verdicts that they do not show."""

from __future__ import annotations

import ast
import subprocess
import sys
from fractions import Fraction

import pytest
import sympy
import z3

from machinery.derivation import Derivation, StepFailed
from machinery.page import latex, markdown
from machinery.script import FOLDER, derive, scripts, statements
from machinery.statement import Statement

X, Y = sympy.symbols("x y")
A, B = z3.Reals("a b")


C, D = sympy.symbols("C D", commutative=False)
NOT_RATIONAL = [
    ((1 + sympy.sqrt(2)) ** 2, 3 + 2 * sympy.sqrt(2)),
    ((1 + sympy.I) * (1 - sympy.I), sympy.Integer(2)),
    (sympy.sin(1) ** 2 + sympy.cos(1) ** 2, sympy.Integer(1)),
    (sympy.Function("f")(1), sympy.Function("f")(2)),
]
"""Sides of which two are one number, as a comparison of expressions does not see."""


def derivation(verdict: str = "true", reason: str = "r", parts: tuple[str, ...] = ()) -> Derivation:
    corrected = "how" if verdict == "corrected" else ""
    return Derivation(Statement("eq00", "t", "p", "f", verdict, reason, "s", lambda proof: None, corrected, parts))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (X, Y),
        (X, X),
        (C * D, D * C),
        (sympy.MatrixSymbol("M", 2, 2) * X, sympy.MatrixSymbol("M", 2, 2) * X),
        ((X + Y) ** 2, X**2 + Y**2),
        (1 / X, 1 / Y),
        ([X, Y], [Y, X]),
        (sympy.Matrix([[X, Y]]), sympy.Matrix([X, Y])),
        ([], []),
        (sympy.Max(X, 0), sympy.Max(X, 0)),
        (sympy.nan, sympy.nan),
        (sympy.Float(0.5), sympy.Float(0.5)),
        (1 / (X * (X + 1) - X**2 - X), 1 / (X * (X + 1) - X**2 - X)),
    ],
)
def test_what_is_no_identity_is_refused(left, right):
    with pytest.raises(StepFailed):
        derivation().equal("step", left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((X + Y) ** 2, X**2 + 2 * X * Y + Y**2),
        (1 / X + 1 / Y, (X + Y) / (X * Y)),
        ([sympy.exp(X) * Y], [Y * sympy.exp(X)]),
        (sympy.Matrix([[X], [Y]]), sympy.Matrix([[X], [Y]])),
        (sympy.Rational(1, 2) / (1 / X + 1 / Y) ** 2, X**2 * Y**2 / (2 * (X + Y) ** 2)),
        (sympy.Integer(2), sympy.Rational(4, 2)),
    ],
)
def test_identities_are_accepted(left, right):
    proof = derivation()
    proof.equal("step", left, right)
    proof.close()


def test_a_step_that_anything_satisfies_is_refused(monkeypatch):
    """As if identities were decided by a procedure that accepts everything."""
    monkeypatch.setattr("machinery.derivation.differing", lambda left, right: None)
    with pytest.raises(StepFailed, match="an entry may be anything"):
        derivation().equal("step", X + X, 2 * X)


def test_no_step_is_written_with_one_expression_on_both_sides():
    """What is computed may come out alike; what is typed may not."""
    for path in [*FOLDER.glob("*.py"), *FOLDER.glob("machinery/*.py")]:
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "equal":
                assert ast.dump(call.args[1]) != ast.dump(call.args[2]), f"{path.name}:{call.lineno}"


@pytest.mark.parametrize(
    ("claim", "given", "reason"),
    [
        (A > 0, [A >= 0], "does not hold"),
        (A > 0, [A > 1, A < 0], "nothing satisfies"),
        (A >= 0, [A >= 0, B >= 0], "follows without"),
        (A * A >= 0, [A >= 1], "holds as it is written"),
        (A * A + A >= -1, [A >= 1], "follows without"),
        (A >= 0, [z3.And(A >= 0, B >= 0)], "follows without"),
        (z3.Implies(B >= 0, A >= 0), [A >= 0], "follows without"),
        (z3.Implies(z3.And(A > 0, A < 0), B == 7), [], "nothing satisfies"),
        (A >= -3, [A >= 0], "follows too"),
        (z3.And(A >= 0, A + 1 > 0), [A >= 0], "follows too"),
        (A == A, [], "holds as it is written"),
        (z3.BoolVal(True), [], "holds as it is written"),
        (z3.And(A >= 0, B == B), [A >= 0], "holds as it is written"),
    ],
)
def test_what_does_not_follow_from_all_hypotheses_is_refused(claim, given, reason):
    with pytest.raises(StepFailed, match=reason):
        derivation().valid("step", claim, given=given)


def test_what_z3_does_not_know_is_said(monkeypatch):
    monkeypatch.setattr("machinery.derivation.RLIMIT", 1)
    with pytest.raises(StepFailed, match="does not know"):
        derivation().valid("step", A**3 + B**3 != 27 * A * B + 5, given=[A * B > A**2 + 1, B**5 > A**3])


def test_numbers_that_z3_finds_are_exact_and_hold():
    proof = derivation()
    assert proof.satisfiable("step", [3 * A == 1], [A])[0] * 3 == 1
    with pytest.raises(StepFailed, match="nothing satisfies"):
        proof.satisfiable("step", [A * A < 0], [A])
    with pytest.raises(StepFailed, match="not rational"):
        proof.satisfiable("step", [A * A == 2], [A])


@pytest.mark.parametrize("needless", [A == A, A >= 1, A * A >= 0])
def test_a_condition_that_needs_no_choice_is_refused(needless):
    derivation().satisfiable("step", [A > 1, B < A], [A, B])
    with pytest.raises(StepFailed, match="follows from the others"):
        derivation().satisfiable("step", [A > 1, B < A, needless], [A, B])


def test_a_counterexample_has_numbers_and_differs():
    proof = derivation("refuted")
    with pytest.raises(StepFailed, match="no counterexample"):
        proof.counterexample("step", X, X, {X: 1}, values=(1, 1))
    with pytest.raises(StepFailed, match="no numbers"):
        proof.counterexample("step", X, Y, {X: 1}, values=(1, 2))
    proof.counterexample("step", X**2, 2 * X, {X: 1}, values=(1, 2))
    proof.close()


@pytest.mark.parametrize(("printed", "actual"), NOT_RATIONAL)
def test_a_counterexample_has_rational_sides(printed, actual):
    with pytest.raises(StepFailed, match="no rational number"):
        derivation("refuted").counterexample("step", printed, actual, values=(1, 2))


def test_a_counterexample_says_what_the_two_sides_are():
    proof = derivation("refuted")
    proof.counterexample("step", [X / 2, Y], [X, Y], {X: 1, Y: 2}, values=(("1/2", 2), (1, 2)))
    for values in ((1, 2), ("1/2", 1), (("1/2", 1), (1, 2))):
        with pytest.raises(StepFailed, match="is not"):
            proof.counterexample("step", [X / 2, Y], [X, Y], {X: 1, Y: 2}, values=values)


def test_a_mutilated_formula_does_not_agree_where_the_printed_one_does():
    proof = derivation("refuted")
    proof.counterexample("step", X**2, 2 * X, {X: 1}, values=(1, 2), agrees_at={X: 2})
    with pytest.raises(StepFailed, match="should agree"):
        proof.counterexample("step", sympy.Integer(1), 2 * X, {X: 1}, values=(1, 2), agrees_at={X: 2})


@pytest.mark.parametrize("reason", ["x = 1 gives 1 for 3", "roots give (1, 2) for (1, 3)", "gives -1/2 for 2"])
def test_numbers_that_a_reason_tells_are_those_of_a_step(reason):
    for told in (reason, "x = 1 gives 1 for 2"):
        proof = derivation("refuted", told)
        proof.counterexample("step", X**2, 2 * X, {X: 1}, values=(1, 2))
        if told != reason:
            proof.close()
            continue
        with pytest.raises(StepFailed, match="as its reason says"):
            proof.close()


def test_shapes_that_fit_are_not_ill_typed():
    one, law = sympy.zeros(2, 3), "(2, 3) * (2, 3)"
    with pytest.raises(StepFailed, match="shapes fit"):
        derivation("corrected").ill_typed("step", law, lambda: one * one.T, lambda: one)
    with pytest.raises(sympy.ShapeError):
        derivation("corrected").ill_typed("step", law, lambda: one * one, lambda: one * one)


def test_what_is_ill_typed_breaks_the_law_that_it_names():
    one, two = sympy.ones(2, 1), sympy.ones(3, 1)
    derivation("corrected").ill_typed("step", "(2, 1) + (3, 1)", lambda: one + two, lambda: one + one)
    with pytest.raises(StepFailed, match="is not what fails"):
        derivation("corrected").ill_typed("step", "(2, 1) * (3, 1)", lambda: one + two, lambda: one + one)
    with pytest.raises(StepFailed, match="no matrix"):
        derivation("corrected").ill_typed("step", "(2, 1) + (3, 1)", lambda: one + two, lambda: None)


def test_an_exact_answer_is_told_from_its_opposite():
    with pytest.raises(StepFailed, match="planted opposite"):
        derivation().found("step", abs, -1, 1, unlike=1)
    with pytest.raises(StepFailed, match="expected"):
        derivation().found("step", abs, -2, 1, unlike=3)
    with pytest.raises(StepFailed, match="has no answer"):
        derivation().found("step", set, (1, 1), {1}, unlike=())


def test_an_exact_answer_is_told_without_the_names_of_types():
    proof = derivation()
    proof.found("step", lambda x: (Fraction(x, 2), Fraction(x)), 1, (Fraction(1, 2), Fraction(1)), unlike=2)
    assert proof.steps[-1].note == "(1/2, 1)"


def test_no_case_is_no_proof():
    with pytest.raises(StepFailed, match="there is no case"):
        list(derivation().each("case", []))


def test_a_case_that_nothing_is_decided_for_is_refused():
    proof = derivation()
    cases = proof.each("case", (1, 2))
    next(cases)
    proof.equal("step", X + X, 2 * X)
    assert next(cases) == 2
    with pytest.raises(StepFailed, match="nothing is decided for case 2"):
        next(cases)


def test_a_loop_that_is_left_is_refused():
    proof = derivation()
    for _ in proof.each("case", (1, 2)):
        proof.equal("step", X + X, 2 * X)
        break
    with pytest.raises(StepFailed, match="not all cases of case were taken"):
        proof.close()


def test_a_part_that_is_missing_or_empty_is_refused():
    for taken in ((), ("one",), ("two", "one")):
        proof = derivation(parts=("one", "two"))
        proof.equal("step", X + X, 2 * X)
        for name in taken:
            proof.part(name)
            if name == "one":
                proof.equal("step", X + X, 2 * X)
        with pytest.raises(StepFailed, match="is missing"):
            proof.close()
    with pytest.raises(StepFailed, match="no declared part"):
        derivation(parts=("one",)).part("two")


@pytest.mark.parametrize(("verdict", "shown"), [("true", ()), ("corrected", ("equal",)), ("refuted", ("equal",))])
def test_a_verdict_needs_the_steps_that_show_it(verdict, shown):
    proof = derivation(verdict)
    for _ in shown:
        proof.equal("step", X + X, 2 * X)
    with pytest.raises(StepFailed, match=f"do not show that it is {verdict}"):
        proof.close()


def test_what_is_refuted_is_not_true():
    proof = derivation("true")
    proof.equal("step", X + X, 2 * X)
    proof.counterexample("step", X, Y, {X: 1, Y: 2}, values=(1, 2))
    with pytest.raises(StepFailed, match="do not show that it is true"):
        proof.close()


def test_the_shipped_page_is_what_the_scripts_say():
    assert (FOLDER / "ERRATA.md").read_text() == markdown(statements().values())


def test_a_script_runs_from_its_file_and_by_its_id(repository):
    def run(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, *words], cwd=repository, capture_output=True, text=True)

    listed = run("-m", "proofs", "--list")
    assert listed.stdout.split() == list(statements())
    alone, by_id = run("proofs/eq02_taylor_remainder.py"), run("-m", "proofs", "eq02")
    assert alone.returncode == by_id.returncode == 0, alone.stderr + by_id.stderr
    assert alone.stdout == by_id.stdout
    assert run("-m", "proofs", "eq99").returncode == 2


def test_derivations_are_written_as_latex_and_dtdsym_prove_is_the_same(repository, tmp_path):
    words = ["eq02", "--latex", str(tmp_path / "d.tex")]
    done = subprocess.run([sys.executable, "-m", "proofs", *words], cwd=repository, capture_output=True, text=True)
    assert done.stdout == f"{tmp_path / 'd.tex'}: 1 statements\n"
    first = (tmp_path / "d.tex").read_text()
    same = [sys.executable, "-m", "dtdsym", "prove", *words]
    again = subprocess.run(same, cwd=repository, capture_output=True, text=True)
    assert (again.returncode, (tmp_path / "d.tex").read_text()) == (0, first), again.stderr
    nowhere = ["-m", "proofs", "eq02", "--latex", str(tmp_path / "no" / "d.tex")]
    refused = subprocess.run([sys.executable, *nowhere], cwd=repository, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "cannot be written" in refused.stderr


def test_a_script_whose_step_fails_says_so(repository, tmp_path):
    (tmp_path / "wrong.py").write_text(
        f"import sys; sys.path.insert(0, {str(FOLDER)!r})\n"
        "import sympy\nfrom machinery import main, statement\n"
        "@statement('eq98', 't', place='p', printed='f', verdict='true', reason='r', scope='s')\n"
        "def eq98(proof):\n    proof.equal('one is two', sympy.Integer(1), sympy.Integer(2))\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, str(tmp_path / "wrong.py")], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 1
    assert "eq98 FAILED: one is two: entry 0 differs: 1 is not 2" in done.stderr


def test_an_error_of_one_statement_is_its_failure():
    def broken(proof: Derivation) -> None:
        _ = sympy.ones(2, 1) + sympy.ones(3, 1)

    one = Statement("eq00", "t", "p", "f", "true", "r", "s", broken)
    with pytest.raises(StepFailed, match="ShapeError: Matrix size mismatch"):
        derive(one, quiet=True)


def test_every_script_states_something():
    assert {one.module for one in statements().values()} == set(scripts())


def test_latex_holds_every_formula():
    proof = derivation()
    proof.equal("binomial & co, |a_1| <= b", (X + Y) ** 2, X**2 + 2 * X * Y + Y**2)
    page = latex([proof])
    assert r"\left(x + y\right)^{2}" in page
    assert r"binomial \& co, \textbar{}a\_1\textbar{} \textless{}= b" in page
