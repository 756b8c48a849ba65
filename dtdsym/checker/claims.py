"""Claims that rest on places and relevances: c5, c6, nonpositive_bias, conservation, assumption_1."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from dtdsym.checker.network import Layer, fractions, over_one
from dtdsym.checker.place import HEAD, INSIDE, NO_ROOT, check_place, root_of
from dtdsym.checker.reading import Refused, flag, index, items, keys, number, point, record, text
from dtdsym.checker.rules import DIRECTIONS, Rule, relevances
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
    p = root_of(view, line["layer"], line["rule"], line["root"], neuron)
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
        p = None if name == NO_ROOT else root_of(view, line["layer"], line["rule"], line["root"], neuron)
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
        if not flag(evidence["theorem"], "theorem") or verdict != "proved" or not _theorem(view, home.function.start):
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
    kinds = [node.kind for node in nodes[start + 1 :]]
    chain = all(node.sources == (i - 1,) for i, node in enumerate(nodes) if i)
    layers = [node for node in nodes[start + 1 :] if node.kind == "Linear"]
    plain = all(node.channels and not node.norm for node in layers)
    # Above a layer's input stand layers and ReLUs in turn; a ReLU more than there must be changes nothing.
    paired = all(kinds[i + 1 : i + 2] == ["Relu"] for i, kind in enumerate(kinds) if kind == "Linear")
    biases = all(bias <= 0 for node in layers for _, _, bias in node.rows)
    return chain and plain and paired and set(kinds) <= {"Linear", "Relu"} and biases and view.output > 0


def _conservation(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    keys(evidence, "sum")
    _, relevance = view.relevance(line["rule"], 0)
    total = sum(relevance[0], Fraction(0))
    if number(evidence["sum"], "sum") != total:
        raise Refused("the relevance adds up to another number")
    if (total == view.output) != (verdict == "proved"):
        raise Refused("the sum says the contrary")


def _assumption_1(line: dict[str, Any], view: View, verdict: str, evidence: dict[str, Any]) -> None:
    home = view.home(line["layer"])
    nodes, start = view.network.nodes, home.plain.start
    if any(node.sources != (i - 1,) or node.kind not in ("Linear", "Relu") for i, node in enumerate(nodes) if i):
        raise Refused("the network is no plain chain")
    if not all(home.cell(plain=True).heights(home.a).values()):
        raise Refused("the input lies on a hinge")
    rule, _ = view.relevance(line["rule"], start)
    layers = [layer for layer in view.layers.values() if layer.source >= start]
    if verdict == "proved":
        keys(evidence)
        zero = not any(home.cell(plain=True).gradient) and home.plain.output(home.a) == 0
        if not zero and not all(_divides_by_z(view, layer, rule) for layer in layers):
            raise Refused("no proof is known that c is constant")
        return
    keys(evidence, "neuron", "point")
    q = point(evidence["point"], len(home.a), "point")
    neuron = index(evidence["neuron"], len(q), "neuron")
    if any(height <= 0 for height in home.cell(plain=True).heights(q).values()):
        raise Refused("the point is not in the open cell of the input")
    there = view.network.values({start: over_one(q)})
    here = {i: view.values[i] for i in there}
    if not all(_tells(layer, rule, here, there) for layer in layers):
        raise Refused("a sign or a denominator makes the point tell nothing about the input")
    own, other = (relevances(view.network, values, rule, start)[start][neuron] for values in (here, there))
    if home.a[neuron] == 0 or own / home.a[neuron] == other / q[neuron]:
        raise Refused("c is the same there")


def _tells(layer: Layer, rule: Rule, here: dict[int, Any], there: dict[int, Any]) -> bool:
    if _signs(here[layer.source]) != _signs(there[layer.source]):
        return False
    if rule.name in ("w2", "flat", "pinv", "alpha_beta"):
        return True
    if rule.name in ("lrp0", "epsilon"):
        signs = _signs(there[layer.output])
        return signs == _signs(here[layer.output]) and 0 not in signs
    if rule.name == "zbox":
        return False
    a = fractions(there[layer.source])
    return all(any(terms) is False or sum(terms) != 0 for terms in (_terms(row, rule, a) for row in layer.rows))


def _terms(row: Any, rule: Rule, a: list[Fraction]) -> list[Fraction]:
    """The terms of w.v, up to one factor."""
    places, weights, _ = row
    return [w * a[i] * factor for i, w, factor in zip(places, weights, _factors(weights, rule), strict=True)]


def _factors(weights: list[int], rule: Rule) -> list[Fraction]:
    """m, where v = a o m."""
    more = {"x": Fraction(0), "zplus": Fraction(1), "gamma": (*rule.parameters, Fraction(0))[0]}[rule.name]
    least = Fraction(0) if rule.name == "zplus" else Fraction(1)
    return [least + more if w >= 0 else least for w in weights]


def _divides_by_z(view: View, layer: Layer, rule: Rule) -> bool:
    nodes = view.network.nodes
    z, a = view.values[layer.output][0], view.values[layer.source][0]
    bends = layer.output + 1 < len(nodes) and nodes[layer.output + 1].kind == "Relu"
    if not bends and 0 in z:
        return False
    if rule.name == "lrp0":
        return True
    if rule.name not in ("x", "zplus", "gamma") or rule.name not in DIRECTIONS:
        return False
    for value, (places, weights, bias) in zip(z, layer.rows, strict=True):
        if value > 0 or not bends:
            factors = _factors(weights, rule)
            own = {f for i, w, f in zip(places, weights, factors, strict=True) if w and (a[i] or not layer.source)}
            if bias or len(own) != 1 or own == {Fraction(0)}:
                return False
    return True


def _signs(value: Any) -> list[int]:
    return [(entry > 0) - (entry < 0) for entry in value[0]]


CLAIMS = {
    "c5": claim(_c5, of_a_rule=True),
    "c6": claim(_c6, of_a_rule=True),
    "nonpositive_bias": claim(_nonpositive_bias, of_a_rule=False),
    "conservation": claim(_conservation, of_a_rule=True),
    "assumption_1": claim(_assumption_1, of_a_rule=True),
}
