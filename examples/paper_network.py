"""The network, the inputs and Table 1 of Sixt & Landgraf 2022 (Section 5.1), as the published analysis computes them.

    python examples/paper_network.py        # writes paper_mlp.pt beside this script

Needs torch only. Source of the procedure: the authors' public repository
berleon/A-Rigorous-Study-Of-The-Deep-Taylor-Decomposition, commit 2744c28, notebook
check_network_sensitivity_for_input_roots.ipynb (cells 4 and 10; a later commit removed it), and lrp_relations/dtd.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

RULES = ("lrp0", "gamma:1", "w2", "zplus")
"""The columns of Table 1, in print order."""
PRINTED = {
    "lrp0": ("41.20%", "14.62%"),
    "gamma:1": ("38.70%", "13.85%"),
    "w2": ("37.70%", "14.01%"),
    "zplus": ("41.10%", "13.99%"),
}
"""Table 1 as printed: (same local linear region, same network output)."""

DRAWN = ("lrp0", "zplus", "gamma:1", "w2")  # one chain of random numbers fills the columns in this order
INPUTS = 1000
MIN_LOGIT = 0.1
GRADIENT_TOLERANCE = 1e-5
OUTPUT_TOLERANCE = 1e-6
SMALLEST_DENOMINATOR = 1e-5
SAVED = Path(__file__).with_name("paper_mlp.pt")


def paper_network() -> nn.Sequential:
    """The paper's MLP 10-10-10-2 with a ReLU after every layer, float32; the explained logit is 0.

    The published initialisation visits every Linear, then the block around it, then the whole network, and multiplies
    positive parameters by 1.4 at each visit; the block also makes its biases non-positive, before the last visit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layers = [nn.Linear(10, 10), nn.Linear(10, 10), nn.Linear(10, 2)]
    with torch.no_grad():
        for layer in layers:
            layer.weight.copy_(_scaled(layer.weight, times=3))
            layer.bias.copy_(-_scaled(layer.bias, times=2).abs())
    return nn.Sequential(*(module for layer in layers for module in (layer, nn.ReLU())))


def _scaled(parameter: Tensor, *, times: int) -> Tensor:
    for _ in range(times):
        parameter = torch.where(parameter > 0, 1.4 * parameter, parameter)
    return parameter


def paper_inputs(rule: str) -> Tensor:
    """The inputs of the column `rule` (one of RULES): (1000, 10) float32, entries |N(0, 1)|, logit 0 above 0.1."""
    return _all_inputs()[rule].clone()


@lru_cache(maxsize=1)
def _all_inputs() -> dict[str, Tensor]:
    drawn = _accepted()
    return {rule: torch.stack([next(drawn) for _ in range(INPUTS)]) for rule in DRAWN}


def _accepted() -> Iterator[Tensor]:
    """Inputs (10,), without end. Each is drawn from its own seed, which the generator's state after the last one gives.

    Ten numbers at a time: torch draws other numbers when it is asked for more at once.
    """
    network, generator = paper_network(), torch.Generator().manual_seed(0)
    while True:
        generator.manual_seed(int(torch.randint(0, 2**32, (1,), generator=generator)))
        accepted = False
        while not accepted:
            x = torch.randn(1, 10, generator=generator).abs()
            with torch.no_grad():
                accepted = bool(network(x)[0, 0] > MIN_LOGIT)
        yield x[0]


@dataclass(frozen=True)
class PublishedColumn:
    """What the published analysis counts in one column, over `inputs` inputs and `roots` first-layer roots.

    inputs_different: *inputs* at least one of whose roots has a gradient that differs from the input's by more than
    1e-5 in some entry. roots_equal_output: *roots* whose output differs from the input's by less than 1e-6.
    """

    inputs: int
    roots: int
    inputs_different: int
    roots_equal_output: int

    @property
    def first_row(self) -> str:
        """The entry printed under "Same local linear region"."""
        return f"{self.inputs_different / self.inputs:.2%}"

    @property
    def second_row(self) -> str:
        """The entry printed under "Same network output"."""
        return f"{self.roots_equal_output / self.roots:.2%}"


def published_table(dtype: torch.dtype = torch.float64) -> dict[str, PublishedColumn]:
    """Table 1 the way it was computed: a column a rule, each with its own inputs, all with z+ roots.

    The published loop over rules builds its root finder from one fixed setting, z+, not from the loop's rule; the
    columns differ in their random inputs alone. In float64 the counts equal those of exact arithmetic; in float32, the
    published precision, the second row moves by a few roots with the processor and the order of summation.
    """
    return {rule: published_column(paper_network().to(dtype), paper_inputs(rule).to(dtype)) for rule in RULES}


def published_column(network: nn.Sequential, inputs: Tensor) -> PublishedColumn:
    """The two counts for `inputs` (B, 10), in their precision, for logit 0 and z+ roots."""
    roots = zplus_roots(network, inputs)
    output, gradient = output_and_gradient(network, inputs[:, None])
    root_output, root_gradient = output_and_gradient(network, roots)
    different = (root_gradient - gradient).abs() > GRADIENT_TOLERANCE
    equal = (root_output - output).abs() < OUTPUT_TOLERANCE
    return PublishedColumn(len(inputs), equal.numel(), int(different.any(-1).any(-1).sum()), int(equal.sum()))


def output_and_gradient(network: nn.Sequential, points: Tensor) -> tuple[Tensor, Tensor]:
    """Logit 0 and its gradient by autograd at points (..., 10): shapes (...) and (..., 10)."""
    points = points.clone().requires_grad_(True)
    output = network(points)[..., 0]
    (gradient,) = torch.autograd.grad(output.sum(), points)
    return output.detach(), gradient


@torch.no_grad()
def zplus_roots(network: nn.Sequential, inputs: Tensor) -> Tensor:
    """Algorithm 2 with the z+ rule: the roots of the ten first-layer neurons, (B, 10 neurons, 10 coordinates)."""
    first, second, last = (module for module in network if isinstance(module, nn.Linear))
    hidden = torch.relu(first(inputs))
    upper = torch.relu(second(hidden))
    relevance = torch.relu(last(upper))[:, :1]
    relevance = _passed_down(last.weight[:1], upper, relevance)
    relevance = _passed_down(second.weight, hidden, relevance)
    return _roots(first.weight, inputs, relevance)


def _roots(weight: Tensor, activation: Tensor, relevance: Tensor) -> Tensor:
    """a - R_j/(w_j.v_j) v_j with v_j = a o 1[w_j >= 0]; weight (m, n), a (B, n), R (B, m); returns (B, m, n).

    Where |w_j.v_j| <= 1e-5 the published code has no root and passes no relevance down; here the root is then a.
    It never happens in the first layer, whose roots are the ones that are counted.
    """
    a = activation[:, None]
    direction = a * (weight >= 0)
    along = (weight * direction).sum(-1)
    step = torch.where(along.abs() > SMALLEST_DENOMINATOR, relevance / along, 0)
    return a - step[..., None] * direction


def _passed_down(weight: Tensor, activation: Tensor, relevance: Tensor) -> Tensor:
    """sum_j w_j o (a - root_j), (B, n)."""
    return (weight * (activation[:, None] - _roots(weight, activation, relevance))).sum(1)


def main() -> None:
    """Save the network, whole, for `python -m dtdsym.verify`."""
    torch.save(paper_network(), SAVED)
    print(f"wrote {SAVED.name}: MLP 10-10-10-2, ReLU on every layer, the network of Table 1")


if __name__ == "__main__":
    main()
