"""Workers on many machines: a cluster of Dask. Nothing here imports Dask before it is asked for."""

from __future__ import annotations

import asyncio
import operator
import pickle
import platform
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager
from threading import Lock
from typing import Any

from dtdsym._version import __version__
from dtdsym.errors import InputError
from dtdsym.survey.processes import here, in_flight, one_thread

SECONDS = 10
"""How long a scheduler may take to answer."""


class Lost(BrokenExecutor):
    """The cluster has given a part of the work up."""


def is_one(executor: Executor) -> bool:
    """Whether it is a Dask client's."""
    module = sys.modules.get("distributed.cfexecutor")
    return module is not None and isinstance(executor, module.ClientExecutor)


class Cluster:
    """The way to Dask's workers: the work is a task's result, which each worker fetches once, from the scheduler or
    another worker, and which is made again where all that had it have ended.

    The scheduler needs no dtdsym: it meets bytes and functions of Python's own only."""

    def __init__(self, work: Callable[[int], Any], executor: Any) -> None:
        self._executor, self._client = executor, executor._client
        content = pickle.dumps(Guest(__version__, here(), _dumps(work)), protocol=5)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)  # once, and that is the point
            self._work = self._client.submit(pickle.loads, content, **{**executor._kwargs, "pure": False})

    def room(self) -> int:
        """Twice the threads of the workers that are there now."""
        return in_flight(sum(self._client.nthreads().values()))

    def send(self, part: int) -> Future[Any]:
        """A part on its way."""
        sent: Future[Any] = self._executor.submit(operator.call, self._work, part, pure=False)
        return sent

    def result(self, future: Future[Any], part: int) -> Any:
        """What it came to. Raises Lost."""
        try:
            return future.result()
        except CancelledError as err:
            raise Lost(f"part {part} was cancelled: the scheduler of Dask was ended or restarted") from err
        except sys.modules["distributed"].KilledWorker as err:
            raise Lost(
                f"part {part} was given to {err.allowed_failures + 1} workers of Dask, and each was ended (for want of "
                "memory?); give workers more memory"
            ) from err

    def close(self, waiting: Iterable[Future[Any]]) -> None:
        """Cancels what waits; the cluster may forget the work."""
        for future in waiting:
            future.cancel()
        self._work.release()


def _dumps(work: Callable[[int], Any]) -> bytes:
    import cloudpickle

    content: bytes = cloudpickle.dumps(work, protocol=5)
    return content


class Guest:
    """Work at a worker that knows which dtdsym sent it, and from which process. It travels on as it came."""

    def __init__(self, version: str, home: tuple[str, int], content: bytes) -> None:
        self.version, self.home, self.content = version, home, content
        self._work: Callable[[int], Any] | None = None
        self._lock = Lock()

    def __call__(self, part: int) -> Any:
        """work(part). Raises InputError where another version of dtdsym is at work here."""
        if self.version != __version__:
            raise InputError(_differs(platform.node(), __version__, self.version))
        with self._lock:
            if self._work is None:
                self._work = pickle.loads(self.content)
        with one_thread(self.home):
            return self._work(part)

    def __reduce__(self) -> tuple[type[Guest], tuple[str, tuple[str, int], bytes]]:
        return Guest, (self.version, self.home, self.content)


@contextmanager
def cluster_at(address: str) -> Iterator[Executor]:
    """The cluster whose scheduler listens at an address (HOST:PORT, tcp://HOST:PORT, tls://...).

    Raises InputError where Dask is not installed, nothing of it listens there, it has no worker, or a worker has
    another version of dtdsym."""
    try:
        from distributed import Client
    except ImportError as err:
        raise InputError("--dask needs Dask: pip install 'dtdsym[dask]'") from err
    if not address.rpartition(":")[2].isdigit():
        raise InputError(f"--dask {address!r}: give the scheduler's address, such as tcp://10.0.0.1:8786")
    try:
        kind = asyncio.run(asyncio.wait_for(_kind(address), SECONDS))  # Client would wait for ever where nobody speaks
        client = Client(address, timeout=SECONDS, set_as_default=False) if kind == "Scheduler" else None
    except (OSError, ValueError, TypeError, TimeoutError) as err:
        raise _nobody(address, str(err) or "the time is over") from err
    if client is None:
        raise _nobody(address, f"it is the address of a {kind}")
    try:
        _check_workers(client, address)
        yield client.get_executor()
    finally:
        client.close()


async def _kind(address: str) -> str:
    """What answers there: Scheduler, Worker or Nanny."""
    from distributed import Security, rpc

    async with rpc(address, connection_args=Security().get_connection_args("client"), timeout=SECONDS) as there:
        return str((await there.identity())["type"])


def _nobody(address: str, reason: str) -> InputError:
    met = f"--dask {address}: no scheduler of Dask answers there within {SECONDS} seconds ({reason})"
    return InputError(f"{met}; start one with `dask scheduler`, and give the address that it names")


def _check_workers(client: Any, address: str) -> None:
    def version() -> str:  # nested, so that it travels as code: a worker without dtdsym can run it too
        from dtdsym._version import __version__

        return __version__

    found = client.run(version, on_error="return")
    if not found:
        raise InputError(f"--dask {address}: the cluster has no worker; start some with `dask worker {address}`")
    for worker, there in found.items():
        if isinstance(there, Exception):
            raise InputError(f"worker {worker} cannot load dtdsym ({there}); install dtdsym {__version__} there")
        if there != __version__:
            raise InputError(_differs(worker, there, __version__))


def _differs(worker: str, there: str, here: str) -> str:
    return f"worker {worker} has dtdsym {there}, and this run is of {here}; install the same version everywhere"
