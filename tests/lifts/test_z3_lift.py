"""The lift to Z3 is the exact network: at rational points its only outputs are network(x)."""

from __future__ import annotations

from fractions import Fraction

import pytest
import strategies
import z3
from builders import at_points, conv_networks, convolve, normalise, points, pool, residual
from hypothesis import given, settings
from hypothesis import strategies as st

import dtdsym
from dtdsym.arithmetic.smt import Smt, fraction_of, numeral
from dtdsym.geometry.cell import cell_at
from dtdsym.lifts.derivatives import tangents
from dtdsym.lifts.questions import equal
from dtdsym.network.network import sequential
from dtdsym.network.slice import slice_at


def solver(lift, point):
    found = z3.SolverFor("QF_LRA")
    found.add(*lift.constraints, *equal(lift.inputs, point))
    return found


def check_outputs(network, point):
    """The constraints leave the outputs one value each, the exact one."""
    lift, exact = dtdsym.to_z3(network), network(point)
    asked = solver(lift, point)
    assert asked.check() == z3.sat
    assert tuple(fraction_of(asked.model().eval(term, model_completion=True)) for term in lift.outputs) == exact
    asked.add(z3.Or([term != numeral(value) for term, value in zip(lift.outputs, exact, strict=True)]))
    assert asked.check() == z3.unsat


@settings(max_examples=60)
@given(layers=strategies.layers(), final=st.booleans(), point=strategies.PLANE_POINTS)
def test_outputs_of_degenerate_networks(layers, final, point):
    check_outputs(sequential(*layers, final_relu=final), point)


@settings(max_examples=25)
@given(drawn=at_points(conv_networks(outputs=2)))
def test_outputs_of_convolutional_networks(drawn):
    check_outputs(*drawn)


@pytest.mark.parametrize("step", [pool, residual, normalise])
def test_outputs_through_each_kind_of_node(step):
    @settings(max_examples=8)
    @given(drawn=at_points(conv_networks(sequence=(residual, step))))
    def check(drawn):
        check_outputs(*drawn)

    check()


@settings(max_examples=25)
@given(data=st.data())
def test_at_a_point_every_node_is_a_numeral(data):
    network = data.draw(conv_networks())
    point = data.draw(points(network))
    found = dtdsym.to_z3(network).at(point)
    assert tuple(map(fraction_of, found.outputs)) == network(point)
    assert found.constraints == ()


@settings(max_examples=40)
@given(data=st.data())
def test_derivatives_are_the_gradient_of_the_cell(data):
    plain = strategies.layers().map(lambda layers: sequential(*layers))
    network = data.draw(plain | conv_networks(sequence=(convolve,)))
    function, at = slice_at(network, data.draw(points(network)))
    cell = cell_at(function, at)
    if cell.hinged:
        return
    lift = dtdsym.to_z3(network)
    slopes = tangents(lift)[len(network.nodes) - 1][:, 0]
    asked = solver(lift, [Fraction(int(q.p), int(q.q)) for q in at])
    assert asked.check() == z3.sat
    found = [fraction_of(asked.model().eval(slope, model_completion=True)) for slope in slopes]
    assert tuple(found) == cell.gradient


def test_weights_may_be_unknown_and_two_lifts_may_stand_in_one_question():
    network = sequential(([[0.0]], [0.0]))
    weight = z3.Real("w")
    smt = Smt({id(network.nodes[1].weight): smt_array(weight)})
    out = smt.relu(smt.affine(network.nodes[1].weight, network.nodes[1].bias, smt.lift([3])))[0]
    asked = z3.Solver()
    asked.add(*smt.constraints, out == 6)
    assert asked.check() == z3.sat
    assert fraction_of(asked.model()[weight]) == 2
    one, two = (dtdsym.to_z3(network, prefix=prefix) for prefix in ("a.", "b."))
    assert {str(one.inputs[0]), str(two.inputs[0])} == {"a.x_0", "b.x_0"}
    assert str(one.outputs[0]) != str(two.outputs[0])


def smt_array(term):
    out = Smt().lift([[0]])
    out[0, 0] = term
    return out


def test_long_numbers_are_read_back_whole():
    number = Fraction(3**12000, 2**13000)
    assert fraction_of(numeral(number)) == number
