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
from dtdsym.relevance.neurons import Neurons
from dtdsym.relevance.rule import Rule, parse
from dtdsym.relevance.train_free import Relevances, propagate

KINDS = ("relevance", "hinge")


@dataclass(frozen=True, eq=False)
class LayerRoots:
    """Roots of all neurons of a layer, in one arithmetic: roots and displacement = a - roots (..., out, in).

    denominator (..., out): exactly 0, there is no root (and roots = a); not 0, there is one; 1 where there always is.
    A root is degenerate iff it exists and its displacement is exactly 0 in all coordinates.
    """

    roots: Any
    displacement: Any
    denominator: Any


def layer_roots(
    network: Network,
    arithmetic: Arithmetic,
    values: Mapping[int, Any],
    relevances: Relevances,
    layer: int,
    rule: Rule,
    kind: str = "relevance",
) -> LayerRoots:
    """The roots of layer l (from 1) of a one-logit network for a batch; `values` as `evaluate` gives them.

    kind relevance: w.root + b = w.a + b - R_j. kind hinge: w.root + b = 0. So it is for directions, and for pinv if W
    has full row rank. epsilon and alpha_beta have the root that their messages w o (a - root) imply, lrp0 the root 0.
    Raises RuleError for an unknown kind, and for the hinge root of a rule without a direction.
    """
    _check_kind(rule, kind)
    node, index = network.affine(layer), network.layers[layer - 1]
    neurons = Neurons.of(arithmetic, node, values[node.source], values[index], relevances.upper(layer))
    found = rule.shifts(neurons, neurons.z if kind == "hinge" else neurons.relevance)
    outputs = tuple(values[index].shape)
    shape = (*outputs, node.weight.shape[1])
    return LayerRoots(
        _spread(arithmetic, neurons.a - found.displacement if found.root is None else found.root, shape),
        _spread(arithmetic, found.displacement, shape),
        _spread(arithmetic, found.denominator, outputs),
    )


def roots_of_layer(
    network: Network, values: Mapping[int, Any], relevances: Relevances, layer: int, rule: Rule, kind: str = "relevance"
) -> list[np.ndarray | NoRoot]:
    """The exact roots of layer l at one input, one a neuron: rationals (in,), or the reason why there is none."""
    found = layer_roots(network, RATIONAL, values, relevances, layer, rule, kind)
    pairs = zip(found.roots, found.denominator, strict=True)
    return [root if along != 0 else _missing(neuron, layer, rule) for neuron, (root, along) in enumerate(pairs)]


def roots(
    network: Network, x: Any, rule: str | Rule = "zplus", logit: int = 0, layer: int = 1, root: str = "relevance"
) -> list[tuple[Fraction, ...] | NoRoot]:
    """The exact roots of layer l for one logit at x (in,), one a neuron; x and floats in it are read exactly.

    root: "relevance" or "hinge". A neuron without a root has a NoRoot, which says why, in its place.
    Raises RuleError, InputError (no such logit or layer), ShapeMismatch and NotExact.
    """
    one, parsed = network.logit(logit), parse(rule)
    one.affine(layer)
    _check_kind(parsed, root)
    values = evaluate(one, RATIONAL, {0: vector(x, size=network.sizes[0], name="x")})
    relevances = propagate(one, RATIONAL, values, parsed, start=one.layers[layer - 1])
    found = roots_of_layer(one, values, relevances, layer, parsed, root)
    return [entry if isinstance(entry, NoRoot) else fractions(entry) for entry in found]


def _check_kind(rule: Rule, kind: str) -> None:
    if kind not in KINDS:
        raise RuleError(f"root {kind!r}: expected {' or '.join(KINDS)}")
    if kind == "hinge" and not rule.family.hinge:
        raise RuleError(f"rule {rule.label!r} has no search direction, so no hinge root; ask for its relevance root")


def _missing(neuron: int, layer: int, rule: Rule) -> NoRoot:
    return NoRoot(
        f"neuron {neuron} of layer {layer} has no {rule.label} root: its pre-activation is constant along the rule's "
        "direction (w.v = 0)"
    )


def _spread(ops: Arithmetic, value: Any, shape: tuple[int, ...]) -> Any:
    """The value broadcast to a shape."""
    return ops.where(np.ones(shape, dtype=bool), value, 0)
