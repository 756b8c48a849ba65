"""Z3's answers against the house's geometry: each question on networks where the answer is known otherwise."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import strategies
import torch
import z3
from builders import conv_networks, convolve, points, pool
from hypothesis import event, given, settings
from hypothesis import strategies as st
from networks import SEPARATIONS

import dtdsym
from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.errors import BudgetSpent, InputError, NotExact, OnHinge, Unknown
from dtdsym.geometry.cell import cell_at
from dtdsym.lifts.properties import number
from dtdsym.lifts.question import Found, Question, Unsat
from dtdsym.lifts.questions import exists_in_box, exists_in_cell, exists_in_region, for_all_in_box, same_cell
from dtdsym.network.layers import Affine, Input, MaxPool
from dtdsym.network.network import Network, sequential
from dtdsym.network.slice import slice_at

Q = Fraction
ABS = sequential(([[1], [-1]], [0, 0]), ([[1, 1]], [0]), final_relu=False)


def yes(question) -> bool:
    """Whether Z3 finds a point; that it must fit the question is checked by the question itself."""
    answer = question.ask()
    assert isinstance(answer, Found | Unsat)
    return isinstance(answer, Found)


@pytest.mark.parametrize("name", SEPARATIONS)
def test_same_cell_in_the_table_of_places(name):
    example = SEPARATIONS[name]
    assert yes(same_cell(example.network, example.x, example.other)) == (example.place == "same_cell")


@settings(max_examples=60)
@given(data=st.data(), final=st.booleans())
def test_same_cell_is_what_geometry_says(data, final):
    network = sequential(*data.draw(strategies.layers()), final_relu=final)
    check_same_cell(network, data.draw(strategies.PLANE_POINTS), data.draw(strategies.PLANE_POINTS))


@settings(max_examples=30)
@given(data=st.data())
def test_same_cell_with_pools_and_skips(data):
    network = data.draw(conv_networks(sequence=(convolve, pool)))
    x = data.draw(points(network))
    near = [entry + data.draw(st.sampled_from([Q(0), Q(1, 8), Q(-1, 4)])) for entry in x]
    check_same_cell(network, x, data.draw(st.just(near) | points(network)))


def check_same_cell(network, x, other):
    function, at = slice_at(network, x)
    cell = cell_at(function, at)
    expected = not cell.hinged and cell.holds(RATIONAL.lift(other))
    event(f"same cell: {expected}")
    assert yes(same_cell(network, x, other)) == expected


def test_a_point_on_a_hinge_is_in_no_cell():
    network = sequential(([[1.0]], [0.0]))
    assert not yes(same_cell(network, [1], [0]))
    assert not yes(same_cell(network, [0], [0]))
    assert yes(same_cell(network, [1], [Q(1, 10**9)]))


def test_entries_that_tie_identically_divide_no_cell():
    network = pool_of([[1.0, 0.0], [1.0, 0.0]])
    assert yes(same_cell(network, [1, 0], [-1, 5]))
    assert not yes(exists_in_cell(network, [1, 0], lambda net: net.outputs[0] != net.inputs[0]))


def test_the_greatest_entry_of_a_window_is_a_choice():
    network = pool_of([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert yes(same_cell(network, [2, 1], [5, -7]))
    assert not yes(same_cell(network, [2, 1], [1, 2]))
    assert not yes(same_cell(network, [2, 1], [1, 1]))
    assert not yes(same_cell(network, [1, 1], [1, 1]))
    assert not yes(exists_in_cell(network, [2, 1], lambda net: net.inputs[1] >= net.inputs[0]))


def pool_of(rows):
    """The maximum of linear functions."""
    weight = np.array(rows)
    everything = np.arange(len(weight))[None]
    return Network((Input((2,)), Affine(weight, np.zeros(len(weight)), 0), MaxPool(everything, 1)))


@settings(max_examples=25)
@given(layers=strategies.layers(depths=(2, 3), widths=(1, 2, 3)), final=st.booleans(), share=st.fractions(-1, 2))
def test_a_box_has_values_above_a_bound_iff_a_vertex_of_a_cell_has(layers, final, share):
    network = sequential(*layers, final_relu=final)
    cells = dtdsym.arrangement(network, box=[(-2, 2), (-2, 2)]).cells
    values = sorted(network(vertex)[0] for cell in cells for vertex in cell.vertices)
    bound = values[0] + share * (values[-1] - values[0])
    for strict in (False, True):
        expected = values[-1] > bound if strict else values[-1] >= bound
        asked = exists_in_box(network, [(-2, 2)] * 2, lambda net: above(net, bound, strict))  # noqa: B023
        assert yes(asked) == expected
        assert yes(for_all_in_box(network, [(-2, 2)] * 2, lambda net: z3.Not(above(net, bound, strict)))) == expected  # noqa: B023


def above(net, bound, strict):
    return net.outputs[0] > bound if strict else net.outputs[0] >= bound


def test_boxes_are_closed_and_inequalities_as_strict_as_written():
    line = sequential(([[1.0]], [0.0]), final_relu=False)
    assert exists_in_box(line, [(0, 1)], lambda net: net.outputs[0] >= 1).ask().points == {"x": (1,)}
    assert not yes(exists_in_box(line, [(0, 1)], lambda net: net.outputs[0] > 1))
    assert not yes(for_all_in_box(line, [(0, 1)], lambda net: net.outputs[0] <= 1))
    assert for_all_in_box(line, [(0, 1)], lambda net: net.outputs[0] < 1).ask().points == {"x": (1,)}


def test_cells_are_open_and_regions_without_hinges():
    one, three = [Q(1)], lambda net: net.outputs[0] == 0
    assert not yes(exists_in_cell(ABS, one, three))
    assert yes(exists_in_cell(ABS, one, lambda net: net.outputs[0] < Q(1, 10**6)))
    assert not yes(exists_in_cell(ABS, one, lambda net: net.inputs[0] < 0))
    assert not yes(exists_in_cell(ABS, one, lambda net: net.outputs[0] > 3, box=[(-3, 3)]))
    assert yes(exists_in_cell(ABS, one, lambda net: net.outputs[0] >= 3, box=[(-3, 3)]))
    with pytest.raises(OnHinge):
        exists_in_cell(ABS, [0], three)
    with pytest.raises(OnHinge):
        exists_in_region(ABS, [0], three)


def test_a_region_has_all_of_its_cells():
    """[[x] - [-x] + 2]: 1 and -1 lie in two cells of one region; |x| keeps its two apart."""
    network = sequential(([[1], [-1]], [0, 0]), ([[1, -1]], [2]))
    assert yes(exists_in_region(network, [1], lambda net: net.inputs[0] < -1))
    assert not yes(exists_in_region(network, [1], lambda net: net.inputs[0] <= -2))
    assert not yes(exists_in_cell(network, [1], lambda net: net.inputs[0] < 0))
    assert not yes(exists_in_region(network, [1], lambda net: net.inputs[0] == 0))  # on the hinge between its cells
    assert not yes(exists_in_region(ABS, [1], lambda net: net.inputs[0] < 0))


@settings(max_examples=25)
@given(data=st.data())
def test_points_of_a_region_are_those_of_the_arrangement(data):
    """Each cell of the arrangement belongs to the region iff its inner point does."""
    network = sequential(*data.draw(strategies.layers(depths=(2,), widths=(2, 3))))
    x = data.draw(strategies.PLANE_POINTS)
    function, at = slice_at(network, x)
    if cell_at(function, at).hinged:
        return
    home = dtdsym.region(network, x)
    for cell in dtdsym.arrangement(network, box=[(-3, 3)] * 2, logit=0).cells[:6]:
        asked = exists_in_region(network, x, lambda net: z3.And(*(a == str(b) for a, b in zip(net.inputs, cell.point))))  # noqa: B023, B905
        assert yes(asked) == (cell.point in home)


@pytest.mark.parametrize("number", [2, 3])
def test_layers_above_the_first_are_asked_about_in_their_own_space(number):
    network = sequential(([[1, 0], [1, -1]], [3, 3]), ([[1, -1]], [0]), ([[2]], [1]))
    a = slice_at(network, [1, 1], layer=number)[1]
    shown = [Q(int(q.p), int(q.q)) for q in a]
    assert yes(same_cell(network, [1, 1], shown, layer=number))
    found = exists_in_cell(network, [1, 1], lambda net: net.outputs[0] > 100, layer=number).ask()
    assert len(found.points["x"]) == len(shown)


def test_products_of_outputs_are_nonlinear_and_irrational_points_do_not_pass():
    line = sequential(([[1.0]], [0.0]), final_relu=False)
    square = exists_in_box(line, [(0, 2)], lambda net: net.outputs[0] * net.outputs[0] == 2)
    assert square.logic == "QF_NRA"
    with pytest.raises(Unknown, match="irrational"):
        square.ask()
    assert yes(exists_in_box(line, [(0, 2)], lambda net: net.outputs[0] * net.outputs[0] > 2))


def test_what_exceeds_its_limits_says_so():
    network = dtdsym.load("examples/paper_mlp.pt")
    hard = exists_in_box(network, [(0, 1)] * 10, lambda net: net.outputs[0] > 100)
    with pytest.raises(Unknown, match=r"unknown .*larger budget"):
        hard.ask(steps=1000)
    with pytest.raises(BudgetSpent):
        hard.ask(dtdsym.Budget(seconds=0.01))


def test_a_wrong_model_does_not_pass():
    wrong = Question("nothing is right", {"x": (z3.Real("x"),)}, (z3.Real("x") > 0,), lambda points: False)
    with pytest.raises(AssertionError, match="please report"):
        wrong.ask()


@pytest.mark.parametrize(
    "foreign",
    [z3.Real("y") > 1, z3.Bool("y"), z3.Int("y") == 2, z3.Real("x_0") > 1, z3.Real("max_0") > 1],
    ids=["real", "flag", "whole", "an input's name", "a maximum's name"],
)
@pytest.mark.parametrize("ask", [exists_in_box, for_all_in_box])
def test_a_property_speaks_of_its_own_lift_alone(foreign, ask):
    with pytest.raises(InputError, match=r"the property speaks of (y|x_0|max_0); it may speak of the lift's own"):
        ask(ABS, [(0, 1)], lambda net: z3.And(net.outputs[0] >= 0, foreign))
    with pytest.raises(InputError, match="it may speak of the lift's own"):
        exists_in_cell(ABS, [1], lambda net: z3.Or(net.outputs[0] >= 0, foreign))


TRUTHS = {
    "and": lambda net: net.outputs[0] > 0 and net.inputs[0] > 0,
    "and of equations": lambda net: net.outputs[0] == 1 and net.inputs[0] > 2,
    "or of equations": lambda net: net.outputs[0] == 1 or net.inputs[0] > 2,
    "not": lambda net: not net.outputs[0] == 1,  # noqa: SIM201
    "a chain": lambda net: 0 < net.outputs[0] < 1,
    "if": lambda net: True if net.outputs[0] == 1 else net.inputs[0] > 2,
}


@pytest.mark.parametrize("name", TRUTHS)
def test_python_does_not_decide_what_z3_is_to_decide(name):
    with pytest.raises(InputError, match=r"asks Python whether .* is true.*write z3.And\(0 < y, y < 1\), z3.Or"):
        exists_in_box(ABS, [(0, 3)], TRUTHS[name])
    assert bool(z3.Real("x") == z3.Real("x"))  # as it was


NO_NUMBERS = {
    "nan": float("nan"),
    "infinity": float("inf"),
    "tensor": torch.tensor(1.0),
    "None": None,
    "list": [1],
    "text": "a",
}


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_constants_that_z3_cannot_read_are_refused(name):
    with pytest.raises(InputError, match=r"Z3 cannot read the property .*number\(value\)"):
        exists_in_box(ABS, [(0, 1)], lambda net: net.outputs[0] > NO_NUMBERS[name])


def test_floats_are_exact_through_number_and_decimals_without_it():
    """0.1 is a little above 1/10."""
    line = sequential(([[1.0]], [0.0]), final_relu=False)
    for written, exact in ((number(0.1), Q(0.1)), (0.1, Q(1, 10)), (number("1/10"), Q(1, 10))):
        assert exists_in_box(line, [(0, 1)], lambda net: net.outputs[0] == written).ask().points["x"] == (exact,)  # noqa: B023
    assert number(torch.tensor(0.5)).eq(number(np.float32(0.5)))
    with pytest.raises(NotExact, match="number"):
        number(float("nan"))


def test_whole_numbers_are_found_and_verified():
    line = sequential(([[0.5]], [0.25]), final_relu=False)
    found = exists_in_box(line, [(0, 2)], lambda net: z3.IsInt(net.outputs[0])).ask()
    assert found.points["x"] == (Q(3, 2),)


def test_no_limit_of_time_is_no_limit():
    asked = exists_in_box(ABS, [(0, 1)], lambda net: net.outputs[0] > Q(1, 2))
    for seconds in (float("inf"), 1e300, 10**9, Q(7, 2)):
        assert isinstance(asked.ask(dtdsym.Budget(seconds=seconds), steps=10**6), Found)


@pytest.mark.parametrize("steps", ["a", 1.5, 0, -1, 2**40])
def test_steps_are_counted(steps):
    asked = exists_in_box(ABS, [(0, 1)], lambda net: net.outputs[0] > Q(1, 2))
    with pytest.raises(InputError, match=rf"steps={steps!r}: give a whole number"):
        asked.ask(steps=steps)
    with pytest.raises(InputError, match="budget=1: give"):
        asked.ask(1)


def test_a_closed_box_may_be_a_point():
    assert exists_in_box(ABS, [(-2, -2)], lambda net: net.outputs[0] == 2).ask().points["x"] == (-2,)
    assert not yes(for_all_in_box(ABS, torch.tensor([[-2.0, -2.0]]), lambda net: net.outputs[0] == 2))


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"Z3 cannot read the property \(.*tuple.*compares inputs\[i\], outputs\[i\]"):
        exists_in_box(ABS, [(0, 1)], lambda net: net.outputs > 1)
    with pytest.raises(InputError, match=r"Z3 cannot read the property \(.*positional argument"):
        exists_in_box(ABS, [(0, 1)], lambda: True)
    with pytest.raises(InputError, match="expected a function"):
        exists_in_box(ABS, [(0, 1)], z3.BoolVal(True))
    with pytest.raises(InputError, match="that the lift does not have; it has 1 inputs, 1 outputs"):
        exists_in_box(ABS, [(0, 1)], lambda net: net.outputs[1] > 0)
    with pytest.raises(InputError, match="the network is a Linear; read it first"):
        exists_in_box(torch.nn.Linear(1, 1), [(0, 1)], lambda net: True)
    with pytest.raises(InputError, match="the network is a str; read it first"):
        same_cell("net.pt", [0], [1])
    with pytest.raises(InputError, match="box None"):
        exists_in_box(ABS, None, lambda net: True)
    with pytest.raises(InputError, match="Z3 formula"):
        exists_in_box(ABS, [(0, 1)], lambda net: net.outputs[0])
    with pytest.raises(InputError, match="box"):
        exists_in_box(ABS, [(0, 1)] * 2, lambda net: True)
    for true in (True, np.bool_(True), z3.BoolVal(True)):
        assert yes(exists_in_box(ABS, [(0, 1)], lambda net: true))  # noqa: B023
