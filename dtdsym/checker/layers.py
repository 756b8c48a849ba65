"""The network as claims see it: cut to the logit that is explained, and its layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dtdsym.checker.network import Network, Node, Row
from dtdsym.checker.reading import Refused, index


@dataclass(frozen=True)
class Layer:
    """Node ids: its neurons compute the value of `output` from that of `source`. rows over scale, as in Node.
    rectified: a ReLU reads them."""

    source: int
    output: int
    rows: tuple[Row, ...]
    scale: int
    number: int
    rectified: bool


def layers_of(network: Network) -> dict[int, Layer]:
    """Output node -> layer, for all linear nodes in order; those without a number have number 0."""
    bent = {node.sources[0] for node in network.nodes if node.kind == "Relu"}
    linear = [(i, node) for i, node in enumerate(network.nodes) if node.kind == "Linear"]
    return {i: Layer(node.sources[0], i, node.rows, node.scale, node.layer, i in bent) for i, node in linear}


def require_chain(network: Network) -> None:
    """Refused unless it is a plain chain of Linear nodes and ReLUs."""
    above = enumerate(network.nodes[1:], start=1)
    if any(node.sources != (i - 1,) or node.kind not in ("Linear", "Relu") for i, node in above):
        raise Refused("the network is no plain chain")


def cut(network: Network, logit: int) -> Network:
    """The network with that output alone."""
    nodes = network.nodes
    index(logit, nodes[-1].size, "logit")
    if nodes[-1].size == 1:
        return network
    below = len(nodes) - 1
    while nodes[below].kind == "Relu":
        below = nodes[below].sources[0]
    last, kept = nodes[below], list(nodes[:below])
    if last.kind == "Linear":
        kept.append(replace(last, size=1, rows=(last.rows[logit],)))
    else:
        kept += [last, Node("Take", (below,), 1, windows=((logit,),))]
    for _ in nodes[below + 1 :]:
        kept.append(Node("Relu", (len(kept) - 1,), 1))
    return Network(tuple(kept), network.hash)
