"""Conservation (DTD's and LRP's sum rule): the relevance of all inputs adds up to the explained logit.

Proved on one network and input: the train-free relevance of this rule adds up to f(x), exactly. Refuted: it does not;
the ledger says where the rest went. Refuted is bad news."""

from __future__ import annotations

from dtdsym.arithmetic.rational import RATIONAL, fraction, nearest_float, text
from dtdsym.claims.verdict import Proved, Question, Refuted, Verdict
from dtdsym.relevance.train_free import propagate


def decide(question: Question) -> Verdict:
    """The exact sum, beside f(x)."""
    one = question.one
    relevance = propagate(one, RATIONAL, question.values, question.rule).input
    total = fraction(RATIONAL.total(relevance).item())
    output = fraction(question.values[len(one.nodes) - 1][0])
    statement = f"The relevance that {question.rule.label} gives to the inputs adds up to the explained logit."
    witness = {"sum": text(total), "output": text(output)}
    if total == output:
        return Proved("conservation", statement, f"Both are {nearest_float(output):.6g}.", witness=witness)
    reason = f"It adds up to {nearest_float(total):.6g}, and the logit is {nearest_float(output):.6g}."
    return Refuted("conservation", statement, reason, True, witness)
