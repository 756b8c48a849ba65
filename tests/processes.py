"""Worker processes that are ended from outside, as by a lack of memory."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager


@contextmanager
def ended_workers(jobs: int, dask: None) -> Iterator[Executor]:
    """Stands for `dtdsym.command.workers`: each process ends before its work does."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=os._exit, initargs=(1,)) as pool:
        yield pool
