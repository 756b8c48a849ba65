"""Figure 1 of the paper, from exact geometry: the linear regions of a small ReLU network, with non-positive and with
unrestricted biases.

    python examples/figure1.py [OUT.svg|.pdf|.png ...]

Three linear layers with ReLUs, 2 inputs, 10 hidden neurons, torch's default initialisation with seed 30; for the left
panel every bias b became -|b|. Every cell is an exact polygon: no point was sampled. Marked in each panel are one input
with its linear region, and in the inset, which magnifies its surroundings, the Taylor root points that four rules take
for the first layer's neurons. Seed and input were chosen so that both panels show every place: roots inside the region,
outside it, and the input itself. With non-positive biases the origin, the root of LRP-0, can never lie in the region of
an input with f(x) > 0. Needs matplotlib.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import nn

import dtdsym
from dtdsym.report.region_plot import describe, draw_regions, plotting, region_colours, save

SEED = 30
INPUT = (Fraction(17, 16), Fraction(5, 2))
BOX = [(-3, 3), (-3, 3)]
FLAT = (-2.9, 0.05)  # where the panels say that the function is 0 there
RULES = {"lrp0": "LRP-0", "w2": "w²", "gamma:1": "γ = 1", "zplus": "z⁺"}


def network(*, non_positive: bool) -> dtdsym.Network:
    """The network of one panel."""
    torch.manual_seed(SEED)
    layers = [nn.Linear(2, 10), nn.Linear(10, 10), nn.Linear(10, 1)]
    with torch.no_grad():
        for layer in layers:
            if non_positive:
                layer.bias.copy_(-layer.bias.abs())
    module = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
    return dtdsym.from_module(module, torch.zeros(1, 2))


def root_points(net: dtdsym.Network) -> list[tuple[str, str, tuple[Fraction, ...]]]:
    """(rule, place, root) of all rules and all first-layer neurons that have one."""
    found = []
    for rule, name in RULES.items():
        for root in dtdsym.roots(net, INPUT, rule=rule):
            if not isinstance(root, dtdsym.NoRoot):
                found.append((name, dtdsym.place(net, INPUT, root).name, tuple(root)))
    return found


def draw_inset(axes: Any, net: dtdsym.Network, found: dtdsym.Arrangement, roots: list[Any]) -> None:
    """Magnify the input's surroundings, as far as its roots other than the origin lie, in the tints of the panel."""
    away = [abs(a - b) for _, _, root in roots if any(root) for a, b in zip(root, INPUT, strict=True)]
    side = max(away) * Fraction(9, 8)
    near = dtdsym.arrangement(net, box=[(entry - side, entry + side) for entry in INPUT], logit=0)
    colours = region_colours(found)
    shown = [colours[found.region_of[found.cell_at(near.cells[cells[0]].point).number]] for cells in near.regions]
    inset = axes.inset_axes([0.02, 0.02, 0.46, 0.46], zorder=9)
    draw_regions(inset, near, arrows=False, x=INPUT, roots=roots, colours=shown)
    inset.set(xticks=[], yticks=[], xlabel="", ylabel="")
    inset.spines[:].set_linewidth(1.2)
    corner = [float(entry - side) for entry in INPUT]
    axes.add_patch(plotting().Rectangle(corner, *[float(2 * side)] * 2, fill=False, linewidth=1.2, zorder=5))
    axes.text(*corner, "inset ", fontsize=7, ha="right", va="bottom", zorder=5)


def draw(paths: list[str]) -> None:
    """Both panels, side by side."""
    pyplot = plotting()
    with pyplot.rc_context({"svg.hashsalt": "dtdsym", "svg.fonttype": "path", "mathtext.fontset": "cm"}):
        figure, panels = pyplot.subplots(1, 2, figsize=(9.6, 5.2), dpi=125, layout="constrained", sharey=True)
        handles = {}
        for axes, non_positive in zip(panels, (True, False), strict=True):
            net = network(non_positive=non_positive)
            found = dtdsym.arrangement(net, box=BOX, logit=0)
            roots = root_points(net)
            draw_regions(axes, found, x=INPUT, roots=[entry for entry in roots if entry[0] == "LRP-0"])
            axes.scatter(0, 0, s=26, facecolor="white", edgecolor="black", linewidth=1.1, zorder=5, label="origin")
            kind = "(a) non-positive biases" if non_positive else "(b) unrestricted biases"
            axes.set_title(f"{kind}: {describe(found)}", fontsize=8.5)
            axes.text(*FLAT, "$f=0$, gradient 0", fontsize=8)
            draw_inset(axes, net, found, roots)
            for part in (axes, *axes.child_axes):
                handles.update(zip(*reversed(part.get_legend_handles_labels()), strict=True))
        panels[1].set_ylabel("")
        handles.pop("gradient 0")  # said in words where its dot is hidden by the inset
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=5, fontsize=7.5, frameon=False,
            columnspacing=1.4, handletextpad=0.5,
        )  # fmt: skip
        for path in paths:
            save(figure, path)
        pyplot.close(figure)


if __name__ == "__main__":
    draw(sys.argv[1:] or [str(Path(__file__).with_suffix(suffix)) for suffix in (".svg", ".png")])
