"""Convolutions in every arithmetic against five loops over Fractions; first maxima against their definition."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import inf

import numpy as np
import pytest
import torch
from enclosure_oracle import ETA, enclosed, frozen, holds, known, points
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure, exact
from dtdsym.arithmetic.germ import GERM, germ, lexicographic_sign, margins, values
from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.arithmetic.rounding import BoundedLayer
from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.arithmetic.windows import Windows, convolve, convolve_back, inverse_index
from dtdsym.errors import ShapeMismatch

HALVES = st.integers(-6, 6).map(lambda n: n / 2)


@st.composite
def convolutions(draw):
    """(weight, bias, windows) with one or two spatial dimensions, paddings of two sides, groups."""
    spatial, groups = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    shape = (groups * draw(st.integers(1, 2)), *(draw(st.integers(1, 4)) for _ in range(spatial)))
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 1))) for _ in range(spatial))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(spatial))
    room = [n + low + high for n, (low, high) in zip(shape[1:], padding, strict=True)]
    kernel = tuple(draw(st.integers(1, min(3, (n - 1) // d + 1))) for n, d in zip(room, dilation, strict=True))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(spatial))
    out = groups * draw(st.integers(1, 2))
    sizes = (out, shape[0] // groups, *kernel)
    weight = draw(st.lists(HALVES, min_size=int(np.prod(sizes)), max_size=int(np.prod(sizes))))
    bias = draw(st.lists(HALVES, min_size=out, max_size=out))
    made = Windows(shape, kernel, stride, padding, dilation, groups)
    return frozen(np.array(weight).reshape(sizes)), frozen(bias), made


def entries(convolution, numbers):
    size = convolution[2].size
    return st.lists(numbers, min_size=size, max_size=size)


def five_loops(weight, bias, w, x):
    """Output channel, position, input channel of the group, kernel place: sums of Fractions; and of which products."""
    grid = dict(zip(product(*map(range, w.shape)), x, strict=True))
    each, inner = len(weight) // w.groups, w.shape[0] // w.groups
    out, terms = [], []
    for o in range(len(weight)):
        for position in product(*map(range, w.positions)):
            factors = []
            for c in range(inner):
                for k in product(*map(range, w.kernel)):
                    sides = zip(position, w.stride, w.padding, k, w.dilation, strict=True)
                    at = tuple(p * s - low + ki * d for p, s, (low, _), ki, d in sides)
                    factors.append((Fraction(weight[(o, c, *k)]), grid.get((o // each * inner + c, *at), 0)))
            out.append(sum((v * n for v, n in factors), Fraction(bias[o])))
            terms.append(factors)
    return out, terms


def batch(value):
    return value.reshape(1, -1)


# All arithmetics


@settings(max_examples=60)
@given(data=st.data(), convolution=convolutions())
def test_every_arithmetic_convolves_as_five_loops_do(data, convolution):
    weight, bias, w = convolution
    x = data.draw(entries(convolution, HALVES.map(Fraction)))
    truth, _ = five_loops(*convolution, x)
    point = RATIONAL.lift(x)
    floats = torch.tensor([float(number) for number in x], dtype=torch.float64)
    assert list(fractions(RATIONAL.convolve(weight, bias, w, point))) == truth
    assert list(fractions(convolve(RATIONAL, weight, bias, w, point))) == truth
    assert TENSOR.convolve(weight, bias, w, floats[None])[0].tolist() == truth
    holds(ENCLOSURE.convolve(weight, bias, w, exact(floats[None])), truth)
    rows = GERM.convolve(weight, bias, w, germ(point))
    forms = [[Fraction(int(entry), int(rows.unit)) for entry in row[1:]] for row in rows.rows()]
    at_x = [sum(a * b for a, b in zip(form[:-1], x, strict=True)) + form[-1] for form in forms]
    assert at_x == truth
    starts = [Fraction(int(row[0]), int(rows.matrix.tolist()[-1][0])) for row in rows.rows()]
    assert starts == truth


@settings(max_examples=60)
@given(data=st.data(), convolution=convolutions())
def test_what_goes_back_is_the_transpose_in_every_arithmetic(data, convolution):
    """<W x, y> = <x, W^T y>, with y a unit vector: the whole matrix; and for any y."""
    weight, bias, w = convolution
    out = len(weight) * int(np.prod(w.positions))
    y = data.draw(st.lists(HALVES.map(Fraction), min_size=out, max_size=out))
    x = data.draw(entries(convolution, HALVES.map(Fraction)))
    image, _ = five_loops(weight, np.zeros(len(weight)), w, x)
    back = fractions(RATIONAL.convolve_back(weight, bias, w, RATIONAL.lift(y)))
    assert sum(a * b for a, b in zip(image, y, strict=True)) == sum(a * b for a, b in zip(x, back, strict=True))
    units = np.eye(w.size)
    columns = [five_loops(weight, np.zeros(len(weight)), w, map(Fraction, unit))[0] for unit in units]
    truth = [sum(a * b for a, b in zip(column, y, strict=True)) for column in columns]
    assert list(back) == truth
    floats = torch.tensor([[float(number) for number in y]], dtype=torch.float64)
    assert TENSOR.convolve_back(weight, bias, w, floats)[0].tolist() == truth
    holds(ENCLOSURE.convolve_back(weight, bias, w, exact(floats)), truth)
    assert convolve_back(TENSOR, weight, bias, w, floats)[0].tolist() == truth


@settings(max_examples=40)
@given(index=st.lists(st.lists(st.integers(-1, 4), min_size=2, max_size=2), min_size=1, max_size=4))
def test_the_inverse_index_lists_every_place_once(index):
    found = inverse_index(np.array(index), 5)
    flat = [place for row in index for place in row]
    assert [sorted(row[row >= 0].tolist()) for row in found] == [
        [i for i, place in enumerate(flat) if place == entry] for entry in range(5)
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((3, 4), (1,), (1,), ((0, 0),), (1,), 2), "2 groups do not fit"),
        (((3, 4), (1, 1), (1,), ((0, 0),), (1,)), "do not fit"),
        (((3, 4), (3,), (1,), ((0, 0),), (2,)), "larger than the padded value"),
    ],
)
def test_windows_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ShapeMismatch, match=message):
        Windows(*arguments)


# Enclosures at every magnitude

WILD = st.one_of(
    HALVES, st.sampled_from([0.0, -0.0, ETA, -ETA, 2.0**-1022, 2.0**-537, 2.0**512, 1e308, -1e308, 0.1]),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip


@settings(max_examples=150)
@given(data=st.data(), convolution=convolutions())
def test_enclosed_convolutions_hold_the_exact_ones_at_every_magnitude(data, convolution):
    weight, bias, w = convolution
    number = st.just(0.0) if data.draw(st.booleans()) else WILD
    weight = frozen([data.draw(WILD) for _ in weight.flat]).reshape(weight.shape)
    bias = frozen([data.draw(number) for _ in bias])
    value, truths = enclosed(data.draw(entries(convolution, known())))
    truth, _ = five_loops(weight, bias, w, truths)
    made = ENCLOSURE.convolve(weight, bias, w, batch(value))
    holds(made, truth)
    for (mid, rad), number in zip(pairs(made), truth, strict=True):
        assert rad != 0 or Fraction(mid) == number


@settings(max_examples=80)
@given(data=st.data(), convolution=convolutions())
def test_an_output_all_of_whose_products_are_exact_zeros_is_its_bias_exactly(data, convolution):
    """Beside unknown, huge and inexact inputs, which meet weights that are 0; near 2^-1000 nothing is promised."""
    weight, bias, w = convolution
    sides = st.sampled_from(
        [(0.0, 0.0), (0.0, 0.0), (1.0, 0.0), (0.5, 0.25), (0.0, inf), (1e300, 1e290), (2.0**-300, 0.0)]
    )
    drawn = data.draw(entries(convolution, sides))
    value, _ = enclosed([(mid, rad, 0) for mid, rad in drawn])
    made = ENCLOSURE.convolve(weight, bias, w, batch(value))
    _, terms = five_loops(weight, bias, w, [Fraction(mid != 0 or rad != 0) for mid, rad in drawn])
    offsets = np.repeat(bias, len(terms) // len(bias))
    for (mid, rad), factors, offset in zip(pairs(made), terms, offsets, strict=True):
        nothing = all(v == 0 or n == 0 for v, n in factors)
        assert (mid == offset and rad == 0) or not nothing


def underflow(weight, mid, rad, bias=0.0):
    """One affine map of a single number, whose product is not 0 though float64's may be."""
    layer = BoundedLayer.of(np.array([[weight]]), np.array([bias]), torch.device("cpu"))
    made, bound = layer(torch.tensor([[mid]], dtype=torch.float64), torch.tensor([[rad]], dtype=torch.float64))
    for end in (-1, 1):
        truth = Fraction(weight) * (Fraction(mid) + end * Fraction(rad)) + Fraction(bias)
        assert abs(Fraction(made.item()) - truth) <= Fraction(bound.item())


EXPONENTS = st.sampled_from([-1074, -1073, -1070, -1024, -1022, -1021, -1020, -950, -600, -540, -537, -500, -60, -1, 0])
TINIES = st.builds(lambda e, sign: sign * 2.0**e, EXPONENTS, st.sampled_from([1, -1, 0]))


@settings(max_examples=400)
@given(weight=TINIES, mid=TINIES, rad=TINIES.map(abs), bias=st.sampled_from([0.0, 1.0, ETA]))
@example(weight=2.0**-600, mid=2.0**-600, rad=0.0, bias=0.0)
@example(weight=2.0**-600, mid=0.0, rad=2.0**-600, bias=1.0)
@example(weight=1.0, mid=ETA, rad=0.0, bias=0.0)
@example(weight=2.0**-540, mid=2.0**-1022, rad=0.0, bias=0.0)
def test_underflow_never_gives_a_wrong_exact_zero(weight, mid, rad, bias):
    underflow(weight, mid, rad, bias)


@settings(max_examples=200)
@given(data=st.data(), width=st.integers(1, 5), rows=st.integers(1, 3))
def test_nor_does_it_beside_other_rows_and_inputs(data, width, rows):
    """A row of ordinary weights and an unknown input must not hide the underflow of another."""
    numbers = st.sampled_from([0.0, 1.0, -2.0, 1e300]) | TINIES
    weight = np.array([[data.draw(numbers) for _ in range(width)] for _ in range(rows)])
    some = [(data.draw(numbers), data.draw(st.sampled_from([0.0, inf, 1.0]) | TINIES.map(abs))) for _ in range(width)]
    value, _ = enclosed([(mid, rad, 0) for mid, rad in some])
    made = ENCLOSURE.affine(weight, np.zeros(rows), value)
    for place in (-1, 0, 1):
        truths = [Fraction(mid) + place * (10**400 if rad == inf else Fraction(rad)) for mid, rad in some]
        holds(made, [sum(Fraction(w) * t for w, t in zip(row, truths, strict=True)) for row in weight.tolist()])


def test_the_guard_against_underflow_is_needed(monkeypatch):
    underflow(2.0**-600, 2.0**-600, 0.0)
    monkeypatch.setattr(BoundedLayer, "_may_underflow", lambda _, mid, rad: torch.zeros(len(mid), 1, dtype=torch.bool))
    with pytest.raises(AssertionError):
        underflow(2.0**-600, 2.0**-600, 0.0)


def pairs(value):
    return list(zip(value.mid.flatten().tolist(), value.rad.flatten().tolist(), strict=True))


# First maxima


def first(numbers):
    return [number == max(numbers) and number not in numbers[:place] for place, number in enumerate(numbers)]


@settings(max_examples=100)
@given(numbers=st.lists(st.sampled_from([-1.0, 0.0, -0.0, 0.5, 2.0, 2.0, 1e308, -1e308]), min_size=1, max_size=6))
def test_the_first_of_equal_maxima_wins_in_every_arithmetic(numbers):
    truth = first(numbers)
    assert RATIONAL.first_maximum(RATIONAL.lift([numbers])).tolist() == [truth]
    assert TENSOR.first_maximum(torch.tensor([numbers], dtype=torch.float64)).tolist() == [truth]
    made = ENCLOSURE.first_maximum(points(*numbers))
    assert made.mid.tolist() == [float(wins) for wins in truth]
    assert not made.rad.any()
    start = RATIONAL.lift(numbers)
    reached = [values([row[1:]], start)[0] for row in germ(start).rows()]
    _, winners = margins(germ(start), np.array([range(len(numbers))]))
    assert reached[winners[0]] == max(reached)


def test_a_germ_breaks_ties_by_its_direction_and_repeats_by_the_first():
    point, direction = RATIONAL.lift([1, 1, 0]), RATIONAL.lift([0, 1, 0])
    found, winners = margins(germ(point, direction), np.array([[0, 1], [2, 0], [0, 0], [1, 1]]))
    assert winners.tolist() == [1, 1, 0, 0]
    assert all(lexicographic_sign(row) >= 0 for row in found.rows())


@settings(max_examples=200)
@given(entries=st.lists(known(), min_size=1, max_size=5))
def test_an_enclosed_first_maximum_holds_the_true_one_wherever_the_values_are(entries):
    value, truths = enclosed(entries)
    made = ENCLOSURE.first_maximum(value)
    holds(made, [Fraction(wins) for wins in first(truths)])
    assert set(pairs(made)) <= {(0.0, 0.0), (1.0, 0.0), (0.5, 0.5)}


@settings(max_examples=100)
@given(sides=st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2)), min_size=1, max_size=4))
def test_an_enclosed_first_maximum_is_open_only_where_it_depends_on_the_values(sides):
    """The corners of the box, with its middles: an entry that wins at all of them does so for certain, and so on."""
    value = Enclosure(*(torch.tensor([float(side[i]) for side in sides], dtype=torch.float64) for i in (0, 1)))
    corners = product(*[[mid - rad, mid + rad] for mid, rad in sides])
    outcomes = [set(column) for column in zip(*map(first, corners), strict=True)]
    assert [rad == 0 for _, rad in pairs(ENCLOSURE.first_maximum(value))] == [len(found) == 1 for found in outcomes]


@settings(max_examples=80)
@given(data=st.data(), convolution=convolutions())
def test_windows_that_are_asked_for_see_what_the_index_says(data, convolution):
    """Any of them, in any order, more than once, and none."""
    w = convolution[2]
    pairs = st.tuples(st.integers(0, w.groups - 1), st.integers(0, int(np.prod(w.positions)) - 1))
    asked = data.draw(st.lists(pairs, max_size=6))
    groups, positions = (np.array([pair[side] for pair in asked], dtype=np.int64) for side in (0, 1))
    assert w.seen(groups, positions).shape == (len(asked), w.entries)
    assert w.seen(groups, positions).tolist() == [w.index[g, p].tolist() for g, p in asked]
    grid = np.arange(w.size).reshape(w.shape)
    for (group, position), seen in zip(asked, w.seen(groups, positions).tolist(), strict=True):
        at = np.unravel_index(position, w.positions)
        each, places = w.shape[0] // w.groups, []
        for c in range(group * each, (group + 1) * each):
            for k in product(*map(range, w.kernel)):
                sides = zip(at, w.stride, w.padding, k, w.dilation, strict=True)
                place = tuple(int(p * s - low + ki * d) for p, s, (low, _), ki, d in sides)
                inside = all(0 <= i < n for i, n in zip(place, w.shape[1:], strict=True))
                places.append(int(grid[(c, *place)]) if inside else -1)
        assert seen == places
