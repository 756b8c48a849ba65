"""class_insensitivity: how far a normalised explanation can move by whatever is done above a layer, and how far it does
move from class to class.

Rules whose matrices are non-negative at an input (zplus where all layer inputs are >= 0, w2, flat, zbox in its box)
pass relevance r >= 0 of a_k down to sum_i r_i M e_i, M = M_1 ... M_{k-1}. Divided by its sum this is a mean of the
normalised columns N e_i, so that two such maps differ in L1 by at most max_ij |N e_i - N e_j|_1 = 2 tau(N), tau
Dobrushin's ergodicity coefficient; relevance at i alone and at j alone attains it. tau of a product is at most the
product of the taus, once its factors are scaled to be stochastic: the collapse to rank 1 of Sixt, Granz and Landgraf
2020, "When Explanations Lie", with a rate for this network and input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import nearest_float, vector
from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import BudgetSpent, InputError
from dtdsym.geometry.budget import Budget
from dtdsym.network.cut import is_cut
from dtdsym.network.network import Network, checked
from dtdsym.network.numbers import layer_numbers
from dtdsym.network.slice import bypassing
from dtdsym.relevance.class_bounds import Bounds
from dtdsym.relevance.class_change import Change, class_changes
from dtdsym.relevance.composite import Composite, composite, parse
from dtdsym.relevance.explain import flat_point
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.tau import Signed, Tau

LOGITS = 10
"""So many logits are compared where none are named: those of the greatest values."""
ABOVE = ("rule", "any")
_UPWARDS = Context(prec=4, rounding=ROUND_CEILING, Emin=-(10**9), Emax=10**9)


@dataclass(frozen=True, eq=False)
class LayerInsensitivity:
    """What holds of the part of a network below the input a_k of layer k, at one input and for one rule.

    tau: the coefficient where `exact`, else a proven upper bound of it; None where no bound is known, and `why` says
    why. how: "exact" (rationals), "disjoint" (two columns that share no input: tau = 1), "enclosure" (proven float
    bounds), "composition" (a product of taus of parts), "trivial" (tau <= 1), "empty" (nothing arrives at the network's
    input), or "". columns (n,): the neurons of a_k
    that were counted. witness: two of them whose columns attain tau, where it is exact."""

    layer: int
    node: int
    tau: Fraction | None
    exact: bool
    how: str
    columns: np.ndarray
    witness: tuple[int, int] | None
    why: str = ""

    @property
    def bound(self) -> Fraction | None:
        """2 tau: how far the normalised map can move in L1; None where no bound is known."""
        return None if self.tau is None else 2 * self.tau

    @property
    def words(self) -> str:
        """The bound as a sentence, rounded upwards."""
        if self.bound is None:
            return f"Nothing is known of what is done above the input of layer {self.layer}: {self.why}."
        return (
            f"Whatever happens above the input of layer {self.layer}, the normalised map moves by at most "
            f"{rounded_up(self.bound)} (L1)."
        )


@dataclass(frozen=True, eq=False)
class Insensitivity:
    """Of one network, input and rule. layers: by number, those that were asked for. changes: between logits, as
    measured; unmapped: logits that have no normalised map, since theirs is 0. why: why changes are missing, if so."""

    rule: str
    layers: Mapping[int, LayerInsensitivity]
    changes: tuple[Change, ...]
    unmapped: tuple[int, ...] = ()
    why: str = ""
    above: str = field(default="rule")

    @property
    def largest(self) -> Change | None:
        """The pair of logits whose maps are the farthest apart."""
        return max(self.changes, key=lambda change: change.l1, default=None)

    @property
    def farthest(self) -> str:
        """The largest change, in a sentence; nothing where none was measured."""
        if self.largest is None:
            return ""
        (i, j), by = self.largest.logits, nearest_float(self.largest.l1)
        if len(self.changes) == 1:
            return f"Between logits {i} and {j} it differs by {by:.4g}."
        return f"Of {len(self.changes):,} pairs of logits, {i} and {j} differ most: by {by:.4g}."

    def __str__(self) -> str:
        told = [layer.words for layer in self.layers.values()]
        told += [self.farthest] * bool(self.farthest)
        return f"{self.rule}: " + " ".join(told)


def class_insensitivity(
    network: Network,
    x: Any,
    *,
    rule: str | Rule | Composite = "zplus",
    logits: Sequence[int] | None = None,
    layers: str | int | Iterable[int] = "all",
    above: str = "rule",
    budget: Budget | None = None,
) -> Insensitivity:
    """How far the normalised map of x can move by whatever is done above the inputs of layers, and does move from logit
    to logit.

    x: one input, (in,) or in the network's input shape, numbers of any kind, read exactly. layers: numbers from 1, or
    "all". logits: whose maps are compared; by default the ten of the greatest values. A normalised map is R/f divided
    by the sum of its sizes: the sign of the logit f does not count. above: "rule" leaves out neurons of a_k to which
    the rule of layer k cannot send relevance, whatever its weights (under zplus those with a_k,i = 0); "any" does not.
    The bound holds as long as a_k, the rules below and the network below are kept, and no negative share of the logit
    arrives at a_k. Whether the rule's matrices are non-negative is decided from them, not by the rule's name;
    where they are not, only changes are measured. budget: for each layer; what it ends is bounded from above.
    Raises RuleError, InputError, ShapeMismatch, NotExact.
    """
    chosen, meter = composite(parse(rule)), Budget.of(budget)
    chosen.check(checked(network))
    if above not in ABOVE:
        raise InputError(f"above={above!r:.70}: expected {' or '.join(ABOVE)}")
    point = vector(flat_point(network, x), size=network.sizes[0], name="x")
    bounds = Bounds(network, point[None], chosen, meter.start())
    found = {}
    for number in layer_numbers(network, layers):
        bounds.meter = meter.start()
        found[number] = _layer(bounds, number, above)
    bounds.meter = meter.start()
    cuts = [layer.node for layer in found.values() if layer.tau is not None]
    try:
        changes, unmapped = class_changes(bounds.best, _logits(bounds, logits), cuts, bounds.meter)
    except BudgetSpent as spent:
        return Insensitivity(chosen.label, found, (), (), str(spent), above)
    return Insensitivity(chosen.label, found, changes, unmapped, "", above)


def _logits(bounds: Bounds, logits: Sequence[int] | None) -> list[int]:
    """Those that were asked for, in order, or those of the greatest values."""
    size = bounds.network.sizes[-1]
    if logits is None:
        outputs = bounds.outputs
        return sorted(np.argsort(-outputs, kind="stable")[:LOGITS].tolist())
    found = [whole_number(logit) for logit in logits]
    for logit, number in zip(logits, found, strict=True):
        if number is None or not 0 <= number < size:
            raise InputError(f"logit {logit!r} does not exist; the network has outputs 0 to {size - 1}")
    return [number for number in dict.fromkeys(found) if number is not None]


def _layer(bounds: Bounds, number: int, above: str) -> LayerInsensitivity:
    network = bounds.network
    node = network.layer(number).source
    nothing = np.empty(0, dtype=np.int64)
    refused = _refused(bounds, node)
    if refused:
        return LayerInsensitivity(number, node, None, False, "", nothing, None, refused)
    found, columns = bounds.tau(node, above == "any"), bounds.counted(node, above == "any")
    if isinstance(found, Signed):
        return LayerInsensitivity(number, node, None, False, "", columns, None, found.why)
    assert isinstance(found, Tau)
    return LayerInsensitivity(number, node, found.value, found.exact, found.how, columns, found.pair, found.why)


def _refused(bounds: Bounds, node: int) -> str:
    """Why there is no bound at this node, whatever the rule's signs."""
    network = bounds.network
    if not is_cut(network, node):
        around = ", ".join(map(str, sorted(bypassing(network, node))))
        later = [layer for layer in network.layers if layer.source > node and is_cut(network, layer.source)]
        next_ = f"; layer {later[0].number} is the next one whose input all paths pass" if later else ""
        return f"a skip carries values around it (from node {around}){next_}"
    reused = bounds.chosen.reuse != "own" and bounds.reused_above(node)
    return "reuse=last takes values from above it" if reused else ""


def rounded_up(number: Fraction) -> str:
    """A number >= 0 in four digits, never less than it is; a fraction of small numbers as it stands."""
    if number.denominator < 1000 and number.numerator < 1000:
        return str(number)
    return str(_UPWARDS.divide(Decimal(number.numerator), Decimal(number.denominator)))
