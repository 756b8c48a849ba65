"""A rule by name, with exact parameters: "zplus", "gamma:0.25", "zbox:0:1"; and how a user adds one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from dtdsym.errors import RuleError
from dtdsym.relevance.family import Family, anything
from dtdsym.relevance.neurons import Neurons, Shift
from dtdsym.relevance.rules import FAMILIES

_BUILT_IN = frozenset(family.name for family in FAMILIES)
_FAMILIES = {family.name: family for family in FAMILIES}


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

    def shifts(self, neurons: Neurons, share: Any) -> Shift:
        """a - root for every neuron, where w.a + b is to lose `share` (..., out, 1)."""
        return self.family.shifts(neurons, share, self._lifted(neurons))

    def messages(self, neurons: Neurons) -> Any:
        """What each neuron j passes to each input i (..., out, in)."""
        return self.family.message(neurons, self._lifted(neurons))

    def _lifted(self, neurons: Neurons) -> tuple[Any, ...]:
        return tuple(neurons.lift(parameter) for parameter in self.parameters)


def families() -> dict[str, Family]:
    """All rules that `parse` knows, by name, registered ones included."""
    return dict(_FAMILIES)


def parse(text: str | Rule) -> Rule:
    """The rule that is written NAME[:PARAMETER[:PARAMETER]]; a Rule is returned as it is.

    Parameters are read exactly ("0.1" is 1/10); without any, the family's defaults hold.
    Raises RuleError for an unknown name, and for parameters that the rule does not take.
    """
    if isinstance(text, Rule):
        return text
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

    direction(ops, w, a, *parameters): w (out, in) is exact, so that it may be compared with numbers; a (..., 1, in)
    may not; the result broadcasts to (..., out, in). `ops` has relu, maximum, where(mask, yes, no), ratio(n, d) with 0
    where d is 0, and lift(number) for constants that are not whole. law: whether exact parameters are allowed; takes:
    this in words. Audits in several processes need both to be functions of a module, not lambdas.
    Raises RuleError for a name with a colon, or a built-in rule's; a registered rule of this name is replaced.
    """
    if direction is None:
        return partial(register_rule, name, parameters=parameters, defaults=defaults, law=law, takes=takes, doc=doc)
    if name in _BUILT_IN or ":" in name or not name:
        raise RuleError(f"rule name {name!r}: expected a new name without a colon, none of {', '.join(_BUILT_IN)}")
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
