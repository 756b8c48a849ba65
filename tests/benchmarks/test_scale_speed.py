"""What certainty costs on whole models: each stage of a forward pass beside torch's own in float64; roots of a sample.

Run with --benchmark-enable. The group "VGG-16 forward" holds torch's float64 pass, balls and expansions in one run;
extra_info says how many signs each stage decided and left open. DTDSYM_SCALE=full takes 224 x 224 images and all
channels (minutes, and some gigabytes); without it images and channels are smaller, as continuous integration can bear.
"""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from large_models import resnet18, vgg16

import dtdsym
from dtdsym.arithmetic.enclosure import UNDECIDED, sign
from dtdsym.network.layers import Relu
from dtdsym.survey.stages import BALLS, EXPANSIONS, outputs, stream

FULL = os.environ.get("DTDSYM_SCALE") == "full"
SIDE, WIDTH, HIDDEN = (224, 1.0, 4096) if FULL else (64, 0.125, 128)
ROOTS = 1000 if FULL else 40


@pytest.fixture(scope="module")
def vgg():
    """(module in float64, network cut to one logit, image (1, 3, side, side) in float64)."""
    torch.manual_seed(0)
    module = vgg16(WIDTH, side=SIDE, hidden=HIDDEN)
    image = torch.rand(1, 3, SIDE, SIDE)
    network = dtdsym.from_module(module, image).logit(0)
    return module.double(), network, image.double()


@pytest.fixture(scope="module")
def resnet():
    """(network cut to one logit, image (1, in) as an array)."""
    torch.manual_seed(0)
    image = torch.rand(1, 3, SIDE, SIDE)
    return dtdsym.from_module(resnet18(WIDTH), image).logit(0), image.double().reshape(1, -1).numpy()


def open_signs(network, stage, image) -> tuple[int, int]:
    """Signs of ReLUs that a stage leaves open, and how many there are."""
    open_, count = 0, 0
    for index, values in stream(network, stage.ops, {0: stage.ops.lift(image.reshape(1, -1))}):
        if isinstance(network.nodes[index], Relu):
            signs = sign(values[network.nodes[index].sources[0]])
            open_, count = open_ + int((signs == UNDECIDED).sum()), count + signs.numel()
    return open_, count


@pytest.mark.benchmark(group="VGG-16 forward")
def test_torch_float64(benchmark, vgg):
    module, _, image = vgg
    with torch.no_grad():
        benchmark(module, image)


@pytest.mark.benchmark(group="VGG-16 forward")
@pytest.mark.parametrize("stage", [BALLS, *EXPANSIONS], ids=lambda stage: stage.name)
def test_stage(benchmark, vgg, stage):
    _, network, image = vgg
    points = image.reshape(1, -1).numpy()
    benchmark.extra_info["open"], benchmark.extra_info["signs"] = open_signs(network, stage, image)
    benchmark.pedantic(outputs, (network, stage, points), rounds=3, warmup_rounds=1)
    assert benchmark.extra_info["open"] <= benchmark.extra_info["signs"]


def audited(network, image, roots: int, engine: str, executor=None):
    torch.set_num_threads(1)
    return dtdsym.audit(
        network, image, rules=["zplus"], layers=[1, 8, 15], sample_roots=roots, engine=engine, logit=0, min_logit=-1e9,
        executor=executor,
    )  # fmt: skip


@pytest.mark.benchmark(group="ResNet-18 root places, z+")
@pytest.mark.parametrize("roots", [ROOTS // 2, ROOTS])
@pytest.mark.parametrize("engine", ["numeric", "auto"])
def test_a_sample_of_roots(benchmark, resnet, engine, roots):
    network, image = resnet
    threads = torch.get_num_threads()
    try:
        audited(network, image, 2, engine)
        found = benchmark.pedantic(audited, (network, image, roots, engine), rounds=1)
    finally:
        torch.set_num_threads(threads)
    benchmark.extra_info["decided by"] = [dict(row.tally.decided_by) for row in found.rows]
    assert sum(row.tally.total for row in found.rows) >= roots


@pytest.mark.benchmark(group="ResNet-18 root places, z+, by workers")
@pytest.mark.parametrize("jobs", [1, 2])
def test_workers(benchmark, resnet, jobs):
    network, image = resnet
    image = np.concatenate([image, image[:, ::-1], image * 0.5, image * 0.75])
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        audited(network, image, 8, "auto", pool)
        benchmark.pedantic(audited, (network, image, ROOTS * 4, "auto", pool), rounds=1)
