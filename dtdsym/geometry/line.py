"""Walking a line through wide networks of plain layers: thousands of breakpoints, exact, layer by layer.

On a piece on which no lower choice changes, the pre-activations of the next layer are affine in t: one of them crosses
zero inside the piece iff it has opposite signs at its two ends. These signs are asked of enclosures, for all ends and
neurons at once. Only neurons that cross, or whose sign the bounds leave open, are computed exactly, as affine forms on
the piece (dtdsym.arithmetic.chain), which give the exact signs and the exact place of the crossing. Breakpoints of all
layers so far bound the pieces of the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dtdsym.arithmetic.chain import Chain, Layers
from dtdsym.arithmetic.enclosure import ENCLOSURE, UNDECIDED, Enclosure, sign
from dtdsym.arithmetic.rational import ONE, ZERO, fractions, rational
from dtdsym.geometry.budget import Meter
from dtdsym.network.layers import Affine, Relu
from dtdsym.network.slice import Slice

BLOCK = 2**19  # numbers of a layer that are enclosed at a time


@dataclass(frozen=True)
class Plain:
    """F_l as a chain of layers with a ReLU after each but the last, or after all. The last has one neuron."""

    layers: Layers
    final_relu: bool

    @property
    def bends(self) -> int:
        """Layers with a ReLU."""
        return len(self.layers) - (not self.final_relu)


def as_chain(function: Slice) -> Plain | None:
    """F_l as plain layers; None if it has any other node, or if it begins or branches otherwise."""
    layers: list[tuple[np.ndarray, np.ndarray]] = []
    expected, relu = function.start, True
    for index, node in enumerate(function.network.nodes):
        if index <= function.start:
            continue
        if node.sources != (expected,) or not isinstance(node, Affine if relu else Relu):
            return None
        if isinstance(node, Affine):
            layers.append((node.weight, node.bias))
        expected, relu = index, not relu
    return Plain(layers, relu) if layers and not function.bypass else None


def walk_chain(plain: Plain, start: np.ndarray, end: np.ndarray, meter: Meter) -> tuple[list[Any], list[Any]]:
    """Breakpoints 0 < t < 1 in order, and F_l's (slope, value) on every piece; all exact. Raises BudgetSpent."""
    line = _Line(plain, start, end - start, meter, Chain(plain.layers, start, end - start))
    for layer in range(1, plain.bends + 1):
        line.refine(layer)
    return line.times[1:-1], list(line.outputs())


@dataclass
class _Line:
    """times: 0, the breakpoints found so far, and 1. flips[i]: (layer, neuron) whose mask changes at times[i]; masks:
    of the layers done, on the first piece."""

    plain: Plain
    start: np.ndarray
    direction: np.ndarray
    meter: Meter
    chain: Chain
    times: list[Any] = field(default_factory=lambda: [ZERO, ONE])
    flips: list[list[tuple[int, int]]] = field(default_factory=lambda: [[], []])
    masks: list[np.ndarray] = field(default_factory=list)

    def refine(self, layer: int) -> None:
        """Add the breakpoints of one more layer."""
        signs = np.concatenate(list(self._signs(layer)))
        found: list[tuple[Any, int]] = []
        self.chain.restart(self.masks)
        for piece in range(len(self.times) - 1):
            self._pass(piece)
            ends = signs[piece : piece + 2]
            asked = (ends == UNDECIDED).any(axis=0) | (ends[0] * ends[1] < 0)
            for neuron in np.flatnonzero(asked).tolist():
                crossing = self._crossing(layer, neuron, piece, ends)
                if crossing is not None:
                    found.append((crossing, neuron))
        self._add(layer, signs, sorted(found))

    def outputs(self) -> Iterator[tuple[Any, Any]]:
        """(slope, value) of F_l on every piece; neighbours agree where they meet, which is checked."""
        before = None
        self.chain.restart(self.masks)
        for piece, t in enumerate(self.times[:-1]):
            self._pass(piece)
            slope, value = self.chain.output()
            if self.plain.final_relu and not self.chain.masks[-1][0]:
                slope, value = ZERO, ZERO
            if before is not None and before[0] * t + before[1] != slope * t + value:
                raise AssertionError(f"the pieces do not meet at t = {t}: a bug; please report")
            before = slope, value
            yield before

    def _pass(self, piece: int) -> None:
        """Go on to a piece from the one before it."""
        self.meter.tick()
        for layer, neuron in self.flips[piece]:
            self.chain.flip(layer, neuron)

    def _crossing(self, layer: int, neuron: int, piece: int, ends: np.ndarray) -> Any:
        """Where a neuron crosses zero inside a piece, if it does. Puts exact signs where bounds left them open."""
        slope, constant = self.chain.form(layer, neuron)
        for end in (0, 1):
            if ends[end, neuron] == UNDECIDED:
                height = slope * self.times[piece + end] + constant
                ends[end, neuron] = (height > 0) - (height < 0)
        if ends[0, neuron] * ends[1, neuron] < 0:
            return rational(-constant, slope)
        return None

    def _add(self, layer: int, signs: np.ndarray, found: list[tuple[Any, int]]) -> None:
        """The new breakpoints among the old ones, and which masks of this layer change at all of them."""
        starts, ends = _masks(signs)
        self.masks.append(starts[0])
        flips = [[*self.flips[0]]]
        times = [self.times[0]]
        left = iter([*found, (None, -1)])
        crossing, neuron = next(left)
        for piece, t in enumerate(self.times[1:]):
            while crossing is not None and crossing < t:
                if crossing != times[-1]:
                    self.meter.enter_cell()
                    times.append(crossing)
                    flips.append([])
                flips[-1].append((layer, neuron))
                crossing, neuron = next(left)
            times.append(t)
            ahead = starts[piece + 1] if piece + 1 < len(starts) else ends[piece]
            changed = np.flatnonzero(ends[piece] != ahead).tolist()
            flips.append([*self.flips[piece + 1], *((layer, number) for number in changed)])
        self.times, self.flips = times, flips

    def _signs(self, layer: int) -> Iterator[np.ndarray]:
        """Signs of a layer's pre-activations at all times, by enclosures: blocks of (times, neurons), int8."""
        widest = max(max(weight.shape) for weight, _ in self.plain.layers[:layer])
        each = max(1, BLOCK // widest)
        for first in range(0, len(self.times), each):
            self.meter.tick()
            value = self._points(self.times[first : first + each])
            for weight, bias in self.plain.layers[: layer - 1]:
                value = ENCLOSURE.relu(ENCLOSURE.affine(weight, bias, value))
            yield sign(ENCLOSURE.affine(*self.plain.layers[layer - 1], value)).numpy()

    def _points(self, times: list[Any]) -> Enclosure:
        """Points of the line (times, in)."""
        t = ENCLOSURE.lift(fractions(np.array(times, dtype=object))).unsqueeze(1)
        start, direction = (ENCLOSURE.lift(fractions(point)) for point in (self.start, self.direction))
        return t * direction.unsqueeze(0) + start.unsqueeze(0)


def _masks(signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which neurons are active at the start of every piece, and at its end, from their signs at all times.

    A neuron that is zero at one end of a piece has the sign of the other on the whole of it; zero at both, it is zero
    throughout."""
    starts = (signs[:-1] > 0) | ((signs[:-1] == 0) & (signs[1:] > 0))
    ends = (signs[1:] > 0) | ((signs[1:] == 0) & (signs[:-1] > 0))
    return starts, ends
