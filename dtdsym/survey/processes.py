"""Worker processes on this machine, and how any worker process computes."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

FEW = 32
"""Parts of work that wait at few workers."""


def in_flight(workers: int) -> int:
    """How many parts to hand out: enough to keep all workers busy, few enough to stay small."""
    return max(FEW, 2 * workers)


def here() -> tuple[str, int]:
    """This process, among those of all machines."""
    return platform.node(), os.getpid()


@contextmanager
def one_thread(home: tuple[str, int]) -> Iterator[None]:
    """Computes with one of torch's threads, unless this is the process `home`, whose threads are its own business.

    On a busy machine torch's threads wait for each other, and small parts of work then take many times longer."""
    threads = torch.get_num_threads()
    if threads == 1 or here() == home:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def processes(jobs: int) -> Iterator[Executor]:
    """So many worker processes, started afresh: a fork would inherit torch's threads in an unknown state.

    None is left at the end. After an error or Ctrl-C they are ended at once, whatever they are at."""
    context = multiprocessing.get_context("spawn")
    with Pool(jobs, mp_context=context, initializer=_begin) as pool:
        try:
            yield pool
        except BaseException:
            for process in list(pool._processes.values()):
                process.terminate()
            raise


class Pool(ProcessPoolExecutor):
    """Worker processes of our own. They are ended, and what waits for them is not cancelled: Python 3.11's manager of a
    pool whose processes end stumbles over what was cancelled."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Holds Ctrl-C back meanwhile: a process that is started by it inherits that, and leaves Ctrl-C to this one."""
        if not hasattr(signal, "pthread_sigmask"):
            return super().submit(fn, *args, **kwargs)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
