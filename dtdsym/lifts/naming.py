"""Names for a network's weights: symbols in place of its numbers, and the numbers that they stand for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy

from dtdsym.arithmetic.symbolic import SYMBOLIC
from dtdsym.network.layers import Affine, Convolution, Scale
from dtdsym.network.network import Network


def named_weights(network: Network) -> tuple[dict[int, np.ndarray], dict[sympy.Symbol, sympy.Rational]]:
    """id of each array of weights -> its symbols, in its shape; and symbol -> the network's own number.

    Layer l has W{l}[i,j] (a convolution W{l}[out,in,...]) and b{l}[i]; batch normalisation in or after it S{l}[c] and
    t{l}[c]. Indices are from 0. A layer used twice keeps its first name; constants and averages stay numbers."""
    named: dict[int, np.ndarray] = {}
    numbers: dict[sympy.Symbol, sympy.Rational] = {}
    for name, array in _arrays(network):
        if id(array) in named:
            continue
        symbols = np.empty(array.shape, dtype=object)
        for place in np.ndindex(*array.shape):
            symbols[place] = sympy.Symbol(f"{name}[{','.join(map(str, place))}]", real=True)
        named[id(array)] = symbols
        numbers.update(zip(symbols.ravel(), SYMBOLIC.lift(array).ravel(), strict=True))
    return named, numbers


def _arrays(network: Network) -> Iterator[tuple[str, np.ndarray]]:
    """Names and arrays of all weights; what has no layer number is no weight."""
    for layer in network.layers:
        for node in (layer.linear, layer.norm):
            if isinstance(node, Affine | Convolution):
                yield f"W{layer.number}", node.weight
                yield f"b{layer.number}", node.bias
            elif isinstance(node, Scale):
                yield f"S{layer.number}", node.weight
                yield f"t{layer.number}", node.bias
