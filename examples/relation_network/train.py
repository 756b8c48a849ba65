"""Train the relation network on generated scenes.

    python -m examples.relation_network.train [--resume] [--quick] [--out FILE]

The loss of all 64 x 64 pairs hardly falls at first: a network that cannot yet see has nothing to relate. So the
training has stages, each short of the next by what the scene's description gives (CLEVR has such descriptions too):

1. see: the convolutional stack alone learns to read objects off single positions, through one linear layer that is
   no part of the network. After it, the stack stands still until the last stage.
2. point: scenes of three objects, and pairs of only the three positions of their centres; questions about attributes.
3. relate: the same with all questions, more than half of them relational.
4. gather: all scenes; pairs of 8 positions, the objects' centres and random others.
5. widen: pairs of 20 positions.
6. all: all pairs of 64 positions, the whole network at once, with no description of the scene.

Scenes never run out: every 4,000 steps draw on 4,000 new ones. The seed fixes everything; a step's batch follows from
its number, so that --resume continues as if nothing had happened.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from .model import RelationNetwork, Sizes, save
from .questions import KINDS, RELATIONAL, WORDS
from .samples import HELD_OUT, SMALL, TRAIN, Batch, batch_of, floats, held_out, make_sample
from .scenes import FEWEST, MOST
from .vocabulary import ATTRIBUTES

HERE = Path(__file__).parent
SHIPPED = HERE / "relation_network.pt"
SIZES = Sizes(WORDS, image=64, strides=(2, 2, 2, 1), question=64, g=(64, 64, 64), f=(64, 64), dropout=0.0, scale=64.0)


@dataclass(frozen=True)
class Plan:
    """On how many steps of each stage, and on what: a chapter is how many steps share a pool of scenes."""

    seed: int = 0
    see: int = 1200
    point: int = 2500
    relate: int = 9000
    gather: int = 5000
    widen: int = 2500
    all: int = 1000
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


STAGES = ("see", "point", "relate", "gather", "widen", "all")
SMALL_STAGES = ("point", "relate")
POSITIONS = {"point": 3, "relate": 3, "gather": 8, "widen": 20, "all": 64}
EASY = tuple(number for number, kind in enumerate(KINDS) if kind in ("query shape", "query size", "query material", "query color"))
RELATING = tuple(number for number, kind in enumerate(KINDS) if kind in RELATIONAL)
ROUNDS = 3  # questions of each kind about each scene
QUICK = Plan(see=30, point=4, relate=4, gather=2, widen=2, all=2, scenes=8, pool=16, chapter=100)


class Trainer:
    """The network, the layer that reads what it sees, the optimiser, and how many steps were made."""

    def __init__(self, plan: Plan, sizes: Sizes = SIZES) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.step = plan, 0
        self.model = RelationNetwork(sizes)
        self.reading = nn.Conv2d(sizes.channels, 1 + sum(map(len, ATTRIBUTES.values())), 1)
        self.optimizer = torch.optim.Adam([*self.model.parameters(), *self.reading.parameters()], plan.rate)

    def advance(self) -> float:
        """One step; its loss."""
        stage, done = self.plan.stage(self.step)
        draw = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + self.step)
        torch.manual_seed(self.plan.seed * 1_000_003 + self.step)  # for dropout
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate * _pace(stage, done)
        loss = self._seen(draw) if stage == "see" else self._answered(stage, draw)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        return loss.item()

    def _seen(self, draw: torch.Generator) -> torch.Tensor:
        """The loss of reading objects off single positions."""
        batch = pool(self.plan, self.step // self.plan.chapter, False)
        scenes = torch.randperm(len(batch.images), generator=draw)[: 2 * self.plan.scenes]
        cells = batch.cells[scenes]
        read, here = self.reading(self.model.train().convolutions(floats(batch.images[scenes]))), cells[:, 0] == 1
        loss = 4 * nn.functional.binary_cross_entropy_with_logits(read[:, 0], here.float())
        parts = read[:, 1:].movedim(1, -1)[here].split([len(names) for names in ATTRIBUTES.values()], 1)
        for part, true in zip(parts, cells[:, 1:].movedim(1, -1)[here].T, strict=True):
            loss = loss + nn.functional.cross_entropy(part, true)
        return loss

    def _answered(self, stage: str, draw: torch.Generator) -> torch.Tensor:
        """The loss of answering questions from pairs of as many positions as the stage has."""
        plan = self.plan
        batch = pool(plan, self.step // plan.chapter, stage in SMALL_STAGES)
        kinds = len(KINDS)
        chosen = torch.tensor([n for n in range(ROUNDS * kinds) if stage != "point" or n % kinds in EASY])
        scenes = torch.randperm(len(batch.images), generator=draw)[: plan.scenes]
        hard = torch.tensor([n for n in range(ROUNDS * kinds) if n % kinds in RELATING])
        questions = chosen[torch.randint(len(chosen), (len(scenes), plan.questions), generator=draw)]
        if stage != "point":  # every other question relates objects, whatever the first draw says
            questions[:, ::2] = hard[torch.randint(len(hard), questions[:, ::2].shape, generator=draw)]
        part = batch.pick(scenes, questions)
        if stage == "all":
            positions = self.model.positions(self.model.train().convolutions(floats(part.images)))
        else:
            self.model.train().convolutions.eval()
            with torch.no_grad():
                maps = self.model.convolutions(floats(part.images))
            positions = _some(self.model.positions(maps), part.cells, POSITIONS[stage], draw)
        logits = self.model.answer(positions, part.tokens.flatten(0, 1))
        return nn.functional.cross_entropy(logits, part.answers.flatten())

    def save(self, path: Path) -> None:
        """All that resuming needs."""
        state = {"step": self.step, "plan": asdict(self.plan), "model": self.model.state_dict()}
        state |= {"reading": self.reading.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def load(self, path: Path) -> None:
        """Continue from there. Raises ValueError if the plan is another one."""
        state = torch.load(path, weights_only=True)
        if state["plan"] != asdict(self.plan):
            raise ValueError(f"{path} was made by another plan, {state['plan']}; start afresh without --resume")
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.reading.load_state_dict(state["reading"])
        self.optimizer.load_state_dict(state["optimizer"])


def _pace(stage: str, done: float) -> float:
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


def _some(positions: torch.Tensor, cells: torch.Tensor, count: int, draw: torch.Generator) -> torch.Tensor:
    """Of each image's positions `count`: those of the objects' centres, and random others."""
    order = cells[:, 0].flatten(1) + torch.rand(cells[:, 0].flatten(1).shape, generator=draw)
    found = order.topk(count, 1).indices
    return positions.gather(1, found[..., None].expand(-1, -1, positions.shape[2]))


@lru_cache(maxsize=2)
def pool(plan: Plan, chapter: int, small: bool) -> Batch:
    """The scenes of one chapter; small: those of three objects."""
    first = chapter * plan.pool
    own, most = (SMALL, FEWEST) if small else (TRAIN, MOST)
    numbers = range(first, first + plan.pool)
    return batch_of([make_sample((plan.seed, own, n), rounds=ROUNDS, most=most) for n in numbers])


def _answers(
    model: RelationNetwork, images: torch.Tensor, words: torch.Tensor, cells: torch.Tensor, count: int | None
) -> torch.Tensor:
    positions = model.positions(model.convolutions(floats(images)))
    if count is not None:
        positions = _some(positions, cells, count, torch.Generator().manual_seed(0))
    return model.answer(positions, words.flatten(0, 1)).argmax(1)


def right(model: RelationNetwork, batch: Batch, count: int | None = None) -> dict[str, float]:
    """The share of right answers for each kind of question, and of all together; from `count` positions if given."""
    model.eval()
    with torch.no_grad():
        parts = zip(batch.images.split(4), batch.tokens.split(4), batch.cells.split(4), strict=True)
        found = torch.cat([_answers(model, i, t, c, count) for i, t, c in parts])
    good, kinds = found == batch.answers.flatten(), batch.kinds.flatten()
    shares = {kind: good[kinds == number].double().mean().item() for number, kind in enumerate(KINDS)}
    return shares | {"all": good.double().mean().item()}


def keep_memory() -> None:
    """Ask glibc to keep freed memory, which a training step asks for again: twice as fast. Elsewhere, nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter in (-1, -3):  # when to trim the heap, and when to map a block of its own
            mallopt(parameter, 2**31 - 1)


def progress(trainer: Trainer, path: Path, every: int) -> Iterator[str]:
    """Train to the plan's end, saving on the way; lines that say how it goes, with answers to 1,000 held-out questions."""
    plan, losses = trainer.plan, []
    tested = batch_of(held_out(100, plan.seed))
    small = batch_of([make_sample((plan.seed, HELD_OUT, n), most=FEWEST) for n in range(100)])
    begun = time.time()
    while trainer.step < plan.steps:
        stage, _ = plan.stage(trainer.step)
        losses.append(trainer.advance())
        if trainer.step % every == 0 or trainer.step == plan.steps:
            trainer.save(path)
            line = f"{stage} {trainer.step}/{plan.steps}, {time.time() - begun:.0f} s, loss {sum(losses) / len(losses):.3f}"
            if stage != "see":
                few = stage in SMALL_STAGES
                shares = right(trainer.model, small if few else tested, POSITIONS[stage])
                line += ", right: " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())
            losses = []
            yield line


def main() -> None:
    """Train, and write the checkpoint."""
    parser = argparse.ArgumentParser(description="Train the relation network on generated scenes.")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the checkpoint to write")
    parser.add_argument("--resume", action="store_true", help="continue from FILE.state, which every 200 steps leave")
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="for torch")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    keep_memory()
    plan = Plan(**(asdict(QUICK if asked.quick else Plan()) | {"seed": asked.seed}))
    trainer, state = Trainer(plan), asked.out.with_suffix(".state")
    if asked.resume:
        trainer.load(state)
    for line in progress(trainer, state, 10 if asked.quick else 200):
        print(line, flush=True)
    save(trainer.model, asked.out)


if __name__ == "__main__":
    main()
