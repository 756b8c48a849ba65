"""Euclidean norms are never below the truth, and 0 only where all is 0."""

from __future__ import annotations

from fractions import Fraction
from math import inf, prod

import numpy as np
import pytest
import torch
from enclosure_oracle import ETA, MAX
from expansion_oracle import convolutions
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import sizes
from dtdsym.arithmetic.norms import row_norms
from dtdsym.arithmetic.sizes import window_norms
from dtdsym.arithmetic.windows import Windows

SIZES = st.one_of(
    st.sampled_from(
        [0.0, 0.0, ETA, 3 * ETA, 2.0**-1022, 2.0**-1000, 2.0**-540, 0.1, 1.0, 2.0**500, 2.0**1000, MAX, inf]
    ),
    st.floats(0, allow_nan=False, allow_infinity=False),
    st.floats(0, 1),
)


def above(bound: float, entries) -> None:
    """Asserts that a bound is one, and is 0 just where it may be; and is sharp where floats are plain numbers."""
    square = sum((Fraction(entry) ** 2 for entry in entries if entry < inf), Fraction(0))
    assert (bound == 0) == (not any(entries))
    assert bound >= 0
    if inf in entries:
        assert bound == inf
        return
    assert bound == inf or Fraction(bound) ** 2 >= square
    if 2.0**-900 < max(entries, default=0) < 2.0**900:
        assert Fraction(bound) ** 2 <= square * (1 + Fraction(1, 2**30))


@settings(max_examples=300)
@given(st.lists(st.lists(SIZES, min_size=3, max_size=3), min_size=1, max_size=4))
@example([[ETA, ETA, ETA]])
@example([[MAX, MAX, MAX]])
@example([[0.1, 0.1, 0.1]])
@example([[inf, 0.0, 1.0]])
def test_norms_are_never_below_the_truth(rows):
    found = row_norms(torch.tensor(rows, dtype=torch.float64))
    for bound, row in zip(found.tolist(), rows, strict=True):
        above(bound, row)


@pytest.mark.parametrize("count", [1, 2, 10, 1000, 20_000])
@pytest.mark.parametrize("power", [-1074, -1000, -500, 0, 500, 1000])
def test_of_many_equal_entries(count, power):
    above(row_norms(torch.full((count,), 0.7 * 2.0**power if power > -1074 else ETA, dtype=torch.float64)).item(),
          [0.7 * 2.0**power if power > -1074 else ETA] * count)  # fmt: skip


def windows_seen(windows, size):
    """For each window of a value, its entries."""
    index = windows.index
    return [[[float(size[i]) for i in place if i >= 0] for place in group] for group in index]


@settings(max_examples=120)
@given(case=convolutions(), data=st.data())
def test_what_each_window_sees(case, data):
    _, windows = case
    entries = st.lists(SIZES, min_size=windows.size, max_size=windows.size)
    rows = data.draw(st.lists(entries, min_size=1, max_size=2))
    found = window_norms(torch.tensor(rows, dtype=torch.float64), windows)
    assert found.shape == (len(rows), windows.groups, prod(windows.positions))
    for sample, row in zip(found.tolist(), rows, strict=True):
        for bounds, group in zip(sample, windows_seen(windows, row), strict=True):
            for bound, seen in zip(bounds, group, strict=True):
                square = sum((Fraction(entry) ** 2 for entry in seen if entry < inf), Fraction(0))
                assert (bound == 0) == (not any(seen))
                assert bound == inf or (inf not in seen and Fraction(bound) ** 2 >= square)
                assert inf not in seen or bound == inf


def test_a_tiny_window_beside_a_huge_one_and_a_lost_one():
    """Squares relative to the greatest entry of all underflow; nothing is lost but sharpness."""
    windows = Windows((1, 6), (2,), (2,), ((0, 0),), (1,))
    value = torch.tensor([[2.0**1000, 2.0**1000, ETA, 0.0, 0.0, 0.0]], dtype=torch.float64)
    huge, tiny, none = window_norms(value, windows)[0, 0].tolist()
    assert huge >= 2.0**1000 * 2**0.5
    assert ETA <= tiny < 2.0**520
    assert none == 0
    value[0, 2] = inf
    assert window_norms(value, windows)[0, 0].tolist()[1:] == [inf, 0]


def whole_window(numbers):
    """The norm of one window that sees all of these numbers."""
    windows = Windows((1, len(numbers)), (len(numbers),), (1,), ((0, 0),), (1,))
    return window_norms(torch.tensor([numbers], dtype=torch.float64), windows).item()


def of_tenths():
    for count in range(2, 200):
        above(whole_window([0.1] * count), [0.1] * count)


def of_subnormals():
    above(whole_window([ETA] * 2), [ETA] * 2)


def of_windows():
    windows = Windows((1, 4), (2,), (2,), ((0, 0),), (1,))
    value = [1.0, 1.0, 2.0**-600, 2.0**-600]
    found = window_norms(torch.tensor([value], dtype=torch.float64), windows)[0, 0].tolist()
    assert Fraction(found[1]) ** 2 >= 2 * Fraction(2) ** -1200


@pytest.mark.parametrize(
    ("name", "flaw", "experiment"),
    [("UNIT", 0.0, of_tenths), ("ETA", 0.0, of_subnormals), ("LEAST_SQUARE", 0.0, of_windows)],
)
def test_a_bound_without_one_of_its_parts_is_caught(monkeypatch, name, flaw, experiment):
    experiment()
    monkeypatch.setattr(sizes, name, flaw)
    with pytest.raises(AssertionError):
        experiment()


def test_norms_of_a_batch_are_those_of_its_rows():
    rows = torch.tensor(np.random.default_rng(0).random((5, 4, 3)))
    assert torch.equal(row_norms(rows)[2, 1], row_norms(rows[2, 1]))


def test_rows_without_entries_have_norm_zero():
    """As those are that a network takes from a layer of which it takes nothing."""
    assert torch.equal(row_norms(torch.empty(2, 3, 0, dtype=torch.float64)), torch.zeros(2, 3, dtype=torch.float64))
