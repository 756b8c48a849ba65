"""Train-free Deep Taylor Decomposition (Algorithm 2 of Sixt and Landgraf 2022): relevance, from the logit to the input.

R = f(x) at the output. A layer passes on what its rule says, with its relevance roots; a ReLU passes relevance on
unchanged; an addition splits it in proportion to its two signed values, and loses what arrives where their sum is 0; a
max-pool gives all to its first maximiser; what is put together is taken apart again. A composite can say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from dtdsym.arithmetic import Arithmetic
from dtdsym.errors import ShapeMismatch
from dtdsym.network.evaluate import max_masks, pull_indexed
from dtdsym.network.layers import Add, Affine, Concat, Convolution, MaxPool, Relu, Take
from dtdsym.network.network import Network
from dtdsym.network.receptive import Layer
from dtdsym.relevance.composite import Composite, composite
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.shares import Passed
from dtdsym.relevance.state import beside


@dataclass(frozen=True, eq=False)
class Relevances:
    """Relevance in one arithmetic. at: node id -> relevance of each of that node's values (..., width).

    lost: node id -> cause -> relevance (..., width) that arrived at the node and was not passed on; a negative loss is
    relevance out of nothing. Kept only where a ledger was asked for.
    """

    network: Network
    at: Mapping[int, Any]
    lost: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def upper(self, layer: int) -> Any:
        """R^{l+1} as it arrives at the outputs of layer l (from 1): (..., out)."""
        return self.at[self.network.layer(layer).output]

    def lower(self, layer: int) -> Any:
        """R^l, of the inputs of layer l, with what they have through skips: (..., in)."""
        return self.at[self.network.layer(layer).source]

    @property
    def input(self) -> Any:
        """R^1, of the network's input (..., in)."""
        return self.at[0]


def propagate(
    network: Network,
    arithmetic: Arithmetic,
    values: Mapping[int, Any],
    rule: Rule | Composite,
    start: int = 0,
    *,
    seed: Any = None,
    top: int | None = None,
    ledger: bool = False,
) -> Relevances:
    """Relevance of every node from `start` on, of a network of one logit, by one rule or a composite.

    values: what `evaluate` gives, for any batch; nodes that the logit does not depend on have relevance 0.
    seed: the relevance of the outputs (..., outputs), of which there may then be several; by default the logit's value.
    top: the node that the seed is the relevance of, in place of the output; nodes above it are left out.
    """
    last = len(network.nodes) - 1 if top is None else top
    if seed is None and network.sizes[last] != 1:
        raise ShapeMismatch(f"the network has {network.sizes[last]} outputs; cut it to the explained one: logit(index)")
    chosen = composite(rule)
    at, lost = {last: values[last] if seed is None else seed}, {}
    for index in range(last, start, -1):
        if index not in at:
            continue
        parts, gone = _passed(network, index, arithmetic, values, at[index], chosen, ledger)
        for source, part in parts:
            at[source] = arithmetic.add(at[source], part) if source in at else part
        lost[index] = gone
    everywhere = {index: at[index] if index in at else values[index] * 0 for index in range(start, last + 1)}
    return Relevances(network, everywhere, lost)


Parts = list[tuple[int, Any]]
Lost = dict[str, Any]


def _passed(
    network: Network,
    index: int,
    ops: Arithmetic,
    values: Mapping[int, Any],
    relevance: Any,
    chosen: Composite,
    ledger: bool,
) -> tuple[Parts, Lost]:
    """What node `index` passes on of its relevance (..., width), a part for each of its sources, and what it loses."""
    node = network.nodes[index]
    if index in network.linear:
        layer = network.linear[index]
        at = values if chosen.reuse == "own" else at_last_use(network, layer, values)
        found: Passed = chosen.rule(layer, network).pass_down(ops, layer, at, relevance, ledger=ledger)
        return [(layer.source, found.below)], found.lost
    match node:
        case Relu():
            below = relevance if chosen.relu == "pass" else relevance * _active(ops, values[node.source])
            return [(node.source, below)], {} if chosen.relu == "pass" else {"dead": relevance - below}
        case Add():
            return through_add(network, node, ops, values, relevance, values[index], chosen)
        case Concat():
            return pull_indexed(network, index, relevance, ops, None), {}
        case Take():
            parts = pull_indexed(network, index, relevance, ops, None)
            return parts, {
                "padding": ops.where(node.index < 0, relevance, 0)
            } if ledger and node.index.min() < 0 else {}
        case MaxPool():
            return _through_pool(network, index, ops, values, relevance, chosen, ledger)
    raise TypeError(f"node {index}, a {type(node).__name__}, has no source to pass relevance to")


def _active(ops: Arithmetic, z: Any) -> Any:
    """1 where z > 0, else 0, without a comparison: an enclosure may leave the sign open."""
    return ops.ratio(ops.relu(z), z)


def at_last_use(network: Network, layer: Layer, values: Mapping[int, Any]) -> Mapping[int, Any]:
    """The values, with those of the last layer that has the same weights in this one's place."""
    if not isinstance(layer.linear, Affine | Convolution):
        return values
    weight = layer.linear.weight
    last = [other for other in network.linear.values() if getattr(other.linear, "weight", None) is weight][-1]
    return {**values, layer.source: values[last.source], layer.output: values[last.output]}


def through_add(
    network: Network,
    node: Add,
    ops: Arithmetic,
    values: Mapping[int, Any],
    relevance: Any,
    total: Any,
    chosen: Composite,
) -> tuple[Parts, Lost]:
    """What an addition of value `total` passes on of its relevance (..., width) to each source, and what it loses."""
    cause = "skip" if chosen.epsilon("add") is None else "epsilon"
    if chosen.add == "proportional":
        step = stabilised(ops, relevance, total, chosen.epsilon("add"))
        return [(source, values[source] * step) for source in node.sources], {cause: relevance - total * step}
    parts = [relevance, relevance]
    if chosen.add == "magnitude":
        sizes = [ops.maximum(values[source], -values[source]) for source in node.sources]
        step = stabilised(ops, relevance, ops.add(*sizes), chosen.epsilon("add"))
        parts = [size * step for size in sizes]
    if chosen.add == "captum":
        parts = [_captum_part(network, source, values, relevance) for source in node.sources]
    return list(zip(node.sources, parts, strict=True)), {cause: relevance - ops.add(*parts)}


def _captum_part(network: Network, source: int, values: Mapping[int, Any], relevance: Any) -> Any:
    if any(layer.source == source for layer in network.linear.values()):
        return values[source] * relevance
    reads = any(isinstance(node, Relu) and node.source == source for node in network.nodes)
    return relevance * 0 if reads else relevance


def stabilised(ops: Arithmetic, relevance: Any, total: Any, epsilon: Fraction | None) -> Any:
    """relevance / (total + epsilon sign(total)), sign(0) = +1; 0 where the denominator is 0."""
    if epsilon is None:
        return ops.ratio(relevance, total)
    sign = 1 - 2 * ops.ratio(ops.relu(-total), ops.maximum(total, -total))
    return ops.ratio(relevance * sign, ops.maximum(total, -total) + beside(ops.lift(epsilon), total))


def _through_pool(
    network: Network,
    index: int,
    ops: Arithmetic,
    values: Mapping[int, Any],
    relevance: Any,
    chosen: Composite,
    ledger: bool,
) -> tuple[Parts, Lost]:
    if chosen.maxpool == "winner":
        epsilon, mask = chosen.epsilon("maxpool"), max_masks(network, index, ops, values)
        if epsilon is None:
            return pull_indexed(network, index, relevance, ops, mask), {}
        passed = stabilised(ops, relevance, values[index], epsilon) * values[index]
        return pull_indexed(network, index, passed, ops, mask), {"epsilon": relevance - passed}
    node = network.nodes[index]
    assert isinstance(node, MaxPool)
    entries = (
        ops.take(values[node.source], node.index) if chosen.maxpool == "proportional" else ops.lift(node.fresh * 1.0)
    )
    entries = ops.where(node.fresh, entries, 0)
    step = stabilised(ops, relevance, ops.total(entries), chosen.epsilon("maxpool"))
    cause = "losers" if chosen.epsilon("maxpool") is None else "epsilon"
    lost = {cause: relevance - step * ops.total(entries)} if ledger else {}
    return pull_indexed(network, index, step, ops, entries), lost
