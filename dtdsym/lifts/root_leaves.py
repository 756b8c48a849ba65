"""Does some input in a box have a root that leaves its closed cell, or that lies where the gradient is another one?

Asked of two copies of the network: one at the input x, one at the hinge root of a neuron j of the first layer,

    root = x - ((w.x + b)/(w.v)) v,    w.root + b = 0,    v = alpha o x + beta with exact alpha, beta of the rule.

For alpha = 0 (w2, flat) and the root 0 (lrp0) the root is affine in x, and the question is one of linear arithmetic.
Otherwise the step t is one more unknown, t (w.v) = w.x + b with w.v != 0: nonlinear arithmetic, where Z3 decides small
networks, or larger ones in one cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import z3

from dtdsym.arithmetic.rational import RATIONAL, fraction, fractions, vector
from dtdsym.arithmetic.smt import Smt, numeral
from dtdsym.arithmetic.whole import whole_number
from dtdsym.arithmetic.written import exact_number, shown
from dtdsym.errors import InputError, NoRoot, RuleError
from dtdsym.geometry.box import Box, exact_box
from dtdsym.geometry.cell import cell_at
from dtdsym.geometry.placement import place
from dtdsym.lifts.choices import Choices
from dtdsym.lifts.question import Points, Question
from dtdsym.lifts.questions import in_box, question, within
from dtdsym.lifts.surroundings import AnyCell, OneCell, Surroundings, gradient, one_cell
from dtdsym.lifts.z3_lift import Terms, Z3Lift, lift_slice
from dtdsym.network.layers import Affine, Relu
from dtdsym.network.network import Network, checked
from dtdsym.network.slice import Slice
from dtdsym.relevance.root import roots
from dtdsym.relevance.rule import Rule, parse_rule

RULES = ("lrp0", "w2", "flat", "zplus", "gamma", "x", "zbox")
LEAVES = ("cell", "open cell", "gradient")


@dataclass(frozen=True)
class Direction:
    """v = alpha o x + beta for a neuron with weights w and bias b; w, alpha, beta (in,)."""

    w: tuple[Fraction, ...]
    b: Fraction
    alpha: tuple[Fraction, ...]
    beta: tuple[Fraction, ...]

    def root(self, x: Terms) -> tuple[Terms, list[z3.BoolRef]]:
        """Terms of the hinge root, and what holds where it is one. Raises NoRoot if w.v = 0 for all inputs."""
        smt = Smt()
        v = [smt.combination([a], [term], c) for a, term, c in zip(self.alpha, x, self.beta, strict=True)]
        z = smt.combination(self.w, x, self.b)
        slope = sum((w * c for w, c in zip(self.w, self.beta, strict=True)), Fraction(0))
        if not any(w * a for w, a in zip(self.w, self.alpha, strict=True)) and slope == 0:
            raise NoRoot("the neuron has no root, whatever the input: it is constant along the rule's direction")
        if not any(self.alpha):
            steps = zip(x, self.beta, strict=True)
            return tuple(smt.combination([-c / slope], [z], term) for term, c in steps), []
        t, along = z3.Real("t"), smt.combination(self.w, v, Fraction(0))
        return tuple(term - t * each for term, each in zip(x, v, strict=True)), [t * along == z, along != 0]


def root_leaves(
    network: Network,
    box: Box,
    above: Any,
    *,
    rule: str | Rule = "zplus",
    neuron: int = 0,
    logit: int = 0,
    leaves: str = "cell",
    cell_of: Sequence[Any] | None = None,
    elsewhere: Sequence[Sequence[Fraction]] = (),
) -> Question:
    """Whether some input x in the closed box, off all hinges of the logit and with logit > above, has a hinge root of
    neuron `neuron` of the first layer that leaves x's surroundings. What is decided exactly:

    leaves "cell": the root is not in the closed activation cell of x. The linear region may still hold it; Unsat proves
    that all such roots lie in the closure of the region, where the Taylor identity holds.
    leaves "open cell": it is not in the open cell. Unsat proves that all such roots lie in the region itself.
    leaves "gradient": the root is off all hinges but that of the neuron itself, on which it lies, and on either side of
    that the logit has another gradient than at x. Then it is `outside`, not even in the closure of the linear region;
    Unsat does not prove that none leaves it (it may be on further hinges, or in another component).

    Patterns of x and of the root are free, and both answers speak of all of them. cell_of: an input, to whose open cell
    x is confined: its choices are then settled beforehand, which rational rules need on all but small networks. Rules:
    lrp0 (the root 0, which is on no hinge by itself), w2, flat; zplus, gamma, x, zbox. What is found was placed
    exactly: `points` holds x and root. elsewhere: points on whose faces (Choices.face) the root is not to lie.
    Raises RuleError for other rules; InputError; OnHinge for cell_of; NoRoot where the neuron has no root for any
    input."""
    if leaves not in LEAVES:
        raise InputError(f"leaves {leaves!r}: expected {' or '.join(LEAVES)}")
    one, own = checked(network).logit(logit), parse_rule(rule)
    check_asked(one, own)
    neuron = _neuron(one, neuron)
    function, bounds = Slice(one, 0, {}), exact_box(box, one.sizes[0], points=True)
    least = exact_number(above, name="above")
    home, there = lift_slice(function), lift_slice(function, prefix="root.")
    near: Surroundings = AnyCell(Choices(home))
    if cell_of is not None:
        near = one_cell(function, vector(cell_of, size=function.size, name="cell_of"), home.inputs)
    root, formulas = _root(one, own, neuron, home.inputs)
    formulas += [a == b for a, b in zip(there.inputs, root, strict=True)]
    formulas += [*in_box(home.inputs, bounds), *near.formulas, near.logit > numeral(least)]
    formulas += _leaving(leaves, near, _sides(there, neuron, own))
    if elsewhere:
        formulas += [*there.constraints, *(z3.Not(z3.And(Choices(there).face(point))) for point in elsewhere)]

    def verified(found: Points) -> bool:
        x = found["x"]
        exact = (0,) * len(x) if own.name == "lrp0" else roots(one, x, own, root="hinge")[neuron]
        asked = within(bounds)(x) and one(x)[0] > least and found["root"] == exact
        return asked and _left(one, x, found["root"], leaves)

    kind = {"cell": "not in its closed cell", "open cell": "not in its open cell"}
    where = kind.get(leaves, "where the gradient is another one")
    statement = f"an input in the box with logit {logit} above {shown(least)} has a {own.label} root that is {where}"
    return question(statement, {"x": home.inputs, "root": there.inputs}, formulas, verified)


def check_asked(network: Network, rule: Rule) -> None:
    """Raises RuleError and InputError where roots of this rule, or of this first layer, are not asked about."""
    layer = network.layer(1)
    if not rule.built_in or rule.name not in RULES:
        raise RuleError(f"rule {rule.label!r}: only roots of {', '.join(RULES)} are asked about")
    if not isinstance(layer.linear, Affine) or layer.source != 0 or layer.norm is not None:
        raise InputError("the first layer must be a plain linear layer of the network's input, without normalisation")


def _neuron(network: Network, neuron: Any) -> int:
    number, size = whole_number(neuron), network.layer(1).size
    if number is None or not 0 <= number < size:
        raise InputError(f"neuron {neuron!r} does not exist; the first layer has neurons 0 to {size - 1}")
    return number


def _sides(there: Z3Lift, neuron: int, rule: Rule) -> list[Choices]:
    """The choices at the root: on both sides of the neuron's hinge, if it has one and the root lies on it."""
    source = there.network.layer(1).output
    hinges = [
        (index, neuron)
        for index in there.function.bending
        if isinstance(there.network.nodes[index], Relu) and there.network.nodes[index].sources[0] == source
    ]
    if rule.name == "lrp0" or not hinges:
        return [Choices(there)]
    return [Choices(there, dict.fromkeys(hinges, active)) for active in (False, True)]


def _leaving(leaves: str, near: Surroundings, sides: list[Choices]) -> list[z3.BoolRef]:
    there = sides[0].lift.constraints
    if leaves != "gradient":
        needed = () if isinstance(near, OneCell) else there
        return [*needed, z3.Not(z3.And(near.holds(sides[0], closed=leaves == "cell")))]
    formulas = list(there)
    for side in sides:
        pairs = zip(near.gradient, gradient(side), strict=True)
        formulas += [*side.decided(), z3.Or([a != b for a, b in pairs])]
    return formulas


def _left(network: Network, x: Sequence[Fraction], root: Sequence[Fraction], leaves: str) -> bool:
    """Whether the root leaves, by exact geometry; False also where x lies on a hinge."""
    here = cell_at(Slice(network, 0, {}), RATIONAL.lift(x))
    if here.hinged:
        return False
    if leaves != "gradient":
        point = RATIONAL.lift(root)
        return not (here.closure_holds(point) if leaves == "cell" else here.holds(point))
    return place(network, x, root).name == "outside"


def _root(network: Network, rule: Rule, neuron: int, x: Terms) -> tuple[Terms, list[z3.BoolRef]]:
    """The root's terms, and what else must hold."""
    linear = network.layer(1).linear
    assert isinstance(linear, Affine), "check_asked"
    if rule.name == "lrp0":
        return tuple(numeral(Fraction(0)) for _ in x), []
    return direction_of(rule, linear.weight[neuron], linear.bias[neuron]).root(x)


def direction_of(rule: Rule, weights: np.ndarray, bias: Any) -> Direction:
    """A rule whose v_i is affine in x_i, for weights (in,): alpha and beta from v at x = (0, ..., 0), (1, ..., 1)."""
    direction = rule.family.direction
    assert direction is not None, f"{rule.name} has no direction"
    w, numbers = RATIONAL.lift(weights), [RATIONAL.lift(parameter) for parameter in rule.parameters]
    at_zero, at_one = (direction(RATIONAL, w, w * 0 + x, *numbers) + w * 0 for x in (0, 1))
    return Direction(fractions(w), fraction(bias), fractions(at_one - at_zero), fractions(at_zero))
