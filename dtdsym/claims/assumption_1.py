"""Assumption 1: relevance is a_j c_j, with every c_j locally constant.

Printed: Sixt and Landgraf 2022, Assumption 1 (Sec. 3.5), after Montavon et al. 2017, from which DTD's rules for deep
networks are derived.

True: under z+ the c of one neuron is locally constant iff it has no bias and no negative weight. Under LRP-0 c is the
gradient, of any sign.

Decided: is every c_j = R_j/a_j with a_j != 0, of the train-free relevance of layer l's inputs, constant around a_l?

Proved: every layer's rule divides what it passes on by a multiple of its neurons' own pre-activations, so that R = a c
with one c, by induction from the logit down; or F_l is zero on the cell.

Refuted: some c_j differs at a further point q of a_l's open cell where all layers' inputs have the signs that they have
at a_l, and where a denominator is 0 only because each of its terms is, for want of a weight or of an input. For on the
affine set of the points of the cell whose zeros are those of a_l, c_j is one rational function, defined at q; were it
constant around a_l, it would be constant everywhere.

Undecided: on hinges, on networks that are not plain, where no c_j differs at the points tried and no proof is known,
and where the budget ends.

Bad news: refuted. DTD's roots are derived under this assumption.

Proof: assumption1, remark3

Certificate: refuted, neuron and point; the checker computes c at both. Proved, it finds the criterion again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from dtdsym.arithmetic.rational import ONE, RATIONAL, ZERO, fraction, fractions, nearest_float, rational, text
from dtdsym.arithmetic.written import counted
from dtdsym.claims.verdict import Proved, Question, Refuted, Undecided, Verdict
from dtdsym.geometry.cell import Cell
from dtdsym.network.evaluate import evaluate
from dtdsym.network.plain import PlainLayer
from dtdsym.relevance.composite import composite
from dtdsym.relevance.rule import Rule
from dtdsym.relevance.rules import zbox
from dtdsym.relevance.train_free import propagate

HALVINGS = 200
FACTORS: Mapping[str, Callable[..., Any]] = {
    "x": lambda w: w * 0 + ONE,
    "zplus": lambda w: RATIONAL.where(w >= 0, ONE, ZERO),
    "gamma": lambda w, strength: RATIONAL.where(w >= 0, ONE + strength, ONE),
}
"""Rules of direction v = a o m(w): m, from exact weights."""


def decide(question: Question) -> Verdict:
    """Look at c in as many further points as there are coordinates; where it never differs, try the proof."""
    rule, layer = question.rule.label, question.layer
    statement = f"Under {rule}, R_j = a_j c_j with every c_j constant around the input of layer {layer}."
    above = question.plain[layer - 1 :]
    if question.home.x_on_hinge:
        return Undecided("assumption_1", statement, "It is decided at inputs off all hinges.")
    a, meter = question.a, question.budget.start()
    tried = 0
    for place in range(len(a)):
        meter.tick()
        point = _step(question.home.cell, a, place)
        if point is None:
            continue
        tried += 1
        neuron, before, after = _differing(question, a, point)
        if neuron is not None:
            change = _short(after - before)
            reason = f"c_{neuron} is {_short(before)} there, and differs by {change} at another point of the same cell."
            witness = {"neuron": neuron, "point": [text(entry) for entry in fractions(point)]}
            return Refuted("assumption_1", statement, reason, True, witness, (neuron, point))
    if not any(question.home.gradient) and question.slice(a) == 0:
        return Proved("assumption_1", statement, "The function is zero around the input, and so is all relevance.")
    if all(_divides_by_z(question, one) for one in above):
        reason = "Every layer divides by a multiple of its pre-activations, so relevance is the input times one vector."
        return Proved("assumption_1", statement, reason)
    reason = f"No c_j differs at {counted(tried, 'further point')}, and no proof is known."
    return Undecided("assumption_1", statement, reason)


def _short(number: Fraction) -> str:
    return f"{nearest_float(number):.6g}"


def _step(cell: Cell, a: np.ndarray, place: int) -> np.ndarray | None:
    """A point of a's cell in which only coordinate `place` is another, of the same sign; None if a_place = 0."""
    size = a[place] / 2
    for _ in range(HALVINGS if size != 0 else 0):
        point = a.copy()
        point[place] += size
        if cell.holds(point):
            return point
        size = size * rational(1, 2)
    return None


def _differing(question: Question, a: np.ndarray, point: np.ndarray) -> tuple[int | None, Any, Any]:
    """The first neuron whose c differs at the point, with both values; None if there is none, or the point tells
    nothing."""
    start, points = question.slice.start, np.array([a, point], dtype=object)
    values = evaluate(question.one, RATIONAL, {start: points})
    relevance = propagate(question.one, RATIONAL, values, question.rule, start=start).at[start]
    before, after = RATIONAL.where(a == 0, ZERO, RATIONAL.ratio(relevance, points))
    neurons = np.flatnonzero(before != after)
    if not neurons.size or not _tells(question, values):
        return None, None, None
    neuron = int(neurons[0])
    return neuron, fraction(before[neuron]), fraction(after[neuron])


def _tells(question: Question, values: Mapping[int, Any]) -> bool:
    """Whether the second of two points tells about the first, as the module says. values: of all nodes, (2, width)."""
    return all(_layer_tells(question, layer, values) for layer in question.plain[question.layer - 1 :])


def _layer_tells(question: Question, layer: PlainLayer, values: Mapping[int, Any]) -> bool:
    own = question.one.layer(layer.number)
    here, there = values[own.source]
    rule = composite(question.rule).rule(own, question.one)
    if _signs(here) != _signs(there):
        return False
    if rule.name in ("w2", "flat", "pinv", "alpha_beta"):
        return True  # no denominators, constants, or sums of terms of one sign
    if rule.name in ("lrp0", "epsilon"):
        z, other = (_signs(row) for row in values[own.output])
        return z == other and 0 not in z
    tells = {"zbox": _box_tells}.get(rule.name, _terms_tell if rule.name in FACTORS else None)
    return tells is not None and all(tells(rule, w, there) for w in layer.matrix)


def _terms_tell(rule: Rule, w: np.ndarray, a: np.ndarray) -> bool:
    """Whether w.v is not 0, or each of its terms is."""
    terms = w * a * _factors(rule, w)
    return bool(terms.sum() != 0) or not terms.any()


def _box_tells(rule: Rule, w: np.ndarray, a: np.ndarray) -> bool:
    """Whether w.v is not 0, or there is no weight: v is a less an end of the box."""
    low, high = RATIONAL.lift(rule.parameters)
    return bool((w * zbox(RATIONAL, w, a, low, high)).sum() != 0) or not w.any()


def _signs(numbers: np.ndarray) -> list[int]:
    return [int(number > 0) - int(number < 0) for number in numbers]


def _divides_by_z(question: Question, layer: PlainLayer) -> bool:
    """The criterion. An inactive neuron receives no relevance under these rules, since its output is 0."""
    own = question.one.layer(layer.number)
    z, a = question.values[own.output], question.values[own.source]
    if not layer.rectified and (z == 0).any():
        return False  # where a linear neuron is 0 only here, what it passes on is another thing here than around
    rule = composite(question.rule).rule(own, question.one)
    if rule.name == "lrp0":
        return True
    active = np.flatnonzero(z > 0) if layer.rectified else range(layer.size)
    return rule.name in FACTORS and all(_proportional(rule, layer, int(neuron), a) for neuron in active)


def _proportional(rule: Rule, layer: PlainLayer, neuron: int, a: np.ndarray) -> bool:
    """Whether w.v is a multiple, not 0, of w.a + b as a function of a, where what is 0 in a hidden layer stays 0."""
    w = layer.matrix[neuron]
    alive = np.asarray(w != 0) & (np.asarray(a != 0) if layer.number > 1 else np.ones(len(w), dtype=bool))
    own = {fraction(factor) for factor in _factors(rule, w)[alive]}
    return bool(layer.biases[neuron] == 0) and len(own) == 1 and own != {Fraction(0)}


def _factors(rule: Rule, w: np.ndarray) -> np.ndarray:
    return np.asarray(FACTORS[rule.name](w, *(RATIONAL.lift(parameter) for parameter in rule.parameters)), dtype=object)
