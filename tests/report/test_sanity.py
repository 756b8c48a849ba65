"""Sanity checks in words, as JSON and as pictures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

import dtdsym
from dtdsym.errors import InputError
from dtdsym.network.builder import Builder
from dtdsym.network.network import sequential

PATHS = sequential(([[1, 2, 3, 4, 0]] * 2, [0, 0]), ([[1, 1], [1, -3]], [0, 0]), final_relu=False)
POINTS = np.array([[1.0, 1, 1, 2, 5], [3, 2, 1, 1, 5], [0, 0, 0, 0, 1]])
"""The last has no relevance anywhere: its maps are flat."""


@pytest.fixture(scope="module")
def other():
    return dtdsym.other_class(PATHS, POINTS, ["zplus", "lrp0"], logit=0, seed=3)


@pytest.fixture(scope="module")
def cascade():
    return dtdsym.cascading_randomisation(PATHS, POINTS, ["zplus", "lrp0"], logit=0, seed=3)


def pictures():
    builder = Builder((1, 4, 4))
    value = builder.relu(builder.convolve(builder.input, np.linspace(-1, 2, 18).reshape(2, 1, 3, 3), np.zeros(2)))
    return builder.network(builder.linear(builder.flatten(value), np.linspace(-1, 2, 24).reshape(3, 8), np.zeros(3)))


def test_a_class_check_in_words(other):
    told = str(other).split("\n")
    assert told[0] == "3 inputs of sequential, each explained for one output and for another, drawn with seed 3."
    assert "clipped to its 0.5 and 99.5 percentiles and scaled to [0, 1]" in told[1]
    assert told[2].startswith("zplus: mean difference ")
    assert "(0.00 of the control's), 0.0% of the pixels changed, rank correlation 1.000." in told[2]
    assert told[3].startswith("lrp0: mean difference ")
    assert told[4].startswith("gradient x input (the control): mean difference 0.")
    assert "of the control's" not in told[4]
    assert told[5] == (
        "Inputs with a flat map, which has no scale, are left out where it is flat: 1 by zplus, 1 by lrp0, "
        "1 by gradient x input."
    )
    assert told[6].startswith("The explained output changes its sign for 2 inputs: relevance that starts from 1 is in ")
    assert told[7:] == ["Measured in float64 on these inputs: nothing here is proved."]


def test_a_given_output_is_not_said_to_be_drawn():
    found = dtdsym.other_class(PATHS, POINTS, logit=0, other=1, start="output")
    assert str(found).startswith("3 inputs of sequential, each explained for one output and for another.\n")
    assert "changes its sign for 2 inputs: relevance that starts from the output's value turns there" in str(found)


def test_a_check_of_layers_in_words(cascade):
    told = str(cascade)
    assert "the weights of a layer and all layers above are replaced by normal ones as large, drawn with seed 3" in told
    assert "lrp0: layer 2, mean difference" in told
    assert "; down to layer 1, mean difference" in told
    alone = dtdsym.independent_randomisation(PATHS, POINTS, "lrp0", logit=0, weights="permuted")
    assert "the weights of a layer and no other are permuted, drawn with seed 0" in str(alone)
    assert "Nothing changed, since the drawn weights equal the old ones: " not in str(cascade)


def test_a_check_of_independent_layers_tells_the_least_and_the_most():
    network, points = pictures(), np.abs(np.random.default_rng(0).normal(size=(5, 16)))
    found = dtdsym.independent_randomisation(network, points, "lrp0", logit=0)
    first, second = (row for row in found.rows if row.rule == "lrp0")
    low, high = sorted((first, second), key=lambda row: row.difference)
    assert f"least for {low.step}, mean difference {low.difference:.3g}" in str(found)
    assert f"most for {high.step}, mean difference {high.difference:.3g}" in str(found)


def test_weights_that_stay_the_same_are_named():
    network = sequential(([[1, 1], [1, 1]], [0, 0]), ([[0, 0]], [0]), final_relu=False)
    found = dtdsym.cascading_randomisation(network, [[1, 2]], "zplus")
    assert "Nothing changed, since the drawn weights equal the old ones: layer 2." in str(found)
    assert "zplus: every map is flat, so nothing was measured." in str(found)


def test_the_table_has_a_line_for_each_step_and_rule(cascade):
    console = Console(width=200, record=True, quiet=False, file=None)
    with console.capture() as capture:
        console.print(cascade)
    table = capture.get().split("difference  changed  rank correlation  inputs")[1].strip("\n").split("\n")
    assert len([line for line in table if line.strip()]) == len(cascade.rows) == 6
    row = cascade.rows[0]
    assert table[0].split() == [
        "layer", "2", "zplus", f"{row.difference:.4f}", f"{row.changed:.2%}", f"{row.rank_correlation:.3f}", "2"
    ]  # fmt: skip


def test_json_is_json_and_holds_every_number(other):
    found = json.loads(json.dumps(other.to_json(), allow_nan=False))
    assert [row["control"] for row in found["rows"]] == [False, False, True]
    assert found["others"] == [1, 1, 1]
    assert found["seed"] == 3
    for rule, row in enumerate(found["rows"]):
        assert row["of_inputs"]["difference"][:2] == other.difference[rule, 0, :2].tolist()
        assert row["of_inputs"]["difference"][2] is None
        assert row["measured"] == 2
        assert row["difference"] == pytest.approx(other.difference[rule, 0, :2].mean().item())
        assert sum(row["histogram"]) == 2 * 5


def test_a_check_draws_itself(tmp_path):
    asked = pictures(), np.ones((1, 16)), "zplus"
    dtdsym.other_class(*asked).plot(str(tmp_path / "other.png"))
    dtdsym.cascading_randomisation(*asked).plot(str(tmp_path / "cascade.pdf"))
    assert (tmp_path / "other.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "cascade.pdf").read_bytes().startswith(b"%PDF")


def test_what_is_no_picture_is_drawn_as_bars_and_flat_maps_too(other, tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    drawn = []
    original = Axes.bar
    monkeypatch.setattr(Axes, "bar", lambda self, *a, **kw: (drawn.append(a[1]), original(self, *a, **kw))[1])
    other.plot(str(tmp_path / "bars.png"))
    assert len(drawn) == 3 * 7
    assert drawn[0].tolist() == POINTS[0].tolist()
    assert drawn[-1].tolist() == [0] * 5


def test_a_map_is_clipped_and_centred_at_zero(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    shown = []
    original = Axes.imshow
    monkeypatch.setattr(
        Axes, "imshow", lambda self, image, **kw: (shown.append((image, kw)), original(self, image, **kw))[1]
    )
    points = np.abs(np.random.default_rng(0).normal(size=(2, 16)))
    found = dtdsym.other_class(pictures(), points, "lrp0")
    found.plot(str(tmp_path / "map.png"))
    assert [kw["cmap"] for _, kw in shown] == ["gray", *["RdBu_r"] * 4] * 2
    for row in range(2):
        for column, (image, kw) in enumerate(shown[5 * row + 1 : 5 * row + 5]):
            rule, step = divmod(column, 2)
            pixels = found.shown[rule, step, row].numpy()
            assert image.ravel() == pytest.approx(np.clip(pixels, *np.percentile(pixels, [0.5, 99.5])))
            assert kw["vmin"] == -kw["vmax"] == -np.abs(image).max()


def test_a_picture_that_is_none_is_refused_by_name(other, tmp_path):
    with pytest.raises(InputError, match=r"map\.nothing: cannot be written as a picture"):
        other.plot(str(tmp_path / "map.nothing"))
