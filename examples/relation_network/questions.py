"""Questions about a scene, with answers and the objects that each step of their programs finds.

Ten types, of which four relate objects to each other. Each is asked only where it has one answer, and the answer does
not follow from the words: for one and the same wording yes and no are about equally frequent, and so are attributes.
Small counts are more frequent than large ones.

Ground-truth masks are those of CLEVR-XAI (Arras et al. 2022, doi:10.1016/j.inffus.2021.11.008).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .scenes import Scene, Thing
from .vocabulary import ATTRIBUTES, COUNTS, MATERIALS, SHAPES, SIZES

Step = tuple[str, frozenset[int]]
"""A step of a program that gives objects, and the numbers of these."""


@dataclass(frozen=True)
class Question:
    """words: lower case, separated by blanks. answer: one of ANSWERS. program: its steps that give objects, in order;
    steps called "unique" give one object."""

    kind: str
    words: str
    answer: str
    program: tuple[Step, ...]

    @property
    def unique(self) -> frozenset[int]:
        """GT Unique: every object that the program singles out."""
        return frozenset().union(*(found for step, found in self.program if step == "unique"))

    @property
    def union(self) -> frozenset[int]:
        """GT Union: every object that any step finds."""
        return frozenset().union(*(found for _, found in self.program))

    @property
    def single(self) -> frozenset[int]:
        """GT Single Object: the object asked for, where one attribute of one object is asked for; else none."""
        return self.program[-1][1] if self.kind.startswith("query") else frozenset()


def mask_of(scene: Scene, objects: frozenset[int]) -> np.ndarray:
    """Pixels (side, side) of some objects."""
    return scene.masks[sorted(objects)].any(axis=0)


def _where(things: Sequence[Thing], **wanted: str) -> frozenset[int]:
    return frozenset(n for n, t in enumerate(things) if all(getattr(t, key) == value for key, value in wanted.items()))


def _filtered(things: Sequence[Thing], **wanted: str) -> list[Step]:
    """CLEVR's chain of filters, one attribute after another."""
    steps: list[Step] = []
    found = frozenset(range(len(things)))
    for key, value in wanted.items():
        found &= _where(things, **{key: value})
        steps.append(("filter", found))
    return steps


def _named(things: Sequence[Thing], number: int) -> list[Step]:
    """The program that finds an object by its colour, which no other object has."""
    return [*_filtered(things, color=things[number].color), ("unique", frozenset([number]))]


def _one_of(draw: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(draw.integers(len(names)))]


def _query(attribute: str) -> Callable[[np.random.Generator, Sequence[Thing]], Question]:
    def ask(draw: np.random.Generator, things: Sequence[Thing]) -> Question:
        number = int(draw.integers(len(things)))
        words = f"what {attribute} is the {things[number].color} thing"
        return Question(f"query {attribute}", words, getattr(things[number], attribute), tuple(_named(things, number)))

    return ask


def _query_color(draw: np.random.Generator, things: Sequence[Thing]) -> Question | None:
    alone = [
        n for n, t in enumerate(things) if len(_where(things, size=t.size, material=t.material, shape=t.shape)) == 1
    ]
    if not alone:
        return None
    number = alone[int(draw.integers(len(alone)))]
    t = things[number]
    steps = _filtered(things, size=t.size, material=t.material, shape=t.shape)
    words = f"what color is the {t.size} {t.material} {t.shape}"
    return Question("query color", words, t.color, (*steps, ("unique", frozenset([number]))))


def _exist(draw: np.random.Generator, things: Sequence[Thing]) -> Question | None:
    """Whether there is a thing of some material and shape."""
    material, shape = _one_of(draw, MATERIALS), _one_of(draw, SHAPES)
    found = _where(things, material=material, shape=shape)
    wanted = bool(draw.integers(2))
    if bool(found) != wanted:
        return None
    words = f"is there a {material} {shape}"
    return Question("exist", words, "yes" if found else "no", tuple(_filtered(things, material=material, shape=shape)))


def _count(draw: np.random.Generator, things: Sequence[Thing]) -> Question:
    attribute = _one_of(draw, ("size", "material", "shape"))
    value = _one_of(draw, ATTRIBUTES[attribute])
    found = _where(things, **{attribute: value})
    return Question("count", f"how many {value} things are there", COUNTS[len(found)], (("filter", found),))


def _left_of(draw: np.random.Generator, things: Sequence[Thing]) -> tuple[int, frozenset[int]]:
    """A thing, and which others lie left of it."""
    number = int(draw.integers(len(things)))
    return number, frozenset(n for n, t in enumerate(things) if t.x < things[number].x)


def _count_left(draw: np.random.Generator, things: Sequence[Thing]) -> Question:
    """How many things lie left of a thing."""
    number, found = _left_of(draw, things)
    words = f"how many things are left of the {things[number].color} thing"
    return Question("count left", words, COUNTS[len(found)], (*_named(things, number), ("relate", found)))


def _query_left(draw: np.random.Generator, things: Sequence[Thing]) -> Question | None:
    """The shape of the one thing that lies left of a thing."""
    number, found = _left_of(draw, things)
    if len(found) != 1:
        return None
    words = f"what shape is the thing left of the {things[number].color} thing"
    steps = (*_named(things, number), ("relate", found), ("unique", found))
    return Question("query left", words, things[min(found)].shape, steps)


def _same(draw: np.random.Generator, things: Sequence[Thing]) -> Question | None:
    """Whether two things agree in one attribute."""
    attribute, agree = _one_of(draw, ("size", "material", "shape")), bool(draw.integers(2))
    values = [getattr(t, attribute) for t in things]
    pairs = [
        (n, m) for n, one in enumerate(values) for m, other in enumerate(values) if n != m and (one == other) == agree
    ]
    if not pairs:
        return None
    one, other = pairs[int(draw.integers(len(pairs)))]
    words = f"do the {things[one].color} thing and the {things[other].color} thing have the same {attribute}"
    return Question("same", words, "yes" if agree else "no", (*_named(things, one), *_named(things, other)))


def _count_same(draw: np.random.Generator, things: Sequence[Thing]) -> Question:
    """How many others agree with a thing in one attribute."""
    number = int(draw.integers(len(things)))
    attribute = _one_of(draw, ("size", "material", "shape"))
    found = _where(things, **{attribute: getattr(things[number], attribute)}) - {number}
    words = f"how many other things have the same {attribute} as the {things[number].color} thing"
    return Question("count same", words, COUNTS[len(found)], (*_named(things, number), ("same", found)))


KINDS: dict[str, Callable[[np.random.Generator, Sequence[Thing]], Question | None]] = {
    "query shape": _query("shape"),
    "query size": _query("size"),
    "query material": _query("material"),
    "query color": _query_color,
    "exist": _exist,
    "count": _count,
    "same": _same,
    "count same": _count_same,
    "count left": _count_left,
    "query left": _query_left,
}
RELATIONAL = ("same", "count same", "count left", "query left")


def ask(draw: np.random.Generator, scene: Scene, kind: str) -> Question | None:
    """A question of one kind; None where fifty tries found none that suits the scene."""
    for _ in range(50):
        question = KINDS[kind](draw, scene.things)
        if question is not None:
            return question
    return None


WORDS = (
    "", "what", "how", "many", "is", "are", "there", "a", "the", "thing", "things", "other", "have", "same", "as", "do",
    "and", "left", "of", *ATTRIBUTES, *SIZES, *ATTRIBUTES["color"],
    *MATERIALS, *SHAPES,
)  # fmt: skip
"""The vocabulary of generated questions; the first is padding."""


def tokens(words: str, vocabulary: Sequence[str] | Mapping[str, int]) -> list[int]:
    """Numbers of the words. Raises ValueError, with the word, for one that the vocabulary has not."""
    numbers = vocabulary if isinstance(vocabulary, Mapping) else {word: n for n, word in enumerate(vocabulary)}
    unknown = [word for word in words.split() if word not in numbers]
    if unknown:
        raise ValueError(f"question {words!r}: the model does not know the word {unknown[0]!r}")
    return [numbers[word] for word in words.split()]
