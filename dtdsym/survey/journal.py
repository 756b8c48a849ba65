"""The journal of a run: finished chunks, written as they come, so that a killed run loses nothing but the last one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtdsym.errors import InputError
from dtdsym.survey.alone import Alone

FORMAT = "dtdsym-journal/2"


class Journal:
    """JSON lines: the first names the run, each further one holds a finished chunk.

    A line counts only with its line feed: a torn last one is cut off and its chunk done again. Until it is closed, no
    other journal can be opened on the file: two runs would do the same work twice. Raises InputError if the file is the
    journal of another run, or no journal, or if another run is writing to it.
    """

    def __init__(self, path: str | Path, identity: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.finished: dict[int, dict[str, Any]] = {}
        self._alone = Alone(self.path, "wait until that one ends, or give --resume a file of its own")
        try:
            self._begin({"format": FORMAT, **json.loads(json.dumps(identity))})
        except BaseException:
            self._alone.release()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._alone.release()

    def _begin(self, header: Mapping[str, Any]) -> None:
        lines = self._whole_lines()
        if lines:
            self._check(lines[0], header)
            for number, line in enumerate(lines[1:], start=2):
                entry = self._read(line, number)
                self.finished[entry["chunk"]] = entry["data"]
        else:
            self._append(header)

    def write(self, chunk: int, data: Mapping[str, Any]) -> None:
        """Add a finished chunk; it is on the disk when this returns."""
        self._append({"chunk": chunk, "data": data})

    def _whole_lines(self) -> list[bytes]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as err:
            raise InputError(f"{self.path}: cannot be read ({err.strerror}); give --resume a file to write to") from err
        whole = content.rfind(b"\n") + 1
        if content and (not whole or not content.startswith(b'{"format": "dtdsym-journal/')):
            if b'{"format": "dtdsym-journal/'.startswith(content[:27]) or content.startswith(b'{"format": "dtdsym-'):
                whole = 0
            else:
                raise InputError(f"{self.path}: not a journal of dtdsym; give --resume a file of its own")
        if whole < len(content):
            os.truncate(self.path, whole)
        return content[:whole].splitlines()

    def _check(self, line: bytes, header: Mapping[str, Any]) -> None:
        found = self._read(line, 1, *header)
        differing = [key for key in header if found.get(key) != header[key]]
        if differing:
            key = differing[0]
            raise InputError(
                f"{self.path}: the journal of another run: {key} was {found.get(key)}, now {header[key]}; "
                "give --resume another file, or the settings of that run"
            )

    def _read(self, line: bytes, number: int, *keys: str) -> dict[str, Any]:
        try:
            entry = json.loads(line)
            if all(key in entry for key in keys or ("chunk", "data")):
                return dict(entry)
        except (ValueError, TypeError):
            pass
        raise InputError(f"{self.path}: line {number} is damaged; remove it and all below it, or start a new file")

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry).encode() + b"\n"
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(line)
                os.fsync(file.fileno())
        except OSError as err:
            raise InputError(
                f"{self.path}: cannot be written ({err.strerror}); give --resume a file to write to"
            ) from err
