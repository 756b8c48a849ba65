"""Definition 3 as functions: R^{n+1}(a) = a_logit e_logit, and for l = n..1

R^l(a) = sum_j grad(R^{l+1}_j o f_l)(root^(j)(a)) o (a - root^(j)(a)).

R^{l+1} is a function here, which is differentiated together with the root functions inside it, over rationals with
infinitesimals (dtdsym.arithmetic.dual). Where a root lies on a hinge, gradients are those just beyond it towards the
layer's input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dtdsym.arithmetic.dual import DUAL, Dual, infinitesimal, side
from dtdsym.errors import InputError, OnHinge, ShapeMismatch
from dtdsym.network.network import Network
from dtdsym.network.plain import PlainLayer, plain_layers
from dtdsym.relevance.root_functions import LayerRootFunctions, functions_of


@dataclass(frozen=True, eq=False)
class Definition3:
    """R^1, ..., R^{n+1} of one logit as functions. frozen: gradients are constants, as in Algorithm 1.

    signs: of all pre-activations below a ReLU, noted in the order of the recursion; 2 or -2 where a side decides.
    tick: called at every step of the recursion, which is exponential in the depth; what it raises ends it."""

    layers: tuple[PlainLayer, ...]
    roots: tuple[LayerRootFunctions, ...]
    logit: int
    frozen: bool = False
    signs: list[np.ndarray] | None = None
    tick: Callable[[], None] | None = None

    @property
    def depth(self) -> int:
        """n."""
        return len(self.layers)

    def counting(self, number: int) -> np.ndarray:
        """Which neurons of layer l (size,) relevance can pass through: of the last layer the logit alone."""
        size = self.layers[number - 1].size
        return np.arange(size) == self.logit if number == self.depth else np.ones(size, dtype=bool)

    def output(self, number: int, a: Dual) -> Dual:
        """f_l (..., d_{l+1}) at a (..., d_l), zero for neurons that do not count."""
        layer = self.layers[number - 1]
        z = layer.preactivation(DUAL, a) * self.counting(number)
        return DUAL.relu(z) if layer.rectified else z

    def relevance(self, number: int, a: Dual) -> Dual:
        """R^l (..., d_l) at a (..., d_l), with l = number from 1 to n + 1."""
        if number > self.depth:
            return a * (np.arange(a.shape[-1]) == self.logit)
        if self.tick is not None:
            self.tick()
        roots = self.roots_at(number, a)
        shift = a[..., None, :] - roots
        chosen = np.array([[j == group for j in self.roots[number - 1].which] for group in range(roots.shape[-2])])
        rows, mask = self._at_roots(number, roots, shift)
        seed = DUAL.total(rows * chosen[:, None, :]) * mask
        gradient = self.layers[number - 1].pull(DUAL, seed).at_side_zero(number)
        return DUAL.total((Dual({0: gradient.real}) if self.frozen else gradient) * shift, -2)

    def roots_at(self, number: int, a: Dual) -> Dual:
        """The different roots (..., D, d_l) of layer l at a (..., d_l)."""
        layer = self.layers[number - 1]
        found = self.roots[number - 1].at(DUAL, layer, a, lambda: self.relevance(number + 1, self.output(number, a)))
        if found.shape[-1] != layer.width:
            raise ShapeMismatch(
                f"layer {number}: a root has {found.shape[-1]} coordinates; the layer's input {layer.width}"
            )
        return found

    def _at_roots(self, number: int, roots: Dual, shift: Dual) -> tuple[Dual, np.ndarray]:
        """`upper` at the roots; just beyond them towards the layer's input if anything ties at one of them."""
        if self.frozen:
            return self.upper(number, roots)
        noted = len(self.signs or ())
        layer, counting = self.layers[number - 1], self.counting(number)
        if not layer.rectified or layer.preactivation(DUAL, roots).real[..., counting].all():
            try:
                return self.upper(number, roots)
            except OnHinge:
                if self.signs is not None:
                    del self.signs[noted:]
        return self.upper(number, roots + shift * side(number))

    def upper(self, number: int, points: Dual) -> tuple[Dual, np.ndarray]:
        """dR^{l+1}_j/da_{l+1,k} at f_l(point), (..., k, j), and f_l's active neurons (..., k)."""
        layer, counting = self.layers[number - 1], self.counting(number)
        z = layer.preactivation(DUAL, points) * counting
        mask = np.ones(z.shape, dtype=bool)
        if layer.rectified:
            signs = np.asarray(z.real > 0, dtype=np.int8) if self.frozen else _signs(z, layer, counting)
            if self.signs is not None:
                noted = signs * np.where(np.asarray(z.real == 0, dtype=bool), 2, 1)
                self.signs.append(noted[..., counting])
            mask = signs > 0
        unit = DUAL.lift(np.eye(layer.size))
        if number == self.depth:
            ones = unit * np.eye(layer.size, dtype=bool)[:, self.logit]
            return Dual({0: np.broadcast_to(ones.real, (*z.shape, layer.size))}), mask
        beside = (z * mask)[..., None, :] + unit * infinitesimal(number)
        return self.relevance(number + 1, beside).derivative(number), mask

    def gradients(self, number: int, points: Dual) -> Dual:
        """grad(R^{l+1}_j o f_l) at points (..., d_l), for every j: (..., j, d_l)."""
        rows, mask = self.upper(number, points)
        return self.layers[number - 1].pull(DUAL, (rows * mask[..., None]).swapaxes(-1, -2))


def _signs(z: Dual, layer: PlainLayer, counting: np.ndarray) -> np.ndarray:
    try:
        signs = z.sign()
    except OnHinge as err:
        raise _on_hinge(layer) from err
    if bool(((signs == 0) & layer.weighted & counting).any()):
        raise _on_hinge(layer)
    return signs


def _on_hinge(layer: PlainLayer) -> OnHinge:
    return OnHinge(
        f"a root of layer {layer.number} lies on a hinge that the way to the layer's input does not leave: R has no "
        "derivative there from the input's side; move the root"
    )


def forward(layers: Sequence[PlainLayer], point: np.ndarray) -> list[np.ndarray]:
    """a_1, ..., a_{n+1}, exact."""
    values = [DUAL.lift(point)]
    for layer in layers:
        values.append(layer(DUAL, values[-1]))
    return [value.real for value in values]


def functions(network: Network, roots: Sequence[Any], logit: int, *, frozen: bool = False) -> Definition3:
    """R^1, ..., R^{n+1} as functions. Raises UnsupportedLayer, InputError, ShapeMismatch."""
    layers = plain_layers(network)
    network.logit(logit)
    if not isinstance(roots, Sequence):
        raise InputError(f"roots: {type(roots).__name__} given; expected a list, with one entry a layer, first to last")
    if len(roots) != len(layers):
        raise ShapeMismatch(f"{len(roots)} entries in roots for {len(layers)} layers; give one a layer, first to last")
    last = len(layers)
    found = [
        functions_of(given, layer, logit if layer.number == last else None)
        for given, layer in zip(roots, layers, strict=True)
    ]
    return Definition3(layers, tuple(found), logit, frozen)
