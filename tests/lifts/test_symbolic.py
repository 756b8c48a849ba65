"""The lift to SymPy and its way back: exact values on every kind of network, pieces, cases, names of weights."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch
from builders import at_points, conv_networks
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from strategies import PLANE_POINTS, layers

import dtdsym
from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.errors import BudgetSpent, InputError, NotExact, OnHinge, ShapeMismatch
from dtdsym.geometry.arrangement import arrangement
from dtdsym.geometry.cell import cell_at, masks_of
from dtdsym.lifts.pieces import whole
from dtdsym.lifts.values import exactly
from dtdsym.network.evaluate import differentiate
from dtdsym.network.layers import Affine, Input, MaxPool, Relu
from dtdsym.network.network import Network, sequential

SUM = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))
"""[[x0] + [x1]]."""
MODES = ("numbers", "symbols")


@st.composite
def plane_networks(draw):
    return sequential(*draw(layers(depths=(1, 2, 2, 3), widths=(1, 2, 3))), final_relu=draw(st.booleans()))


@settings(max_examples=40)
@given(at_points(conv_networks(outputs=2)), st.sampled_from(MODES))
def test_the_lifted_function_at_rationals_is_the_network(case, weights):
    network, x = case
    assert dtdsym.to_sympy(network, weights=weights).at(x) == network(x)


@settings(max_examples=25)
@given(plane_networks(), PLANE_POINTS, st.sampled_from(MODES))
def test_so_it_is_for_degenerate_plain_networks(network, x, weights):
    assert dtdsym.to_sympy(network, weights=weights).at(x) == network(x)


def test_other_weights_may_be_put_in_place_of_the_networks_own():
    lift = dtdsym.to_sympy(SUM, weights="symbols")
    other = sequential(([[1, 3], [0, 1]], [0, -1]), ([[1, 1]], [0]))
    names = {str(symbol): symbol for symbol in lift.weights}
    changed = {names["W1[0,1]"]: 3, names["b1[1]"]: sympy.Integer(-1)}
    assert lift.at((1, 2), changed) == other([1, 2]) != lift.at((1, 2))
    assert len(names) == SUM.parameters == 9
    weight, bias = lift.parameters(1)
    assert weight[0, 1] is names["W1[0,1]"]
    assert bias.tolist() == [names["b1[0]"], names["b1[1]"]]
    assert dtdsym.to_sympy(SUM).parameters(2)[0].tolist() == [[1, 1]]


@settings(max_examples=30)
@given(conv_networks(outputs=2))
def test_every_weight_has_one_name_and_keeps_its_number(network):
    lift = dtdsym.to_sympy(network, weights="symbols")
    assert len({str(symbol) for symbol in lift.weights}) == len(lift.weights) == network.parameters
    for layer in network.layers:
        weight, bias = lift.parameters(layer.number)
        for symbols, numbers in ((weight, layer.linear.weight), (bias, layer.linear.bias)):
            assert symbols.shape == numbers.shape
            if layer.kind in ("linear", "conv"):
                assert [lift.weights[s] for s in symbols.ravel()] == [Fraction(n) for n in numbers.ravel().tolist()]


def generic_pattern(network, x):
    """The pattern of a cell whose closure holds x."""
    return cell_at(whole(network), RATIONAL.lift(x)).pattern


def gradient(network, pattern, output):
    """By the backward pass over rationals."""
    seed = RATIONAL.lift(np.eye(network.sizes[-1], dtype=int)[output])
    found = differentiate(network, RATIONAL, masks_of(whole(network), pattern), seed)
    return fractions(found[0]) if 0 in found else (Fraction(0),) * network.sizes[0]


@settings(max_examples=40)
@given(at_points(conv_networks(outputs=2)), st.sampled_from(MODES))
def test_a_piece_is_the_network_and_its_gradient_on_its_closed_cell(case, weights):
    network, x = case
    lift = dtdsym.to_sympy(network, weights=weights)
    pattern = generic_pattern(network, x)
    piece = lift.piece(pattern)
    assert tuple(lift.exactly(output, x) for output in piece.outputs) == network(x)
    for output, row in enumerate(piece.gradients):
        assert tuple(lift.exactly(entry, x) for entry in row) == gradient(network, pattern, output)
    assert all(lift.exactly(form, x) >= 0 for form in piece.positive)
    assert all(lift.exactly(form, x) == 0 for form in piece.zero)


@settings(max_examples=40)
@given(at_points(conv_networks()), st.data())
def test_the_inequalities_of_a_piece_hold_where_the_pattern_does_and_nowhere_else(case, data):
    network, x = case
    other = data.draw(st.lists(st.fractions(-3, 3, max_denominator=6), min_size=len(x), max_size=len(x)))
    lift = dtdsym.to_sympy(network)
    piece = lift.piece(generic_pattern(network, x))
    inside = all(lift.exactly(form, other) > 0 for form in piece.positive)
    assert (
        bool(exactly(sympy.Piecewise((1, piece.cell), (0, True)), dict(zip(lift.inputs, other, strict=True)))) == inside
    )
    try:
        assert (lift.pattern_at(other) == piece.pattern) == inside
    except OnHinge:
        assert not inside


def test_pieces_with_symbolic_weights_are_what_they_should_be():
    lift = dtdsym.to_sympy(SUM, weights="symbols")
    (w, b), (v, c) = lift.parameters(1), lift.parameters(2)
    x = np.array(lift.inputs)
    piece = lift.piece((1, -1, 1))
    z = w @ x + b
    assert sympy.expand(piece.outputs[0] - (v[0, 0] * z[0] + c[0])) == 0
    assert [sympy.expand(form) for form in piece.positive] == [
        sympy.expand(form) for form in (z[0], -z[1], v[0, 0] * z[0] + c[0])
    ]
    assert [sympy.expand(entry) for entry in piece.gradients[0]] == [v[0, 0] * w[0, 0], v[0, 0] * w[0, 1]]
    assert set(lift.piece((0, -1, 1)).zero) == {w[0, 0], w[0, 1], b[0]}
    assert piece.closure.subs(lift.weights).subs(dict(zip(lift.inputs, (1, 0), strict=True))) == sympy.true
    assert piece.cell.subs(lift.weights).subs(dict(zip(lift.inputs, (1, 0), strict=True))) == sympy.false


def test_between_cells_there_is_no_pattern():
    lift = dtdsym.to_sympy(SUM)
    assert lift.piece_at((1, -1)).outputs == (lift.inputs[0],)
    with pytest.raises(OnHinge, match="x lies between cells: 1 choices tie there, the first in node 2"):
        lift.piece_at((1, 0))


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ((1, 1), ShapeMismatch, "a pattern of 2 entries; this network makes 3 choices"),
        ((1, 1, 2), InputError, r"the pattern holds \[2\]"),
        ((1, None, 0.5), InputError, r"the pattern holds \[None, 0.5\]"),
        (("1", "1", "1"), InputError, r"the pattern holds \['1', '1', '1'\]"),
        (None, ShapeMismatch, "the pattern is None; give its entries"),
        (7, ShapeMismatch, "the pattern is 7; give its entries"),
        ((-1, -1, 1), InputError, "no cell has this pattern: node 4"),
        ((0, 1, 1), InputError, "no cell has this pattern: node 2"),
    ],
)
def test_what_is_no_pattern_of_a_cell_is_refused(pattern, error, message):
    with pytest.raises(error, match=message):
        dtdsym.to_sympy(SUM).piece(pattern)


CORNERS = [(0, 0), (1, -1), (Fraction(1, 2), 0), (-1, 0)]


@settings(max_examples=25)
@given(plane_networks(), st.lists(PLANE_POINTS, min_size=1, max_size=4))
@example(SUM, CORNERS)
def test_cases_are_the_network_at_every_point_hinges_too(network, points):
    lift = dtdsym.to_sympy(network)
    cases = lift.piecewise()
    vertices = [vertex for cell in arrangement(network).cells for vertex in cell.vertices]
    for x in [*points, *vertices[:8]]:
        assert tuple(lift.exactly(case, x) for case in cases) == network(x)


@settings(max_examples=25)
@given(plane_networks(), PLANE_POINTS)
def test_the_gradient_of_the_whole_function(network, x):
    lift = dtdsym.to_sympy(network)
    whole_gradient = lift.gradients()
    try:
        pattern = lift.pattern_at(x)
    except OnHinge:
        assume(False)
    found = tuple(lift.exactly(entry, x) for entry in whole_gradient[0])
    assert found == gradient(network, pattern, 0)


def test_sympy_itself_reads_the_cases_alike():
    lift = dtdsym.to_sympy(SUM)
    (case,) = lift.piecewise(box=[(-1, 1), (-1, 1)])
    at = dict(zip(lift.inputs, (sympy.Rational(1, 2), 0), strict=True))
    assert case.subs(at) == sympy.Rational(1, 2) == lift.outputs[0].subs(at)
    with pytest.raises(InputError, match="none of the expression's cases holds"):
        lift.exactly(case, (2, 0))
    with pytest.raises(InputError, match="none of the expression's cases holds"):
        lift.exactly(lift.gradients()[0][0], (0, 1))


def test_too_many_cells_are_refused_in_one_line():
    with pytest.raises(BudgetSpent, match="of 2 cells ran out before all cells were listed; give a smaller box"):
        dtdsym.to_sympy(SUM).piecewise(budget=dtdsym.Budget(cells=2))
    with pytest.raises(InputError, match="budget=0: give"):
        dtdsym.to_sympy(SUM).piecewise(budget=0)
    with pytest.raises(InputError, match="cells are known only for weights that are numbers"):
        dtdsym.to_sympy(SUM, weights="symbols").piecewise()


def test_smooth_twins_have_gradients_but_no_pieces_and_no_rational_values():
    lift = dtdsym.to_sympy(SUM, activation="softplus")
    x0, x1 = lift.inputs
    inner = sympy.log(1 + sympy.exp(x0)) + sympy.log(1 + sympy.exp(x1))
    assert lift.outputs == (sympy.log(1 + sympy.exp(inner)),)
    assert lift.gradients()[0][0] == sympy.diff(lift.outputs[0], x0)
    with pytest.raises(InputError, match="a smooth activation, so no pieces"):
        lift.piece((1, 1, 1))
    with pytest.raises(NotExact, match="has no rational value"):
        lift.at((1, 1))
    squared = dtdsym.to_sympy(SUM, activation=lambda z: z**2)
    assert squared.at((1, 2)) == (25,)


@pytest.mark.parametrize("weights", ["numbers", "symbols"])
def test_what_is_no_weight_of_the_lift_has_no_other_number(weights):
    """An input, a symbol of that name but not real, a name alone."""
    lift = dtdsym.to_sympy(SUM, weights=weights)
    strange = [lift.inputs[0], sympy.Symbol("W1[0,0]"), "W1[0,0]", sympy.Symbol("W9[0,0]", real=True)]
    strange += [sympy.Symbol("W1[0,0]", real=True)] if weights == "numbers" else []
    for symbol in strange:
        with pytest.raises(InputError, match=r"no weight of this lift; its weights are"):
            lift.at((1, 2), {symbol: 50})
    with pytest.raises(InputError, match="weights=5: give numbers by weight"):
        lift.at((1, 2), 5)
    assert lift.at((1, 2), {}) == SUM([1, 2])


def test_what_is_no_network_is_told_how_to_be_one():
    for lift in (dtdsym.to_sympy, dtdsym.to_z3):
        with pytest.raises(InputError, match=r"the network is a Linear; read it first: dtdsym.from_module"):
            lift(torch.nn.Linear(2, 1))
        with pytest.raises(InputError, match=r"read it first: dtdsym.load\(path\)"):
            lift("net.pt")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"weights": "names"}, "weights='names'"), ({"activation": "tanh"}, "activation='tanh'")],
)
def test_other_words_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        dtdsym.to_sympy(SUM, **options)


def test_values_of_expressions():
    x, y = sympy.symbols("x y", real=True)
    values = {x: Fraction(1, 3), y: -2}
    assert exactly(sympy.Min(x, y) * sympy.Abs(y) + x**-2 + sympy.Heaviside(x) + sympy.sign(y), values) == -4 + 9
    with pytest.raises(InputError, match="x has no value"):
        exactly(x, {})
    with pytest.raises(NotExact, match="is 0 here, and the expression divides by it"):
        exactly(1 / (3 * x - 1), values)
    with pytest.raises(OnHinge, match="Heaviside at 0"):
        exactly(sympy.Heaviside(3 * x - 1), values)
    with pytest.raises(NotExact):
        exactly(sympy.sqrt(x), values)
    assert exactly(Fraction(1, 3), {}) * 3 == exactly(1, {})
    for nothing in (None, "x", [x], object()):
        with pytest.raises(InputError, match="is no expression of SymPy"):
            exactly(nothing, values)


def pooled():
    """max of two neurons, one of which stands twice in its window, beside a window of one entry; then their sum."""
    nodes = (
        Input((2,)),
        Affine(np.array([[1.0, -1.0], [2.0, 1.0], [0.0, 1.0]]), np.array([0.0, -1.0, 1.0]), 0),
        MaxPool(np.array([[0, 1, 0], [2, 2, 2]]), 1),
        Affine(np.array([[1.0, -1.0]]), np.array([0.0]), 2),
    )
    return Network(nodes)


@settings(max_examples=40)
@given(PLANE_POINTS, PLANE_POINTS, st.sampled_from(MODES))
def test_windows_have_winners_losers_and_ties(x, other, weights):
    lift = dtdsym.to_sympy(pooled(), weights=weights)
    piece = lift.piece(generic_pattern(lift.network, x))
    assert lift.at(other) == pooled()(other)
    assert tuple(lift.exactly(output, x) for output in piece.outputs) == pooled()(x)
    (margin,) = piece.positive
    assert piece.zero == ()
    assert lift.exactly(margin, x) == abs((x[0] - x[1]) - (2 * x[0] + x[1] - 1))
    assert tuple(lift.exactly(case, other) for case in dtdsym.to_sympy(pooled()).piecewise()) == pooled()(other)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ((1, 1, 0, 1, 0, 0), "every window of a max-pool has one winner"),
        ((1, -1, -1, 1, 0, 0), "no cell has this pattern: node 2"),
        ((1, 0, 0, 1, 0, 0), "no cell has this pattern: node 2"),
    ],
)
def test_windows_that_no_cell_has_are_refused(pattern, message):
    with pytest.raises(InputError, match=message):
        dtdsym.to_sympy(pooled()).piece(pattern)


def test_ties_with_symbolic_weights_are_equations_for_the_weights():
    lift = dtdsym.to_sympy(pooled(), weights="symbols")
    weight, bias = lift.parameters(1)
    found = lift.piece((1, 0, 0, 1, 0, 0)).zero
    assert set(found) == {weight[0, 0] - weight[1, 0], weight[0, 1] - weight[1, 1], bias[0] - bias[1]}


def test_a_layer_used_twice_has_one_set_of_names():
    weight, bias = np.array([[1.0, 2.0], [-1.0, 1.0]]), np.array([0.0, 1.0])
    network = Network((Input((2,)), Affine(weight, bias, 0), Relu(1), Affine(weight, bias, 2)))
    lift = dtdsym.to_sympy(network, weights="symbols")
    assert len(lift.weights) == network.parameters == 6
    assert (lift.parameters(1)[0] == lift.parameters(2)[0]).all()
    assert lift.at((1, 3)) == network((1, 3))
