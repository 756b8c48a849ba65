"""The same function written with dense matrices only: convolutions, constants, averages, on request max-pools too."""

from __future__ import annotations

import numpy as np
import torch

from dtdsym.network.layers import (
    Affine,
    AveragePool,
    Concat,
    Convolution,
    MaxPool,
    Node,
    Relu,
    Scale,
    Take,
    with_sources,
)
from dtdsym.network.network import Network


def dense(network: Network, *, pools: bool = False) -> tuple[Network, dict[int, int]]:
    """The network with Affine nodes for every linear one, and where each node's value now stands. Its weights must be
    floats again: average over powers of two, scale by floats. pools: max(u, v) as v + [u - v] too."""
    nodes: list[Node] = [network.nodes[0]]
    place = {0: 0}
    for index, node in enumerate(network.nodes[1:], start=1):
        sources = [place[source] for source in node.sources]
        match node:
            case Convolution() | Scale() | AveragePool():
                matrix, bias = _matrix(node, network.sizes[node.source])
                nodes.append(Affine(matrix, bias, sources[0], node.name))
            case MaxPool() if pools:
                _expand(nodes, node, sources[0], network.sizes[node.source])
            case _:
                nodes.append(with_sources(node, sources))
        place[index] = len(nodes) - 1
    return Network(tuple(nodes)), place


def _matrix(node: Convolution | Scale | AveragePool, size: int) -> tuple[np.ndarray, np.ndarray]:
    match node:
        case Convolution():
            return _convolution(node)
        case Scale():
            pairs = zip(np.repeat(node.weight, node.repeat), np.repeat(node.bias, node.repeat), strict=True)
            factors, summands = zip(*((_float(w), _float(b)) for w, b in pairs), strict=True)
            return np.diag(factors), np.array(summands)
        case AveragePool():
            matrix = np.zeros((len(node.index), size))
            for row, (window, count) in enumerate(zip(node.index, node.counts, strict=True)):
                for entry in window[window >= 0]:
                    matrix[row, entry] += _float(1 / count)
            return matrix, np.zeros(len(matrix))


def _convolution(node: Convolution) -> tuple[np.ndarray, np.ndarray]:
    """torch's convolution of the unit vectors, which rounds nothing, for every product stands alone."""
    windows = node.windows
    images = torch.eye(windows.size, dtype=torch.float64).reshape(-1, *windows.shape)
    padding = [side for pair in reversed(windows.padding) for side in pair]
    function = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d}[len(windows.kernel)]
    weight = torch.tensor(node.weight)
    padded = torch.nn.functional.pad(images, padding)
    image = function(padded, weight, None, windows.stride, 0, windows.dilation, windows.groups)
    matrix = image.reshape(windows.size, -1).T.numpy().copy()
    return matrix, np.repeat(node.bias, len(matrix) // len(node.bias))


def _float(number) -> float:
    as_float = float(number)
    assert as_float == number, f"{number} is no float"
    return as_float


def _expand(nodes: list[Node], pool: MaxPool, source: int, size: int) -> None:
    """Appends max(u, v) = v + [u - v], entry by entry of the windows."""
    pick = np.eye(size)
    out = len(pool.index)
    nodes.append(Take(pool.index[:, 0].copy(), source))
    for column in pool.index.T[1:]:
        selected = pick[column]
        nodes.append(Concat((len(nodes) - 1, source)))
        nodes.append(Affine(np.hstack([np.eye(out), -selected]), np.zeros(out), len(nodes) - 1))
        nodes.append(Relu(len(nodes) - 1))
        nodes.append(Concat((len(nodes) - 1, source)))
        nodes.append(Affine(np.hstack([np.eye(out), selected]), np.zeros(out), len(nodes) - 1))
