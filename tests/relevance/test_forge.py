"""Forged explanations: what is reachable is reached exactly by admissible roots; all else is refused with why."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from oracles import activations, dot, exactly, positive

import dtdsym
from dtdsym.arithmetic.rational import RATIONAL
from dtdsym.errors import OnHinge, Unreachable
from dtdsym.network.builder import Builder
from dtdsym.network.network import sequential
from dtdsym.network.plain import plain_layers
from dtdsym.relevance.forge import forge, forge_normalised
from dtdsym.relevance.neighbourhood import Neighbourhood
from dtdsym.relevance.recursion import recursion
from dtdsym.relevance.root_functions import AffineRoot

SUM = [([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0])]


class Case:
    """A random network of two to four layers, some without biases, some quantised, an input, and what it reaches."""

    def __init__(self, seed):
        self.seed, self.random = seed, np.random.default_rng(seed)
        sizes = [*self.random.integers(2, 5, self.random.integers(2, 5)).tolist(), 1]
        grid = self.random.choice([2, 64])
        self.final_relu = bool(seed % 2)
        self.layers, self.non_positive = [], seed % 3 < 2
        for size, out in pairwise(sizes):
            weight = self.random.integers(-grid, grid + 1, (out, size)) / grid
            bias = self.random.integers(-8, 9, out) / 8 * (seed % 3 > 0)
            self.layers.append((weight.tolist(), (-abs(bias) if self.non_positive else bias).tolist()))
        self.x = (self.random.integers(1, 64, sizes[0]) / 16).tolist()
        self.network = sequential(*self.layers, final_relu=self.final_relu)
        self.values = activations(self.layers, self.x, self.final_relu)

    def __str__(self):
        return str(self.seed)

    def jacobian(self, number):
        """J_l, slowly."""
        weight, bias = (exactly(part) for part in self.layers[number - 1])
        last = number == len(self.layers) and not self.final_relu
        z = [dot(w, self.values[number - 1]) + b for w, b in zip(weight, bias, strict=True)]
        return [[wi if last or zj > 0 else Fraction(0) for wi in w] for w, zj in zip(weight, z, strict=True)]

    @property
    def reaches(self):
        """Whether anything but 0 is reached."""
        return all(any(map(any, self.jacobian(number))) for number in range(2, len(self.layers) + 1))

    @property
    def support(self):
        return [i for i, column in enumerate(zip(*self.jacobian(1), strict=True)) if any(column)]

    def target(self):
        """Any relevance on the support, with negative entries and zeros."""
        support, numbers = self.support, self.random.integers(-30, 31, len(self.x))
        return [Fraction(int(n), 7) if i in support and self.reaches else Fraction(0) for i, n in enumerate(numbers)]

    @property
    def off_hinges(self):
        """No pre-activation is 0 that is not always 0; quantised networks often lie on a hinge."""
        for (weight, bias), a in zip(exactly(self.layers), self.values, strict=False):
            if any(dot(w, a) + b == 0 and any(w) for w, b in zip(weight, bias, strict=True)):
                return False
        return True


CASES = [made for made in map(Case, range(240)) if made.off_hinges]
REACHING = [made for made in CASES if made.reaches and made.support]
LIMITED = [made for made in CASES if not made.reaches or len(made.support) < len(made.x)]
NON_POSITIVE = [made for made in REACHING if made.non_positive and made.values[-1][0] > 0]


def test_the_cases_are_many_of_every_kind():
    assert len(CASES) >= 200
    assert len(REACHING) >= 80
    assert sum(len(made.support) < len(made.x) for made in REACHING) >= 10
    assert len(LIMITED) >= 60
    assert len(NON_POSITIVE) >= 20


@pytest.mark.parametrize("made", CASES, ids=str)
def test_what_is_reachable_is_reached_by_admissible_roots(made):
    target = made.target()
    assert recursion(made.network, made.x, forge(made.network, made.x, target)) == tuple(target)
    nothing = [0] * len(target)
    assert recursion(made.network, made.x, forge(made.network, made.x, nothing)) == tuple(nothing)


@pytest.mark.parametrize("made", REACHING[:40], ids=str)
def test_within_twice_the_radius_no_neuron_changes_its_state(made):
    """At the corner of the box where the neuron's pre-activation is nearest to 0; at half the distance to its hinge at
    most, so that the construction has room left."""
    near = Neighbourhood.of(plain_layers(made.network), RATIONAL.lift(np.array(made.x, dtype=object)), 0)
    bending = exactly(made.layers) if made.final_relu else exactly(made.layers)[:-1]
    for (weight, bias), a, radius in zip(bending, made.values, near.patterns, strict=False):
        for w, b in zip(weight, bias, strict=True):
            z = dot(w, a) + b
            assert 0 < radius <= 1
            assert z == 0 or 2 * radius * sum(map(abs, w)) <= abs(z) / 2


@pytest.mark.parametrize("made", LIMITED, ids=str)
def test_what_is_out_of_reach_is_refused_by_input_or_layer(made):
    i = next((i for i in range(len(made.x)) if i not in made.support), 0)
    target = [Fraction(0)] * i + [Fraction(1)] + [Fraction(0)] * (len(made.x) - i - 1)
    with pytest.raises(Unreachable) as caught:
        forge(made.network, made.x, target)
    assert ("column" in str(caught.value)) == made.reaches
    if not made.reaches:
        dead = next(n for n in range(2, len(made.layers) + 1) if not any(map(any, made.jacobian(n))))
        assert f"J_{dead} = 0" in str(caught.value)


@pytest.mark.parametrize("made", REACHING, ids=str)
def test_conserving_roots_are_exact_and_preserve_the_sum_at_every_layer(made):
    target = made.target()
    target[made.support[0]] += made.values[-1][0] - sum(target)
    columns = [list(zip(*made.jacobian(n), strict=True)) for n in range(2, len(made.layers) + 1)]
    if any(sum(map(any, part)) < 2 for part in columns):
        with pytest.raises(Unreachable, match="conserving needs two inputs of layer"):
            forge(made.network, made.x, target, conserving=True)
        return
    roots = forge(made.network, made.x, target, conserving=True)
    found = recursion(made.network, made.x, roots)
    assert found == tuple(target)
    assert [sum(layer) for layer in found.layers] == [made.values[-1][0]] * (len(made.layers) + 1)


@pytest.mark.parametrize("made", NON_POSITIVE, ids=str)
def test_with_non_positive_biases_no_hidden_root_is_negative(made):
    """Also at the points that the recursion asks the roots for: outputs of ReLUs at roots."""
    target = made.target()
    roots = forge(made.network, made.x, target, nonnegative=True)
    assert recursion(made.network, made.x, roots) == tuple(target)
    points = [made.values[0]]
    for (weight, bias), root, a in zip(made.layers, roots, made.values, strict=False):
        reached = [by_hand(root, point) for point in (*points, a)]
        if root is not roots[0]:
            assert min(min(point) for point in reached) >= 0
        pairs = list(zip(exactly(weight), exactly(bias), strict=True))
        points = [tuple(positive(dot(w, point) + b) for w, b in pairs) for point in reached]


@pytest.mark.parametrize("made", REACHING[::2], ids=str)
def test_forged_roots_lie_in_the_regions_of_the_network_too(made):
    """Proposition 1 as printed, and Theorem 1's convex set: each root of a_l shares F_l's cell with it."""
    roots = forge(made.network, made.x, made.target())
    for number, (root, a) in enumerate(zip(roots, made.values, strict=False), start=1):
        found = dtdsym.place(made.network, made.x, by_hand(root, a), layer=number)
        assert found.name == "same_cell", found.reason


def by_hand(root, a):
    """matrix a + vector."""
    return tuple(dot(row, a) + c for row, c in zip(root.matrix, root.vector, strict=True))


@pytest.mark.parametrize("made", CASES[::4], ids=str)
def test_constant_roots_reach_every_normalised_heat_map_on_the_gradient(made):
    gradient = dtdsym.place(made.network, made.x, made.x).gradient
    target = [Fraction(i - 1, 3) if slope else Fraction(0) for i, slope in enumerate(gradient)]
    roots = forge_normalised(made.network, made.x, target)
    found = recursion(made.network, made.x, roots)
    assert found == roots.target
    if any(target):
        assert all(isinstance(root, AffineRoot) and root.constant for root in roots)
        (scale,) = {r / t for r, t in zip(found, target, strict=True) if t}
        assert scale > 0
    outside = next((i for i, slope in enumerate(gradient) if not slope), None)
    if outside is not None:
        with pytest.raises(Unreachable, match=rf"df/dx\[{outside}\] = 0"):
            forge_normalised(made.network, made.x, [Fraction(i == outside) for i in range(len(target))])


def test_a_forged_neighbourhood_not_only_a_forged_point():
    """R is the target wherever x is nearby, so no retraining of the same kind would notice."""
    network = sequential(*SUM)
    roots = forge(network, (1, 1), (-5, 9))
    assert recursion(network, (1 + Fraction(1, 2**20), 1), roots) == (-5, 9)


def test_conserving_says_what_it_needs():
    with pytest.raises(Unreachable, match=r"sum f\(x\) = 2; this one has 4"):
        forge(sequential(*SUM), (1, 1), (-5, 9), conserving=True)
    narrow = sequential(([[1, 1]], [0]), ([[1]], [0]))
    with pytest.raises(Unreachable, match="two inputs of layer 2"):
        forge(narrow, (1, 1), (1, 1), conserving=True)
    with pytest.raises(dtdsym.InputError, match="exclude each other"):
        forge(sequential(*SUM), (1, 1), (1, 1), conserving=True, nonnegative=True)


def test_nonnegative_needs_a_positive_weight_of_the_logit():
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[-1, -1]], [5]))
    with pytest.raises(Unreachable, match="nonnegative: no weight of the logit is positive"):
        forge(network, (1, 1), (1, 1), nonnegative=True)
    assert recursion(network, (1, 1), forge(network, (1, 1), (1, -1))) == (1, -1)


def test_one_layer_reaches_what_the_hinge_allows():
    network = sequential(([[1, 2, 0]], [1]))
    assert recursion(network, (1, 1, 1), forge(network, (1, 1, 1), (5, -1, 0))) == (5, -1, 0)
    assert recursion(network, (1, 1, 1), forge(network, (1, 1, 1), (0, 0, 0))) == (0, 0, 0)
    with pytest.raises(Unreachable, match="beyond the hinge"):
        forge(network, (1, 1, 1), (5, 0, 0))
    with pytest.raises(Unreachable, match="needs the root x itself"):
        forge(sequential(([[1, 2]], [1])), (1, 1), (0, 0))


def test_an_input_on_a_hinge_is_refused_by_neuron():
    with pytest.raises(OnHinge, match="hinge of neuron 1 of layer 1"):
        forge(sequential(*SUM), (1, 0), (1, 1))


def test_convolutions_are_forged_too():
    build = Builder((1, 3, 3))
    hidden = build.relu(build.convolve(build.input, np.array([[[[1.0, -0.5], [0.25, 1.0]]]]), np.array([0.125])))
    hidden = build.relu(build.convolve(hidden, np.array([[[[1.0, 0.5], [-0.25, 1.0]]]]), np.array([0.125])))
    network = build.network(build.flatten(hidden))
    x = [Fraction(n, 7) for n in (3, 1, 4, 1, 5, 9, 2, 6, 5)]
    target = list(range(-4, 5))
    assert recursion(network, x, forge(network, x, target)) == tuple(target)


def test_conserving_roots_are_admissible_whatever_the_other_outputs_do():
    """The second output, 2 - 1 of the same neurons, bends where the roots of the first lie; nobody explains it."""
    network = sequential(([[1, 0], [0, 1]], [0, 0]), ([[1, 1], [1, -1]], [0, 0]))
    roots = forge(network, (2, 1), (3, 0), conserving=True)
    assert tuple(recursion(network, (2, 1), roots)) == (3, 0)


def test_an_output_on_its_hinge_that_is_not_explained_is_no_matter():
    network = sequential(([[-2]], [-1]), ([[0], [-2]], [1, 1]))
    assert tuple(recursion(network, (3,), forge(network, (3,), (0,)))) == (0,)


@pytest.mark.parametrize(
    ("layers", "x", "target", "reason"),
    [
        (
            [([[1]], [1]), ([[-1]], [-1]), ([[1]], [0])],
            (4,),
            (0,),
            "a layer passes on nothing of its input, but the la",
        ),
        ([([[1], [1]], [0, 0]), ([[1, -1]], [0])], (1,), (0,), "the logit is 0 on the whole linear region"),
        ([([[1, 1], [1, 1]], [0, 0]), ([[1, -1]], [0])], (1, 1), (1, -1), "the logit is 0 on the whole linear region"),
    ],
)
def test_what_conserving_roots_cannot_do_is_said(layers, x, target, reason):
    with pytest.raises(Unreachable, match=reason):
        forge(sequential(*layers, final_relu=False), x, target, conserving=True)
