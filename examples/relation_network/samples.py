"""Generated scenes with questions, as the network takes them: some to test on, and endless ones to train on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .questions import KINDS, WORDS, Question, ask, tokens
from .scenes import MOST, Scene, make_scene
from .vocabulary import ANSWERS, ATTRIBUTES

LENGTH = 12  # words of the longest question
CELLS = 8
TRAIN, HELD_OUT, SMALL = 0, 1, 2


@dataclass(frozen=True)
class Sample:
    """One scene and its questions, one of each kind in turn."""

    scene: Scene
    questions: tuple[Question, ...]


def make_sample(seed: Sequence[int], side: int = 64, rounds: int = 1, most: int = MOST) -> Sample:
    """A scene of which every kind of question can be asked, `rounds` questions of each kind; all from the seed."""
    generator = np.random.default_rng(seed)
    while True:
        scene = make_scene(generator, side, most)
        asked = [ask(generator, scene, kind) for _ in range(rounds) for kind in KINDS]
        questions = tuple(question for question in asked if question is not None)
        if len(questions) == len(asked):
            return Sample(scene, questions)


def held_out(count: int, seed: int = 0, side: int = 64) -> list[Sample]:
    """Scenes that training never draws from: their seeds are of another kind."""
    return [make_sample((seed, HELD_OUT, number), side) for number in range(count)]


@dataclass(frozen=True)
class Batch:
    """images (scenes, 3, side, side) uint8; tokens (scenes, questions, words); answers and kinds (scenes, questions),
    numbers of ANSWERS and of the kinds of questions; cells (scenes, 5, 8, 8): whether an object's centre lies there,
    and its attributes; None where that is not known."""

    images: torch.Tensor
    tokens: torch.Tensor
    answers: torch.Tensor
    kinds: torch.Tensor
    cells: torch.Tensor | None = None

    def pick(self, scenes: torch.Tensor, questions: torch.Tensor) -> Batch:
        """Some scenes (n,), and of each some questions (n, m)."""
        own = scenes[:, None]
        return Batch(
            self.images[scenes], self.tokens[own, questions], self.answers[own, questions], self.kinds[own, questions],
            None if self.cells is None else self.cells[scenes],
        )  # fmt: skip


def batch_of(samples: Sequence[Sample]) -> Batch:
    """The samples as tensors."""
    asked = [sample.questions for sample in samples]
    kinds = list(KINDS)
    return Batch(
        torch.stack([torch.from_numpy(sample.scene.image).permute(2, 0, 1) for sample in samples]),
        torch.tensor([[padded(question.words, WORDS) for question in questions] for questions in asked]),
        torch.tensor([[ANSWERS.index(question.answer) for question in questions] for questions in asked]),
        torch.tensor([[kinds.index(question.kind) for question in questions] for questions in asked]),
        torch.stack([_cells(sample.scene) for sample in samples]),
    )


def padded(words: str, vocabulary: Sequence[str] | Mapping[str, int], length: int = LENGTH) -> list[int]:
    """The words' numbers, 0 behind the end."""
    found = tokens(words, vocabulary)
    if len(found) > length:
        raise ValueError(f"question {words!r} has {len(found)} words; at most {length} are expected")
    return found + [0] * (length - len(found))


def _cells(scene: Scene) -> torch.Tensor:
    cells = torch.zeros(1 + len(ATTRIBUTES), CELLS, CELLS, dtype=torch.int64)
    for thing in scene.things:
        attributes = [names.index(getattr(thing, key)) for key, names in ATTRIBUTES.items()]
        cells[:, int(thing.y * CELLS), int(thing.x * CELLS)] = torch.tensor([1, *attributes])
    return cells


def floats(images: torch.Tensor) -> torch.Tensor:
    """Pixels in [0, 1], as the network takes them."""
    return images.float() / 255
