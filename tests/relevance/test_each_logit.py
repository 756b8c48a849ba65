"""Relevances of inputs with a logit each are those that `explain` gives one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import dtdsym
from dtdsym.relevance.composite import parse
from dtdsym.relevance.each_logit import EachLogit

RULES = (
    "zplus", "w2", "gamma:1", "epsilon:0.1", "alpha_beta:1:0", "alpha_beta:2:1", "lrp0", "flat", "zbox:-1:1", "pinv",
    "authors.lrp0", "authors.pinv", "captum.alpha1_beta0", "zennit.zplus", "first=w2,last=epsilon:0.25,*=zplus",
)  # fmt: skip
DENSE = ("pinv", "authors.pinv")
"""Slow on convolutions, which are one large matrix to them."""


class Residual(nn.Module):
    """A skip, pools and batch normalisation; the last node is what `last` says."""

    def __init__(self, last):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.pool, self.end, self.last = nn.MaxPool2d(2), nn.Linear(8, 3), last
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = self.pool(torch.relu(self.norm(self.conv(x)) + x))
        return x.flatten(1)[:, :3] if self.last == "take" else self.end(x.flatten(1))


NETWORKS = {
    "linear": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), (4,)),
    "final relu": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU()), (4,)),
    "one output": (lambda: nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1)), (4,)),
    "residual": (lambda: Residual("linear"), (2, 4, 4)),
    "no linear end": (lambda: Residual("take"), (2, 4, 4)),
}


CASES = [(name, rule) for name, (_, shape) in NETWORKS.items() for rule in RULES if shape == (4,) or rule not in DENSE]


def asked(name):
    torch.manual_seed(3)
    make, shape = NETWORKS[name]
    module = make().double().eval()
    x = torch.rand(6, *shape, dtype=torch.float64)
    network = dtdsym.from_module(module, x[:1])
    logits = torch.tensor([2, 0, 1, 2, 2, 0]) % network.sizes[-1]
    return module, network, x, logits


@pytest.mark.parametrize(("name", "rule"), CASES)
def test_relevance_is_that_of_explain(name, rule):
    _, network, x, logits = asked(name)
    each = EachLogit(network, x.flatten(1), logits)
    found = each.relevance(parse(rule), each.outputs)
    for row, logit, relevance in zip(x, logits, found, strict=True):
        expected = dtdsym.explain(network, row[None], rule, int(logit)).flatten()
        assert torch.allclose(relevance, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_control_is_torchs_gradient_times_the_input(name):
    module, network, x, logits = asked(name)
    leaf = x.clone().requires_grad_()
    outputs = module(leaf).gather(1, logits[:, None])[:, 0]
    (gradient,) = torch.autograd.grad(outputs.sum(), leaf)
    each = EachLogit(network, x.flatten(1), logits)
    assert torch.allclose(each.outputs, outputs, rtol=1e-9, atol=1e-12)
    assert torch.allclose(each.gradient_x_input(), (gradient * x).flatten(1), rtol=1e-9, atol=1e-12)
    assert gradient.any()
