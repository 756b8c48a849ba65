"""`dtdsym.audit`: the survey, and its findings as a report that displays itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from dtdsym.arithmetic.written import counted
from dtdsym.displayed import Displayed
from dtdsym.network.network import Network
from dtdsym.report.html import page
from dtdsym.report.terminal import render
from dtdsym.survey.findings import Findings
from dtdsym.survey.run import conduct
from dtdsym.survey.settings import Settings


class Report(Displayed, Findings):
    """Findings that show themselves: print it with rich, evaluate it in Jupyter, or take `.to_json()`."""

    def __rich__(self) -> RenderableType:
        return render(self)

    def __repr__(self) -> str:
        """Short: its tallies are long."""
        roots = sum(row.tally.total for row in self.rows)
        told = f"{counted(self.inputs.audited, 'input')}, {counted(roots, 'root')}"
        return f"Report({told} of {self.network.source or 'a network'})"

    def to_html(self, command: str = "") -> str:
        """The report as one page that needs nothing else, with charts and pictures. command: that made the audit."""
        return page(self, command)

    def write_html(self, path: str | Path, command: str = "") -> None:
        """Write the page to a file."""
        Path(path).write_text(self.to_html(command), encoding="utf-8")


def audit(
    network: Network,
    inputs: Any,
    *,
    ledger: int = 1,
    executor: Executor | None = None,
    journal: str | None = None,
    certificates: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    **asked: Any,
) -> Report:
    """Place every root of every rule at every layer, exactly, for all inputs.

    inputs: rows (n, in) of numbers, array or tensor, or what survey.inputs makes of files and seeds. ledger: how many
    inputs have their ledger kept. executor: any concurrent.futures.Executor: processes, threads, or a Dask client's
    `client.get_executor()`; the network travels once to each worker process, which computes with one of torch's
    threads. journal: file that finished chunks are written to; a run that finds it complete or in part goes on from
    there. certificates: file for a line of evidence about every decided root. progress: told how many inputs of all
    are done.

    asked, with what holds otherwise: rules (lrp0, gamma:1, w2, zplus): names with parameters. layers ((1,)): numbers
    from 1, or "all". logit ("argmax"): a number, or each input's largest. root ("relevance"): or "hinge", the rules'
    own; or "nearest[:NORM[:nonnegative]]", the nearest admissible ones, and how far the rules' explanations are from
    theirs. domain ("nonnegative"): or "real", "box:LO:HI". min_logit (0): inputs whose logit is not above it are left
    out. budget: for each decision. engine ("auto"): or "exact", or "numeric", "numeric:float32": floats alone, with
    margins. sample_roots ("all", and 1,000 of large networks): how many roots of each layer are drawn, by seed (0).
    device ("cpu"): of tensors. claims: those that are decided on every input, besides
    c5 and c6, which the roots decide; target: c3's relevance (in,).
    Raises InputError, RuleError, and BrokenExecutor where workers were ended: what was finished stays in the journal.
    """
    settings = Settings.of(network, **asked)
    found = conduct(
        network, inputs, settings,
        ledger=ledger, executor=executor, journal=journal, certificates=certificates, progress=progress,
    )  # fmt: skip
    return Report(**vars(found))
