"""A budget is stated beforehand; when it is spent the answer is `undecided`, never a guess."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from numbers import Real

from dtdsym.arithmetic.written import counted
from dtdsym.errors import BudgetSpent, InputError

SHORTEST = 1e-3
"""Seconds that the last part of a decision is given at least."""


@dataclass(frozen=True)
class Budget:
    """How much one decision may cost: seconds of wall-clock time, cells entered. None: no bound."""

    seconds: float | None = None
    cells: int | None = None
    stated: float | None = field(default=None, compare=False, repr=False)
    """The seconds that were stated, where these are what is left of them."""

    def __post_init__(self) -> None:
        for name, value in (("seconds", self.seconds), ("cells", self.cells)):
            if value is not None and (not isinstance(value, Real) or not value > 0):
                raise InputError(f"budget of {value!r} {name}; give a number above 0")

    @staticmethod
    def of(budget: Budget | None) -> Budget:
        """What was given; None: no bound. Raises InputError for what is no budget."""
        if budget is not None and not isinstance(budget, Budget):
            raise InputError(f"budget={budget!r:.70}: give dtdsym.Budget(seconds=...) or dtdsym.Budget(cells=...)")
        return Budget() if budget is None else budget

    def at_most(self, cells: int) -> Budget:
        """The same, with no more cells than these."""
        return replace(self, cells=cells if self.cells is None else min(self.cells, cells))

    def start(self) -> Meter:
        """A meter that begins to run now."""
        return Meter(self, time.monotonic())


class Meter:
    """Counts what one decision has cost."""

    def __init__(self, budget: Budget, started: float) -> None:
        self.budget, self.started, self.cells = budget, started, 0

    def tick(self) -> None:
        """Raises BudgetSpent once the time is up."""
        seconds = self.budget.seconds
        if seconds is not None and time.monotonic() - self.started > seconds:
            stated = seconds if self.budget.stated is None else self.budget.stated
            raise BudgetSpent(f"the budget of {counted(stated, 'second')} ran out after {counted(self.cells, 'cell')}")

    def left(self) -> Budget:
        """What a part of the decision may cost that starts now. Raises BudgetSpent once the time is up."""
        self.tick()
        seconds, stated = self.budget.seconds, self.budget.stated
        used = time.monotonic() - self.started
        if seconds is None:
            return self.budget
        return Budget(max(seconds - used, SHORTEST), self.budget.cells, seconds if stated is None else stated)

    def enter_cell(self) -> None:
        """Count one more cell; raises BudgetSpent if that is one too many, or the time is up."""
        self.cells += 1
        if self.budget.cells is not None and self.cells > self.budget.cells:
            raise BudgetSpent(f"the budget of {counted(self.budget.cells, 'cell')} ran out")
        self.tick()
