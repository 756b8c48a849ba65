"""Which entries of a network's values are certain to be identically zero: pruned neurons, padding, and what only they
reach. Not all such entries are found; those that are found are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from dtdsym.arithmetic.unfold import batches, window_sums
from dtdsym.network.layers import (
    Add,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Input,
    MaxPool,
    Node,
    Relu,
    Scale,
    Take,
)
from dtdsym.network.network import Network


def always_zero(network: Network) -> list[np.ndarray]:
    """Masks (width,) of the entries of every node that are zero whatever the input is."""
    masks: dict[int, np.ndarray] = {0: np.zeros(network.sizes[0], dtype=bool)}
    for index, node in enumerate(network.nodes[1:], start=1):
        masks[index] = zero_entries(node, masks)
    return list(masks.values())


def zero_entries(node: Node, masks: Mapping[int, np.ndarray]) -> np.ndarray:
    """Mask (..., width) of the entries of a node's value that are identically zero wherever those are that the masks
    (..., width) of its sources name. A ReLU's and a max-pool's may be more: their choices say so."""
    match node:
        case Affine():
            return _affine(node, masks[node.source])
        case Convolution():
            return _convolution(node, masks[node.source])
        case Scale():
            no_factor, no_summand = (np.repeat(_zero(numbers), node.repeat) for numbers in (node.weight, node.bias))
            return (masks[node.source] | no_factor) & no_summand
        case Relu():
            return masks[node.source]
        case Add():
            return masks[node.left] & masks[node.right]
        case Concat():
            return np.concatenate([masks[source] for source in node.sources], axis=-1)
        case Take():
            return taken(masks[node.source], node.index)
        case MaxPool() | AveragePool():
            return np.asarray(taken(masks[node.source], node.index).all(axis=-1))
        case Input():
            raise TypeError("an Input is not computed from other values")


def taken(mask: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Entries of a mask (..., width), in the shape of `index`; the zero that index -1 stands for is one."""
    return np.where(index < 0, True, mask[..., index])


def _zero(numbers: np.ndarray) -> np.ndarray:
    return np.array([number == 0 for number in numbers])


def _affine(node: Affine, mask: np.ndarray) -> np.ndarray:
    """Rows whose bias is zero, and whose weights are wherever the source is not."""
    candidates = _zero(node.bias)
    if not candidates.any():
        return np.zeros((*mask.shape[:-1], len(candidates)), dtype=bool)
    return candidates & ((~mask).astype(np.float64) @ (node.weight != 0).T.astype(np.float64) == 0)


def _convolution(node: Convolution, mask: np.ndarray) -> np.ndarray:
    """Channels without bias where the weights, or the whole window, are zero."""
    unbiased, shape = _zero(node.bias), (*mask.shape[:-1], node.size)
    if not unbiased.any():
        return np.zeros(shape, dtype=bool)
    alive = torch.from_numpy((~mask).reshape(-1, mask.shape[-1])).to(torch.float32)
    sums = [window_sums(alive[part], node.windows) for part in batches(node.windows, len(alive))]
    each = len(node.weight) // node.windows.groups
    windows = np.repeat((torch.cat(sums) == 0).numpy(), each, axis=-2)
    no_weight = np.asarray(~node.weight.reshape(len(node.weight), -1).any(axis=1))
    found = (windows | no_weight[:, None]) & unbiased[:, None]
    return np.asarray(found.reshape(shape))
