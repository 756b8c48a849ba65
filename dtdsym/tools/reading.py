"""The rules that a tool has at the layers of a network, put together as one composite of this package."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dtdsym.errors import RuleError
from dtdsym.network.layers import Add, MaxPool, Relu
from dtdsym.network.receptive import KINDS
from dtdsym.relevance.candidates import FLAWS
from dtdsym.relevance.composite import WAYS
from dtdsym.relevance.rule import parse_rule
from dtdsym.survey.tool import LayerRule
from dtdsym.tools.reasons import reason
from dtdsym.tools.subject import Subject

Treat = Callable[[str, str, int], str]
"""treat(kind, owner, node id): what a tool does at a node that the leaf `owner` computes, as a composite's value."""
_NODES = {Relu: "relu", Add: "add", MaxPool: "maxpool"}


@dataclass(frozen=True)
class Reading:
    """text: the composite, as `dtdsym.audit` takes it. rules: the same, layer by layer."""

    text: str
    rules: tuple[LayerRule, ...]


def read(subject: Subject, treat: Treat, functional: Mapping[str, str]) -> Reading:
    """functional: by kind, what the tool does at nodes that are called as functions, which it does not see.

    Raises RuleError for what no composite can say."""
    rules = tuple(_rules(subject, treat, functional))
    return Reading(_text(rules), rules)


def number(value: Any, what: str) -> str:
    """A tool's parameter, as rules of this package are written: the decimal number that Python prints for a float, so
    that 1e-6 is 10^-6. Raises RuleError for what is no finite number."""
    try:
        as_float = float(value)
    except (TypeError, ValueError) as err:
        raise RuleError(f"{what} is {value!r:.70}; expected a number") from err
    if not math.isfinite(as_float):
        raise RuleError(f"{what} is {as_float}; expected a finite number")
    return repr(as_float)


def epsilon(kind: str, size: str) -> str:
    """The epsilon rule at a node of some kind; 0 is LRP-0."""
    way = {"add": "proportional", "maxpool": "winner"}.get(kind)
    if Fraction(size) == 0:
        return way or "lrp0"
    return f"{way or 'epsilon'}:{size}"


def _rules(subject: Subject, treat: Treat, functional: Mapping[str, str]) -> Iterator[LayerRule]:
    network = subject.network
    for index, node in enumerate(network.nodes):
        layer = network.linear.get(index)
        kind = layer.kind if layer is not None else _NODES.get(type(node), "")
        if not kind:
            continue
        owner = subject.owner(node)
        done = functional[kind] if owner is None else treat(kind, owner, index)
        if layer is not None:
            done = _label(node.name, done)
            yield LayerRule(layer.number, node.name, kind, done, *_why(kind, done, owner))
        else:
            yield LayerRule(None, node.name, kind, done, *_passing(kind, done))


def _label(place: str, rule: str) -> str:
    try:
        return parse_rule(rule).label
    except RuleError as err:
        raise RuleError(f"layer {place!r}: {err}") from err


def _why(kind: str, rule: str, owner: str | None) -> tuple[bool, str]:
    if kind == "avgpool" and rule == "gradient" and owner is None:
        return False, FLAWS["avgpool=gradient"]
    return reason(rule)


def _passing(kind: str, way: str) -> tuple[bool, str]:
    """Whether what is no layer passes relevance on as train-free DTD does, and what happens."""
    name = way.partition(":")[0]
    if f"{kind}={name}" in FLAWS:
        return False, FLAWS[f"{kind}={name}"]
    return True, _PASSING[kind] + (", but for a stabiliser in the denominator" if ":" in way else "")


_PASSING = {
    "relu": "relevance passes unchanged",
    "add": "the summands share in proportion to their signed values",
    "maxpool": "the largest entry takes all",
}


def _text(rules: Sequence[LayerRule]) -> str:
    """A short composite: the commonest rule of each kind by kind (of several, the latest), others by number or name."""
    named: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for kind in KINDS:
        own = [rule for rule in rules if rule.kind == kind]
        if own:
            kinds[kind] = Counter(rule.rule for rule in reversed(own)).most_common(1)[0][0]
            named |= {_selector(rule): rule.rule for rule in own if rule.rule != kinds[kind]}
    ways = {node: way for node in WAYS if (way := _way(node, rules)) != WAYS[node][0]}
    if not named and not ways and len(kinds) == 1:
        return next(iter(kinds.values()))
    return ",".join(f"{selector}={rule}" for selector, rule in (named | kinds | ways).items())


def _selector(rule: LayerRule) -> str:
    if rule.layer is not None:
        return str(rule.layer)
    if rule.name.isdecimal() or set(rule.name) & set("=,") or rule.name in KINDS:
        raise RuleError(f"{rule.kind} {rule.name!r} has another rule than the others: a composite cannot name it alone")
    return rule.name


def _way(node: str, rules: Sequence[LayerRule]) -> str:
    """The one way at all nodes of a kind. Of ReLUs that differ `pass` is taken: it is what the tool means."""
    met = list(dict.fromkeys(rule.rule for rule in rules if rule.kind == node))
    if node == "relu" and len(met) > 1:
        return WAYS[node][0]
    if len(met) > 1:
        places = ", ".join(f"{rule.name}: {rule.rule}" for rule in rules if rule.kind == node)
        raise RuleError(
            f"nodes of kind {node} pass relevance in different ways ({places}); a composite has one for all"
        )
    return met[0] if met else WAYS[node][0]
