"""The recursive Taylor decomposition of a plain network, exact: Definition 3 (dtdsym.relevance.definition3).

The paper's own algorithms for it compute something else:
- Algorithm 1, `full_backward`, treats gradients inside R^{l+1} as constants, which admissible smooth roots do not show,
  but those of rules do, and has one root a layer.
- Algorithm 2, `dtdsym.explain`, propagates the numbers R^{l+1}_j at the layer's input, not the function at the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from dtdsym.arithmetic.dual import Dual, rationals
from dtdsym.arithmetic.rational import nearest_float, vector
from dtdsym.displayed import Displayed
from dtdsym.errors import Inadmissible, InputError
from dtdsym.geometry.budget import Budget
from dtdsym.network.network import Network
from dtdsym.relevance.admissible import Verdict, verdicts
from dtdsym.relevance.definition3 import Definition3, forward, functions
from dtdsym.relevance.explain import flat_point

SHOWN = 8


class Decomposition(Displayed, tuple[Fraction, ...]):
    """R^1(x) exactly, a tuple of Fractions; `.layers` holds R^1, ..., R^{n+1}, `.admissible` verdicts on the roots."""

    def __new__(
        cls, relevance: Iterable[Fraction], functions: Definition3, point: np.ndarray, budget: Budget
    ) -> Decomposition:
        made = super().__new__(cls, relevance)
        made._asked = (functions, point, budget)
        return made

    _asked: tuple[Definition3, np.ndarray, Budget]

    @cached_property
    def layers(self) -> tuple[tuple[Fraction, ...], ...]:
        """R^l(a_l) for l = 1, ..., n + 1, with a_l the network's activations at x. Raises BudgetSpent."""
        functions, point, budget = self._asked
        functions = replace(functions, tick=budget.start().tick)
        activations = forward(functions.layers, point)
        return tuple(
            rationals(functions.relevance(number, Dual({0: a}))) for number, a in enumerate(activations, start=1)
        )

    @cached_property
    def admissible(self) -> tuple[tuple[Verdict, ...], ...]:
        """Whether the roots of neuron j of layer l are admissible, at [l - 1][j]: at every point that R^1(x) and
        `layers` ask them for, the worst verdict of these. The last layer has one entry, the explained logit's."""
        functions, point, budget = self._asked
        return verdicts(functions, point, budget)

    def require_admissible(self) -> None:
        """Raises Inadmissible for the first root that is not, or not proven to be."""
        for number, layer in enumerate(self.admissible, start=1):
            for neuron, verdict in enumerate(layer):
                if verdict.name != "admissible":
                    functions, _, _ = self._asked
                    place = functions.logit if number == functions.depth else neuron
                    raise Inadmissible(
                        f"the root of neuron {place} of layer {number} is {verdict.name}: {verdict.reason}; "
                        "move the root, or ask with check=False"
                    )

    def __repr__(self) -> str:
        shown = ", ".join(f"{nearest_float(entry):.6g}" for entry in self[:SHOWN])
        return f"Decomposition({shown}{', ...' if len(self) > SHOWN else ''}: {len(self)} exact Fractions)"

    def __reduce__(self) -> Any:
        return Decomposition, (tuple(self), *self._asked)


def recursion(
    network: Network, x: Any, roots: Sequence[Any], logit: int = 0, check: bool = True, *, budget: Budget | None = None
) -> Decomposition:
    """R^1(x) of Definition 3 for one logit of a plain network, exact.

    x (in,): numbers, read exactly. roots[l - 1]: the roots of layer l, one root function or a list of one a neuron j
    (at the last layer the explained logit's alone counts). A root function is constant_root(point),
    affine_root(matrix, vector), rule_root(rule), or a Python function: f(ops, a) over an arithmetic, a (..., d_l), or
    f(a) of one input (d_l,).
    check: whether every root must be admissible, by proof; `.admissible` decides that without it too.
    budget: of the recursion, which is exponential in the depth, and again of all verdicts on roots together.
    Raises BudgetSpent; Inadmissible, naming layer, neuron and reason; UnsupportedLayer for networks that are not plain;
    InputError, ShapeMismatch, NotExact, RuleError; and OnHinge where a derivative that is asked for does not exist.
    Source: Definition 3 of Sixt and Landgraf 2022, whose layer l != n and composition order are misprints.
    """
    found = _decompose(network, x, roots, logit, frozen=False, budget=budget)
    if check:
        found.require_admissible()
    return found


def full_backward(network: Network, x: Any, roots: Sequence[Any], logit: int = 0) -> Decomposition:
    """The paper's Algorithm 1, as it stands: R^1(x), exact.

    Differences to Definition 3: one root a layer for all neurons j; a gradient that an inner call took is a constant
    for the outer one, so the second term of Proposition 3 is missing; at a hinge the derivative of the ReLU is 0;
    nothing asks whether a root is admissible. They agree for one admissible smooth root a layer, where the second terms
    cancel in their sum, and for locally affine roots above the first layer; for other roots, of rules, they need not.
    Raises InputError for a layer with different roots, and what `recursion` raises.
    """
    return _decompose(network, x, roots, logit, frozen=True, budget=None)


def _decompose(
    network: Network, x: Any, roots: Sequence[Any], logit: int, *, frozen: bool, budget: Budget | None
) -> Decomposition:
    asked = functions(network, roots, logit, frozen=frozen)
    for number, own in enumerate(asked.roots, start=1):
        if frozen and len(set(own.which) - {-1}) > 1:
            raise InputError(f"layer {number} has different roots; Algorithm 1 has one root for all neurons of a layer")
    point = vector(flat_point(network, x), size=network.sizes[0], name="x")
    allowed = Budget.of(budget)
    relevance = replace(asked, tick=allowed.start().tick).relevance(1, Dual({0: point}))
    return Decomposition(rationals(relevance), asked, point, allowed)
