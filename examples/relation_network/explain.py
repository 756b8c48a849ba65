"""Relevance of pixels, its normalisation, and how much of it lies on the objects that a question is about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

import dtdsym

from .cases import Case
from .lifted import Paired, lift, rows_of
from .model import RelationNetwork
from .samples import floats, padded
from .vocabulary import ANSWERS

LRP = "alpha_beta:1:0"
"""LRP-alpha1beta0, at every layer, the first included: pixels are in [0, 1]."""
CONTROL = "gradient x input"
PERCENTILES = (0.5, 99.5)


class Explainer:
    """Maps (cases, side, side), summed over colours, of any logit of one model."""

    def __init__(self, model: RelationNetwork) -> None:
        self.model = model
        self.paired = Paired(model).eval()

    @cached_property
    def network(self) -> dtdsym.Network:
        """Lifted once."""
        return lift(self.model)

    @property
    def composite(self) -> str:
        """LRP, at half the cost: only the first layer of g has inputs below 0, of the embedding; elsewhere zplus is the
        same."""
        return f"{len(self.model.sizes.strides) + 1}={LRP},*=zplus"

    def rows(self, cases: Sequence[Case]) -> torch.Tensor:
        """What the lifted network takes (cases, inputs)."""
        images = torch.stack([torch.tensor(case.image).permute(2, 0, 1) for case in cases])
        longest = max(len(case.words.split()) for case in cases)
        words = self.model.sizes.words
        return rows_of(self.model, floats(images), torch.tensor([padded(c.words, words, longest) for c in cases]))

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        """What the network answers (cases, answers)."""
        with torch.no_grad():
            return torch.cat([self._answer(part) for part in rows.split(8)])

    def _answer(self, rows: torch.Tensor) -> torch.Tensor:
        """As `Paired`, four times as fast."""
        side, pixels = self.model.sizes.image, self.paired.pixels
        maps = self.model.convolutions(rows[:, :pixels].reshape(-1, 3, side, side))
        return self.model.relate(self.model.positions(maps), rows[:, pixels:])

    def maps(self, rows: torch.Tensor, answers: Sequence[str], rule: str = LRP) -> np.ndarray:
        """The relevance of each row's pixels for its answer's logit, by a rule of dtdsym or CONTROL.

        Of a rule, per unit of the logit: alpha1beta0 passes the logit down in non-negative shares, so that a negative
        logit, as wrong answers have, would only turn the map upside down, and look like a difference."""
        logits = torch.tensor([ANSWERS.index(answer) for answer in answers])
        found = torch.empty(rows.shape, dtype=torch.float64)
        for logit in logits.unique().tolist():
            mine = logits == logit
            found[mine] = self._relevance(rows[mine], logit, rule)
        side = self.model.sizes.image
        return found[:, : self.paired.pixels].reshape(-1, 3, side, side).sum(1).numpy()

    def _relevance(self, rows: torch.Tensor, logit: int, rule: str) -> torch.Tensor:
        if rule != CONTROL:
            relevance = dtdsym.explain(self.network, rows, self.composite if rule == LRP else rule, logit)
            return relevance / self.logits(rows)[:, logit, None].double()
        parts = []
        for part in rows.split(4):
            given = part.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self._answer(given)[:, logit].sum(), given)
            parts.append((gradient * part).double())
        return torch.cat(parts)


def normalised(maps: np.ndarray) -> np.ndarray:
    """Maps (n, side, side), each clipped to its percentiles 0.5 and 99.5 and scaled to [0, 1], as in the paper; a
    constant map becomes 0."""
    low, high = (np.percentile(maps, share, axis=(1, 2), keepdims=True) for share in PERCENTILES)
    span = np.where(high > low, high - low, 1.0)
    return (maps.clip(low, high) - low) / span


def mass_accuracy(relevance: np.ndarray, mask: np.ndarray) -> float:
    """The share of positive relevance inside the mask (Arras et al. 2022); relevance (side, side), summed over colours.

    0 where no relevance is positive."""
    positive = relevance.clip(0)
    total = positive.sum()
    return float(positive[mask].sum() / total) if total > 0 else 0.0


def rank_accuracy(relevance: np.ndarray, mask: np.ndarray) -> float:
    """Of the K pixels of highest relevance the share that lies in the mask, which has K pixels (Arras et al. 2022)."""
    count = int(mask.sum())
    highest = np.argsort(-relevance.ravel(), kind="stable")[:count]
    return float(mask.ravel()[highest].mean())
