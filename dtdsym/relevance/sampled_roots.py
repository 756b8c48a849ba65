"""Roots as the authors of the paper looked for them: by sampling the linear region, in floats, whole batches at once.

Samples propose. A point counts as inside while its gradient, in floats and up to a tolerance, is the input's; that it
is in the same component, or in the region at all, only `dtdsym.place` decides.
- interpolation: random directions; along each, bisection between a point inside and one outside. The samples are the
  last points inside, which, since the relevance is affine on the region, are lowest on the rays on which it falls.
- metropolis: random walks with normal steps that stay where a step would leave (Metropolis and Hastings, for a uniform
  distribution); until the walks are recorded, the steps grow while more than half of them are accepted, up to a bound:
  regions may be unbounded.
Lengths are in units of the largest coordinate of a_l, at least 1. On a hinge torch's gradient picks the side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from dtdsym.arithmetic.tensor import TENSOR
from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import InputError, ShapeMismatch
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.slice import bypassing
from dtdsym.relevance.root_search import DOMAINS, neuron_of

METHODS = ("interpolation", "metropolis")
RTOL, ATOL = 1e-3, 1e-5  # of a gradient's entry, and of its largest entry
FIRST_STEP = 1e-6
REACH = 30  # doublings of the first step of a ray that stays inside
HALVINGS = 30
CHAINS = 10
WARM_UP = 100
FIRST_WALK, LONGEST_WALK = 1e-3, 0.1  # steps of walks
GROWTH = 4  # of a walk's steps, to the power of the share accepted less a half
Inside = Callable[[torch.Tensor], torch.Tensor]
"""points (batch, n, size) -> whether they count as inside (batch, n)."""


@dataclass(frozen=True, eq=False)
class SampledRegion:
    """points (batch, count, size) that count as inside, and their relevance (batch, count), on the inputs' device."""

    points: torch.Tensor
    relevance: torch.Tensor

    def roots(self) -> torch.Tensor:
        """The samples of least relevance (batch, size), one an input: what the authors take for roots."""
        best = self.relevance.argmin(dim=1)
        return self.points[torch.arange(len(best), device=best.device), best]


def sample_region(
    network: Network,
    x: torch.Tensor,
    *,
    method: str = "interpolation",
    logit: int = 0,
    layer: int = 1,
    neuron: int | None = None,
    domain: str | None = None,
    count: int = 100,
    seed: int = 0,
) -> SampledRegion:
    """Samples from the linear region of F_l around each a_l. Merely numeric: nothing is decided by it.

    x (batch, in), floating, on any device. method: "interpolation" or "metropolis". neuron: its relevance is the ReLU
    of its pre-activation; None: the relevance is F_l. domain "nonnegative": no coordinate below 0, of a_l either.
    count: samples an input; metropolis rounds it up to a multiple of its 10 walks. Raises InputError, ShapeMismatch."""
    if method not in METHODS:
        raise InputError(f"method {method!r}: expected {' or '.join(METHODS)}")
    if domain not in DOMAINS:
        raise InputError(f"domain {domain!r}: expected nonnegative, or None for no bounds")
    number = whole_number(count)
    if number is None or number < 1:
        raise InputError(f"count {count!r}: give a whole number from 1")
    one = network.logit(logit)
    _check_inputs(x, one.sizes[0])
    own = one.layer(layer)
    chosen = None if neuron is None else neuron_of(network, one, layer, neuron, logit)
    values = evaluate(one, TENSOR, {0: x.detach()})
    a, bypass = values[own.source], {node: values[node] for node in bypassing(one, own.source)}
    if domain and bool((a < 0).any()):
        raise InputError(f"domain {domain!r}: the input of layer {layer} has a negative coordinate itself")
    generator = torch.Generator(device=x.device).manual_seed(seed)

    def gradients(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch, number, size = points.shape
        flat = points.reshape(-1, size).detach().requires_grad_()
        fixed = {node: value.repeat_interleave(number, dim=0) for node, value in bypass.items()}
        found = evaluate(one, TENSOR, {**fixed, own.source: flat})
        (slopes,) = torch.autograd.grad(found[len(one.nodes) - 1].sum(), flat)
        wanted = found[len(one.nodes) - 1][:, 0] if chosen is None else found[own.output][:, chosen].clamp(min=0)
        return slopes.reshape(batch, number, size), wanted.detach().reshape(batch, number)

    home, _ = gradients(a[:, None])

    allowed = RTOL * home.abs() + ATOL * home.abs().amax(dim=-1, keepdim=True)

    def inside(points: torch.Tensor) -> torch.Tensor:
        kept = ((gradients(points)[0] - home).abs() <= allowed).all(dim=-1)
        return kept & (points >= 0).all(dim=-1) if domain else kept

    points = (_interpolated if method == "interpolation" else _walked)(a, inside, number, generator)
    return SampledRegion(points, gradients(points)[1])


def _check_inputs(x: torch.Tensor, size: int) -> None:
    if not isinstance(x, torch.Tensor) or x.ndim != 2 or x.shape[1] != size or not x.is_floating_point():
        given = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, torch.Tensor) else type(x).__name__
        raise ShapeMismatch(f"x is {given}; expected a tensor of floats (batch, {size})")
    if not bool(x.isfinite().all()):
        raise InputError("x holds a number that is not finite; give finite inputs")


def _scale(a: torch.Tensor) -> torch.Tensor:
    """The unit of lengths (batch, 1, 1)."""
    return a.abs().amax(dim=1).clamp(min=1)[:, None, None]


def _interpolated(a: torch.Tensor, inside: Inside, count: int, generator: torch.Generator) -> torch.Tensor:
    ways = _normal((len(a), count, a.shape[1]), a, generator)
    ways = ways / ways.norm(dim=-1, keepdim=True)
    low = torch.zeros(len(a), count, 1, dtype=a.dtype, device=a.device)
    high = low + FIRST_STEP * _scale(a)
    for _ in range(REACH):
        kept = inside(a[:, None] + high * ways)[..., None]
        low, high = torch.where(kept, high, low), torch.where(kept, 2 * high, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        kept = inside(a[:, None] + middle * ways)[..., None]
        low, high = torch.where(kept, middle, low), torch.where(kept, high, middle)
    return a[:, None] + low * ways


def _walked(a: torch.Tensor, inside: Inside, count: int, generator: torch.Generator) -> torch.Tensor:
    here = a[:, None].expand(-1, CHAINS, -1)
    longest = LONGEST_WALK * _scale(a)
    scale = FIRST_WALK * _scale(a)
    rounds = -(-count // CHAINS)
    kept = []
    for step in range(WARM_UP + rounds):
        there = here + scale * _normal(tuple(here.shape), a, generator)
        accepted = inside(there)[..., None]
        here = torch.where(accepted, there, here)
        if step < WARM_UP:
            growth = GROWTH ** (accepted.to(a.dtype).mean(dim=1, keepdim=True) - 0.5)
            scale = torch.minimum(scale * growth, longest)
        else:
            kept.append(here)
    return torch.stack(kept, dim=2).reshape(len(a), rounds * CHAINS, a.shape[1])


def _normal(shape: tuple[int, ...], like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
