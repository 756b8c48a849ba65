"""Draw the README's picture: a digit, its explanations, and where the Taylor roots behind each one lie.

    python examples/audit_picture.py [OUT.png]

audits the digits network on all its test images with the four default rules. Needs matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import dtdsym

HERE = Path(__file__).parent
RULES = {"lrp0": "LRP-0", "gamma:1": "γ = 1", "w2": "w²", "zplus": "z⁺"}
GROUPS = {
    "inside the input's linear region": ("same_cell", "same_region_segment", "same_region"),
    "the input itself (forbidden: a root must differ)": ("degenerate",),
    "outside the region": ("boundary", "same_gradient_elsewhere", "outside"),
    "no root exists": ("no_root",),
    "undecided": ("undecided",),
}
COLOURS = ("#1b7837", "#c2a5cf", "#762a83", "#bdbdbd", "#f7f7f7")
HATCHES = ("", "..", "//", "xx", "")


def draw_bars(axes: plt.Axes, report: object) -> None:
    """One stacked bar a rule: shares of its root points."""
    rows = report.roots
    left = np.zeros(len(rows))
    for (label, names), colour, hatch in zip(GROUPS.items(), COLOURS, HATCHES, strict=True):
        share = np.array([sum(row["places"][name] for name in names) / row["total"] for row in rows])
        if not share.any():
            continue
        bars = axes.barh(
            list(RULES.values()), share, left=left, color=colour, hatch=hatch, edgecolor="white", label=label
        )
        for bar, part in zip(bars, share, strict=True):
            if part > 0.04:
                text = f"{part:.0%}"
                dark = colour in ("#1b7837", "#762a83")
                box = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}
                x = bar.get_x() + bar.get_width() / 2
                y = bar.get_y() + bar.get_height() / 2
                axes.text(
                    x, y, text, ha="center", va="center", color="white" if dark else "black", fontsize=9, bbox=box
                )
        left += share
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "half", "all root points"])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=1, frameon=False, fontsize=9)


def main() -> None:
    """Audit, then draw."""
    network = dtdsym.load(HERE / "digits_mlp.pt")
    inputs = np.load(HERE / "digits_inputs.npy")
    report = dtdsym.audit(network, inputs, rules=list(RULES), domain="box:0:1")
    chosen = 0
    logit = max(range(10), key=lambda k: network(inputs[chosen])[k])
    figure = plt.figure(figsize=(9, 5.2), layout="constrained")
    grid = figure.add_gridspec(2, 5, height_ratios=(1, 1.35))
    panels = {"input": inputs[chosen]}
    for rule, label in RULES.items():
        panels[label] = np.array([float(r) for r in dtdsym.explain(network, inputs[chosen], rule=rule, logit=logit)])
    for column, (title, values) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[0, column])
        limit = np.abs(values).max()
        axes.imshow(
            values.reshape(8, 8),
            cmap="gray_r" if column == 0 else "PRGn",
            vmin=0 if column == 0 else -limit,
            vmax=limit,
        )
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    axes = figure.add_subplot(grid[1, :])
    total = report.roots[0]["total"]
    axes.set_title(
        f"Where the first layer's Taylor roots lie: {total:,} for each rule, {report.inputs.audited} images, all exact",
        fontsize=10,
        loc="left",
    )
    draw_bars(axes, report)
    figure.savefig(sys.argv[1] if len(sys.argv) > 1 else HERE / "audit.png", dpi=130)


if __name__ == "__main__":
    main()
