"""What sanity checks change: the explained logit, or layers' weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dtdsym.arithmetic.whole import whole_number
from dtdsym.errors import InputError
from dtdsym.network.randomise import randomised, tied_layers, unchanged
from dtdsym.survey.sanity import Asked, Change, chosen_logits


def any_other(asked: Asked, other: Any, seed: int) -> np.ndarray:
    """A logit other than the explained one for each input (inputs,): drawn ("random"), or given.

    Raises InputError where there is none, or the given one is the explained one."""
    outputs = asked.network.sizes[-1]
    if outputs < 2:
        raise InputError("the network has one output, so there is no other to explain")
    if isinstance(other, str) and other == "random":
        return _drawn(asked, [list(range(outputs))], seed)
    found = chosen_logits(asked.network, other, len(asked.points), "other")
    same = np.flatnonzero(found == asked.logits)
    if len(same):
        raise InputError(f"input {same[0]}: other {found[same[0]]} is the explained logit itself; give another")
    return found


def same_category(asked: Asked, categories: Sequence[Sequence[int]], seed: int) -> np.ndarray:
    """Another logit of the explained one's category for each input (inputs,), drawn. Raises InputError."""
    try:
        listed = [list(category) for category in categories]
    except TypeError as err:
        raise InputError(f"categories {categories!r:.70}: give lists of logits, as in [[0, 1], [2, 3, 4]]") from err
    seen: set[int] = set()
    for category in listed:
        members = set(chosen_logits(asked.network, category, len(category), "category").tolist())
        if len(category) < 2 or len(members) < len(category) or seen & members:
            raise InputError(f"category {category}: give two or more different logits, each in one category only")
        seen |= members
    lone = np.flatnonzero(~np.isin(asked.logits, list(seen)))
    if len(lone):
        met = f"input {lone[0]} is explained for logit {asked.logits[lone[0]]}"
        raise InputError(f"{met}, which is in no category; add it to one, or leave such inputs out")
    return _drawn(asked, listed, seed)


def _drawn(asked: Asked, categories: Sequence[Sequence[int]], seed: int) -> np.ndarray:
    """What is drawn for an input depends on its number and the seed only."""
    of = {logit: category for category in categories for logit in category}
    drawn = []
    for number, logit in enumerate(asked.logits.tolist()):
        rest = [other for other in of[logit] if other != logit]
        drawn.append(rest[np.random.default_rng([seed, number]).integers(len(rest))])
    return np.array(drawn, dtype=np.int64)


def cascading(asked: Asked, seed: int, law: str) -> Iterator[Change]:
    """Layers drawn anew from the output down, each together with all above it."""
    layers = tied_layers(asked.network)
    for count, tied in enumerate(layers, start=1):
        network = randomised(asked.network, layers[:count], seed=seed, law=law)
        step = str(tied) if count == 1 else f"down to {tied}"
        yield Change(step, network, asked.logits, unchanged(asked.network, network), len(layers))


def independent(asked: Asked, seed: int, law: str) -> Iterator[Change]:
    """Each layer drawn anew by itself, from the output down."""
    layers = tied_layers(asked.network)
    for tied in layers:
        network = randomised(asked.network, [tied], seed=seed, law=law)
        yield Change(str(tied), network, asked.logits, unchanged(asked.network, network), len(layers))


def checked_seed(seed: Any) -> int:
    """The seed. Raises InputError."""
    found = whole_number(seed)
    if found is None or found < 0:
        raise InputError(f"seed {seed!r}: give a whole number from 0")
    return found
