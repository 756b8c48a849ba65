"""From a tool's rules and its relevance to reports: one for each explained output."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import InputError
from dtdsym.network.network import Network
from dtdsym.relevance.identify import Identification, identify
from dtdsym.report.audit import Report, audit
from dtdsym.survey.tool import LayerRule, ToolRules
from dtdsym.tools.reading import Reading

MOST_COMPARED = 64  # inputs of a report whose relevance is looked at to name it


@dataclass(frozen=True, eq=False)
class Explained:
    """tool: captum or zennit. network, folded: as the tool sees it, and with batch normalisation folded. relevance: as
    the tool computed it, (batch, ...). logits (batch,): what is explained. remarks: what else it does."""

    tool: str
    network: Network
    folded: Network
    reading: Reading
    relevance: Any
    logits: tuple[int, ...]
    remarks: tuple[str, ...] = ()


def imported(module: str, extra: str) -> Any:
    """A tool's module. Raises InputError with the extra to install."""
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise InputError(f"{extra} cannot be imported ({err}); install it with pip install 'dtdsym[{extra}]'") from err


def targets(network: Network, target: Any, count: int) -> tuple[int, ...]:
    """The explained output of each input, from one for all or one for each. Raises InputError."""
    several = _several(target)
    chosen = [whole_number(_plain(number)) for number in (target if several else [target])]
    outputs = network.sizes[-1]
    if any(number is None or not 0 <= number < outputs for number in chosen):
        raise InputError(f"target {target!r:.70}: give whole numbers from 0 to {outputs - 1}, the network's outputs")
    if several and len(chosen) != count:
        raise InputError(f"{len(chosen)} targets for {count} inputs; give one, or one for each")
    numbers = [number for number in chosen if number is not None]
    return tuple(numbers if several else numbers * count)


def report(
    made: Explained, x: torch.Tensor, target: Any, asked: Mapping[str, Any], extra: Iterable[LayerRule] = ()
) -> Report | list[Report]:
    """One Report for one target, a list for several; `extra`: rules of what is no layer. Raises InputError."""
    read = [name for name in ("rules", "logit") if name in asked]
    if read:
        raise InputError(f"{read[0]}={asked[read[0]]!r:.70}: {made.tool} says which rules and target; leave it out")
    relevance = _relevance(made.relevance, x)
    rules = (*made.reading.rules, *extra)
    if not _several(target):
        return _one(made, rules, x, relevance, list(range(len(x))), asked)
    files = [name for name in ("journal", "certificates") if asked.get(name) is not None]
    if files and len(set(made.logits)) > 1:
        raise InputError(f"{files[0]}={asked[files[0]]!r}: a file is about one target; ask for each target by itself")
    groups = [[row for row, own in enumerate(made.logits) if own == logit] for logit in sorted(set(made.logits))]
    return [_one(made, rules, x, relevance, rows, asked) for rows in groups]


def _one(
    made: Explained,
    rules: tuple[LayerRule, ...],
    x: torch.Tensor,
    relevance: torch.Tensor,
    rows: list[int],
    asked: Mapping[str, Any],
) -> Report:
    logit = made.logits[rows[0]]
    few = rows[:MOST_COMPARED]
    compared, remarks = _compared(made, x[few], relevance[few], logit)
    found = audit(made.network, x[rows], rules=[made.reading.text], logit=logit, **{"layers": "all", **asked})
    found.compared = compared
    found.tool = ToolRules(
        made.tool,
        metadata.version(made.tool),
        rules,
        (*made.remarks, *remarks),
        tuple(rows),
        None if compared is None else _agrees(compared, made.reading.text),
    )
    return found


def _compared(
    made: Explained, x: torch.Tensor, relevance: torch.Tensor, logit: int
) -> tuple[Identification | None, list[str]]:
    """What the relevance is, or why it cannot be told."""
    if not torch.isfinite(relevance).all():
        return None, [f"{made.tool}'s relevance has entries that are not finite, so it is not compared."]
    if not relevance.any():
        return None, [f"{made.tool}'s relevance is zero everywhere, so it is not compared."]
    return identify(made.folded, x, relevance, logit, rules=[made.reading.text]), []


def _agrees(found: Identification, text: str) -> bool:
    """Whether the relevance is that of the rules, from the logit's value on."""
    own = [match for match in found.matches if match.candidate.text == text and not match.candidate.tool]
    return any(match.seed == "f(x)" and match.logit is None for match in own)


def _relevance(given: Any, x: torch.Tensor) -> torch.Tensor:
    try:
        relevance = torch.as_tensor(given).detach()
    except (TypeError, ValueError, RuntimeError) as err:
        raise InputError(f"relevance is a {type(given).__name__}; give an array of x's shape") from err
    if relevance.shape != x.shape:
        raise InputError(f"relevance has shape {tuple(relevance.shape)}; x has {tuple(x.shape)}")
    return relevance


def _several(target: Any) -> bool:
    if isinstance(target, torch.Tensor | np.ndarray):
        return target.ndim > 0
    return isinstance(target, Sequence) and not isinstance(target, str)


def _plain(number: Any) -> Any:
    """A number out of a tensor."""
    return number.item() if isinstance(number, torch.Tensor) and number.ndim == 0 else number
