"""A family of rules: one rule's mathematics, with its parameters left open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dtdsym.errors import RuleError
from dtdsym.relevance.neurons import Neurons, Shift, along


def anything(*_: Fraction) -> bool:
    """The law of parameters that may take any value."""
    return True


@dataclass(frozen=True)
class Family:
    """One of direction and shift says everything; `messages` overrides what follows from them.

    direction(ops, w, a, *parameters) -> v (..., out, in), from exact w (out, in) and the layer's input a (..., 1, in).
    shift(neurons, share, *parameters) -> Shift, for rules without a direction: share is what w.a + b is to lose.
    messages(neurons, *parameters) -> (..., out, in): the part of each R_j that goes to each input i.
    Parameters arrive lifted into the arithmetic, and all values broadcast.

    law: whether exact parameters are allowed. takes: this in words, for error messages. hinge: whether the rule has a
    root on the hyperplane w.a + b = 0, too. defaults: parameters where none are given; None: they must be given.
    """

    name: str
    doc: str
    direction: Callable[..., Any] | None = None
    shift: Callable[..., Shift] | None = None
    messages: Callable[..., Any] | None = None
    parameters: tuple[str, ...] = ()
    defaults: tuple[Fraction, ...] | None = None
    law: Callable[..., bool] = anything
    takes: str = "no parameters"
    hinge: bool = True

    def __post_init__(self) -> None:
        if (self.direction is None) == (self.shift is None):
            raise RuleError(f"rule {self.name!r}: give either a direction or a shift, not both and not neither")

    def shifts(self, neurons: Neurons, share: Any, parameters: tuple[Any, ...]) -> Shift:
        """a - root for every neuron, where w.a + b is to lose `share` (..., out, 1)."""
        if self.shift is not None:
            return self.shift(neurons, share, *parameters)
        assert self.direction is not None
        return along(neurons, self.direction(neurons.ops, neurons.w, neurons.a, *parameters), share)

    def message(self, neurons: Neurons, parameters: tuple[Any, ...]) -> Any:
        """What each neuron j passes to each input i (..., out, in): w o (a - relevance root), unless overridden."""
        if self.messages is not None:
            return self.messages(neurons, *parameters)
        return neurons.w * self.shifts(neurons, neurons.relevance, parameters).displacement
