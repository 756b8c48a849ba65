"""What the page shows of the first inputs: input, explanations by the audited rules, gradient x input, and where
they were asked for the explanation by nearest admissible roots and the forged one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.rational import nearest_float
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.arithmetic.written import counted, plural
from dtdsym.claims.verdict import sentence
from dtdsym.errors import DtdsymError, Unreachable
from dtdsym.geometry.component import Component
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.slice import slice_at
from dtdsym.relevance.composite import Composite
from dtdsym.relevance.explain import explain
from dtdsym.relevance.nearest_explanation import explain_by_nearest_roots
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.relevance.rule import Rule
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.findings import Findings
from dtdsym.survey.ledgers import above_least
from dtdsym.survey.sizes import is_large

MOST_INPUTS, MOST_RULES = 3, 6
GRADIENT_X_INPUT = "gradient x input"


@dataclass(frozen=True, eq=False)
class Picture:
    """An input, or what an explanation gives to each coordinate (signed). floats (in,): for drawing. total: the sum,
    rounded once. signs: how many are positive, negative and zero. note: what else is to be said."""

    title: str
    floats: np.ndarray
    total: float
    signs: tuple[int, int, int]
    signed: bool = True
    note: str = ""

    @property
    def numbers(self) -> dict[str, str]:
        """What the picture says in numbers."""
        high, low = int(self.floats.argmax()), int(self.floats.argmin())
        counts = zip(("positive", "negative", "zero"), (f"{times:,}" for times in self.signs), strict=True)
        return {
            "sum": f"{self.total:.6g}",
            "largest": f"{self.floats[high]:.4g} at coordinate {high}",
            "least": f"{self.floats[low]:.4g} at coordinate {low}",
            **dict(counts),
        }


def picture(title: str, values: Sequence[Fraction] | np.ndarray, *, signed: bool = True, note: str = "") -> Picture:
    """Of exact numbers, or of floats as they are (in,)."""
    if isinstance(values, np.ndarray):
        floats, total = values, math.fsum(values)
        signs = int((values > 0).sum()), int((values < 0).sum()), int((values == 0).sum())
    else:
        floats = np.array([nearest_float(value) for value in values])
        total = nearest_float(sum(values, Fraction(0)))
        signs = sum(v > 0 for v in values), sum(v < 0 for v in values), sum(v == 0 for v in values)
    return Picture(title, floats, total, signs, signed, note)


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
        pictures = [picture(f"input {number}", point, signed=False)]
        failures = []
        for title, made in _explanations(found, number, logit, point):
            try:
                pictures.append(made())
            except DtdsymError as err:
                failures.append(f"Not drawn: {title}. {sentence(err)}")
        yield Shown(number, logit, tuple(pictures), tuple(failures))


def first_inputs(found: Findings) -> Iterator[tuple[int, int, np.ndarray]]:
    """(number, explained logit, coordinates (in,)) of the first audited inputs."""
    if found.given is None:
        return
    left = MOST_INPUTS
    for number, logit in _above(found):
        point = found.given.batch(number, number + 1).points[0]
        exact = not is_large(found.network) and not found.settings.numeric
        if exact and ExactInput(found.network.logit(logit), point, found.settings).on_hinge(0):
            continue
        yield number, logit, point
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
        point = torch.from_numpy(given.batch(number, number + 1).points)
        outputs = evaluate(network, TENSOR, {0: point})[len(network.nodes) - 1][0]
        logit = int(outputs.argmax()) if settings.logit is None else settings.logit
        if float(outputs[logit]) > settings.min_logit:
            yield number, logit


def _explanations(
    found: Findings, number: int, logit: int, point: np.ndarray
) -> Iterator[tuple[str, Callable[[], Picture]]]:
    """(title, what makes the picture) of every explanation."""
    network, settings = found.network, found.settings
    x = torch.from_numpy(point[None]) if is_large(network) else point.tolist()
    for rule in settings.rules[:MOST_RULES]:
        yield rule.label, partial(_by_rule, network, x, rule, logit)
    yield GRADIENT_X_INPUT, lambda: _gradient_times_input(found, x, logit, point)
    if isinstance(settings.root, Nearest):
        yield "nearest admissible roots", lambda: _by_nearest(found, logit, point)
    if "c3" in settings.claims and settings.target is not None:
        yield "the forged explanation", lambda: _forged(found, number)


def _by_rule(network: Network, x: Any, rule: Rule | Composite, logit: int) -> Picture:
    return picture(rule.label, _relevance(network, x, rule, logit))


def _relevance(network: Network, x: Any, rule: str | Rule | Composite, logit: int) -> Sequence[Fraction] | np.ndarray:
    found = explain(network, x, rule, logit)
    return found.reshape(-1).numpy() if isinstance(found, torch.Tensor) else found


def _gradient_times_input(found: Findings, x: Any, logit: int, point: np.ndarray) -> Picture:
    if is_large(found.network):  # there by LRP-0, which is the same wherever there is a gradient
        return picture(GRADIENT_X_INPUT, _relevance(found.network, x, "lrp0", logit))
    function, start = slice_at(found.network, point.tolist(), logit=logit)
    gradient = Component(function, start, found.settings.budget).gradient
    values = tuple(slope * Fraction(entry) for slope, entry in zip(gradient, point.tolist(), strict=True))
    return picture(GRADIENT_X_INPUT, values)


def _by_nearest(found: Findings, logit: int, point: np.ndarray) -> Picture:
    asked = found.settings.root
    assert isinstance(asked, Nearest)
    made = explain_by_nearest_roots(
        found.network, point.tolist(), norm=asked.norm, logit=logit, domain=asked.domain, budget=found.settings.budget
    )
    missing = len(made.missing)
    theirs = plural(missing, "its share is", "their shares are")
    note = f"{counted(missing, 'neuron')} without a root in the closed region; {theirs} lost." if missing else ""
    return picture(f"admissible roots ({asked.label})", made.relevance, note=note)


def _forged(found: Findings, number: int) -> Picture:
    """As claim c3 has decided it at this input. Raises Unreachable where it is not reached."""
    claim = next(claim for claim in found.decided if claim["claim"] == "c3" and claim["input"] == number)
    if claim["verdict"] != "proved":
        raise Unreachable(f"{claim['verdict']}: {claim['reason'].rstrip('.')}")
    assert found.settings.target is not None
    return picture("forged", found.settings.target, note="Every root behind it is admissible (claim c3).")
