"""The picture of class-insensitivity: curves that are there, labels that say what they are."""

from __future__ import annotations

import pytest
from networks import sequential

import dtdsym
from dtdsym.errors import InputError
from dtdsym.report import insensitivity_plot as plots

NETWORK = sequential(
    ([[1, 2], [2, 1.5]], [0, 0]), ([[1, 2], [2, 1]], [0, 0]), ([[3, 4], [4, 3]], [0, 0]), ([[1, 2], [2, 1]], [0, 0])
)


@pytest.fixture
def drawn(monkeypatch):
    """Every figure that is written, kept with its texts and lines."""
    kept = []

    def keep(figure, path):
        axes = figure.axes
        kept.append({
            "labels": [text.get_text().replace("\n", " ") for one in axes for text in one.get_legend().get_texts()],
            "texts": [text.get_text() for one in axes for text in one.texts],
            "lines": {line.get_label().replace("\n", " "): list(line.get_ydata()) for a in axes for line in a.lines},
            "scale": axes[0].get_yscale(), "ticks": list(axes[1].get_xticks()),
        })  # fmt: skip

    monkeypatch.setattr(plots, "save", keep)
    return kept


def both(rule, *points):
    found = [dtdsym.class_insensitivity(NETWORK, x, rule=rule) for x in points]
    return found, [dtdsym.convergence(NETWORK, x, rule=rule) for x in points]


def test_the_curves_are_the_bounds_and_the_changes(drawn):
    found, converged = both("zplus", (1, 2))
    dtdsym.insensitivity_plot(found, converged, "ignored.png")
    picture = drawn[0]
    bounds = [float(layer.bound) for layer in found[0].layers.values()]
    assert picture["lines"]["2 tau (exact): bound of whatever is done above"] == bounds
    assert picture["lines"]["largest change between classes"] == [float(found[0].largest.l1)] * 2
    assert picture["lines"]["cosine of maps, single neurons' relevance (median)"] == [
        one.units[1] for one in converged[0].values()
    ]
    assert (picture["scale"], picture["ticks"]) == ("log", [1, 2, 3, 4])


def test_several_inputs_have_a_median(drawn):
    found, converged = both("zplus", (1, 2), (3, 1), (1, 1))
    dtdsym.insensitivity_plot(found, converged, "ignored.png")
    middle = sorted(float(one.layers[2].bound) for one in found)[1]
    assert drawn[0]["lines"]["2 tau (exact): bound of whatever is done above"][1] == middle
    assert "largest change between classes, median" in drawn[0]["labels"]


def test_layers_without_a_bound_are_named(drawn):
    dtdsym.insensitivity_plot(*both("zplus", (2, -1)), "ignored.png")
    assert drawn[0]["texts"] == ["no bound known: layer 2, 3, 4"]


def test_the_picture_is_written(tmp_path):
    dtdsym.insensitivity_plot(*both("w2", (1, 2)), str(tmp_path / "curve.png"))
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_unequal_lists_and_bad_paths_are_refused(tmp_path):
    found, converged = both("w2", (1, 2))
    with pytest.raises(InputError, match="1 results and 0 convergences"):
        dtdsym.insensitivity_plot(found, [], "curve.png")
    with pytest.raises(InputError, match="cannot be written"):
        dtdsym.insensitivity_plot(found, converged, str(tmp_path / "curve.what"))
