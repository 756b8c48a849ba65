"""Conservation: the relevance of all inputs adds up to the explained logit.

Printed: not by Sixt and Landgraf; Bach et al. 2015 ask it of LRP, and Montavon et al. 2017 of DTD.

True: of Definition 3 with exact admissible roots. Of rules, z+, w2, gamma and flat pass on all that a neuron receives
where it has a root (w.v != 0); LRP-0 and epsilon, which have the bias in the denominator, lose its share.

Decided: the exact sum of one rule's train-free relevance, beside f(x).

Proved: they are equal.

Refuted: they are not; the ledger (`dtdsym.explain(...).ledger`) says where the rest went.

Undecided: never.

Bad news: refuted. A part of the logit is explained by nothing, or something is explained that the logit does not have.

Proof: eq05, eq08, rule_lrp0, rule_epsilon, rule_zplus

Certificate: the sum; the checker propagates the relevance again, and adds it up."""

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
