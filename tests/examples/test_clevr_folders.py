"""The loaders of real data, on small folders that are laid out as CLEVR and CLEVR-XAI are."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from relation_network import figures, stages, train
from relation_network.clevr import Clevr, LayoutError, kind_of, words_of, xai_cases
from relation_network.model import RelationNetwork, Sizes, save
from relation_network.vocabulary import ANSWERS

image = pytest.importorskip("PIL.Image")

ASKED = (
    ("Are there any red cubes?", "yes", ["scene", "filter_color", "exist"]),
    ("What color is the large ball?", "green", ["scene", "unique", "query_color"]),
    ("How many things are there?", "3", ["scene", "count"]),
    ("Are there fewer cubes than balls?", "no", ["scene", "less_than"]),
    ("Do the cubes have the same size?", "no", ["scene", "equal_size"]),
)


def questions(names, **more):
    return [
        {"image_filename": name, "question": words, "answer": answer, "question_index": number,
         "program": [{"function": step} for step in program], **more}
        for number, (name, (words, answer, program)) in enumerate((n, asked) for n in names for asked in ASKED)
    ]  # fmt: skip


def picture(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.new("RGBA", (48, 32), colour).save(path)


@pytest.fixture
def clevr(tmp_path):
    """Two images of two splits, with five questions each."""
    root = tmp_path / "CLEVR_v1.0"
    (root / "questions").mkdir(parents=True)
    for split in ("train", "val"):
        names = [f"CLEVR_{split}_00000{n}.png" for n in range(2)]
        for name, colour in zip(names, ((255, 0, 0, 255), (0, 0, 255, 255)), strict=True):
            picture(root / "images" / split / name, colour)
        (root / "questions" / f"CLEVR_{split}_questions.json").write_text(json.dumps({"questions": questions(names)}))
    return root


@pytest.fixture
def xai(tmp_path):
    root = tmp_path / "CLEVR-XAI"
    name = "CLEVR_unique_000000.png"
    picture(root / "images" / name, (9, 9, 9, 255))
    (root / "CLEVR-XAI_simple_questions.json").write_text(json.dumps({"questions": questions([name])}))
    folder = root / "ground_truth_simple_questions_single_object"
    folder.mkdir()
    mask = np.zeros((32, 48), dtype=bool)
    mask[5, 40] = True
    for number in range(4):
        np.save(folder / f"{number}.npy", mask)
    return root


def test_clevr_is_read_as_the_network_takes_it(clevr):
    data = Clevr(clevr, "train")
    assert data.vocabulary[0] == ""
    assert {"red", "fewer", "ball"} < set(data.vocabulary)
    batch = data.batch(sorted(data.asked), data.vocabulary, side=16)
    assert batch.images.shape == (2, 3, 16, 16)
    assert batch.images[0, :, 8, 8].tolist() == [255, 0, 0]
    assert batch.tokens.shape[:2] == batch.answers.shape == (2, 10)
    assert [ANSWERS[n] for n in batch.answers[1, :5]] == ["yes", "green", "3", "no", "no"]
    said = [data.vocabulary[n] for n in batch.tokens[0, 1] if n]
    assert said == ["what", "color", "is", "the", "large", "ball"]


def test_kinds_are_clevrs():
    assert [kind_of([{"function": step} for step in program]) for _, _, program in ASKED] == [
        "exist", "query color", "count", "compare integer", "compare attribute",
    ]  # fmt: skip
    assert kind_of([{"type": "equal_integer"}]) == "compare integer"
    assert words_of("Is it red; or not?").split() == ["is", "it", "red", "or", "not"]


def test_masks_of_clevr_xai_are_scaled_and_kept_whole(xai):
    cases = list(xai_cases(xai, "simple", 8, count=1))
    assert len(cases) == 5
    assert cases[0].image.shape == (8, 8, 3)
    assert np.argwhere(cases[0].masks["single_object"]).tolist() == [[1, 6]]
    assert cases[4].masks == {}


@pytest.mark.parametrize("missing", ["questions/CLEVR_val_questions.json", "images/val/CLEVR_val_000000.png"])
def test_what_is_missing_is_named_with_the_layout(clevr, missing):
    (clevr / missing).unlink()
    with pytest.raises(LayoutError, match=r"is not there.*images") as caught:
        list(Clevr(clevr, "val").cases(16, 2))
    assert str(clevr / missing) in str(caught.value)


def test_missing_ground_truths_are_named(xai):
    (xai / "ground_truth_simple_questions_single_object").rename(xai / "elsewhere")
    with pytest.raises(LayoutError, match="ground_truth_simple_questions_KIND"):
        list(xai_cases(xai, "simple", 8, 1))


def test_a_missing_folder_ends_the_command_in_one_line(tmp_path, monkeypatch, capsys):
    save(RelationNetwork(Sizes(("",), image=16, strides=(2,), g=(4,), f=(4,))), tmp_path / "tiny.pt")
    command = ["figures", "--checkpoint", str(tmp_path / "tiny.pt"), "--clevr", str(tmp_path / "nowhere")]
    monkeypatch.setattr(sys, "argv", command)
    assert figures.main() == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "CLEVR_v1.0/{images,questions,scenes}" in said


def test_the_network_trains_on_clevrs_folder(clevr, tmp_path):
    """The paper's network on real data needs but the folder: here a narrow one, on two images."""
    data = Clevr(clevr, "train")
    plan = stages.clevr_plan(stages.Plan(scenes=2, questions=3, pool=2, chapter=2, rate=1e-2), steps=40)
    sizes = Sizes(
        data.vocabulary, image=16, strides=(2,), channels=4, embedding=4, question=8, g=(8,), f=(8,), scale=8.0
    )
    trainer = train.Trainer(plan, sizes, stages.clevr_pool(data, sizes, plan))
    losses = [trainer.advance() for _ in range(40)]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert torch.isfinite(torch.tensor(losses)).all()
