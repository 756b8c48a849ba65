"""Forged explanations: roots that Definition 3 admits and that yield any given relevance (claim C3, sharpened).

Let J_l = D_l W_l be the Jacobian of layer l at x, off all hinges, and n >= 2. If J_l != 0 for l = 2..n, Definition 3
reaches exactly the relevances r with r_i = 0 wherever column i of J_1 is zero; otherwise r = 0 alone. One affine root a
layer does it, so near that no neuron above changes its state: admissible under Def. 1, in Theorem 1's convex set, and
under Proposition 1 as printed. Roots that change little decide all: R^l = L_l e_k for any steep L_l.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, overload

from dtdsym.arithmetic.rational import fraction, fractions, vector
from dtdsym.errors import InputError, Unreachable
from dtdsym.network.network import Network
from dtdsym.network.plain import plain_layers
from dtdsym.relevance.conserving import conserving_roots
from dtdsym.relevance.explain import flat_point
from dtdsym.relevance.forging import constant_roots, steep_roots, still_roots
from dtdsym.relevance.neighbourhood import Neighbourhood, power_below
from dtdsym.relevance.root_functions import AffineRoot, Vector, moved_by

LayerRoots = AffineRoot | tuple[AffineRoot, ...]


@dataclass(frozen=True)
class Forgery(Sequence[LayerRoots]):
    """Root functions for `recursion`, one a layer or one a neuron: affine ones, with matrix and vector of Fractions.

    target: the relevance R^1(x) that they yield, exactly."""

    roots: tuple[LayerRoots, ...]
    target: Vector

    @overload
    def __getitem__(self, index: int) -> LayerRoots: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LayerRoots, ...]: ...
    def __getitem__(self, index: int | slice) -> LayerRoots | tuple[LayerRoots, ...]:
        return self.roots[index]

    def __len__(self) -> int:
        return len(self.roots)

    def __repr__(self) -> str:
        return f"Forgery of {len(self.target)} relevances by {len(self)} layers of affine roots"


def forge(
    network: Network,
    x: Any,
    target: Any,
    logit: int = 0,
    conserving: bool = False,
    nonnegative: bool = False,
) -> Forgery:
    """Admissible roots with which `recursion(network, x, roots, logit)` is exactly `target` (in,).

    network: plain (see `recursion`). x, target: numbers, read exactly; x off all hinges.
    conserving: relevance is preserved layer by layer, with exact roots (R^{l+1}_j is 0 at the root of neuron j); one
    root a neuron. nonnegative: no hidden root has a negative coordinate, as long as what it is a root for has none;
    always possible where all biases are <= 0 and the logit is positive.
    Raises Unreachable, with the reason; OnHinge; UnsupportedLayer, InputError, ShapeMismatch, NotExact.
    """
    if conserving and nonnegative:
        raise InputError("conserving and nonnegative exclude each other here: exact roots of the logit lie far away")
    here, wanted = _read(network, x, target, logit)
    if conserving and sum(wanted) != here.output:
        raise Unreachable(f"conserving needs a target of sum f(x) = {here.output}; this one has {sum(wanted)}")
    check_reachable(here, wanted)
    if here.depth == 1:
        return Forgery(_one_layer(here, wanted), wanted)
    reaches = all(jacobian.any() for jacobian in here.jacobians[1:])
    if conserving and not reaches and here.jacobians[-1].any():
        raise Unreachable(
            "conserving: a layer passes on nothing of its input, but the last one does; this construction needs all to"
        )
    if not reaches or not (any(wanted) or conserving):
        return Forgery(still_roots(here), wanted)
    if conserving:
        return Forgery(conserving_roots(here, wanted), wanted)
    return Forgery(steep_roots(here, wanted, nonnegative=nonnegative), wanted)


def forge_normalised(network: Network, x: Any, target: Any, logit: int = 0) -> Forgery:
    """Admissible *constant* roots whose relevance is proportional to `target` (in,), for heat-maps that are scaled for
    display; `.target` is what it is exactly, a positive multiple. The first root is x - c target / grad f.

    Raises Unreachable where the target is not 0 but the gradient is, and what `forge` raises.
    """
    here, wanted = _read(network, x, target, logit)
    if not any(wanted):
        return forge(network, x, target, logit)
    for i, (r, slope) in enumerate(zip(wanted, here.gradients[0], strict=True)):
        if r and slope == 0:
            raise Unreachable(f"target[{i}] = {r}, but df/dx[{i}] = 0: constant roots give gradient x (input - root)")
    shares = [r / fraction(slope) if r else Fraction(0) for r, slope in zip(wanted, here.gradients[0], strict=True)]
    return Forgery(*constant_roots(here, wanted, shares))


def check_reachable(here: Neighbourhood, target: Vector) -> None:
    """Raises Unreachable where no admissible roots yield the target."""
    if not any(target):
        return
    for number, jacobian in enumerate(here.jacobians[1:], start=2):
        if not jacobian.any():
            raise Unreachable(
                f"J_{number} = 0: layer {number} passes on nothing of its input ({_why(here, number)}), so R^1 = 0 for "
                "all admissible roots; only the target 0 is reached"
            )
    for i, r in enumerate(target):
        if r and not here.jacobians[0][:, i].any():
            raise Unreachable(
                f"target[{i}] = {r}, but input {i} reaches no active neuron: column {i} of J_1 is 0, so R^1_{i} = 0 "
                "for all admissible roots"
            )


def _why(here: Neighbourhood, number: int) -> str:
    layer, z = here.layers[number - 1], here.z[number - 1]
    active = not layer.rectified or any(z[j] > 0 for j in here.rows(number))
    neurons = f"logit {here.logit}" if number == here.depth else "every active neuron"
    none = f"logit {here.logit} is inactive" if number == here.depth else "no neuron is active"
    return f"{neurons} has weights 0 there" if active else none


def _read(network: Network, x: Any, target: Any, logit: int) -> tuple[Neighbourhood, Vector]:
    layers, size = plain_layers(network), network.sizes[0]
    network.logit(logit)
    point = vector(flat_point(network, x), size=size, name="x")
    wanted = fractions(vector(flat_point(network, target), size=size, name="target"))
    return Neighbourhood.of(layers, point, logit), wanted


def _one_layer(here: Neighbourhood, target: Vector) -> tuple[AffineRoot]:
    """One layer has R = w o s with s = x - root: nothing is left to choose but where w is 0."""
    row = fractions(here.jacobians[0][0])
    shift = [r / w if w else Fraction(0) for r, w in zip(target, row, strict=True)]
    if here.layers[0].rectified and any(row) and sum(target) > here.output:
        raise Unreachable(f"one layer: the root x - target / w has f = 0 beyond the hinge, for {sum(target)} > f(x)")
    if not any(shift):
        idle = next(_idle(row), None)
        if idle is None:
            raise Unreachable("one layer whose weights are all non-zero: R = 0 needs the root x itself")
        shift[idle] = power_below(here.patterns[0])
    return (moved_by(shift),)


def _idle(row: Vector) -> Iterator[int]:
    """Inputs that one layer's logit does not depend on."""
    return (i for i, w in enumerate(row) if not w)
