"""Pixels and lines of the page's drawings: where they are, and what they are without colour."""

from __future__ import annotations

import base64
import re
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from dtdsym.report.charts import Step, flow, value_bars
from dtdsym.report.pixels import MOST, averaged, block, plain_png, signed_png
from dtdsym.report.svg import Line, line_chart, ticks


def pixels(uri: str) -> np.ndarray:
    """(height, width, 3), 0 to 255."""
    assert uri.startswith("data:image/png;base64,")
    picture = imread(BytesIO(base64.b64decode(uri.partition(",")[2])), format="png")
    return np.rint(255 * picture[..., :3]).astype(int)


def test_a_signed_picture_is_centred_at_zero_and_striped_where_it_is_negative():
    shown = pixels(signed_png(np.array([[1.0, 0.0], [-1.0, -0.5]])))
    size = shown.shape[0] // 2
    positive, zero, negative, half = (
        shown[row : row + size, column : column + size].reshape(-1, 3) for row in (0, size) for column in (0, size)
    )
    assert (zero == zero[0]).all()
    assert zero[0].min() > 245
    assert (positive == positive[0]).all()
    assert positive[0][0] > positive[0][2] + 80
    for area in (negative, half):
        colours, times = np.unique(area, axis=0, return_counts=True)
        assert len(colours) == 2, "a colour, and stripes"
        assert times.min() / times.sum() == pytest.approx(1 / 4, abs=0.02)
        main = colours[times.argmax()]
        assert main[2] > main[0] + 50
        assert abs(colours[0].mean() - colours[1].mean()) > 60, "told apart in grey"


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=30))
def test_what_is_larger_in_size_is_darker(values):
    """In equal steps of lightness: of two values of one sign the larger is never lighter."""
    shown = pixels(signed_png(np.array([[1.0, *map(abs, values)]])))
    size = shown.shape[0]
    grey = shown[0, ::size].mean(axis=1)
    order = np.argsort([1.0, *map(abs, values)])
    assert (np.diff(grey[order]) <= 0.7).all()


def test_an_input_runs_from_black_to_white_and_keeps_its_colours():
    grey = pixels(plain_png(np.array([[-3.0, 5.0]])))
    assert (grey[0, 0].tolist(), grey[0, -1].tolist()) == ([0, 0, 0], [255, 255, 255])
    coloured = pixels(plain_png(np.array([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])))
    assert (coloured[0, 0].tolist(), coloured[0, -1].tolist()) == ([0, 255, 0], [255, 0, 0])


@pytest.mark.parametrize("shape", [(300, 200), (129, 128), (1, 1000), (260, 140, 3)])
def test_large_arrays_are_averaged_over_blocks(shape):
    values = np.random.default_rng(0).normal(size=shape)
    size, found = block(shape), averaged(values)
    assert max(found.shape[:2]) <= MOST
    for row, column in [(0, 0), (found.shape[0] - 1, found.shape[1] - 1)]:
        part = values[row * size : (row + 1) * size, column * size : (column + 1) * size]
        assert found[row, column] == pytest.approx(part.mean(axis=(0, 1)))


@given(st.floats(-1e300, 1e300), st.floats(1e-300, 1e300))
def test_ticks_are_few_and_lie_inside(low, size):
    high = low + size
    if not low < high or size < abs(low) * 1e-9:
        return
    found = ticks(low, high)
    assert 1 <= len(found) <= 6
    assert all(low - size * 1e-6 <= value <= high + size * 1e-6 for value in found)
    assert all(value == int(value) for value in ticks(1, 40, whole=True))


def test_lines_are_told_apart_without_colour_and_pass_through_their_points():
    lines = [Line("one", ((0.0, 1.0), (1.0, -1.0))), Line("two", ((0.0, 0.0), (1.0, 1e308)))]
    made = str(line_chart(lines, "two lines", across="t", up="size"))
    paths = re.findall(r'<path d="([^"]*)" class="line" stroke-dasharray="([^"]*)"', made)
    assert len({dashes for _, dashes in paths}) == 2
    assert "nan" not in made
    assert "inf" not in made
    one = str(line_chart(lines[:1], "a line", across="t", up="size"))
    ends = [[float(n) for n in end.split()] for end in re.search(r'd="M([^"]*)" class="line"', one)[1].split("L")]
    assert ends[0][1] < ends[1][1], "up is up"
    assert ends[0][0] < ends[1][0]


def beds(made: str) -> list[tuple[float, float, bool]]:
    """(width above, width below, whether it is hatched) of each stretch."""
    found = []
    for corners, after in re.findall(r'<path d="M([^"]*)Z" class="flow" />(<path [^>]*k-negative)?', made):
        (a, _), (b, _), (c, _), (d, _) = [[float(n) for n in corner.split()] for corner in corners.split("L")]
        found.append((b - a, c - d, bool(after)))
    return found


def test_a_flow_is_as_wide_as_there_is_relevance_and_runs_dry_before_it_is_negative():
    steps = [Step("below layer 2", 2.0, (("bias", 2.0),)), Step("the inputs", -1.0, (("epsilon", 3.5), ("bias", -0.5)))]
    made = str(flow(("logit 0", 4.0), steps, "a flow"))
    first, dry, negative = beds(made)
    assert first[0] == pytest.approx(2 * first[1])
    assert first[1] == pytest.approx(dry[0])
    assert dry[1] == pytest.approx(negative[0])
    assert negative[1] == pytest.approx(first[0] / 4)
    assert [hatched for *_, hatched in (first, dry, negative)] == [False, False, True]
    assert re.findall(r'data-amount="([^"]*)">([^<]*)<', made) == [
        ("2.0", "2 lost: bias"),
        ("3.5", "3.5 lost: epsilon"),
        ("-0.5", "0.5 made: bias"),
    ]


def test_of_many_values_the_largest_have_bars_in_order():
    values = [float(n) for n in range(-40, 40)]
    made = str(value_bars(values, "values"))
    shown = [float(value) for value in re.findall(r'data-value="([^"]*)"', made)]
    assert shown == [*map(float, range(-40, -23)), *map(float, range(25, 40))]
    assert made.count("k-negative") == 17
