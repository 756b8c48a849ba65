"""Proposition 2 decided on given networks: on every cell of a box, with the networks' own weights."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import sympy
import z3

from dtdsym import arrangement, constant_root, recursion
from dtdsym.geometry.arrangement import OpenCell
from dtdsym.network.network import Network, sequential
from machinery import Derivation, main, statement
from machinery.definition3 import (
    Layer,
    Vector,
    column,
    composed,
    constant_roots,
    definition3,
    gradient,
    one_root,
    unit,
    vector,
)


@dataclass(frozen=True)
class Given:
    """A network by its weights and biases in eighths, and the box (-side, side)^d that is asked about."""

    name: str
    layers: tuple[tuple[tuple[tuple[int, ...], ...], tuple[int, ...]], ...]
    final_relu: bool
    side: int

    def __str__(self) -> str:
        return self.name

    @property
    def network(self) -> Network:
        """As dtdsym reads it: floats, which hold eighths exactly."""
        pairs = [([[w / 8 for w in row] for row in weight], [b / 8 for b in bias]) for weight, bias in self.layers]
        return sequential(*pairs, final_relu=self.final_relu)

    @property
    def inputs(self) -> int:
        """d_1."""
        return len(self.layers[0][0][0])

    def on(self, pattern: tuple[int, ...]) -> list[Layer]:
        """Its layers with the masks of a pattern."""
        left, found = list(pattern), []
        for number, (weight, bias) in enumerate(self.layers, start=1):
            rectified = self.final_relu or number < len(self.layers)
            signs, left = (left[: len(bias)], left[len(bias) :]) if rectified else ([1] * len(bias), left)
            masks = tuple(sympy.Integer(int(sign > 0)) for sign in signs)
            found.append(Layer(sympy.Matrix(weight) / 8, tuple(sympy.Rational(b, 8) for b in bias), masks))
        return found

    def preactivations(self, x: list[z3.ArithRef]) -> list[z3.ArithRef]:
        """Those of all ReLU neurons as terms of Z3."""
        values, found = x, []
        for number, (weight, bias) in enumerate(self.layers, start=1):
            z = [
                z3.Sum([z3.Q(w, 8) * v for w, v in zip(row, values, strict=True)]) + z3.Q(b, 8)
                for row, b in zip(weight, bias, strict=True)
            ]
            if self.final_relu or number < len(self.layers):
                found += z
            values = [z3.If(zj > 0, zj, z3.RealVal(0)) for zj in z]
        return found


NETWORKS = (
    Given(
        "trained 2-4-2-1",
        (
            (((4, 42), (-43, -2), (-30, 32), (-32, 32)), (0, 0, -3, 1)),
            (((-53, -45, 28, 36), (31, 31, -21, -21)), (17, 9)),
            (((-36, 33),), (-7,)),
        ),
        False,
        1,
    ),
    Given(
        "random 2-3-3-1, biases <= 0",
        (
            (((9, -4), (-5, 10), (7, 6)), (-3, -1, -4)),
            (((8, -7, 3), (-2, 6, 5), (4, 9, -8)), (-1, -5, -2)),
            (((7, -3, 6),), (-2,)),
        ),
        True,
        2,
    ),
    Given(
        "random 3-3-2-1",
        (
            (((5, -8, 3), (-6, 2, 7), (4, 9, -5)), (2, -3, 1)),
            (((7, -4, 5), (-3, 8, 6)), (-2, 3)),
            (((6, -7),), (1,)),
        ),
        False,
        1,
    ),
)
"""The first was trained with Adam to tell the sign of x1 x2 in (-1, 1)^2, and rounded to eighths (99.8 % right)."""


@statement(
    "prop2_on_a_network",
    "locally constant roots on given networks, cell by cell",
    place="Section 4.2, Proposition 2, with numbers for the weights",
    printed="R(x) = R(x~) + grad f_[xi](x~) o (x - x~) for locally constant roots",
    verdict="corrected",
    reason="without R(x~), which is not 0 where roots jump between x and x~, it holds on every cell of each network",
    corrected="R(x) = grad f_xi(x) o (x - x~) on every cell, for all roots of all layers that are admissible and "
    "locally constant, one in the first layer; with others for each neuron the formula of prop2",
    scope="three networks with their own weights (2, 2 and 3 inputs, 6, 7 and 5 ReLU neurons): all x of a box off the "
    "hinges, all such roots (symbols)",
    parts=("exactly_these", "by_dtdsym"),
)
def prop2_on_a_network(proof: Derivation) -> None:
    for given in proof.each("network", NETWORKS):
        known = given.network
        cells = arrangement(known, box=[(-given.side, given.side)] * given.inputs, logit=0).cells
        proof.say(f"{given}: {len(cells)} cells in (-{given.side}, {given.side})^{given.inputs} (dtdsym.arrangement).")
        _exactly_these(proof, given, [cell.pattern for cell in cells])
        by_pattern = {cell.pattern: cell for cell in sorted(cells, key=_plainness)}
        for pattern in proof.each("cell, by its signs", by_pattern):
            _on_cell(proof, given, by_pattern[pattern])
        _by_dtdsym(proof, given, next(iter(by_pattern.values())))


def _exact(number: Fraction) -> sympy.Rational:
    return sympy.Rational(number.numerator, number.denominator)


def _plainness(cell: OpenCell) -> tuple[int, int]:
    """The cell that is shown is one without zeros in the gradient, and with as many active neurons as there are."""
    return cell.gradients[0].count(0), -sum(cell.pattern)


def _exactly_these(proof: Derivation, given: Given, patterns: list[tuple[int, ...]]) -> None:
    """Z3: each pattern occurs in the box, and no other one."""
    proof.part("exactly_these")
    x = list(z3.Reals(" ".join(f"x{k}" for k in range(1, given.inputs + 1))))
    signs = given.preactivations(x)
    box = [bound for v in x for bound in (v > -given.side, v < given.side)]
    matches = [
        z3.And([z > 0 if sign > 0 else z < 0 for z, sign in zip(signs, pattern, strict=True)]) for pattern in patterns
    ]
    proof.found(
        "every neuron has a sign on every cell",
        lambda known: all(0 not in pattern for pattern in known),
        patterns,
        True,
        unlike=[(0,)],
    )
    for pattern in proof.each("pattern", patterns):
        match = matches[patterns.index(pattern)]
        proof.satisfiable("Z3 finds a point of the box with these signs", [*box, match], x, sharp=False)
    proof.valid(
        f"Z3: every point of the box off the hinges has one of these {len(patterns)} patterns",
        z3.Or(matches),
        given=[*box, *(z != 0 for z in signs)],
        sharp=False,
    )


def _on_cell(proof: Derivation, given: Given, cell: OpenCell) -> None:
    """Definition 3 with the cell's masks and symbols for the roots."""
    layers, x = given.on(cell.pattern), vector("x", given.inputs)
    slope = column(list(map(_exact, cell.gradients[0])))
    constant = _exact(cell.constants[0])
    proof.equal("f on the cell, by dtdsym", composed(layers, x)[0], (slope.T * column(x))[0] + constant)
    proof.equal("its gradient", gradient(composed(layers, x)[0], x), slope)
    above = [constant_roots(l, layer.width) for l, layer in enumerate(layers[1:], start=2)]
    root = vector("c1_", given.inputs)
    proof.equal(
        "Definition 3 with constant roots, others for each neuron above the first layer: grad f o (x - x~)",
        column(definition3(layers, [one_root(1, given.inputs), *above])[0](x)),
        slope.multiply_elementwise(column(x) - column(root)),
    )
    proof.equal(
        "and with others for each neuron in the first layer, too",
        column(definition3(layers, [constant_roots(1, given.inputs), *above])[0](x)),
        _by_neuron(layers, x),
    )


def _by_neuron(layers: list[Layer], x: Vector) -> sympy.Matrix:
    """sum_j (dF_2/da_2[j]) (da_2[j]/dx) o (x - x~^(j))."""
    upper = unit(layers[-1].size, 0)
    for layer in reversed(layers[1:]):
        upper = layer.jacobian.T * upper
    total = sympy.zeros(len(x), 1)
    for j in range(layers[0].size):
        step = column(x) - column(constant_roots(1, len(x))(j, x))
        total += upper[j] * layers[0].jacobian.row(j).T.multiply_elementwise(step)
    return total


def _by_dtdsym(proof: Derivation, given: Given, cell: OpenCell) -> None:
    """dtdsym.recursion at one point of a cell; the root of layer l is what layer l is given at another of its "
    "points."""
    proof.part("by_dtdsym")
    here, vertex = cell.point, cell.vertices[0]

    def between(share: Fraction) -> tuple[Fraction, ...]:
        return tuple(a + share * (v - a) for a, v in zip(here, vertex, strict=True))

    def relevance(share: Fraction) -> tuple[Fraction, ...]:
        layers, roots = given.on(cell.pattern), []
        for number in range(len(layers)):
            point = between(share / 2**number)
            at = composed(layers[:number], tuple(map(_exact, point)))
            roots.append(constant_root([Fraction(int(q.p), int(q.q)) for q in at]))
        return tuple(recursion(given.network, here, roots))

    half = Fraction(1, 2)
    slope, x, root, other = cell.gradients[0], here, between(half), between(half / 2)
    proof.counterexample(
        "x and the constant root x~ as below; near x~ another constant root of layer 1, between x and x~, which makes "
        "R(x~) = grad f o (x~ - it): the printed R(x~) + grad f o (x - x~), and R(x)",
        [_exact(g * (r - o) + g * (a - r)) for g, a, r, o in zip(slope, x, root, other, strict=True)],
        [_exact(g * (a - r)) for g, a, r in zip(slope, x, root, strict=True)],
        values=(relevance(half / 2), relevance(half)),
    )
    answer = tuple(g * (a - r) for g, a, r in zip(cell.gradients[0], here, between(half), strict=True))
    text = "R at a point of the first of these cells by dtdsym.recursion, its roots checked to be admissible"
    proof.found(text, relevance, half, answer, unlike=half / 2)


if __name__ == "__main__":
    main()
