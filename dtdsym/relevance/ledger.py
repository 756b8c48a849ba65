"""The ledger: where every share of f(x) went that no input received."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dtdsym.arithmetic.rational import fractions, nearest_float, text
from dtdsym.network.network import Network
from dtdsym.relevance.train_free import Relevances

CAUSES: Mapping[str, str] = {
    "bias": "went to biases, which are no inputs",
    "epsilon": "was taken by epsilon, which keeps denominators away from 0",
    "no_root": "was lost at neurons whose denominator is 0 (w.v = 0): no input can receive it",
    "rule": "was lost or made because the rule does not conserve relevance",
    "dead": "was lost at inactive neurons",
    "losers": "was lost in max-pool windows whose shares add up to 0",
    "skip": "was lost, or made if negative, where a skip connection is added",
    "padding": "went to zeros that pad a value",
}
"""Every cause of a loss, in words that follow "x of f(x)"."""


@dataclass(frozen=True)
class Row:
    """`amount` of relevance, lost at a node for one cause. layer: its number, None for what is not numbered."""

    layer: int | None
    name: str
    kind: str
    cause: str
    amount: Fraction

    def __repr__(self) -> str:
        place = f"layer {self.layer}" if self.layer is not None else self.kind
        return f"Row({place} {self.name!r}, {self.cause}, {nearest_float(self.amount):.6g})"


@dataclass(frozen=True)
class Ledger:
    """rows add up to output - relevance exactly: f(x) less the sum of the inputs' relevance. Rows of 0 are left out."""

    output: Fraction
    relevance: Fraction
    rows: tuple[Row, ...]

    @property
    def lost(self) -> Fraction:
        """f(x) minus the sum of the inputs' relevance."""
        return self.output - self.relevance

    def by_cause(self) -> dict[str, Fraction]:
        """The sum of every cause that occurs."""
        sums: dict[str, Fraction] = {}
        for row in self.rows:
            sums[row.cause] = sums.get(row.cause, Fraction(0)) + row.amount
        return sums

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def __repr__(self) -> str:
        """Rounded: exact entries may have thousands of digits."""
        received, whole = nearest_float(self.relevance), nearest_float(self.output)
        return f"Ledger(inputs receive {received:.6g} of {whole:.6g}, {len(self.rows)} rows)"

    def sentences(self) -> Iterator[str]:
        """The ledger in plain words."""
        share = f", {_percent(self.relevance, self.output)}" if self.output else ""
        received, whole = nearest_float(self.relevance), nearest_float(self.output)
        yield f"The inputs receive {received:.6g} of f(x) = {whole:.6g}{share}."
        for cause, amount in sorted(self.by_cause().items(), key=lambda item: -abs(item[1])):
            yield f"{nearest_float(amount):+.6g} {CAUSES[cause]}."

    def to_json(self) -> dict[str, Any]:
        """Exact rationals as "p/q" beside floats for reading."""
        return {
            "output": text(self.output),
            "relevance": text(self.relevance),
            "lost": text(self.lost),
            "rows": [
                {
                    "layer": row.layer,
                    "name": row.name,
                    "kind": row.kind,
                    "cause": row.cause,
                    "amount": text(row.amount),
                    "float": nearest_float(row.amount),
                }
                for row in self.rows
            ],
        }


def ledger_of(relevances: Relevances, values: Mapping[int, Any]) -> Ledger:
    """The ledger of one exact explanation: `propagate(..., ledger=True)` at one input, over the rationals."""
    network = relevances.network
    output = fractions(values[len(network.nodes) - 1])[0]
    received = sum(fractions(relevances.input), Fraction(0))
    rows = tuple(_rows(relevances))
    made = Ledger(output, received, rows)
    if sum((row.amount for row in rows), Fraction(0)) != made.lost:
        raise AssertionError("the ledger does not add up: a bug; please report")
    return made


def _rows(relevances: Relevances) -> Iterator[Row]:
    network = relevances.network
    for index in sorted(relevances.lost, reverse=True):
        number, name, kind = _place(network, index)
        for cause, lost in relevances.lost[index].items():
            amount = sum(fractions(lost), Fraction(0))
            if amount:
                yield Row(number, name, kind, cause, amount)


def _place(network: Network, index: int) -> tuple[int | None, str, str]:
    if index in network.linear:
        layer = network.linear[index]
        return layer.number, layer.name, layer.kind
    node = network.nodes[index]
    return None, node.name, type(node).__name__.lower()


def _percent(part: Fraction, whole: Fraction) -> str:
    return f"{nearest_float(100 * part / whole):.4g} %"
