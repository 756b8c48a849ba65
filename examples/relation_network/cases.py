"""One question about one image, with what is known about its answer: the unit that is explained and measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .questions import mask_of
from .samples import Sample


@dataclass(frozen=True)
class Case:
    """image (side, side, 3) uint8; scene: a name, the same for questions about one image; masks: ground truths
    (side, side), boolean and not empty, by name."""

    image: np.ndarray
    words: str
    answer: str
    kind: str
    scene: str
    masks: dict[str, np.ndarray]


def generated(samples: Iterable[Sample]) -> Iterator[Case]:
    """The questions of generated samples. A mask that would be empty is left out."""
    for number, sample in enumerate(samples):
        for question in sample.questions:
            objects = {"single object": question.single, "unique": question.unique, "union": question.union}
            masks = {name: mask_of(sample.scene, found) for name, found in objects.items() if found}
            masks["all objects"] = sample.scene.masks.any(axis=0)
            seen = {name: mask for name, mask in masks.items() if mask.any()}
            yield Case(sample.scene.image, question.words, question.answer, question.kind, str(number), seen)
