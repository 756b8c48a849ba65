"""Verdicts on a batch of roots by enclosures, and how they and the exact ones are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dtdsym.arithmetic.enclosure import ENCLOSURE, Enclosure
from dtdsym.arithmetic.rational import nearest_float
from dtdsym.claims.c6 import EQUAL
from dtdsym.geometry.batch import Home, place_batch
from dtdsym.geometry.placement import PLACES
from dtdsym.relevance.root import LayerRoots
from dtdsym.survey.facts import Bounds, Facts
from dtdsym.survey.settings import Settings
from dtdsym.survey.tally import PROVED_BY, Tally

OPEN = -1
FACTS = ("equal_output", "zero_relevance", "in_domain")
Ask = Callable[[int, int], Facts]
"""The exact facts about the root of one input (row) for one neuron (column)."""


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What enclosures decided about roots (inputs, neurons).

    place: index into PLACES, or OPEN. facts: name -> 1 yes, 0 no, OPEN. residual: float size of the Taylor residual,
    exactly 0.0 only where it is zero by theorem, NaN where open; ceiling: a proven upper bound of it.
    """

    place: np.ndarray
    facts: dict[str, np.ndarray]
    residual: np.ndarray
    ceiling: np.ndarray

    @staticmethod
    def all_open(inputs: int, neurons: int) -> Verdicts:
        """Nothing decided yet."""
        shape = inputs, neurons
        nothing = {name: np.full(shape, OPEN) for name in FACTS}
        return Verdicts(np.full(shape, OPEN), nothing, np.full(shape, np.nan), np.full(shape, np.inf))

    @staticmethod
    def join(parts: Sequence[Verdicts]) -> Verdicts:
        """Verdicts on blocks of neurons, side by side."""
        return Verdicts(
            np.concatenate([part.place for part in parts], axis=1),
            {name: np.concatenate([part.facts[name] for part in parts], axis=1) for name in FACTS},
            np.concatenate([part.residual for part in parts], axis=1),
            np.concatenate([part.ceiling for part in parts], axis=1),
        )


def decide_batch(home: Home, found: LayerRoots, settings: Settings) -> Verdicts:
    """Ask the enclosures everything, about all roots at once."""
    placed = place_batch(home, found.roots)
    output = home.values[len(home.network.nodes) - 1]
    missing = found.denominator.is_zero()
    exists = found.denominator.excludes_zero()
    still = found.displacement.is_zero().all(-1) & exists
    moved = found.displacement.excludes_zero().any(-1) & exists
    same, outside = placed.same_cell & moved, placed.outside & exists
    straight = placed.same_segment & moved
    place = torch.full(missing.shape, OPEN)
    for name, mask in (
        ("no_root", missing),
        ("degenerate", still),
        ("same_cell", same),
        ("same_region_segment", straight),
        ("outside", outside),
    ):
        place[mask] = PLACES.index(name)
    change = output - placed.output
    along = ENCLOSURE.total(placed.gradient * found.displacement)
    residual = abs(change - along)
    same = same | straight
    change = ENCLOSURE.where(same, along, change)  # equal by theorem, and the sharper of the two
    zero = still | same
    size = torch.where(zero, 0.0, torch.where(outside & residual.excludes_zero(), residual.mid, torch.nan))
    equal = torch.where(still, 1, _is_zero(change))
    facts = dict(
        zip(
            FACTS,
            (equal, _is_zero(placed.output), _within(found.roots, settings.bounds(home.network, home.start))),
            strict=True,
        )
    )
    if settings.engine == "exact":
        place, size = torch.full_like(place, OPEN), torch.full_like(size, torch.nan)
    ceiling = torch.where(zero, 0.0, residual.upper())
    return Verdicts(place.numpy(), {k: v.numpy() for k, v in facts.items()}, size.numpy(), ceiling.numpy())


def _is_zero(value: Enclosure) -> torch.Tensor:
    return torch.where(value.is_zero(), 1, torch.where(value.excludes_zero(), 0, OPEN))


def _within(roots: Enclosure, bounds: Bounds) -> torch.Tensor:
    """Whether all coordinates lie between the bounds: decided yes, decided no, or OPEN."""
    yes = torch.ones(roots.shape[:-1], dtype=torch.bool)
    no = torch.zeros_like(yes)
    for bound, below in ((bounds[0], True), (bounds[1], False)):
        if bound is not None:
            room = (roots - bound) if below else (bound - roots)
            yes &= (room.lower() >= 0).all(-1)
            no |= (room.upper() < 0).any(-1)
    return torch.where(yes, 1, torch.where(no, 0, OPEN))


def count(verdicts: Verdicts, tally: Tally, ask: Ask, hinges: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Add all roots to the tally; their places (inputs, neurons), indices into PLACES.

    hinges: inputs left out; numbers: each input's number in the survey."""
    tally.on_hinge += int(hinges.sum())
    kept = ~hinges
    asked = {}
    for i, j in np.argwhere(_open(verdicts) & kept[:, None]):
        facts = asked[int(i), int(j)] = ask(int(i), int(j))
        if facts.residual is not None:
            tally.residuals.record(facts.residual, numbers[i], int(j))
    place = _final_places(verdicts, asked)
    for index, name in enumerate(PLACES):
        tally.places[name] += int((place[kept] == index).sum())
    tally.decided_by["enclosure"] += int((verdicts.place[kept] != OPEN).sum())
    left = verdicts.place[kept] == OPEN
    tally.decided_by["rational"] += int((left & (place[kept] != PLACES.index("undecided"))).sum())
    _count_facts(verdicts, place, asked, kept, tally)
    _count_inputs(place[kept], tally)
    _note_first(place, kept, tally, numbers)
    _count_residuals(verdicts, asked, kept, tally)
    _settle_maximum(verdicts, kept, asked, tally, ask, numbers)
    return place


def _open(verdicts: Verdicts) -> np.ndarray:
    """Roots about which something is left for the rationals."""
    open_ = (verdicts.place == OPEN) | np.isnan(verdicts.residual)
    for fact in verdicts.facts.values():
        open_ |= fact == OPEN
    return open_ & (verdicts.place != PLACES.index("no_root"))


def _final_places(verdicts: Verdicts, asked: dict[tuple[int, int], Facts]) -> np.ndarray:
    place = verdicts.place.copy()
    for (i, j), facts in asked.items():
        exact = PLACES.index(facts.place)
        if place[i, j] not in (OPEN, exact) and facts.place != "undecided":
            raise AssertionError(f"enclosures say {PLACES[place[i, j]]}, rationals {facts.place}: a bug; please report")
        place[i, j] = exact if place[i, j] == OPEN else place[i, j]
    return place


def _count_facts(
    verdicts: Verdicts, place: np.ndarray, asked: dict[tuple[int, int], Facts], kept: np.ndarray, tally: Tally
) -> None:
    tally.equal_gradient += int(np.isin(place[kept], [PLACES.index(name) for name in EQUAL]).sum())
    exists = (place != PLACES.index("no_root")) & kept[:, None]
    for name in FACTS:
        known = verdicts.facts[name]
        yes = sum(1 for (i, j), facts in asked.items() if known[i, j] == OPEN and getattr(facts, name))
        setattr(tally, name, getattr(tally, name) + int(((known == 1) & exists).sum()) + yes)


def _count_inputs(place: np.ndarray, tally: Tally) -> None:
    """An input is different if any root is, a missing or boundary one included; else unresolved if any is undecided."""
    equal = np.isin(place, [PLACES.index(name) for name in EQUAL])
    unresolved = place == PLACES.index("undecided")
    different = (~equal & ~unresolved).any(1)
    tally.inputs_any_different_gradient += int(different.sum())
    tally.inputs_unresolved += int((unresolved.any(1) & ~different).sum())
    tally.inputs_all_equal_gradient += int(equal.all(1).sum())


def _note_first(place: np.ndarray, kept: np.ndarray, tally: Tally, numbers: Sequence[int]) -> None:
    for claim, names in PROVED_BY.items():
        proves = np.isin(place, [PLACES.index(name) for name in names]) & kept[:, None]
        for i in np.flatnonzero(proves.any(1))[:1].tolist():
            j = int(proves[i].argmax())
            tally.note(claim, [numbers[i], j, PLACES[place[i, j]]])


def _count_residuals(verdicts: Verdicts, asked: dict[tuple[int, int], Facts], kept: np.ndarray, tally: Tally) -> None:
    sizes = verdicts.residual.copy()
    for (i, j), facts in asked.items():
        sizes[i, j] = np.nan if facts.residual is None else nearest_float(facts.residual)
    sizes = sizes[kept]
    tally.residuals.zero += int((sizes == 0).sum())
    tally.residuals.add_all(sizes[sizes > 0])


def _settle_maximum(
    verdicts: Verdicts,
    kept: np.ndarray,
    asked: dict[tuple[int, int], Facts],
    tally: Tally,
    ask: Ask,
    numbers: Sequence[int],
) -> None:
    """The exact maximum: evaluate the roots of highest ceiling until no other ceiling is above what was found."""
    ceiling = np.where(kept[:, None] & (verdicts.place == PLACES.index("outside")), verdicts.ceiling, 0.0)
    for flat in np.argsort(-ceiling, axis=None, kind="stable"):
        i, j = (int(n) for n in np.unravel_index(flat, ceiling.shape))
        if not ceiling[i, j] > tally.residuals.maximum:
            return
        residual = (asked.get((i, j)) or ask(i, j)).residual
        if residual is not None:
            tally.residuals.record(residual, numbers[i], j)
