"""The cells of F_l that meet at a point, where all its choices are known there but for a few neurons exactly at 0.

Let B be the neurons whose pre-activation is exactly 0 at a point p, and not for certain on a whole cell; let all other
choices be strict at p, or certain on every cell at p. Let C be the input's cell and g its gradient. For S, a part of B,
let g(S) be the gradient with S active, the rest of B inactive, and all other choices as they are at p.

A window of a max-pool that holds ReLUs which are 0 on every cell at p, and one of B, holds the ReLU of that one on all
these cells: so it counts as its winner, and as one of C's choices if those of the ReLUs are.

1. Every cell that meets at p has one of the gradients g(S), for its choices other than B's are those at p. So if none
   of them is g, p is `outside`, whether F_l bends there or not.

Let C now have the choices of p, but for B. Node by node, the value at p is that of C's affine form: a neuron of B gives
0 at p whether C counts it as active or not. So no form of C has the wrong sign at p, and p is in the closure of C.

2. If B is empty, no form is 0 at p: p is in C, `same_cell`.
3. Else the lowest neuron of B is not certain to be 0 on C, for the choices below it, which are those at p, would make
   it so at p as well. It is strict at the input, so its form on C is not constant, but 0 at p: p is not in C, only the
   segment up to it is.
   a) If all g(S) but C's own are not g: F_l bends, `boundary`. For cells with C's masks have C's forms, so they lie on
      C's side of that neuron's hinge; the other side, at p, takes a cell with other masks, and its gradient is not g.
   b) If F_l does not depend, on C, on the output of any neuron of B, nor on any window that one of them wins (on C it
      may tie there with zeros, one of which stands for all): from the top down, no choice in B changes the derivative
      at any other of them, all g(S) are g, and F_l is regular: `same_region_segment`.
Else a search must decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

MOST = 4  # neurons at 0 whose 2^MOST gradients are computed


@dataclass(frozen=True, eq=False)
class MeetingCells:
    """Points (batch, n), some with neurons exactly at 0.

    choices: bending node -> (batch, n, choices), those of the input's cell at neurons of B; where these are more than
    MOST, they stay undecided. ranks: ReLU node -> int8 (batch, n, width), which neuron of B an entry is, -1 for others.
    count (batch, n): how many they are.
    """

    choices: Mapping[int, torch.Tensor]
    ranks: Mapping[int, torch.Tensor]
    count: torch.Tensor

    @staticmethod
    def of(
        choices: Mapping[int, torch.Tensor], zero: Mapping[int, torch.Tensor], home: Mapping[int, torch.Tensor],
        count: torch.Tensor,
    ) -> MeetingCells:  # fmt: skip
        """From the choices at the points, undecided at the neurons of B, which `zero` marks, node by node, and the
        choices (batch, choices) of the inputs. count: zeros (batch, n)."""
        ranks = {}
        for node, mask in zero.items():
            rank = (mask.cumsum(-1) - 1 + count.unsqueeze(-1)).clamp_max(MOST)
            ranks[node] = rank.masked_fill(~mask, -1).to(torch.int8)
            count = count + mask.sum(-1)
        few, found = (count <= MOST).unsqueeze(-1), dict(choices)
        for node, mask in zero.items():
            found[node] = torch.where(mask & few, home[node].unsqueeze(1), choices[node])
        return MeetingCells(found, ranks, count)

    def across(self, number: int) -> dict[int, torch.Tensor]:
        """The choices with the neurons of B turned over whose ranks are the digits 1 of `number` in binary."""
        found = dict(self.choices)
        for node, rank in self.ranks.items():
            turned = (rank >= 0) & ((number >> rank.clamp_min(0)) & 1).bool()
            here = found[node]
            found[node] = torch.where(turned, 1 - 2 * (here == 1).to(here.dtype), here)
        return found
