"""Heat-maps: what is a picture, how it is scaled, and that a file comes out."""

from __future__ import annotations

import numpy as np
import pytest

from dtdsym.errors import InputError
from dtdsym.network.builder import Builder
from dtdsym.relevance.composite import parse
from dtdsym.report.heatmap import as_image, heatmap
from dtdsym.report.labels import over_lines


def test_channels_of_a_relevance_add_up_and_those_of_an_input_are_colours():
    values = np.arange(12.0)
    assert as_image(values, (3, 2, 2), signed=True).tolist() == [[12, 15], [18, 21]]
    colours = as_image(values, (3, 2, 2), signed=False)
    assert colours.shape == (2, 2, 3)
    assert colours[0, 0].tolist() == [0, 4 / 11, 8 / 11]
    assert as_image(values, (1, 3, 4), signed=False).tolist() == values.reshape(3, 4).tolist()


@pytest.mark.parametrize(
    ("size", "shape", "picture"),
    [(16, (16,), (4, 4)), (9, (9,), None), (12, (12,), None), (6, (2, 3), (2, 3)), (8, (2, 2, 2, 1), None)],
)
def test_a_flat_square_is_taken_for_a_picture_and_other_shapes_are_not(size, shape, picture):
    image = as_image(np.zeros(size), shape, signed=True)
    assert (None if image is None else image.shape) == picture


def small_network():
    builder = Builder((1, 4, 4))
    value = builder.convolve(builder.input, np.ones((2, 1, 3, 3)), np.zeros(2))
    return builder.network(builder.linear(builder.flatten(builder.relu(value)), np.ones((1, 8)), np.zeros(1)))


def test_a_signed_map_is_centred_at_zero(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    shown = []
    original = Axes.imshow
    monkeypatch.setattr(
        Axes, "imshow", lambda self, image, **kw: (shown.append((image, kw)), original(self, image, **kw))[1]
    )
    points = np.linspace(-1, 2, 32).reshape(2, 16)
    path = tmp_path / "map.png"
    heatmap(small_network(), points, [0, 0], [parse("lrp0")], str(path))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [kw["cmap"] for _, kw in shown] == ["gray", "RdBu_r"] * 2
    assert shown[3][0].any()
    for image, kw in shown[3::2]:
        assert kw["vmin"] == -kw["vmax"] == -np.abs(image).max()


def test_a_file_that_is_no_picture_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"map\.nothing: the heat-map cannot be written"):
        heatmap(small_network(), np.ones((1, 16)), [0], [parse("lrp0")], str(tmp_path / "map.nothing"))


def test_a_long_label_goes_over_several_lines():
    assert over_lines("first=zbox:0:1,conv=zplus,linear=lrp0") == "first=zbox:0:1,\nconv=zplus,\nlinear=lrp0"
    assert over_lines("alpha_beta:2:1") == "alpha_beta:2:1"
