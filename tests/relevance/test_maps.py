"""Maps: scaled as in Section 5.2 of the paper, and how far two are apart, against loops over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from dtdsym.errors import InputError
from dtdsym.relevance.maps import BINS, Distance, Maps, distance, limits, rank_correlation, scaled

# Steps of a sixteenth are far above LEAST_SPREAD, and sums of them are exact.
PIXELS = st.integers(-64, 64).map(lambda n: n / 16)
SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
BATCHES = arrays(np.float64, SHAPES, elements=PIXELS)
PAIRS = SHAPES.flatmap(lambda shape: arrays(np.float64, (2, *shape), elements=PIXELS))


def percentile(pixels, percent):
    """Of a list, linear between its two neighbours in order."""
    ordered = sorted(pixels)
    place = percent / 100 * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def scaled_oracle(pixels):
    """Clip to the 0.5 and 99.5 percentiles, then these become 0 and 1; None where they are equal."""
    low, high = percentile(pixels, 0.5), percentile(pixels, 99.5)
    return None if low == high else [(min(max(pixel, low), high) - low) / (high - low) for pixel in pixels]


def ranks_oracle(pixels):
    """Equal pixels share the mean of the ranks that they stand on."""
    return [
        sum(other < pixel for other in pixels) + (sum(other == pixel for other in pixels) - 1) / 2 for pixel in pixels
    ]


def correlation_oracle(one, other):
    left, right = ranks_oracle(one), ranks_oracle(other)
    left, right = [r - sum(left) / len(left) for r in left], [r - sum(right) / len(right) for r in right]
    size = math.sqrt(sum(r * r for r in left) * sum(r * r for r in right))
    return sum(a * b for a, b in zip(left, right, strict=True)) / size if size else math.nan


@given(BATCHES)
def test_a_map_is_clipped_to_its_own_percentiles_and_scaled(maps):
    found = scaled(torch.from_numpy(maps))
    for row, pixels in zip(found.tolist(), maps.tolist(), strict=True):
        expected = scaled_oracle(pixels)
        if expected is None:
            assert all(math.isnan(pixel) for pixel in row)
        else:
            assert row == pytest.approx(expected, abs=1e-12)
            assert min(row) == 0
            assert max(row) == 1


@given(BATCHES)
def test_limits_are_numpys_percentiles(maps):
    low, high = limits(torch.from_numpy(maps))
    expected = np.percentile(maps, [0.5, 99.5], axis=1)
    assert np.allclose([low[:, 0], high[:, 0]], expected, rtol=0, atol=1e-12)


@given(PAIRS)
def test_distance_is_what_loops_over_pixels_find(pair):
    found = distance(*map(torch.from_numpy, pair))
    counted = 0
    for row, (one, other) in enumerate(zip(*(maps.tolist() for maps in pair), strict=True)):
        left, right = scaled_oracle(one), scaled_oracle(other)
        if left is None or right is None:
            assert found.difference[row].isnan()
            assert found.changed[row].isnan()
            assert found.rank_correlation[row].isnan()
            continue
        apart = [abs(a - b) for a, b in zip(left, right, strict=True)]
        assert float(found.difference[row]) == pytest.approx(sum(apart) / len(apart), abs=1e-12)
        sure = [gap for gap in apart if abs(gap - 1 / 4) > 1e-12]
        much = sum(gap > 1 / 4 for gap in sure)
        assert much - 1e-9 <= float(found.changed[row]) * len(apart) <= much + len(apart) - len(sure) + 1e-9
        assert float(found.rank_correlation[row]) == pytest.approx(correlation_oracle(one, other), abs=1e-12)
        counted += len(apart)
    assert found.counts.shape == (BINS,)
    assert int(found.counts.sum()) == counted


def test_exactly_a_quarter_is_no_change():
    one, other = torch.tensor([[0.0, 4.0, 1.0]]), torch.tensor([[0.0, 4.0, 2.0]])
    assert limits(one)[1].item() < 4  # the percentiles of three pixels lie between them
    wide = torch.cat([torch.zeros(1, 300), torch.full((1, 300), 4.0)], 1)
    found = distance(torch.cat([wide, one], 1), torch.cat([wide, other], 1))
    assert found.changed.item() == 0
    assert found.difference.item() == pytest.approx(0.25 / 603)
    assert found.counts.nonzero()[:, 0].tolist() == [0, 25]


@given(PAIRS, st.sampled_from([1 / 8, 1.0, 4.0]), st.integers(-4, 4))
def test_distance_does_not_change_with_scale_and_offset_of_a_map(pair, factor, offset):
    one, other = map(torch.from_numpy, pair)
    plain, moved = distance(one, other), distance(one * factor + offset, other)
    assert torch.allclose(plain.difference, moved.difference, rtol=0, atol=1e-9, equal_nan=True)
    assert torch.equal(plain.rank_correlation.nan_to_num(9), moved.rank_correlation.nan_to_num(9))


@given(BATCHES)
def test_a_map_is_no_distance_from_itself_and_as_far_as_can_be_from_its_negative(maps):
    maps = torch.from_numpy(maps)
    same, turned = distance(maps, maps), distance(maps, -maps)
    known = ~same.difference.isnan()
    assert (same.difference[known] == 0).all()
    assert (same.changed[known] == 0).all()
    assert torch.allclose(same.rank_correlation[known], torch.ones(()).double())
    assert torch.allclose(turned.rank_correlation[known], -torch.ones(()).double())
    mirrored = (2 * scaled(maps) - 1).abs().mean(1)
    assert torch.allclose(turned.difference[known], mirrored[known])


def test_what_differs_by_rounding_is_flat_and_ranks_alike():
    noise = 1 + torch.arange(8.0, dtype=torch.float64)[None] * 1e-15
    assert scaled(noise).isnan().all()
    assert scaled(torch.zeros(1, 5)).isnan().all()
    steps = torch.tensor([[1.0, 1.0 + 1e-15, 2.0], [1.0, 1.0, 2.0]], dtype=torch.float64)
    assert rank_correlation(steps[:1], steps[1:]).item() == 1
    assert rank_correlation(noise, noise).isnan().all()


def test_a_map_that_is_zero_but_for_one_pixel_in_a_thousand_is_flat():
    maps = torch.zeros(1, 1000)
    maps[0, 7] = 1
    assert scaled(maps).isnan().all()


def test_channels_add_up_unless_each_is_a_pixel_of_its_own():
    relevance = torch.tensor([[1.0, -2, 3, 4, 5, -6]])
    assert Maps().of(relevance, (3, 1, 2)).tolist() == [[9, -4]]
    assert Maps(absolute=True).of(relevance, (3, 1, 2)).tolist() == [[9, 4]]
    assert Maps(channels="each", absolute=True).of(relevance, (3, 1, 2)).tolist() == [[1, 2, 3, 4, 5, 6]]
    assert Maps().of(relevance, (2, 3)).tolist() == relevance.tolist()
    assert [Maps().shape(shape) for shape in ((3, 1, 2), (6,), (2, 3))] == [(1, 2), (6,), (2, 3)]
    with pytest.raises(InputError, match="channels 'mean': expected sum or each"):
        Maps(channels="mean")


@given(PAIRS)
def test_parts_join_to_the_whole(pair):
    one, other = map(torch.from_numpy, pair)
    whole = distance(one, other)
    parts = Distance.join([distance(one[:1], other[:1]), distance(one[1:], other[1:])] if len(one) > 1 else [whole])
    for name in ("difference", "changed", "rank_correlation", "counts"):
        assert torch.allclose(getattr(parts, name).double(), getattr(whole, name).double(), equal_nan=True), name
