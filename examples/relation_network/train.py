"""Train the relation network on generated scenes.

    python -m examples.relation_network.train [--resume] [--quick] [--seed 0] [--out FILE] [--clevr CLEVR_v1.0]

The stages, and what they draw on, are those of stages.py. The seed fixes everything; a step's batch follows from its
number, so that --resume continues as if nothing had happened.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from .clevr import Clevr, LayoutError
from .model import RelationNetwork, Sizes, save
from .questions import KINDS, WORDS
from .samples import HELD_OUT, Batch, batch_of, floats, held_out, make_sample
from .scenes import FEWEST
from .stages import (
    POSITIONS,
    QUICK,
    SMALL_STAGES,
    Plan,
    Source,
    clevr_plan,
    clevr_pool,
    pace,
    pool,
    questions_of,
)
from .vocabulary import ATTRIBUTES

HERE = Path(__file__).parent
SHIPPED = HERE / "relation_network.pt"
SIZES = Sizes(WORDS, image=64, strides=(2, 2, 2, 1), question=64, g=(64, 64, 64), f=(64, 64), dropout=0.0, scale=64.0)


class Trainer:
    """The network, the layer that reads what it sees, the optimiser, and how many steps were made."""

    def __init__(self, plan: Plan, sizes: Sizes = SIZES, source: Source | None = None) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.step = plan, 0
        self.source = source or partial(pool, plan)
        self.model = RelationNetwork(sizes)
        self.reading = nn.Conv2d(sizes.channels, 1 + sum(map(len, ATTRIBUTES.values())), 1)
        self.optimizer = torch.optim.Adam([*self.model.parameters(), *self.reading.parameters()], plan.rate)

    def advance(self) -> float:
        """One step; its loss."""
        stage, done = self.plan.stage(self.step)
        draw = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + self.step)
        torch.manual_seed(self.plan.seed * 1_000_003 + self.step)  # for dropout
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate * pace(stage, done)
        loss = self._seen(draw) if stage == "see" else self._answered(stage, draw)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        return loss.item()

    def _seen(self, draw: torch.Generator) -> torch.Tensor:
        """The loss of reading objects off single positions."""
        batch = self.source(self.step // self.plan.chapter, False)
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
        batch = self.source(self.step // self.plan.chapter, stage in SMALL_STAGES)
        scenes = torch.randperm(len(batch.images), generator=draw)[: self.plan.scenes]
        part = batch.pick(scenes, questions_of(batch, stage, (len(scenes), self.plan.questions), draw))
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


def _some(positions: torch.Tensor, cells: torch.Tensor, count: int, draw: torch.Generator) -> torch.Tensor:
    """Of each image's positions `count`: those of the objects' centres, and random others."""
    order = cells[:, 0].flatten(1) + torch.rand(cells[:, 0].flatten(1).shape, generator=draw)
    found = order.topk(count, 1).indices
    return positions.gather(1, found[..., None].expand(-1, -1, positions.shape[2]))


def _answers(model: RelationNetwork, part: Batch, count: int | None) -> torch.Tensor:
    positions = model.positions(model.convolutions(floats(part.images)))
    if count is not None:
        positions = _some(positions, part.cells, count, torch.Generator().manual_seed(0))
    return model.answer(positions, part.tokens.flatten(0, 1)).argmax(1)


def right(
    model: RelationNetwork, batch: Batch, count: int | None = None, kinds: Sequence[str] = tuple(KINDS)
) -> dict[str, float]:
    """The share of right answers for each kind of question, and of all together; from `count` positions if given."""
    model.eval()
    with torch.no_grad():
        found = torch.cat([
            _answers(model, batch.pick(scenes, torch.arange(batch.answers.shape[1])[None]), count)
            for scenes in torch.arange(len(batch.images)).split(4)
        ])  # fmt: skip
    good, asked = found == batch.answers.flatten(), batch.kinds.flatten()
    shares = {kind: good[asked == n].double().mean().item() for n, kind in enumerate(kinds) if (asked == n).any()}
    return shares | {"all": good.double().mean().item()}


def keep_memory() -> None:
    """Ask glibc to keep freed memory, which a training step asks for again: twice as fast. Elsewhere, nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter in (-1, -3):  # when to trim the heap, and when to map a block of its own
            mallopt(parameter, 2**31 - 1)


Test = Callable[[str], dict[str, float]]
"""Shares of right answers, as they stand in a stage."""


def generated_test(trainer: Trainer) -> Test:
    """On 1,000 held-out questions; in each stage about scenes, and from positions, such as it has."""
    plan = trainer.plan
    tested = batch_of(held_out(100, plan.seed))
    small = batch_of([make_sample((plan.seed, HELD_OUT, n), most=FEWEST) for n in range(100)])
    return lambda stage: right(trainer.model, small if stage in SMALL_STAGES else tested, POSITIONS[stage])


def clevr_test(trainer: Trainer, root: Path) -> Test:
    """On questions about 200 images of CLEVR's validation split."""
    data = Clevr(root, "val")
    batch = data.batch(sorted(data.asked)[:200], trainer.model.sizes.words, trainer.model.sizes.image)
    return lambda _: right(trainer.model, batch, kinds=data.kinds)


def progress(trainer: Trainer, test: Test, path: Path, every: int) -> Iterator[str]:
    """Train to the plan's end, saving on the way; lines that say how it goes."""
    plan, losses, begun = trainer.plan, [], time.time()
    while trainer.step < plan.steps:
        stage, _ = plan.stage(trainer.step)
        losses.append(trainer.advance())
        if trainer.step % every == 0 or trainer.step == plan.steps:
            trainer.save(path)
            spent, loss = time.time() - begun, sum(losses) / len(losses)
            line = f"{stage} {trainer.step}/{plan.steps}, {spent:.0f} s, loss {loss:.3f}"
            if stage != "see":
                line += ", right: " + ", ".join(f"{kind} {share:.0%}" for kind, share in test(stage).items())
            losses = []
            yield line


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Train the relation network, on generated scenes or on CLEVR.")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="the checkpoint to write")
    parser.add_argument(
        "--resume", action="store_true", help="continue from what every 200 steps leave beside it, .state"
    )
    parser.add_argument("--quick", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--clevr", type=Path, help="the folder CLEVR_v1.0: real data, and the paper's sizes")
    parser.add_argument("--steps", type=int, default=500_000, help="on CLEVR, of 64 questions each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="for torch; other numbers may round otherwise")
    return parser.parse_args()


def trained(asked: argparse.Namespace) -> tuple[Trainer, Test]:
    """The trainer that is asked for, and its test."""
    plan = replace(QUICK if asked.quick else Plan(), seed=asked.seed)
    if asked.clevr is None:
        trainer = Trainer(plan)
        return trainer, generated_test(trainer)
    data = Clevr(asked.clevr, "train")
    sizes, plan = Sizes(data.vocabulary), clevr_plan(replace(plan, rate=2.5e-4), asked.steps)
    trainer = Trainer(plan, sizes, clevr_pool(data, sizes, plan))
    return trainer, clevr_test(trainer, asked.clevr)


def main() -> int:
    """Train, and write the checkpoint."""
    asked = arguments()
    torch.set_num_threads(asked.threads)
    keep_memory()
    state = asked.out.with_suffix(".state")
    try:
        trainer, test = trained(asked)
        if asked.resume:
            trainer.load(state)
    except (LayoutError, OSError, ValueError) as err:
        print(err, file=sys.stderr)
        return 2
    for line in progress(trainer, test, state, 10 if asked.quick else 200):
        print(line, flush=True)
    save(trainer.model, asked.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
