"""The audit as a whole: whatever route a root takes, the counts are those of the rationals alone."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plane_oracle import Plane
from strategies import layers, points_near

from dtdsym.checker.__main__ import main as check
from dtdsym.claims import placed
from dtdsym.claims.decide import decide
from dtdsym.errors import OnHinge
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.placement import place, place_in
from dtdsym.geometry.region import region
from dtdsym.network.network import sequential
from dtdsym.relevance.root import roots
from dtdsym.report.audit import audit
from dtdsym.survey import exactly, facts, run
from dtdsym.survey.inputs import Batch, GivenInputs
from dtdsym.survey.tally import Residuals, Tally

RULES = ("lrp0", "gamma:1", "w2", "zplus", "flat", "x", "zbox:-4:4", "epsilon:1/4", "alpha_beta:2:1", "pinv")


def counted(report) -> list[dict]:
    """Every count of every row: all but the clock, and which route decided."""
    dropped = ("seconds", "decided_by")
    return [{k: v for k, v in row.tally.to_json().items() if k not in dropped} for row in report.rows]


def trained_like(seed: int, widths=(5, 7, 6, 3)):
    generator = torch.Generator().manual_seed(seed)
    return sequential(
        *[
            (torch.randn(out, size, generator=generator).tolist(), (torch.randn(out, generator=generator) / 4).tolist())
            for size, out in pairwise(widths)
        ],
        final_relu=False,
    )


@pytest.fixture(scope="module")
def network():
    return trained_like(3)


@pytest.fixture(scope="module")
def inputs():
    return np.abs(np.random.default_rng(0).standard_normal((24, 5))).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("root", ["relevance", "hinge"])
def test_enclosures_and_rationals_count_alike(network, inputs, root):
    rules = [rule for rule in RULES if root == "relevance" or not rule.startswith(("epsilon", "alpha"))]
    auto = audit(network, inputs, rules=rules, layers="all", root=root)
    exact = audit(network, inputs, rules=rules, layers="all", root=root, engine="exact")
    assert counted(auto) == counted(exact)
    assert sum(row.tally.decided_by["enclosure"] for row in auto.rows) > 0
    assert sum(row.tally.decided_by["enclosure"] for row in exact.rows) == 0


def test_chunks_threads_and_executors_do_not_change_a_count(network, inputs, monkeypatch):
    asked = {"rules": ("zplus", "epsilon:1/4", "flat"), "layers": [1, 2]}
    whole = counted(audit(network, inputs[:7], **asked))
    with ThreadPoolExecutor(2) as executor:
        monkeypatch.setattr(run, "LARGEST_CHUNK", 3)
        assert counted(audit(network, inputs[:7], **asked, executor=executor)) == whole
    monkeypatch.setattr(run, "LARGEST_CHUNK", 1)
    assert counted(audit(network, inputs[:7], **asked)) == whole
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        assert counted(audit(network, inputs[:7], **asked)) == whole
    finally:
        torch.set_num_threads(threads)


@given(st.data(), layers(inputs=2, depths=(2, 3), widths=(2, 3)))
@settings(max_examples=40)
def test_counts_are_those_of_one_place_at_a_time(data, pairs):
    network = sequential(*pairs)
    rows = data.draw(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=1, max_size=3))
    points = np.array(rows) / 2
    rules, numbers = ("zplus", "w2", "lrp0"), range(1, len(pairs) + 1)
    report = audit(network, points, rules=rules, layers="all", logit=0, domain="real")
    for row, (rule, layer) in zip(report.rows, product(rules, numbers), strict=True):
        expected = dict.fromkeys(row.tally.places, 0)
        for point in points.tolist():
            for name in places_of(network, point, rule, layer):
                expected[name] += 1
        assert row.tally.places == expected


@given(st.data(), layers(), st.sampled_from(["relevance", "hinge"]))
@settings(max_examples=60)
def test_every_roots_place_is_the_brute_force_oracles(data, pairs, root):
    plane = Plane(pairs)
    assume(len(plane.lines) <= 14)
    network = sequential(*pairs)
    x = tuple(Fraction(float(entry)) for entry in data.draw(points_near(plane.lines)))
    assume(plane.gradient(x) is not None)
    rules = [rule for rule in RULES if root == "relevance" or not rule.startswith(("epsilon", "alpha"))]
    asked = {"rules": rules, "logit": 0, "root": root, "domain": "real", "min_logit": -(2.0**99)}
    report = audit(network, [[float(entry) for entry in x]], **asked)
    for row in report.rows:
        expected = dict.fromkeys(row.tally.places, 0)
        for point in roots(network, x, rule=row.rule, root=root):
            expected[plane.place(x, point) if isinstance(point, tuple) else "no_root"] += 1
        assert row.tally.places == expected


def test_memory_does_not_grow_with_the_inputs(network, inputs, monkeypatch):
    """Batches of inputs are let go as soon as they are audited."""
    alive, most = weakref.WeakSet(), 0

    class Watched(GivenInputs):
        def batch(self, start: int, stop: int) -> Batch:
            nonlocal most
            batch = super().batch(start, stop)
            alive.add(batch)
            most = max(most, len(alive))
            return batch

    monkeypatch.setattr(run, "LARGEST_CHUNK", 2)
    assert audit(network, Watched(inputs, "watched"), rules=["zplus"]).inputs.count == 24
    assert most <= 2


def places_of(network, point, rule, layer) -> list[str]:
    """Places of all roots, or none where the input is not above 0 or a hinge is in the way."""
    try:
        region(network, point)
        region(network, point, layer=layer)
        if network(point)[0] <= 0:
            return []
        return [
            place(network, point, root, layer=layer).name if isinstance(root, tuple) else "no_root"
            for root in roots(network, point, rule=rule, layer=layer)
        ]
    except OnHinge:
        return []


def test_a_hinge_is_counted_and_named_not_fatal():
    network = sequential(([[1, 0], [0, 1]], [0, -1]), ([[1, 1]], [0]))
    report = audit(network, [[1, 1], [1, 2], [0, 0]], rules=["zplus"], logit=0)
    assert (report.inputs.count, report.inputs.audited) == (3, 1)
    assert (report.inputs.on_hinge, report.inputs.below_min_logit) == (1, 1)
    assert report.rows[0].tally.total == 2


def test_a_layer_whose_function_bends_leaves_its_inputs_out_and_says_so():
    network = sequential(([[1], [1]], [1, 1]), ([[1, -1]], [0]), ([[1]], [1]))
    report = audit(network, [[1]], rules=["w2"], layers=[1, 2], logit=0, domain="real")
    assert [row.tally.on_hinge for row in report.rows] == [0, 1]
    assert [row.tally.total for row in report.rows] == [2, 0]


def test_a_spent_budget_is_undecided_and_never_guessed():
    """[x1] - [1 - x1] + 2 has one gradient where x1 < 0 and where x1 > 1. To know that the hinge root of neuron 0 lies
    in the other region takes more than one further cell."""
    network = sequential(([[1, 1], [1, 0], [-1, 0]], [1, 0, 1]), ([[0, 1, -1]], [2]), final_relu=False)
    asked = {"rules": ["x"], "root": "hinge", "logit": 0, "domain": "real"}
    full = audit(network, [[2.5, 0.75]], **asked)
    spent = audit(network, [[2.5, 0.75]], **asked, budget=Budget(cells=1))
    assert places(full) == {"boundary": 1, "same_gradient_elsewhere": 1, "outside": 1}
    assert places(spent) == {"boundary": 1, "undecided": 1, "outside": 1}
    assert (full.undecided, spent.undecided) == (False, True)


def test_a_point_that_neurons_share_is_placed_and_shown_once(monkeypatch, tmp_path):
    """lrp0's root is 0 for every neuron; on so many hinges no enclosure decides. Claims place it once, too."""
    rows = [[1, -1], [1, 0], [2, 1], [3, 1], [4, 1]]
    network = sequential((rows, [0] * 5), ([[1] * 5], [1]), final_relu=False)
    asked: dict = {}

    def counting(module):
        def place_once(*args):
            asked[module] = asked.get(module, 0) + 1
            return place_in(*args)

        return place_once

    for module in (facts, exactly, placed):
        monkeypatch.setattr(module, "place_in", counting(module))
    report = audit(network, [[2, 1]], rules=["lrp0"], certificates=str(tmp_path / "c.jsonl"))
    assert decide("c5", network, (2, 1), rule="lrp0").witness["places"] == places(report) == {"boundary": 5}
    assert report.rows[0].tally.decided_by["rational"] == 5
    assert asked == {facts: 1, exactly: 1, placed: 1}
    assert check([str(tmp_path / "c.jsonl")]) == 0


def places(report) -> dict[str, int]:
    return {name: times for name, times in report.rows[0].tally.places.items() if times}


def test_the_residual_is_the_exact_maximum(network, inputs):
    report = audit(network, inputs, rules=["zplus"])
    rest = report.rows[0].tally.residuals
    largest = audit(network, inputs, rules=["zplus"], engine="exact").rows[0].tally.residuals
    assert rest.maximum == largest.maximum > 0
    assert (rest.input, rest.neuron) == (largest.input, largest.neuron)
    assert rest.median == largest.median


def test_tallies_add_up_in_any_order_and_survive_json():
    one, two = Tally(), Tally()
    one.places["outside"], two.places["outside"] = 3, 4
    one.residuals.record(Fraction(1, 3), 7, 0)
    two.residuals.record(Fraction(1, 3), 5, 2)
    two.residuals.add_all(np.array([0.5, 2.0, 2.0]))
    forth, back = Tally(), Tally()
    for tally in (one, two):
        forth.merge(Tally.from_json(tally.to_json()))
    for tally in (two, one):
        back.merge(tally)
    assert forth.to_json() == back.to_json()
    assert (forth.places["outside"], forth.residuals.input, forth.residuals.neuron) == (7, 5, 2)


@given(st.lists(st.floats(1e-12, 1e12), min_size=1))
def test_the_median_is_known_to_one_percent(sizes):
    rest = Residuals()
    rest.add_all(np.array(sizes))
    lower = sorted(sizes)[(len(sizes) - 1) // 2]
    assert abs(rest.median - lower) <= 0.011 * lower
