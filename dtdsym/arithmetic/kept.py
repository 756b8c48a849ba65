"""What an arithmetic makes of weights is made once, and kept as long as the weights live."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import ref

import numpy as np

T = TypeVar("T")


class Kept(Generic[T]):
    """What was made of read-only arrays, kept for as long as all of them live.

    Keyed by the arrays' ids and whatever else it depends on; an entry holds only weak references to the arrays, which
    drop it when one of them dies. A read-only array is taken to be constant; of a writeable one nothing is kept.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[Hashable, ...], tuple[tuple[ref[np.ndarray], ...], T]] = {}

    def get(self, arrays: tuple[np.ndarray, ...], other: Hashable, make: Callable[[], T]) -> T:
        """make(), or what it gave for these very arrays and this `other` before. It must not hold the arrays."""
        if any(array.flags.writeable for array in arrays):
            return make()
        key = (*(id(array) for array in arrays), other)
        entry = self._entries.get(key)
        if entry is None or any(r() is not a for r, a in zip(entry[0], arrays, strict=True)):
            entry = (tuple(ref(array, lambda _: self._entries.pop(key, None)) for array in arrays), make())
            self._entries[key] = entry
        return entry[1]

    def __len__(self) -> int:
        return len(self._entries)
