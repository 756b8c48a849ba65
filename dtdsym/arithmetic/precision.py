"""How many bits Arb's balls are computed with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from flint import ctx

BITS = 160
"""Working precision, where nothing else is said."""
_PRECISION = RLock()


@contextmanager
def precision(bits: int = BITS) -> Iterator[None]:
    """Balls are computed with so many bits, in one thread at a time: the precision is the whole process's."""
    with _PRECISION:
        before, ctx.prec = ctx.prec, bits
        try:
            yield
        finally:
            ctx.prec = before
