"""Composites: a rule for each layer or kind of layer, and how relevance passes the nodes between them, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from dtdsym.errors import RuleError
from dtdsym.network.network import Network
from dtdsym.network.receptive import KINDS, Layer
from dtdsym.relevance.rule import Rule, parse_rule

WAYS = {
    "add": ("proportional", "magnitude", "both", "captum"),
    "relu": ("pass", "gradient"),
    "maxpool": ("winner", "proportional", "uniform"),
    "reuse": ("own", "last"),
}
"""How relevance passes a node that is no layer; the first is the default.

add: in proportion to the two signed values, or to their magnitudes; or all of it to both, as a gradient does; or
what captum makes of an addition without its own module: a summand that also enters a layer receives its value times
the relevance, one that also enters a ReLU nothing. relu: unchanged, or only where the neuron is active. maxpool: to
the (first) maximiser, in proportion to the values, or evenly. reuse: a layer that is used again passes relevance at
its own values, or at those of its last use. proportional, magnitude and winner may have a stabiliser, as in
add=proportional:1e-6.
"""
STABILISED = ("proportional", "magnitude", "winner")
PRESETS = {
    "epsilon_plus": "conv=zplus,linear=epsilon:1e-6",
    "epsilon_plus_flat": "first=flat,conv=zplus,linear=epsilon:1e-6",
    "epsilon_alpha2_beta1": "conv=alpha_beta:2:1,linear=epsilon:1e-6",
    "epsilon_alpha2_beta1_flat": "first=flat,conv=alpha_beta:2:1,linear=epsilon:1e-6",
    "epsilon_gamma_box": "first=zbox:{0}:{1},conv=gamma:0.25,linear=epsilon:1e-6",
}
"""Named composites of the literature (Montavon et al. 2019, doi:10.1007/978-3-030-28954-6_10; Kohlbrenner et al. 2020,
doi:10.1109/IJCNN48605.2020.9206975), in this package's rules. {0} and {1} are parameters."""
_EXPECTED = (
    "expected SELECTOR=RULE separated by commas, for example first=zbox:0:1,conv=zplus,linear=epsilon:1e-6; a selector "
    f"is first, last, a layer's number or name, {', '.join(KINDS)}, or * for all others; also "
    + ", ".join(f"{node}={'|'.join(ways)}" for node, ways in WAYS.items())
)


@dataclass(frozen=True)
class Composite:
    """rules: (selector, rule), of which the most particular one that fits a layer holds: its number, its name, first
    or last, its kind, then *. Average pools and constants that nothing fits take `x`: in proportion to their inputs."""

    label: str
    rules: tuple[tuple[str, Rule], ...]
    add: str = "proportional"
    relu: str = "pass"
    maxpool: str = "winner"
    reuse: str = "own"
    epsilons: tuple[tuple[str, Fraction], ...] = ()

    @property
    def name(self) -> str:
        """The label: a composite has no parameters of its own."""
        return self.label

    @property
    def parameters(self) -> tuple[Fraction, ...]:
        """None; see the label."""
        return ()

    def rule(self, layer: Layer, network: Network) -> Rule:
        """The rule of one layer. Raises RuleError if there is none."""
        chosen = dict(self.rules)
        for selector in _selectors(layer, network):
            if selector in chosen:
                return chosen[selector]
        if layer.number is None:
            return parse_rule("x")
        raise RuleError(
            f"composite {self.label!r} has no rule for layer {layer.number} ({layer.name}, {layer.kind}); "
            f"add {layer.kind}=RULE or *=RULE"
        )

    def epsilon(self, node: str) -> Fraction | None:
        """The stabiliser of additions ("add") or max-pools ("maxpool"), if there is one."""
        return dict(self.epsilons).get(node)

    def check(self, network: Network) -> None:
        """Raises RuleError if a layer has no rule, or a selector fits no layer at all by name."""
        if "batchnorm" in dict(self.rules) and any(layer.norm is not None for layer in network.linear.values()):
            raise RuleError(
                f"composite {self.label!r} gives batch normalisation a rule, but it is folded into the layers; "
                "use network.unfolded() (--batchnorm own), or leave batchnorm=... away"
            )
        known = {selector for layer in network.linear.values() for selector in _selectors(layer, network)}
        for selector, _ in self.rules:
            if selector not in known and selector not in KINDS:
                raise RuleError(f"composite {self.label!r}: no layer is {selector!r}; {_EXPECTED}")
        for layer in network.linear.values():
            self.rule(layer, network)


def _selectors(layer: Layer, network: Network) -> list[str]:
    """What a layer can be selected by, the most particular first; a name that is a number would mean another layer."""
    own = [str(layer.number)] if layer.number is not None else []
    ends = [name for name, number in (("first", 1), ("last", len(network.layers))) if layer.number == number]
    return [*own, *([layer.name] if layer.name and not layer.name.isdecimal() else []), *ends, layer.kind, "*"]


def parse(text: str | Rule | Composite) -> Rule | Composite:
    """A rule, NAME[:PARAMETER[:PARAMETER]]; a composite, SELECTOR=RULE,...; or a preset with its parameters.

    Raises RuleError for what is none of these."""
    if isinstance(text, Rule | Composite):
        return text
    if not isinstance(text, str):
        raise RuleError(f"rule {text!r:.70}: expected a name such as zplus or gamma:1")
    name, *numbers = text.split(":")
    if name in PRESETS and "=" not in text:
        wanted = PRESETS[name].count("{")
        if len(numbers) != wanted:
            raise RuleError(
                f"composite {text!r}: {name} takes {wanted} parameters" + (", for example :0:1" * bool(wanted))
            )
        return replace(_composite(PRESETS[name].format(*numbers)), label=text)
    return _composite(text) if "=" in text else parse_rule(text)


def composite(rule: Rule | Composite) -> Composite:
    """One rule at all layers, as a composite."""
    return rule if isinstance(rule, Composite) else Composite(rule.label, (("*", rule),))


def _composite(text: str) -> Composite:
    rules: dict[str, Rule] = {}
    ways: dict[str, str] = {}
    epsilons: list[tuple[str, Fraction]] = []
    for item in text.split(","):
        selector, equals, value = (part.strip() for part in item.partition("="))
        if not equals or not selector or selector in rules or selector in ways:
            raise RuleError(f"composite {text!r}: {item!r} is no selector with a rule, or doubled; {_EXPECTED}")
        if selector in WAYS:
            ways[selector], epsilon = _way(text, selector, value)
            epsilons += [(selector, epsilon)] if epsilon is not None else []
        else:
            rules[selector] = parse_rule(value)
    if not rules:
        raise RuleError(f"composite {text!r} names no rule; {_EXPECTED}")
    return Composite(text, tuple(rules.items()), **ways, epsilons=tuple(epsilons))


def _way(text: str, node: str, value: str) -> tuple[str, Fraction | None]:
    way, colon, number = value.partition(":")
    refusal = RuleError(
        f"composite {text!r}: {node}={value}: expected {' or '.join(WAYS[node])}; "
        f"{', '.join(STABILISED)} take a stabiliser, as in add=proportional:1e-6"
    )
    if way not in WAYS[node] or (colon and way not in STABILISED):
        raise refusal
    try:
        epsilon = Fraction(number) if colon else None
    except (ValueError, ZeroDivisionError) as err:
        raise refusal from err
    if epsilon is not None and epsilon <= 0:
        raise refusal
    return way, epsilon
