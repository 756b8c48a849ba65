"""Verdicts on a batch of roots by enclosures, and how they and the exact ones are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dtdsym.arithmetic.rational import nearest_float
from dtdsym.claims.c6 import EQUAL
from dtdsym.geometry.batch import Home, Placed, place_batch
from dtdsym.geometry.own_hinges import OwnHinges
from dtdsym.geometry.placement import PLACES
from dtdsym.relevance.root import LayerRoots
from dtdsym.survey.facts import Bounds, Facts
from dtdsym.survey.settings import Settings
from dtdsym.survey.tally import FACTS, PROVED_BY, Tally

OPEN = -1
SIDES = ("place", "residual", "ceiling", "stage", "margin", "sharp", "hinged")
SHARP = 2.0**-80

Answers = dict[tuple[int, int], Facts]


@dataclass(frozen=True, eq=False)
class Asked:
    """Which roots (inputs, columns) are counted. facts(i, j): the exact facts about one. numbers: each input's number
    in the survey; neurons: each column's neuron; whole: these are all neurons of the layer; stages: names; exact:
    whether the rationals can be asked at all."""

    facts: Callable[[int, int], Facts]
    numbers: Sequence[int]
    neurons: np.ndarray
    whole: bool
    stages: Sequence[str]
    exact: bool = True


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What enclosures decided about roots (inputs, neurons).

    place: index into PLACES, or OPEN. facts: name -> 1 yes, 0 no, OPEN. residual: float size of the Taylor residual,
    exactly 0.0 only where it is zero by theorem, NaN where open; ceiling: a proven upper bound of it. stage: index of
    the stage that decided the place, 0 where it is open. margin: of places by floats alone, else inf. sharp: whether
    bounds are so sharp that more bits would hardly decide more. hinged: whether some neuron is exactly at 0 at a root
    whose place is decided, so that it lies in no open cell.
    """

    place: np.ndarray
    facts: dict[str, np.ndarray]
    residual: np.ndarray
    ceiling: np.ndarray
    stage: np.ndarray
    margin: np.ndarray
    sharp: np.ndarray
    hinged: np.ndarray

    @staticmethod
    def all_open(inputs: int, neurons: int) -> Verdicts:
        """Nothing decided yet."""
        shape = inputs, neurons
        nothing, unknown = {name: np.full(shape, OPEN) for name in FACTS}, np.full(shape, np.nan)
        sure = np.full(shape, np.inf)
        no = np.zeros(shape, bool)
        return Verdicts(np.full(shape, OPEN), nothing, unknown, sure, np.zeros(shape, int), sure.copy(), no, no.copy())

    @staticmethod
    def join(parts: Sequence[Verdicts]) -> Verdicts:
        """Verdicts on blocks of neurons, side by side."""
        facts = {name: np.concatenate([part.facts[name] for part in parts], axis=1) for name in FACTS}
        sides = {name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in SIDES}
        return Verdicts(facts=facts, **sides)

    def chosen(self, columns: np.ndarray) -> Verdicts:
        """On these columns (n,), some perhaps more than once."""
        facts = {name: fact[:, columns] for name, fact in self.facts.items()}
        return Verdicts(facts=facts, **{name: getattr(self, name)[:, columns] for name in SIDES})

    @property
    def open(self) -> np.ndarray:
        """Mask of the roots about which something is left to be decided."""
        open_ = (self.place == OPEN) | np.isnan(self.residual)
        for fact in self.facts.values():
            open_ |= fact == OPEN
        return open_ & (self.place != PLACES.index("no_root"))

    def fill(self, columns: np.ndarray, other: Verdicts) -> None:
        """Take over verdicts on some columns (n,)."""
        for name, fact in self.facts.items():
            fact[:, columns] = other.facts[name]
        for name in SIDES:
            getattr(self, name)[:, columns] = getattr(other, name)

    def fill_unmoved(self, missing: np.ndarray, still: np.ndarray, zero: np.ndarray, within: np.ndarray) -> None:
        """Of roots that do not exist, or are the input: what holds at the inputs (inputs, 1), (inputs,) holds there."""
        self.place[missing], self.place[still] = PLACES.index("no_root"), PLACES.index("degenerate")
        yes = np.ones((len(still), 1), dtype=int)
        told = {"equal_output": yes, "zero_relevance": zero, "in_domain": within[:, None]}
        for name, fact in told.items():
            self.facts[name][still] = np.broadcast_to(fact, still.shape)[still]
        self.residual[still] = self.ceiling[still] = 0.0

    def settle(self, row: int, columns: np.ndarray, later: Verdicts, stage: int) -> None:
        """Take over what a later stage decided about roots (1, n) of one input, where it was open."""
        place, found = self.place[row], later.place[0]
        fresh = (place[columns] == OPEN) & (found != OPEN)
        place[columns[fresh]] = found[fresh]
        self.stage[row, columns[fresh]] = stage
        self.hinged[row, columns[fresh]] = later.hinged[0, fresh]
        for name, fact in self.facts.items():
            open_ = fact[row, columns] == OPEN
            fact[row, columns[open_]] = later.facts[name][0, open_]
        lacking = np.isnan(self.residual[row, columns])
        self.residual[row, columns[lacking]] = later.residual[0, lacking]
        self.ceiling[row, columns] = np.minimum(self.ceiling[row, columns], later.ceiling[0])
        self.sharp[row, columns] = later.sharp[0]


def decide_batch(home: Home, found: LayerRoots, settings: Settings) -> Verdicts:
    """Ask the enclosures everything, about all roots at once; the network is evaluated only at those that exist and are
    not the input, or may be so."""
    missing, still = _missing(found), _still(found)
    columns = (~(missing | still)).any(0).nonzero()[:, 0]
    if len(columns) == missing.shape[1]:
        return _decided(home, found, settings)
    verdicts = Verdicts.all_open(*missing.shape)
    if len(columns):
        verdicts.fill(columns.cpu().numpy(), _decided(home, found.at(columns), settings))
    if settings.engine == "exact":
        return verdicts
    verdicts.fill_unmoved(
        missing.cpu().numpy(), still.cpu().numpy(),
        _is_zero(home.values[len(home.network.nodes) - 1]).cpu().numpy(),
        _within(home.values[home.start], settings.bounds(home.network, home.start)).cpu().numpy(),
    )  # fmt: skip
    return verdicts


def _missing(found: LayerRoots) -> torch.Tensor:
    return torch.as_tensor(found.denominator.is_zero())


def _still(found: LayerRoots) -> torch.Tensor:
    """Roots that are the input itself."""
    return torch.as_tensor(found.displacement.is_zero().all(-1) & found.denominator.excludes_zero())


def _own_hinges(home: Home, found: LayerRoots) -> OwnHinges | None:
    if found.hinges is None:
        return None
    node, neurons = found.hinges
    return OwnHinges(node, torch.from_numpy(neurons).to(home.decided.device))


def _decided(home: Home, found: LayerRoots, settings: Settings) -> Verdicts:
    ops, placed = home.ops, place_batch(home, found.roots, _own_hinges(home, found))
    output = home.values[len(home.network.nodes) - 1]
    missing, still = _missing(found), _still(found)
    exists = found.denominator.excludes_zero()
    moved = found.displacement.excludes_zero().any(-1) & exists
    same, outside = placed.same_cell & moved, placed.outside & exists
    straight, edge = placed.same_segment & moved, placed.boundary & moved
    place = torch.full(missing.shape, OPEN, device=missing.device)
    for name, mask in (
        ("no_root", missing),
        ("degenerate", still),
        ("same_cell", same),
        ("same_region_segment", straight),
        ("boundary", edge),
        ("outside", outside),
    ):
        place[mask] = PLACES.index(name)
    change = output - placed.output
    along = ops.total(placed.gradient * found.displacement)
    residual = abs(change - along)
    same = same | straight | edge
    change = ops.where(same, along, change)  # equal by theorem, and the sharper of the two
    zero = still | same
    known = outside & ~placed.bends
    size = torch.where(zero, 0.0, torch.where(known & residual.excludes_zero(), residual.mid, torch.nan))
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
    ceiling = torch.where(zero, 0.0, torch.where(known, residual.upper(), torch.inf))
    told = {name: fact.cpu().numpy() for name, fact in facts.items()}
    proved = torch.full_like(size, torch.inf)
    enough = _sharp(found, placed, missing | still | moved)
    residuals, ceilings, stage, margin, sharp, hinged = (
        side.cpu().numpy() for side in (size, ceiling, torch.zeros_like(place), proved, enough, placed.bends)
    )
    return Verdicts(place.cpu().numpy(), told, residuals, ceilings, stage, margin, sharp, hinged)


def is_sharp(output: Any) -> torch.Tensor:
    """Where the network's output is known so well that what is open on the way there is hardly so for lack of bits."""
    return torch.as_tensor(output.rad <= abs(output.mid) * SHARP)


def _sharp(found: LayerRoots, placed: Placed, known: torch.Tensor) -> torch.Tensor:
    """Roots (inputs, neurons) whose outputs are sharp, if they are known to exist and to move, or not to. An output
    that is exact since all before it is dead says nothing of what is open below, unless the root is exact too."""
    telling = (placed.output.rad > 0) | (found.roots.rad == 0).all(-1)
    return is_sharp(placed.output) & telling & known


def _is_zero(value: Any) -> torch.Tensor:
    return torch.where(value.is_zero(), 1, torch.where(value.excludes_zero(), 0, OPEN))


def _within(roots: Any, bounds: Bounds) -> torch.Tensor:
    """Whether all coordinates lie between the bounds: decided yes, decided no, or OPEN."""
    yes = torch.ones(roots.shape[:-1], dtype=torch.bool, device=roots.mid.device)
    no = torch.zeros_like(yes)
    for bound, below in ((bounds[0], True), (bounds[1], False)):
        if bound is not None:
            room = (roots - bound) if below else (bound - roots)
            yes &= (room.lower() >= 0).all(-1)
            no |= (room.upper() < 0).any(-1)
    return torch.where(yes, 1, torch.where(no, 0, OPEN))


def count(verdicts: Verdicts, tally: Tally, asked: Asked, hinges: np.ndarray, *, first: bool = True) -> np.ndarray:
    """Add all roots to the tally; their places (inputs, columns), indices into PLACES.

    hinges: inputs left out. first: inputs are counted too, not only roots."""
    tally.on_hinge += int(hinges.sum()) if first else 0
    kept = ~hinges
    answers: Answers = {}
    for i, j in np.argwhere(verdicts.open & kept[:, None]):
        facts = answers[int(i), int(j)] = asked.facts(int(i), int(j))
        if facts.residual is not None:
            tally.residuals.record(facts.residual, asked.numbers[i], int(asked.neurons[j]))
    place = _final_places(verdicts, answers)
    for index, name in enumerate(PLACES):
        tally.places[name] += int((place[kept] == index).sum())
    left, known = verdicts.place == OPEN, place != PLACES.index("undecided")
    for number, name in enumerate(asked.stages):
        own = (verdicts.stage == number) & ~left & known
        tally.decided_by[name] = tally.decided_by.get(name, 0) + int(own[kept].sum())
    tally.decided_by["rational"] += int((left & known)[kept].sum())
    _count_facts(verdicts, place, answers, kept, tally)
    if asked.whole:
        _count_inputs(place[kept], tally)
    _note_first(place, kept, tally, asked)
    _count_residuals(verdicts, answers, kept, tally)
    tally.flag(verdicts.margin[kept])
    _settle_maximum(verdicts, kept, answers, tally, asked)
    return place


def _final_places(verdicts: Verdicts, answers: Answers) -> np.ndarray:
    place = verdicts.place.copy()
    for (i, j), facts in answers.items():
        exact = PLACES.index(facts.place)
        if place[i, j] not in (OPEN, exact) and facts.place != "undecided":
            raise AssertionError(f"enclosures say {PLACES[place[i, j]]}, rationals {facts.place}: a bug; please report")
        place[i, j] = exact if place[i, j] == OPEN else place[i, j]
    return place


def _count_facts(verdicts: Verdicts, place: np.ndarray, answers: Answers, kept: np.ndarray, tally: Tally) -> None:
    tally.equal_gradient += int(np.isin(place[kept], [PLACES.index(name) for name in EQUAL]).sum())
    exists = (place != PLACES.index("no_root")) & kept[:, None]
    for name in FACTS:
        known = verdicts.facts[name]
        nothing = [answers.get((int(i), int(j))) for i, j in np.argwhere((known == OPEN) & exists)]
        tally.open[name] += sum(facts is None or getattr(facts, name) is None for facts in nothing)
        yes = sum(1 for (i, j), facts in answers.items() if known[i, j] == OPEN and getattr(facts, name))
        setattr(tally, name, getattr(tally, name) + int(((known == 1) & exists).sum()) + yes)


def _count_inputs(place: np.ndarray, tally: Tally) -> None:
    """An input is different if any root is, a missing or boundary one included; else unresolved if any is undecided."""
    equal = np.isin(place, [PLACES.index(name) for name in EQUAL])
    unresolved = place == PLACES.index("undecided")
    different = (~equal & ~unresolved).any(1)
    tally.inputs_any_different_gradient += int(different.sum())
    tally.inputs_unresolved += int((unresolved.any(1) & ~different).sum())
    tally.inputs_all_equal_gradient += int(equal.all(1).sum())


def _note_first(place: np.ndarray, kept: np.ndarray, tally: Tally, asked: Asked) -> None:
    for claim, names in PROVED_BY.items():
        proves = np.isin(place, [PLACES.index(name) for name in names]) & kept[:, None]
        for i in np.flatnonzero(proves.any(1))[:1].tolist():
            j = int(proves[i].argmax())
            tally.note(claim, [asked.numbers[i], int(asked.neurons[j]), PLACES[place[i, j]]])


def _count_residuals(verdicts: Verdicts, answers: Answers, kept: np.ndarray, tally: Tally) -> None:
    sizes = verdicts.residual.copy()
    for (i, j), facts in answers.items():
        if facts.residual is not None:
            sizes[i, j] = nearest_float(facts.residual)
    sizes = sizes[kept]
    tally.residuals.zero += int((sizes == 0).sum())
    tally.residuals.add_all(sizes[sizes > 0])


def _settle_maximum(verdicts: Verdicts, kept: np.ndarray, answers: Answers, tally: Tally, asked: Asked) -> None:
    """The exact maximum: evaluate the roots of highest ceiling until no other ceiling is above what was found.

    Where nothing can be evaluated exactly, what the enclosures measured is kept beside it."""
    outside = kept[:, None] & (verdicts.place == PLACES.index("outside"))
    if not asked.exact:
        measured = verdicts.residual[outside & ~np.isnan(verdicts.residual)]
        tally.residuals.measured = max(tally.residuals.measured, float(measured.max(initial=0.0)))
        return
    ceiling = np.where(outside, verdicts.ceiling, 0.0)
    for flat in np.argsort(-ceiling, axis=None, kind="stable"):
        i, j = (int(n) for n in np.unravel_index(flat, ceiling.shape))
        if not ceiling[i, j] > tally.residuals.maximum:
            return
        residual = (answers.get((i, j)) or asked.facts(i, j)).residual
        if residual is not None:
            tally.residuals.record(residual, asked.numbers[i], int(asked.neurons[j]))
