"""Claims that rest on places and relevances: c5, c6, nonpositive_bias, conservation."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from dtdsym.checker.place import HEAD, INSIDE, NO_ROOT, check_place
from dtdsym.checker.reading import Refused, index, items, keys, number, record, text
from dtdsym.checker.subject import View

LEAVES = ("boundary", "same_gradient_elsewhere", "outside")
EQUAL = (*INSIDE, "same_gradient_elsewhere")
Body = Callable[[dict[str, Any], View, str, dict[str, Any]], None]


def claim(body: Body, *, of_a_rule: bool) -> Callable[[dict[str, Any], View], str]:
    """A checker of a claim's lines: the head, then what the body checks of the verdict and its evidence."""

    def check(line: dict[str, Any], view: View) -> str:
        keys(line, *HEAD, *(("rule", "root") if of_a_rule else ()), "verdict", "evidence")
        verdict = text(line["verdict"], "verdict")
        if verdict not in ("proved", "refuted"):
            raise Refused("a verdict is proved or refuted")
        if of_a_rule and line["root"] not in ("relevance", "hinge"):
            raise Refused("root: neither relevance nor hinge")
        view.layer(line["layer"])
        body(line, view, verdict, record(line["evidence"], "evidence"))
        return f"{line['claim']} {verdict}"

    return check


def _placed(line: dict[str, Any], view: View, neuron: int, entry: dict[str, Any], what: str) -> str:
    """The place of a neuron's root, checked."""
    name = text(entry["place"], f"{what}: place")
    p = view.root(line["layer"], line["rule"], line["root"], neuron)
    check_place(view.home(line["layer"]), p, name, record(entry["evidence"], f"{what}: evidence"))
    return name


def _all_placed(line: dict[str, Any], view: View, roots: Any) -> list[str]:
    layer = view.layer(line["layer"])
    entries = items(roots, "roots", len(layer.rows))
    names = []
    for neuron, entry in enumerate(entries):
        keys(record(entry, f"roots[{neuron}]"), "place", "evidence")
        names.append(_placed(line, view, neuron, entry, f"roots[{neuron}]"))
    return names


def _c5(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    if verdict == "refuted":
        keys(evidence, "roots")
        if any(name in LEAVES for name in _all_placed(line, view, evidence["roots"])):
            raise Refused("a root leaves the region")
        return
    keys(evidence, "neuron", "place", "evidence")
    neuron = index(evidence["neuron"], len(view.layer(line["layer"]).rows), "neuron")
    if _placed(line, view, neuron, evidence, "evidence") not in LEAVES:
        raise Refused("this root does not leave the region")


def _c6(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    keys(evidence, "roots", "equal_gradient", "equal_output")
    names = _all_placed(line, view, evidence["roots"])
    home, outputs = view.home(line["layer"]), 0
    for neuron, name in enumerate(names):
        p = None if name == NO_ROOT else view.root(line["layer"], line["rule"], line["root"], neuron)
        outputs += p is not None and home.plain.output(p) == home.plain.output(home.a)
    equal = sum(name in EQUAL for name in names)
    if index(evidence["equal_gradient"], None, "equal_gradient") != equal:
        raise Refused(f"{equal} roots have the input's gradient")
    if index(evidence["equal_output"], None, "equal_output") != outputs:
        raise Refused(f"{outputs} roots have the input's output")
    if (equal < len(names)) != (verdict == "proved"):
        raise Refused("the places say the contrary")


def _nonpositive_bias(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    home = view.home(line["layer"])
    if "theorem" in evidence:
        keys(evidence, "theorem", maybe=("input_cones",))
        if evidence["theorem"] is not True or verdict != "proved" or not _theorem(view, home.function.start):
            raise Refused("the theorem on non-positive biases does not say so")
        home.gradient(evidence.get("input_cones"))
        return
    keys(evidence, "place", "evidence")
    name = text(evidence["place"], "place")
    check_place(home, (Fraction(0),) * len(home.a), name, record(evidence["evidence"], "evidence"))
    if (name in INSIDE) != (verdict == "refuted"):
        raise Refused("the place says the contrary")


def _theorem(view: View, start: int) -> bool:
    """Its premises: a chain of layers, each with a ReLU, no bias above 0, and a positive output."""
    nodes = view.network.nodes
    kinds = {node.kind for node in nodes[start + 1 :]}
    chain = all(node.sources == (i - 1,) for i, node in enumerate(nodes) if i)
    layers = [layer for layer in view.layers.values() if layer.output > start]
    # Above a layer's input stand layers and ReLUs in turn; a ReLU more than there must be changes nothing.
    paired = kinds <= {"Linear", "Relu"} and all(layer.rectified for layer in layers)
    biases = all(bias <= 0 for layer in layers for _, _, bias in layer.rows)
    return chain and paired and biases and view.output > 0


def _conservation(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    keys(evidence, "sum")
    _, relevance = view.relevance(line["rule"], 0)
    total = sum(relevance[0], Fraction(0))
    if number(evidence["sum"], "sum") != total:
        raise Refused("the relevance adds up to another number")
    if (total == view.output) != (verdict == "proved"):
        raise Refused("the sum says the contrary")


CLAIMS = {
    "c5": claim(_c5, of_a_rule=True),
    "c6": claim(_c6, of_a_rule=True),
    "nonpositive_bias": claim(_nonpositive_bias, of_a_rule=False),
    "conservation": claim(_conservation, of_a_rule=True),
}
