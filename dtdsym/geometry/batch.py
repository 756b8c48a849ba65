"""Places of whole batches of roots by enclosures: each is decided by a proven bound, or left to the rationals.

Three facts are decided here. Equal strict choices of all neurons and pools: `same_cell`. Strict choices (so the point
is regular) and a gradient that differs by a proven margin: `outside`. Choices that change on the way from the input,
but none that F_l depends on: `same_region_segment`. What is decided where neurons are exactly at 0 stands in
meeting_cells.py, what is known of roots on their own neuron's hinge in own_hinges.py. Everything else goes on to the
exact search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from dtdsym.arithmetic.enclosure import ENCLOSURE, UNDECIDED, Enclosure
from dtdsym.geometry.meeting_cells import MOST, MeetingCells
from dtdsym.geometry.own_hinges import OwnHinges
from dtdsym.geometry.passage import Passage
from dtdsym.network.evaluate import differentiate, stream
from dtdsym.network.layers import MaxPool
from dtdsym.network.network import Network
from dtdsym.network.slice import bypassing

HALVINGS = 14  # of a segment, before it is left to the rationals
BOXES = 512  # that are computed at a time


@dataclass(frozen=True, eq=False)
class Home:
    """F_l around a batch of inputs: the values of all nodes there, the activation patterns, and the gradient.

    decided (batch,): every choice of F_l is strict, or the same on a whole cell around, so F_l is regular.
    choices: ReLU or max-pool node -> its part of the pattern (batch, choices), as `cell.Pattern` has it.
    ops: the enclosed arithmetic that all of this is in.
    """

    network: Network
    start: int
    values: Mapping[int, Any]
    choices: Mapping[int, torch.Tensor]
    decided: torch.Tensor
    ops: Any = ENCLOSURE

    @cached_property
    def gradient(self) -> Any:
        """(batch, size), of meaning only where decided."""
        return _gradient(self.network, self.start, self.choices, self.values[self.start], self.ops)

    def slope(self, node: int) -> Any:
        """Derivatives of F_l with respect to a node's value (batch, width), of meaning only where decided."""
        return _gradient(self.network, node, self.choices, self.values[self.start], self.ops)

    @staticmethod
    def at(
        network: Network,
        start: int,
        values: Mapping[int, Any],
        ops: Any = ENCLOSURE,
        known: Mapping[int, torch.Tensor] | None = None,
    ) -> Home:
        """From the values of all nodes of a one-logit network, batch first. known: ReLU node -> signs (batch, width)
        that were decided elsewhere, UNDECIDED where they were not."""
        seen = Passage(network, start, known)
        for index in range(len(network.nodes)):
            seen.look(index, values)
        return Home(network, start, values, seen.choices, _all_decided(seen.choices, values[start]), ops)


@dataclass(frozen=True, eq=False)
class Placed:
    """Places of roots (batch, neurons): masks of what is decided, and the network's values and gradients there, these
    of meaning only where the place is decided. bends: F_l may have no gradient there; the one given is of one side."""

    same_cell: torch.Tensor
    same_segment: torch.Tensor
    boundary: torch.Tensor
    outside: torch.Tensor
    bends: torch.Tensor
    output: Any
    gradient: Any


def place_batch(home: Home, roots: Any, own: OwnHinges | None = None) -> Placed:
    """Decide what enclosures can about roots (batch, neurons, size) of `home`'s inputs. Of the values of nodes only
    those are held that something still to be computed needs. own: whose hinges they are on by construction."""
    roots = home.ops.followed(roots)
    feeds = {node: _broadcast(home.values[node], roots) for node in bypassing(home.network, home.start)}
    seen, output = _passed(home.network, home.start, {**feeds, home.start: roots}, home.ops, own)
    none = torch.zeros(roots.shape[:-1], dtype=torch.long, device=roots.mid.device)
    cells = MeetingCells.of(seen.choices, seen.at_zero, home.choices, none)
    decided = _all_decided(cells.choices, roots) & home.decided[:, None]
    equal = decided.clone()
    for node, here in cells.choices.items():
        same = here == home.choices[node][:, None]
        equal &= (same | seen.waking[node] if node in seen.waking else same).all(-1)
    apart, touching = decided & ~equal, equal & (cells.count > 0)
    gradient = _gradients(home, roots, cells.choices, apart)
    away = _away_across(home, roots, cells, touching | (apart & _differs(home, gradient)))
    inside = touching & ~away & _idle(home, cells, seen.waking) if touching.any() else touching
    if home.ops is ENCLOSURE:
        inside = inside | _straight_inside(home, roots, apart & ~away)
    return Placed(equal & ~touching, inside, touching & away, apart & away, cells.count > 0, output[..., 0], gradient)


def _differs(home: Home, gradient: Any) -> torch.Tensor:
    """Where gradients (batch, neurons, size) certainly are not the inputs'."""
    found: torch.Tensor = (gradient - home.gradient.unsqueeze(1)).excludes_zero().any(-1)
    return found


def _away_across(home: Home, roots: Any, cells: MeetingCells, wanted: torch.Tensor) -> torch.Tensor:
    """Which of the wanted roots (batch, neurons) have another gradient than the input's, whichever neurons at 0 are
    turned over."""
    left = wanted.clone()
    for number in range(1, 2 ** min(int(cells.count[left].amax()), MOST) if left.any() else 0):
        asked = left & (number < 2**cells.count)
        left &= ~asked | _differs(home, _gradients(home, roots, cells.across(number), asked))
    return left


def _idle(home: Home, cells: MeetingCells, waking: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """Where F_l does not depend, on the input's cell, on the output of any neuron at 0: mask (batch, neurons). Nor on
    a window that one of them wins: the input's own choice there may be another of its zeros."""
    found = torch.ones_like(cells.count, dtype=torch.bool)
    for node, rank in cells.ranks.items():
        found &= ((rank < 0) | home.slope(node).is_zero().unsqueeze(1)).all(-1)
    for node, won in waking.items():
        still = home.slope(node).is_zero().unsqueeze(1)
        found &= (~won.unflatten(-1, (still.shape[-1], -1)).any(-1) | still).all(-1)
    return found


def _gradients(home: Home, roots: Any, choices: Mapping[int, torch.Tensor], wanted: torch.Tensor) -> Any:
    """Gradients at the roots (batch, neurons, size): computed where they are wanted, else that of the input, which it
    is where the pattern is the input's."""
    batch, neurons = wanted.shape
    known = home.gradient.unsqueeze(1).expand(batch, neurons, roots.shape[-1])
    columns = wanted.any(0).nonzero()[:, 0]
    if not len(columns):
        return known
    some = {node: part[:, columns] for node, part in choices.items()}
    found = _gradient(home.network, home.start, some, roots[:, columns], home.ops)
    if len(columns) == neurons:
        return found
    place = torch.full((neurons,), -1, device=wanted.device)
    place[columns] = torch.arange(len(columns), device=wanted.device)
    return home.ops.where((place >= 0)[None, :, None], found[:, place.clamp_min(0)], known)


def _passed(
    network: Network, start: int, feeds: Mapping[int, Any], ops: Any, own: OwnHinges | None = None
) -> tuple[Passage, Any]:
    """The choices on the way from `feeds` to the output, and the output."""
    seen, output = Passage(network, start), None
    for index, values in stream(network, ops, feeds):
        if own is not None and index == own.node:
            values[index] = own.known(values[index])
        seen.look(index, values)
        output = values[index]
    return seen, output


def _straight_inside(home: Home, roots: Enclosure, wanted: torch.Tensor) -> torch.Tensor:
    """Which of the wanted roots (batch, neurons) see their input along a segment on which the gradient never changes.

    A piece of the segment is enclosed in a box. Let U be the choices that are not strict on the whole box. If F_l's
    derivative at every choice of U is exactly 0, whatever the others of U do, no path through U counts: the gradient is
    the same in all cells that meet the box, so F_l is regular there. Pieces share their ends, so it is the same along
    the whole segment. Pieces that stay open are halved."""
    rows, neurons = wanted.nonzero().unbind(1)
    left = torch.arange(len(rows), device=rows.device)  # whose piece it is
    at = torch.zeros_like(left)  # piece i of 2^depth
    for depth in range(HALVINGS):
        parts = zip(left.split(BOXES), at.split(BOXES), strict=True)
        closed = [_constant(home, rows[i], roots[rows[i], neurons[i]], k, depth) for i, k in parts if len(i)]
        open_ = ~torch.cat(closed) if closed else left.bool()
        left, at = left[open_], at[open_]
        left, at = torch.cat([left, left]), torch.cat([2 * at, 2 * at + 1])
    found = torch.zeros_like(wanted)
    found[rows, neurons] = True
    found[rows[left], neurons[left]] = False
    return found


def _constant(home: Home, rows: torch.Tensor, roots: Enclosure, at: torch.Tensor, depth: int) -> torch.Tensor:
    """For piece `at` (n,) of 2^depth between inputs `rows` and roots (n, size): that no choice open on it matters."""
    network, start = home.network, home.start
    middle = (at.double() + 0.5) / 2**depth
    origin = home.values[start][rows]
    boxes = origin + Enclosure(middle, torch.full_like(middle, 0.5 / 2**depth)).unsqueeze(1) * (roots - origin)
    feeds = {node: home.values[node][rows] for node in bypassing(network, start)}
    choices = _passed(network, start, {**feeds, start: boxes}, ENCLOSURE)[0].choices
    derivatives = _derivatives(network, start, choices, boxes, ENCLOSURE)
    constant = torch.ones(boxes.shape[:-1], dtype=torch.bool, device=roots.mid.device)
    for index, here in choices.items():
        if index not in derivatives:
            continue
        matters = ~derivatives[index].is_zero()
        node = network.nodes[index]
        open_ = here == UNDECIDED
        if isinstance(node, MaxPool):
            open_ = open_.reshape(*here.shape[:-1], *node.index.shape).any(-1)
        constant &= ~(open_ & matters).any(-1)
    return constant


def _broadcast(value: Any, roots: Any) -> Any:
    batch, neurons = roots.shape[:2]
    return value.unsqueeze(1).expand(batch, neurons, value.shape[-1])


def _all_decided(choices: Mapping[int, torch.Tensor], points: Any) -> torch.Tensor:
    decided = torch.ones(points.shape[:-1], dtype=torch.bool, device=points.mid.device)
    for found in choices.values():
        decided &= (found != UNDECIDED).all(-1)
    return decided


def _gradient(network: Network, start: int, choices: Mapping[int, torch.Tensor], points: Any, ops: Any) -> Any:
    """The gradient; where a choice is undecided, of no meaning."""
    decided = {index: found.masked_fill(found == UNDECIDED, 0) for index, found in choices.items()}
    return _derivatives(network, start, decided, points, ops)[start]


def _derivatives(
    network: Network, start: int, choices: Mapping[int, torch.Tensor], points: Any, ops: Any
) -> dict[int, Any]:
    """Of F_l with respect to every node's value; an undecided choice may count for anything from 0 to 1."""
    masks = {}
    for index, found in choices.items():
        node = network.nodes[index]
        shape = (*found.shape[:-1], *(node.index.shape if isinstance(node, MaxPool) else found.shape[-1:]))
        open_ = (found == UNDECIDED).reshape(shape)
        mask: Any = (found == 1).reshape(shape)
        if open_.any():
            half = open_.double() * 0.5
            mask = Enclosure(mask.double() + half, half)
        masks[index] = mask
    one = torch.ones((*points.shape[:-1], 1), dtype=points.mid.dtype, device=points.mid.device)
    return differentiate(network, ops, masks, ops.lift(one), start)
