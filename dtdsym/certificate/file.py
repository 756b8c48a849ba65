"""A certificate file that is written as verdicts come, and goes on after a kill where it is known to be whole."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from dtdsym.certificate.lines import written
from dtdsym.certificate.network import network_line
from dtdsym.errors import InputError
from dtdsym.network.network import Network


class CertificateFile:
    """JSON lines at `path`; with a name in .gz compressed, one member an addition, which readers take as one file.

    whole: how many bytes of it are sure; what stands behind them is cut off. None: the file begins anew."""

    def __init__(self, path: str | Path, network: Network, whole: int | None = None) -> None:
        self.path = Path(path)
        if whole is None:
            self.path.write_bytes(b"")
            self.add(written(network_line(network)))
        elif not self.path.exists() or self.path.stat().st_size < whole:
            raise InputError(
                f"{self.path}: does not hold the {whole:,} bytes that the resumed run wrote; give --certificates the "
                "file that the run began with, or --resume a new one"
            )
        else:
            os.truncate(self.path, whole)

    def add(self, lines: str) -> int:
        """Write lines, on the disk when this returns; the file's length in bytes."""
        content = lines.encode()
        if self.path.suffix == ".gz":
            content = gzip.compress(content, mtime=0)
        with self.path.open("ab", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
            return file.tell()
