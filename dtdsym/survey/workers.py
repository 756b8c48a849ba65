"""Work in parts on any concurrent.futures Executor: each part counts once, and the work itself, which holds the
network, travels once a worker instead of once a part."""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from dtdsym.errors import InputError
from dtdsym.survey import cluster
from dtdsym.survey.processes import Pool, here, in_flight, one_thread

T = TypeVar("T")
AGAIN = object()


def on_workers(work: Callable[[int], T], executor: Executor, parts: Iterable[int]) -> Iterator[tuple[int, T]]:
    """(part, work(part)) for every part, each once, as they are done. What is not needed any more is cancelled.

    Raises BrokenExecutor where workers end, after all that was finished; and what `work` raises."""
    way: Way = cluster.Cluster(work, executor) if cluster.is_one(executor) else Files(work, executor)
    waiting: dict[Future[T], int] = {}
    todo = iter(parts)
    try:
        while True:
            for part in islice(todo, max(0, way.room() - len(waiting))):
                waiting[way.send(part)] = part
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                part = waiting.pop(future)
                result = way.result(future, part)
                if result is AGAIN:
                    todo = chain([part], todo)
                else:
                    yield part, result
    except BrokenExecutor:
        yield from _finished(waiting)
        raise
    finally:
        way.close(waiting)


def _finished(waiting: Mapping[Future[T], int]) -> Iterator[tuple[int, T]]:
    for future, part in waiting.items():
        if future.done() and not future.cancelled() and future.exception() is None:
            yield part, future.result()


class Way(Protocol):
    """How parts of some work get to the workers of an executor."""

    def room(self) -> int:
        """How many parts may be under way."""

    def send(self, part: int) -> Future[Any]:
        """A part on its way."""

    def result(self, future: Future[Any], part: int) -> Any:
        """What it came to; AGAIN where the part is to be sent again."""

    def close(self, waiting: Iterable[Future[Any]]) -> None:
        """Nothing more will be sent, and what still waits is cancelled."""


class Absent(Exception):
    """A worker cannot read what was written for it: its machine is another one, or the run is over."""


class Files:
    """The way that any executor allows. Threads share the work. For processes it is written once to a file, which each
    reads once; where they cannot, it goes along with every part."""

    def __init__(self, work: Callable[[int], Any], executor: Executor) -> None:
        self._executor, self._work = executor, work
        self._parcel = Parcel(work)
        self._sent: Callable[[int], Any] = self._parcel

    def room(self) -> int:
        """Twice the workers, if the executor says how many these are."""
        return in_flight(getattr(self._executor, "_max_workers", 0))

    def send(self, part: int) -> Future[Any]:
        """A part on its way. Raises BrokenExecutor."""
        return self._executor.submit(self._sent, part)

    def result(self, future: Future[Any], part: int) -> Any:
        """What it came to. Where the worker could not read the file AGAIN, and from now on the whole work is sent."""
        try:
            return future.result()
        except Absent:
            self._sent = self._work
            return AGAIN

    def close(self, waiting: Iterable[Future[Any]]) -> None:
        """Cancels what waits, unless its processes are ended anyway, and removes the file."""
        if not isinstance(self._executor, Pool):
            for future in waiting:
                future.cancel()
        self._parcel.close()


class Parcel:
    """Work that can be called as it is in this process. Only where it is pickled, so on its way to another process, is
    it written to a file, once; what is pickled then is a slip that says where."""

    def __init__(self, work: Callable[[int], Any]) -> None:
        self._work = work
        self._slip: Slip | None = None
        self._lock = threading.Lock()

    def __call__(self, part: int) -> Any:
        return self._work(part)

    def __reduce__(self) -> tuple[type[Slip], tuple[str, str, tuple[str, int]]]:
        with self._lock:
            if self._slip is None:
                self._slip = self._written()
        return Slip, (self._slip.path, self._slip.sha256, self._slip.home)

    def _written(self) -> Slip:
        content = pickle.dumps(self._work, protocol=5)
        try:
            with tempfile.NamedTemporaryFile(prefix="dtdsym-", suffix=".pickle", delete=False) as file:
                file.write(content)
        except OSError as err:
            where = f"{tempfile.gettempdir()}: {len(content):,} bytes for the workers cannot be written"
            raise InputError(f"{where} ({err.strerror}); set TMPDIR to a folder with room") from err
        return Slip(file.name, hashlib.sha256(content).hexdigest(), here())

    def close(self) -> None:
        """Remove the file, if there is one."""
        if self._slip is not None:
            Path(self._slip.path).unlink(missing_ok=True)


class Slip:
    """Says where work lies in a file, what hash it has, and which process it comes from."""

    def __init__(self, path: str, sha256: str, home: tuple[str, int]) -> None:
        self.path, self.sha256, self.home = path, sha256, home

    def __call__(self, part: int) -> Any:
        """work(part). Raises Absent."""
        work = _fetched(self.path, self.sha256)
        with one_thread(self.home):
            return work(part)


_FETCHED: dict[str, Callable[[int], Any]] = {}
"""The newest work that this process has fetched, by its hash."""
_FETCHING = threading.Lock()


def _fetched(path: str, sha256: str) -> Callable[[int], Any]:
    with _FETCHING:
        if sha256 not in _FETCHED:
            try:
                content = Path(path).read_bytes()
            except OSError as err:
                raise Absent(path) from err
            if hashlib.sha256(content).hexdigest() != sha256:  # nothing is unpickled that somebody else put there
                raise Absent(path)
            _FETCHED.clear()
            _FETCHED[sha256] = pickle.loads(content)
        return _FETCHED[sha256]
