"""Ledgers of the first audited inputs: for each rule, where every share of the explained logit went, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.ledger import Ledger, ledger_of
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import propagate
from dtdsym.survey.chunk import largest_outputs
from dtdsym.survey.inputs import GivenInputs, SampledInputs
from dtdsym.survey.settings import Settings

LOOKED_AT = 64  # inputs among which the first ones above the least logit are looked for, at a time


@dataclass(frozen=True)
class InputLedger:
    """The ledger of one input (its number from 0) and rule."""

    rule: Rule | Composite
    input: int
    logit: int
    ledger: Ledger

    def to_json(self) -> dict[str, Any]:
        """As in the JSON report."""
        parameters = [str(value) for value in self.rule.parameters]
        head = {"rule": self.rule.name, "parameter": parameters, "input": self.input, "logit": self.logit}
        return {**head, **self.ledger.to_json()}


def first_ledgers(
    network: Network, settings: Settings, inputs: GivenInputs | SampledInputs, count: int
) -> list[InputLedger]:
    """Ledgers of the first `count` inputs whose explained logit is above the least one, input by input."""
    made: list[InputLedger] = []
    for number, logit, values in above_least(network, settings, inputs):
        if len(made) >= count * len(settings.rules):
            break
        one = network.logit(logit)
        for rule in settings.rules:
            found = ledger_of(propagate(one, RATIONAL, values, rule, ledger=True), values)
            made.append(InputLedger(rule, number, logit, found))
    return made


def above_least(
    network: Network, settings: Settings, inputs: GivenInputs | SampledInputs
) -> Iterator[tuple[int, int, Any]]:
    """(number, explained logit, exact values of the network's nodes) of the inputs whose logit is above the least."""
    for start in range(0, inputs.count, LOOKED_AT):
        points = inputs.batch(start, min(start + LOOKED_AT, inputs.count)).points
        logits = largest_outputs(network, points) if settings.logit is None else [settings.logit] * len(points)
        for offset, (point, logit) in enumerate(zip(points, logits, strict=True)):
            one = network.logit(int(logit))
            values = evaluate(one, RATIONAL, {0: RATIONAL.lift(point)})
            if fractions(values[len(one.nodes) - 1])[0] > settings.min_logit:
                yield start + offset, int(logit), values
