"""A file that one process at a time may write to: a lock of the operating system, which ends with the process however
it ends, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from weakref import WeakSet, finalize

from dtdsym.errors import InputError

if sys.platform != "win32":
    import fcntl


class Alone:
    """The right to write to a file, until `release`. Other programs can read the file, and write to it if they wish.

    A file that cannot be opened is not locked: who reads or writes it says why. Nor is any on a system, or in a folder,
    without such locks, Windows among them. Raises InputError where somebody else has the right."""

    def __init__(self, path: Path, remedy: str) -> None:
        self._close: Callable[[], object] = _nothing
        if sys.platform == "win32":
            return
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return
        self._close = finalize(self, os.close, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            self.release()
            raise InputError(f"{path}: another run is writing to it; {remedy}") from err
        except OSError:
            self.release()
        _HELD.add(self)

    def release(self) -> None:
        """Give the right back, once."""
        self._close()


_HELD: WeakSet[Alone] = WeakSet()


def _nothing() -> None:
    pass


def _release_all() -> None:
    for alone in list(_HELD):
        alone.release()


if sys.platform != "win32":  # a forked child shares its parent's lock, and would hold it after the parent's end
    os.register_at_fork(after_in_child=_release_all)
