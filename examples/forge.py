"""Forge an explanation: roots that Deep Taylor Decomposition admits, and that explain a digit by any picture at all.

    python examples/forge.py [OUT.png]

explains why the digits network sees a digit in an image: by the z+ rule, and by Definition 3 of Deep Taylor
Decomposition with forged roots, as a heart. Every forged root is admissible, and relevance is the picture exactly, sum
included. Needs matplotlib.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import dtdsym

HERE = Path(__file__).parent
CHOSEN = 0
PICTURE = """
........
.##..##.
########
########
.######.
..####..
...##...
........
"""


def wanted(value: Fraction) -> tuple[Fraction, ...]:
    """The picture as relevance: the same on every # and none elsewhere, `value` in all."""
    inked = [mark == "#" for mark in "".join(PICTURE.split())]
    return tuple(value / sum(inked) if ink else Fraction(0) for ink in inked)


def explanations() -> tuple[np.ndarray, int, dict[str, tuple[Fraction, ...]], Sequence]:
    """The image, the digit that the network sees, and its explanations by name: two rules, and the forged one.

    `recursion` refuses roots that are not proven admissible, so that the forged one is a theorem."""
    network = dtdsym.load(HERE / "digits_mlp.pt")
    image = np.load(HERE / "digits_inputs.npy")[CHOSEN]
    logits = network(image)
    digit = max(range(10), key=logits.__getitem__)
    roots = dtdsym.forge(network, image, wanted(logits[digit]), logit=digit)
    found = {rule: tuple(dtdsym.explain(network, image, rule=rule, logit=digit)) for rule in ("zplus", "lrp0")}
    forged = dtdsym.recursion(network, image, roots, logit=digit)
    return image, digit, found | {"forged": tuple(forged)}, roots


def draw(image: np.ndarray, digit: int, found: dict[str, tuple[Fraction, ...]], path: Path) -> None:
    """The image and its explanations side by side, each on its own scale."""
    titles = {
        "zplus": "explained by the z⁺ rule",
        "lrp0": "explained by gradient × input",
        "forged": "explained by forged roots",
    }
    figure, axes = plt.subplots(1, 4, figsize=(10, 3.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    axes[0].imshow(image.reshape(8, 8), cmap="gray_r")
    axes[0].set_title(f"the network sees a {digit}", fontsize=11)
    for axis, (name, relevance) in zip(axes[1:], found.items(), strict=True):
        values = np.array([float(r) for r in relevance]).reshape(8, 8)
        limit = np.abs(values).max()
        axis.imshow(values, cmap="RdBu_r", vmin=-1.25 * limit, vmax=1.25 * limit)
        axis.set_title(titles[name], fontsize=11)
        axis.set_xlabel(f"sum {float(sum(relevance)):.4f}", fontsize=9)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_color("#999999")
    figure.suptitle(
        "Definition 3 of Deep Taylor Decomposition justifies any picture: all forged roots are admissible, exactly",
        fontsize=12,
    )
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Forge, prove, draw."""
    image, digit, found, roots = explanations()
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "forged.png"
    draw(image, digit, found, path)
    moved = max(abs(a - r) for a, r in zip(map(Fraction, image.tolist()), root_of_image(roots, image), strict=True))
    print(f"the network sees a {digit}; {len(roots)} layers of forged roots, all admissible")
    print(f"relevance is the picture exactly: {found['forged'] == wanted(sum(found['forged']))}")
    print(f"the input's root is nowhere farther than {float(moved):.1e} from the image")


def root_of_image(roots: Sequence, image: np.ndarray) -> list[Fraction]:
    """The first layer's root for this image."""
    rows = zip(roots[0].matrix, roots[0].vector, strict=True)
    pixels = [Fraction(pixel) for pixel in image.tolist()]
    return [sum((m * a for m, a in zip(row, pixels, strict=True)), c) for row, c in rows]


if __name__ == "__main__":
    main()
