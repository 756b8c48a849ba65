"""Numbers are read into enclosures unrounded or refused; converted weights live as long as their arrays."""

from __future__ import annotations

import gc
from fractions import Fraction
from math import inf, nextafter

import numpy as np
import pytest
import torch
from enclosure_oracle import MAX, finite, frozen, holds, points, random_layer
from flint import fmpq
from hypothesis import example, given
from hypothesis import strategies as st

from dtdsym.arithmetic import enclosure
from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure, exact, from_fractions
from dtdsym.errors import NotExact, ShapeMismatch

# Reading numbers


@given(numbers=st.lists(st.fractions() | st.integers() | finite, min_size=1, max_size=6))
@example(numbers=[Fraction(10) ** 400, 2**1024 - 2**970, Fraction(1, 3 * 2**1073), Fraction(1, 10**400)])
def test_rationals_are_enclosed_by_the_least_radius_around_the_nearest_float(numbers):
    value, truths = from_fractions(numbers), [Fraction(number) for number in numbers]
    holds(value, truths)
    holds(ENCLOSURE.lift(numbers), truths)
    for mid, rad, truth in zip(value.mid.tolist(), value.rad.tolist(), truths, strict=True):
        if rad == inf:
            assert abs(truth) > MAX
        else:
            assert mid == float(truth)
            assert rad == 0 or Fraction(nextafter(rad, 0)) < abs(truth - Fraction(mid))


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.bool]
)
def test_tensors_of_every_real_dtype_are_lifted_exactly(dtype):
    tensor = torch.tensor([[0.0, 1.0], [1.0, 1.0]]).to(dtype) * torch.tensor(1 if dtype == torch.bool else 3).to(dtype)
    lifted = ENCLOSURE.lift(tensor)
    assert lifted.rad.tolist() == [[0, 0], [0, 0]]
    assert lifted.mid.tolist() == tensor.double().tolist()


def test_wide_integers_and_nested_rationals_are_never_rounded_silently():
    wide = 2**60 + 1
    for numbers in (np.array([wide]), [wide], torch.tensor([wide]), [fmpq(wide)], np.array([wide], dtype=np.uint64)):
        value = ENCLOSURE.lift(numbers)
        assert (value.mid.tolist(), value.rad.tolist()) == ([2.0**60], [1.0])
    nested = ENCLOSURE.lift([[1, Fraction(1, 2)], [np.float32(0.1), fmpq(1, 4)]])
    assert nested.shape == (2, 2)
    holds(nested, [Fraction(1), Fraction(1, 2), Fraction(float(np.float32(0.1))), Fraction(1, 4)])
    assert nested.rad.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "numbers",
    [[1.0, float("nan")], torch.tensor([inf]), ["1/2"], np.array([1 + 1j]), np.array([1], dtype=np.longdouble), [None]],
    ids=["nan", "infinity", "text", "complex", "longdouble", "nothing"],
)
def test_what_is_no_exact_number_is_refused_by_name(numbers):
    with pytest.raises(NotExact):
        ENCLOSURE.lift(numbers)


@pytest.mark.parametrize(
    ("mid", "rad", "error"),
    [
        (torch.zeros(2).double(), torch.zeros(3).double(), ShapeMismatch),
        (torch.zeros(2), torch.zeros(2), NotExact),
        (torch.tensor([inf]).double(), torch.zeros(1).double(), NotExact),
        (torch.zeros(1).double(), torch.tensor([-1.0]).double(), NotExact),
        (torch.zeros(1).double(), torch.tensor([float("nan")]).double(), NotExact),
    ],
    ids=["shapes", "float32", "infinite midpoint", "negative radius", "nan radius"],
)
def test_an_unlawful_enclosure_cannot_be_made(mid, rad, error):
    with pytest.raises(error):
        Enclosure(mid, rad)


def test_lifting_copies_so_that_later_changes_do_not_reach_the_enclosure():
    numbers = torch.ones(2, dtype=torch.float64)
    value = exact(numbers)
    numbers.zero_()
    assert value.mid.tolist() == [1, 1]


# Weights are kept while their arrays live


def test_converted_weights_live_as_long_as_their_arrays_and_writeable_ones_are_read_anew():
    arithmetic = enclosure.EnclosureArithmetic()
    weight, bias = random_layer(3, 2, seed=6)
    first = arithmetic.affine(weight, bias, points(1, 2, 3))
    assert torch.equal(arithmetic.affine(weight, bias, points(1, 2, 3)).mid, first.mid)
    assert len(arithmetic._layers) == 1
    other = frozen([0.0, 0.0])
    assert not torch.equal(arithmetic.affine(weight, other, points(1, 2, 3)).mid, first.mid)
    assert len(arithmetic._layers) == 2
    del weight
    gc.collect()
    assert len(arithmetic._layers) == 0
    changing = np.ones((1, 1))
    assert arithmetic.affine(changing, np.zeros(1), points(1)).mid.tolist() == [1]
    changing[0, 0] = 2
    assert arithmetic.affine(changing, np.zeros(1), points(1)).mid.tolist() == [2]
