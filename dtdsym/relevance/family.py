"""A family of rules: one rule's mathematics, with its parameters left open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

from dtdsym.errors import RuleError
from dtdsym.relevance.neurons import Neurons, Shift, along
from dtdsym.relevance.shares import Share, Shares, steps


def anything(*_: Fraction) -> bool:
    """The law of parameters that may take any value."""
    return True


@dataclass(frozen=True)
class Family:
    """What a rule's root is (direction, shift, or what its shares imply), and what it passes down (shares).

    direction(ops, w, a, *parameters) -> v (..., out, in), from exact w (out, in) and the layer's input a (..., 1, in),
    in convolutions (..., out, in). shift(neurons, share, *parameters) -> Shift: share is what w.a + b is to lose.
    shares(state, *parameters): what is passed down, by all neurons at once; without it w o (a - root) is.
    Parameters arrive lifted into the arithmetic, and all values broadcast.

    law: whether exact parameters are allowed. takes: this in words, for error messages. hinge: whether the rule has a
    root on the hyperplane w.a + b = 0, too. whole: the rule looks at a layer as one matrix. defaults: parameters where
    none are given; None: they must be given. messages(neurons, *parameters) -> (..., out, in): what is passed down
    where it is neither. remainder: the ledger's name for what coefficients of shares leave over.
    """

    name: str
    doc: str
    direction: Callable[..., Any] | None = None
    shift: Callable[..., Shift] | None = None
    shares: Shares | None = None
    parameters: tuple[str, ...] = ()
    defaults: tuple[Fraction, ...] | None = None
    law: Callable[..., bool] = anything
    takes: str = "no parameters"
    hinge: bool = True
    whole: bool = False
    messages: Callable[..., Any] | None = None
    remainder: str = "rule"

    def __post_init__(self) -> None:
        if self.direction is not None and self.shift is not None:
            raise RuleError(f"rule {self.name!r}: give either a direction or a shift, not both")
        if self.direction is None and self.shift is None and self.shares is None:
            raise RuleError(f"rule {self.name!r}: give a direction, a shift, or the shares that it passes down")

    def shifts(self, neurons: Neurons, share: Any, parameters: tuple[Any, ...]) -> Shift:
        """a - root for every neuron, where w.a + b is to lose `share` (..., out, 1)."""
        if self.shift is not None:
            return self.shift(neurons, share, *parameters)
        if self.direction is not None:
            return along(neurons, self.direction(neurons.ops, neurons.w, neurons.a, *parameters), share)
        assert self.shares is not None
        return implied_shift(neurons, self.shares(neurons.state, *parameters))

    def message(self, neurons: Neurons, parameters: tuple[Any, ...]) -> Any:
        """What each neuron j passes to each input i (..., out, in): its shares, or else w o (a - relevance root)."""
        if self.messages is not None:
            return self.messages(neurons, *parameters)
        if self.shares is not None:
            return share_messages(neurons, self.shares(neurons.state, *parameters))
        return neurons.w * self.shifts(neurons, neurons.relevance, parameters).displacement


def implied_shift(neurons: Neurons, shares: Sequence[Share]) -> Shift:
    """a - root = message / w where w != 0, else 0; no root where all denominators are 0.

    So the root is defined for rules without a direction: on it, w.a + b has lost what was passed down."""
    ops, w, state = neurons.ops, neurons.w, neurons.state
    moves, sizes = [], []
    for share in shares:
        step, total, sign = steps(state, share, neurons.all_relevance)
        always = sign is not None or total is None
        sizes.append(neurons.lift(1) if always else _size(ops, neurons.mine(total)[..., 0]))
        for value, part in share.terms:
            moves.append(neurons.on_fields(value) * ops.ratio(part.of(ops, w), w) * neurons.mine(step))
    return Shift(reduce(ops.add, moves), reduce(lambda left, right: left + right, sizes))


def share_messages(neurons: Neurons, shares: Sequence[Share]) -> Any:
    """What each neuron passes to each input of its field, (..., out, in)."""
    parts = []
    for share in shares:
        step, _, _ = steps(neurons.state, share, neurons.all_relevance)
        for value, part in share.terms:
            parts.append(neurons.on_fields(value) * part.of(neurons.ops, neurons.w) * neurons.mine(step))
    return reduce(neurons.ops.add, parts)


def _size(ops: Any, value: Any) -> Any:
    return ops.maximum(value, -value)
