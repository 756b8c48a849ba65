"""The oracle of the plane for networks with max-pools and skips: every line on which two entries of a window are equal
is drawn too, in full. Networks are lists of steps, so that the oracle and dtdsym read the same few words."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from plane_oracle import Line, Plane, Point, at, normalised
from strategies import BIASES, TWISTS, WEIGHTS, _twist

from dtdsym.network.layers import Affine, Concat, Input, MaxPool, Node, Relu
from dtdsym.network.network import Network

ZERO_FORM = (Fraction(0),) * 3
INPUTS: list[Line] = [(Fraction(1), Fraction(0), Fraction(0)), (Fraction(0), Fraction(1), Fraction(0))]


def network_of(steps) -> Network:
    """steps: ("affine", weight, bias), ("relu",), ("pool", windows), ("skip",): the two inputs put beside the value."""
    nodes: list[Node] = [Input((2,))]
    if steps[0][0] != "affine":  # so that layer 1 reads the inputs
        steps = [("affine", [[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), *steps]
    for step in steps:
        last = len(nodes) - 1
        match step:
            case ("affine", weight, bias):
                nodes.append(Affine(np.array(weight, dtype=np.float64), np.array(bias, dtype=np.float64), last))
            case ("relu",):
                nodes.append(Relu(last))
            case ("pool", windows):
                nodes.append(MaxPool(np.array(windows, dtype=np.int64), last))
            case ("skip",):
                nodes.append(Concat((last, 0)))
            case _:
                raise AssertionError(step)
    return Network(tuple(nodes))


def read(steps, point: Point) -> tuple[list[Line], list, Line]:
    """With the choices found at `point`: the forms that decide them, the choices (the sign of a neuron, the set of a
    window's greatest entries), and the output's form."""
    value, deciding, choices = list(INPUTS), [], []
    for step in steps:
        match step:
            case ("affine", weight, bias):
                value = [_row(w, b, value) for w, b in zip(weight, bias, strict=True)]
            case ("relu",):
                deciding += value
                choices += [(at(form, point) > 0) - (at(form, point) < 0) for form in value]
                value = [form if at(form, point) > 0 else ZERO_FORM for form in value]
            case ("pool", windows):
                heights = [at(form, point) for form in value]
                tops = [max(heights[i] for i in window) for window in windows]
                winners = [[i for i in w if heights[i] == top] for w, top in zip(windows, tops, strict=True)]
                choices += [frozenset(found) for found in winners]
                deciding += [_minus(value[i], value[j]) for window in windows for i in window for j in window if i < j]
                value = [value[found[0]] for found in winners]
            case ("skip",):
                value = value + INPUTS
    return deciding, choices, value[0]


def _row(weight, bias, value) -> Line:
    form = [sum((Fraction(w) * line[k] for w, line in zip(weight, value, strict=True)), Fraction(0)) for k in range(3)]
    return (form[0], form[1], form[2] + Fraction(bias))


def _minus(one: Line, two: Line) -> Line:
    return (one[0] - two[0], one[1] - two[1], one[2] - two[2])


class PoolPlane(Plane):
    """The plane of a list of steps. Lines that no choice really has cut its faces further, which changes no place."""

    def __init__(self, steps, most_lines: int):
        self.steps, self.lines, self.too_many = steps, [], False
        while not self.too_many:
            self._arrange()
            drawn = {normalised(f) for s in self.samples.values() for f in read(steps, s)[0] if f[:2] != (0, 0)}
            if drawn <= set(self.lines):
                break
            self.lines += sorted(drawn - set(self.lines))
            self.too_many = len(self.lines) > most_lines
        self.gradients = {face: read(steps, sample)[2][:2] for face, sample in self.samples.items()}

    def neurons(self, point: Point) -> list:
        """Every choice at the point; None for neurons zero all around, 0 for any choice that is not the same around."""
        here = read(self.steps, point)[1]
        around = [read(self.steps, self.samples[face])[1] for face in self.around(point)]
        found: list = []
        for index, choice in enumerate(here):
            same = all(other[index] == choice for other in around)
            found.append(0 if not same else None if choice == 0 else choice)
        return found


@st.composite
def pooled(draw):
    """Steps with one output: pools at the input, before ReLUs, after them, over overlapping windows, over entries that
    stand in them twice, over raw inputs beside neurons; quantised weights, duplicated, opposite and dead neurons."""
    weights, biases = draw(st.sampled_from(list(WEIGHTS.values()))), draw(st.sampled_from(list(BIASES.values())))
    steps, size = [], 2

    def affine(out):
        rows = [[draw(weights) for _ in range(size)] for _ in range(out)]
        offsets = [draw(biases) for _ in range(out)]
        if out > 1:
            _twist(rows, offsets, draw(st.sampled_from(TWISTS)))
        steps.append(("affine", rows, offsets))
        return out

    def pool(out):
        length = draw(st.integers(1, 3))
        windows = [[draw(st.integers(0, size - 1)) for _ in range(length)] for _ in range(out)]
        steps.append(("pool", windows))
        return out

    if draw(st.integers(0, 3)) == 0:
        size = pool(draw(st.integers(1, 3)))
    for _ in range(draw(st.integers(1, 2))):
        size = affine(draw(st.integers(1, 4)))
        order = draw(st.sampled_from(["relu", "relu pool", "relu pool", "pool relu", "pool"]))
        for word in order.split():
            if word == "pool":
                size = pool(draw(st.integers(1, 2)))
            else:
                steps.append(("relu",))
        if draw(st.integers(0, 3)) == 0:
            steps.append(("skip",))
            size += 2
    size = pool(1) if draw(st.integers(0, 3)) == 0 else affine(1)
    if draw(st.booleans()):
        steps.append(("relu",))
    return steps
