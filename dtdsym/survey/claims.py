"""Claims decided on every audited input, as JSON values with their certificates."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.arithmetic.written import counted, plural
from dtdsym.certificate.claims import claim_line, rederived
from dtdsym.claims import c5, c6
from dtdsym.claims.decide import OF_A_LAYER, OF_A_RULE, answer
from dtdsym.claims.verdict import Question, Undecided, Verdict
from dtdsym.errors import BudgetSpent, OnHinge
from dtdsym.network.network import Network
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.survey.certify import Certificates
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.settings import Settings


def decide_claims(
    network: Network, logit: int, number: int, exactly: ExactInput, certificates: Certificates | None
) -> Iterator[dict[str, Any]]:
    """Every claim of the settings on input `number`, for every layer, and every rule where the claim is about one."""
    settings = exactly.settings
    for claim in settings.claims:
        rules = settings.rules if claim in OF_A_RULE else settings.rules[:1]
        layers = settings.layers if claim in OF_A_LAYER else settings.layers[:1]
        for layer in layers:
            for rule in rules:
                started = time.perf_counter()
                x = RATIONAL.lift(exactly.x)
                question = Question(network, x, logit, layer, rule, settings.kind, settings.budget, settings.target)
                verdict = _answered(claim, question)
                written = certificates is not None and certify_claim(question, verdict, number, exactly, certificates)
                yield {
                    "claim": claim,
                    "input": number,
                    "logit": logit,
                    "rule": rule.label if claim in OF_A_RULE else None,
                    "layer": layer if claim in OF_A_LAYER else None,
                    "verdict": verdict.name,
                    "bad_news": verdict.bad_news,
                    "statement": verdict.statement,
                    "reason": verdict.reason,
                    "witness": dict(verdict.witness),
                    "certificate": written,
                    "seconds": time.perf_counter() - started,
                }


def _answered(claim: str, question: Question) -> Verdict:
    try:
        return answer(claim, question)
    except OnHinge as bent:
        return Undecided(claim, f"The function of layer {question.layer}'s input has no gradient here.", str(bent))


def certify_claim(
    question: Question, verdict: Verdict, number: int, exactly: ExactInput, certificates: Certificates
) -> bool:
    """Whether the claim has its line now; a decided one that has none is counted by the reason."""
    try:
        line = claim_line(question, verdict)
    except BudgetSpent:
        certificates.without += 1
        return False
    if line is not None:
        certificates.write(number, exactly, line)
    elif verdict.claim in OF_A_RULE and not rederived(question.rule):
        certificates.foreign += not isinstance(verdict, Undecided)
    else:  # c6 may be decided while the places of some roots, which it counts, are open
        certificates.without += not isinstance(verdict, Undecided)
    return line is not None


def table_claims(settings: Settings, rows: Any, certified: bool) -> Iterator[dict[str, Any]]:
    """c5 and c6 on all audited inputs together, as the root table decides them; the roots' places certify them."""
    for row in rows:
        for claim, (statement, proved, refuted) in _TABLE.items():
            tally = row.tally
            if not tally.total or isinstance(row.rule, Nearest):  # which no rule takes
                continue
            first = None if settings.numeric else tally.first[claim]
            open_ = _why_open(settings, row)
            verdict = "proved" if first is not None else "undecided" if open_ else "refuted"
            reason = open_ or refuted
            if first is not None:
                reason = f"The first is that of neuron {first[1]} at input {first[0]}: {first[2]}. " + proved(tally)
            yield {
                "claim": claim,
                "input": None if first is None else first[0],
                "logit": "argmax" if settings.logit is None else settings.logit,
                "rule": row.rule.label,
                "layer": row.layer,
                "verdict": verdict,
                "bad_news": verdict == "proved",
                "statement": statement.format(rule=row.rule.label, layer=row.layer),
                "reason": reason,
                "witness": {} if first is None else {"neuron": first[1], "place": first[2]},
                "certificate": certified and rederived(row.rule),
                "seconds": tally.seconds,
            }


def _why_open(settings: Settings, row: Any) -> str:
    """Why a claim that no root proves is not refuted; empty where it is."""
    if settings.numeric:
        return "Floats alone prove nothing."
    if row.tally.places["undecided"]:
        return f"{counted(row.tally.places['undecided'], 'root is', 'roots are')} undecided within the budget."
    return "Only a sample of the roots was audited, and none of it proves the claim." if row.sampled else ""


def _leaving(tally: Any) -> str:
    away = sum(tally.places[name] for name in c5.LEAVES)
    return f"{away:,} of {counted(tally.total, 'root')} {plural(away, 'leaves', 'leave')}."


def _rows(tally: Any) -> str:
    different, equal = tally.inputs_any_different_gradient, tally.equal_output
    inputs = tally.inputs_all_equal_gradient + different + tally.inputs_unresolved
    have = plural(different, "has", "have")
    having = f"{different:,} of {counted(inputs, 'input')} {have} one, and " if inputs else ""
    have = plural(equal, "has its", "have their")
    return f"{having}{equal:,} of {counted(tally.total, 'root')} {have} input's output."


_TABLE = {
    "c5": (c5.STATEMENT, _leaving, "All roots that exist lie inside."),
    "c6": (c6.STATEMENT, _rows, "All roots exist and have their input's gradient."),
}
