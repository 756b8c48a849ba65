"""Patches are what the index of windows says; adding them up is the transpose; enclosures go by them in parts."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from ball_oracle import BOUNDS, POWERS, contained, lifted, numbers, surrounded
from enclosure_oracle import frozen
from expansion_oracle import convolutions
from hypothesis import given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic import unfold
from dtdsym.arithmetic.enclosure import ENCLOSURE
from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.arithmetic.unfold import batches, patches, unpatched, window_sums
from dtdsym.arithmetic.windows import Windows

SEEDS = st.integers(0, 2**32 - 1)
THREE = Windows((4, 3, 3, 4), (2, 2, 3), (1, 2, 1), ((0, 1), (1, 1), (1, 0)), (1, 1, 1), 2)
SQUARE = Windows((4, 5, 6), (3, 2), (2, 1), ((2, 2), (1, 1)), (1, 2), 2)


def whole_numbers(seed, *shape):
    return torch.tensor(np.random.default_rng(seed).integers(-9, 10, shape).astype(float))


def gathered(value, windows):
    """(batch, groups, entries, positions), by the index."""
    padded = np.concatenate([value.numpy(), np.zeros((len(value), 1))], axis=1)
    return np.swapaxes(padded[:, windows.index], -1, -2)


@settings(max_examples=150)
@given(case=convolutions(), seed=SEEDS)
def test_patches_and_sums_are_those_of_the_index(case, seed):
    check(case[1], seed)


@pytest.mark.parametrize("windows", [THREE, SQUARE])
def test_also_over_three_dimensions_and_by_torchs_own_unfolding(windows):
    check(windows, 1)
    assert unfold._unfolds(windows) is (windows is SQUARE)


def check(windows, seed):
    value = whole_numbers(seed, 2, windows.size)
    found = patches(value, windows)
    assert np.array_equal(found.numpy(), gathered(value, windows))
    assert np.array_equal(window_sums(value, windows).numpy(), gathered(value, windows).sum(2))
    columns = whole_numbers(seed + 1, *found.shape)
    back = unpatched(columns, windows)
    assert back.shape == value.shape
    assert (back * value).sum(1).tolist() == (columns * found).sum((1, 2, 3)).tolist()
    added = np.zeros((2, windows.size + 1))
    for row in range(2):
        np.add.at(added[row], np.swapaxes(windows.index, 1, 2), columns[row].numpy())
    assert np.array_equal(back.numpy(), added[:, :-1])


@given(st.integers(0, 50), st.integers(1, 2000))
def test_batches_cover_all_samples_once(count, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unfold, "NUMBERS", most)
        cut = batches(SQUARE, count)
    assert [i for part in cut for i in range(count)[part]] == list(range(count))
    one = 4 * 6 * prod(SQUARE.positions)
    assert all(len(range(count)[part]) <= max(1, most // one) for part in cut)
    assert len(cut) >= 1


# Enclosures by patches


@settings(max_examples=150)
@given(
    case=convolutions(groups=(1, 2, 3)), seed=SEEDS, power=st.sampled_from(POWERS), scale=st.sampled_from(POWERS),
    bounds=st.sampled_from([bound for bound in BOUNDS if bound != "ball"]), most=st.sampled_from([1, 100, 2**25]),
)  # fmt: skip
def test_enclosures_are_convolved_forth_and_back_in_parts(case, seed, power, scale, bounds, most):
    kernel, windows = case
    forth_and_back(frozen(np.ldexp(kernel, scale)), windows, seed, power, bounds, most)


@pytest.mark.parametrize("bounds", ["exact", "radii", "lost"])
@pytest.mark.parametrize("windows", [THREE, SQUARE])
def test_enclosures_over_three_dimensions_and_with_every_option(windows, bounds):
    each = windows.shape[0] // windows.groups
    kernel = frozen(numbers(np.random.default_rng(2), 4, each, *windows.kernel))
    forth_and_back(kernel, windows, 3, 0, bounds, 300)


def forth_and_back(weight, windows, seed, power, bounds, most):
    generator = np.random.default_rng(seed)
    bias, size = frozen(numbers(generator, len(weight), power=min(0, power))), len(weight) * prod(windows.positions)
    for act, width in (("convolve", windows.size), ("convolve_back", size)):
        value, truths = surrounded(generator, numbers(generator, 3, width, power=power), bounds, power)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(unfold, "NUMBERS", most)
            found = getattr(ENCLOSURE, act)(weight, bias, windows, value)
            again = getattr(ENCLOSURE, act)(weight, bias, windows, value.reshape(1, 3, width))
        contained(found, getattr(RATIONAL, act)(weight, bias, windows, lifted(truths)))
        assert again.shape == (1, *found.shape)
        assert torch.equal(again.mid[0], found.mid)


def test_entries_that_no_window_sees_and_windows_of_padding_are_exact():
    windows = Windows((1, 6, 6), (2, 2), (3, 3), ((2, 2), (2, 2)), (1, 1))
    weight, bias = frozen(np.full((1, 1, 2, 2), 0.1)), frozen([0.3])
    value = ENCLOSURE.lift(torch.rand(1, 36, dtype=torch.float64))
    found = ENCLOSURE.convolve(weight, bias, windows, value).mid.reshape(3, 3)
    rad = ENCLOSURE.convolve(weight, bias, windows, value).rad.reshape(3, 3)
    assert found[0].tolist() == [0.3] * 3
    assert not rad[0].any()
    assert not rad[:, 0].any()
    assert (rad[1:, 1:] > 0).all()
    back = ENCLOSURE.convolve_back(weight, bias, windows, ENCLOSURE.lift(torch.rand(1, 9, dtype=torch.float64)))
    assert back.is_zero().reshape(6, 6)[0].all()
    assert (back.rad.reshape(6, 6)[1:3, 1:3] > 0).all()
