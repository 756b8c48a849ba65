"""What an arithmetic makes of weights is made once, and kept as long as the weights live."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar
from weakref import ref

import numpy as np

T = TypeVar("T")
LARGE = 2**28
"""Bytes of arrays from which on only the last few things made of them are kept, whoever keeps them."""
LARGE_ONES = 2
_LARGE: list[tuple[Kept[Any], tuple[Hashable, ...]]] = []


class Kept(Generic[T]):
    """What was made of read-only arrays, kept for as long as all of them live.

    Keyed by the arrays' ids and whatever else it depends on; an entry holds only weak references to the arrays, which
    drop it when one of them dies. A read-only array is taken to be constant; of a writeable one nothing is kept. What
    is made of very large arrays is made again when too much else was made of such since.
    """

    def __init__(self, *, light: bool = False) -> None:
        """light: what is made is small, however large the arrays are."""
        self._light = light
        self._entries: dict[tuple[Hashable, ...], tuple[tuple[ref[np.ndarray], ...], T]] = {}

    def get(self, arrays: tuple[np.ndarray, ...], other: Hashable, make: Callable[[], T]) -> T:
        """make(), or what it gave for these very arrays and this `other` before. It must not hold the arrays."""
        if any(array.flags.writeable for array in arrays):
            return make()
        key = (*(id(array) for array in arrays), other)
        entry = self._entries.get(key)
        if entry is None or any(r() is not a for r, a in zip(entry[0], arrays, strict=True)):
            large = not self._light and sum(array.nbytes for array in arrays) >= LARGE
            if large:
                self._make_room()
            entry = (tuple(ref(array, lambda _: self._entries.pop(key, None)) for array in arrays), make())
            self._entries[key] = entry
            if large:
                _LARGE.append((self, key))
        return entry[1]

    @staticmethod
    def _make_room() -> None:
        """What is made of hundreds of megabytes can be gigabytes: the oldest goes before the next is made."""
        while len(_LARGE) >= LARGE_ONES:
            owner, key = _LARGE.pop(0)
            owner._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)
