"""Small random convolutional networks, drawn step by step through the Builder: quantised, with dead channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dtdsym.network.builder import Builder, Value
from dtdsym.network.layers import Affine, Convolution, Node, with_sources
from dtdsym.network.network import Network

SHAPES = ((1, 4), (2, 3), (2, 5), (3, 4), (1, 12), (6, 1), (1, 2, 3), (1, 3, 3), (2, 2, 3), (3, 2, 2), (2, 2, 2))
WEIGHTS = {
    "quantised": (-1.0, -0.5, 0.0, 0.5, 1.0),
    "integers": (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0),
    "sparse": (0.0, 0.0, 0.0, 1.0, -1.0, 2.0),
}
BIASES = (0.0, 0.0, -1.0, -0.5, 0.5, 1.0, 2.0)
MOST = 24


@dataclass(frozen=True, eq=False)
class Draft:
    """A network being drawn. dyadic: every constant has an exact product with every other in float64."""

    draw: Callable[..., Any]
    builder: Builder
    random: np.random.Generator
    weights: tuple[float, ...]
    dyadic: bool

    def of(self, numbers: tuple[float, ...], *shape: int) -> np.ndarray:
        return self.random.choice(np.array(numbers), shape)

    def one(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def kernel(self, out: int, *inner: int) -> np.ndarray:
        """Quantised weights (out, ...), a channel of them dead from time to time."""
        weight = self.of(self.weights, out, *inner)
        if out > 1 and self.one(False, False, True):
            weight[1] = 0.0
        return weight

    def bias(self, out: int) -> np.ndarray | None:
        return self.of(BIASES, out) if self.one(True, True, False) else None


def convolve(draft: Draft, value: Value) -> Value:
    channels, *sides = value.shape
    groups = draft.one(*(g for g in (1, 2, 3) if channels % g == 0))
    out, padding, dilation = groups * draft.one(1, 2), draft.one(0, 0, 1), draft.one(1, 1, 2)
    kernel = [draft.one(*(k for k in (1, 2, 3) if dilation * (k - 1) < n + 2 * padding)) for n in sides]
    weight = draft.kernel(out, channels // groups, *kernel)
    options = {"stride": draft.one(1, 1, 2), "padding": padding, "dilation": dilation, "groups": groups}
    return draft.builder.convolve(value, weight, draft.bias(out), **options)


def normalise(draft: Draft, value: Value) -> Value:
    channels = value.shape[0]
    weight = draft.of((1.0, -0.5, 0.0, 2.0, -1.0), channels)
    bias, mean = draft.of(BIASES, channels), draft.of(BIASES, channels)
    variance = draft.of((0.25, 1.0, 4.0) if draft.dyadic else (0.3, 1.0, 2.0), channels)
    return draft.builder.batch_norm(value, weight, bias, mean, variance, 0.0 if draft.dyadic else 1e-5)


def rectify(draft: Draft, value: Value) -> Value:
    return draft.builder.relu(value)


def pool(draft: Draft, value: Value) -> Value:
    build, sides = draft.builder, value.shape[1:]
    kernel = [draft.one(*(k for k in (1, 2) if k <= n)) for n in sides]
    padding = 1 if min(kernel) == 2 and draft.one(False, True) else 0
    options = {"stride": draft.one(1, 2), "padding": padding}
    kind = draft.one("max", "average", "adaptive_max", "adaptive_average")
    if draft.dyadic and kind == "adaptive_average":
        kind = "adaptive_max"
    match kind:
        case "max":
            return build.max_pool(value, kernel, **options)
        case "average":
            count = draft.dyadic or draft.one(False, True)
            divisor = draft.one(None, 4) if draft.dyadic else draft.one(None, 3)
            return build.average_pool(value, kernel, count_padding=count, divisor=divisor, **options)
        case "adaptive_max":
            return build.adaptive_max_pool(value, [draft.one(1, 2, None) for _ in sides])
        case _:
            return build.adaptive_average_pool(value, [draft.one(1, 2, None) for _ in sides])


def residual(draft: Draft, value: Value) -> Value:
    channels, *sides = value.shape
    side = draft.one(1, 3)
    weight = draft.kernel(channels, channels, *[side] * len(sides))
    branch = draft.builder.convolve(value, weight, draft.bias(channels), padding=side // 2)
    branch = draft.one(lambda b: b, draft.builder.relu)(branch)
    return draft.builder.add(branch, value)


def widen(draft: Draft, value: Value) -> Value:
    channels, *sides = value.shape
    weight = draft.kernel(1, channels, *[1] * len(sides))
    return draft.builder.concat([value, draft.builder.convolve(value, weight, draft.bias(1))], 0)


def permute(draft: Draft, value: Value) -> Value:
    return draft.builder.permute(value, draft.draw(st.permutations(range(len(value.shape)))))


def pad(draft: Draft, value: Value) -> Value:
    pairs = [(draft.one(0, 0, 1, -1), draft.one(0, 1)) for _ in value.shape]
    kept = tuple((low, high) if n + low + high > 0 and n + low > 0 else (0, 0) for n, (low, high) in
                 zip(value.shape, pairs, strict=True))  # fmt: skip
    return draft.builder.pad(value, kept)


def scale(draft: Draft, value: Value) -> Value:
    divisor = draft.one(1.0, 2.0) if draft.dyadic else draft.one(1.0, 3.0)
    factor = draft.of((1.0, -1.0, 2.0, 0.5, 0.0), value.shape[0], *[1] * (len(value.shape) - 1))
    return draft.builder.scale(value, factor, draft.one(0.0, 0.5, -1.0), divisor)


STEPS = (convolve, convolve, normalise, rectify, rectify, pool, residual, widen, permute, pad, scale)


@st.composite
def conv_networks(
    draw: Any, *, dyadic: bool = False, without: tuple[Any, ...] = (), sequence: tuple[Any, ...] = (), outputs: int = 1
) -> Network:
    """A network of at most 12 inputs: up to five steps after a convolution, then one or two linear layers.

    dyadic: all weights are small dyadic numbers, so that dense expansions are exact. without: steps that are not drawn;
    sequence: steps to begin with."""
    builder = Builder(draw(st.sampled_from(SHAPES)))
    weights = WEIGHTS[draw(st.sampled_from(sorted(WEIGHTS)))]
    draft = Draft(draw, builder, np.random.default_rng(draw(st.integers(0, 2**32 - 1))), weights, dyadic)
    allowed = [step for step in STEPS if step not in without]
    value = builder.input
    for step in sequence or (convolve,):
        value = step(draft, value)
    for step in draw(st.lists(st.sampled_from(allowed), min_size=1, max_size=5)):
        done = step(draft, value)
        value = done if done.size <= MOST else value
    value = builder.flatten(value)
    if draw(st.booleans()):
        hidden = draft.one(1, 2, 3)
        value = builder.relu(builder.linear(value, draft.kernel(hidden, value.size), draft.bias(hidden)))
    value = builder.linear(value, draft.kernel(outputs, value.size), draft.bias(outputs))
    return builder.network(builder.relu(value) if draw(st.sampled_from((False, False, True))) else value)


@st.composite
def residual_networks(draw: Any) -> Network:
    """Three numbers, a layer with ReLU, then one or two residual blocks: inactive neurons add exact zeros."""
    builder = Builder((3,))
    weights = WEIGHTS[draw(st.sampled_from(("quantised", "integers")))]
    draft = Draft(draw, builder, np.random.default_rng(draw(st.integers(0, 2**32 - 1))), weights, False)

    def layer(value: Value) -> Value:
        found = builder.linear(value, draft.kernel(3, 3), draft.bias(3))
        return normalise(draft, found) if draft.one(False, False, True) else found

    value = builder.relu(layer(builder.input))
    for _ in range(draft.one(1, 2)):
        branch = layer(builder.relu(layer(value)) if draft.one(True, True, False) else value)
        skip = draft.one(value, value, layer(value))
        value = builder.relu(builder.add(builder.relu(branch) if draft.one(False, False, True) else branch, skip))
    return builder.network(builder.linear(value, draft.kernel(1, 3), draft.bias(1)))


HALVES = st.integers(-4, 4).map(lambda n: Fraction(n, 2))
RATIONALS = st.fractions(-3, 3, max_denominator=6)


@st.composite
def points(draw: Any, network: Network, *, floats: bool = False) -> list[Fraction]:
    """An input: halves, with zeros and repetitions; thirds and sixths too unless floats must hold them."""
    numbers = HALVES if floats else HALVES | RATIONALS
    return draw(st.lists(numbers, min_size=network.sizes[0], max_size=network.sizes[0]))


@st.composite
def at_points(draw: Any, networks: st.SearchStrategy[Network], *, floats: bool = False) -> Any:
    """A network, and an input."""
    network = draw(networks)
    return network, draw(points(network, floats=floats))


def merged(network: Network) -> tuple[Network, dict[int, int]]:
    """The same network, batch normalisation multiplied into the weights it is folded into; and where nodes now stand.

    For dyadic networks, whose products are exact."""
    outputs = {layer.output: layer for layer in network.linear.values() if layer.norm is not None}
    inner = {id(layer.linear) for layer in outputs.values()}
    nodes: list[Node] = []
    place: dict[int, int] = {}
    for index, node in enumerate(network.nodes):
        if id(node) in inner:
            continue
        if index in outputs:
            layer = outputs[index]
            node = _multiplied(layer.linear, layer.norm)
        nodes.append(with_sources(node, [place[source] for source in node.sources]) if node.sources else node)
        place[index] = len(nodes) - 1
    return Network(tuple(nodes)), place


def _multiplied(node: Affine | Convolution, norm: Any) -> Affine | Convolution:
    factors = np.array([float(factor) for factor in norm.weight])
    weight = node.weight * factors.reshape(-1, *[1] * (node.weight.ndim - 1))
    bias = node.bias * factors + np.array([float(summand) for summand in norm.bias])
    return replace(node, weight=weight, bias=bias)
