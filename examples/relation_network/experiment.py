"""The paper's experiment: how far does a map move when another answer is explained, and when another question is asked?

For each case three maps: of its answer's logit, of another answer's of the same category, and of the answer to another
question about the same image. All are normalised; differences are taken pixel by pixel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .cases import Case
from .explain import CONTROL, LRP, Explainer, mass_accuracy, normalised, rank_accuracy
from .vocabulary import ANSWERS, COLOURS, others

PART = 50  # cases that are explained at a time
EDGES = np.linspace(0, 1, 51)
FAR = 0.25  # a pixel that moved by more is said to have changed


@dataclass(frozen=True)
class Asked:
    """A case, another answer of its answer's category, and another question about the same image."""

    case: Case
    other_answer: str
    other_question: Case


def chosen(cases: Sequence[Case], said: Sequence[str], count: int, seed: int = 0) -> list[Asked]:
    """Cases that are answered right, equally many of each kind where there are enough, at most `count`.

    said: what the network answers to each. The other question is drawn from those with other words that are answered
    right as well; the other answer from those that any case has: a count that never occurs is a logit that was never
    trained to be high, and may have no positive path to the pixels at all."""
    draw = np.random.default_rng(seed)
    right = [case for case, answer in zip(cases, said, strict=True) if answer == case.answer]
    by_scene: dict[str, list[Case]] = {}
    for case in right:
        by_scene.setdefault(case.scene, []).append(case)
    kinds, given = sorted({case.kind for case in right}), {case.answer for case in cases}
    most = -(-count // len(kinds))
    found: list[Asked] = []
    for kind in kinds:
        fit = [case for case in right if case.kind == kind and len(by_scene[case.scene]) > 1][:most]
        for case in fit:
            questions = [one for one in by_scene[case.scene] if one.words != case.words]
            wrong = [answer for answer in others(case.answer) if answer in given]
            if questions and wrong:
                other = questions[draw.integers(len(questions))]
                found.append(Asked(case, wrong[draw.integers(len(wrong))], other))
    return found[:count]


def answers(explainer: Explainer, cases: Sequence[Case]) -> list[str]:
    """What the network says."""
    said: list[str] = []
    for start in range(0, len(cases), PART):
        said += [ANSWERS[n] for n in explainer.logits(explainer.rows(cases[start : start + PART])).argmax(1).tolist()]
    return said


def accuracy(cases: Sequence[Case], said: Sequence[str]) -> dict[str, tuple[float, float]]:
    """For each kind of question, and "all": the share that the network answers right, and that of who knows only the
    questions: who gives to each wording, whatever colours it names, its most frequent answer."""
    wordings = [(case.kind, tuple("color" if w in COLOURS else w for w in case.words.split())) for case in cases]
    counts = Counter(zip(wordings, (case.answer for case in cases), strict=True))
    best: dict[tuple[str, tuple[str, ...]], int] = {}
    for (wording, _), count in counts.items():
        best[wording] = max(best.get(wording, 0), count)
    shares = {}
    for kind in [*dict.fromkeys(case.kind for case in cases), "all"]:
        mine = [n for n, case in enumerate(cases) if kind in (case.kind, "all")]
        guessed = sum(count for wording, count in best.items() if kind in (wording[0], "all"))
        shares[kind] = sum(said[n] == cases[n].answer for n in mine) / len(mine), guessed / len(mine)
    return shares


@dataclass(frozen=True)
class Maps:
    """Of some cases (n, side, side): for the answer, for the other answer, and for the other question."""

    answer: np.ndarray
    other_answer: np.ndarray
    other_question: np.ndarray


def explained(explainer: Explainer, asked: Sequence[Asked], rule: str) -> Maps:
    """The three maps of each, not normalised."""
    own = explainer.rows([one.case for one in asked])
    other = explainer.rows([one.other_question for one in asked])
    return Maps(
        explainer.maps(own, [one.case.answer for one in asked], rule),
        explainer.maps(own, [one.other_answer for one in asked], rule),
        explainer.maps(other, [one.other_question.answer for one in asked], rule),
    )


@dataclass
class Differences:
    """Absolute differences of normalised maps, over all pixels of all cases: counts in the bins of EDGES, their sum,
    how many exceed FAR, and how many there are; and each case's mean."""

    counts: np.ndarray
    far: int
    means: list[float]
    pixels: int

    @property
    def mean(self) -> float:
        """Over all pixels."""
        return float(np.mean(self.means))

    @property
    def share_far(self) -> float:
        """Of pixels that changed by more than FAR."""
        return self.far / self.pixels


def nothing() -> Differences:
    """Of no cases."""
    return Differences(np.zeros(len(EDGES) - 1, dtype=np.int64), 0, [], 0)


def _add(found: Differences, one: np.ndarray, other: np.ndarray) -> None:
    moved = abs(one - other)
    found.counts += np.histogram(moved, EDGES)[0]
    found.far += int((moved > FAR).sum())
    found.means += moved.mean(axis=(1, 2)).tolist()
    found.pixels += moved.size


@dataclass
class Outcome:
    """Of one rule: differences for another answer and another question; accuracies by kind and ground truth, pairs of
    mass and rank accuracy, with the mask's share of the image."""

    other_answer: Differences
    other_question: Differences
    truth: dict[tuple[str, str], list[tuple[float, float, float]]]

    @staticmethod
    def of_nothing() -> Outcome:
        """Before anything is measured."""
        return Outcome(nothing(), nothing(), {})


def add(outcome: Outcome, explainer: Explainer, asked: Sequence[Asked], rule: str) -> Iterator[int]:
    """Measure part after part into the outcome; how many cases it has, after each."""
    for start in range(0, len(asked), PART):
        part = asked[start : start + PART]
        maps = explained(explainer, part, rule)
        same = normalised(maps.answer)
        _add(outcome.other_answer, same, normalised(maps.other_answer))
        _add(outcome.other_question, same, normalised(maps.other_question))
        for one, relevance in zip(part, maps.answer, strict=True):
            for name, mask in one.case.masks.items():
                measured = mass_accuracy(relevance, mask), rank_accuracy(relevance, mask), float(mask.mean())
                outcome.truth.setdefault((one.case.kind, name), []).append(measured)
        yield start + len(part)


RULES = (LRP, CONTROL)
