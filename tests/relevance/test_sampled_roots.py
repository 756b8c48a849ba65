"""Sampled regions: samples lie where the exact placement says, never below the exact least relevance, and reach it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import sequential

import dtdsym
from dtdsym.errors import InputError, ShapeMismatch

PAPER = Path(__file__).parents[2] / "examples" / "paper_mlp.pt"
METHODS = ("interpolation", "metropolis")


def strip():
    """[x1] + [x1 - 4] with x2 free: the region of (1, 0) is 0 < x1 < 4."""
    return sequential(([[1, 0], [1, 0]], [0, -4]), ([[1, 1]], [0]))


def paper_inputs(network, count):
    rng, found = np.random.default_rng(1), []
    while len(found) < count:
        x = np.abs(rng.normal(size=10))
        found += [x] if network(x.tolist())[0] * 10 > 1 else []
    return torch.tensor(np.array(found))


@pytest.mark.parametrize("method", METHODS)
def test_samples_stay_in_a_strip(method):
    x = torch.tensor([[1.0, 0.0], [3.0, 5.0]], dtype=torch.float64)
    found = dtdsym.sample_region(strip(), x, method=method, count=40)
    assert found.points.shape == (2, 40, 2)
    assert ((found.points[..., 0] > 0) & (found.points[..., 0] < 4)).all()
    assert torch.equal(found.relevance, found.points[..., 0])
    assert torch.equal(found.roots()[:, 0], found.relevance.min(dim=1).values)


def test_interpolation_reaches_the_edge():
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    root = dtdsym.sample_region(strip(), x, count=20).roots()[0]
    assert 0 < root[0] < 1e-6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layer", [1, 2])
def test_no_sample_is_below_the_exact_least(method, layer):
    network = dtdsym.load(str(PAPER))
    x = paper_inputs(network, 3)
    found = dtdsym.sample_region(network, x, method=method, layer=layer, domain="nonnegative", count=50)
    assert (found.points >= 0).all()
    for point, root, relevance in zip(x.tolist(), found.roots().tolist(), found.relevance, strict=True):
        assert dtdsym.place(network, point, root, layer=layer).inside
        least = dtdsym.lowest_relevance(network, point, layer=layer, domain="nonnegative").value
        assert float(relevance.min()) >= float(least) - 1e-9


def test_a_neurons_relevance_is_its_own():
    x = torch.tensor([[5.0, 0.0]], dtype=torch.float64)
    found = dtdsym.sample_region(strip(), x, neuron=1, count=30)
    assert torch.equal(found.relevance, (found.points[..., 0] - 4).clamp(min=0))


def test_a_seed_gives_the_same_samples_in_float32_too():
    x = torch.tensor([[1.0, 0.0]])
    one, two = (dtdsym.sample_region(strip(), x, method="metropolis", seed=3) for _ in range(2))
    assert torch.equal(one.points, two.points)
    assert one.points.dtype == torch.float32


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"method": "grid"}, "method 'grid': expected interpolation or metropolis"),
        ({"domain": "real"}, "domain 'real': expected nonnegative"),
        ({"count": 0}, "count 0: give a whole number from 1"),
        ({"neuron": 2}, "neuron 2 does not exist; layer 1 has neurons 0 to 1"),
    ],
)
def test_what_is_unknown_is_refused(asked, message):
    with pytest.raises(InputError, match=message):
        dtdsym.sample_region(strip(), torch.ones(1, 2), **asked)


def test_other_shapes_are_refused():
    with pytest.raises(ShapeMismatch, match=r"x is torch.int64 of shape \(1, 2\); expected a tensor of floats"):
        dtdsym.sample_region(strip(), torch.ones(1, 2, dtype=torch.int64))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e7])
def test_neither_small_gradients_nor_large_inputs_let_samples_out(method, scale):
    """[x1] + [x2]: the region of a point inside is the positive quadrant, whatever the units."""
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[scale, scale]], [0]))
    x = torch.tensor([[scale, 2 * scale]], dtype=torch.float64)
    found = dtdsym.sample_region(network, x, method=method, count=30)
    assert (found.points >= -1e-12 * scale).all()
    if method == "interpolation":
        assert found.points.min() < 1e-3 * scale


@pytest.mark.parametrize("method", METHODS)
def test_no_input_gives_no_sample(method):
    found = dtdsym.sample_region(strip(), torch.zeros(0, 2), method=method, count=7)
    assert found.points.shape == (0, 10 if method == "metropolis" else 7, 2)


@pytest.mark.parametrize(
    ("x", "more", "error", "words"),
    [
        ([[1.0, 2.0]], {}, ShapeMismatch, "x is list; expected a tensor of floats"),
        (torch.tensor([[float("nan"), 1.0]]), {}, InputError, "not finite"),
        (torch.tensor([[-1.0, 1.0]]), {"domain": "nonnegative"}, InputError, "has a negative coordinate itself"),
        (torch.tensor([[1.0, 1.0]]), {"count": 7.5}, InputError, "count 7.5: give a whole number"),
    ],
)
def test_inputs_that_cannot_be_sampled_are_refused(x, more, error, words):
    with pytest.raises(error, match=words):
        dtdsym.sample_region(strip(), x, **more)
