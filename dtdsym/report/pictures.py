"""What the page shows of the first inputs: input, explanations by the audited rules, gradient x input, and where
they were asked for the explanation by nearest admissible roots and the forged one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.rational import nearest_float
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.claims.verdict import sentence
from dtdsym.errors import DtdsymError, Unreachable
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.explain import explain
from dtdsym.relevance.nearest_explanation import explain_by_nearest_roots
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.relevance.rule import Rule
from dtdsym.survey.chunk import largest_outputs
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.findings import Findings
from dtdsym.survey.ledgers import above_least
from dtdsym.survey.sizes import is_large

MOST_INPUTS, MOST_RULES = 3, 6
GRADIENT = "*=gradient,relu=gradient,add=both"


@dataclass(frozen=True)
class Picture:
    """values (in,): an input, or what an explanation gives to each coordinate (signed); exact, or rounded as torch
    rounds. note: what else is to be said."""

    title: str
    values: Sequence[Fraction | float]
    signed: bool = True
    note: str = ""

    @property
    def floats(self) -> np.ndarray:
        """For drawing (in,)."""
        return np.array([nearest_float(Fraction(value)) for value in self.values])

    @property
    def numbers(self) -> dict[str, str]:
        """What the picture says in numbers."""
        floats = self.floats
        high, low = int(floats.argmax()), int(floats.argmin())
        signs = [(value > 0) - (value < 0) for value in self.values]
        total = nearest_float(sum((Fraction(value) for value in self.values), Fraction(0)))
        return {
            "sum": f"{total:.6g}",
            "largest": f"{floats[high]:.4g} at coordinate {high}",
            "least": f"{floats[low]:.4g} at coordinate {low}",
            "positive": f"{signs.count(1):,}",
            "negative": f"{signs.count(-1):,}",
            "zero": f"{signs.count(0):,}",
        }


@dataclass(frozen=True)
class Shown:
    """What is shown of one input. failures: what could not be drawn, a sentence each."""

    number: int
    logit: int
    pictures: tuple[Picture, ...]
    failures: tuple[str, ...]


def shown_inputs(found: Findings) -> Iterator[Shown]:
    """The first audited inputs with all that is drawn of them."""
    for number, logit, point in first_inputs(found):
        pictures = [Picture(f"input {number}", point, signed=False)]
        failures = []
        for title, made in _explanations(found, number, logit, point):
            try:
                pictures.append(made())
            except DtdsymError as err:
                failures.append(f"Not drawn: {title}. {sentence(err)}")
        yield Shown(number, logit, tuple(pictures), tuple(failures))


def first_inputs(found: Findings) -> Iterator[tuple[int, int, list[float]]]:
    """(number, explained logit, coordinates) of the first audited inputs."""
    if found.given is None:
        return
    left = MOST_INPUTS
    for number, logit in _above(found):
        point = found.given.batch(number, number + 1).points[0]
        exact = not is_large(found.network) and not found.settings.numeric
        if exact and ExactInput(found.network.logit(logit), point, found.settings).on_hinge(0):
            continue
        yield number, logit, point.tolist()
        left -= 1
        if not left:
            return


def _above(found: Findings) -> Iterator[tuple[int, int]]:
    """Inputs whose explained logit is above the least one; in large networks by floats, which only choose what is
    drawn."""
    network, settings, given = found.network, found.settings, found.given
    assert given is not None
    if not is_large(network):
        yield from ((number, logit) for number, logit, _ in above_least(network, settings, given))
        return
    for number in range(given.count):
        points = given.batch(number, number + 1).points
        logit = int(largest_outputs(network, points, number)[0]) if settings.logit is None else settings.logit
        values = evaluate(network, TENSOR, {0: torch.from_numpy(points)})
        if float(values[len(network.nodes) - 1][0, logit]) > settings.min_logit:
            yield number, logit


def _explanations(
    found: Findings, number: int, logit: int, point: list[float]
) -> Iterator[tuple[str, Callable[[], Picture]]]:
    """(title, what makes the picture) of every explanation."""
    network, settings = found.network, found.settings
    x = torch.tensor([point], dtype=torch.float64) if is_large(network) else point
    for rule in settings.rules[:MOST_RULES]:
        yield rule.label, partial(_by_rule, network, x, rule, logit)
    yield "gradient x input", lambda: _gradient_times_input(network, x, logit, point)
    if isinstance(settings.root, Nearest):
        yield "nearest admissible roots", lambda: _by_nearest(found, logit, point)
    if "c3" in settings.claims and settings.target is not None:
        yield "the forged explanation", lambda: _forged(found, number)


def _by_rule(network: Network, x: Any, rule: Rule | Composite, logit: int) -> Picture:
    return Picture(rule.label, _relevance(network, x, rule, logit))


def _relevance(network: Network, x: Any, rule: str | Rule | Composite, logit: int) -> Sequence[Fraction | float]:
    found = explain(network, x, rule, logit)
    return [float(entry) for entry in found.reshape(-1)] if isinstance(found, torch.Tensor) else found


def _gradient_times_input(network: Network, x: Any, logit: int, point: list[float]) -> Picture:
    gradient = _relevance(network, x, GRADIENT, logit)
    values = [Fraction(slope) * Fraction(entry) for slope, entry in zip(gradient, point, strict=True)]
    return Picture("gradient x input", values)


def _by_nearest(found: Findings, logit: int, point: list[float]) -> Picture:
    asked = found.settings.root
    assert isinstance(asked, Nearest)
    made = explain_by_nearest_roots(
        found.network, point, norm=asked.norm, logit=logit, domain=asked.domain, budget=found.settings.budget
    )
    missing = len(made.missing)
    note = f"{missing} neurons have no root in the closed region; their shares are lost." if missing else ""
    return Picture(f"admissible roots ({asked.label})", made.relevance, note=note)


def _forged(found: Findings, number: int) -> Picture:
    """As claim c3 has decided it at this input. Raises Unreachable where it is not reached."""
    claim = next(claim for claim in found.decided if claim["claim"] == "c3" and claim["input"] == number)
    if claim["verdict"] != "proved":
        raise Unreachable(f"{claim['verdict']}: {claim['reason']}")
    assert found.settings.target is not None
    return Picture("forged", found.settings.target, note="Every root behind it is admissible (claim c3).")
