"""N_{F_l}(x) as a set: `point in region`, its cells, and the graph of which cells share a facet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtdsym.arithmetic.rational import vector
from dtdsym.displayed import Displayed
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.component import Component
from dtdsym.geometry.placement import place_in
from dtdsym.network.network import Network
from dtdsym.network.slice import slice_at


class Region(Displayed, Component):
    """The linear region; `point in region` decides membership exactly."""

    def __contains__(self, point: Sequence[Any]) -> bool:
        """Exact membership. Raises BudgetSpent where the budget does not suffice."""
        found = place_in(self, vector(point, size=self.function.size, name="point"), self.budget)
        found.require_decided()
        return found.inside


def region(
    network: Network, x: Sequence[Any], *, logit: int = 0, layer: int = 1, budget: Budget | None = None
) -> Region:
    """N_{F_l}(a_l) for the input x (in,) of the network. Raises OnHinge if F_l bends at a_l."""
    function, a = slice_at(network, x, logit=logit, layer=layer)
    return Region(function, a, Budget.of(budget))
