"""A budget is stated beforehand; when it is spent the answer is `undecided`, never a guess."""

from __future__ import annotations

import time
from dataclasses import dataclass
from numbers import Real

from dtdsym.errors import BudgetSpent, InputError

SHORTEST = 1e-3
"""Seconds that the last part of a decision is given at least."""


@dataclass(frozen=True)
class Budget:
    """How much one decision may cost: seconds of wall-clock time, cells entered. None: no bound."""

    seconds: float | None = None
    cells: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("seconds", self.seconds), ("cells", self.cells)):
            if value is not None and (not isinstance(value, Real) or not value > 0):
                raise InputError(f"budget of {value!r} {name}; give a number above 0")

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
            raise BudgetSpent(f"the budget of {seconds} seconds ran out after {self.cells} cells")

    def left(self) -> Budget:
        """What a part of the decision may cost that starts now. Raises BudgetSpent once the time is up."""
        self.tick()
        seconds = self.budget.seconds
        used = time.monotonic() - self.started
        return self.budget if seconds is None else Budget(max(seconds - used, SHORTEST), self.budget.cells)

    def enter_cell(self) -> None:
        """Count one more cell; raises BudgetSpent if that is one too many, or the time is up."""
        self.cells += 1
        if self.budget.cells is not None and self.cells > self.budget.cells:
            raise BudgetSpent(f"the budget of {self.budget.cells} cells ran out")
        self.tick()
