"""`dtdsym explain-claim`: every claim says what it is, from its module's docstring, and how it can be asked."""

from __future__ import annotations

import re
import shlex
import sys
from types import ModuleType

import pytest
from networks import SEPARATIONS, sequential

import dtdsym
from dtdsym import explain_claim, verify
from dtdsym.__main__ import main as dtdsym_main
from dtdsym.certificate.claims import _KINDS
from dtdsym.checker.__main__ import CLAIMS as CHECKED
from dtdsym.claims import decide
from dtdsym.claims.decide import CLAIMS
from dtdsym.claims.told import LABELS, told
from machinery.script import statements

SUM = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))  # [[x1] + [x2]]


def said(capsys, *words: str) -> tuple[int, str, str]:
    status = dtdsym_main(["explain-claim", *words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_says_all_of_it(claim):
    """A claim module that is thin is named here, and so are labels in another order."""
    found = told(claim)
    assert list(found.parts) == list(LABELS)
    assert all(found.parts.values())
    assert found.title.endswith((".", "?"))


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_proofs_that_a_claim_names_are_there(claim):
    assert told(claim).proofs
    assert set(told(claim).proofs) <= set(statements())


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_shown_in_its_docstrings_words_and_no_others(capsys, monkeypatch, claim):
    monkeypatch.setenv("COLUMNS", "100")
    status, out, _ = said(capsys, claim)
    shown = " ".join(out.split())
    assert status == 0
    assert told(claim).title in shown
    for label, text in told(claim).parts.items():
        assert label == "Proof" or f"{label} {text}" in shown
    for command in explain_claim.asked(told(claim)):
        assert f"  {command}\n" in out


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_ways_to_ask_a_claim_are_understood(claim, monkeypatch):
    """Commands parse; Python answers, and decides what the checker checks."""
    *commands, python = explain_claim.asked(told(claim))
    for command in commands:
        words = shlex.split(command)
        if words[2] == "dtdsym.verify":
            verify._parser().parse_args(words[3:])
    monkeypatch.setattr(dtdsym, "load", lambda _: SUM)
    found = eval(python, {"dtdsym": dtdsym, "x": (1, 1), "target": (3, -1)})
    assert found.claim == claim
    assert claim in _KINDS
    assert claim in CHECKED


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_verdicts_that_are_bad_news_are_those_that_the_docstring_names(claim):
    """On networks of every kind; the text begins with the verdict, or never, and with a comma and a condition if it is
    bad news only sometimes."""
    news, after = re.match(r"(proved|refuted|never)([.,])", told(claim).parts["Bad news"]).groups()
    asked = {"target": (3, -1)} if claim == "c3" else {}
    cases = [(SUM, (1, 1)), *((example.network, example.x) for example in SEPARATIONS.values())]
    for network, x in cases:
        if claim == "c3" and len(x) != 2:
            continue
        found = dtdsym.decide(claim, network, x, **asked)
        assert found.bad_news <= (found.name == news), found
        assert found.bad_news or found.name != news or after == ",", found
        assert not (found.name == "refuted" and told(claim).parts["Refuted"].startswith("never"))
        assert not (found.name == "undecided" and told(claim).parts["Undecided"].startswith("never"))


def test_without_a_name_all_claims_are_listed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    status, out, _ = said(capsys)
    assert status == 0
    for claim, holds in CLAIMS.items():
        assert f"{claim} " in out
        assert holds in out


def test_an_unknown_claim_is_refused_in_one_line(capsys):
    status, out, err = said(capsys, "c99")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "'c99'" in err
    assert "c1, c2" in err


def test_a_new_claims_module_is_shown_without_being_named_elsewhere(capsys, monkeypatch):
    """What its docstring lacks is left out; paragraphs without a label go on with the one before."""
    made = ModuleType("dtdsym.claims.made_up", "A made up claim.\n\nProved: it\nis so.\n\nReally: so.\n\nProof: eq01")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setitem(decide.CLAIMS, "made_up", "it is so")
    status, out, _ = said(capsys, "made_up")
    assert status == 0
    assert "Proved  it is so. Really: so." in out
    assert "python -m proofs eq01" in out
    assert "made_up" in said(capsys)[1]
