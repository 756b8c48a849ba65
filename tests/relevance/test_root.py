"""Roots lie where their formulas put them, exactly, and explain the relevance that is passed on."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import activations, dot, exactly, line_root, messages, search_direction, sympy_pseudo_inverse, train_free
from strategies import COORDINATES, layers

from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.errors import InputError, NoRoot, RuleError, ShapeMismatch
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import sequential
from dtdsym.relevance.root import layer_roots, roots
from dtdsym.relevance.rule import parse_rule as parse
from dtdsym.relevance.train_free import propagate

DIRECTED = ["gamma:0", "gamma:1", "gamma:1/3", "zplus", "w2", "x", "flat", "zbox:-1:3"]
IMPLIED = ["epsilon", "epsilon:1/2", "alpha_beta:1:0", "alpha_beta:2:1"]
POINTS = st.tuples(COORDINATES, COORDINATES, COORDINATES)
BOX = st.tuples(*[st.integers(0, 4).map(lambda n: Fraction(n, 2))] * 3)
NEURON = partial(layers, 3, depths=(1, 2))


def relevances_above(drawn, x, rule):
    """What arrives at the outputs of layer 1, by the oracle."""
    parsed = parse(rule)
    return train_free(drawn, x, parsed.name, parsed.parameters)[1]


@pytest.mark.parametrize("kind", ["relevance", "hinge"])
@pytest.mark.parametrize("rule", DIRECTED)
@given(layers(3), POINTS, st.sampled_from([1, 2, 3]))
@settings(max_examples=30)
def test_a_root_lies_along_its_direction(kind, rule, drawn, x, layer):
    layer, parsed = min(layer, len(drawn)), parse(rule)
    weight, bias = exactly(drawn[layer - 1])
    a = activations(drawn, x)[layer - 1]
    arriving = train_free(drawn, x, parsed.name, parsed.parameters)[layer]
    found = roots(sequential(*drawn), x, rule, layer=layer, root=kind)
    assert len(found) == len(weight)
    for w, b, r, root in zip(weight, bias, arriving, found, strict=True):
        z = dot(w, a) + b
        lost = r if kind == "relevance" else z
        expected = line_root(w, a, search_direction(parsed.name, parsed.parameters, w, a), lost)
        if expected is None:
            assert isinstance(root, NoRoot)
        else:
            assert root == expected
            assert dot(w, root) + b == z - lost


@pytest.mark.parametrize("rule", DIRECTED + IMPLIED)
@given(NEURON(), POINTS)
@settings(max_examples=30)
def test_a_relevance_root_explains_the_relevance_passed_on(rule, drawn, x):
    parsed = parse(rule)
    weight, bias = exactly(drawn[0])
    arriving = relevances_above(drawn, x, rule)
    passed = messages(parsed.name, parsed.parameters, weight, bias, exactly(x), arriving)
    for w, parts, r, root in zip(weight, passed, arriving, roots(sequential(*drawn), x, rule), strict=True):
        if isinstance(root, NoRoot):
            assert not any(parts)
            continue
        assert [wi * (ai - ri) for wi, ai, ri in zip(w, x, root, strict=True)] == parts
        assert all(ri == ai for wi, ai, ri in zip(w, x, root, strict=True) if wi == 0) or rule in DIRECTED
        if rule in DIRECTED:
            assert sum(parts) == r


def test_alpha_beta_conserves_where_both_signs_contribute():
    (root,) = roots(sequential(([[2, -1]], [0])), (3, 1), "alpha_beta:2:1")
    # R = 5: z+ = 6 and z- = -1, so that 10 goes to x1 and -5 to x2.
    assert root == (3 - Fraction(10, 2), 1 - Fraction(-5, -1))


@pytest.mark.parametrize(
    ("rule", "x"),
    [
        ("zplus", (0, 3)),
        ("zplus", (5, -5)),
        ("gamma:1", (1, 1)),
        ("x", (2, 1)),
        ("zbox:0:1", (0, 1)),
        ("alpha_beta:1:0", (0, 3)),
        ("alpha_beta:2:1", (0, 0)),
    ],
)
def test_where_w_dot_v_is_zero_there_is_no_root_and_relevance_is_lost(rule, x):
    w = [1, 1] if x == (5, -5) else [1, -2]
    network = sequential(([w], [1]), final_relu=False)
    (root,) = roots(network, x, rule)
    assert isinstance(root, NoRoot)
    label = parse(rule).label
    assert str(root).startswith(f"neuron 0 of layer 1 has no {label} root")
    values = evaluate(network, RATIONAL, {0: RATIONAL.lift(x)})
    assert fractions(propagate(network, RATIONAL, values, parse(rule)).input) == (0, 0)


@pytest.mark.parametrize("rule", ["zplus", "w2", "x", "flat", "gamma:1", "zbox:0:1", "alpha_beta:2:1"])
def test_a_dead_row_has_no_root(rule):
    found = roots(sequential(([[0, 0], [1, 2]], [1, 0]), ([[1, 1]], [0])), (1, 1), rule)
    assert [isinstance(root, NoRoot) for root in found] == [True, False]


@pytest.mark.parametrize("kind", ["relevance", "hinge"])
@given(drawn=NEURON(), x=POINTS)
@settings(max_examples=20)
def test_the_root_of_lrp0_is_zero(kind, drawn, x):
    assert set(roots(sequential(*drawn), x, "lrp0", root=kind)) == {(0, 0, 0)}


@pytest.mark.parametrize("kind", ["relevance", "hinge"])
@given(drawn=NEURON(), x=POINTS)
@settings(max_examples=30)
def test_pinv_has_one_root_on_every_hinge_that_can_be_reached(kind, drawn, x):
    weight, bias = exactly(drawn[0])
    inverse = sympy_pseudo_inverse(weight)
    lost = relevances_above(drawn, x, "pinv")
    z = [dot(w, x) + b for w, b in zip(weight, bias, strict=True)]
    target = lost if kind == "relevance" else z
    expected = tuple(xi - dot(row, target) for xi, row in zip(x, inverse, strict=True))
    assert set(roots(sequential(*drawn), x, "pinv", root=kind)) == {expected}
    here = [dot(w, expected) + b for w, b in zip(weight, bias, strict=True)]
    reachable = [dot(w, [dot(row, target) for row in inverse]) for w in weight]
    assert here == [zj - tj for zj, tj in zip(z, reachable, strict=True)]


def test_with_full_row_rank_the_pinv_root_is_on_every_hinge():
    weight, bias = [[1, 2, 0], [0, 1, -1]], [1, -3]
    root = roots(sequential((weight, bias), ([[1, 1]], [5])), (1, 2, 3), "pinv", root="hinge")[0]
    assert [dot(exactly(w), root) + b for w, b in zip(weight, bias, strict=True)] == [0, 0]


@pytest.mark.parametrize("rule", ["lrp0", "pinv", *DIRECTED, *IMPLIED])
@given(drawn=layers(3), x=POINTS)
@settings(max_examples=20)
def test_displacement_and_denominator_tell_degenerate_and_missing_roots(rule, drawn, x):
    network, parsed = sequential(*drawn), parse(rule)
    values = evaluate(network, RATIONAL, {0: RATIONAL.lift(x)})
    found = layer_roots(network, RATIONAL, values, propagate(network, RATIONAL, values, parsed), 1, parsed)
    outputs = len(drawn[0][0])
    assert (found.roots.shape, found.displacement.shape, found.denominator.shape) == (
        (outputs, 3), (outputs, 3), (outputs,),
    )  # fmt: skip
    public = roots(network, x, rule)
    for root, displacement, denominator, told in zip(
        found.roots, found.displacement, found.denominator, public, strict=True
    ):
        assert (denominator == 0) == isinstance(told, NoRoot)
        assert fractions(root + displacement) == tuple(x)
        if denominator != 0:
            assert fractions(root) == told
            assert (told == tuple(x)) == all(d == 0 for d in displacement)


@pytest.mark.parametrize("rule", IMPLIED)
def test_a_rule_without_a_direction_has_no_hinge_root(rule):
    told = f"rule '{parse(rule).label}' has no search direction, so no hinge root; ask for its relevance root"
    with pytest.raises(RuleError) as caught:
        roots(sequential(([[1]], [0])), (1,), rule, root="hinge")
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"root": "hing"}, RuleError, "root 'hing': expected relevance or hinge"),
        ({"layer": 0}, InputError, "layer 0 does not exist; the network has layers 1 to 1"),
        ({"layer": 2}, InputError, "layer 2 does not exist"),
        ({"logit": 1}, InputError, "logit 1 does not exist"),
        ({"rule": "zbox"}, RuleError, "rule 'zbox'"),
        ({"x": (1, 2)}, ShapeMismatch, "x has shape"),
    ],
)
def test_what_does_not_exist_is_refused(options, error, told):
    with pytest.raises(error, match=told):
        roots(sequential(([[1]], [0])), **{"x": (1,), **options})


@given(drawn=NEURON(), x=BOX)
def test_a_zbox_hinge_root_of_an_active_neuron_lies_in_the_box_iff_its_step_is_at_most_1(drawn, x):
    for w, b, root in zip(*exactly(drawn[0]), roots(sequential(*drawn), x, "zbox:0:2", root="hinge"), strict=True):
        v = search_direction("zbox", (0, 2), w, x)
        if any(v) and dot(w, x) + b >= 0:
            assert all(0 <= ri <= 2 for ri in root) == ((dot(w, x) + b) / dot(w, v) <= 1)


def test_a_zbox_hinge_root_of_an_inactive_neuron_can_lie_in_the_box_too():
    # z = -1 and w.v = 3, a step of -1/3: the root is on the box's wall.
    assert roots(sequential(([[-1, -1]], [0])), (Fraction(1, 2), Fraction(1, 2)), "zbox:0:2", root="hinge") == [(0, 0)]


@given(drawn=NEURON(), x=BOX)
def test_a_zplus_hinge_root_of_an_active_neuron_without_positive_bias_is_nonnegative(drawn, x):
    for w, b, root in zip(*exactly(drawn[0]), roots(sequential(*drawn), x, "zplus", root="hinge"), strict=True):
        if dot(w, x) + b > 0 and b <= 0:
            assert min(root) >= 0


def test_a_relevance_root_can_leave_the_half_space_of_its_neuron():
    # c_j = R_j/z_j = 2 > 1: the relevance root has pre-activation (1 - c_j) z = -z.
    network = sequential(([[1]], [0]), ([[2]], [0]))
    assert roots(network, (3,), "zplus") == [(-3,)]
    assert roots(network, (3,), "zplus", root="hinge") == [(0,)]
