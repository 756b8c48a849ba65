"""Real data, where you have it: CLEVR v1.0 (Johnson et al. 2017) and CLEVR-XAI v1.0 (Arras et al. 2022).

Nothing is downloaded. The folders must be as their authors packed them:

    CLEVR_v1.0/                                     https://cs.stanford.edu/people/jcjohns/clevr/
        images/{train,val,test}/CLEVR_train_000000.png ...
        questions/CLEVR_{train,val,test}_questions.json
        scenes/CLEVR_{train,val}_scenes.json        (not read)

    CLEVR-XAI/                                      https://github.com/ahmedmagdiosman/clevr-xai/releases
        CLEVR-XAI_simple_questions.json, CLEVR-XAI_complex_questions.json
        images/CLEVR_unique_000000.png ...
        ground_truth_simple_questions_single_object/0.npy ...   (and the other folders ground_truth_..., by name)
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .cases import Case
from .samples import Batch, padded
from .vocabulary import ANSWERS

CLEVR = "CLEVR_v1.0/{images,questions,scenes}, with images/SPLIT/*.png and questions/CLEVR_SPLIT_questions.json"
XAI = (
    "CLEVR-XAI_SET_questions.json, images/*.png and ground_truth_SET_questions_KIND/NUMBER.npy, "
    "SET being simple or complex"
)
LONGEST = 48  # words; CLEVR's longest question has 43


class LayoutError(ValueError):
    """The data is not where it should be."""


def words_of(question: str) -> str:
    """Lower case, without punctuation: what the vocabulary counts as words."""
    return re.sub(r"[^a-z0-9 ]+", " ", question.lower())


def kind_of(program: Sequence[dict[str, Any]]) -> str:
    """CLEVR's question type, by the last step of the program."""
    last = program[-1].get("function") or program[-1]["type"]
    match last.split("_")[0]:
        case "equal" if last != "equal_integer":
            return "compare attribute"
        case "equal" | "less" | "greater":
            return "compare integer"
        case _:
            return last.replace("_", " ")


class Clevr:
    """Questions of one split, by image."""

    def __init__(self, root: Path, split: str) -> None:
        self.images = root / "images" / split
        asked = _json(root / "questions" / f"CLEVR_{split}_questions.json", root, CLEVR)["questions"]
        if not self.images.is_dir():
            raise LayoutError(f"{self.images} is not there; expected {CLEVR}")
        if not asked or "answer" not in asked[0]:
            raise LayoutError(f"split {split!r} has no answers; use train or val")
        self.asked: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for question in asked:
            self.asked[question["image_filename"]].append(question)
        self.kinds = tuple(sorted({kind_of(question["program"]) for question in asked}))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word, the padding first."""
        asked = (question["question"] for questions in self.asked.values() for question in questions)
        return ("", *sorted({word for question in asked for word in words_of(question).split()}))

    def batch(self, names: Sequence[str], vocabulary: Sequence[str], side: int, questions: int = 10) -> Batch:
        """Some images with `questions` questions each, repeated where an image has fewer."""
        chosen = [(self.asked[name] * questions)[:questions] for name in names]
        numbers = {word: number for number, word in enumerate(vocabulary)}
        return Batch(
            torch.stack([torch.tensor(picture(self.images / name, side)).permute(2, 0, 1) for name in names]),
            torch.tensor([[padded(words_of(q["question"]), numbers, LONGEST) for q in part] for part in chosen]),
            torch.tensor([[ANSWERS.index(q["answer"]) for q in part] for part in chosen]),
            torch.tensor([[self.kinds.index(kind_of(q["program"])) for q in part] for part in chosen]),
        )

    def cases(self, side: int, count: int) -> Iterator[Case]:
        """Questions of `count` images; CLEVR has no masks."""
        for name in sorted(self.asked)[:count]:
            for question in self.asked[name]:
                yield _case(question, picture(self.images / name, side), name, {})


def xai_cases(root: Path, part: str, side: int, count: int) -> Iterator[Case]:
    """The questions of CLEVR-XAI's first `count` images; part: "simple" or "complex"."""
    asked = _json(root / f"CLEVR-XAI_{part}_questions.json", root, XAI)["questions"]
    prefix = f"ground_truth_{part}_questions_"
    folders = sorted(folder for folder in root.glob(f"{prefix}*") if folder.is_dir())
    if not folders:
        raise LayoutError(f"{root} has no folder {prefix}KIND; expected {XAI}")
    names = sorted({question["image_filename"] for question in asked})[:count]
    for number, question in enumerate(asked):
        if question["image_filename"] not in names:
            continue
        place = question.get("question_index", number)
        masks = {
            folder.name.removeprefix(prefix): _mask(folder / f"{place}.npy", side)
            for folder in folders
            if (folder / f"{place}.npy").exists()  # where a question's mask is empty, CLEVR-XAI has none
        }
        image = picture(root / "images" / question["image_filename"], side)
        yield _case(question, image, question["image_filename"], masks)


def picture(path: Path, side: int) -> np.ndarray:
    """(side, side, 3) uint8, scaled. Raises LayoutError if it is not there."""
    from PIL import Image

    if not path.exists():
        raise LayoutError(f"{path} is not there; expected images/ as the data's authors packed it")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))


def _mask(path: Path, side: int) -> np.ndarray:
    """(side, side) boolean: a pixel is inside if any of the pixels that it stands for is."""
    mask = torch.from_numpy(np.load(path) != 0).float()[None, None]
    return torch.nn.functional.adaptive_max_pool2d(mask, side)[0, 0].numpy() > 0


def _case(question: dict[str, Any], image: np.ndarray, scene: str, masks: dict[str, np.ndarray]) -> Case:
    return Case(image, words_of(question["question"]), question["answer"], kind_of(question["program"]), scene, masks)


def _json(path: Path, root: Path, layout: str) -> dict[str, Any]:
    if not path.is_file():
        raise LayoutError(f"{path} is not there; {root} must hold {layout}")
    return json.loads(path.read_text())
