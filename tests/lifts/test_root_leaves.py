"""Roots that leave: what Z3 finds was placed exactly, and where it finds none the arrangement has none either."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import z3
from hypothesis import event, given, settings
from hypothesis import strategies as st

import dtdsym
from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.errors import InputError, NoRoot, NotExact, RuleError
from dtdsym.geometry.cell import cell_at
from dtdsym.lifts.question import Found
from dtdsym.lifts.questions import equal
from dtdsym.lifts.root_leaves import LEAVES, RULES, direction_of, root_leaves
from dtdsym.network.network import sequential
from dtdsym.network.slice import Slice
from dtdsym.relevance.rule import parse_rule

Q = Fraction
WRITTEN = {"gamma": "gamma:1/4", "zbox": "zbox:-2:2"}
LINEAR = ("lrp0", "w2", "flat")


def network_of(seed, sizes=(2, 3, 1)):
    random = np.random.default_rng(seed)
    pairs = [(random.integers(-3, 4, (m, n)), random.integers(-2, 3, m)) for n, m in pairwise(sizes)]
    return sequential(*pairs)


def leaves_at(network, x, rule, neuron, leaves):
    """Whether an input has a root that leaves, by geometry alone. None: it is not one that counts."""
    function, at = Slice(network, 0, {}), RATIONAL.lift(list(x))
    cell = cell_at(function, at)
    root = (Q(0),) * len(x) if rule == "lrp0" else dtdsym.roots(network, x, rule, root="hinge")[neuron]
    if cell.hinged or network(x)[0] <= Q(1, 10) or isinstance(root, NoRoot):
        return None
    point = RATIONAL.lift(list(root))
    if leaves != "gradient":
        return not (cell.closure_holds(point) if leaves == "cell" else cell.holds(point))
    w = RATIONAL.lift(network.nodes[1].weight[neuron])
    own = set() if rule == "lrp0" else {neuron}
    sides = [cell_at(function, point, sign * w) for sign in (-1, 1)]
    return all(set(side.hinged) <= own and side.gradient != cell.gradient for side in sides)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), rule=st.sampled_from(RULES), leaves=st.sampled_from(LEAVES), data=st.data())
def test_no_input_on_a_grid_contradicts_the_answer(seed, rule, leaves, data):
    network, written = network_of(seed), WRITTEN.get(rule, rule)
    try:
        asked = root_leaves(network, [(-2, 2)] * 2, Q(1, 10), rule=written, leaves=leaves)
    except NoRoot:
        return
    assert asked.logic == "QF_LRA" or rule not in LINEAR
    answer = asked.ask()
    event(f"{leaves}: {type(answer).__name__}")
    if isinstance(answer, Found):
        assert leaves_at(network, answer.points["x"], written, 0, leaves)
    else:
        grid = [Q(n, 3) for n in range(-6, 7)]
        assert not any(leaves_at(network, (a, b), written, 0, leaves) for a in grid for b in grid)


def answers(network, side, rule, neuron=0):
    """Whether there is such an input in the box that leaves its closed cell, and one where the gradient is another."""
    ways = ("cell", "gradient")
    asked = {leaves: root_leaves(network, side, 0, rule=rule, neuron=neuron, leaves=leaves) for leaves in ways}
    return {leaves: isinstance(question.ask(), Found) for leaves, question in asked.items()}


def test_a_root_on_its_own_hinge_alone_stays_in_the_closed_cell():
    for bias in (1.0, 0.0, -1.0):
        network = sequential(([[1.0]], [bias]))
        assert answers(network, [(-2, 2)], "w2") == {"cell": False, "gradient": False}


@pytest.mark.parametrize("rule", ["w2", "flat", "x", "zplus", "gamma", "zbox:-3:3"])
def test_a_root_beyond_another_hinge_leaves(rule):
    """[x] + [x - 1] + 1: from x > 1 the root 0 is beyond the hinge 1; the gradients are 2, and 0 and 1 there."""
    network = sequential(([[1], [1]], [0, -1]), ([[1, 1]], [1]))
    assert answers(network, [(-2, 2)], rule) == {"cell": True, "gradient": True}
    assert answers(network, [(-2, 1)], rule) == {"cell": False, "gradient": False}


def test_beyond_a_hinge_on_which_nothing_bends_the_gradient_is_the_same():
    """[x] + [x - 1] - [x - 1] + 1: from x > 1 the root 0 has left the cell, but one of its sides has x's gradient."""
    network = sequential(([[1], [1], [1]], [0, -1, -1]), ([[1, 1, -1]], [1]))
    assert answers(network, [(-2, 2)], "w2") == {"cell": True, "gradient": False}


def test_a_root_on_two_hinges_is_not_said_to_have_another_gradient():
    """Twice [x], and [x - 1], and 1: the root 0 is on a hinge that is not the neuron's own."""
    network = sequential(([[1], [1], [1]], [0, 0, -1]), ([[1, 1, 1]], [1]))
    assert answers(network, [(-2, 2)], "w2") == {"cell": True, "gradient": False}


def test_the_root_zero_leaves_iff_biases_say_so():
    """[x - 1]: the origin is where the gradient is 0. [x]: it is on the hinge. x + 1: it stays."""
    shifted, plain = sequential(([[1.0]], [-1.0])), sequential(([[1.0]], [0.0]))
    line = sequential(([[1.0]], [1.0]), final_relu=False)
    for network, cell, gradient in ((shifted, True, True), (plain, False, False), (line, False, False)):
        for leaves, expected in (("cell", cell), ("gradient", gradient)):
            answer = root_leaves(network, [(-2, 2)], 0, rule="lrp0", leaves=leaves).ask()
            assert isinstance(answer, Found) == expected


def test_the_logit_is_above_the_threshold_strictly_and_x_in_the_closed_box():
    shifted = sequential(([[1.0]], [-1.0]))
    assert root_leaves(shifted, [(0, 2)], Q(1) - Q(1, 10**9), rule="lrp0").ask().points["x"] > (Q(2) - Q(1, 10**8),)
    assert not isinstance(root_leaves(shifted, [(0, 2)], 1, rule="lrp0").ask(), Found)


def test_numbers_are_read_and_written_exactly():
    line = sequential(([[1.0]], [-1.0]))
    shown = [
        (Q(1) + Q(1, 2**60), "1152921504606846977/1152921504606846976"),
        ("1/3", "1/3"),
        (0.5, "0.5"),
        (0.1, "3602879701896397/36028797018963968 (the float 0.1)"),
        (10**400, "1" + "0" * 400),
    ]
    for above, told in shown:
        asked = root_leaves(line, np.array([[0, 2]]), above, rule="lrp0", neuron=np.int64(0))
        assert f"above {told} has a lrp0 root" in asked.statement


def test_patterns_can_be_fixed_and_other_neurons_and_logits_asked_about():
    network = sequential(([[1, 0], [1, -1]], [1, 0]), ([[1, -1], [0, 2]], [0, 1]))
    asked = root_leaves(network, [(-3, 3)] * 2, 0, rule="zplus", neuron=1, logit=1, cell_of=[2, 1])
    found = asked.ask().points
    one = network.logit(1)
    home = cell_at(Slice(one, 0, {}), RATIONAL.lift([2, 1]))
    assert home.holds(RATIONAL.lift(found["x"]))
    assert found["root"] == dtdsym.roots(one, found["x"], "zplus", root="hinge")[1]


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6), rule=st.sampled_from(RULES), leaves=st.sampled_from(LEAVES))
def test_all_cells_one_by_one_answer_as_all_at_once(seed, rule, leaves):
    network, side = network_of(seed, (2, 2, 1)), [(-2, 2)] * 2
    given = {"rule": WRITTEN.get(rule, rule), "leaves": leaves}
    cells = dtdsym.arrangement(network, box=side, logit=0).cells
    try:
        whole = isinstance(root_leaves(network, side, 0, **given).ask(), Found)
    except NoRoot:
        return
    each = [isinstance(root_leaves(network, side, 0, cell_of=cell.point, **given).ask(), Found) for cell in cells]
    event(f"{leaves}: {whole}")
    assert any(each) == whole


@settings(max_examples=60)
@given(rule=st.sampled_from(["w2", "flat", "zplus", "gamma:1/4", "gamma:0", "x", "zbox:-2:2"]), data=st.data())
def test_every_rule_has_the_direction_that_its_family_has(rule, data):
    numbers = st.lists(st.integers(-4, 4).map(float), min_size=3, max_size=3)
    w, x = np.array(data.draw(numbers)), data.draw(numbers)
    own = parse_rule(rule)
    found = direction_of(own, w, 1.0)
    exact = own.family.direction(RATIONAL, RATIONAL.lift(w), RATIONAL.lift(x), *map(RATIONAL.lift, own.parameters))
    expected = fractions(exact + RATIONAL.lift(w) * 0)
    assert tuple(a * Q(n) + b for a, n, b in zip(found.alpha, x, found.beta, strict=True)) == expected


def test_what_is_not_asked_about_is_refused():
    network = network_of(1)
    with pytest.raises(RuleError, match="epsilon"):
        root_leaves(network, [(-1, 1)] * 2, 0, rule="epsilon")
    with pytest.raises(InputError, match="leaves"):
        root_leaves(network, [(-1, 1)] * 2, 0, leaves="region")
    for neuron in (7, -1, 1.0, "0", None):
        with pytest.raises(InputError, match=f"neuron {neuron!r} does not exist; the first layer has neurons 0 to 2"):
            root_leaves(network, [(-1, 1)] * 2, 0, neuron=neuron)
    for rule in (None, 5):
        with pytest.raises(RuleError, match=f"rule {rule}: expected a name such as zplus"):
            root_leaves(network, [(-1, 1)] * 2, 0, rule=rule)
    with pytest.raises(NotExact, match="above"):
        root_leaves(network, [(-1, 1)] * 2, "a")
    with pytest.raises(InputError, match="read it first"):
        root_leaves("net.pt", [(-1, 1)] * 2, 0)
    with pytest.raises(NoRoot):
        root_leaves(sequential(([[0.0]], [1.0])), [(-1, 1)], 0, rule="w2")


def test_where_the_neuron_is_constant_along_the_direction_there_is_no_root():
    """w = (1, -1), v = x: w.v = 0 at (1, 1), though w.x + b = 0 there too."""
    x = tuple(map(z3.Real, "ab"))
    _, needed = direction_of(parse_rule("x"), np.array([1.0, -1.0]), 0.0).root(x)
    for point, expected in (((1, 1), z3.unsat), ((2, 1), z3.sat)):
        solver = z3.Solver()
        solver.add(*needed, *equal(x, tuple(map(Q, point))))
        assert solver.check() == expected
