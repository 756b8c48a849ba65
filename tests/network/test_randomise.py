"""Randomised networks: what is drawn, what stays, and that layers with the same weights are one layer."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import dtdsym
from dtdsym.errors import InputError
from dtdsym.network.network import sequential
from dtdsym.network.randomise import randomised, tied_layers, unchanged


class Reused(nn.Module):
    """A convolution with its batch normalisation, and a linear layer on the last dimension, each used twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.wide, self.end = nn.Linear(4, 4), nn.Linear(32, 3)
        self.norm.running_mean.copy_(torch.tensor([0.25, -0.5]))
        self.norm.running_var.copy_(torch.tensor([1.0, 4.0]))

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        x = torch.relu(self.norm(self.conv(x)))
        x = torch.relu(self.wide(torch.relu(self.wide(x))))
        return self.end(x.flatten(1))


@pytest.fixture(scope="module")
def reused():
    torch.manual_seed(0)
    return dtdsym.from_module(Reused(), torch.zeros(1, 2, 4, 4))


def weights(network, number):
    return network.layer(number).linear.weight


def test_layers_are_numbered_from_the_output_down_and_reused_ones_are_one(reused):
    assert [tied.numbers for tied in tied_layers(reused)] == [(5,), (3, 4), (1, 2)]
    assert [str(tied) for tied in tied_layers(reused)] == [
        "layer 5 (end)",
        "layers 3 and 4 (wide)",
        "layers 1 and 2 (conv)",
    ]
    unfolded = tied_layers(reused.unfolded())
    assert [tied.numbers for tied in unfolded] == [(7,), (5, 6), (2, 4), (1, 3)]


@pytest.mark.parametrize("law", ["normal", "permuted"])
def test_a_reused_layer_is_drawn_once_with_its_batch_normalisation_and_all_else_stays(reused, law):
    _, wide, conv = tied_layers(reused)
    found = randomised(reused, [conv], seed=1, law=law)
    assert weights(found, 1) is weights(found, 2)
    assert found.layer(1).linear.bias is found.layer(2).linear.bias
    assert found.parameters == reused.parameters
    assert (weights(found, 1) != weights(reused, 1)).any()
    for number in (3, 4, 5):
        assert weights(found, number) is weights(reused, number)
    norms = [found.layer(number).norm for number in (1, 2)]
    assert norms[0].weight.tolist() == norms[1].weight.tolist()
    assert sorted(norms[0].weight) == sorted(reused.layer(1).norm.weight)
    both = randomised(reused, [wide], seed=1, law=law)
    assert np.shares_memory(weights(both, 3), weights(both, 4))
    assert weights(both, 3).tolist() == weights(both, 4).tolist()
    assert (weights(both, 3) != weights(reused, 3)).any()
    assert not unchanged(reused, both)


def test_channels_of_a_batch_normalisation_stay_together(reused):
    before = reused.layer(1).norm
    stated = zip(before.norm.factor, before.norm.mean, strict=True)
    pairs = dict(zip(zip(before.weight, before.bias, strict=True), stated, strict=True))
    orders = set()
    for seed in range(8):
        after = randomised(reused, tied_layers(reused), seed=seed).layer(1).norm
        order = list(zip(after.weight, after.bias, strict=True))
        orders.add(tuple(order))
        assert [pairs[pair] for pair in order] == list(zip(after.norm.factor, after.norm.mean, strict=True))
    assert len(orders) == 2


def test_permuted_weights_are_the_old_ones_and_normal_ones_as_large():
    rng = np.random.default_rng(0)
    weight, bias = 3 + rng.normal(size=(80, 60)), rng.normal(size=80)
    network = sequential((weight, bias), (rng.normal(size=(2, 80)), [0.0, 0.0]), final_relu=False)
    bottom = tied_layers(network)[-1:]
    permuted, normal = (randomised(network, bottom, seed=5, law=law) for law in ("permuted", "normal"))
    assert sorted(weights(permuted, 1).ravel()) == sorted(weight.ravel())
    assert sorted(permuted.layer(1).linear.bias) == sorted(bias)
    drawn = weights(normal, 1)
    assert np.sqrt((drawn**2).mean()) == pytest.approx(np.sqrt((weight**2).mean()), rel=0.05)
    assert abs(drawn.mean()) < 0.2
    again = randomised(network, bottom, seed=5, law="normal")
    assert again.sha256 == normal.sha256 != randomised(network, bottom, seed=6, law="normal").sha256


def test_a_draw_does_not_depend_on_which_other_layers_are_drawn(reused):
    alone = [randomised(reused, [tied], seed=3) for tied in tied_layers(reused)]
    together = randomised(reused, tied_layers(reused), seed=3)
    for own, tied in zip(alone, tied_layers(reused), strict=True):
        for number in tied.numbers:
            assert weights(own, number).tolist() == weights(together, number).tolist()


def test_layers_of_one_size_are_drawn_apart():
    network = sequential(([[1.0, 2], [3, 4]], [1, 2]), ([[1.0, 2], [3, 4]], [1, 2]))
    found = randomised(network, tied_layers(network), seed=0)
    assert (weights(found, 1) != weights(found, 2)).all()


def test_a_randomised_network_is_exact_and_says_what_it_is():
    network = sequential(([[1, 2]], [0.5]), ([[1.0]], [0.0]))
    found = randomised(network, tied_layers(network)[:1], seed=0)
    assert found.source == "sequential with layer 2 drawn anew"
    assert found.file_sha256 is None
    weight, bias = (Fraction(float(n)) for n in (weights(found, 2)[0, 0], found.layer(2).linear.bias[0]))
    assert bias == 0
    assert found([1, 1]) == (max(weight * Fraction(7, 2), Fraction(0)),)


def test_weights_that_a_draw_leaves_as_they_are():
    network = sequential(([[1, 1], [1, 1]], [0, 0]), ([[0, 0]], [0]))
    top, bottom = tied_layers(network)
    assert unchanged(network, randomised(network, [top], seed=0))
    assert unchanged(network, randomised(network, [bottom], seed=0, law="permuted"))
    assert not unchanged(network, randomised(network, [bottom], seed=0))


def test_weights_near_the_largest_float_stay_finite():
    network = sequential(([[1e300, -1e300]], [0]), ([[1.0]], [0.0]))
    assert np.isfinite(weights(randomised(network, tied_layers(network), seed=0), 1)).all()


def test_an_unknown_law_is_refused():
    network = sequential(([[1.0]], [0.0]))
    with pytest.raises(InputError, match="weights 'uniform': expected normal or permuted"):
        randomised(network, [], seed=0, law="uniform")
