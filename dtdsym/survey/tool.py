"""What a tool was found to do at each layer, and whether DTD justifies it: part of a report, as data and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from dtdsym.network.receptive import KINDS


@dataclass(frozen=True)
class LayerRule:
    """layer: number from 1, None for what is no layer of weights. name: its place in the module. kind: linear, conv,
    batchnorm, scale, avgpool, relu, add, maxpool, other. rule: as dtdsym writes it. justified: whether DTD has a root
    from which the rule follows, wherever that root lies. note: why (not), in a sentence."""

    layer: int | None
    name: str
    kind: str
    rule: str
    justified: bool
    note: str


@dataclass(frozen=True)
class ToolRules:
    """name, version: of the tool. rules: of each layer. remarks: what else it does, a sentence each. rows: which of
    the inputs given the report is about. agrees: whether the relevance is what the rules give, to rounding; None where
    nothing could be compared."""

    name: str
    version: str
    rules: tuple[LayerRule, ...]
    remarks: tuple[str, ...]
    rows: tuple[int, ...]
    agrees: bool | None

    def sentences(self) -> Iterator[str]:
        """The finding in plain words; layers with the same rule share a sentence."""
        groups: dict[tuple[bool, str, bool, str], list[LayerRule]] = {}
        for rule in self.rules:
            groups.setdefault((rule.layer is None, rule.rule, rule.justified, rule.note), []).append(rule)
        for members in groups.values():
            first = members[0]
            verdict = f"{'DTD derives it from a root' if first.justified else 'DTD does not justify it'}: "
            yield f"{_places(members)}: {first.rule}; {verdict * (first.kind in KINDS)}{first.note}."
        yield from self.remarks
        if self.agrees is not None:
            yield AGREES if self.agrees else DISAGREES

    def to_json(self) -> dict[str, Any]:
        """As in the JSON report."""
        return {
            "name": self.name,
            "version": self.version,
            "rules": [asdict(rule) for rule in self.rules],
            "remarks": list(self.remarks),
            "rows": list(self.rows),
            "agrees": self.agrees,
        }


AGREES = "The relevance equals what these rules give, to rounding."
DISAGREES = (
    "The relevance is not what these rules give: the roots audited are those of the rules as they were read, and not "
    "those behind this relevance. A rule was changed in between, or the tool does something else on this network."
)


def _places(members: list[LayerRule]) -> str:
    """Layers 1, 3 (conv1, conv2); what has no number goes by its name alone."""
    numbers = [str(member.layer) for member in members if member.layer is not None]
    names = ", ".join(dict.fromkeys(repr(member.name) for member in members))
    if not numbers:
        return f"{members[0].kind.capitalize()} {names}"
    return f"Layer{'s' * (len(numbers) > 1)} {', '.join(numbers)} ({names})"
