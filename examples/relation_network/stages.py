"""The stages of training, and the scenes and questions that they draw on.

The loss of all 64 x 64 pairs hardly falls at first: a network that cannot yet see has nothing to relate. So the
training has stages, each short of the next by what the scene's description gives (CLEVR has such descriptions too):

1. see: the convolutional stack alone learns to read objects off single positions, through one linear layer that is
   no part of the network. After it, the stack stands still until the last stage.
2. point: scenes of three objects, and pairs of only the three positions of their centres; questions about attributes.
3. relate, compare, tally: the same with all questions; half of them are relational, ask whether two objects agree,
   and count. One relation after another is learnt where all together are not.
4. gather: all scenes; pairs of 8 positions, the objects' centres and random others.
5. widen: pairs of 20 positions.
6. all: all pairs of 64 positions, the whole network at once, with no description of the scene.

Scenes never run out: every 4,000 steps draw on 4,000 new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from .clevr import Clevr
from .model import Sizes
from .questions import KINDS, RELATIONAL
from .samples import SMALL, TRAIN, Batch, batch_of, make_sample
from .scenes import FEWEST, MOST


@dataclass(frozen=True)
class Plan:
    """On how many steps of each stage, and on what: a chapter is how many steps share a pool of scenes."""

    seed: int = 0
    see: int = 1000
    point: int = 2200
    relate: int = 2500
    compare: int = 5900
    tally: int = 4000
    gather: int = 3500
    widen: int = 1500
    all: int = 700
    scenes: int = 16
    questions: int = 4
    pool: int = 4000
    chapter: int = 4000
    rate: float = 1e-3

    def stage(self, step: int) -> tuple[str, float]:
        """The stage of a step, and how much of it is done, in [0, 1)."""
        for name in STAGES:
            length = getattr(self, name)
            if step < length:
                return name, step / length
            step -= length
        raise ValueError(f"step {step} is behind the end of training")

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(getattr(self, name) for name in STAGES)


STAGES = ("see", "point", "relate", "compare", "tally", "gather", "widen", "all")
SMALL_STAGES = ("point", "relate", "compare", "tally")
POSITIONS = {"point": 3, "relate": 3, "compare": 3, "tally": 3, "gather": 8, "widen": 20, "all": 64}
EASY = ("query shape", "query size", "query material", "query color")
EMPHASIS = {"compare": ("same",), "tally": ("count same", "count left")}
"""Kinds that every other question is of; in the other stages RELATIONAL."""
ROUNDS = 3  # questions of each kind about each scene
QUICK = Plan(see=30, point=4, relate=2, compare=1, tally=1, gather=2, widen=2, all=2, scenes=8, pool=16, chapter=100)


Source = Callable[[int, bool], Batch]
"""The scenes of a chapter, by its number, and whether they are to be small ones."""


def questions_of(batch: Batch, stage: str, shape: tuple[int, int], draw: torch.Generator) -> torch.Tensor:
    """Which questions are asked about each scene. Of generated ones, of which number n is of kind n modulo KINDS: the
    easy ones in stage "point", and later every other one of the kinds that the stage dwells on."""
    asked, kinds = batch.answers.shape[1], list(KINDS)
    if batch.cells is None:
        return torch.randint(asked, shape, generator=draw)
    chosen = torch.tensor([n for n in range(asked) if stage != "point" or kinds[n % len(kinds)] in EASY])
    questions = chosen[torch.randint(len(chosen), shape, generator=draw)]
    if stage != "point":
        wanted = EMPHASIS.get(stage, RELATIONAL)
        hard = torch.tensor([n for n in range(asked) if kinds[n % len(kinds)] in wanted])
        questions[:, ::2] = hard[torch.randint(len(hard), questions[:, ::2].shape, generator=draw)]
    return questions


def pace(stage: str, done: float) -> float:
    """The learning rate's factor: falling within the first and the last stage, a short warm start in the second."""
    match stage:
        case "see":
            return 2.2 - 2 * done
        case "point":
            return min(1.0, 0.05 + 20 * done)
        case "all":
            return 1.02 - done
        case _:
            return 1.0


@lru_cache(maxsize=2)
def pool(plan: Plan, chapter: int, small: bool) -> Batch:
    """The scenes of one chapter; small: those of three objects."""
    first = chapter * plan.pool
    own, most = (SMALL, FEWEST) if small else (TRAIN, MOST)
    numbers = range(first, first + plan.pool)
    return batch_of([make_sample((plan.seed, own, n), rounds=ROUNDS, most=most) for n in numbers])


def clevr_plan(plan: Plan, steps: int) -> Plan:
    """The last stage alone, for scenes without descriptions."""
    return replace(plan, **(dict.fromkeys(STAGES, 0) | {"all": steps}))


def clevr_pool(data: Clevr, sizes: Sizes, plan: Plan) -> Source:
    """Images of CLEVR, in an order that the seed gives, chapter after chapter and epoch after epoch."""
    names = sorted(data.asked)
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(plan.seed)).tolist()

    @lru_cache(maxsize=1)
    def read(chapter: int, _: bool) -> Batch:
        places = [(chapter * plan.pool + n) % len(names) for n in range(min(plan.pool, len(names)))]
        return data.batch([names[order[place]] for place in places], sizes.words, sizes.image)

    return read
