"""Train-free relevance of 1,000 inputs beside captum's LRP, zennit's and gradient x input: one MLP, one conv net.

python -m pytest tests/benchmarks/test_relevance_speed.py --benchmark-enable --benchmark-group-by=group
"""

from __future__ import annotations

import pytest
import torch
from tools import captum_lrp, import_captum, import_zennit, zennit_by_name, zennit_lrp
from torch import nn

import dtdsym

BATCH = 1000


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 2))


class Conv(nn.Module):
    """conv 8, conv 16, pool, linear on 1 x 8 x 8; flattened by a function: captum has no rule for nn.Flatten."""

    def __init__(self):
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(1, 8, 3, padding=1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()
        self.pool, self.linear = nn.MaxPool2d(2), nn.Linear(256, 10)

    def forward(self, x):
        x = self.relu2(self.conv2(self.relu1(self.conv1(x))))
        return self.linear(self.pool(x).flatten(1))


def conv():
    torch.manual_seed(0)
    return Conv()


NETWORKS = {"mlp 10-10-10-2": (mlp, (10,)), "conv 1x8x8": (conv, (1, 8, 8))}


@pytest.fixture(params=NETWORKS, ids=NETWORKS)
def case(request):
    make, shape = NETWORKS[request.param]
    x = torch.rand(BATCH, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return request.param, make().double().eval(), x


def layer_names(module):
    return [name for name, part in module.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)]


@pytest.mark.parametrize("rule", ["zplus", "epsilon:1e-9"])
def test_dtdsym(benchmark, case, rule):
    benchmark.group = case[0]
    _, module, x = case
    network = dtdsym.from_module(module, x[:1])
    found = benchmark(dtdsym.explain, network, x, rule, 0)
    assert found.shape == x.shape
    assert found.abs().sum() > 0


@pytest.mark.parametrize("rule", ["zplus", "epsilon:1e-9"])
def test_captum(benchmark, case, rule):
    benchmark.group = case[0]
    import_captum()
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule

    _, module, x = case

    def explain():  # captum deletes the rules of a module that it has explained, so they are set for every call
        chosen = {name: Alpha1_Beta0_Rule() for name in layer_names(module)} if rule == "zplus" else {}
        return captum_lrp(module, x, 0, chosen)

    assert benchmark(explain).shape == x.shape


@pytest.mark.parametrize("rule", ["zplus", "epsilon:1e-9"])
def test_zennit(benchmark, case, rule):
    benchmark.group = case[0]
    import_zennit()
    _, module, x = case
    import zennit.rules

    chosen = zennit.rules.ZPlus if rule == "zplus" else zennit.rules.Epsilon
    found = benchmark(lambda: zennit_lrp(module, x, 0, zennit_by_name({n: chosen() for n in layer_names(module)})))
    assert found.shape == x.shape


def test_gradient_times_input(benchmark, case):
    benchmark.group = case[0]
    _, module, x = case

    def explain():
        leaf = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(module(leaf)[:, 0].sum(), leaf)
        return gradient * x

    assert benchmark(explain).shape == x.shape
