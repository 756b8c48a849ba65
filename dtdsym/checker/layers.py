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


def plain_layers(network: Network) -> list[Layer]:
    """The layers of a plain network: numbered linear nodes one after the other, each with at most one ReLU. Raises
    Refused for any other."""
    layers, end = list(layers_of(network).values()), 0
    refused = Refused("the network is not plain: numbered layers one after the other, each with at most one ReLU")
    for layer in layers:
        if layer.source != end or layer.output != end + 1 or not layer.number:
            raise refused
        end = layer.output + layer.rectified
        if network.nodes[end].sources != (end - 1,):
            raise refused
    if not layers or end != len(network.nodes) - 1:
        raise refused
    return layers


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
