"""Places by floats alone: where they are not the exact ones, the root was flagged; where floats are good, none is."""

from __future__ import annotations

import gc
import json
import math

import numpy as np
import pytest
import torch
from builders import conv_networks
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import GAP, layers

import dtdsym
from dtdsym.arithmetic import shaken
from dtdsym.arithmetic.shaken import ShakenArithmetic, apart, margin
from dtdsym.arithmetic.tensor import TensorArithmetic
from dtdsym.geometry.placement import PLACES
from dtdsym.network.builder import Builder
from dtdsym.network.network import sequential
from dtdsym.relevance import state
from dtdsym.survey import numeric
from dtdsym.survey.exactly import ExactInput
from dtdsym.survey.numeric import NumericLadder
from dtdsym.survey.settings import Settings

ENGINES = ("numeric", "numeric:float32")
RULES = ("zplus", "gamma:1", "w2", "lrp0", "epsilon:1/4", "x", "flat", "alpha_beta:2:1", "pinv", "zbox:-4:4")
HINGED = ("zplus", "gamma:1", "w2", "x", "flat", "zbox:-4:4")
COORDINATES = st.one_of(
    st.integers(-8, 8).map(lambda n: n / 4),
    st.sampled_from([0.1, 0.2, 0.3, -0.3, 1 / 3, 2 / 3, 0.7, 1e-3, 3.3]),
    st.integers(-6, 6).map(lambda n: n / 2 + GAP),
)
FACTORS = (1.0, 1.0, 0.1, 1 / 3, 1.7)


def asked(network, rule: str, root: str, engine: str) -> Settings:
    return Settings.of(
        network, rules=[rule], layers="all", logit=0, min_logit=-1e300, root=root, domain="real", engine=engine,
        budget=dtdsym.Budget(cells=150),
    )  # fmt: skip


def wrong(network, x, rule: str, engine: str, root: str = "relevance", most: int = 8) -> list[tuple]:
    """(layer, neuron, place by floats, place, margin) of the first roots of every layer that floats place wrongly."""
    one, point = network.logit(0), np.asarray(x, dtype=np.float64).reshape(1, -1)
    floats = NumericLadder(one, point, asked(network, rule, root, engine))
    exactly, found = ExactInput(one, point[0], asked(network, rule, root, "auto")), []
    for layer in floats.settings.layers:
        verdicts = floats.verdicts(floats.settings.rules[0], layer)
        bends = exactly.on_hinge(one.layer(layer).source)
        for neuron in range(min(most, one.layer(layer).size)):
            place = "hinge" if bends else exactly.facts(floats.settings.rules[0], layer, neuron).place
            told = PLACES[verdicts.place[0, neuron]]
            if place not in ("undecided", told):
                found.append((layer, neuron, told, place, float(verdicts.margin[0, neuron])))
    return found


def all_flagged(found) -> None:
    assert not [case for case in found if not case[-1] < 1]


@st.composite
def messy_layers(draw):
    """Layers of awkward networks, their numbers multiplied by what no float holds exactly."""
    pairs = draw(layers())
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        return pairs
    return [
        (
            [[w * float(generator.choice(FACTORS)) for w in row] for row in rows],
            [b * float(generator.choice(FACTORS)) for b in biases],
        )
        for rows, biases in pairs
    ]


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=150)
@given(messy_layers(), st.tuples(COORDINATES, COORDINATES), st.data(), st.booleans())
def test_a_root_that_floats_place_wrongly_was_flagged(engine, pairs, x, data, final):
    root = data.draw(st.sampled_from(["relevance", "relevance", "hinge"]))
    rule = data.draw(st.sampled_from(HINGED if root == "hinge" else RULES))
    all_flagged(wrong(sequential(*pairs, final_relu=final), x, rule, engine, root))


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(conv_networks(), st.integers(0, 2**32 - 1), st.sampled_from(("zplus", "gamma:1", "w2", "x", "flat", "lrp0")))
def test_so_was_one_of_a_convolutional_network(engine, network, seed, rule):
    assume(sum(network.sizes) < 250)
    generator = np.random.default_rng(seed)
    x = generator.integers(-8, 9, network.sizes[0]) / 8 * generator.choice([1, 0.1, 1 / 3])
    all_flagged(wrong(network, x, rule, engine, most=3))


# Where floats go wrong, found by search


BIG = 2.0**53
CANCELLING = sequential(([[1.0, 1.0, 1.0]], [1.0]), ([[1.0]], [1.0]), final_relu=False)
HEAVY = sequential(([[1.0, 1.0, 1.0]], [2.0**60]), ([[1.0]], [1.0]), final_relu=False)
NEARLY = sequential(([[-1.0, 0.0]], [1 - 2.0**-53]), final_relu=False)
"""Its bias is 1 in float32."""
TINY = sequential(([[2.0**-30, 0.0]], [1.2e-28]))


def pooled():
    """A maximum of four numbers, two of which are 0: a hinge, though no number there is rounded."""
    builder = Builder((1, 2, 2))
    value = builder.convolve(builder.input, np.ones((1, 1, 1, 1)), np.zeros(1))
    value = builder.flatten(builder.max_pool(value, [2, 2]))
    return builder.network(builder.linear(value, np.ones((1, 1)), np.zeros(1)))


@pytest.mark.parametrize(("network", "x", "rule"), [(NEARLY, [1.0, 1.75], "flat"), (TINY, [2.0, -0.3], "w2")])
def test_float32_is_flagged_where_it_rounds_away_what_counts(network, x, rule):
    found = wrong(network, x, rule, "numeric:float32")
    assert found
    all_flagged(found)


@pytest.mark.parametrize(
    ("network", "x", "rule"),
    [
        (CANCELLING, [BIG, 1.0, -BIG], "x"),
        (HEAVY, [BIG, 1.0, -BIG], "x"),
        (pooled(), [0.0, 0.0, -1.0, -1.0], "w2"),
        (sequential(([[1.0, -1.0]], [0.0]), ([[1.0]], [1.0]), final_relu=False), [0.1, 0.1], "zplus"),
    ],
    ids=["sum", "direction", "pool", "hinge"],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_floats_that_are_wrong_in_the_same_way_in_every_run_are_flagged(engine, network, x, rule):
    found = wrong(network, x, rule, engine)
    assert found
    all_flagged(found)


def test_dead_neurons_and_windows_of_nothing_else_are_no_doubt():
    """Zeros that are zero on the whole cell: a pruned neuron, and a tie of inactive ones."""
    builder = Builder((1, 4, 4))
    kernel = np.array([1.0, 0.0]).reshape(2, 1, 1, 1)
    value = builder.relu(builder.convolve(builder.input, kernel, np.array([-1.0, 0.0])))
    value = builder.flatten(builder.max_pool(value, [2, 2]))
    network = builder.network(builder.linear(value, np.ones((1, 8)), np.ones(1)))
    x = np.array([[3.0, 1.5, 0.1, 0.2], [2.0, 1.2, 0.3, 0.4], [0.1, 0.7, 0.5, 2.5], [0.3, 0.2, 0.1, 0.6]])
    floats = NumericLadder(network, x.reshape(1, 16), asked(network, "zplus", "relevance", "numeric"))
    assert floats.home(0).least.item() > 1e6
    assert wrong(network, x, "zplus", "numeric") == []


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_is_flagged_where_floats_are_good(repository, engine):
    """A trained network at sampled inputs: as exact, and margins of thousands and more in float64."""
    network = dtdsym.load(str(repository / "examples/digits_mlp.pt"))
    x = np.random.default_rng(4).random((6, network.sizes[0])).round(3)
    settled = {"rules": ["zplus", "w2"], "layers": [1, 2], "domain": "box:0:1"}
    report, exact = dtdsym.audit(network, x, engine=engine, **settled), dtdsym.audit(network, x, **settled)
    for row, true in zip(report.rows, exact.rows, strict=True):
        differing = sum(abs(times - true.tally.places[name]) for name, times in row.tally.places.items()) // 2
        assert differing <= row.tally.flagged
        if engine == "numeric":
            assert row.tally.flagged == 0
            assert row.tally.margin > 10
            assert row.tally.places == true.tally.places


# Reports


def test_a_numeric_report_finds_nothing_and_proves_nothing(repository):
    network = dtdsym.load(str(repository / "examples/paper_mlp.pt"))
    x = np.abs(np.random.default_rng(1).standard_normal((5, 10))).round(3)
    asked_ = {"rules": ["zplus", "w2"], "layers": [1, 2], "logit": 0}
    report, exact = dtdsym.audit(network, x, engine="numeric", **asked_), dtdsym.audit(network, x, **asked_)
    assert exact.violated
    assert (report.violated, report.undecided) == (False, True)
    data = json.loads(json.dumps(report.to_json()))
    assert data["engine"] == "numeric"
    assert {claim["verdict"] for claim in data["claims"]} == {"undecided"}
    assert {claim["reason"] for claim in data["claims"]} == {"Floats alone prove nothing."}
    assert not any(claim["bad_news"] or claim["witness"] for claim in data["claims"])
    assert set(data["signs"]) == {"numeric"}
    for row, true in zip(data["roots"], exact.to_json()["roots"], strict=True):
        assert set(row) == set(true)
        assert row["decided_by"]["numeric"] == row["total"] == true["total"]
        assert sum(row["decided_by"].values()) == row["total"]
        assert row["flagged"] == 0
        assert row["smallest_margin"] > 1
        assert row["places"] == true["places"]
        assert true["smallest_margin"] is None
        assert true["flagged"] == 0


def test_the_same_seed_gives_the_same_margins_and_chunks_do_not_matter(repository):
    network = dtdsym.load(str(repository / "examples/paper_mlp.pt"))
    x = np.abs(np.random.default_rng(2).standard_normal((3, 10))).round(3)
    settled = {"rules": ["zplus"], "engine": "numeric", "logit": 0}
    one, two = (dtdsym.audit(network, x, **settled).to_json()["roots"] for _ in range(2))
    for row in (*one, *two):
        del row["seconds"]
    assert one == two


# Shaken arithmetic


def test_shaken_runs_hold_the_true_result_between_them_by_far():
    """The first run is torch's own, and its error is smaller than what the others differ by."""
    generator = np.random.default_rng(0)
    weight, bias = generator.standard_normal((50, 200)), generator.standard_normal(50)
    x = torch.tensor(generator.standard_normal((1, 200)))
    ops = ShakenArithmetic(dtype=torch.float32)
    found = ops.affine(weight, bias, ops.shaken(x))
    truth = x.numpy() @ weight.T + bias
    error = abs(found[0].double().numpy() - truth)
    assert (error < apart(found).double().numpy()).all()
    assert (apart(found) < 1e-3).all()


def test_constants_have_no_runs_and_take_the_dtype_of_values():
    ops = ShakenArithmetic(dtype=torch.float32)
    ones = ops.lift(np.ones(3))
    assert ones.dtype == torch.float32
    assert ops.affine(np.ones((2, 3)), np.zeros(2), ones).tolist() == [3, 3]
    assert ops.total(ones).item() == 3
    assert ops.add(ones, ones).tolist() == [2, 2, 2]


def test_rounded_inputs_are_shaken_and_exact_ones_are_not():
    ops = ShakenArithmetic(dtype=torch.float32)
    runs = ops.shaken(torch.tensor([[0.5, 0.1]], dtype=torch.float64))
    assert runs[:, 0, 0].tolist() == [0.5] * 3
    assert (runs[1:, 0, 1] != runs[0, 0, 1]).all()
    assert margin(runs)[0, 0] > 1e30


def test_what_is_lifted_is_kept_once_however_many_chunks_there_are():
    network, x = sequential(([[1.0, 2.0]], [0.0]), ([[1.0]], [1.0]), final_relu=False), [[1.0, 1.0]]
    dtdsym.audit(network, x, rules=["x"], engine="numeric", logit=0)
    gc.collect()
    before = sum(len(kept) for kept in state._LIFTED.values())
    for _ in range(3):
        dtdsym.audit(network, x, rules=["x"], engine="numeric", logit=0)
    assert sum(len(kept) for kept in state._LIFTED.values()) <= before


def sure(value):
    return torch.full(value.shape[1:], math.inf, dtype=value.dtype)


def scaled(first: float, second: float):
    """A network of two layers with weights of these sizes."""
    return sequential(([[first, 2 * first], [first, -first / 2]], [0, 0]), ([[second, second]], [0]), final_relu=False)


def all_zero(zeros, index):
    return np.ones((*zeros.shape[:-1], *index.shape), dtype=bool)


@pytest.mark.parametrize(
    ("module", "name", "flaw", "case"),
    [
        (ShakenArithmetic, "total", TensorArithmetic.total, (HEAVY, [BIG, 1.0, -BIG], "x", "numeric")),
        (numeric, "margin", sure, (CANCELLING, [BIG, 1.0, -BIG], "x", "numeric")),
        (numeric, "_moved", lambda step: sure(step[..., 0]), (NEARLY, [1.0, 1.75], "flat", "numeric:float32")),
        (numeric, "taken", all_zero, (pooled(), [0.0, 0.0, -1.0, -1.0], "w2", "numeric")),
        (numeric, "LEAST_EXPONENT", -1e9, (scaled(1e-200, 1.0), [1.0, 1.0], "w2", "numeric")),
        (shaken, "_has_terms", lambda value: value * 0, (scaled(1e-20, 1e-30), [1.0, 1.0], "w2", "numeric:float32")),
    ],
    ids=["sums", "margins", "steps", "ties", "products of rules", "products of layers"],
)
def test_without_one_of_its_measures_a_wrong_place_passes_for_sure(monkeypatch, module, name, flaw, case):
    all_flagged(wrong(*case))
    monkeypatch.setattr(module, name, flaw)
    with pytest.raises(AssertionError):
        all_flagged(wrong(*case))


@pytest.mark.parametrize(
    ("first", "second", "rule", "engine"),
    [
        (1e-200, 1e-200, "zplus", "numeric"),
        (1e-160, 1e-170, "zplus", "numeric"),
        (1e-200, 1.0, "w2", "numeric"),
        (1e-200, 1.0, "gamma:1", "numeric"),
        (1e-30, 1e-30, "zplus", "numeric:float32"),
        (1e-20, 1e-30, "w2", "numeric:float32"),
    ],
)
def test_underflow_is_flagged(first, second, rule, engine):
    found = wrong(scaled(first, second), [1.0, 1.0], rule, engine)
    assert found
    all_flagged(found)


def test_small_numbers_that_do_not_underflow_are_no_doubt():
    report = dtdsym.audit(
        scaled(1.0, 1e-17), [[1.0, 1.0]], rules=["zplus"], domain="real", engine="numeric", min_logit=-1
    )
    assert report.roots[0]["flagged"] == 0


def test_overflow_is_flagged():
    """Places made of infinities and of NaN are no places."""
    network = sequential(([[1e30]], [0.0]), ([[1e30]], [0.0]), ([[1.0]], [0.0]), final_relu=False)
    one = network.logit(0)
    floats = NumericLadder(one, np.array([[1.0]]), asked(network, "w2", "relevance", "numeric:float32"))
    margins = floats.verdicts(floats.settings.rules[0], 1).margin
    assert (margins < 1).all()
    assert not math.isnan(margins.min())
