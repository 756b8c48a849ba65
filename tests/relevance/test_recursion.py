"""Definition 3 exactly: against SymPy's derivatives, the mathematics' own examples, and the paper's two algorithms."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import definition_3, exactly, line_root, search_direction
from strategies import layers

import dtdsym
from dtdsym.arithmetic.dual import DUAL
from dtdsym.errors import BudgetSpent, Inadmissible, InputError, OnHinge, ShapeMismatch, UnsupportedLayer
from dtdsym.network.builder import Builder
from dtdsym.network.network import sequential
from dtdsym.network.plain import plain_layers
from dtdsym.relevance.definition3 import functions
from dtdsym.relevance.recursion import full_backward, recursion
from dtdsym.relevance.root_functions import affine_root, constant_root, rule_root

HALF = Fraction(1, 2)
SUM = [([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0])]
"""f = [[x1] + [x2]]."""
NUMBERS = st.integers(-4, 4).map(lambda n: Fraction(n, 2))


def vectors(size):
    return st.lists(NUMBERS, min_size=size, max_size=size)


@st.composite
def root_functions(draw, weight, bias):
    """A root function of a layer, and the same for the oracle."""
    size, w, b = len(weight[0]), exactly(weight), exactly(bias)
    kind = draw(st.sampled_from(["constant", "affine", "python", "list", "w2", "flat"]))
    if kind in ("w2", "flat"):

        def on_hinge(j, a):
            z = sum(wi * ai for wi, ai in zip(w[j], a, strict=True)) + b[j]
            return line_root(w[j], a, search_direction(kind, (), w[j], a), z)

        return rule_root(kind, "hinge"), on_hinge
    if kind == "list":
        points = [draw(vectors(size)) for _ in w]
        return [constant_root(point) for point in points], lambda j, a: points[j]
    vector = draw(vectors(size))
    if kind == "constant":
        return constant_root(vector), lambda j, a: vector
    matrix = [draw(vectors(size)) for _ in range(size)]

    def affine(a):
        rows = zip(matrix, vector, strict=True)
        return [sum((m * ai for m, ai in zip(row, a, strict=True)), Fraction(0)) + c for row, c in rows]

    if kind == "affine":
        return affine_root(matrix, vector), lambda j, a: affine(a)

    def squared(a):
        return [ai * a[0] + c for ai, c in zip(a, affine(a), strict=True)]

    return squared, lambda j, a: squared(a)


@settings(max_examples=40)
@given(st.data())
def test_the_recursion_is_definition_3_with_sympys_derivatives(data):
    chosen = data.draw(layers(inputs=data.draw(st.integers(1, 3)), depths=(1, 2, 2, 3), widths=(1, 2)))
    assume(all(any(w) for weight, _ in chosen for w in weight))
    final_relu = data.draw(st.booleans())
    pairs = [data.draw(root_functions(*pair)) for pair in chosen]
    x = data.draw(vectors(len(chosen[0][0][0])))
    network = sequential(*chosen, final_relu=final_relu)
    try:
        found = recursion(network, x, [ours for ours, _ in pairs], check=False)
    except OnHinge:
        return
    assert list(found) == definition_3(chosen, x, [theirs for _, theirs in pairs], final_relu=final_relu)


def test_the_worked_forgery_of_a_sum():
    roots = [affine_root([[1, 0], [0, 1]], [-HALF, -HALF]), affine_root([[11, -18], [0, 1]], [20, 0])]
    found = recursion(sequential(*SUM), (1, 1), roots)
    assert found == (-5, 9)
    assert found.layers == ((-5, 9), (-12, 0), (2,))
    assert all(verdict.name == "admissible" for layer in found.admissible for verdict in layer)


def test_a_python_function_of_the_input_gets_exact_derivatives():
    roots = [lambda a: (HALF, HALF), lambda a: (11 * a[0] - 18 * a[1] + 20, a[1])]
    assert recursion(sequential(*SUM), (1, 1), roots, check=False) == (-5, 9)
    batched = [roots[0], lambda ops, a: ops.join([11 * a[..., :1] - 18 * a[..., 1:] + 20, a[..., 1:]])]
    assert recursion(sequential(*SUM), (1, 1), batched, check=False) == (-5, 9)


def test_proposition_2_needs_no_constant_root_in_the_first_layer():
    """R = grad f o (x - root), and it sums to f(x) - f(root) only if the root is in the closure of the region."""
    network = sequential(([[1], [1]], [10, 0]), ([[1, 1]], [0]))
    dependent = lambda a: (Fraction(1), Fraction(1, 8) + max(10 - a[0], 0))  # noqa: E731
    found = recursion(network, (1,), [constant_root([-5]), dependent], check=False)
    assert found == (12,)
    assert network([1])[0] - network([-5])[0] == 7
    inside = recursion(network, (1,), [constant_root([HALF]), constant_root([1, Fraction(1, 8)])])
    assert sum(inside) == network([1])[0] - network([HALF])[0] == 1


def test_proposition_1_as_printed_is_false():
    """The region of one relevance neuron is a half-plane, larger than the region of f."""
    network = sequential(*SUM)
    constant = constant_root([Fraction(1, 4), Fraction(1, 8)])
    outside = constant_root([HALF, -1])
    inside = constant_root([HALF, HALF])
    assert dtdsym.place(network, (1, 1), (HALF, -1)).name == "outside"
    found = recursion(network, (1, 1), [[outside, inside], constant])
    assert [verdict.name for verdict in found.admissible[0]] == ["admissible", "admissible"]
    with pytest.raises(Inadmissible, match="neuron 1 of layer 1 is inadmissible"):
        recursion(network, (1, 1), [outside, constant])


def test_a_root_that_is_the_input_is_refused():
    network = sequential(*SUM)
    with pytest.raises(Inadmissible, match="neuron 0 of layer 1 is inadmissible: it equals"):
        recursion(network, (1, 1), [lambda a: a, constant_root([HALF, HALF])])


def test_another_gradient_at_the_root_is_inadmissible_and_nonlinear_roots_stay_undecided():
    network = sequential(*SUM)
    far = constant_root([-1, 1])
    verdicts = recursion(network, (1, 1), [far, affine_root([[11, -18], [0, 1]], [20, 0])], check=False).admissible
    assert verdicts[0][0].name == "inadmissible"
    near = constant_root([HALF, HALF])
    verdicts = recursion(network, (1, 1), [near, rule_root("zplus")], check=False).admissible
    assert [verdict.name for verdict in verdicts[0]] == ["undecided", "undecided"]
    assert verdicts[1][0].name == "admissible"


def test_another_gradient_is_proven_for_exact_roots_above_and_left_open_where_a_tie_may_part():
    """R^2 of a zplus root on the hinge of [a1 + a2 - 1] has another gradient everywhere: no root is admissible."""
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [-1]))
    near = constant_root([2, Fraction(1, 2)])
    for above, name in ((rule_root("zplus", "hinge"), "inadmissible"), (rule_root("zplus", "relevance"), "undecided")):
        found = recursion(network, (2, 1), [near, above], check=False)
        assert [verdict.name for verdict in found.admissible[0]] == [name, name]


@settings(max_examples=60)
@given(layers(inputs=2, depths=(2, 3), widths=(1, 2)), st.lists(NUMBERS, min_size=24, max_size=24), vectors(2))
def test_where_a_root_is_admissible_the_taylor_identity_holds(chosen, numbers, x):
    """Here regions are convex: R_j o f is one affine function on the way from the input to an admissible root."""
    network = sequential(*chosen)
    roots = [constant_root(numbers[:2])]
    for weight, _ in chosen[1:]:
        size = len(weight[0])
        roots.append(affine_root([numbers[i : i + size] for i in range(size)], numbers[4 : 4 + size]))
    try:
        verdicts = recursion(network, x, roots, check=False).admissible[0]
    except OnHinge:
        return
    relevance = functions(network, roots, 0)

    def upper(point):
        return relevance.relevance(2, relevance.layers[0](DUAL, DUAL.lift(point))).real

    between = [[(1 - t) * a + t * r for a, r in zip(x, numbers, strict=False)] for t in (HALF / 2, HALF, HALF * 3 / 2)]
    for j, verdict in enumerate(verdicts):
        if verdict.name == "admissible":
            one, two, three = (upper(point)[j] for point in between)
            assert two - one == three - two, verdict


def test_on_a_hinge_gradients_are_those_of_the_inputs_side():
    assert recursion(sequential(([[1]], [0])), (2,), [constant_root([0])]) == (2,)
    assert recursion(sequential(([[-1]], [0])), (2,), [constant_root([0])]) == (0,)
    with pytest.raises(OnHinge, match="layer 2"):
        recursion(sequential(*SUM), (1, 1), [constant_root([HALF, HALF]), lambda a: (a[0] - HALF, HALF - a[1])])


def test_algorithm_1_forgets_that_gradients_move():
    """The second term of Proposition 3: it vanishes for affine roots above, and not for zplus roots with a bias."""
    network = sequential(([[1, 0], [0, 1]], [1, 1]), ([[1, 2]], [1]), ([[1]], [0]), final_relu=False)
    first, top = constant_root([HALF, HALF]), constant_root([1])
    affine = [first, affine_root([[1, 1], [2, 1]], [1, 1]), top]
    assert full_backward(network, (1, 2), affine) == recursion(network, (1, 2), affine, check=False)
    curved = [first, lambda a: (a[0] * a[0], a[1]), lambda a: (a[0] * a[0] + 1,)]
    assert full_backward(network, (1, 2), curved) != recursion(network, (1, 2), curved, check=False)
    with pytest.raises(dtdsym.InputError, match="layer 1 has different roots"):
        full_backward(network, (1, 2), [[first, top], *curved[1:]])


def test_algorithm_2_propagates_numbers_and_not_functions():
    """Eq. 13: one layer agrees. Two differ: R^2 of zplus with a bias is not linear, and is taken at the root."""
    one = sequential(([[1, 2]], [-1]))
    assert recursion(one, (1, 2), [rule_root("zplus")]) == dtdsym.explain(one, (1, 2), rule="zplus")
    two = sequential(([[1, 0], [1, 1], [0, 0]], [0, 0, 1]), ([[1, 1, 1]], [-1]))
    roots = [rule_root("zplus"), rule_root("zplus")]
    assert recursion(two, (1, 2), roots, check=False) != dtdsym.explain(two, (1, 2), rule="zplus")


def test_of_the_last_layer_only_the_logits_root_counts():
    network = sequential(([[1, 2], [3, 4]], [0, 0]), final_relu=False)
    far = constant_root([9, 9])
    found = recursion(network, (1, 1), [[far, constant_root([0, 0])]], logit=1)
    assert found == (3, 4)
    assert found.layers == ((3, 4), (0, 7))
    assert recursion(network, (1, 1), [[far, constant_root([0, 0])]]) == (-8, -16)
    with pytest.raises(dtdsym.InputError, match="logit 2 does not exist"):
        recursion(network, (1, 1), [far], logit=2)


def test_a_decomposition_survives_pickling():
    found = recursion(sequential(*SUM), (1, 1), [constant_root([HALF, HALF]), constant_root([0, 1])])
    again = pickle.loads(pickle.dumps(found))
    assert (again, again.layers, again.admissible) == (found, found.layers, found.admissible)


def test_what_is_not_plain_is_refused_by_name():
    builder = Builder((2,))
    start = builder.input
    hidden = builder.relu(builder.linear(start, np.eye(2), None))
    with pytest.raises(UnsupportedLayer, match="node 3, Add of node 2 and 0: this is for plain networks"):
        recursion(builder.network(builder.add(hidden, start)), (1, 1), [])


@pytest.mark.parametrize(
    ("roots", "says"),
    [([], "0 entries in roots for 2 layers"), ([constant_root([1]), constant_root([1, 1])], "root for 1 inputs")],
)
def test_roots_that_do_not_fit_are_refused(roots, says):
    with pytest.raises(ShapeMismatch, match=says):
        recursion(sequential(*SUM), (1, 1), roots)


def test_a_way_that_stays_on_a_hinge_takes_no_side():
    network = sequential(([[1, -1]], [-2]), ([[1]], [0]))
    with pytest.raises(OnHinge, match="a root of layer 1 lies on a hinge that the way"):
        recursion(network, (HALF, -3 * HALF), [constant_root([0, -2]), constant_root([1])], check=False)


TWO = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1], [2, 1]], [0, 1]), final_relu=False)


@pytest.mark.parametrize(
    ("root", "error", "message"),
    [
        (lambda a: (0,), ShapeMismatch, r"a root function gave shape \(1,\) for an input of \(2,\)"),
        (lambda a: [a[0] / 2], ShapeMismatch, r"gave shape \(1,\)"),
        (lambda a: (1, 2, 3), ShapeMismatch, r"gave shape \(3,\)"),
        (lambda ops, a: 0, ShapeMismatch, r"gave shape \(\)"),
        (lambda a: None, InputError, "a root function gave None; expected as many numbers"),
        ([rule_root("zplus")] * 2, InputError, "a rule has the roots of all neurons; give it once"),
    ],
)
def test_roots_of_another_shape_or_kind_are_refused(root, error, message):
    with pytest.raises(error, match=message):
        recursion(TWO, (1, 2), [constant_root((0, 0)), root], check=False)


@pytest.mark.parametrize("roots", [5, None, constant_root((0, 0))])
def test_one_entry_a_layer_is_needed(roots):
    with pytest.raises(InputError, match=r"roots: .* given; expected a list, with one entry a layer"):
        recursion(TWO, (1, 2), roots)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: constant_root(5), "constant_root: 5; expected a sequence of numbers"),
        (lambda: affine_root([1, 2], [1, 2]), "affine_root: row 0: 1; expected a sequence"),
        (lambda: affine_root([[1, 2], [1]], [1, 2]), r"affine_root: row 1 has shape \(1,\)"),
        (lambda: affine_root([[1, 2]], [1, 2]), "the matrix needs as many rows"),
    ],
)
def test_malformed_roots_are_refused(made, message):
    with pytest.raises(ShapeMismatch, match=message):
        made()


def test_powers_and_magnitudes_in_a_root_function():
    """R^1 of a single linear layer is w o (x - root)."""
    one = sequential(([[1, 2]], [0]), final_relu=False)
    found = recursion(one, (1, -2), [lambda a: (a[0] ** 2 - 1, abs(a[1]))], check=False)
    assert tuple(found) == (1, -8)


def test_a_convolution_with_folded_batch_normalisation_is_one_layer():
    """The same function as its numbers multiplied out, and the same relevance."""
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm1d(2, eps=0.0).eval()
    with torch.no_grad():
        norm.running_var.copy_(torch.tensor([4.0, 16.0]))
        norm.running_mean.copy_(torch.tensor([0.5, -1.0]))
        norm.bias.copy_(torch.tensor([0.25, -0.5]))
    head = [torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4, 1)]
    whole = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 2), norm, *head).eval()
    network, x = dtdsym.from_module(whole, torch.zeros(1, 1, 3)), (Fraction(1), Fraction(-2), Fraction(3))
    roots = [constant_root([HALF, HALF, 1]), constant_root([1, 2, 3, 4])]
    first, last = plain_layers(network)
    assert (first.size, first.rectified, last.rectified) == (4, True, False)
    plain = sequential((floats(first.matrix), floats(first.biases)), (floats(last.matrix), floats(last.biases)),
                       final_relu=False)  # fmt: skip
    assert recursion(network, x, roots, check=False) == recursion(plain, x, roots, check=False)
    assert dtdsym.decide("c2", network, x).name == dtdsym.decide("c2", plain, x).name == "proved"


def floats(numbers):
    return np.vectorize(float)(numbers).tolist()


def test_a_budget_ends_a_deep_recursion_and_what_is_left_open_is_not_admissible():
    """The recursion doubles with every layer; the verdicts have the budget once more."""
    eye = ([[1, 0.5], [0.5, 1]], [0, 0])
    network, roots = sequential(*[eye] * 9, ([[1, 1]], [0])), [affine_root([[HALF, 0], [0, HALF]], [0, 0])] * 10
    with pytest.raises(BudgetSpent, match="budget of"):
        recursion(network, (1, 1), roots, check=False, budget=dtdsym.Budget(seconds=0.01))
    shallow = recursion(sequential(eye, ([[1, 1]], [0])), (1, 1), roots[:2], check=False)
    assert {one.name for layer in shallow.admissible for one in layer} == {"admissible"}
    hasty = recursion(sequential(eye, ([[1, 1]], [0])), (1, 1), roots[:2], check=False)
    hasty._asked = (*hasty._asked[:2], dtdsym.Budget(seconds=1e-9))
    assert {one.name for layer in hasty.admissible for one in layer} == {"undecided"}
