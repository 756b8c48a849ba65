"""Claims' verdicts as lines that a checker accepts: the evidence of each kind, from what its verdict rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from dtdsym.arithmetic.rational import fractions
from dtdsym.certificate.cells import closed_list, no_facets, pattern_text
from dtdsym.certificate.lines import hash_of, point
from dtdsym.certificate.nearest import bound
from dtdsym.certificate.network import network_hash
from dtdsym.certificate.place import Evidence, Witness
from dtdsym.claims.decide import OF_A_RULE
from dtdsym.claims.placed import PlacedRoot
from dtdsym.claims.verdict import Question, Undecided, Verdict
from dtdsym.errors import NoRoot
from dtdsym.relevance.root_search import AdmissibleRoot
from dtdsym.relevance.rule import Rule

REDERIVED = ("lrp0", "epsilon", "gamma", "zplus", "alpha_beta", "w2", "x", "flat", "zbox", "pinv")
"""Rules whose relevances and roots a checker derives again."""


LONGEST_NUMBER = 200_000
"""Characters of a number that FORMAT.md allows."""


def rederived(rule: object) -> TypeGuard[Rule]:
    """Whether a checker knows the rule."""
    return isinstance(rule, Rule) and rule.name in REDERIVED


def claim_line(question: Question, verdict: Verdict) -> dict[str, Any] | None:
    """The line of a verdict; None where it is undecided, speaks of a rule that checkers do not know, or counts roots of
    which some are undecided, or is a bound that no exact number attains.

    Raises BudgetSpent where the evidence costs more than the question's budget."""
    of_a_rule = verdict.claim in OF_A_RULE
    if isinstance(verdict, Undecided) or (of_a_rule and not rederived(question.rule)):
        return None
    head = {
        "claim": verdict.claim,
        "network": network_hash(question.network),
        "input": hash_of(point(fractions(question.x))),
        "logit": question.logit,
        "layer": question.layer,
    }
    asked = {"rule": question.rule.label, "root": question.root} if of_a_rule else {}
    if verdict.claim == "c6" and any(one.name == "undecided" for one in verdict.grounds):
        return None
    if verdict.claim == "c7" and not _tellable(verdict):
        return None
    evidence = _KINDS[verdict.claim](question, verdict)
    return {**head, **asked, "verdict": verdict.name, "evidence": evidence}


def _roots(question: Question, found: Sequence[PlacedRoot]) -> list[Evidence]:
    witness = Witness(question.home)
    return [{"place": one.name, "evidence": _evidence(question, witness, one)} for one in found]


def _evidence(question: Question, witness: Witness, one: PlacedRoot) -> Evidence:
    if one.place is None or isinstance(one.root, NoRoot):
        return {}
    return witness.evidence(one.root, one.place, question.budget.start())


def _c1(_: Question, verdict: Verdict) -> Evidence:
    if verdict.name == "refuted":
        return dict(verdict.witness)
    regions = []
    for neuron, found, scales in verdict.grounds:
        pairs = ((pattern_text(cell.pattern), no_facets(cell, own, scales)) for cell, own in found.cells)
        cells = [{"pattern": pattern, "no_facet": proofs} for pattern, proofs in pairs]
        regions.append({"neuron": neuron, "cells": cells})
    return {"regions": regions}


def _c2(_: Question, verdict: Verdict) -> Evidence:
    return dict(verdict.witness)


def _c3(_: Question, verdict: Verdict) -> Evidence:
    if verdict.name == "refuted":
        return {"target": point(verdict.grounds)}
    roots = [{"matrix": [point(row) for row in root.matrix], "vector": point(root.vector)} for root in verdict.grounds]
    return {"target": point(verdict.grounds.target), "roots": roots}


def _c4(_: Question, verdict: Verdict) -> Evidence:
    return {"derivatives": verdict.witness["derivatives"]}


def _c5(question: Question, verdict: Verdict) -> Evidence:
    if verdict.name == "refuted":
        return {"roots": _roots(question, verdict.grounds)}
    first: PlacedRoot = verdict.grounds
    return {"neuron": first.neuron, **_roots(question, [first])[0]}


def _c6(question: Question, verdict: Verdict) -> Evidence:
    counts = {name: verdict.witness[name] for name in ("equal_gradient", "equal_output")}
    return {"roots": _roots(question, verdict.grounds), **counts}


def _tellable(verdict: Verdict) -> bool:
    """Whether tau is exact, and short enough for checkers."""
    return bool(verdict.witness["exact"]) and len(verdict.witness["l1_bound"]) <= LONGEST_NUMBER


def _c7(_: Question, verdict: Verdict) -> Evidence:
    return {name: verdict.witness[name] for name in ("tau", "columns")}


def _admissible_root(question: Question, verdict: Verdict) -> Evidence:
    home, meter, found = question.home, question.budget.start(), verdict.grounds
    head = Witness(home).at_input
    if isinstance(found, AdmissibleRoot):
        return {**head, "root": point(found.point), "path": [point(crossing.point) for crossing in found.path]}
    return {**head, "cells": closed_list(home.search, meter), "bounds": [bound(found, c) for c in found.cells.values()]}


def _nonpositive_bias(question: Question, verdict: Verdict) -> Evidence:
    if verdict.grounds is None:
        return {"theorem": True}
    origin, found = verdict.grounds
    return {"place": found.name, "evidence": Witness(question.home).evidence(origin, found, question.budget.start())}


def _conservation(_: Question, verdict: Verdict) -> Evidence:
    return {"sum": verdict.witness["sum"]}


def _assumption_1(_: Question, verdict: Verdict) -> Evidence:
    return dict(verdict.witness)


_KINDS: Mapping[str, Callable[[Question, Verdict], Evidence]] = {
    "c1": _c1,
    "c2": _c2,
    "c3": _c3,
    "c4": _c4,
    "c5": _c5,
    "c6": _c6,
    "c7": _c7,
    "admissible_root": _admissible_root,
    "nonpositive_bias": _nonpositive_bias,
    "conservation": _conservation,
    "assumption_1": _assumption_1,
}
