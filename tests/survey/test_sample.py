"""Roots that are drawn: the same whoever draws them, each layer's share known to an exact interval, nothing claimed."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import dtdsym
from dtdsym.arithmetic.binomial import clopper_pearson
from dtdsym.errors import InputError
from dtdsym.network.network import sequential
from dtdsym.relevance.rule import parse_rule
from dtdsym.survey import sample, sizes
from dtdsym.survey.chunk import largest_outputs
from dtdsym.survey.findings import RootRow
from dtdsym.survey.processes import processes
from dtdsym.survey.sample import drawn, is_whole, parts
from dtdsym.survey.settings import Settings
from dtdsym.survey.tally import Tally
from dtdsym.verify import main

WIDTHS = (4, 30, 12, 3)
SPREAD = {"rules": ["zplus", "w2"], "layers": "all"}


@pytest.fixture(scope="module")
def network():
    generator = np.random.default_rng(3)
    return sequential(
        *[
            (generator.standard_normal((out, size)).round(2).tolist(), (generator.random(out) * (20 / size)).tolist())
            for size, out in pairwise(WIDTHS)
        ],
        final_relu=False,
    )


@pytest.fixture(scope="module")
def inputs():
    return np.abs(np.random.default_rng(0).standard_normal((5, 4))).astype(np.float32).astype(np.float64)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(sample, "EACH", 7)


def counted(report) -> dict:
    """All of the JSON report but the clocks."""
    data = report.to_json()
    del data["seconds"]
    for row in (*data["roots"], *data["claims"]):
        del row["seconds"]
    return data


# Who draws, and when, changes nothing


def test_workers_threads_and_a_resumed_journal_count_what_one_process_does(network, inputs, tmp_path, monkeypatch):
    settled = {**SPREAD, "sample_roots": 60, "seed": 5}
    alone = counted(dtdsym.audit(network, inputs, **settled))
    assert parts(network, Settings.of(network, **settled), len(inputs)) == 2
    with ThreadPoolExecutor(2) as threads:
        assert counted(dtdsym.audit(network, inputs, **settled, executor=threads)) == alone
    journal = tmp_path / "run.jsonl"
    assert counted(dtdsym.audit(network, inputs, **settled, journal=str(journal))) == alone
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 1 + 2 * len(inputs)
    for kept in (1, 4, 7, len(lines)):
        journal.write_bytes(b"".join(lines[:kept]))
        assert counted(dtdsym.audit(network, inputs, **settled, journal=str(journal))) == alone
    shuffled = lines[1:]
    np.random.default_rng(1).shuffle(shuffled)
    journal.write_bytes(b"".join([lines[0], *shuffled]))
    assert counted(dtdsym.audit(network, inputs, **settled, journal=str(journal))) == alone
    monkeypatch.setattr(sample, "EACH", 1000)
    assert counted(dtdsym.audit(network, inputs, **settled)) == alone


def test_processes_count_what_one_process_does(network, inputs, monkeypatch):
    monkeypatch.undo()
    settled = {**SPREAD, "sample_roots": 60}
    alone = counted(dtdsym.audit(network, inputs, **settled))
    with processes(2) as pool:
        assert counted(dtdsym.audit(network, inputs, **settled, executor=pool)) == alone


def test_a_journal_of_other_draws_is_another_runs(network, inputs, tmp_path):
    journal = str(tmp_path / "run.jsonl")
    dtdsym.audit(network, inputs[:1], rules=["zplus"], sample_roots=4, journal=journal)
    for other, key in (({"sample_roots": 5}, "sample_roots"), ({"sample_roots": 4, "seed": 1}, "seed")):
        with pytest.raises(InputError, match=f"another run: {key} was"):
            dtdsym.audit(network, inputs[:1], rules=["zplus"], **other, journal=journal)


@pytest.mark.parametrize("each", [1, 3, 64])
def test_parts_share_out_the_draws_of_a_seed(network, monkeypatch, each):
    monkeypatch.setattr(sample, "EACH", each)
    settings = Settings.of(network, layers="all", sample_roots=40, seed=9)
    seen = {1: Counter(), 2: Counter()}
    for layer, number, part in ((1, n, p) for n in range(5) for p in range(parts(network, settings, 5))):
        for neuron in drawn(network, settings, layer, 5, number, part).neurons.tolist():
            seen[layer][number, neuron] += 1
    assert sum(seen[1].values()) == 40
    assert seen[1].most_common(1)[0][1] > 1  # with replacement
    again = Settings.of(network, layers="all", sample_roots=40, seed=10)
    other = Counter((n, k) for n in range(5) for p in range(9) for k in drawn(network, again, 1, 5, n, p).neurons)
    assert other != seen[1]
    rng = np.random.default_rng([9, 1])
    where, neurons = rng.integers(5, size=40), rng.integers(30, size=40)
    assert seen[1] == Counter(zip(where.tolist(), neurons.tolist(), strict=True))


def test_layers_are_drawn_apart(network):
    settings = Settings.of(network, layers="all", sample_roots=40)
    one, two = (
        np.concatenate([drawn(network, settings, layer, 5, n, 0).neurons for n in range(5)]) for layer in (1, 2)
    )
    assert (one % 12).tolist() != two.tolist()


# Layers with no more roots than that


def test_of_the_last_layer_only_the_explained_logit_has_roots(network, inputs):
    generator = np.random.default_rng(0)
    shapes = [(8, network.sizes[0]), (100, 8)]
    wide = sequential(*[(generator.standard_normal(shape), np.ones(shape[0])) for shape in shapes], final_relu=False)
    row = dtdsym.audit(wide, inputs, rules=["zplus"], layers=[2], sample_roots=50, min_logit=-1e9).roots[0]
    assert (row["total"], row["sample"]) == (len(inputs), None)
    many = np.concatenate([inputs] * 3)
    row = dtdsym.audit(wide, many, rules=["zplus"], layers=[2], sample_roots=len(many) - 1, min_logit=-1e9).roots[0]
    assert row["sample"]["of"] == len(many)


def test_more_draws_than_roots_are_no_more_parts(network):
    settings = Settings.of(network, layers="all", sample_roots=10**18)
    assert parts(network, settings, 5) == 1


def test_a_layer_with_fewer_roots_than_draws_is_audited_whole(network, inputs):
    full = counted(dtdsym.audit(network, inputs, **SPREAD))
    part = counted(dtdsym.audit(network, inputs, **SPREAD, sample_roots=60))
    for row, whole in zip(part["roots"], full["roots"], strict=True):
        if row["layer"] == 1:
            assert row["sample"]["of"] == whole["total"] == 150
            continue
        assert row == whole
        assert row["sample"] is None
        assert row["inputs_any_different_gradient"] + row["inputs_all_equal_gradient"] == 5
    assert [claim for claim in part["claims"] if claim["layer"] > 1] == [
        claim for claim in full["claims"] if claim["layer"] > 1
    ]
    everything = counted(dtdsym.audit(network, inputs, **SPREAD, sample_roots=150))
    assert everything == full
    assert counted(dtdsym.audit(network, inputs, **SPREAD, sample_roots="all")) == full


def test_one_root_more_than_draws_is_a_sample(network):
    for asked, whole in ((150, True), (149, False)):
        settings = Settings.of(network, layers="all", sample_roots=asked)
        assert is_whole(network, settings, 1, 5) is whole
        found = drawn(network, settings, 1, 5, 0, 0)
        assert found.whole is whole
        if whole:
            assert found.neurons.tolist() == list(range(30))
            assert not len(drawn(network, settings, 1, 5, 0, 1).neurons)


# What a sample says


def test_intervals_hold_the_shares_of_all_roots(network, inputs):
    """At 95 % each: over 40 seeds and all places no more than a few miss."""
    full = counted(dtdsym.audit(network, inputs, rules=["zplus"]))["roots"][0]
    held = asked = 0
    for seed in range(40):
        row = counted(dtdsym.audit(network, inputs, rules=["zplus"], sample_roots=40, seed=seed))["roots"][0]
        assert row["total"] == row["sample"]["drawn"] == sum(row["places"].values()) == 40
        assert row["sample"]["confidence"] == 0.95
        for name, (low, high) in row["sample"]["shares"].items():
            true = full["equal_gradient"] if name == "equal_gradient" else full["places"][name]
            seen = row["equal_gradient"] if name == "equal_gradient" else row["places"][name]
            assert low <= seen / 40 <= high
            if 0 < true < full["total"]:
                asked += 1
                held += low <= true / full["total"] <= high
    assert asked > 80
    assert held >= 0.95 * asked


def test_draws_are_counted_as_often_as_they_come(network, inputs):
    """A place's count is that of its draws, duplicates and all."""
    settled = {"rules": ["zplus"], "sample_roots": 100, "seed": 2}
    row = dtdsym.audit(network, inputs, **settled).rows[0]
    rng = np.random.default_rng([2, 1])
    where, neurons = rng.integers(5, size=100), rng.integers(30, size=100)
    assert len(set(zip(where.tolist(), neurons.tolist(), strict=True))) < 100
    expected = Counter()
    for number in range(5):
        one, x = network.logit(int(largest_outputs(network, inputs[number : number + 1])[0])), inputs[number]
        for neuron in neurons[where == number].tolist():
            root = dtdsym.roots(one, x, rule="zplus")[neuron]
            expected["no_root" if not isinstance(root, tuple) else dtdsym.place(one, x, root).name] += 1
    assert {name: times for name, times in row.tally.places.items() if times} == dict(expected)


def test_draws_at_inputs_that_are_not_audited_are_dropped(network, inputs):
    bad = np.concatenate([inputs, inputs * 3])
    settled = {"rules": ["zplus"], "logit": 0, "sample_roots": 60, "seed": 3}
    one = network.logit(0)
    least = sorted(float(one(x.tolist())[0]) for x in bad)[5]
    report = dtdsym.audit(network, bad, **settled, min_logit=least)
    rng = np.random.default_rng([3, 1])
    kept = np.array([float(one(x.tolist())[0]) > least for x in bad])
    assert report.inputs.count == 10
    assert report.inputs.audited == kept.sum() < 10
    row = counted(report)["roots"][0]
    assert row["total"] == int(kept[rng.integers(10, size=60)].sum()) < 60
    assert row["sample"]["of"] == 30 * report.inputs.audited


def test_no_claim_is_refuted_by_a_sample(network, inputs):
    """c5 and c6 are about all roots: a sample may prove them, or leave them open."""
    still = sequential(([[i + 1.0] for i in range(40)], [1.0] * 40), ([[2.0**-9] * 40], [1.0]), final_relu=False)
    full = dtdsym.audit(still, [[1.0]], rules=["zplus"], logit=0)
    part = dtdsym.audit(still, [[1.0]], rules=["zplus"], logit=0, sample_roots=10)
    verdicts = [{claim["claim"]: claim["verdict"] for claim in report.to_json()["claims"]} for report in (full, part)]
    assert verdicts[0]["c5"] == "refuted"
    assert verdicts[1]["c5"] == "undecided"
    assert "refuted" not in verdicts[1].values()
    reasons = {claim["reason"] for claim in part.to_json()["claims"] if claim["verdict"] == "undecided"}
    assert reasons == {"Only a sample of the roots was audited, and none of it proves the claim."}
    for report in (dtdsym.audit(network, inputs, **SPREAD, sample_roots=20, seed=s) for s in range(4)):
        for claim in report.to_json()["claims"]:
            assert claim["verdict"] == "proved" or claim["layer"] == 3 or claim["verdict"] == "undecided"


def test_counts_over_inputs_are_null_where_only_some_roots_were_seen(network, inputs):
    row = json.loads(json.dumps(counted(dtdsym.audit(network, inputs, rules=["zplus"], sample_roots=20))))["roots"][0]
    for name in ("inputs_all_equal_gradient", "inputs_any_different_gradient", "inputs_unresolved"):
        assert row[name] is None


def test_claims_on_inputs_are_decided_once_however_many_parts_there_are(network, inputs):
    settled = {"rules": ["zplus"], "claims": ("c2",), "logit": 0, "min_logit": -1e9}
    full = dtdsym.audit(network, inputs[:2], **settled)
    part = dtdsym.audit(network, inputs[:2], **settled, sample_roots=50)
    assert [(claim["input"], claim["verdict"]) for claim in part.decided] == [
        (claim["input"], claim["verdict"]) for claim in full.decided
    ]


def test_signs_at_the_inputs_are_counted_once(network, inputs):
    report = dtdsym.audit(network, inputs, rules=["zplus"], sample_roots=60)
    assert sum(report.signs.values()) == len(inputs) * (30 + 12)


# What is refused


@pytest.mark.parametrize(
    ("asked", "met"),
    [
        (["--sample-roots", "0"], "--sample-roots 0: give a whole number from 1, or all"),
        (["--sample-roots", "-3"], "--sample-roots -3: give a whole number from 1, or all"),
        (["--sample-roots", "1.5"], "--sample-roots '1.5'"),
        (["--sample-roots", "many"], "--sample-roots 'many'"),
        (["--sample-roots", "3", "--seed", "-1"], "--seed -1: give a whole number from 0"),
        (["--sample-roots", "3", "--certificates", "c.jsonl"], "certificates:"),
        (["--sample-roots", "3", "--root", "nearest"], "leave out --sample-roots"),
        (["--engine", "float"], "engine 'float': expected one of auto, exact, numeric"),
        (["--engine", "numeric:float16"], "engine 'numeric:float16'"),
        (["--engine", "numeric", "--certificates", "c.jsonl"], "certificates: the numeric engine proves nothing"),
        (["--engine", "numeric", "--claim", "c2"], "claim c2: the numeric engine proves nothing"),
        (["--engine", "numeric", "--root", "nearest"], "nearest roots: the numeric engine proves nothing"),
        (["--device", "gpu9"], "--device gpu9: torch cannot use it here"),
        (["--device", "meta"], "--device meta: torch cannot use it here"),
        (["--device", ""], "torch cannot use it here"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(repository, tmp_path, capsys, monkeypatch, asked, met):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.ones((2, 10)))
    status = main([str(repository / "examples/paper_mlp.pt"), "--input", "x.npy", *asked])
    told = capsys.readouterr()
    assert status == 2
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert met in told.err
    assert not Path("c.jsonl").exists()


def test_outputs_too_near_to_tell_are_named_by_the_inputs_own_number(monkeypatch):
    """Of a network that is too large for the rationals."""
    tied = sequential(([[1.0], [1.0]], [0.0, 0.0]), final_relu=False)
    assert largest_outputs(tied, np.array([[1.0]])).tolist() == [0]
    monkeypatch.setattr("dtdsym.survey.sizes.EXACT_WORK", 0)
    assert sizes.is_large(tied)
    with pytest.raises(InputError, match="input 7: two outputs are too near"):
        largest_outputs(tied, np.array([[1.0]]), first=7)
    assert largest_outputs(tied.logit(0), np.array([[1e308]])).tolist() == [0]


def test_undecided_roots_may_be_anything():
    """29 of 50 draws without a place, 1 in the same cell: what is known of all roots is no more than that."""
    tally = Tally()
    tally.places.update(undecided=29, same_cell=1, degenerate=20)
    row = RootRow(parse_rule("zplus"), 1, tally, sampled=True)
    shares = row.to_json("relevance", 9000)["sample"]["shares"]
    assert shares["same_cell"] == [clopper_pearson(1, 50)[0], clopper_pearson(30, 50)[1]]
    assert shares["outside"] == [0.0, clopper_pearson(29, 50)[1]]
    assert shares["undecided"] == list(clopper_pearson(29, 50))
    assert row.share(0) == (0.0, clopper_pearson(29, 50)[1])


def test_facts_that_stay_open_are_counted(monkeypatch):
    """The last layer's relevance roots have zero relevance exactly, which no bound can tell."""
    network = sequential(([[0.5, 0.3], [0.7, -0.2]], [0.1, 0.2]), ([[0.3, 0.9]], [0.7]), final_relu=False)
    asked = {"rules": ["zplus"], "layers": [2], "logit": 0, "sample_roots": "all"}
    told = dtdsym.audit(network, [[0.3, 0.7]], **asked).roots[0]
    assert (told["zero_relevance"], told["open_facts"]["zero_relevance"]) == (1, 0)
    monkeypatch.setattr("dtdsym.survey.sizes.EXACT_WORK", 0)
    monkeypatch.setattr("dtdsym.survey.sizes.SMALL_WORK", 0)
    told = dtdsym.audit(network, [[0.3, 0.7]], **asked).roots[0]
    assert (told["zero_relevance"], told["open_facts"]["zero_relevance"]) == (0, 1)
