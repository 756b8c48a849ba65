"""A certificate file that is written as verdicts come, and goes on after a kill where it is known to be whole."""

from __future__ import annotations

import gzip
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dtdsym.certificate.lines import written
from dtdsym.certificate.network import network_line
from dtdsym.errors import InputError
from dtdsym.network.network import Network

BLOCK = 1 << 20


@dataclass(frozen=True)
class Prefix:
    """What a file is known to begin with: so many bytes, of this SHA-256."""

    size: int
    sha256: str


class CertificateFile:
    """JSON lines at `path`; with a name in .gz compressed, one member an addition, which readers take as one file.

    whole: what of it is sure; what stands behind that is cut off. None: the file begins anew. Raises InputError, and
    leaves the file as it is, where it does not begin so."""

    def __init__(self, path: str | Path, network: Network, whole: Prefix | None = None) -> None:
        self.path, self._hash = Path(path), hashlib.sha256()
        if whole is None:
            self.path.write_bytes(b"")
            self.add(written(network_line(network)))
        elif not self.path.exists() or not self._begins_with(whole):
            raise InputError(
                f"{self.path}: does not hold the {whole.size:,} bytes that the resumed run wrote; give --certificates "
                "the file that the run began with, or --resume a new one"
            )
        else:
            os.truncate(self.path, whole.size)

    def _begins_with(self, whole: Prefix) -> bool:
        """Reads the prefix, so that additions go on from its hash."""
        left = whole.size
        with self.path.open("rb") as file:
            while left and (block := file.read(min(left, BLOCK))):
                self._hash.update(block)
                left -= len(block)
        return left == 0 and self._hash.hexdigest() == whole.sha256

    def add(self, lines: str) -> Prefix:
        """Write lines, on the disk when this returns; what the file consists of then."""
        content = lines.encode()
        if self.path.suffix == ".gz":
            content = gzip.compress(content, mtime=0)
        with self.path.open("ab", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
            size = file.tell()
        self._hash.update(content)
        return Prefix(size, self._hash.hexdigest())
