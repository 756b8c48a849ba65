"""Admissible roots of Definition 3, decided: a root of g = R^{l+1}_j o f_l at a must lie in the closure of N_g(a), the
component of constant gradient of g that holds a (Def. 1), and differ from a.

What is proven, the first that applies:
1. g is an affine function of f_l's neuron j (l = n, or all roots above are constant): its place, by geometry.
2. g is differentiable at the root, and nearby, with another gradient than at a: not admissible.
3. All roots above are affine, and no pre-activation in the whole recursion changes its sign from a to the root: on the
   convex set where none does every point of the recursion is an affine function of a, so g has one gradient on it.
   The set is open and holds a; the root may lie on its edge, if what is just beyond it towards a does not. Admissible.
Everything else is undecided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dtdsym.arithmetic.dual import DUAL, Dual, side
from dtdsym.errors import BudgetSpent, OnHinge
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.component import Component
from dtdsym.geometry.placement import INSIDE, place_in
from dtdsym.network.slice import Slice
from dtdsym.relevance.definition3 import Definition3, forward

RANKS = ("admissible", "undecided", "inadmissible")


@dataclass(frozen=True)
class Verdict:
    """name: admissible, inadmissible (both proven) or undecided. reason: one line for people."""

    name: str
    reason: str

    def worst(self, other: Verdict) -> Verdict:
        """The worse of two; of equal ones the other."""
        return max(other, self, key=lambda verdict: RANKS.index(verdict.name))


SAME_PATTERN = Verdict("admissible", "no neuron of the recursion changes its sign between input and root")
UNASKED = Verdict("admissible", "no point of the recursion asks for it")


def verdicts(functions: Definition3, point: np.ndarray, budget: Budget) -> tuple[tuple[Verdict, ...], ...]:
    """Verdicts for the neurons of each layer, as R^1(point) and R^l at the activations of `point` need their roots.

    Where the budget, which all of them share, ends before, none is admissible."""
    sizes = [layer.size for layer in functions.layers[:-1]]
    found = [*([UNASKED] * size for size in sizes), [UNASKED]]
    asked = _Inspection(replace(functions, frozen=False, tick=budget.start().tick), budget)
    try:
        for number, a in enumerate(forward(functions.layers, point)[:-1], start=1):
            for layer, neuron, verdict in asked.inspect(number, a):
                found[layer - 1][neuron] = found[layer - 1][neuron].worst(verdict)
    except BudgetSpent as spent:
        left = Verdict("undecided", str(spent))
        return tuple(tuple(one.worst(left) for one in layer) for layer in found)
    return tuple(tuple(layer) for layer in found)


@dataclass(frozen=True, eq=False)
class _Recursion:
    """gradients (j, d_l) of every R^{l+1}_j o f_l at a point, and the signs of all pre-activations on the way."""

    gradients: np.ndarray
    signs: tuple[np.ndarray, ...]


@dataclass(eq=False)
class _Inspection:
    functions: Definition3
    budget: Budget
    seen: set[tuple[int, tuple[Any, ...]]] = field(default_factory=set)

    def inspect(self, number: int, a: np.ndarray) -> Iterator[tuple[int, int, Verdict]]:
        """(layer, neuron, verdict) of the roots that R^l(a) and its derivatives ask for, each point once."""
        key = (number, tuple((int(q.p), int(q.q)) for q in a))
        if number > self.functions.depth or key in self.seen:
            return
        self.seen.add(key)
        layer, roots = self.functions.layers[number - 1], self.functions.roots_at(number, Dual({0: a})).real
        which = self.functions.roots[number - 1].which
        here = self._at(number, a)
        for group, root in enumerate(roots):
            moved = bool((root != a).any())
            there = self._at(number, root, a) if moved and here is not None else None
            for neuron in (j for j in range(layer.size) if which[j] == group):
                if number < self.functions.depth or neuron == self.functions.logit:
                    place = neuron if number < self.functions.depth else 0
                    yield number, place, self._verdict(number, neuron, a, root, here, there)
            yield from self.inspect(number + 1, layer(DUAL, Dual({0: root})).real)

    def _at(self, number: int, point: np.ndarray, towards: np.ndarray | None = None) -> _Recursion | None:
        """The recursion at a point, or just beyond it; None where it bends."""
        place = Dual({0: point})
        if towards is not None:
            place = place + Dual({0: towards - point}) * side(number)
        signs: list[np.ndarray] = []
        try:
            found = replace(self.functions, signs=signs).gradients(number, place)
        except OnHinge:
            return None
        return _Recursion(found.real, tuple(signs))

    def _verdict(
        self,
        number: int,
        neuron: int,
        a: np.ndarray,
        root: np.ndarray,
        here: _Recursion | None,
        there: _Recursion | None,
    ) -> Verdict:
        if bool((root == a).all()):
            return Verdict("inadmissible", "it equals the layer's input, or the rule has none there")
        above = self.functions.roots[number:]
        if all(roots.constant for roots in above):
            return self._placed(number, neuron, a, root, here)
        if here is None:
            return Verdict("undecided", "the relevance bends at the layer's input")
        affine = all(roots.affine for roots in above)
        if affine and there is not None and _same(here.signs, there.signs):
            return SAME_PATTERN
        smooth = self._at(number, root)
        if smooth is None or not (affine or _firm(smooth.signs, all(own.exact for own in above))):
            return Verdict("undecided", "a neuron of the recursion ties at the root")
        if (smooth.gradients[neuron] != here.gradients[neuron]).any():
            return Verdict("inadmissible", "the relevance has another gradient at the root")
        return Verdict("undecided", "the gradients agree, but nothing proves that the root is in the same region")

    def _placed(self, number: int, neuron: int, a: np.ndarray, root: np.ndarray, here: _Recursion | None) -> Verdict:
        """g = c [w.a + b] + constant: where c = 0 any root will do."""
        layer = self.functions.layers[number - 1]
        if here is not None and self._slope(number, neuron, a) == 0:
            return Verdict("admissible", "the relevance does not depend on the layer's input")
        try:
            home = Component(Slice(layer.network.logit(neuron), 0, {}), a, self.budget)
        except OnHinge:
            return Verdict("inadmissible", "the relevance bends at the layer's input, so it has no linear region there")
        found = place_in(home, root, self.budget)
        if found.name in (*INSIDE, "boundary"):
            return Verdict("admissible", f"its place is {found.name}: {found.reason}")
        name = "undecided" if found.name == "undecided" else "inadmissible"
        return Verdict(name, f"its place is {found.name}: {found.reason}")

    def _slope(self, number: int, neuron: int, a: np.ndarray) -> Any:
        """dR^{l+1}_j/da_{l+1,j}, where R^{l+1} is affine."""
        rows, _ = self.functions.upper(number, Dual({0: a}))
        return rows.real[neuron, neuron]


def _same(here: tuple[np.ndarray, ...], there: tuple[np.ndarray, ...]) -> bool:
    """Whether all signs are equal."""
    return len(here) == len(there) and all(map(np.array_equal, map(np.sign, here), map(np.sign, there)))


def _firm(signs: tuple[np.ndarray, ...], exact: bool) -> bool:
    """Whether all signs stay as they are nearby: none is 0; and ties that a side decides stay ties, as those of roots
    that lie on their hinges by construction (exact) do."""
    return all(bool((np.abs(part) == 1).all()) or (exact and bool(part.all())) for part in signs)
