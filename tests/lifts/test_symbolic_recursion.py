"""Definition 3 as expressions: against the exact recursion, the literal oracle, forged explanations, Proposition 2."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import definition_3, exactly, line_root, search_direction
from strategies import layers

import dtdsym
from dtdsym.errors import Inadmissible, InputError, NotExact, OnHinge, ShapeMismatch, UnsupportedLayer
from dtdsym.network.builder import Builder
from dtdsym.network.network import sequential
from dtdsym.relevance.recursion import recursion
from dtdsym.relevance.root_functions import affine_root, constant_root, rule_root

HALF = Fraction(1, 2)
NUMBERS = st.integers(-4, 4).map(lambda n: Fraction(n, 2))
RULES = {"w2": (), "flat": (), "zplus": (), "gamma": (Fraction(1, 2),)}
SUM = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0]))


def vectors(size):
    return st.lists(NUMBERS, min_size=size, max_size=size)


def affine(matrix, vector, a):
    rows = zip(matrix, vector, strict=True)
    return [sum((m * ai for m, ai in zip(row, a, strict=True)), c) for row, c in rows]


def hinge_roots(rule, weight, bias, a):
    """A rule's hinge roots, for every neuron, as expressions in a; the layer's input where the rule has none."""
    found = []
    for w, b in zip(exactly(weight), exactly(bias), strict=True):
        z = sum((wi * ai for wi, ai in zip(w, a, strict=True)), b)
        found.append(line_root(w, a, search_direction(rule, RULES[rule], w, a), z) or tuple(a))
    return found


def cancels(rule, weight, bias):
    """Whether w.v is a multiple of one input, or of w.a + b: SymPy cancels a / a, and forgets that there is no root at
    a = 0."""
    if rule not in ("zplus", "gamma"):
        return False
    counting = [[wi > 0 if rule == "zplus" else wi != 0 for wi in w] for w in weight]
    signs = [{wi > 0 for wi in w if wi != 0} for w in weight]
    alike = [{True}] if rule == "zplus" else [{True}, {False}]
    return any(sum(row) == 1 or (b == 0 and own in alike) for row, b, own in zip(counting, bias, signs, strict=True))


@st.composite
def root_functions(draw, weight, bias):
    """A root function of dtdsym.recursion, and a function of the layer's symbols that gives the same as expressions."""
    size = len(weight[0])
    kind = draw(st.sampled_from(["constant", "affine", "list", "squared", *RULES]))
    if cancels(kind, weight, bias):
        kind = "w2"
    if kind in RULES:
        text = ":".join([kind, *map(str, RULES[kind])]).replace("1/2", "0.5")
        return rule_root(text, "hinge"), lambda a: hinge_roots(kind, weight, bias, a)
    if kind == "list":
        points = [draw(vectors(size)) for _ in weight]
        return [constant_root(point) for point in points], lambda a: points
    vector = draw(vectors(size))
    if kind == "constant":
        return constant_root(vector), lambda a: vector
    matrix = [draw(vectors(size)) for _ in range(size)]
    if kind == "affine":
        return affine_root(matrix, vector), lambda a: affine(matrix, vector, a)

    def squared(a):
        return [ai * a[0] + c for ai, c in zip(a, affine(matrix, vector, a), strict=True)]

    return squared, squared


@settings(max_examples=100)
@given(st.data())
def test_the_expressions_at_the_input_are_the_exact_recursion(data):
    chosen = data.draw(layers(inputs=data.draw(st.integers(1, 3)), depths=(1, 2, 2, 3), widths=(1, 2, 3)))
    network = sequential(*chosen, final_relu=data.draw(st.booleans()))
    pairs = [data.draw(root_functions(*pair)) for pair in chosen]
    x = data.draw(vectors(network.sizes[0]))
    lift = dtdsym.to_sympy(network, weights=data.draw(st.sampled_from(["numbers", "symbols"])))
    given_roots = [symbolic(a) for (_, symbolic), a in zip(pairs, lift.layer_inputs, strict=False)]
    try:
        found = lift.recursion(given_roots, x=x).at(x)
        expected = recursion(network, x, [exact for exact, _ in pairs], check=False)
    except (OnHinge, NotExact):
        assume(False)
    assert found == tuple(expected)


def test_a_root_that_sympy_cancels_stands_where_the_rule_has_none():
    """w.v = w.a + b: the root is a - v, also where both are 0, as the module says; elsewhere the recursions agree."""
    network = sequential(([[0.0, 0.5, 0.5]], [0.0]), final_relu=False)
    lift = dtdsym.to_sympy(network)
    roots = [hinge_roots("zplus", [[0.0, 0.5, 0.5]], [0.0], lift.inputs)]
    assert cancels("zplus", [[0.0, 0.5, 0.5]], [0.0])
    for x, agree in (((1, 2, 3), True), ((0, Fraction(1, 2), Fraction(-1, 2)), False)):
        expected = recursion(network, x, [rule_root("zplus", "hinge")], check=False)
        assert (lift.recursion(roots, x=x).at(x) == tuple(expected)) == agree


@settings(max_examples=8)
@given(st.data())
def test_they_are_definition_3_taken_literally(data):
    chosen = data.draw(layers(depths=(2,), widths=(1, 2)))
    assume(all(any(w) for weight, _ in chosen for w in weight))
    network, x = sequential(*chosen), data.draw(vectors(2))
    drawn = []
    for weight, _ in chosen:
        numbers = vectors(len(weight[0]))
        drawn.append(([data.draw(numbers) for _ in weight[0]], data.draw(numbers)))
    lift = dtdsym.to_sympy(network)
    given_roots = [affine(*pair, a) for pair, a in zip(drawn, lift.layer_inputs, strict=False)]
    try:
        found = lift.recursion(given_roots, x=x).at(x)
    except OnHinge:
        assume(False)
    assert list(found) == definition_3(chosen, x, [lambda j, a, pair=pair: affine(*pair, a) for pair in drawn])


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_forged_roots_keep_the_pattern_and_their_relevance_is_constant(seed):
    """The forged explanation is reached on a whole neighbourhood: as polynomials, not only at x."""
    random = np.random.default_rng(seed)
    weights = [random.integers(-3, 4, (n, m)) for m, n in pairwise((3, 3, 3, 2))]
    chosen = [(weight, random.integers(1, 4, len(weight))) for weight in weights]
    network, x, target = sequential(*chosen, final_relu=False), [1, -1, 2], (5, -7, 1)
    lift = dtdsym.to_sympy(network)
    try:
        roots = dtdsym.forge(network, x, target)
        pattern = lift.pattern_at(x)
    except (dtdsym.Unreachable, OnHinge):
        assume(False)
    given_roots = [affine(root.matrix, root.vector, a) for root, a in zip(roots, lift.layer_inputs, strict=False)]
    found = lift.recursion(given_roots, pattern=pattern)
    assert found.at(x) == target
    assert [sympy.expand(entry) for entry in found.relevance] == list(target)
    assert found.layers[3] == (lift.layer_inputs[3][0], 0)


@pytest.mark.parametrize("sizes", [(2, 3, 2), (3, 2, 2)])
def test_proposition_2_for_symbolic_weights_and_constant_roots(sizes):
    """R_i = sum_j dF_2/da_2j w_ji (x_i - root^(j)_i), for all weights on the pattern's cell."""
    d, h, o = sizes
    lift = dtdsym.to_sympy(sequential((np.ones((h, d)), [0] * h), (np.ones((o, h)), [0] * o)), weights="symbols")
    first = [sympy.symbols(f"p{j}_:{d}") for j in range(h)]
    second = [sympy.symbols(f"q:{h}"), None]
    pattern = (1,) * (h - 1) + (-1,) + (1, -1)
    found = lift.recursion([[list(root) for root in first], second], pattern=pattern)
    (w, _), (v, _) = lift.parameters(1), lift.parameters(2)
    for i, x in enumerate(lift.inputs):
        expected = sum(v[0, j] * w[j, i] * (x - first[j][i]) for j in range(h - 1))
        assert sympy.expand(found.relevance[i] - expected) == 0


def test_symbolic_affine_roots_bring_their_derivatives_along():
    """[w x + b] above [v a + c] in one dimension, root of a: p a + q; R^2 = v (a - p a - q)."""
    lift = dtdsym.to_sympy(sequential(([[1]], [0]), ([[1]], [0])), weights="symbols")
    (w, _), (v, _) = lift.parameters(1), lift.parameters(2)
    (x,), (a,), _ = lift.layer_inputs
    p, q, r, s = sympy.symbols("p q r s")
    found = lift.recursion([[r * x + s], [p * a + q]], pattern=(1, 1))
    assert sympy.expand(found.layers[1][0] - v[0, 0] * (a - p * a - q)) == 0
    assert sympy.expand(found.relevance[0] - v[0, 0] * (1 - p) * w[0, 0] * (x - r * x - s)) == 0


def test_an_expression_does_not_speak_about_inputs_whose_roots_have_another_pattern():
    lift = dtdsym.to_sympy(SUM)
    x, a, _ = lift.layer_inputs
    roots = [[x[0] - HALF, x[1] - HALF], [11 * a[0] - 18 * a[1] + 20, a[1]]]
    found = lift.recursion(roots, pattern=(1, 1, 1))
    assert found.at((1, 1)) == (-5, 9) == lift.recursion(roots, x=(1, 1)).at((1, 1))
    assert found.at((2, 2)) == tuple(
        recursion(
            SUM,
            (2, 2),
            [affine_root([[1, 0], [0, 1]], [-HALF, -HALF]), affine_root([[11, -18], [0, 1]], [20, 0])],
            check=False,
        )
    )
    with pytest.raises(Inadmissible, match="some root has another activation pattern"):
        found.at((1, Fraction(1, 4)))


def test_where_roots_differ_in_their_states_there_is_no_single_relevance_above():
    lift = dtdsym.to_sympy(SUM)
    found = lift.recursion([[[1, -1], [-1, 1]], [1, -1]], x=(1, 1))
    assert found.at((1, 1)) == tuple(
        recursion(SUM, (1, 1), [[constant_root([1, -1]), constant_root([-1, 1])], constant_root([1, -1])], check=False)
    )
    steep = [[[1, -1], [3, 1]], [lift.layer_inputs[1][0] - 2, lift.layer_inputs[1][1]]]
    with pytest.raises(InputError, match=r"R\^2 is in 2 different states at the roots of layer 1"):
        _ = lift.recursion(steep, x=(1, 1)).layers


@pytest.mark.parametrize(
    ("roots", "options", "error", "message"),
    [
        ([[0, 0]], {"x": (1, 1)}, ShapeMismatch, "1 entries in roots for 2 layers"),
        ([[0, 0], [0, 0]], {}, InputError, "give pattern= or x="),
        ([[0, 0], [0, 0]], {"x": (1, 1), "pattern": (1, 1, 1)}, InputError, "give pattern= or x="),
        ([[0, 0], [0]], {"x": (1, 1)}, ShapeMismatch, "layer 2: a root has 1 coordinates; the layer's input 2"),
        ([[[0, 0]], [0, 0]], {"x": (1, 1)}, ShapeMismatch, "layer 1: roots for 1 neurons; it has 2"),
        ([[0, 0], [0, 0]], {"pattern": (1, 1)}, ShapeMismatch, "a pattern of 2 entries"),
        ([[0, 0], [0, 0]], {"x": (0, 1)}, OnHinge, "does not leave"),
        (None, {"x": (1, 1)}, ShapeMismatch, "roots is None; give a list of 2"),
        ([0, 0], {"x": (1, 1)}, ShapeMismatch, "layer 1: its root is 0; give 2 coordinates"),
        ([None, None], {"x": (1, 1)}, ShapeMismatch, "layer 1: its root is None; give 2 coordinates"),
        ([["a", 0], [0, 0]], {"x": (1, 1)}, NotExact, "'a': expected"),
        ([[None, [0, 0]], [0, 0]], {"x": (1, 1)}, ShapeMismatch, "layer 1: a root is None; give 2 coordinates"),
        ([[0, 0], [0, 0]], {"x": (1, 1), "logit": 3}, InputError, "logit 3 does not exist"),
    ],
)
def test_malformed_questions_are_refused(roots, options, error, message):
    with pytest.raises(error, match=message):
        dtdsym.to_sympy(SUM).recursion(roots, **options)


def test_only_plain_networks_have_a_definition_3():
    builder = Builder((2,))
    value = builder.linear(builder.input, np.eye(2), None)
    network = builder.network(builder.linear(builder.add(value, builder.input), np.ones((1, 2)), None))
    with pytest.raises(UnsupportedLayer):
        dtdsym.to_sympy(network).recursion([[0, 0], [0, 0]], x=(1, 1))


@pytest.mark.parametrize("weights", ["numbers", "symbols"])
def test_convolutions_are_layers_like_any_other(weights):
    builder = Builder((1, 4))
    value = builder.relu(
        builder.convolve(builder.input, np.array([[[1.0, -2.0]], [[-1.0, 1.0]]]), np.array([1.0, 2.0]))
    )
    network = builder.network(builder.linear(builder.flatten(value), np.arange(-2.0, 4.0)[None], np.ones(1)))
    x, lift = [1, 0, 2, -1], dtdsym.to_sympy(network, weights=weights)
    first, second = [HALF, 0, 1, -1], [[HALF * (i == j) for j in range(6)] for i in range(6)]
    found = lift.recursion([first, [a / 2 for a in lift.layer_inputs[1]]], x=x)
    expected = recursion(network, x, [constant_root(first), affine_root(second, [0] * 6)], check=False)
    assert found.at(x) == tuple(expected)
    assert any(expected)
