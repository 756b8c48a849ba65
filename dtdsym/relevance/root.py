"""Taylor roots of a layer's neurons: on the hinge (the paper's eq. 13 and 15), or of the relevance (Algorithm 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic import Arithmetic
from dtdsym.arithmetic.rational import RATIONAL, fractions, vector
from dtdsym.errors import NoRoot, RuleError
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.receptive import Chosen
from dtdsym.relevance.composite import Composite, composite, parse
from dtdsym.relevance.explain import flat_point
from dtdsym.relevance.neurons import ALL, Neurons
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.train_free import Relevances, propagate

KINDS = ("relevance", "hinge")


@dataclass(frozen=True, eq=False)
class LayerRoots:
    """Roots of all neurons of a layer, in one arithmetic: roots and displacement = a - roots (..., out, in).

    denominator (..., out): exactly 0, there is no root (and roots = a); not 0, there is one; 1 where there always is.
    A root is degenerate iff it exists and its displacement is exactly 0 in all coordinates.
    hinges: a node and its entries (out,) that are exactly 0 at the roots, by construction; None where they need not be.
    """

    roots: Any
    displacement: Any
    denominator: Any
    hinges: tuple[int, np.ndarray] | None = None

    def at(self, columns: Any) -> LayerRoots:
        """Those of some neurons, columns: a tensor (n,)."""
        hinges = None if self.hinges is None else (self.hinges[0], self.hinges[1][columns.cpu().numpy()])
        return LayerRoots(
            self.roots[..., columns, :], self.displacement[..., columns, :], self.denominator[..., columns], hinges
        )


def layer_roots(
    network: Network,
    arithmetic: Arithmetic,
    values: Mapping[int, Any],
    relevances: Relevances,
    layer: int,
    rule: Rule | Composite,
    kind: str = "relevance",
    block: Chosen = ALL,
) -> LayerRoots:
    """The roots of a block of neurons of layer l (from 1) of a one-logit network for a batch; `values` as `evaluate`
    gives them. A neuron's root equals the layer's input off its receptive field.

    kind relevance: w.root + b = w.a + b - R_j. kind hinge: w.root + b = 0. So it is for directions, and for pinv if W
    has full row rank. epsilon and alpha_beta have the root that their messages w o (a - root) imply, lrp0 the root 0.
    Raises RuleError for an unknown kind, and for the hinge root of a rule without a direction.
    """
    check_kind(network, layer, rule, kind)
    where = network.layer(layer)
    own = composite(rule).rule(where, network)
    neurons = own.neurons(arithmetic, where, values, relevances.upper(layer), block)
    found = own.shifts(neurons, neurons.z if kind == "hinge" else neurons.relevance)
    outputs = tuple(neurons.z.shape[:-1])
    shape = (*outputs, where.fan_in if neurons.fields is not None else where.width)
    displacement = _spread(arithmetic, found.displacement, shape)
    root = _spread(arithmetic, neurons.a - found.displacement if found.root is None else found.root, shape)
    if neurons.fields is not None:
        displacement, root = _in_place(neurons, displacement, root, values[where.source])
    denominator = _spread(arithmetic, found.denominator, outputs)
    if own.family.whole:
        return LayerRoots(root[..., block, :], displacement[..., block, :], denominator[..., block])
    on_hinges = kind == "hinge" and own.family.direction is not None
    return LayerRoots(
        root, displacement, denominator, (where.output, np.arange(where.size)[block]) if on_hinges else None
    )


def roots_of_layer(
    network: Network,
    values: Mapping[int, Any],
    relevances: Relevances,
    layer: int,
    rule: Rule | Composite,
    kind: str = "relevance",
    block: slice = ALL,
) -> list[np.ndarray | NoRoot]:
    """The exact roots of layer l at one input, one a neuron: rationals (in,), or the reason why there is none."""
    found = layer_roots(network, RATIONAL, values, relevances, layer, rule, kind, block)
    pairs = zip(range(network.layer(layer).size)[block], found.roots, found.denominator, strict=True)
    return [root if along != 0 else _missing(neuron, layer, rule) for neuron, root, along in pairs]


def roots(
    network: Network,
    x: Any,
    rule: str | Rule | Composite = "zplus",
    logit: int = 0,
    layer: int = 1,
    root: str = "relevance",
) -> list[tuple[Fraction, ...] | NoRoot]:
    """The exact roots of layer l for one logit at x (in,), one a neuron; x and floats in it are read exactly.

    root: "relevance" or "hinge". A neuron without a root has a NoRoot, which says why, in its place.
    Raises RuleError, InputError (no such logit or layer), ShapeMismatch and NotExact.
    """
    one, parsed = network.logit(logit), parse(rule)
    check_kind(one, layer, parsed, root)
    values = evaluate(one, RATIONAL, {0: vector(flat_point(network, x), size=network.sizes[0], name="x")})
    relevances = propagate(one, RATIONAL, values, parsed, start=one.layer(layer).output)
    found = roots_of_layer(one, values, relevances, layer, parsed, root)
    return [entry if isinstance(entry, NoRoot) else fractions(entry) for entry in found]


def check_kind(network: Network, layer: int, rule: Rule | Composite, kind: str) -> None:
    """Raises RuleError for an unknown kind of root, or one that the layer's rule does not have."""
    if kind not in KINDS:
        raise RuleError(f"root {kind!r}: expected {' or '.join(KINDS)}")
    own = composite(rule).rule(network.layer(layer), network)
    if kind == "hinge" and not own.family.hinge:
        raise RuleError(f"rule {own.label!r} has no search direction, so no hinge root; ask for its relevance root")


def _missing(neuron: int, layer: int, rule: Rule | Composite) -> NoRoot:
    return NoRoot(
        f"neuron {neuron} of layer {layer} has no {rule.label} root: its pre-activation is constant along the rule's "
        "direction (w.v = 0)"
    )


def _spread(ops: Arithmetic, value: Any, shape: tuple[int, ...]) -> Any:
    """The value broadcast to a shape."""
    return ops.where(np.ones(shape, dtype=bool), value, 0)


def _in_place(neurons: Neurons, displacement: Any, root: Any, a: Any) -> tuple[Any, Any]:
    """Displacements and roots on receptive fields (..., out, field) as points (..., out, in) of the layer's input."""
    ops, fields, width = neurons.ops, neurons.fields, neurons.layer.width
    assert fields is not None
    entries = np.full((len(fields), width), -1, dtype=np.int64)
    rows, columns = np.nonzero(fields >= 0)
    entries[rows, fields[rows, columns]] = rows * fields.shape[1] + columns
    whole = tuple(displacement.shape[:-2])
    moved, point = (ops.take(part.reshape(*whole, fields.size), entries) for part in (displacement, root))
    return moved, ops.where(entries >= 0, point, a[..., None, :])
