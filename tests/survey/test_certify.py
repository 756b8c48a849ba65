"""Certificates of an audit: a line for every decided root, whole after a kill, the same with any number of workers."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import numpy as np
import pytest
from certified import refusals
from networks import SEPARATIONS, sequential
from rich.console import Console

import dtdsym
from dtdsym.certificate.network import network_hash
from dtdsym.checker.__main__ import main as check
from dtdsym.errors import InputError
from dtdsym.geometry.budget import Budget
from dtdsym.network.builder import Builder
from dtdsym.survey import run


@pytest.fixture
def network():
    rng = np.random.default_rng(3)
    shapes = [(4, 3), (3, 4), (2, 3)]
    return sequential(*((rng.integers(-4, 5, s).tolist(), rng.integers(-2, 3, s[0]).tolist()) for s in shapes))


@pytest.fixture
def inputs():
    return np.random.default_rng(5).integers(-3, 4, (12, 3)) / 4


def lines(path) -> list[dict]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.splitlines()]


def certified(network, inputs, path, **asked) -> tuple[list[dict], Any]:
    report = dtdsym.audit(network, inputs, layers="all", min_logit=-100.0, certificates=str(path), **asked)
    return lines(path), report


def test_there_is_one_line_for_every_decided_root(network, inputs, tmp_path):
    found, report = certified(network, inputs, tmp_path / "c.jsonl")
    assert found[0]["format"] == "dtdsym-certificates/2"
    assert found[0]["network"] == network_hash(network) == report.certificates.network
    claims = [line for line in found if "claim" in line]
    counted = Counter((line["rule"], line["layer"], line["place"]) for line in claims)
    for row in report.rows:
        for name, number in row.tally.places.items():
            assert counted[row.rule.label, row.layer, name] == (0 if name == "undecided" else number)
    assert report.certificates.written == len(claims)
    assert len({name for *_, name in counted}) > 4


def test_every_claim_stands_below_its_input(network, inputs, tmp_path):
    found, _ = certified(network, inputs, tmp_path / "c.jsonl")
    current = None
    for line in found[1:]:
        current = line["input"] if "values" in line else current
        assert line["input"] == current


def test_roots_outside_on_their_own_hinges_have_their_evidence(tmp_path):
    """[x - 1] + [x - 2] + [x - 4] bends at 1 from gradient 0 to 1, not to that of x = 3, 2: enclosures tell."""
    network = sequential(([[1], [1], [1]], [-1, -2, -4]), ([[1, 1, 1]], [0]), final_relu=False)
    found, report = certified(network, [[3.0]], tmp_path / "c.jsonl", root="hinge", rules=["w2"])
    assert report.rows[0].tally.decided_by["enclosure"] == 3
    assert Counter(line["place"] for line in found[2:] if line["layer"] == 1) == {"outside": 1, "boundary": 2}
    assert check([str(tmp_path / "c.jsonl")]) == 0


def test_roots_outside_where_neurons_happen_to_be_at_0_have_their_evidence(tmp_path):
    """lrp0's root 0 is on the hinge of x1 - x2, and beyond that of x1 + x2 - 1: enclosures tell that it is outside."""
    network = sequential(([[1, -1], [1, 1]], [0, -1]), ([[1, 1]], [1]), final_relu=False)
    found, report = certified(network, [[2.0, 1.0]], tmp_path / "c.jsonl", rules=["lrp0"])
    assert report.rows[0].tally.decided_by["enclosure"] == report.rows[0].tally.places["outside"] == 2
    assert all("evidence" in line for line in found[2:] if line["place"] == "outside")
    assert check([str(tmp_path / "c.jsonl")]) == 0


def test_a_compressed_file_holds_the_same_lines(network, inputs, tmp_path):
    plain, _ = certified(network, inputs, tmp_path / "c.jsonl")
    small, _ = certified(network, inputs, tmp_path / "c.jsonl.gz")
    assert small == plain


def test_workers_write_the_same_lines(network, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "LARGEST_CHUNK", 5)
    alone, _ = certified(network, inputs, tmp_path / "a.jsonl")
    with ThreadPoolExecutor(3) as executor:
        many, _ = certified(network, inputs, tmp_path / "b.jsonl", executor=executor)
    assert sorted(map(str, many)) == sorted(map(str, alone))


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz"])
def test_a_killed_run_goes_on_without_losing_or_doubling_a_line(network, inputs, tmp_path, monkeypatch, name):
    monkeypatch.setattr(run, "LARGEST_CHUNK", 4)
    whole, _ = certified(network, inputs, tmp_path / ("whole" + name))
    journal, path = tmp_path / "run.jsonl", tmp_path / name
    asked = {"journal": str(journal)}
    certified(network, inputs, path, **asked)
    kept = journal.read_bytes().splitlines(keepends=True)[:2]  # killed after the first chunk was journaled,
    journal.write_bytes(b"".join(kept))
    path.write_bytes(path.read_bytes()[:-7])  # in the middle of writing a later one's certificates
    again, report = certified(network, inputs, path, **asked)
    assert again == whole
    assert report.certificates.written == sum("claim" in line for line in whole)


def test_a_journal_without_certificates_is_refused(network, inputs, tmp_path):
    journal = str(tmp_path / "run.jsonl")
    dtdsym.audit(network, inputs, layers="all", min_logit=-100.0, journal=journal)
    with pytest.raises(dtdsym.InputError, match="certificates was False, now True"):
        certified(network, inputs, tmp_path / "c.jsonl", journal=journal)


def test_a_journal_with_batch_normalisation_numbered_otherwise_is_refused(inputs, tmp_path):
    build = Builder((3,))
    ones, numbers = np.ones(2), np.array([1.0, -2.0])
    value = build.batch_norm(build.linear(build.input, np.eye(2, 3), None), numbers, numbers, ones, ones, 0.0)
    network, journal = build.network(build.relu(value)), str(tmp_path / "run.jsonl")
    asked = {"logit": 0, "min_logit": -100.0, "journal": journal}
    dtdsym.audit(network, inputs, **asked)
    with pytest.raises(dtdsym.InputError, match="batchnorm was fold, now own"):
        dtdsym.audit(network.unfolded(), inputs, **asked)


def test_the_report_says_which_network_a_checker_is_to_expect(network, inputs, tmp_path):
    path = tmp_path / "c.jsonl"
    _, report = certified(network, inputs, path)
    expected = report.to_json()["certificates"]["network"]
    assert check([str(path), "--quiet", "--expect", expected]) == 0
    console = Console(width=120, file=StringIO(), record=True)
    console.print(report)
    assert f"--expect {expected}" in " ".join(console.export_text().split())


def test_other_rules_are_certified_as_points(network, inputs, tmp_path):
    found, _ = certified(network, inputs, tmp_path / "c.jsonl", rules=["first=zplus,*=w2"])
    claims = [line for line in found if "claim" in line]
    assert claims
    assert all("point" in line and "rule" not in line for line in claims)


def test_undecided_roots_have_no_line(tmp_path):
    example = SEPARATIONS["same component, segment leaves it: [[x1] - [x1-x2]]"]
    network = example.network
    found, report = certified(network, [example.x], tmp_path / "c.jsonl", budget=Budget(cells=1), engine="exact")
    undecided = sum(row.tally.places["undecided"] for row in report.rows)
    total = sum(row.tally.total for row in report.rows)
    assert sum("claim" in line for line in found) == total - undecided - report.certificates.without


@pytest.mark.parametrize("engine", ["auto", "exact"])
@pytest.mark.parametrize(
    "pairs", [[([[1]], [0]), ([[0]], [0])], [([[1], [1]], [0, 0]), ([[1, -1]], [0]), ([[1]], [1])]]
)
def test_an_input_on_hinges_that_cancel_is_certified_with_its_cones(pairs, engine, tmp_path):
    """All roots of lrp0 are the input itself; that the function is regular there needs evidence."""
    network = sequential(*pairs, final_relu=False)
    asked = {"rules": ["lrp0"], "logit": 0, "min_logit": -1.0, "engine": engine}
    report = dtdsym.audit(network, [[0.0]], certificates=str(tmp_path / "c.jsonl"), **asked)
    assert report.rows[0].tally.places["degenerate"] == report.rows[0].tally.total > 0
    assert refusals((tmp_path / "c.jsonl").read_text().splitlines()) == []


def test_a_resumed_run_needs_the_certificates_that_it_began_with(network, inputs, tmp_path):
    journal = str(tmp_path / "run.json")
    certified(network, inputs, tmp_path / "one.jsonl", journal=journal)
    with pytest.raises(InputError, match=r"two.jsonl: does not hold the .* bytes that the resumed run wrote"):
        certified(network, inputs, tmp_path / "two.jsonl", journal=journal)


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz"])
def test_another_certificates_file_is_neither_cut_off_nor_added_to(network, inputs, tmp_path, monkeypatch, name):
    """It is longer than what the run wrote, and of another network."""
    monkeypatch.setattr(run, "LARGEST_CHUNK", 4)
    journal, other = tmp_path / "run.json", tmp_path / ("other" + name)
    certified(network, inputs, tmp_path / name, journal=str(journal))
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))
    certified(sequential(([[5, 4, 3], [1, -2, 1]], [1, 1])), inputs, other)
    other.write_bytes(other.read_bytes() * 20)
    before = other.read_bytes()
    with pytest.raises(InputError, match=r"other.*: does not hold the .* bytes that the resumed run wrote"):
        certified(network, inputs, other, journal=str(journal))
    assert other.read_bytes() == before
    certified(network, inputs, tmp_path / name, journal=str(journal))  # which goes on with its own


def test_rules_that_a_checker_does_not_derive_are_counted_apart(network, inputs, tmp_path):
    asked = {"rules": ["zennit.zplus"], "claims": ["conservation"]}
    found, report = certified(network, inputs, tmp_path / "c.jsonl", **asked)
    assert {line["claim"] for line in found if "claim" in line} == {"place"}
    assert report.certificates.without == 0
    missing = sum(row.tally.places["no_root"] for row in report.rows)
    decided = sum(claim["verdict"] != "undecided" for claim in report.decided)
    assert report.certificates.foreign == missing + decided > 0
    assert not any(claim["certificate"] for claim in report.claims)
