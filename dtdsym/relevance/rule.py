"""A rule by name, with exact parameters: "zplus", "gamma:0.25", "zbox:0:1"; and how a user adds one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial, reduce
from typing import Any

from dtdsym.arithmetic import Arithmetic
from dtdsym.arithmetic.windows import inverse_index
from dtdsym.errors import RuleError
from dtdsym.network.receptive import Chosen, Layer
from dtdsym.relevance.family import Family, anything
from dtdsym.relevance.neurons import ALL, Neurons, Shift
from dtdsym.relevance.rules import FAMILIES
from dtdsym.relevance.shares import Passed, pass_down
from dtdsym.relevance.state import State
from dtdsym.relevance.variants import VARIANTS

ENTRIES = 2**23
"""Most entries of one (inputs, neurons, field) array: 64 MiB."""
_BUILT_IN = {family.name: family for family in (*FAMILIES, *VARIANTS)}
_FAMILIES = dict(_BUILT_IN)


@dataclass(frozen=True)
class Rule:
    """A family with its parameters, exact. Raises RuleError where these break the family's law."""

    family: Family
    parameters: tuple[Fraction, ...] = ()

    def __post_init__(self) -> None:
        if len(self.parameters) != len(self.family.parameters) or not self.family.law(*self.parameters):
            raise _refusal(self.family, self.label)

    @property
    def name(self) -> str:
        """The family's name."""
        return self.family.name

    @property
    def label(self) -> str:
        """Name and parameters, as `parse` reads them."""
        return ":".join([self.name, *(_short(parameter) for parameter in self.parameters)])

    @property
    def built_in(self) -> bool:
        """Whether it is one of dtdsym's own, so that its label says all."""
        return _BUILT_IN.get(self.name) == self.family

    def shifts(self, neurons: Neurons, share: Any) -> Shift:
        """a - root for every neuron, where w.a + b is to lose `share` (..., out, 1)."""
        return self.family.shifts(neurons, share, self._lifted(neurons))

    def messages(self, neurons: Neurons) -> Any:
        """What each neuron j passes to each input i of its field (..., out, in)."""
        return self.family.message(neurons, self._lifted(neurons))

    def neurons(
        self, ops: Arithmetic, layer: Layer, values: Mapping[int, Any], relevance: Any, block: Chosen = ALL
    ) -> Neurons:
        """The neurons of a layer, or a block of them; all of them if this rule takes them as one."""
        block = ALL if self.family.whole else block
        return Neurons.of(ops, layer, values, relevance, block, whole=self.family.whole)

    def pass_down(
        self, ops: Arithmetic, layer: Layer, values: Mapping[int, Any], relevance: Any, *, ledger: bool = False
    ) -> Passed:
        """Relevance (..., width) below a layer whose neurons have `relevance` (..., size); with what was lost."""
        if self.family.shares is not None:
            state = State(ops, layer, values[layer.source], values[layer.output])
            return pass_down(
                state,
                self.family.shares(state, *self._lifted(state)),
                relevance,
                ledger=ledger,
                remainder=self.family.remainder,
            )
        parts = [
            self._pass_block(self.neurons(ops, layer, values, relevance, block), ledger=ledger)
            for block in ([ALL] if self.family.whole else blocks(layer, math.prod(relevance.shape[:-1])))
        ]
        lost = {"rule": ops.join([part.lost["rule"] for part in parts])} if ledger else {}
        return Passed(reduce(ops.add, [part.below for part in parts]), lost)

    def _pass_block(self, neurons: Neurons, *, ledger: bool) -> Passed:
        ops, layer, messages = neurons.ops, neurons.layer, self.messages(neurons)
        lost = {"rule": (neurons.relevance[..., 0] - ops.total(messages))} if ledger else {}
        if neurons.fields is None:
            return Passed(ops.total(messages, -2), lost)
        flat = messages.reshape(*messages.shape[:-2], neurons.fields.size)
        return Passed(ops.take_back(flat, inverse_index(neurons.fields, layer.width)), lost)

    def _lifted(self, beside: Neurons | State) -> tuple[Any, ...]:
        return tuple(beside.lift(parameter) for parameter in self.parameters)


def blocks(layer: Layer, batch: int) -> list[slice]:
    """Blocks of a layer's neurons, so small that (batch, neurons, field) holds at most ENTRIES numbers."""
    each = max(1, ENTRIES // max(1, batch * layer.fan_in))
    return [slice(start, min(start + each, layer.size)) for start in range(0, layer.size, each)]


def families() -> dict[str, Family]:
    """All rules that `parse` knows, by name, registered ones included."""
    return dict(_FAMILIES)


def parse_rule(text: str | Rule) -> Rule:
    """The rule that is written NAME[:PARAMETER[:PARAMETER]]; a Rule is returned as it is.

    Parameters are read exactly ("0.1" is 1/10); without any, the family's defaults hold.
    Raises RuleError for an unknown name, and for parameters that the rule does not take.
    """
    if isinstance(text, Rule):
        return text
    if not isinstance(text, str):
        raise RuleError(f"rule {text!r:.70}: expected a name such as zplus or gamma:1")
    name, *numbers = text.split(":")
    family = _FAMILIES.get(name)
    if family is None:
        raise RuleError(f"unknown rule {name!r}; the rules are {', '.join(_FAMILIES)}")
    if not numbers and family.defaults is not None:
        return Rule(family, family.defaults)
    try:
        parameters = tuple(Fraction(number) for number in numbers)
    except (ValueError, ZeroDivisionError) as err:
        raise _refusal(family, text) from err
    return Rule(family, parameters)


def register_rule(
    name: str,
    direction: Callable[..., Any] | None = None,
    *,
    parameters: Sequence[str] = (),
    defaults: Sequence[Any] | None = None,
    law: Callable[..., bool] = anything,
    takes: str = "",
    doc: str = "",
) -> Any:
    """Add a rule by its search direction, as a call or as a decorator; it is then valid in every arithmetic at once.

        @dtdsym.register_rule("signed", parameters=("gamma",), defaults=(1,), takes="any gamma")
        def signed(ops, w, a, gamma):
            "v = w + gamma a where w >= 0, else w"
            return w + a * (w >= 0) * gamma

        dtdsym.explain(net, x, rule="signed:1/2")

    direction(ops, w, a, *parameters): w (out, in) is exact, so that it may be compared with numbers; a (..., 1, in), or
    (..., out, in) in convolutions, may not; the result broadcasts to (..., out, in). `ops` has relu, maximum,
    where(mask, yes, no), ratio(n, d) with 0 where d is 0, and lift(number) for constants that are not whole. law:
    whether exact parameters are allowed; takes: this in words. Audits in several processes need both to be functions
    of a module, not lambdas.
    Raises RuleError for a name with a colon, or a built-in rule's; a registered rule of this name is replaced.
    """
    if direction is None:
        return partial(register_rule, name, parameters=parameters, defaults=defaults, law=law, takes=takes, doc=doc)
    if name in _BUILT_IN or not name or set(name) & set(":=,"):
        raise RuleError(
            f"rule name {name!r}: expected a new name without colon, comma or =, none of {', '.join(_BUILT_IN)}"
        )
    _FAMILIES[name] = Family(
        name,
        doc or (direction.__doc__ or "").strip(),
        direction=direction,
        parameters=tuple(parameters),
        defaults=None if defaults is None else tuple(Fraction(number) for number in defaults),
        law=law,
        takes=takes or ":".join(parameters) or "no parameters",
    )
    return direction


def _refusal(family: Family, text: str) -> RuleError:
    return RuleError(f"rule {text!r}: {family.name} takes {family.takes}")


def _short(parameter: Fraction) -> str:
    """A decimal of at most six digits where that is the number itself, else p or p/q."""
    short = f"{float(parameter):g}" if abs(parameter) < 10**6 else ""
    return short if short and Fraction(short) == parameter else str(parameter)
