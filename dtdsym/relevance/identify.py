"""identify: which rule, composite and tool a relevance array comes from, and whether it is only gradient x input.

Floats in, so no theorem: an explanation is called equal where it agrees to rounding (EQUAL, relative to its largest
entry); otherwise the nearest candidate is named, and how far it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.errors import InputError, NotExact, RuleError, ShapeMismatch
from dtdsym.network.network import Network
from dtdsym.relevance.bench import Views
from dtdsym.relevance.candidates import Candidate, candidates, normed, usual_boxes
from dtdsym.relevance.comparison import Comparison
from dtdsym.relevance.composite import composite, parse
from dtdsym.relevance.identification import Identification as Identification
from dtdsym.relevance.identification import Match as Match

EQUAL = {"float64": 1e-8, "float32": 1e-4, "half": 1e-2}
"""How far an entry may be off, as a share of the largest entry of its input's relevance, by what the array's numbers
can hold: tools round as they go, and small denominators enlarge what they rounded. No verdict depends on it."""
HALVES = ("float16", "bfloat16")


def identify(
    network: Network, x: Any, relevance: Any, logit: int | Sequence[int] = 0, *, rules: Iterable[str] = ()
) -> Identification:
    """Name the rule, composite and tool that `relevance` equals, for one input or a batch.

    x: (in,) or (batch, in), or with the network's input shape; relevance likewise. logit: the explained output, or one
    for each input. rules: further candidates, as `parse` reads them.
    Raises InputError, NotExact, RuleError, ShapeMismatch.
    """
    points, arrived = _rows(network, x, "x"), _rows(network, relevance, "relevance")
    if points.shape != arrived.shape:
        raise ShapeMismatch(f"{len(arrived)} rows of relevance for {len(points)} inputs; give one explanation an input")
    if not arrived.any():
        raise InputError("the relevance is zero everywhere: there is nothing to identify")
    asked = Comparison(
        Views(network), points, arrived, _logits(network, logit, len(points)), _tolerance(relevance, arrived)
    )
    own = [candidate for text in rules for candidate in _own(network, text)]
    boxes = usual_boxes(points.min().item(), points.max().item())
    return asked.answer([*own, *candidates(network, boxes)])


def _rows(network: Network, numbers: Any, name: str) -> torch.Tensor:
    """(batch, in) in float64."""
    try:
        value = TENSOR.lift(numbers).detach().double().cpu()
    except (NotExact, ValueError) as err:
        raise NotExact(f"{name}: {err}") from err
    shape, size = tuple(value.shape), network.sizes[0]
    known = list(dict.fromkeys([network.input_shape, (size,)]))
    if not value.numel() or (shape not in known and shape[1:] not in known):
        expected = " or ".join(str(each) for each in known)
        raise ShapeMismatch(
            f"{name} has shape {shape}; expected {expected}, or a batch of these: a number for every input, not summed "
            "over channels"
        )
    return value.reshape(-1, size)


def _logits(network: Network, logit: int | Sequence[int], count: int) -> np.ndarray:
    """One for each input."""
    numbers = np.asarray(logit.cpu() if isinstance(logit, torch.Tensor) else logit)
    if numbers.dtype.kind not in "iu" or numbers.ndim > 1 or (numbers.ndim and len(numbers) != count):
        raise InputError(f"logit {logit!r} for {count} inputs; give one whole number, or one for each input")
    wrong = [int(number) for number in numbers.reshape(-1) if not 0 <= number < network.sizes[-1]]
    if wrong:
        raise InputError(f"logit {wrong[0]} does not exist; the network has outputs 0 to {network.sizes[-1] - 1}")
    return np.broadcast_to(numbers, count)


def _tolerance(given: Any, relevance: torch.Tensor) -> float:
    """float32's also where a float64 array holds float32 numbers: then it was computed or saved as such."""
    if str(getattr(given, "dtype", "")).removeprefix("torch.") in HALVES:
        return EQUAL["half"]
    return EQUAL["float32" if torch.equal(relevance.float().double(), relevance) else "float64"]


def _own(network: Network, text: str) -> Iterator[Candidate]:
    """A candidate that the user names. Raises RuleError if it fits the network in no way."""
    chosen = composite(parse(text))
    try:
        chosen.check(network)
        yield Candidate(text)
    except RuleError:
        chosen.check(network.unfolded())
    if normed(network):
        yield Candidate(text, batchnorm="own")
