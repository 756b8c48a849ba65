"""All cells of small networks, side by side with tools that list linear regions, where those are installed; counts in
ten dimensions; a line through a wide network.

python -m pytest tests/benchmarks/test_regions_speed.py --benchmark-enable --benchmark-group-by=group

Peers are installed beside the package for the comparison only: pip install regioncam affinitree parx relucent.
Their counts are compared with the exact one: extra_info says what they found.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import dtdsym
from dtdsym.geometry.arrangement import arrangement
from dtdsym.network.network import Network, sequential
from dtdsym.survey.cells import count_cells

SIDE = 20
PLANES = {"2-10-10-1": (2, 10, 10, 1), "2-30-30-2": (2, 30, 30, 2), "2-64-64-64-1": (2, 64, 64, 64, 1)}


def module(sizes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs, dtype=dtype), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def network(sizes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Network:
    return dtdsym.from_module(module(sizes, dtype), torch.zeros(1, sizes[0], dtype=dtype))


@pytest.fixture(params=PLANES, ids=PLANES)
def plane(request, benchmark):
    benchmark.group = f"all cells of {request.param} in a square"
    return PLANES[request.param]


def test_dtdsym(benchmark, plane):
    net = network(plane)
    found = benchmark.pedantic(arrangement, (net,), {"box": [(-SIDE, SIDE)] * 2}, rounds=3, warmup_rounds=1)
    cells = len(found.cells)
    benchmark.extra_info["cells"] = cells
    if benchmark.stats is not None:
        benchmark.extra_info["microseconds a cell"] = round(1e6 * benchmark.stats["median"] / cells, 1)
    assert cells == {2: 207, 30: 2005, 64: 15383}.get(plane[1], 207)


def regioncam_cells(layers: list[tuple[np.ndarray, np.ndarray]], side: float) -> int:
    """With float32 weights, the only ones it takes."""
    tool = pytest.importorskip("regioncam").Regioncam(size=side)
    for number, (weight, bias) in enumerate(layers):
        tool.linear(np.ascontiguousarray(weight.T, dtype=np.float32), bias.astype(np.float32))
        if number + 1 < len(layers):
            tool.relu()
    return int(tool.num_faces)


def weights(sizes: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    parts = [part for part in module(sizes) if isinstance(part, nn.Linear)]
    return [(part.weight.detach().numpy(), part.bias.detach().numpy()) for part in parts]


def test_regioncam(benchmark, plane):
    benchmark.extra_info["cells"] = benchmark(regioncam_cells, weights(plane), SIDE)


def test_affinitree(benchmark, plane):
    """Distils the network into a tree over all of the plane; in floats."""
    affinitree = pytest.importorskip("affinitree")
    if plane[1] > 30:
        pytest.skip("takes minutes")
    made = module(plane)
    arch = affinitree.extract_pytorch_architecture(2, made)
    tree = benchmark.pedantic(affinitree.builder.from_layers, (arch,), rounds=1)
    benchmark.extra_info["leaves"] = len(list(tree.terminals()))


def test_relucent(benchmark, plane):
    relucent = pytest.importorskip("relucent")
    if plane[1] > 10:
        pytest.skip("takes minutes")

    def listed():
        complex_ = relucent.Complex(relucent.convert(module(plane)))
        complex_.bfs()
        return len(complex_)

    benchmark.extra_info["cells"] = benchmark.pedantic(listed, rounds=1)


def test_parx(benchmark, plane):
    parx = pytest.importorskip("parx", exc_type=(ImportError, RuntimeError))  # it needs Julia
    if plane[1] > 10:
        pytest.skip("takes minutes")
    made = module(plane, torch.float32)
    points = np.random.default_rng(0).uniform(-SIDE, SIDE, (500, 2))
    listed = benchmark.pedantic(parx.compute_partition, (made, points), {"method": "exact_python"}, rounds=1)
    benchmark.extra_info["cells"] = len(listed)


def test_all_of_space_in_three_dimensions(benchmark):
    benchmark.group = "all cells of 3-10-10-1 in all of space"
    found = benchmark.pedantic(arrangement, (network((3, 10, 10, 1)),), rounds=3, warmup_rounds=1)
    benchmark.extra_info["cells"] = len(found.cells)
    assert len(found.cells) == 1238


def test_time_a_cell_stays_flat(benchmark):
    """The same network in squares that hold ever more of its cells."""
    benchmark.group = "time a cell"
    net = network((2, 30, 30, 2))
    counts = {}

    def listed():
        for side in (1, 2, 4, 20):
            counts[side] = len(arrangement(net, box=[(-side, side)] * 2).cells)

    benchmark.pedantic(listed, rounds=3)
    benchmark.extra_info["cells"] = counts


@pytest.mark.parametrize("inputs", [5, 6])
def test_many_dimensions(benchmark, inputs):
    """By linear programs, in one process; 10-10-10-2 takes minutes, `--count --jobs 2` is for that."""
    benchmark.group = f"{inputs}-6-6-1, counted over all of space"
    net = network((inputs, 6, 6, 1))
    benchmark.extra_info["cells"] = benchmark.pedantic(count_cells, (net,), rounds=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_line_through_a_wide_network(benchmark, dtype):
    benchmark.group = "a line through 784-1024-1024-1024-10"
    net = network((784, 1024, 1024, 1024, 10), dtype)
    ends = np.random.default_rng(0).standard_normal((2, 784)).astype(np.float32) * 8
    steps = benchmark.pedantic(dtdsym.walk, (net, *ends.tolist()), {"logit": 3}, rounds=1)
    benchmark.extra_info["breakpoints"] = len(steps.times)
    assert len(steps.times) > 1000


def test_a_network_that_floats_miscount():
    """Three hinges through one point, missed by 2^-60: seven cells, one of them a triangle that floats do not see."""
    layers = [
        (np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([0.0, 0.0, 2.0**-60])),
        (np.array([[1.0, 1.0, 1.0]]), np.array([0.0])),
    ]
    assert len(arrangement(sequential(*layers, final_relu=False), box=[(-1, 1)] * 2).cells) == 7
    assert regioncam_cells(layers, 1.0) != 7
