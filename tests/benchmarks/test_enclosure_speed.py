"""What certainty costs: one forward pass of a batch of 1000 through 784-1024-1024-1024-1024-10, plain and enclosed.

Plain is torch in float64. Run with --benchmark-enable; the group "forward" shows the ratio of the two, and extra_info
how many signs of pre-activations the enclosures left undecided.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from dtdsym.arithmetic.enclosure import ENCLOSURE, UNDECIDED, exact, sign

WIDTHS = [784, 1024, 1024, 1024, 1024, 10]
BATCH = 1000


@pytest.fixture(scope="module")
def layers():
    """(weight, bias) of each layer: torch's default initialisation, float32 weights as float64 arrays."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for inputs, outputs in pairwise(WIDTHS):
        bound = inputs**-0.5
        weight = torch.rand(outputs, inputs, generator=generator).mul_(2 * bound).sub_(bound)
        bias = torch.rand(outputs, generator=generator).mul_(2 * bound).sub_(bound)
        made.append(tuple(tensor.numpy().astype(np.float64) for tensor in (weight, bias)))
        for array in made[-1]:
            array.setflags(write=False)
    return made


@pytest.fixture(scope="module")
def batch():
    """Inputs (1000, 784) in [0, 1)."""
    return torch.rand(BATCH, WIDTHS[0], generator=torch.Generator().manual_seed(1)).double()


def plain_forward(layers, value):
    for weight, bias in layers:
        value = torch.nn.functional.linear(value, weight, bias).relu_()
    return value


def enclosed_forward(layers, numbers):
    value = exact(numbers)
    for weight, bias in layers:
        value = ENCLOSURE.relu(ENCLOSURE.affine(weight, bias, value))
    return value


def undecided(layers, numbers):
    """Undecided signs of pre-activations, and how many signs there are."""
    value, open_, count = exact(numbers), 0, 0
    for weight, bias in layers:
        value = ENCLOSURE.affine(weight, bias, value)
        signs = sign(value)
        open_, count = open_ + int((signs == UNDECIDED).sum()), count + signs.numel()
        value = ENCLOSURE.relu(value)
    return open_, count


@pytest.mark.benchmark(group="forward")
def test_plain_float64_forward(benchmark, layers, batch):
    tensors = [tuple(torch.tensor(array) for array in layer) for layer in layers]
    benchmark.pedantic(plain_forward, (tensors, batch), rounds=7, warmup_rounds=1)


@pytest.mark.benchmark(group="forward")
def test_enclosed_forward(benchmark, layers, batch):
    value = benchmark.pedantic(enclosed_forward, (layers, batch), rounds=7, warmup_rounds=1)
    tensors = [tuple(torch.tensor(array) for array in layer) for layer in layers]
    assert ((plain_forward(tensors, batch) - value.mid).abs() <= 2 * value.rad).all()
    open_, count = undecided(layers, batch)
    benchmark.extra_info.update(undecided_signs=open_, signs=count)
    assert open_ * 10**5 <= count
