"""The audit: chunks of inputs, one after another or on many workers, merged as they come; nothing is collected."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import astuple, dataclass, field, replace
from itertools import product
from typing import Any

from dtdsym._version import __version__
from dtdsym.arithmetic.rational import text
from dtdsym.certificate.file import CertificateFile, Prefix
from dtdsym.certificate.network import network_hash
from dtdsym.errors import InputError, RuleError
from dtdsym.network.network import Network
from dtdsym.relevance.composite import Composite, composite, parse
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.relevance.rule import Rule
from dtdsym.survey.apart import Apart
from dtdsym.survey.chunk import Share, audit_chunk
from dtdsym.survey.findings import ApartRow, CertificateCounts, Findings, InputCounts, RootRow
from dtdsym.survey.inputs import GivenInputs, SampledInputs, as_inputs
from dtdsym.survey.journal import Journal
from dtdsym.survey.ledgers import first_ledgers
from dtdsym.survey.sample import is_whole, parts
from dtdsym.survey.settings import Settings
from dtdsym.survey.shared_norms import prove_on, remember
from dtdsym.survey.sizes import is_large
from dtdsym.survey.tally import Tally
from dtdsym.survey.workers import on_workers

LARGEST_CHUNK = 1024
CHUNK_NUMBERS = 1 << 20  # a chunk's roots, (inputs, neurons, coordinates), hold about this many numbers


@dataclass(frozen=True, eq=False)
class Job:
    """A whole audit, as it is sent to each worker. norms: of the network's maps, where they were proven before."""

    network: Network
    settings: Settings
    inputs: GivenInputs | SampledInputs
    size: int
    certify: bool = False
    norms: Mapping[int, float] = field(default_factory=dict)

    @property
    def parts(self) -> int:
        """In how many chunks the roots drawn at the same inputs are audited."""
        return parts(self.network, self.settings, self.inputs.count)

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.inputs.count // self.size) * self.parts

    def span(self, chunk: int) -> tuple[int, int, int]:
        """(first input, the one after the last, part) of a chunk."""
        group, part = divmod(chunk, self.parts)
        return group * self.size, min((group + 1) * self.size, self.inputs.count), part

    def run(self, chunk: int) -> dict[str, Any]:
        """Audit one chunk; JSON values."""
        remember(self.network, self.norms)
        first, after, part = self.span(chunk)
        batch = self.inputs.batch(first, after)
        share = Share(batch.points, first, self.inputs.count, part, batch.rejected)
        done = audit_chunk(self.network, self.settings, share, certify=self.certify)
        found: dict[str, Any] = {"inputs": done.counts, "rows": [tally.to_json() for tally in done.tallies]}
        found["signs"] = done.signs
        found["claims"] = sorted(done.claims, key=lambda claim: claim["input"])
        found["apart"] = [tally.to_json() for tally in done.apart]
        if done.certificates is not None:
            made = done.certificates
            found |= {"lines": made.text(), "written": made.count, "without": made.without}
            found["foreign"] = made.foreign
        return found


def conduct(
    network: Network,
    inputs: Any,
    settings: Settings,
    *,
    ledger: int = 1,
    executor: Executor | None = None,
    journal: str | None = None,
    certificates: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Findings:
    """Place every root of every rule at every layer, exactly, for all inputs; see `dtdsym.audit`. Raises InputError."""
    started = time.perf_counter()
    given = as_inputs(inputs, network)
    if certificates is not None and settings.numeric:
        raise InputError("certificates: the numeric engine proves nothing; ask it of engine auto")
    if certificates is not None and (settings.sample_roots is not None or is_large(network)):
        raise InputError(
            "certificates: they are of all roots of a network that the rationals can follow; leave them out, or sample "
            "no roots of a smaller one"
        )
    job = Job(network, settings, given, chunk_size(network, settings), certificates is not None)
    rows = [
        RootRow(rule, layer, Tally(), not is_whole(network, settings, layer, given.count))
        for rule, layer in product(settings.audited, settings.layers)
    ]
    found = Findings(network, settings, given.source, getattr(given, "seed", None), rows, InputCounts(), given=given)
    if isinstance(settings.root, Nearest):
        found.apart = [ApartRow(rule, Apart()) for rule in settings.rules]
    if certificates is not None:
        found.certificates = CertificateCounts(certificates, network_hash(network))
    with nullcontext() if journal is None else Journal(journal, identity(job)) as kept:
        _gather(found, job, _finished(job, executor, kept, certificates), progress)
    found.decided.sort(key=lambda claim: claim["input"])
    found.ledgers = [] if is_large(network) or settings.numeric else first_ledgers(network, settings, given, ledger)
    found.seconds = time.perf_counter() - started
    return found


def _gather(
    found: Findings,
    job: Job,
    finished: Iterable[tuple[int, Mapping[str, Any]]],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Merge chunks as they come. progress: told how many inputs of all are done."""
    done = 0
    for chunk, data in finished:
        if found.certificates is not None:
            found.certificates.merge(data)
        first, after, part = job.span(chunk)
        if part == 0:
            found.inputs.merge(data["inputs"])
        for name, times in data["signs"].items():
            found.signs[name] = found.signs.get(name, 0) + times
        for row, tally in zip(found.rows, data["rows"], strict=True):
            row.tally.merge(Tally.from_json(tally))
        found.decided.extend(data["claims"])
        for apart, tally in zip(found.apart, data["apart"], strict=True):
            apart.tally.merge(Apart.from_json(tally))
        if progress is not None:
            done += after - first
            progress(done // job.parts, job.inputs.count)


def chunk_size(network: Network, settings: Settings) -> int:
    """Inputs a chunk: does not depend on the machine, so that a run can be resumed anywhere."""
    if settings.sample_roots is not None:
        return 1
    largest = max(network.layer(layer).size * network.layer(layer).width for layer in settings.layers)
    return max(1, min(LARGEST_CHUNK, CHUNK_NUMBERS // largest))


def _finished(
    job: Job, executor: Executor | None, journal: Journal | None, certificates: str | None
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """(chunk, result), each once: first those that the journal holds, then the rest as they are done.

    Certificates are on the disk before the journal says so: what a killed run wrote beyond that is cut off.
    A result's "whole": the certificates' (bytes, SHA-256) with it, by which the next run knows the file again."""
    known = {} if journal is None else journal.finished
    file = None
    if certificates is not None:
        kept = max((data["whole"] for data in known.values()), default=None)
        file = CertificateFile(certificates, job.network, None if kept is None else Prefix(*kept))
    yield from known.items()
    left = [chunk for chunk in range(job.chunks) if chunk not in known]
    if executor and left and is_large(job.network) and not job.settings.numeric:
        job = replace(job, norms=prove_on(executor, job.network, job.settings.device))
    for chunk, data in on_workers(job.run, executor, left) if executor else ((c, job.run(c)) for c in left):
        if file is not None:
            data["whole"] = astuple(file.add(data.pop("lines")))
        if journal is not None:
            journal.write(chunk, data)
        yield chunk, data


def identity(job: Job) -> dict[str, Any]:
    """What a journal must agree on to be this run's: nothing that could change a single count is left out.

    Raises InputError for rules that it cannot name."""
    settings = job.settings
    return {
        "dtdsym": __version__,
        "network": job.network.sha256,
        "batchnorm": "fold" if job.network.fold else "own",
        "inputs": job.inputs.fingerprint(),
        "rules": [_name(rule) for rule in settings.rules],
        "layers": list(settings.layers),
        "logit": settings.logit,
        "root": getattr(settings.root, "label", settings.root),
        "domain": settings.domain.name,
        "min_logit": settings.min_logit,
        "budget": [settings.budget.seconds, settings.budget.cells],
        "engine": settings.engine,
        "claims": list(settings.claims),
        "sample_roots": settings.sample_roots,
        "seed": settings.seed,
        "device": settings.device if settings.numeric else None,
        "target": None if settings.target is None else [text(number) for number in settings.target],
        "chunk_size": job.size,
        "certificates": job.certify,
    }


def _name(rule: Rule | Composite) -> str:
    """How the rule is written, where that says which one it is, tomorrow too."""
    try:
        if all(own.built_in for _, own in composite(rule).rules) and parse(rule.label) == rule:
            return rule.label
    except RuleError:  # the label of a composite that was not parsed may be anything
        pass
    raise InputError(
        f"rule {rule.label!r} is none of dtdsym's own: a journal cannot tell whether it still is the same rule; leave "
        "out the journal"
    )
