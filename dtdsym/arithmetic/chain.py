"""Affine forms in one variable along a chain of layers, z_l = W_l D_(l-1) z_(l-1) + b_l, D masks of active neurons.

Along a line every z is a t + c while no mask changes, and one flipped neuron changes what is above it by a product of
rank one. So the forms are kept as integers over one power of two and brought up to date flip by flip; whole matrix
products, the dear part, are left for what lies two layers above a flip and is still asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import fmpq, fmpz, fmpz_mat

from dtdsym.arithmetic.rational import homogeneous_columns, homogeneous_matrix

Layers = Sequence[tuple[np.ndarray, np.ndarray]]
"""(weight, bias) of every layer: (out, in) and (out,), float64."""


class Chain:
    """The forms of layers 1 to n along start + t direction, for the masks that are set.

    start, direction (in,): exact. The forms of layer l are integers (slope, constant) over `scale(l)` > 0.
    """

    def __init__(
        self, layers: Sequence[tuple[np.ndarray, np.ndarray]], start: np.ndarray, direction: np.ndarray
    ) -> None:
        columns = homogeneous_columns(np.array([direction, start], dtype=object)).transpose().tolist()
        common = columns[0][-1].lcm(columns[1][-1])
        inputs = [[entry * (common // column[-1]) for entry in column[:-1]] for column in columns]
        self._weights: list[fmpz_mat] = []
        self._rows: dict[int, list[list[Any]]] = {}
        self._columns: dict[int, list[list[Any]]] = {}
        self._biases: list[list[Any]] = []
        self._scales = [common]
        for weight, bias in layers:
            *rows, last = homogeneous_matrix(weight, bias).tolist()
            self._biases.append([row[-1] * self._scales[-1] for row in rows])
            self._weights.append(fmpz_mat([row[:-1] for row in rows]))
            self._scales.append(self._scales[-1] * last[-1])
        first = self._weights[0] * fmpz_mat(inputs).transpose() + self._shift(0)
        self._forms: dict[int, fmpz_mat] = {1: first}
        self.restart([])

    @property
    def depth(self) -> int:
        """n."""
        return len(self._weights)

    def scale(self, layer: int) -> Any:
        """What the forms of a layer are to be divided by."""
        return self._scales[layer]

    def restart(self, masks: Sequence[np.ndarray]) -> None:
        """Which neurons of the first layers are active; of the others, none."""
        asleep = [np.zeros(len(bias), dtype=bool) for bias in self._biases[len(masks) :]]
        self.masks = [*(mask.copy() for mask in masks), *asleep]
        self._forms = {1: self._forms[1]}
        self._masked: dict[int, fmpz_mat] = {}
        self._above: tuple[list[Any], Any] | None = None

    def flip(self, layer: int, neuron: int) -> None:
        """One neuron of a layer wakes or falls asleep."""
        mask = self.masks[layer - 1]
        mask[neuron] = not mask[neuron]
        sign = 1 if mask[neuron] else -1
        if layer + 1 in self._forms:
            column = fmpz_mat([[sign * entry] for entry in self._column(layer + 1, neuron)])
            own = self._forms[layer]
            self._forms[layer + 1] += column * fmpz_mat([[own[neuron, 0], own[neuron, 1]]])
        kept = self._forms.get(layer + 1)
        self._forget(layer)
        if kept is not None:
            self._forms[layer + 1] = kept
        if self._above is not None:
            self._flip_above(layer, neuron, sign)

    def form(self, layer: int, neuron: int) -> tuple[Any, Any]:
        """(slope, constant) of one neuron: without the forms of its whole layer."""
        if layer in self._forms:
            own = self._forms[layer]
            return own[neuron, 0], own[neuron, 1]
        product = fmpz_mat([self._row(layer, neuron)]) * self._active(layer - 1)
        return product[0, 0], product[0, 1] + self._biases[layer - 1][neuron]

    def output(self) -> tuple[fmpq, fmpq]:
        """(slope, constant) of layer n's only neuron."""
        if self.depth < 3:
            slope, constant = self.form(self.depth, 0)
        else:
            row, shift = self._from_above()
            product = fmpz_mat([row]) * self._active(self.depth - 2)
            slope, constant = product[0, 0], product[0, 1] + shift
        return fmpq(slope, self._scales[-1]), fmpq(constant, self._scales[-1])

    def _from_above(self) -> tuple[list[Any], Any]:
        """Output = row . D z_(n-2) + shift: the chain's last two layers as one, for the mask between them."""
        if self._above is None:
            last = self._weights[-1].tolist()[0]
            mask = self.masks[-2].tolist()
            masked = fmpz_mat([[entry if active else fmpz(0) for entry, active in zip(last, mask, strict=True)]])
            below = fmpz_mat([[bias] for bias in self._biases[-2]])
            self._above = (masked * self._weights[-2]).tolist()[0], (masked * below)[0, 0] + self._biases[-1][0]
        return self._above

    def _flip_above(self, layer: int, neuron: int, sign: int) -> None:
        """The last two layers as one, after a flip between them."""
        if layer == self.depth - 1 and self._above is not None:
            row, shift = self._above
            factor = sign * self._weights[-1][0, neuron]
            below = self._row(layer, neuron)
            row = [a + factor * b for a, b in zip(row, below, strict=True)]
            self._above = row, shift + factor * self._biases[layer - 1][neuron]

    def _active(self, layer: int) -> fmpz_mat:
        """The forms of a layer's outputs: zero where a neuron sleeps."""
        if layer not in self._masked:
            rows, nothing = self._all(layer).tolist(), [fmpz(0), fmpz(0)]
            mask = self.masks[layer - 1].tolist()
            kept = [row if active else nothing for row, active in zip(rows, mask, strict=True)]
            self._masked[layer] = fmpz_mat(kept)
        return self._masked[layer]

    def _forget(self, layer: int) -> None:
        """Drop what depends on a layer's mask."""
        self._forms = {number: form for number, form in self._forms.items() if number <= layer}
        self._masked = {number: form for number, form in self._masked.items() if number < layer}

    def _all(self, layer: int) -> fmpz_mat:
        """The forms of a whole layer."""
        if layer not in self._forms:
            self._forms[layer] = self._weights[layer - 1] * self._active(layer - 1) + self._shift(layer - 1)
        return self._forms[layer]

    def _shift(self, number: int) -> fmpz_mat:
        return fmpz_mat([[fmpz(0), bias] for bias in self._biases[number]])

    def _row(self, layer: int, neuron: int) -> list[Any]:
        """One neuron's weights."""
        if layer not in self._rows:
            self._rows[layer] = self._weights[layer - 1].tolist()
        return self._rows[layer][neuron]

    def _column(self, layer: int, neuron: int) -> list[Any]:
        """A layer's weights for one neuron below it."""
        if layer not in self._columns:
            self._columns[layer] = self._weights[layer - 1].transpose().tolist()
        return self._columns[layer][neuron]
