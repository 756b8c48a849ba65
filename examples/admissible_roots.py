"""Do the roots that Deep Taylor Decomposition asks for exist, and how far from them are those that its rules take?

    python examples/admissible_roots.py [INPUTS [NETWORK INPUT_FILE]]

For the paper's network and a digit classifier, or the network that is named: at each layer the share of neurons, over
inputs, that have an admissible root (a point of the closed linear region on the neuron's hinge), anywhere or
without negative numbers; how far the nearest is from the layer's input, and how far from it the rules' roots are
(medians of Euclidean distances); how many of these are inside the region or on its boundary. Then the least relevance
that sampling finds in the region, in percent of the relevance, beside the exact one; and how different the explanation
by nearest roots is from the rules', from 0 (the same picture) to 1. All but the samples is exact; what 20 seconds leave
open is counted.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

import dtdsym
from dtdsym.relevance.lowest_relevance import LowestRelevance
from dtdsym.relevance.nearest_explanation import apart
from dtdsym.relevance.nearest_root import NearestRoot

HERE = Path(__file__).parent
RULES = ("zplus", "gamma:1", "w2", "lrp0")
METHODS = ("interpolation", "metropolis")
BUDGET = dtdsym.Budget(seconds=20)
OPEN = (dtdsym.BudgetSpent, dtdsym.InputError, dtdsym.OnHinge)
Far = defaultdict[str, list[float]]


def paper_inputs(network: Any, count: int) -> list[list[float]]:
    """|N(0, 1)| inputs whose logit 0 is above 0.1, as in the paper."""
    rng, found = np.random.default_rng(0), []
    while len(found) < count:
        x = np.abs(rng.normal(size=network.sizes[0])).tolist()
        found += [x] if network(x)[0] * 10 > 1 else []
    return found


def length(one: Sequence[Fraction], other: Sequence[Fraction]) -> float:
    return float(sum((p - q) ** 2 for p, q in zip(one, other, strict=True))) ** 0.5


def neurons_at(network: Any, x: list[float], logit: int, layer: int, counts: Counter, far: Far) -> None:
    """Existing roots, and distances, for all neurons that have relevance."""
    size = network.logit(logit).layer(layer).size
    rules = {rule: dtdsym.roots(network, x, rule=rule, logit=logit, layer=layer) for rule in RULES}
    for place in range(size):
        counts["neurons"] += 1
        asked = {"logit": logit, "layer": layer, "budget": BUDGET, "neuron": place if size > 1 else logit}
        try:
            nearest = dtdsym.nearest_root(network, x, **asked)
            counts["a >= 0"] += isinstance(dtdsym.nearest_root(network, x, domain="nonnegative", **asked), NearestRoot)
        except OPEN:
            counts["open"] += 1
            continue
        for rule, roots in rules.items():
            if not isinstance(roots[place], dtdsym.NoRoot):
                counts[f"{rule} roots"] += 1
                found = dtdsym.place(network, x, roots[place], logit=logit, layer=layer, budget=BUDGET)
                counts[f"{rule} inside"] += found.inside
                counts[f"{rule} edge"] += found.name == "boundary"
                if isinstance(nearest, NearestRoot):
                    far[rule].append(length(nearest.point, roots[place]))
        if isinstance(nearest, NearestRoot):
            counts["anywhere"] += 1
            far["nearest"].append(float(nearest.distance))


def lowest_at(network: Any, x: list[float], logit: int, layer: int, far: Far) -> None:
    """The least share of F_l that is left in the region: sampled, and exactly."""
    whole = float(network(x)[logit])
    for method in METHODS:
        batch = torch.tensor([x], dtype=torch.float64)
        found = dtdsym.sample_region(network, batch, method=method, logit=logit, layer=layer, count=200)
        far[method].append(100 * float(found.relevance.min()) / whole)
    exact = dtdsym.lowest_relevance(network, x, logit=logit, layer=layer, budget=BUDGET)
    far["exact"].append(100 * float(exact.value) / whole if isinstance(exact, LowestRelevance) else -np.inf)


def study(name: str, network: Any, inputs: Sequence[list[float]]) -> Iterator[str]:
    """The lines of one network."""
    yield f"{name}: {len(inputs)} inputs"
    logits = [max(range(network.sizes[-1]), key=network(x).__getitem__) for x in inputs]
    for layer in range(1, len(network.layers) + 1):
        counts, far = Counter(), defaultdict(list)
        for x, logit in zip(inputs, logits, strict=True):
            neurons_at(network, x, logit, layer, counts, far)
            lowest_at(network, x, logit, layer, far)
        total = counts["neurons"]
        yield f"  layer {layer}: {total} neurons, {counts['open']} left open"
        share = f"{counts['anywhere'] / total:.1%}; without negative numbers {counts['a >= 0'] / total:.1%}"
        yield f"    have an admissible root: {share}; the nearest is {middle(far['nearest'])} away"
        for rule in RULES:
            inside, edge = (counts[f"{rule} {what}"] / max(1, counts[f"{rule} roots"]) for what in ("inside", "edge"))
            where = f"{inside:.1%} inside the region, {edge:.1%} on its boundary"
            yield f"    {rule:8} roots are {middle(far[rule])} from it; {where}"
        sampled = ", ".join(f"{method} {least(far[method])}" for method in (*METHODS, "exact"))
        yield f"    lowest relevance in the region: {sampled}"
    distances: Far = defaultdict(list)
    for x, logit in zip(inputs, logits, strict=True):
        own = dtdsym.explain_by_nearest_roots(network, x, logit=logit, budget=BUDGET).relevance
        for rule in RULES:
            distance = apart(own, dtdsym.explain(network, x, rule=rule, logit=logit))
            distances[rule] += [] if distance is None else [float(distance)]
    told = ", ".join(f"{rule} {middle(distances[rule])}" for rule in RULES)
    yield f"  explanations differ from that by nearest roots by: {told}"


def middle(numbers: list[float]) -> str:
    return f"{median(numbers):.3g}" if numbers else "-"


def least(numbers: list[float]) -> str:
    """A median in percent."""
    return "without bound" if median(numbers) == -np.inf else f"{median(numbers):,.1f} %"


def main(words: Sequence[str]) -> None:
    count = int(words[0]) if words else 5
    if len(words) > 1:
        studies = [(words[1], np.load(words[2])[:count].tolist())]
    else:
        paper = str(HERE / "paper_mlp.pt")
        digits = np.load(HERE / "digits_inputs.npy")[:count].tolist()
        studies = [(paper, paper_inputs(dtdsym.load(paper), count)), (str(HERE / "digits_mlp.pt"), digits)]
    for path, inputs in studies:
        for line in study(Path(path).name, dtdsym.load(path), inputs):
            print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
