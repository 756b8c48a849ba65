"""The greatest output on a box: at a corner of a cell of the arrangement, as Z3 says too; its leaves prove it, and no
other."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
import z3
from builders import at_points, conv_networks
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from networks import sequential
from strategies import layers

import dtdsym
from dtdsym.errors import BudgetSpent, InputError, NotExact, ShapeMismatch
from dtdsym.geometry.maximum import Exceeds, Leaf, Maximum, NeverExceeds, check

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
BOX = [(-2, 3), (-1, 2)]


def greatest(network, box) -> Fraction:
    """The greatest output on the plane's box: an affine function on a cell is greatest at one of its vertices."""
    cells = dtdsym.arrangement(network, box=box).cells
    return max(network(vertex)[0] for cell in cells for vertex in cell.vertices)


def above(pairs, box, threshold, final_relu) -> bool:
    """Whether Z3 finds a point with a greater output."""
    x = z3.Reals("x y")
    value = list(x)
    for number, (weight, bias) in enumerate(pairs, start=1):
        value = [z3.Sum([exact(w) * v for w, v in zip(row, value, strict=True)]) + exact(b)
                 for row, b in zip(weight, bias, strict=True)]  # fmt: skip
        if final_relu or number < len(pairs):
            value = [z3.If(v > 0, v, 0) for v in value]
    solver = z3.Solver()
    solver.add(*(z3.And(low <= v, v <= high) for v, (low, high) in zip(x, box, strict=True)))
    solver.add(value[0] > exact(threshold))
    return solver.check() == z3.sat


def exact(number):
    ratio = Fraction(number)
    return z3.Q(ratio.numerator, ratio.denominator)


@SLOW
@given(pairs=layers(), final_relu=st.booleans())
def test_the_maximum_is_the_greatest_value_at_a_vertex(pairs, final_relu):
    network = sequential(*pairs, final_relu=final_relu)
    found = dtdsym.maximum(network, BOX)
    assert found.value == greatest(network, BOX) == network(found.point)[0]
    check(network, BOX, found)
    assert not above(pairs, BOX, found.value, final_relu)


@SLOW
@given(pairs=layers(), share=st.fractions(-2, 2, max_denominator=7))
def test_thresholds_are_exceeded_where_z3_finds_a_point(pairs, share):
    network = sequential(*pairs)
    threshold = greatest(network, BOX) * share
    found = dtdsym.exceeds(network, BOX, threshold)
    assert isinstance(found, Exceeds) == above(pairs, BOX, threshold, True)
    if isinstance(found, Exceeds):
        assert network(found.point)[0] == found.value > threshold
        assert all(low <= p <= high for p, (low, high) in zip(found.point, BOX, strict=True))
    else:
        check(network, BOX, found)


@SLOW
@given(case=at_points(conv_networks()))
def test_no_point_of_any_architecture_is_above_the_maximum(case):
    """Convolutions, pools, skips, concatenations, batch normalisation, by points of the box."""
    network, point = case
    box = [(p - Fraction(1, 4), p + Fraction(1, 4)) for p in point]
    try:
        found = dtdsym.maximum(network, box, budget=dtdsym.Budget(cells=60))
    except BudgetSpent:
        assume(False)
    check(network, box, found)
    assert network(point)[0] <= found.value == network(found.point)[0]


def test_a_pool_of_raw_inputs():
    module = torch.nn.Sequential(torch.nn.MaxPool1d(2), torch.nn.Flatten(), torch.nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        module[2].weight.fill_(1.0)
    network, box = dtdsym.from_module(module, torch.zeros(1, 1, 4)), [(0, 1), (0, 2), (-1, 1), (0, 5)]
    found = dtdsym.maximum(network, box)
    assert found.value == 2 + 5
    check(network, box, found)


HAT = sequential(([[1.0], [1.0], [1.0]], [0.0, -1.0, -2.0]), ([[1.0, -2.0, 1.0]], [0.0]))
"""0 up to 0, up to 1 at 1, down to 0 at 2."""


def test_a_maximum_inside_the_box_is_found_and_thresholds_are_strict():
    found = dtdsym.maximum(HAT, [(-4, 4)])
    assert (found.point, found.value) == ((1,), 1)
    assert isinstance(dtdsym.exceeds(HAT, [(-4, 4)], 1), NeverExceeds)
    assert isinstance(dtdsym.exceeds(HAT, [(-4, 4)], Fraction(999, 1000)), Exceeds)


def test_a_box_may_be_a_point_and_outputs_may_be_combined():
    assert dtdsym.maximum(HAT, [(1, 1)]).value == 1
    two = sequential(([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]))
    assert dtdsym.maximum(two, [(-1, 2)], factors=[1, -3]).value == 2
    assert dtdsym.maximum(two, [(-1, 2)], factors=[-1, 3]).value == 3
    assert dtdsym.maximum(two, [(-1, 2)], logit=1).value == 1


def times(leaf: Leaf, factor: int) -> Leaf:
    return replace(leaf, multipliers=tuple(factor * y for y in leaf.multipliers))


FOUND = dtdsym.maximum(HAT, [(-4, 4)])


@pytest.mark.parametrize(
    "planted",
    [
        replace(FOUND, value=Fraction(1, 2), point=(Fraction(1, 2),)),
        replace(FOUND, value=Fraction(2)),
        replace(FOUND, point=(Fraction(5),), value=Fraction(0)),
        replace(FOUND, leaves=FOUND.leaves[1:]),
        replace(FOUND, leaves=()),
        replace(FOUND, leaves=tuple(replace(leaf, phases=((0, 1), *leaf.phases)) for leaf in FOUND.leaves)),
        replace(FOUND, leaves=tuple(replace(leaf, share=0) for leaf in FOUND.leaves)),
        replace(FOUND, leaves=tuple(replace(leaf, share=2) for leaf in FOUND.leaves)),
        replace(FOUND, leaves=tuple(times(leaf, 0) for leaf in FOUND.leaves)),
        replace(FOUND, leaves=tuple(times(leaf, -1) for leaf in FOUND.leaves)),
        replace(FOUND, leaves=tuple(replace(leaf, multipliers=leaf.multipliers[1:]) for leaf in FOUND.leaves)),
    ],
)  # fmt: skip
def test_planted_flaws_are_refused(planted):
    check(HAT, [(-4, 4)], FOUND)
    with pytest.raises(ArithmeticError):
        check(HAT, [(-4, 4)], planted)


TINY = Fraction(1, 2**60)
SUM = sequential(([[1.0, 0.0]], [2.0**-60]), final_relu=False)
"""x_1 + 2^-60: at most 1 + 2^-60 on the unit square, which no float is."""
SQUARE = [(0, 1), (0, 1)]
TOP = dtdsym.maximum(SUM, SQUARE)


@pytest.mark.parametrize(
    "false",
    [
        NeverExceeds(1.0, TOP.leaves),
        NeverExceeds(1, TOP.leaves),
        NeverExceeds(np.float64(1), TOP.leaves),
        NeverExceeds(1.0, tuple(replace(leaf, share=float(leaf.share)) for leaf in TOP.leaves)),
        NeverExceeds(1, tuple(replace(leaf, multipliers=tuple(map(float, leaf.multipliers))) for leaf in TOP.leaves)),
        Maximum((1 - TINY, Fraction(0)), Fraction(1), TOP.leaves),
        Maximum((1 - TINY, Fraction(0)), 1.0, TOP.leaves),
        Maximum((1.0, 0.0), 1.0, TOP.leaves),
        Maximum((1,), 1 + TINY, TOP.leaves),
        Exceeds((1, 0), 1 + TINY, 1 + TINY),
        Exceeds((1, 0), 1.0, 0),
        Exceeds((2, 0), 2 + TINY, 1),
        Exceeds((1, 0, 0), 1 + TINY, 1),
        Maximum(None, 1 + TINY, TOP.leaves),
        NeverExceeds(2, None),
        NeverExceeds(2, (5,)),
    ],
)
def test_numbers_of_a_certificate_are_read_exactly(false):
    with pytest.raises(ArithmeticError):
        check(SUM, SQUARE, false)


def test_true_certificates_in_other_numbers_pass():
    check(SUM, SQUARE, TOP)
    check(SUM, SQUARE, replace(TOP, point=(1.0, float(TOP.point[1]))))
    check(SUM, SQUARE, NeverExceeds(1 + 2.0**-52, TOP.leaves))
    for threshold in (1, "1/3", 0.25, np.float32(0.5), torch.tensor(0.5)):
        found = dtdsym.exceeds(SUM, SQUARE, threshold)
        assert isinstance(found, Exceeds)
        check(SUM, SQUARE, found)


@pytest.mark.parametrize("planted", [float("nan"), "1", None])
def test_what_is_no_number_proves_nothing(planted):
    with pytest.raises(NotExact):
        check(SUM, SQUARE, NeverExceeds(planted, TOP.leaves))
    with pytest.raises(InputError, match="no outcome"):
        check(SUM, SQUARE, planted)


def test_what_is_known_when_the_budget_is_spent_is_kept(repository):
    network = dtdsym.load(str(repository / "examples" / "paper_mlp.pt"))
    for cells, known in ((5, True), (1, True)):
        with pytest.raises(BudgetSpent) as spent:
            dtdsym.maximum(network, [(-1, 1)] * 10, budget=dtdsym.Budget(cells=cells))
        found = spent.value.so_far
        assert network(found.point)[0] == found.value
        assert (found.bound is not None) == known
        assert found.value < found.bound
    with pytest.raises(BudgetSpent) as spent:
        dtdsym.exceeds(network, [(-1, 1)] * 10, 10**6, budget=dtdsym.Budget(seconds=1e-9))
    assert (spent.value.so_far.point, spent.value.so_far.bound) == ((-1,) * 10, None)


def test_boxes_and_thresholds_come_in_numbers_of_any_kind():
    boxes = [
        torch.tensor([[0.0, 1.0], [0.0, 1.0]]),
        np.array(SQUARE),
        [("0", "2/2"), [0, 1.0]],
        (side for side in SQUARE),
    ]
    assert {dtdsym.maximum(SUM, box).value for box in boxes} == {1 + TINY}
    assert dtdsym.exceeds(SUM, SQUARE, "4/3").threshold == Fraction(4, 3)
    assert dtdsym.maximum(SUM, SQUARE, budget=dtdsym.Budget(seconds=float("inf"))) == TOP


def test_leaves_of_a_smaller_box_prove_nothing_about_a_larger_one():
    small = dtdsym.maximum(HAT, [(Fraction(-1), Fraction(1, 2))])
    assert isinstance(small, Maximum)
    with pytest.raises(ArithmeticError):
        check(HAT, [(-4, 4)], small)


@pytest.mark.parametrize(
    ("box", "more", "message"),
    [
        ([(0, 1)] * 3, {}, "the box has 3 sides; give 2"),
        ([(1, 0), (0, 1)], {}, "side 1 of the box is from 1 to 0; give the lower bound first"),
        ([(0, 1, 2), (0, 1)], {}, r"side 1 of the box is \(0, 1, 2\); give \(low, high\)"),
        ([(0, 1), (0, (1, 2))], {}, r"side 2 of the box: \(1, 2\): expected finite"),
        ([0, 1], {}, "side 1 of the box is 0; give"),
        ("ab", {}, "side 1 of the box is 'a'; give"),
        (None, {}, "box None: give"),
        (5, {}, "box 5: give"),
        ([(0, 1), (0, float("nan"))], {}, "side 2 of the box: nan"),
        (SQUARE, {"logit": 3}, "logit 3 does not exist"),
        (SQUARE, {"factors": [1, 2]}, r"factors has shape \(2,\); expected \(1,\), one factor for each output"),
        (SQUARE, {"factors": [1], "logit": 0}, "logit=0 and factors=: give one of the two"),
        (SQUARE, {"budget": 1}, r"budget=1: give dtdsym.Budget\(seconds="),
        (SQUARE, {"budget": 0}, "budget=0: give"),
    ],
)
def test_questions_that_do_not_fit_are_refused(box, more, message):
    with pytest.raises((InputError, ShapeMismatch, NotExact), match=message):
        dtdsym.maximum(sequential(([[1.0, 2.0]], [0.0])), box, **more)


@pytest.mark.parametrize("threshold", ["a", None, float("inf"), [1, 2], torch.tensor([1.0, 2.0])])
def test_thresholds_that_are_no_number_are_refused(threshold):
    with pytest.raises(NotExact, match="threshold"):
        dtdsym.exceeds(SUM, SQUARE, threshold)


def test_what_is_no_network_is_told_how_to_be_one():
    with pytest.raises(InputError, match=r"the network is a Linear; read it first: dtdsym.from_module"):
        dtdsym.maximum(torch.nn.Linear(2, 1), SQUARE)
    with pytest.raises(InputError, match=r"the network is a str; read it first: dtdsym.load"):
        dtdsym.maximum("net.pt", SQUARE)


def test_a_budget_ends_the_search(repository):
    network = dtdsym.load(str(repository / "examples" / "paper_mlp.pt"))
    with pytest.raises(BudgetSpent, match="5 cells"):
        dtdsym.maximum(network, [(-1, 1)] * 10, budget=dtdsym.Budget(cells=5))


def test_what_defeats_z3_on_the_papers_network_is_decided(repository):
    """No input of the box has a larger output; an input that has, if one is asked for less."""
    network, box = dtdsym.load(str(repository / "examples" / "paper_mlp.pt")), [(0, 1)] * 10
    found = dtdsym.maximum(network, box)
    check(network, box, found)
    assert isinstance(dtdsym.exceeds(network, box, found.value), NeverExceeds)
    assert isinstance(dtdsym.exceeds(network, box, found.value - Fraction(1, 10**6)), Exceeds)
