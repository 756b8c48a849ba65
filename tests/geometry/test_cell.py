"""Cells and their forms: what a germ reads off is what the exact network does on the cell."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import layers

from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.cell import cell_at
from dtdsym.geometry.search import interior_point
from dtdsym.geometry.walk import breakpoints
from dtdsym.network.layers import Add, Affine, Input, Relu
from dtdsym.network.network import Network, sequential
from dtdsym.network.slice import slice_at

POINTS = st.lists(st.integers(-8, 8).map(lambda n: Fraction(n, 2)), min_size=3, max_size=3)
SMALL = st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0**-30, 3.0])


@st.composite
def residual_networks(draw, width: int = 3):
    """x -> [V ([W x + b] + x) + c] + (W x + b), cut to one logit by the caller; skips around and into the end."""

    def matrix(rows, columns):
        return np.array([[draw(SMALL) for _ in range(columns)] for _ in range(rows)])

    def offsets(rows):
        return np.array([draw(SMALL) for _ in range(rows)])

    return Network(
        (
            Input((width,)),
            Affine(matrix(width, width), offsets(width), 0, "inner"),
            Relu(1),
            Add(2, 0, "skip"),
            Affine(matrix(width, width), offsets(width), 3, "outer"),
            Relu(4),
            Add(5, 1, "last"),
        )
    )


def residual_oracle(network: Network, x: list[Fraction], logit: int) -> Fraction:
    """The same function with Fractions and loops."""

    def affine(node, a):
        rows = zip(node.weight.tolist(), node.bias.tolist(), strict=True)
        return [sum((Fraction(w) * v for w, v in zip(row, a, strict=True)), Fraction(b)) for row, b in rows]

    inner = affine(network.nodes[1], x)
    hidden = [max(z, Fraction(0)) + v for z, v in zip(inner, x, strict=True)]
    outer = affine(network.nodes[4], hidden)
    return max(outer[logit], Fraction(0)) + inner[logit]


@given(residual_networks(), POINTS, st.integers(0, 2))
@settings(max_examples=60)
def test_a_residual_network_is_exact_and_so_are_its_logits(network, x, logit):
    assert network(x)[logit] == residual_oracle(network, x, logit)
    assert network.logit(logit)(x) == (residual_oracle(network, x, logit),)


@given(residual_networks(), POINTS, st.integers(0, 2), st.integers(1, 2))
@settings(max_examples=60)
def test_on_its_cell_the_function_is_the_affine_piece_that_the_germ_reads_off(network, x, logit, layer):
    function, a = slice_at(network, x, logit=logit, layer=layer)
    cell = cell_at(function, a)
    inside = interior_point(cell, Budget().start())
    assert cell.holds(inside)
    assert cell.closure_holds(a)
    again = cell_at(function, inside)
    assert (again.pattern, again.gradient, again.hinged) == (cell.pattern, cell.gradient, ())
    other = (inside + a) / 2
    change = function(inside) - function(other)
    assert fractions(np.array([change]))[0] == sum(
        g * s for g, s in zip(cell.gradient, fractions(inside - other), strict=True)
    )


def test_f_l_keeps_what_a_skip_carries_past_the_layer_constant():
    one = np.ones((1, 1))
    network = Network(
        (Input((1,)), Affine(one, np.zeros(1), 0), Relu(1), Affine(2 * one, np.zeros(1), 2), Add(3, 0)),
    )
    function, a = slice_at(network, [3], layer=2)
    assert fractions(np.array([function(a)])) == (9,)
    assert fractions(np.array([function(RATIONAL.lift([5]))])) == (13,)
    whole, x = slice_at(network, [3], layer=1)
    assert cell_at(whole, x).gradient == (3,)
    assert cell_at(function, a).gradient == (2,)


@given(layers(inputs=3), POINTS, POINTS)
@settings(max_examples=60)
def test_between_breakpoints_the_network_is_affine_along_the_segment(pairs, start, end):
    assume(start != end)
    network = sequential(*pairs)
    function, a = slice_at(network, start)
    b = RATIONAL.lift(end)
    stops = [Fraction(int(t.p), int(t.q)) for t in breakpoints(function, a, b)]
    assert stops == sorted(set(stops))
    assert all(0 < t < 1 for t in stops)
    for low, high in zip([Fraction(0), *stops], [*stops, Fraction(1)], strict=True):
        values = [network(along(start, end, low + share * (high - low)))[0] for share in (0, Fraction(1, 3), 1)]
        assert values[1] == values[0] + (values[2] - values[0]) / 3


def along(start, end, t):
    return [p + t * (q - p) for p, q in zip(start, end, strict=True)]


def test_a_budget_needs_a_positive_bound():
    with pytest.raises(Exception, match="budget of 0 seconds"):
        Budget(seconds=0)
