"""What balls and expansions decide about roots is what the rationals say, on networks small enough for all of them."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from builders import conv_networks, residual_networks
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from large_models import resnet18
from strategies import layers

import dtdsym
from dtdsym.arithmetic.enclosure import UNDECIDED
from dtdsym.errors import InputError
from dtdsym.geometry.placement import PLACES
from dtdsym.network.builder import Builder
from dtdsym.network.evaluate import evaluate, stream
from dtdsym.network.network import sequential
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.settings import Settings
from dtdsym.survey.sizes import is_large, work
from dtdsym.survey.stages import (
    BALLS,
    EXPANSIONS,
    HUNDRED_BITS,
    RADII,
    TWO_HUNDRED_BITS,
    Ladder,
    View,
    outputs,
    stages_of,
)
from dtdsym.survey.verdicts import OPEN

RULES = ("zplus", "gamma:1", "w2", "lrp0", "epsilon:1/4", "x")
COORDINATES = st.integers(-8, 8).map(lambda n: n / 4)


def compared(network, x, rule: str, stage, most: int = 6, root: str = "relevance") -> int:
    """Check what a stage says about the first roots of every layer; how many places it decided."""
    budget = dtdsym.Budget(cells=200)
    chosen = Settings.of(network, rules=[rule], layers="all", logit=0, min_logit=-1e30, budget=budget, root=root)
    one = network.logit(0)
    point = np.asarray(x, dtype=np.float64).reshape(1, -1)
    view, exactly, decided = View(stage, one, point, chosen), ExactInput(one, point[0], chosen), 0
    if exactly.on_hinge(0):
        return 0
    for layer in chosen.layers:
        size = min(most, one.layer(layer).size)
        found = view.verdicts(chosen.rules[0], layer, np.arange(size))
        for neuron in range(size):
            facts = exactly.facts(chosen.rules[0], layer, neuron)
            place = found.place[0, neuron]
            decided += place != OPEN
            if facts.place == "undecided" or exactly.on_hinge(one.layer(layer).source):
                continue
            assert place in (OPEN, PLACES.index(facts.place)), (layer, neuron, PLACES[place], facts.place)
            if facts.place == "no_root":
                continue
            for name, known in found.facts.items():
                assert known[0, neuron] in (OPEN, getattr(facts, name)), (name, layer, neuron)
            if facts.residual is not None:
                ceiling = found.ceiling[0, neuron]
                assert np.isinf(ceiling) or facts.residual <= Fraction(ceiling)
                assert not (found.residual[0, neuron] == 0 and facts.residual)
    return decided


@pytest.mark.parametrize("stage", [BALLS, HUNDRED_BITS, TWO_HUNDRED_BITS], ids=lambda stage: stage.name)
@settings(max_examples=60, deadline=None)
@given(layers(), st.tuples(COORDINATES, COORDINATES), st.sampled_from(RULES), st.booleans())
def test_a_stage_decides_as_the_rationals_do(stage, pairs, x, rule, final):
    compared(sequential(*pairs, final_relu=final), x, rule, stage)


@pytest.mark.parametrize("stage", [RADII, BALLS, HUNDRED_BITS, TWO_HUNDRED_BITS], ids=lambda stage: stage.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(conv_networks(), st.integers(0, 2**32 - 1), st.sampled_from(("zplus", "gamma:1", "w2")))
def test_convolutions_pools_and_additions_too(stage, network, seed, rule):
    assume(sum(network.sizes) < 400)
    x = np.random.default_rng(seed).integers(-8, 9, network.sizes[0]) / 8
    compared(network, x, rule, stage, most=2)


@pytest.mark.parametrize("stage", [RADII, BALLS, HUNDRED_BITS], ids=lambda stage: stage.name)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(residual_networks(), st.integers(0, 2**32 - 1), st.sampled_from(("zplus", "gamma:1", "w2")))
def test_hinge_roots_of_residual_networks_too(stage, network, seed, rule):
    x = np.random.default_rng(seed).integers(-8, 9, 3) / 8
    compared(network, x, rule, stage, root="hinge")


# Whole audits by stages, of networks that are taken for larger than they are

COUNTS = ("places", "equal_gradient", "equal_output", "zero_relevance", "in_domain")
SMALL, MIDDLE, LARGE = {"small": 2**40, "exact": 2**40}, {"small": 0, "exact": 2**40}, {"small": 0, "exact": 0}


def taken_for(patch, small: int, exact: int) -> None:
    """Whatever size networks have, from now on they are small, middling or large."""
    patch.setattr("dtdsym.survey.sizes.EXACT_WORK", exact)
    patch.setattr("dtdsym.survey.sizes.SEARCH_WORK", 2**60)
    for module in ("sizes", "stages"):
        patch.setattr(f"dtdsym.survey.{module}.SMALL_WORK", small)


def audited(size, network, x, **asked):
    asked = {"rules": ["zplus", "gamma:1", "w2"], "layers": "all", "logit": 0, "domain": "real"} | asked
    asked.setdefault("min_logit", -1e300)
    with pytest.MonkeyPatch.context() as patch:
        taken_for(patch, **size)
        return dtdsym.audit(network, x, sample_roots="all", **asked)


def random_dense(seed: int, widths=(5, 9, 8, 6, 1)):
    generator = np.random.default_rng(seed)
    shapes = pairwise(widths)
    return sequential(
        *[(generator.standard_normal((o, i)).tolist(), (generator.standard_normal(o) / 3).tolist()) for i, o in shapes],
        final_relu=False,
    )


def random_convolutional(seed: int):
    """Convolutions, a residual addition, a max-pool, an average, a linear layer."""
    generator, builder = np.random.default_rng(seed), Builder((2, 4, 4))

    def convolve(value, out, inner):
        weight = generator.standard_normal((out, inner, 3, 3)) / 3
        return builder.convolve(value, weight, generator.standard_normal(out) / 4, padding=1)

    first = builder.relu(convolve(builder.input, 3, 2))
    added = builder.relu(builder.add(convolve(builder.relu(convolve(first, 3, 3)), 3, 3), first))
    pooled = builder.average_pool(builder.max_pool(added, [2, 2]), [2, 2])
    weight = generator.standard_normal((2, 3))
    return builder.network(builder.linear(builder.flatten(pooled), weight, generator.standard_normal(2)))


NETWORKS = {"dense": (random_dense, 5), "convolutional": (random_convolutional, 32)}


@pytest.mark.parametrize(("kind", "seed"), [("dense", 0), ("dense", 1), ("convolutional", 0)])
def test_audits_by_every_ladder_of_stages_count_alike(kind, seed):
    make, size = NETWORKS[kind]
    network, x = make(seed), np.random.default_rng(seed).standard_normal((2, size)).round(3)
    asked = {"layers": [1, 2], "rules": ["zplus", "w2"]}
    exact, middle, large = (audited(size, network, x, **asked) for size in (SMALL, MIDDLE, LARGE))
    for row, other, far in zip(exact.rows, middle.rows, large.rows, strict=True):
        total = row.tally.total
        for name in COUNTS:
            assert getattr(other.tally, name) == getattr(row.tally, name)
        undecided = far.tally.places["undecided"]
        for name, times in far.tally.places.items():
            true = row.tally.places[name]
            assert name == "undecided" or times <= true <= times + undecided
        for name in COUNTS[1:]:
            assert getattr(far.tally, name) <= getattr(row.tally, name)
        assert far.tally.decided_by["rational"] == far.tally.decided_by["enclosure"] == 0
        assert sum(far.tally.decided_by[stage.name] for stage in (BALLS, *EXPANSIONS)) + undecided == total
        assert sum(row.tally.decided_by.values()) == sum(other.tally.decided_by.values()) == total
        assert undecided < total
        assert float(row.tally.residuals.maximum) * (1 - 1e-9) <= far.tally.residuals.largest * (1 + 1e-9) or undecided
    assert sum(row.tally.decided_by["ball"] for row in large.rows) > 0


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE], ids=["small", "middle", "large"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_signs_at_the_inputs_add_up_to_all_relus(size, kind):
    make, width = NETWORKS[kind]
    network = make(5)
    report = audited(size, network, np.random.default_rng(1).standard_normal((3, width)), rules=["zplus"], layers=[1])
    relus = sum(network.sizes[i] for i, node in enumerate(network.nodes) if type(node).__name__ == "Relu")
    assert sum(report.signs.values()) == 3 * relus
    assert set(report.signs) <= {"enclosure", "ball", *(stage.name for stage in EXPANSIONS), "rational", "open"}
    assert ("open" in report.signs) is (size is LARGE)


@settings(max_examples=25)
@given(layers(), st.lists(st.tuples(COORDINATES, COORDINATES), min_size=1, max_size=3), st.sampled_from(RULES))
def test_degenerate_networks_are_never_placed_wrongly(pairs, points, rule):
    """On hinges and beside them, and with neurons that are 0 or equal: undecided, or as the rationals say."""
    network, asked = sequential(*pairs, final_relu=False), {"rules": [rule], "budget": dtdsym.Budget(cells=200)}
    exact, large = audited(SMALL, network, points, **asked), audited(LARGE, network, points, **asked)
    assert large.inputs.audited == len(points) >= exact.inputs.audited
    if exact.inputs.on_hinge:
        return
    for row, far in zip(exact.rows, large.rows, strict=True):
        if row.tally.on_hinge or row.tally.places["undecided"]:
            continue
        undecided = far.tally.places["undecided"]
        for name, times in far.tally.places.items():
            assert name == "undecided" or times <= row.tally.places[name] <= times + undecided


def test_roots_of_an_input_on_a_hinge_are_undecided():
    """A large network's input is audited, but nothing is said of its roots: F has no region there."""
    network = sequential(([[1.0, -1.0], [1.0, 1.0]], [0.0, 1.0]), ([[1.0, 1.0]], [1.0]), final_relu=False)
    large, small = audited(LARGE, network, [[0.1, 0.1]]), audited(SMALL, network, [[0.1, 0.1]])
    assert (small.inputs.audited, small.inputs.on_hinge) == (0, 1)
    assert (large.inputs.audited, large.inputs.on_hinge) == (1, 0)
    assert large.signs == {"ball": 1, **dict.fromkeys((stage.name for stage in EXPANSIONS), 0), "open": 1}
    below = {"no_root", "degenerate", "undecided"}
    assert {name for name, n in large.rows[0].tally.places.items() if n} <= below
    assert large.undecided


@pytest.mark.parametrize("gap", [2.0**-60, -(2.0**-60), 5e-324])
def test_cones_decide_what_a_hundred_bits_leave_open_but_nothing_that_is_zero(gap, monkeypatch):
    """Terms of 2^90 that cancel exactly but for the bias, 2^-150 of their size or less; and one that is exactly 0."""
    row = [2.0**90, 1.0, -(2.0**90), -1.0]
    network = sequential(([row, row, [1.0] * 4], [gap, 0.0, 1.0]), ([[1.0, 0.0, 1.0]], [0.5]), final_relu=False)
    taken_for(monkeypatch, **LARGE)
    settled = Settings.of(network, rules=["zplus"], logit=0)
    for work_, first in ((0, UNDECIDED), (2**20, int(np.sign(gap)))):
        monkeypatch.setattr("dtdsym.survey.stages.CONE_WORK", work_)
        view = View(HUNDRED_BITS, network.logit(0), np.array([[0.1, 0.7, 0.1, 0.7]]), settled)
        assert view.home(0).choices[2].tolist() == [[first, UNDECIDED, 1]]
        assert not view.home(0).decided.any()


CANCELLING = [2.0**90, 1.0, -(2.0**90), -1.0]


def cancelling(gap):
    """A neuron of pre-activation `gap` at FOUR, the sum of terms of 2^90."""
    rows = [[c / 3 for c in CANCELLING], [1.0] * 4]
    return sequential((rows, [gap, 1.0]), ([[1.0, 1.0]], [0.5]), final_relu=False)


FOUR = [[0.1, 0.7, 0.1, 0.7]]


@pytest.mark.parametrize(("gap", "decider"), [(2.0**-60, "two_hundred_bits"), (2.0**-200, "four_hundred_bits")])
def test_finer_bounds_decide_signs_that_a_hundred_bits_leave_open(gap, decider, monkeypatch):
    monkeypatch.setattr("dtdsym.survey.stages.CONE_WORK", 0)
    signs = audited(LARGE, cancelling(gap), FOUR, rules=["w2"], layers=[1]).signs
    assert (signs["hundred_bits"], signs[decider], signs["open"]) == (0, 1, 0)


def test_finer_bounds_place_roots_that_a_hundred_bits_leave_open():
    asked = {"rules": ["w2"], "layers": [1]}
    large, exact = (audited(size, cancelling(2.0**-60), FOUR, **asked).rows[0].tally for size in (LARGE, SMALL))
    assert large.places == exact.places
    assert sum(large.decided_by[stage.name] for stage in EXPANSIONS[1:]) > 0


def test_no_more_bits_are_asked_where_bounds_are_sharp_already(monkeypatch):
    """The root 0 of a network without biases lies on all hinges: no number of bits tells, and 400 would be in vain."""
    rows = [[1.0, 0.1], [0.3, 1.0], [0.2, 0.5], [-0.7, 0.3], [0.9, -0.1]]
    network = sequential((rows, [0.0] * 5), ([[1.0, 0.7, 0.3, 0.2, 0.9]], [0.0]), final_relu=False)
    asked = []
    later = Ladder.later
    monkeypatch.setattr(Ladder, "later", lambda ladder, number, row: asked.append(number) or later(ladder, number, row))
    report = audited(LARGE, network, [[0.3, 0.9]], rules=["lrp0"], layers=[1])
    assert report.undecided
    assert set(asked) == {1}


def test_more_bits_are_asked_where_only_the_output_is_exact():
    """At the hinge root (1/3, 1) of the first neuron the second is 1/3 less the two floats nearest it, and the logit a
    bias."""
    rows = [[3.0, 0.0], [1.0, -float(Fraction(1, 3) - Fraction(1 / 3))]]
    layers = (rows, [-1.0, -1 / 3]), ([[1.0, 2.0**-10]], [-0.5])
    network = sequential(*layers, ([[1.0]], [1.0]), final_relu=False)
    asked = {"rules": ["zplus"], "layers": [1], "root": "hinge"}
    large, exact = (audited(size, network, [[1.0, 1.0]], **asked).rows[0].tally for size in (LARGE, SMALL))
    assert large.places == exact.places
    assert large.decided_by["two_hundred_bits"] > 0


def test_more_bits_are_asked_where_a_root_may_be_its_input():
    """The second neuron's relevance is 2^-110 of the terms that cancel in it, and the logit is known to 100 bits."""
    layers = ([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), ([[1.0, 1.0], [1.0, -1.0], [1.0, 2.0**-110]], [0.0] * 3)
    network = sequential(*layers, ([[1.0, 1.0, 1.0]], [0.0]), final_relu=False)
    asked = {"rules": ["x"], "layers": [1]}
    large, exact = (audited(size, network, [[0.7, 0.3]], **asked).rows[0].tally for size in (LARGE, SMALL))
    assert large.places == exact.places
    assert large.decided_by["two_hundred_bits"] > 0


def test_a_least_logit_that_is_met_exactly_is_not_exceeded():
    """A tie is decided by rationals, and refused by name where they are out of reach and 400 bits see it not."""
    third = 1 / 3
    network = sequential(([[third, third]], [1.0]), ([[third]], [0.0]), final_relu=False)
    x = [[0.1, 0.7], [0.3, 0.9]]
    exact = [network(row)[0] for row in x]
    least = float(exact[0])
    for size in (SMALL, MIDDLE):
        report = audited(size, network, x, min_logit=least)
        assert report.inputs.below_min_logit == sum(value <= Fraction(least) for value in exact)
    tied = sequential(([[1.0, 2.0]], [1.0]), ([[1.0]], [0.0]), final_relu=False)
    for size in (SMALL, MIDDLE, LARGE):
        report = audited(size, tied, [[1.0, 2.0], [1.0, 3.0]], min_logit=6.0)
        assert (report.inputs.below_min_logit, report.inputs.audited) == (1, 1)
    cancelling = sequential(([[2.0**500, 1.0, -(2.0**500), -1.0]], [6.0]), final_relu=False)
    same = [[0.1, 0.7, 0.1, 0.7]]
    assert audited(MIDDLE, cancelling, same, min_logit=6.0).inputs.below_min_logit == 1
    with pytest.raises(InputError, match="input 0: its logit is too near 6 to tell whether it is above"):
        audited(LARGE, cancelling, same, min_logit=6.0)


@pytest.mark.parametrize(
    ("asked", "met"),
    [
        ({"claims": ["c2"]}, "claim c2: needs exact searches"),
        ({"root": "nearest"}, "nearest roots: needs exact searches"),
        ({"engine": "exact"}, "engine exact: needs exact searches"),
        ({"certificates": "never.jsonl"}, "certificates: they are of all roots of a network that the rationals"),
    ],
)
def test_what_large_networks_cannot_be_asked_is_refused_by_name(asked, met, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=met):
        audited(LARGE, random_dense(1), np.ones((1, 5)), **asked)
    assert not list(tmp_path.iterdir())


def test_large_networks_are_sampled_unless_all_roots_are_asked_for(monkeypatch):
    network = random_dense(1)
    taken_for(monkeypatch, **LARGE)
    assert is_large(network)
    assert work(network) == 5 * 9 + 9 * 8 + 8 * 6 + 6
    assert stages_of(network) == (BALLS, *EXPANSIONS)
    assert Settings.of(network).sample_roots == 1000
    assert Settings.of(network, sample_roots="all").sample_roots is None
    assert Settings.of(network, sample_roots=7).sample_roots == 7
    taken_for(monkeypatch, **MIDDLE)
    assert stages_of(network) == (RADII, HUNDRED_BITS)
    assert Settings.of(network).sample_roots is None
    taken_for(monkeypatch, **SMALL)
    assert stages_of(network) == (RADII,)


@pytest.mark.parametrize("root", ["relevance", "hinge"])
def test_roots_of_a_deep_residual_network_are_decided(root):
    """Where windows see dead inputs only, z+ denominators are exactly 0, and relevances stay bounded."""
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32)
    network = dtdsym.from_module(resnet18(0.0625), image).logit(0)
    settings = Settings.of(network, rules=["zplus"], layers=[9], root=root, logit=0, min_logit=-1e30)
    found = View(HUNDRED_BITS, network, image.double().reshape(1, -1).numpy(), settings).verdicts(
        settings.rules[0], 9, np.arange(0, network.layer(9).size, 4)
    )
    assert (found.place != OPEN).all()
    assert np.isin(found.place, [PLACES.index(name) for name in ("same_cell", "outside")]).any()


def test_ladders_give_for_some_neurons_what_they_give_for_all(monkeypatch):
    network, point = random_dense(4), np.random.default_rng(4).standard_normal((2, 5))
    taken_for(monkeypatch, **LARGE)
    settled = Settings.of(network, rules=["w2"], layers=[2], logit=0)
    one, rule = network.logit(0), settled.rules[0]
    monkeypatch.setattr("dtdsym.survey.stages.LARGE_BLOCK_NUMBERS", 30)
    whole, some = Ladder(one, point, settled).verdicts(rule, 2), np.array([5, 1, 5, 0])
    part = Ladder(one, point, settled).verdicts(rule, 2, some)
    assert np.array_equal(part.place, whole.place[:, some])
    assert np.array_equal(part.stage, whole.stage[:, some])
    for name, fact in whole.facts.items():
        assert np.array_equal(part.facts[name], fact[:, some])


# Streams


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(conv_networks(), st.integers(0, 2**32 - 1))
def test_a_stream_gives_what_a_pass_gives_and_holds_what_is_needed(network, seed):
    x = torch.tensor(np.random.default_rng(seed).integers(-8, 9, (2, network.sizes[0])) / 8)
    for stage in (RADII, BALLS, HUNDRED_BITS):
        value = stage.ops.lift(x)
        whole, seen = evaluate(network, stage.ops, {0: value}), []
        for index, values in stream(network, stage.ops, {0: value}):
            seen.append(index)
            assert torch.equal(values[index].mid, whole[index].mid)
            assert torch.equal(values[index].rad, whole[index].rad)
            needed = {s for later in network.nodes[index:] for s in later.sources if s <= index} | {index}
            assert set(values) == needed | set(network.nodes[index].sources)
        assert seen == list(range(len(network.nodes)))
        assert torch.equal(outputs(network, stage, x.numpy()).mid, whole[len(network.nodes) - 1].mid)


def test_class_insensitivity_is_decided_of_large_networks_too():
    network = random_dense(1)
    large, small = (audited(size, network, np.ones((1, 5)), claims=["c7"], rules=["zplus"], layers="all", min_logit=-99)
                    for size in (LARGE, SMALL))  # fmt: skip
    bounds = [[claim["witness"]["l1_bound"] for claim in report.claims if claim["claim"] == "c7"]
              for report in (large, small)]  # fmt: skip
    assert bounds[0] == bounds[1] != []
