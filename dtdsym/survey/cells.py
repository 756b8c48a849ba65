"""How many open cells a network has: counted in shares, by workers, without ever holding the cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dtdsym._version import __version__
from dtdsym.arithmetic.rational import text
from dtdsym.geometry.arrangement import domain_of
from dtdsym.geometry.box import Box, exact_box
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.chart import chart_of
from dtdsym.geometry.subdivision import subdivided
from dtdsym.network.network import Network
from dtdsym.survey.journal import Journal
from dtdsym.survey.workers import on_workers

SHARES = 64
"""Parts of the work, whoever does them: a killed count loses those that were under way."""


@dataclass(frozen=True)
class _Job:
    network: Network
    points: tuple[tuple[Fraction, ...], ...] | None
    box: tuple[tuple[Fraction, Fraction], ...] | None
    budget: Budget

    def count(self, share: int) -> int:
        """Cells of one share."""
        chart = chart_of(self.points, self.network.sizes[0])
        meter = self.budget.start()
        found = 0
        domain = domain_of(chart.dimension, self.box, meter.tick)
        for _ in subdivided(self.network, chart.forms(), domain, (share, SHARES)):
            meter.enter_cell()
            found += 1
        return found


def count_cells(
    network: Network,
    *,
    box: Box | None = None,
    points: Sequence[Any] | None = None,
    logit: int | None = None,
    budget: Budget | None = None,
    executor: Executor | None = None,
    journal: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """The number of open cells that `arrangement` would list for the same arguments; memory stays bounded.

    budget: for each of SHARES parts of the work. executor: does them in parallel. journal: file that finished parts are
    written to, and read from by a count that goes on. progress: told how many parts of all are done.
    Raises BudgetSpent, InputError, and BrokenExecutor where workers were ended."""
    function = network if logit is None else network.logit(logit)
    chart = chart_of(points, network.sizes[0])
    bounds = None if box is None else exact_box(box, chart.dimension)
    job = _Job(function, chart.points if points is not None else None, bounds, Budget.of(budget))
    with nullcontext() if journal is None else Journal(journal, _identity(job)) as kept:
        return _counted(job, executor, kept, progress)


def _counted(
    job: _Job, executor: Executor | None, kept: Journal | None, progress: Callable[[int, int], None] | None
) -> int:
    known = {} if kept is None else {share: int(data["cells"]) for share, data in kept.finished.items()}
    total, done = sum(known.values()), len(known)
    left = [share for share in range(SHARES) if share not in known]
    for share, cells in on_workers(job.count, executor, left) if executor else ((n, job.count(n)) for n in left):
        if kept is not None:
            kept.write(share, {"cells": cells})
        total, done = total + cells, done + 1
        if progress is not None:
            progress(done, SHARES)
    return total


def _identity(job: _Job) -> dict[str, Any]:
    """What a journal must agree on to be this count's."""
    return {
        "dtdsym": __version__,
        "count": "cells",
        "function_sha256": job.network.sha256,
        "points": None if job.points is None else [[text(entry) for entry in point] for point in job.points],
        "box": None if job.box is None else [[text(bound) for bound in side] for side in job.box],
        "shares": SHARES,
    }
