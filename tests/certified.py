"""Certificate lines of what the engine decides, and what the checker says of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dtdsym.arithmetic.rational import vector
from dtdsym.certificate.claims import claim_line
from dtdsym.certificate.lines import hash_of, input_line, point, written
from dtdsym.certificate.nearest import nearest_line
from dtdsym.certificate.network import network_hash, network_line
from dtdsym.certificate.place import Witness
from dtdsym.checker.__main__ import Checker
from dtdsym.claims.decide import OF_A_RULE, ask
from dtdsym.claims.decide import answer as decide_claim
from dtdsym.errors import NoRoot, OnHinge, RuleError
from dtdsym.geometry.budget import Budget
from dtdsym.geometry.component import Component
from dtdsym.geometry.placement import place_in
from dtdsym.network.slice import slice_at
from dtdsym.relevance.composite import parse
from dtdsym.relevance.nearest_root import Nearest, nearest_root
from dtdsym.relevance.root import roots

RULES = ("zplus", "w2", "lrp0", "gamma:1", "epsilon:1/8", "alpha_beta", "flat", "x", "zbox:-7:7", "pinv")
"""One of every family that checkers derive again."""


def certificates(
    network: Any,
    x: Sequence[Any],
    *,
    points: Iterable[Sequence[Any]] = (),
    rules: Iterable[str] = (),
    root: str = "relevance",
    logit: int = 0,
    layers: Iterable[int] | None = None,
) -> list[str]:
    """The lines about points of layer 1's input space, and about the roots of rules at all layers. Raises OnHinge where
    F_1 bends at x; layers whose function bends there have no lines."""
    exact = list(vector(x, size=network.sizes[0], name="x"))
    head = {"network": network_hash(network), "input": hash_of(point(exact)), "logit": logit}
    lines = [network_line(network), input_line(network, exact)]
    for other in points:
        place, evidence = placed(network, x, vector(other, size=network.sizes[0], name="other"), logit, 1)
        own = {"layer": 1, "point": point(vector(other, size=network.sizes[0], name="other"))}
        lines.append({"claim": "place", **head, **own, "place": place, "evidence": evidence})
    for layer in layers or range(1, len(network.layers) + 1) if rules else ():
        for rule in rules:
            try:
                found = roots(network, x, rule=rule, logit=logit, layer=layer, root=root)
            except RuleError:
                continue
            for neuron, own_root in enumerate(found):
                try:
                    place, evidence = placed(network, x, own_root, logit, layer)
                except OnHinge:
                    break
                own = {"layer": layer, "rule": rule, "root": root, "neuron": neuron}
                lines.append({"claim": "place", **head, **own, "place": place, "evidence": evidence})
    return [written(line) for line in lines]


def placed(network: Any, x: Any, other: Any, logit: int, layer: int) -> tuple[str, dict[str, Any]]:
    """A point's place, with its evidence."""
    if isinstance(other, NoRoot):
        return "no_root", {}
    function, a = slice_at(network, x, logit=logit, layer=layer)
    home = Component(function, a, Budget())
    p = vector(other, size=function.size, name="other")
    found = place_in(home, p, Budget())
    return found.name, Witness(home).evidence(p, found, Budget().start())


def said(lines: Iterable[str]) -> list[tuple[int, bool, str]]:
    """The checker's answers."""
    return list(Checker().answers(enumerate((line.rstrip("\n") for line in lines), start=1)))


def lines_of(path: Path) -> list[str]:
    """Of a file."""
    return path.read_text().splitlines(keepends=True)


def refusals(lines: Sequence[str]) -> list[str]:
    """What the checker refuses, "line N: refused: ..."; every claim is answered."""
    answers = said(lines)
    assert len(answers) >= sum('"claim"' in line for line in lines)
    return [told for _, good, told in answers if not good]


def claims_of(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The claims among the lines."""
    return [line for line in map(json.loads, lines) if "claim" in line]


def claim_lines(network: Any, x: Any, claims: Iterable[str], rules: Iterable[str], **asked: Any) -> list[str]:
    """The lines of claims that are decided, after those of the network and the input; layers whose function bends there
    have none."""
    exact = list(vector(x, size=network.sizes[0], name="x"))
    lines: list[dict[str, Any]] = [network_line(network), input_line(network, exact)]
    for layer in range(1, len(network.layers) + 1):
        for claim in claims:
            for rule in rules if claim in OF_A_RULE else ["zplus"]:
                question = ask(network, x, 0, layer, parse(rule), "relevance", Budget())
                question = replace(question, **asked)
                try:
                    line = claim_line(question, decide_claim(claim, question))
                except OnHinge:
                    continue
                lines += [line] if line is not None else []
    return [written(line) for line in lines]


def nearest_lines(network: Any, x: Any, neuron: int | None = None, **asked: Any) -> list[str]:
    """The line of a nearest root, of F_1 or a neuron of layer 1, after those of the network and the input."""
    exact = list(vector(x, size=network.sizes[0], name="x"))
    found = nearest_root(network, x, neuron=neuron, **asked)
    head = {"network": network_hash(network), "input": hash_of(point(exact)), "logit": 0, "layer": 1}
    own = Nearest(asked.get("norm", "l2"), asked.get("domain"))
    line = nearest_line(head, neuron, own, found, Budget().start())
    return [written(line) for line in (network_line(network), input_line(network, exact), line)]
