"""`dtdsym.decide`: a claim of the paper, by name, on one network and one input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from dtdsym.arithmetic.rational import fractions, vector
from dtdsym.claims.verdict import Question, Undecided, Verdict, sentence
from dtdsym.errors import BudgetSpent, InputError, UnsupportedLayer
from dtdsym.geometry.budget import Budget
from dtdsym.network.network import Network, checked
from dtdsym.relevance.composite import Composite, composite, parse
from dtdsym.relevance.explain import flat_point
from dtdsym.relevance.root import check_kind
from dtdsym.relevance.rule import Rule

CLAIMS: Mapping[str, str] = {
    "c1": "where the relevance of a layer's neurons has one gradient, so has the network (Proposition 1 as printed)",
    "c2": "with constant roots Definition 3 is gradient x (input - root)",
    "c3": "admissible roots make Definition 3 yield exactly the target",
    "c4": "full recursion on the softplus twin needs derivatives up to the order of its depth",
    "c5": "train-free roots leave the linear region of their layer's input",
    "c6": "some train-free root has another gradient than the input, or does not exist (Table 1)",
    "c7": "whatever is done above a layer's input, the normalised map moves by at most a stated L1 distance",
    "admissible_root": "the closed linear region holds a zero of the function above the layer's input",
    "nonpositive_bias": "the origin is not in the linear region of the input",
    "assumption_1": "every c_j in R_j = a_j c_j is locally constant",
    "conservation": "the relevance of all inputs adds up to the explained logit",
}
"""Every claim, and what is proved where it is proved. Its module says more."""
OF_A_LAYER = ("c1", "c5", "c6", "c7", "admissible_root", "nonpositive_bias", "assumption_1")
"""Claims about one layer; the others speak of all of them at once."""
OF_A_RULE = ("c5", "c6", "c7", "assumption_1", "conservation")
"""Claims about a rule; the others speak of the network alone."""

OF_ANY_SIZE = ("c7",)
"""Claims that bounds decide where exact numbers are out of reach; the others need these."""


def decide(
    claim: str,
    network: Network,
    x: Sequence[Any],
    *,
    logit: int = 0,
    layer: int = 1,
    rule: str | Rule | Composite = "zplus",
    root: str = "relevance",
    target: Sequence[Any] | None = None,
    budget: Budget | None = None,
) -> Verdict:
    """Proved, Refuted or Undecided: `.statement` says what was decided, `.reason` why, `.witness` what shows it.

    claim: a name in CLAIMS. x (in,): the input, in numbers of any kind, read exactly. layer: the claim speaks of F_l
    and the roots of layer l. rule, root: as for `roots`. target: c3's relevance. budget: beyond it, Undecided.
    Raises InputError for an unknown claim, OnHinge where F_l has no gradient, RuleError, ShapeMismatch, NotExact."""
    question = ask(network, flat_point(checked(network), x), logit, layer, parse(rule), root, Budget.of(budget))
    wanted = None if target is None else fractions(vector(target, size=network.sizes[0], name="target"))
    return answer(claim, replace(question, target=wanted))


def ask(
    network: Network, x: Any, logit: int, layer: int, rule: Rule | Composite, root: str, budget: Budget
) -> Question:
    """A question that can be answered. Raises InputError, RuleError, ShapeMismatch, NotExact."""
    one = network.logit(logit)
    composite(rule).check(one)
    check_kind(one, layer, rule, root)
    return Question.of(network, x, logit=logit, layer=layer, rule=rule, root=root, budget=budget)


def answer(claim: str, question: Question) -> Verdict:
    """The verdict; Undecided where the budget ends, and where the claim does not speak of such networks. Raises
    InputError for an unknown claim, OnHinge."""
    check_claim(claim)
    decided: Callable[[Question], Verdict] = import_module(f"dtdsym.claims.{claim}").decide
    try:
        return decided(question)
    except (BudgetSpent, UnsupportedLayer) as why:
        return Undecided(claim, sentence(CLAIMS[claim]), sentence(why))


def check_claim(claim: str) -> None:
    """Raises InputError for an unknown claim."""
    if claim not in CLAIMS:
        raise InputError(f"unknown claim {claim!r}; the claims are {', '.join(CLAIMS)}")
