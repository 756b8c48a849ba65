"""Small networks that the real tools explain, right and wrong, and their rules by the names that they have here."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from tools import conv_net, import_captum, import_zennit, randomise
from torch import nn
from torch.nn import functional

captum = import_captum()
zennit = import_zennit()
captum_rules = pytest.importorskip("captum.attr._utils.lrp_rules")
addition = pytest.importorskip("captum.attr._utils.custom_modules").Addition_Module


class Net(nn.Module):
    """first, second and last are affine, float64 and frozen; `way` says how forward joins them."""

    def __init__(self, way, first=(4, 4), second=(4, 4), last=(4, 2)):
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second, self.last = (nn.Linear(*sizes) for sizes in (first, second, last))
        self.relu, self.other_relu = nn.ReLU(), nn.ReLU()
        self.way = way
        self.double().eval()

    def forward(self, x):
        return self.way(self, x)


def plain_addition(net, x):
    t = net.relu(net.first(x))
    return net.last(net.other_relu(net.second(t) + t))


def addition_before_the_relu(net, x):
    t = net.first(x)
    return net.last(net.second(net.relu(t)) + t)


class Added(Net):
    """The residual network with the addition as each tool's own module."""

    def __init__(self, tool):
        super().__init__(None)
        self.tool, self.add = tool, addition() if tool == "captum" else zennit.layer.Sum()

    def forward(self, x):
        t = self.relu(self.first(x))
        u = self.second(t)
        total = self.add(u, t) if self.tool == "captum" else self.add(torch.stack([u, t], -1))
        return self.last(self.other_relu(total))


def reused(net, x):
    return net.last(net.relu(net.first(net.relu(net.first(x)))))


def functional_relu(net, x):
    return net.last(functional.relu(net.first(x)))


class Functional(nn.Module):
    """A convolution, a functional ReLU, a functional pool, and a dense layer."""

    def __init__(self, pool):
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.linear, self.pool = nn.Conv2d(1, 2, 2), nn.Linear(8, 2), pool
        self.double().eval()

    def forward(self, x):
        return self.linear(self.pool(functional.relu(self.conv(x))).flatten(1))


def average_pool(t):
    return functional.avg_pool2d(t, 2, stride=1)


class Flat(nn.Module):
    """A dense layer behind a flattening that is no module: captum has no rule for nn.Flatten."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear

    def forward(self, x):
        return self.linear(x.flatten(1))


def flat_net():
    """conv_net for captum."""
    net = conv_net()
    return nn.Sequential(*net[:7], Flat(net[8]))


IN_FLAT_NET = ("0", "4", "7.linear")
CAPTUM = {
    "epsilon:1e-9": lambda: captum_rules.EpsilonRule(),
    "epsilon:0.25": lambda: captum_rules.EpsilonRule(epsilon=0.25),
    "captum.gamma": lambda: captum_rules.GammaRule(),
    "captum.gamma:1": lambda: captum_rules.GammaRule(gamma=1),
    "captum.gamma_nobias:0.25": lambda: captum_rules.GammaRule(set_bias_to_zero=True),
    "captum.alpha1_beta0": lambda: captum_rules.Alpha1_Beta0_Rule(),
    "captum.alpha1_beta0_nobias": lambda: captum_rules.Alpha1_Beta0_Rule(set_bias_to_zero=True),
}
"""Rules of convolutions and dense layers, and captum's."""


def in_zennit():
    """Rules of convolutions and dense layers, and zennit's."""
    r = zennit.rules
    return {
        "epsilon:1e-6": r.Epsilon(),
        "epsilon:0.25": r.Epsilon(0.25),
        "zennit.epsilon_nobias:1e-6": r.Epsilon(zero_params="bias"),
        "zennit.zplus": r.ZPlus(),
        "zennit.zplus_nobias": r.ZPlus(zero_params="bias"),
        "zennit.alpha_beta": r.AlphaBeta(),
        "zennit.alpha_beta:1:0": r.AlphaBeta(1, 0),
        "zennit.alpha_beta_nobias:3:2": r.AlphaBeta(3, 2, zero_params="bias"),
        "zennit.gamma": r.Gamma(),
        "zennit.gamma:2": r.Gamma(2.0),
        "zennit.gamma_nobias:0.25": r.Gamma(zero_params="bias"),
        "zennit.zbox:-4:4": r.ZBox(-4.0, 4.0),
        "zennit.wsquare": r.WSquare(),
        "zennit.wsquare_nobias": r.WSquare(zero_params="bias"),
        "zennit.flat": r.Flat(),
    }


class Residual(nn.Module):
    """Two convolutions around a skip, joined by `join`, then a dense layer."""

    def __init__(self, join):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.relu, self.other_relu, self.last = nn.ReLU(), nn.ReLU(), nn.Linear(50, 3)
        self.join = join
        randomise(self, 4)

    def forward(self, x):
        t = self.relu(self.first(x))
        return self.last(self.other_relu(self.join(self.second(t), t)).flatten(1))


class Summed(nn.Module):
    """zennit's module for additions, of two values."""

    def __init__(self):
        super().__init__()
        self.sum = zennit.layer.Sum()

    def forward(self, left, right):
        return self.sum(torch.stack([left, right], -1))


def plain(left, right):
    return left + right


def dense(*widths):
    """With ReLUs between layers, as a module."""
    layers = [part for size, out in pairwise(widths) for part in (nn.Linear(size, out), nn.ReLU())]
    return randomise(nn.Sequential(*layers[:-1]), 2)
