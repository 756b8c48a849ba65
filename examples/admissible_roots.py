"""Do the roots that Deep Taylor Decomposition asks for exist at all, and how far are those that its rules take?

    python examples/admissible_roots.py [INPUTS [NETWORK INPUT_FILE]]

For the paper's network (or another one) and each layer: for what share of inputs and neurons the closed linear region
of the layer's input holds a point on the neuron's hinge, an admissible exact root, anywhere or without negative
numbers; how far the nearest is (median, largest coordinate); how far the rules' roots are, and how many are inside.
Everything is exact; what a budget of 20 seconds leaves open is counted.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import dtdsym
from dtdsym.arithmetic.rational import fractions
from dtdsym.network.slice import slice_at

HERE = Path(__file__).parent
RULES = ("zplus", "gamma:1", "w2", "lrp0")
BUDGET = dtdsym.Budget(seconds=20)


def inputs_of(network: Any, count: int) -> list[list[float]]:
    """|N(0, 1)| inputs whose logit 0 is above 0.1, as in the paper."""
    rng, found = np.random.default_rng(0), []
    while len(found) < count:
        x = np.abs(rng.normal(size=network.sizes[0])).tolist()
        found += [x] if network(x)[0] * 10 > 1 else []
    return found


def layer_table(network: Any, inputs: Sequence[Any], layer: int) -> tuple[Counter, dict[str, list[float]]]:
    """Counts of neurons' roots, and distances, over all inputs."""
    counts: Counter = Counter()
    far: dict[str, list[float]] = {name: [] for name in ("nearest", *RULES)}
    for x in inputs:
        logit = max(range(network.sizes[-1]), key=network(x).__getitem__) if network.sizes[-1] > 2 else 0
        a = input_of_layer(network, x, layer)
        size = network.logit(logit).layer(layer).size
        for neuron in range(size):
            counts["neurons"] += 1
            for domain in (None, "nonnegative"):
                asked = {"logit": logit, "layer": layer, "neuron": neuron, "domain": domain, "budget": BUDGET}
                try:
                    found = dtdsym.nearest_root(network, x, **asked)
                except (dtdsym.BudgetSpent, dtdsym.InputError, dtdsym.OnHinge):
                    counts["open"] += domain is None
                    continue
                counts[domain] += found is not None
                if found is not None and domain is None:
                    far["nearest"].append(float(found.distance))
        for rule in RULES:
            for root in dtdsym.roots(network, x, rule=rule, logit=logit, layer=layer):
                if not isinstance(root, dtdsym.NoRoot):
                    far[rule].append(float(max(abs(p - q) for p, q in zip(root, a, strict=True))))
                    place = dtdsym.place(network, x, root, logit=logit, layer=layer, budget=BUDGET)
                    counts[rule] += place.inside
    return counts, far


def input_of_layer(network: Any, x: Sequence[float], layer: int) -> tuple[Fraction, ...]:
    """a_l, what layer l receives when the network is given x."""
    return fractions(slice_at(network, x, layer=layer)[1])


def main(words: Sequence[str]) -> None:
    count = int(words[0]) if words else 10
    network = dtdsym.load(words[1] if len(words) > 1 else str(HERE / "paper_mlp.pt"))
    inputs = np.load(words[2])[:count].tolist() if len(words) > 2 else inputs_of(network, count)
    for layer in range(1, len(network.layers) + 1):
        counts, far = layer_table(network, inputs, layer)
        total = counts["neurons"]
        print(f"layer {layer}: {total} neurons at {len(inputs)} inputs, {counts['open']} left open")
        print(f"  an admissible exact root: {counts[None] / total:.1%}; a >= 0: {counts['nonnegative'] / total:.1%}")
        print(f"  the nearest: {_median(far['nearest'])} away")
        for rule in RULES:
            inside = counts[rule] / max(1, len(far[rule]))
            print(f"  {rule:8} roots: {_median(far[rule])} away, {inside:.1%} inside the region")


def _median(numbers: list[float]) -> str:
    return f"{median(numbers):.3g}" if numbers else "-"


if __name__ == "__main__":
    main(sys.argv[1:])
