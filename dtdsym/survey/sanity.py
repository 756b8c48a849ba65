"""Sanity checks, measured: how far maps move when another logit is explained, or when layers are drawn anew.

Of Adebayo et al. 2018, arXiv:1810.03292 (layers), and Sixt and Landgraf 2022, Section 5.2 (logits). Gradient x input is
measured beside every rule, as the control. Float64 throughout: nothing here is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.errors import InputError, RuleError
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network, checked
from dtdsym.relevance.composite import Composite, composite, parse
from dtdsym.relevance.each_logit import EachLogit
from dtdsym.relevance.explain import rows_at_a_time
from dtdsym.relevance.maps import Distance, Maps, distance
from dtdsym.relevance.rule import Rule
from dtdsym.survey.inputs import as_inputs
from dtdsym.survey.settings import checked_device

CONTROL = "gradient x input"
STARTS = ("one", "output")
SHOWN = 3
"""So many of the first inputs keep their maps."""
Progress = Callable[[int, int], None]


class Change(NamedTuple):
    """One thing that is done: the network and the logits (inputs,) that are explained after it; and, in words, what.
    unchanged: it turned out to change nothing. steps: how many changes there are in all."""

    step: str
    network: Network
    logits: np.ndarray
    unchanged: bool = False
    steps: int = 1


@dataclass(frozen=True, eq=False)
class Asked:
    """points (inputs, in) and the logit of each, logits (inputs,) int64; rules, and how their maps are made.

    start: relevance starts from 1 ("one"), or from the logit's value ("output"), whose sign then turns the map."""

    network: Network
    points: np.ndarray
    logits: np.ndarray
    rules: tuple[Rule | Composite, ...]
    maps: Maps
    start: str = "one"
    device: str = "cpu"

    @classmethod
    def of(
        cls,
        network: Network,
        inputs: Any,
        rule: Any,
        *,
        logit: Any = "argmax",
        start: str = "one",
        absolute: bool = False,
        channels: str = "sum",
        device: str = "cpu",
    ) -> Asked:
        """Everything checked. Raises InputError, RuleError."""
        given = as_inputs(inputs, checked(network))
        points = given.batch(0, given.count).points
        if start not in STARTS:
            raise InputError(f"start {start!r}: expected {' or '.join(STARTS)}")
        checked_device(device)
        logits = _largest(network, points, device) if isinstance(logit, str) and logit == "argmax" else logit
        return cls(
            network,
            points,
            chosen_logits(network, logits, len(points), "logit"),
            _rules(network, rule),
            Maps(absolute, channels),
            start,
            device,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of what is measured: the rules, and the control."""
        return (*(rule.label for rule in self.rules), CONTROL)

    def parts(self) -> list[slice]:
        """The inputs, as many at once as are explained together."""
        each = rows_at_a_time(self.network, torch.device(self.device))
        return [slice(start, start + each) for start in range(0, len(self.points), each)]

    def explained(self, network: Network, logits: np.ndarray, rows: slice) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Maps (k, pixels) of a part of the inputs, one a label, and the explained outputs (k,)."""
        x, chosen = (torch.tensor(array[rows], device=self.device) for array in (self.points, logits))
        each = EachLogit(network, x, chosen)
        seed = torch.ones_like(each.outputs) if self.start == "one" else each.outputs
        found = [*(each.relevance(rule, seed) for rule in self.rules), each.gradient_x_input()]
        for label, relevance in zip(self.labels, found, strict=True):
            if not bool(torch.isfinite(relevance).all()):
                raise InputError(f"a relevance by {label} is not finite; scale the inputs, or choose another rule")
        return [self.maps.of(relevance, self.network.input_shape).cpu() for relevance in found], each.outputs.cpu()


@dataclass(frozen=True)
class Row:
    """One rule at one step: means over the inputs that were `measured`, those where no map is flat; NaN if none was."""

    rule: str
    step: str
    difference: float
    changed: float
    rank_correlation: float
    measured: int


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a check found, by rule (of `asked.labels`, the last is the control), step and input.

    check: its name. steps: what was done; unchanged: those that turned out to do nothing. difference: mean absolute
    difference of two maps, each scaled to [0, 1]; changed: the share of pixels that move by more than 1/4;
    rank_correlation: Spearman's; each (rules, steps, inputs), NaN where a map is flat. counts (rules, steps, BINS):
    pixels by their absolute difference. outputs (inputs,), other_outputs (steps, inputs): what is explained, before and
    after. others: the logits explained after, where they are others. shown (rules, 1 + steps, k, pixels): maps of the
    first k inputs, before and after, not scaled. seed, law: of what was drawn; None where nothing was.
    """

    check: str
    asked: Asked
    steps: tuple[str, ...]
    unchanged: tuple[str, ...]
    difference: torch.Tensor
    changed: torch.Tensor
    rank_correlation: torch.Tensor
    counts: torch.Tensor
    outputs: torch.Tensor
    other_outputs: torch.Tensor
    shown: torch.Tensor
    others: tuple[int, ...] | None = None
    seed: int | None = None
    law: str | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """Means over inputs, rule by rule, step by step."""
        return tuple(self._row(rule, step) for rule in range(len(self.asked.labels)) for step in range(len(self.steps)))

    def _row(self, rule: int, step: int) -> Row:
        difference, changed, correlation = (
            table[rule, step] for table in (self.difference, self.changed, self.rank_correlation)
        )
        return Row(
            self.asked.labels[rule],
            self.steps[step],
            float(difference.nanmean()),
            float(changed.nanmean()),
            float(correlation.nanmean()),
            int((~difference.isnan()).sum()),
        )


class _Compared(NamedTuple):
    """One change at all inputs: a Distance a label, the explained outputs (inputs,), maps (rules, shown, pixels)."""

    step: str
    unchanged: bool
    distances: list[Distance]
    outputs: torch.Tensor
    shown: torch.Tensor


def measure(
    asked: Asked, check: str, changes: Iterable[Change], *, progress: Progress | None = None, **told: Any
) -> Measurement:
    """The maps after every change beside those of the network as it is. changes are taken one at a time, so that few
    networks are held. progress: told how many changes of all are done. told: of a Measurement."""
    parts = [asked.explained(asked.network, asked.logits, rows) for rows in asked.parts()]
    before = [torch.cat(maps) for maps in zip(*(maps for maps, _ in parts), strict=True)]
    done: list[_Compared] = []
    for change in changes:
        done.append(_compared(asked, before, change))
        if progress is not None:
            progress(len(done), change.steps)
    return Measurement(
        check,
        asked,
        tuple(one.step for one in done),
        tuple(one.step for one in done if one.unchanged),
        difference=_table(done, "difference"),
        changed=_table(done, "changed"),
        rank_correlation=_table(done, "rank_correlation"),
        counts=_table(done, "counts"),
        outputs=torch.cat([outputs for _, outputs in parts]),
        other_outputs=torch.stack([one.outputs for one in done]),
        shown=torch.stack([torch.stack([maps[:SHOWN] for maps in before]), *(one.shown for one in done)], 1),
        **told,
    )


def _compared(asked: Asked, before: Sequence[torch.Tensor], change: Change) -> _Compared:
    distances, outputs, shown = [], [], []
    for rows in asked.parts():
        after, found = asked.explained(change.network, change.logits, rows)
        distances.append([distance(maps[rows], other) for maps, other in zip(before, after, strict=True)])
        outputs.append(found)
        shown.append(torch.stack([maps[: max(0, SHOWN - rows.start)] for maps in after]))
    joined = [Distance.join(parts) for parts in zip(*distances, strict=True)]
    return _Compared(change.step, change.unchanged, joined, torch.cat(outputs), torch.cat(shown, 1))


def _table(done: Sequence[_Compared], name: str) -> torch.Tensor:
    """(rules, steps, ...) of one of the numbers."""
    return torch.stack([torch.stack([getattr(found, name) for found in one.distances]) for one in done], 1)


def _rules(network: Network, rule: Any) -> tuple[Rule | Composite, ...]:
    """One or several, each once. Raises RuleError for what is none, or does not fit the network."""
    several = isinstance(rule, Iterable) and not isinstance(rule, str)
    rules = tuple(dict.fromkeys(parse(one) for one in (rule if several else [rule])))
    if not rules:
        raise RuleError("no rule is given; name at least one, such as zplus")
    for one in rules:
        composite(one).check(network)
    return rules


def chosen_logits(network: Network, logits: Any, count: int, name: str) -> np.ndarray:
    """(count,) int64 from one logit for all inputs, or one each. Raises InputError."""
    try:
        numbers = np.asarray(logits.cpu() if isinstance(logits, torch.Tensor) else logits)
    except ValueError as err:
        raise InputError(f"{name} {logits!r:.70}: give one whole number, or one for each input") from err
    if numbers.dtype.kind not in "iu" or numbers.ndim > 1 or (numbers.ndim and len(numbers) != count):
        raise InputError(f"{name} {logits!r:.70} for {count} inputs; give one whole number, or one for each input")
    for number in numbers.reshape(-1).tolist():
        if not 0 <= number < network.sizes[-1]:
            raise InputError(f"{name} {number} does not exist; the network has outputs 0 to {network.sizes[-1] - 1}")
    return np.broadcast_to(numbers.astype(np.int64), count)


def _largest(network: Network, points: np.ndarray, device: str) -> np.ndarray:
    """The largest output of each input, the first of equal ones, as float64 has them."""
    each = rows_at_a_time(network, torch.device(device))
    parts = []
    for start in range(0, len(points), each):
        x = torch.tensor(points[start : start + each], device=device)
        parts.append(evaluate(network, TENSOR, {0: x})[len(network.nodes) - 1].cpu().numpy().argmax(1))
    return np.concatenate(parts)
