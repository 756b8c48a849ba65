"""Certificates of the Table 1 workload: written beside the audit alone, checked by the standard library.

Run with --benchmark-enable; `extra` holds claims a second."""

from __future__ import annotations

from pathlib import Path

import pytest

import dtdsym
from dtdsym.checker.__main__ import main
from dtdsym.survey.inputs import SampledInputs
from dtdsym.survey.settings import Domain

INPUTS = 1000


@pytest.fixture(scope="module")
def asked(repository):
    network = dtdsym.load(str(Path(repository) / "examples" / "paper_mlp.pt"))
    return network, SampledInputs(network, Domain.parse("nonnegative"), 0, 0.1, INPUTS, 0)


@pytest.fixture(scope="module")
def written(asked, tmp_path_factory):
    path = tmp_path_factory.mktemp("certificates") / "c.jsonl"
    dtdsym.audit(*asked, logit=0, min_logit=0.1, certificates=str(path))
    return path


@pytest.mark.benchmark(group="write 40,000 certificates")
def test_the_audit_alone(benchmark, asked):
    report = benchmark(dtdsym.audit, *asked, logit=0, min_logit=0.1)
    assert sum(row.tally.total for row in report.rows) == 4 * 10 * INPUTS


@pytest.mark.benchmark(group="write 40,000 certificates")
def test_the_audit_with_certificates(benchmark, asked, tmp_path):
    path = str(tmp_path / "c.jsonl")
    report = benchmark(lambda: dtdsym.audit(*asked, logit=0, min_logit=0.1, certificates=path))
    assert report.certificates.written == 4 * 10 * INPUTS


@pytest.mark.benchmark(group="check 40,000 certificates")
@pytest.mark.parametrize("jobs", [1, 2])
def test_the_checker(benchmark, written, jobs):
    assert benchmark.pedantic(main, args=([str(written), "--quiet", "--jobs", str(jobs)],), rounds=1) == 0
    if benchmark.enabled:
        benchmark.extra_info["claims a second"] = 4 * 10 * INPUTS / benchmark.stats.stats.median
