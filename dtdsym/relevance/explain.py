"""explain: train-free relevance of each input, and its ledger."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property
from typing import Any

import torch

from dtdsym.arithmetic.rational import RATIONAL, fractions, nearest_float, vector
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.displayed import Displayed
from dtdsym.errors import ShapeMismatch
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite, composite, parse
from dtdsym.relevance.ledger import Ledger, ledger_of
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import propagate

ENTRIES = 2**17  # numbers of a node's value, of a part of the batch: what stays in a processor's cache is twice as fast
SHOWN = 8  # entries
DEVICE_ENTRIES = 2**26  # on other devices, where large parts are


class Explanation(Displayed, tuple[Fraction, ...]):
    """The exact relevance of each input, a tuple of Fractions; `.ledger` says where every other share of f(x) went."""

    def __new__(
        cls, relevance: Iterable[Fraction], network: Network, point: Any, rule: Rule | Composite
    ) -> Explanation:
        made = super().__new__(cls, relevance)
        made._asked = (network, point, rule)
        return made

    _asked: tuple[Network, Any, Rule | Composite]

    @property
    def network(self) -> Network:
        """The network that was explained, cut to the logit."""
        return self._asked[0]

    @property
    def rule(self) -> Rule | Composite:
        """By which it was explained."""
        return self._asked[2]

    @cached_property
    def ledger(self) -> Ledger:
        """Where the rest of f(x) went, layer by layer and cause by cause; adds up exactly."""
        network, point, rule = self._asked
        values = evaluate(network, RATIONAL, {0: point})
        return ledger_of(propagate(network, RATIONAL, values, rule, ledger=True), values)

    def __repr__(self) -> str:
        """Rounded: exact entries may have thousands of digits, more than Python prints."""
        shown = ", ".join(f"{nearest_float(entry):.6g}" for entry in self[:SHOWN])
        return f"Explanation({shown}{', ...' if len(self) > SHOWN else ''}: {len(self)} exact Fractions)"

    def __reduce__(self) -> Any:
        return Explanation, (tuple(self), *self._asked)


def explain(
    network: Network, x: Any, rule: str | Rule | Composite = "zplus", logit: int = 0
) -> Explanation | torch.Tensor:
    """Relevance of each input for one logit, passed down layer by layer by a rule (train-free DTD, the paper's
    Algorithm 2; LRP is the same with other rules).

    x: one input, (in,) or in the network's input shape, numbers of any kind: exact, with `.ledger`. A tensor with a
    batch dimension before: relevances of its shape in float64 on its device, which are numeric, rounded as torch
    rounds, and decide nothing. Raises RuleError, InputError, ShapeMismatch, NotExact.
    """
    one, parsed = network.logit(logit), parse(rule)
    composite(parsed).check(one)
    if isinstance(x, torch.Tensor) and tuple(x.shape[1:]) in {network.input_shape, (network.sizes[0],)}:
        return _explain_batch(one, x, parsed)
    if isinstance(x, torch.Tensor) and x.ndim > 1 and x.shape != network.input_shape:
        shapes = " or ".join(str(shape) for shape in dict.fromkeys([(network.sizes[0],), network.input_shape]))
        raise ShapeMismatch(
            f"x has shape {tuple(x.shape)}; expected {shapes} for one input, a batch dimension before for more"
        )
    point = vector(flat_point(network, x), size=network.sizes[0], name="x")
    values = evaluate(one, RATIONAL, {0: point})
    return Explanation(fractions(propagate(one, RATIONAL, values, parsed).input), one, point, parsed)


def flat_point(network: Network, x: Any) -> Any:
    """One input, flat where it came in the network's input shape."""
    shape = tuple(getattr(x, "shape", ()))
    return x.reshape(-1) if len(shape) > 1 and shape == network.input_shape else x


def rows_at_a_time(network: Network, device: torch.device) -> int:
    """How many inputs are explained at once."""
    return max(1, (ENTRIES if device.type == "cpu" else DEVICE_ENTRIES) // max(network.sizes))


def _explain_batch(network: Network, x: torch.Tensor, rule: Rule | Composite) -> torch.Tensor:
    if not len(x):
        raise ShapeMismatch("x is an empty batch; give at least one input")
    rows = TENSOR.lift(x).double().reshape(len(x), -1).split(rows_at_a_time(network, x.device))
    parts = [propagate(network, TENSOR, evaluate(network, TENSOR, {0: part}), rule).input for part in rows]
    return torch.cat(parts).reshape(x.shape)
