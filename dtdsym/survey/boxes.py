"""Claims decided for all inputs of a box, as JSON values."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from dtdsym.claims.box import IN_A_BOX, decide_in_box
from dtdsym.claims.decide import OF_A_RULE
from dtdsym.claims.verdict import Undecided, Verdict, sentence
from dtdsym.errors import InputError, RuleError
from dtdsym.network.network import Network
from dtdsym.survey.settings import Domain, Settings


def check_box(network: Network, settings: Settings, box: str) -> tuple[str, tuple[Fraction, Fraction], int]:
    """The box's name, its ends in every coordinate, and the logit that is meant: the only one of a network with one
    output. Raises InputError for another word than box:LO:HI, and where each input explains its own logit."""
    domain = Domain.parse(box)
    if domain.low is None or domain.high is None:
        raise InputError(f"--for-all {box}: expected a box with two ends, for example box:0:1")
    if settings.logit is None and network.sizes[-1] > 1:
        raise InputError("--for-all speaks of one logit: give --logit K")
    return domain.name, (domain.low, domain.high), settings.logit or 0


def claims_in_box(network: Network, settings: Settings, box: str) -> Iterator[dict[str, Any]]:
    """c2, and c5 of every rule, for all inputs of `box:LO:HI`, of the settings' logit. Raises InputError."""
    name, ends, logit = check_box(network, settings, box)
    bounds = [ends] * network.sizes[0]
    for claim in IN_A_BOX:
        for rule in settings.rules if claim in OF_A_RULE else (None,):
            started = time.perf_counter()
            asked: dict[str, Any] = {"logit": logit, "above": settings.min_logit, "budget": settings.budget}
            verdict = _decided(claim, network, bounds, {**asked, **({"rule": rule} if rule else {})})
            yield {
                "claim": claim,
                "input": None,
                "box": name,
                "logit": logit,
                "rule": None if rule is None else rule.label,
                "layer": None if rule is None else 1,
                "verdict": verdict.name,
                "bad_news": verdict.bad_news,
                "statement": verdict.statement,
                "reason": verdict.reason,
                "witness": dict(verdict.witness),
                "certificate": False,
                "seconds": time.perf_counter() - started,
            }


def _decided(claim: str, network: Network, bounds: list[tuple[Any, Any]], asked: dict[str, Any]) -> Verdict:
    try:
        return decide_in_box(claim, network, bounds, **asked)
    except (RuleError, InputError) as why:
        return Undecided(claim, sentence(IN_A_BOX[claim]), sentence(why))
