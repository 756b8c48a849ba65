"""The recursion in floats agrees with the exact one wherever no root lies on a hinge."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

import dtdsym
from dtdsym.network.network import sequential
from dtdsym.relevance.autodiff import recursion_by_autograd
from dtdsym.relevance.root_functions import affine_root, constant_root, rule_root


def squares(ops, a):
    return a * a / 3 + 1


def divided(a):
    return [1 / (1 + a[0] * a[0]), *(ai * a[0] for ai in a[1:])]


def random_network(seed, sizes, final_relu):
    random = np.random.default_rng(seed)
    pairs = pairwise(sizes)
    layers = [(random.integers(-8, 9, (n, m)) / 8, (2 * random.integers(0, 99, n) + 1) / 1024) for m, n in pairs]
    return sequential(*layers, final_relu=final_relu)


def random_root(random, size):
    matrix = random.integers(-4, 5, (size, size)) / 8
    vector = [Fraction(int(n), 7) for n in random.integers(-9, 10, size)]
    kinds = [
        constant_root(vector), affine_root(matrix.tolist(), vector), squares, divided,
        rule_root("w2", "relevance"), rule_root("flat", "relevance"), rule_root("epsilon:1/8", "relevance"),
    ]  # fmt: skip
    return kinds[random.integers(len(kinds))]


@pytest.mark.parametrize("seed", range(25))
def test_floats_agree_with_the_exact_recursion(seed):
    random = np.random.default_rng(seed)
    sizes = [3, *random.integers(2, 4, random.integers(0, 3)).tolist(), 2]
    network = random_network(seed, sizes, final_relu=False)
    roots = [random_root(random, size) for size in sizes[:-1]]
    x = random.integers(1, 16, 3) / 8
    exact = dtdsym.recursion(network, x.tolist(), roots, logit=1, check=False)
    found = recursion_by_autograd(network, torch.tensor(x), roots, logit=1)
    expected = torch.tensor([float(entry) for entry in exact], dtype=torch.float64)
    scale = max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) <= 1e-9 * scale


def test_one_input_at_a_time():
    with pytest.raises(dtdsym.ShapeMismatch, match=r"x has shape \(1, 2\); expected \(2,\)"):
        recursion_by_autograd(sequential(([[1, 1]], [0])), torch.ones(1, 2), [constant_root([0, 0])])
