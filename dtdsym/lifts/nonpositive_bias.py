"""Non-positive biases do not make the origin a root in the input's linear region (Sixt and Landgraf 2022, Sec. 3.4.2).

Weights, biases and the input are unknown, the biases not positive, and Z3 finds all of them: a network of given widths
with a ReLU after every layer and f(x) > 0, where the origin has another gradient than x.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import z3

from dtdsym.arithmetic.smt import numeral
from dtdsym.arithmetic.whole import whole_number
from dtdsym.arithmetic.written import exact_number
from dtdsym.errors import InputError, NotExact, OnHinge, Unknown
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.placement import place
from dtdsym.lifts.derivatives import tangents
from dtdsym.lifts.question import Found, Points, Question
from dtdsym.lifts.questions import in_box
from dtdsym.lifts.values import is_listed
from dtdsym.lifts.z3_lift import Terms, Z3Lift, lift_slice
from dtdsym.network.layers import Affine
from dtdsym.network.network import Network, sequential
from dtdsym.network.slice import Slice


@dataclass(frozen=True, eq=False)
class Counterexample:
    """A network with non-positive biases, and an x off its hinges with network(x)[0] > 0, to whose linear region the
    origin does not belong."""

    network: Network
    x: tuple[Fraction, ...]


def nonpositive_bias_counterexample(
    widths: Sequence[int], *, side: Any = 4, budget: Budget | None = None, steps: int | None = None
) -> Counterexample:
    """One that Z3 finds for these widths, (in, ..., 1), all numbers in [-side, side] before they are made whole.

    The weights of a layer, and all biases from there on, are multiplied by one positive number, which keeps signs,
    cells and the equality of gradients. The origin is then placed exactly: `outside`.
    Raises InputError for widths and sides, also where Z3 answers that there is none; Unknown beyond the limits."""
    found = nonpositive_bias_question(widths, side=side).ask(budget, steps=steps)
    if not isinstance(found, Found):
        none = found.question.statement.removeprefix("a ")
        raise InputError(f"Z3 answers that no {none}, of numbers within {side} of 0; widen side")
    return Counterexample(whole_network(widths, found.points), found.points["x"])


def nonpositive_bias_question(widths: Sequence[int], *, side: Any = 4) -> Question:
    """Whether there are weights, biases <= 0 and an x, all in [-side, side], with f(x) > 0, x and the origin in open
    cells on which no neuron is zero, and their gradients different.

    side: a number above 0, read exactly. Points: x, and by layer weight_1, row by row, bias_1, ... Raises InputError
    for widths and sides."""
    widths, room = _checked_widths(widths), exact_number(side, name="side")
    if room <= 0:
        raise InputError(f"side={side!r:.70}: give a number above 0, so that there is room for weights and an input")
    shape = sequential(*((np.zeros((m, n)), np.zeros(m)) for n, m in pairwise(widths)))
    unknowns = {name: _constants(name, size) for name, size in _names(widths)}
    named = {id(array): terms for array, terms in _weights(shape, unknowns)}
    origin = [numeral(Fraction(0))] * widths[0]
    here = lift_slice(Slice(shape, 0, {}), named=named)
    there = lift_slice(Slice(shape, 0, {}), named=named, inputs=origin, prefix="origin.")
    unknowns["x"] = here.inputs
    formulas = [*here.constraints, *there.constraints, here.outputs[0] > 0]
    formulas += [_off_hinges(here), _off_hinges(there), _different(here, there, named)]
    for name, terms in unknowns.items():
        high = Fraction(0) if name.startswith("bias") else room
        formulas += in_box(terms, [(-room, high)] * len(terms))
    statement = f"a network {'-'.join(map(str, widths))} with biases <= 0 has another gradient at x than at the origin"
    return Question(statement, unknowns, tuple(formulas), lambda points: _holds(widths, points), "QF_NRA")


def _checked_widths(widths: Any) -> tuple[int, ...]:
    own = tuple(map(whole_number, widths)) if is_listed(widths) else ()
    known = tuple(width for width in own if width is not None and width > 0)
    if len(known) < 2 or known != own or known[-1] != 1:
        raise InputError(f"widths={widths!r:.70}: expected (in, ..., 1), a whole number for the input and each layer")
    return known


def _names(widths: Sequence[int]) -> Iterator[tuple[str, int]]:
    """(name, how many numbers) of the weights and biases, layer by layer."""
    for number, (n, m) in enumerate(pairwise(widths), start=1):
        yield f"weight_{number}", m * n
        yield f"bias_{number}", m


def _constants(name: str, size: int) -> Terms:
    return tuple(z3.Real(f"{name}_{i}") for i in range(size))


def _weights(network: Network, unknowns: dict[str, Terms]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each array of the network, and the unknowns that it stands for, in its shape."""
    arrays = [array for node in network.nodes if isinstance(node, Affine) for array in (node.weight, node.bias)]
    for array, terms in zip(arrays, unknowns.values(), strict=True):
        named = np.empty(array.shape, dtype=object)
        named.ravel()[:] = terms
        yield array, named


def _off_hinges(lift: Z3Lift) -> z3.BoolRef:
    """No neuron is zero; which leaves out cells on which one is zero throughout."""
    relus = lift.function.bending
    return z3.And([z != 0 for node in relus for z in lift.values[lift.network.nodes[node].sources[0]]])


def _different(one: Z3Lift, other: Z3Lift, named: dict[int, np.ndarray]) -> z3.BoolRef:
    """Their gradients differ."""
    last = len(one.network.nodes) - 1
    here, there = (tangents(lift, named)[last][:, 0] for lift in (one, other))
    return z3.Or([a != b for a, b in zip(here, there, strict=True)])


def _holds(widths: Sequence[int], points: Points) -> bool:
    """Whether the numbers are a counterexample, by exact geometry. Raises Unknown for numbers that no network holds."""
    try:
        network = whole_network(widths, points)
    except NotExact as err:
        raise Unknown(f"Z3's numbers, made whole, are no network's: {err}; give a smaller side") from err
    biases = all((node.bias <= 0).all() for node in network.nodes if isinstance(node, Affine))
    x = points["x"]
    return biases and network(x)[0] > 0 and _place(network, x) == "outside"


def _place(network: Network, x: Sequence[Fraction]) -> str:
    """Of the origin relative to x's linear region; "on_hinge" where x has none."""
    try:
        return place(network, x, [0] * len(x)).name
    except OnHinge:
        return "on_hinge"


def whole_network(widths: Sequence[int], points: Points) -> Network:
    """The network, each layer's numbers made whole by one positive factor. Raises NotExact where they are too long."""
    layers, scale = [], 1
    for number, (n, m) in enumerate(pairwise(widths), start=1):
        weight, bias = (points[f"{name}_{number}"] for name in ("weight", "bias"))
        bias = tuple(scale * entry for entry in bias)
        factor = math.lcm(*(entry.denominator for entry in (*weight, *bias)))
        scale *= factor
        rows = np.array([int(entry * factor) for entry in weight], dtype=object).reshape(m, n)
        layers.append((rows, [int(entry * factor) for entry in bias]))
    return sequential(*layers)
