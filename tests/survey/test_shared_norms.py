"""Norms are proven once for all workers: those that come back are the ones that each would have proven."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from large_models import resnet18

import dtdsym
from dtdsym.arithmetic import norms
from dtdsym.arithmetic.norms import norms_of, norms_of_convolution
from dtdsym.network.layers import Affine, Convolution
from dtdsym.network.network import Network
from dtdsym.survey.processes import processes
from dtdsym.survey.shared_norms import prove_on, remember


def copied(network: Network) -> Network:
    """The same maps in new arrays, about which nothing is known yet."""
    make, parts = network.__reduce__()
    nodes = tuple(
        kind(*(x.copy() if isinstance(x, np.ndarray) else x for x in own))
        for kind, own in (
            node.__reduce__() if isinstance(node, Affine | Convolution) else (lambda n: n, (node,)) for node in parts[0]
        )
    )
    return make(nodes, *parts[1:])


def maps(network: Network) -> dict[int, float]:
    """The norms that a process has, or proves."""
    found = {}
    for index, node in enumerate(network.nodes):
        if isinstance(node, Convolution):
            found[index] = norms_of_convolution(node.weight, node.windows, "cpu").spectral
        elif isinstance(node, Affine):
            found[index] = norms_of(node.weight, "cpu").spectral
    return found


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return dtdsym.from_module(resnet18(0.0625), torch.rand(1, 3, 32, 32))


def test_workers_prove_what_one_process_proves(network):
    with ThreadPoolExecutor(2) as executor:
        assert prove_on(executor, copied(network), "cpu") == maps(network)


def test_what_was_told_is_not_proven_again(network, monkeypatch):
    known, fresh = maps(network), copied(network)
    remember(fresh, known)
    monkeypatch.setattr(norms, "spectral_norm", None)
    monkeypatch.setattr(norms, "symbol_norm", None)
    assert maps(fresh) == known
    with pytest.raises(TypeError):
        maps(copied(network))


def test_an_audit_of_a_large_network_on_workers_proves_each_norm_once(network, monkeypatch):
    """The driver asks for all of them first; its own results are those of one process."""
    monkeypatch.setattr("dtdsym.survey.sizes.EXACT_WORK", 0)
    image = torch.rand(1, 3, 32, 32).double().reshape(1, -1).numpy()
    asked = {"rules": ["zplus"], "layers": [9], "logit": 0, "min_logit": -1e9, "sample_roots": 3}
    told: list[int] = []
    monkeypatch.setattr("dtdsym.survey.run.remember", lambda network, norms: told.append(len(norms)))
    with ThreadPoolExecutor(2) as executor:
        shared = dtdsym.audit(network, image, executor=executor, **asked)
    assert set(told) == {sum(isinstance(node, Affine | Convolution) for node in network.nodes)}
    told.clear()
    alone = dtdsym.audit(network, image, **asked)
    assert set(told) == {0}
    assert shared.rows[0].tally.places == alone.rows[0].tally.places


def test_processes_prove_them_too(network):
    with processes(1) as pool:
        assert prove_on(pool, network, "cpu") == maps(network)
