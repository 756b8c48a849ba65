"""Figures 2 and 3 of the paper, the means, and ground-truth accuracies, from a checkpoint.

    python -m examples.relation_network.figures [--samples 1000] [--seed 0]
        [--clevr CLEVR_v1.0 | --clevr-xai CLEVR-XAI [--set simple|complex]] [--checkpoint FILE] [--out FOLDER]

writes figure2.png, figure3.png and results.json, and says what it found. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .cases import Case, generated
from .clevr import Clevr, LayoutError, xai_cases
from .experiment import EDGES, RULES, Asked, Maps, Outcome, accuracy, add, answers, chosen, explained
from .explain import CONTROL, LRP, Explainer, normalised
from .model import CheckpointError, load
from .samples import held_out
from .train import SHIPPED, keep_memory

HERE = Path(__file__).parent
NAMES = {LRP: "LRP-α1β0", CONTROL: "gradient × input"}
SHOWN = ("query shape", "exist", "same", "query left")


def figure2(explainer: Explainer, asked: Sequence[Asked], path: Path) -> None:
    """One row a case: image, and its three maps, normalised as they are compared."""
    pyplot = _plotting()
    maps = explained(explainer, asked, LRP)
    rows = len(asked)
    figure, panels = pyplot.subplots(rows, 4, figsize=(9.2, 2.62 * rows), dpi=100, layout="constrained", squeeze=False)
    for axes, one, *three in zip(panels, asked, *_columns(maps), strict=True):
        axes[0].imshow(one.case.image)
        axes[0].set_title(_wrapped(f"{one.case.words}?", 34), fontsize=8.5, loc="left")
        titles = (f"answer: {one.case.answer}", f"other answer: {one.other_answer}",
                  f"other question: {one.other_question.words}? {one.other_question.answer}")  # fmt: skip
        for panel, relevance, title in zip(axes[1:], three, titles, strict=True):
            drawn = panel.imshow(relevance, cmap="viridis", vmin=0, vmax=1)
            panel.set_title(_wrapped(title, 34), fontsize=8.5, loc="left")
        for panel in axes:
            panel.set(xticks=[], yticks=[])
    bar = figure.colorbar(drawn, ax=panels, location="bottom", shrink=0.4, aspect=40, pad=0.01)
    bar.set_label("LRP-α1β0 relevance, normalised to [0, 1]", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    figure.savefig(path)
    pyplot.close(figure)


def _columns(maps: Maps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return normalised(maps.answer), normalised(maps.other_answer), normalised(maps.other_question)


def figure3(outcomes: dict[str, Outcome], path: Path) -> None:
    """A histogram of absolute differences a rule, on a logarithmic scale."""
    pyplot = _plotting()
    figure, panels = pyplot.subplots(1, len(outcomes), figsize=(9.2, 3.5), dpi=100, layout="constrained", sharey=True)
    for axes, (rule, outcome) in zip(np.atleast_1d(panels), outcomes.items(), strict=True):
        for name, found, colour in (
            ("other question", outcome.other_question, "#d95f02"), ("other logit", outcome.other_answer, "#1b6ca8"),
        ):  # fmt: skip
            shares = found.counts / found.pixels
            axes.stairs(shares, EDGES, fill=True, alpha=0.35, color=colour)
            axes.stairs(shares, EDGES, color=colour, linewidth=1.4, label=f"{name}: mean {found.mean:.4f}")
        axes.set(yscale="log", xlim=(0, 1), xlabel="absolute difference of normalised maps")
        axes.set_title(NAMES[rule], fontsize=10)
        axes.legend(fontsize=8.5, frameon=False)
    np.atleast_1d(panels)[0].set_ylabel("share of pixels in bins of 1/50")
    figure.savefig(path)
    pyplot.close(figure)


def _plotting() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _wrapped(text: str, width: int) -> str:
    """In lines of at most `width` characters, cut between words."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def results(
    outcomes: dict[str, Outcome], shares: dict[str, tuple[float, float]], cases: int, seed: int
) -> dict[str, Any]:
    """All numbers, for results.json."""
    return {
        "seed": seed,
        "accuracy": {kind: _rounded(("right", "by the words alone"), found) for kind, found in shares.items()},
        "cases": cases,
        "differences": {NAMES[rule]: _differences(outcome) for rule, outcome in outcomes.items()},
        "ground truth": {NAMES[rule]: _truth(outcome) for rule, outcome in outcomes.items()},
    }


def _differences(outcome: Outcome) -> dict[str, dict[str, float]]:
    pairs = ("other logit", outcome.other_answer), ("other question", outcome.other_question)
    return {name: _rounded(("mean", "share over 1/4"), (found.mean, found.share_far)) for name, found in pairs}


def _truth(outcome: Outcome) -> dict[str, dict[str, dict[str, float]]]:
    """By ground truth, then by kind of question and for all together."""
    by_name: dict[str, dict[str, list[tuple[float, float, float]]]] = {}
    for (kind, name), measured in outcome.truth.items():
        by_name.setdefault(name, {})[kind] = measured
    return {
        name: {
            kind: _rounded(("mass", "rank", "area"), np.mean(measured, axis=0))
            for kind, measured in [*kinds.items(), ("all", [one for part in kinds.values() for one in part])]
        }
        for name, kinds in by_name.items()
    }


def _rounded(names: Sequence[str], numbers: Any) -> dict[str, float]:
    return {name: round(float(number), 5) for name, number in zip(names, numbers, strict=True)}


def shown(asked: Sequence[Asked], rows: int = 4) -> list[Asked]:
    """A case of as many kinds, those of SHOWN first; the first that the seed gives, of a scene that is not
    shown yet; none is picked by eye."""
    kinds = [kind for kind in SHOWN if any(one.case.kind == kind for one in asked)]
    kinds += [kind for kind in dict.fromkeys(one.case.kind for one in asked) if kind not in kinds]
    found: list[Asked] = []
    for kind in kinds[:rows]:
        of_kind = [one for one in asked if one.case.kind == kind]
        scenes = {one.case.scene for one in found}
        found.append(next((one for one in of_kind if one.case.scene not in scenes), of_kind[0]))
    return found


def cases_of(given: argparse.Namespace, side: int) -> list[Case]:
    """The cases that the command line asks for: enough to draw the samples from."""
    images = max(2, given.samples // 2)
    if given.clevr is not None:
        return list(Clevr(given.clevr, "val").cases(side, images))
    if given.clevr_xai is not None:
        return list(xai_cases(given.clevr_xai, given.set, side, images))
    return list(generated(held_out(images, given.seed, side)))


def main() -> int:
    """Draw and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=SHIPPED)
    parser.add_argument("--samples", type=int, default=1000, help="questions that the network answers right")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE)
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--clevr", type=Path, help="the folder CLEVR_v1.0")
    data.add_argument("--clevr-xai", type=Path, help="the folder of CLEVR-XAI")
    parser.add_argument("--set", choices=("simple", "complex"), default="simple", help="which questions of CLEVR-XAI")
    given = parser.parse_args()
    keep_memory()
    torch.manual_seed(given.seed)
    try:
        explainer = Explainer(load(given.checkpoint))
        cases = cases_of(given, explainer.model.sizes.image)
    except (CheckpointError, LayoutError) as err:
        print(err, file=sys.stderr)
        return 2
    said = answers(explainer, cases)
    asked = chosen(cases, said, given.samples, given.seed)
    figure2(explainer, shown(asked), given.out / "figure2.png")
    outcomes = {rule: Outcome.of_nothing() for rule in RULES}
    for rule, outcome in outcomes.items():
        for done in add(outcome, explainer, asked, rule):
            print(f"{NAMES[rule]}: {done} of {len(asked)}", file=sys.stderr)
    figure3(outcomes, given.out / "figure3.png")
    found = results(outcomes, accuracy(cases, said), len(asked), given.seed)
    (given.out / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
