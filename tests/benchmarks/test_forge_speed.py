"""How long a forgery of the digits network takes, and the exact recursion that shows it."""

from __future__ import annotations

import numpy as np

import dtdsym


def digits(repository):
    network = dtdsym.load(repository / "examples" / "digits_mlp.pt")
    image = np.load(repository / "examples" / "digits_inputs.npy")[0]
    return network, image, max(range(10), key=network(image).__getitem__)


def test_forge(benchmark, repository):
    network, image, digit = digits(repository)
    target = list(range(-32, 32))
    roots = benchmark(dtdsym.forge, network, image, target, digit)
    assert roots.target == tuple(target)


def test_recursion(benchmark, repository):
    network, image, digit = digits(repository)
    target = list(range(-32, 32))
    roots = dtdsym.forge(network, image, target, digit)
    assert benchmark(dtdsym.recursion, network, image, roots, digit, check=False) == tuple(target)
