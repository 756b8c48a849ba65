"""Convolutional networks and the same functions as dense matrices: equal cells and equal places, root for root."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from dense import dense
from hypothesis import given, settings
from hypothesis import strategies as st

from dtdsym.arithmetic.enclosure import ENCLOSURE
from dtdsym.arithmetic.germ import over
from dtdsym.arithmetic.rational import RATIONAL, fractions
from dtdsym.errors import OnHinge
from dtdsym.geometry.batch import Home, place_batch
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.cell import cell_at
from dtdsym.geometry.component import Component
from dtdsym.geometry.jump import jumps
from dtdsym.geometry.placement import VALID, place_in
from dtdsym.geometry.search import facets
from dtdsym.geometry.walk import breakpoints
from dtdsym.geometry.zeros import always_zero
from dtdsym.network.builder import Builder, Value
from dtdsym.network.evaluate import evaluate
from dtdsym.network.network import Network
from dtdsym.network.slice import Slice, bypassing, slice_at

SHAPES = [(1, 2, 2), (1, 3), (2, 2), (1, 2, 3), (2, 1, 2), (1, 3, 3)]
QUANTISED = {
    "quantised": [-1.0, -0.5, 0.0, 0.5, 1.0],
    "integers": [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0],
    "sparse": [0.0, 0.0, 1.0, -1.0, 2.0],
}
WORDS = ["norm relu", "relu pool", "relu", "pool relu", "relu residual", "beside", "convolve relu"]
BUDGET = Budget(cells=25)
SEEDS = st.integers(0, 2**32 - 1)


class Drawn:
    """A Builder whose layers and numbers are scattered by `rng`: what hypothesis itself draws is mostly zeros."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.weights = rng.choice(list(QUANTISED))
        self.builder = Builder(SHAPES[rng.integers(len(SHAPES))])

    def array(self, shape, kind: str | None = None) -> np.ndarray:
        return self.rng.choice(QUANTISED[kind or self.weights], shape)

    def bias(self, size):
        return self.array((size,), "quantised") if self.rng.random() < 0.7 else None

    def convolve(self, value: Value) -> Value:
        spatial = len(value.shape) - 1
        padding = int(self.rng.integers(2))
        kernel = tuple(int(self.rng.integers(1, min(2, n + padding) + 1)) for n in value.shape[1:])
        groups = value.shape[0] if self.rng.random() < 0.3 else 1
        channels = groups * int(self.rng.integers(1, 4))
        spread = all(n + padding > 2 * (k - 1) for n, k in zip(value.shape[1:], kernel, strict=True))
        return self.builder.convolve(
            value, self.array((channels, value.shape[0] // groups, *kernel)), self.bias(channels),
            padding=[(padding, 0)] * spatial, stride=int(self.rng.integers(1, 3)),
            dilation=int(self.rng.integers(1, 3)) if spread else 1, groups=groups, name="conv",
        )  # fmt: skip

    def norm(self, value: Value) -> Value:
        size = value.shape[0]
        weight, bias, mean = (self.array((size,), kind) for kind in ("integers", "quantised", "quantised"))
        return self.builder.batch_norm(value, weight, bias, mean, np.full(size, 4.0), 0.0, "norm")

    def relu(self, value: Value) -> Value:
        return self.builder.relu(value)

    def pool(self, value: Value) -> Value:
        kernel = [int(self.rng.integers(1, 3)) if n > 1 else 1 for n in value.shape[1:]]
        padding = [(k // 2 if self.rng.random() < 0.3 else 0, 0) for k in kernel]
        kind = self.builder.average_pool if self.rng.random() < 0.3 else self.builder.max_pool
        return kind(value, kernel, int(self.rng.integers(1, 3)), padding, name="pool")

    def residual(self, value: Value) -> Value:
        channels = value.shape[0]
        weight = self.array((channels, channels, *[1] * (len(value.shape) - 1)))
        branch = self.builder.convolve(value, weight, self.bias(channels), name="branch")
        return self.builder.add(self.builder.relu(branch), value)

    def beside(self, value: Value) -> Value:
        return self.builder.concat([value, self.builder.relu(self.builder.scale(value, -0.5, 0.25))], 0)

    def network(self) -> Network:
        value = self.convolve(self.builder.input)
        for words in self.rng.choice(WORDS, self.rng.integers(1, 4)):
            for word in words.split():
                grown = getattr(self, word)(value)
                value = grown if grown.size <= 24 else value
        flat = self.builder.flatten(value)
        out = self.builder.linear(flat, self.array((2, flat.size)), self.bias(2), name="head")
        return self.builder.network(self.builder.relu(out) if self.rng.random() < 0.5 else out)

    def point(self, size: int) -> list[Fraction]:
        return [Fraction(int(n), 2) for n in self.rng.integers(-5, 6, size)]

    def near(self, function: Slice, a: np.ndarray) -> np.ndarray:
        """A point of a grid, or one where the segment from a to it meets a hinge."""
        other = RATIONAL.lift(self.point(function.size))
        stops = list(breakpoints(function, a, other)) if self.rng.random() < 0.5 else []
        return a + stops[self.rng.integers(len(stops))] * (other - a) if stops else other


def both(network: Network, x, logit: int, layer: int, pools: bool) -> tuple[Slice, Slice, np.ndarray]:
    """F_l and the same F_l of the dense network, and a_l."""
    function, a = slice_at(network, x, logit=logit, layer=layer)
    expanded, place = dense(function.network, pools=pools)
    values = evaluate(expanded, RATIONAL, {0: RATIONAL.lift(x)})
    start = place[function.start]
    return function, Slice(expanded, start, {i: values[i] for i in bypassing(expanded, start)}), a


def placed(function: Slice, a: np.ndarray, others):
    try:
        home = Component(function, a, Budget())
    except OnHinge:
        return None
    return [place_in(home, other, BUDGET) for other in others]


@given(SEEDS, st.booleans())
@settings(max_examples=250, deadline=None)
def test_places_of_convolutional_networks_are_those_of_their_dense_expansions(seed, pools):
    drawn = Drawn(np.random.default_rng(seed))
    network = drawn.network()
    logit, layer = int(drawn.rng.integers(2)), int(drawn.rng.integers(len(network.layers))) + 1
    function, expanded, a = both(network, drawn.point(network.sizes[0]), logit, layer, pools)
    others = [drawn.near(function, a) for _ in range(3)]
    mine, theirs = placed(function, a, others), placed(expanded, a, others)
    if mine is None or theirs is None:
        assert mine is theirs
        return
    for one, two in zip(mine, theirs, strict=True):
        assert one.gradient == two.gradient
        if not pools:
            assert (one.name, one.pattern, one.path, one.cells) == (two.name, two.pattern, two.path, two.cells)
        elif "undecided" not in (one.name, two.name):
            assert coarse(one.name) == coarse(two.name)


def coarse(name: str) -> str:
    """A max-pool's cells are unions of those of its expansion: both places mean a segment inside the region."""
    return "segment" if name in VALID[:2] else name


@given(SEEDS)
@settings(max_examples=120, deadline=None)
def test_the_gradient_beyond_a_facet_is_what_the_jump_says(seed):
    drawn = Drawn(np.random.default_rng(seed))
    network = drawn.network()
    layer = int(drawn.rng.integers(len(network.layers))) + 1
    function, a = slice_at(network, drawn.point(network.sizes[0]), layer=layer)
    cell = cell_at(function, a)
    lambdas = dict(zip(cell.walls, jumps(cell), strict=True))
    for wall, point in facets(cell, list(cell.walls), Budget().start()):
        normal = over(list(wall.row[:-1]), 1)
        beyond = cell_at(function, point, -normal)
        assert beyond.gradient == fractions(RATIONAL.lift(cell.gradient) - lambdas[wall] * normal)
        assert beyond.pattern != cell.pattern


def test_jumps_are_right_where_what_a_skip_carries_has_another_denominator():
    """F_2(a) = [1/3] + [3 [a-1] - (a-1)] + 1 at x = (1/3, 0), whose second entry a skip adds to the second neuron."""
    made = Builder((2,))
    a = made.relu(made.linear(made.input, np.array([[0.0, 0.0]]), np.array([2.0])))
    beside = made.concat([a, made.relu(made.linear(a, np.array([[1.0]]), np.array([-1.0])))], 0)
    bent = made.linear(beside, np.array([[0.0, 0.0], [-1.0, 3.0]]), np.array([0.0, 1.0]))
    out = made.linear(made.relu(made.add(bent, made.input)), np.array([[1.0, 1.0]]), np.array([1.0]))
    function, point = slice_at(made.network(out), [Fraction(1, 3), 0], layer=2)
    cell = cell_at(function, point)
    assert cell.gradient == (2,)
    assert [(list(wall.row), Fraction(str(jump))) for wall, jump in zip(cell.walls, jumps(cell), strict=True)] == [
        ([1, -1], 3)
    ]


@given(SEEDS)
@settings(max_examples=100, deadline=None)
def test_what_bounds_decide_in_convolutional_networks_is_exactly_so(seed):
    """In every layer, with skips that bypass it; roots beside the input, on its hinges and anywhere."""
    drawn = Drawn(np.random.default_rng(seed))
    network = drawn.network().logit(0)
    x = drawn.point(network.sizes[0])
    values = evaluate(network, ENCLOSURE, {0: ENCLOSURE.lift([x])})
    for layer in range(1, len(network.layers) + 1):
        function, a = slice_at(network, x, layer=layer)
        roots = [drawn.near(function, a) for _ in range(3)]
        roots.append(a + RATIONAL.lift(drawn.point(function.size)) / 1024)
        home = Home.at(network, function.start, values)
        placed_batch = place_batch(home, ENCLOSURE.lift([[list(fractions(root)) for root in roots]]))
        exactly = placed(function, a, roots)
        assert exactly is not None or not home.decided.any()
        for column, place in enumerate(exactly or []):
            if placed_batch.same_cell[0, column]:
                assert place.name in ("same_cell", "degenerate")
            if placed_batch.outside[0, column]:
                assert place.name == "outside"


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_what_is_said_to_be_zero_always_is(seed):
    drawn = Drawn(np.random.default_rng(seed))
    network = drawn.network()
    zeros = always_zero(network)
    for _ in range(4):
        values = evaluate(network, RATIONAL, {0: RATIONAL.lift(drawn.point(network.sizes[0]))})
        for node, mask in enumerate(zeros):
            assert not values[node][mask].any()


def test_pruned_channels_padding_and_what_they_reach_are_known_to_be_zero():
    made = Builder((1, 2))
    pruned = made.convolve(made.input, np.array([[[0.0]], [[1.0]]]), None, padding=2)
    assert zeros_of(made, pruned) == [True] * 6 + [True, True, False, False, True, True]
    pool = made.max_pool(made.relu(pruned), 2)
    assert zeros_of(made, pool) == [True] * 3 + [True, False, True]
    scaled = made.scale(pool, np.array([[1.0], [0.0]]), np.array([[0.0], [0.0]]))
    assert zeros_of(made, scaled) == [True] * 6
    assert zeros_of(made, made.scale(pool, 2.0, 1.0)) == [False] * 6
    mean = made.average_pool(pool, 3)
    assert zeros_of(made, mean) == [True, False]
    head = made.linear(made.flatten(mean), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0.0, 0.0, 1.0]))
    assert zeros_of(made, head) == [True, False, False]
    assert zeros_of(made, made.concat([made.input, made.reshape(mean, (1, 2))], 1)) == [False, False, True, False]


def zeros_of(made: Builder, value: Value) -> list[bool]:
    return always_zero(Network(tuple(made.nodes)))[value.node].tolist()
