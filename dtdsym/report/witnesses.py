"""What shows a claim, for people: the parts of its witness, each with a name; points as fractions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dtdsym.arithmetic.rational import from_text, nearest_float
from dtdsym.claims.c1 import ALL
from dtdsym.relevance.insensitivity import rounded_up
from dtdsym.report.labels import SHORT

LONGEST_NUMBER, LONGEST_ENTRY, MOST_ENTRIES, MOST_PARTS = 40, 14, 12, 10
LONGEST_JSON = 600
Part = tuple[str, str]
"""(what it is, its value)"""
RATIONAL = re.compile(r"-?\d+(/\d+)?")
NAMES: Mapping[str, Mapping[str, str]] = {
    "c1": {"point": "point with another gradient"},
    "c2": {"pattern": "activation pattern", "patterns": "activation patterns", "z3": "second opinion"},
    "c5": {"place": "place of the root", "places": "roots by place", "x": "input", "cells": "cells of the box"},
    "c6": {
        "equal_gradient": "with the input's gradient",
        "equal_output": "with the input's output",
        "no_root": "neurons without a root",
        "place": "place of the root",
    },
    "admissible_root": {"root": "zero of the function"},
    "nonpositive_bias": {
        "place": "place of the origin",
        "in_closure": "in the region's closure",
        "in_closure_of_the_inputs_cell": "in the closure of the input's cell",
        "theorem": "theorem on non-positive biases",
    },
    "assumption_1": {"neuron": "neuron whose c differs", "point": "point with another c"},
    "conservation": {"sum": "relevance of all inputs", "output": "explained logit"},
}
"""Of the keys of a claim's witness that do not say it themselves."""


def parts(claim: str, witness: Mapping[str, Any]) -> list[Part]:
    """The witness of a claim, part by part."""
    rest = dict(witness)
    own = list(_OWN[claim](rest)) if claim in _OWN else []
    names = NAMES.get(claim, {})
    return own + [(names.get(key, key.replace("_", " ")), _told(value)) for key, value in rest.items()]


def as_json(witness: Mapping[str, Any], rest: str) -> str:
    """As it stands in the report; cut where it is long, and then with the place of the rest."""
    text = json.dumps(witness)
    return text if len(text) <= LONGEST_JSON else f"{text[:LONGEST_JSON]} ... ({len(text):,} characters; {rest})"


def _together(rest: dict[str, Any]) -> Iterator[Part]:
    """C1: of all neurons together, unless it is one."""
    if rest.get("neuron") == ALL:
        del rest["neuron"]
        yield "neurons", "all that count, together"


def _roots(rest: dict[str, Any]) -> Iterator[Part]:
    """C2: one root a layer."""
    for layer, root in enumerate(rest.pop("roots", ()), start=1):
        yield f"root of layer {layer}", _told(root)


def _derivatives(rest: dict[str, Any]) -> Iterator[Part]:
    """C4: one enclosure a layer; its ends have hundreds of digits."""
    for one in rest.pop("derivatives", ()):
        low, high = from_text(one["low"]), from_text(one["high"])
        told = f"{nearest_float((low + high) / 2):.6g}, enclosed to within {nearest_float(high - low):.1g}"
        yield f"derivative of order {one['layer']} at neuron {one['neuron']} of layer {one['layer']}", told


def _bound(rest: dict[str, Any]) -> Iterator[Part]:
    """C7: the bound with what attains it, and measured changes."""
    if "l1_bound" in rest:
        yield "the map moves in L1 by at most", rounded_up(from_text(rest.pop("l1_bound")))
        how = "exact" if rest.pop("exact") else "a proven upper bound"
        yield "tau, half of that", f"{_number(rest.pop('tau'))}, {how}"
    if columns := rest.pop("columns", ()):
        yield "attained by neurons", " and ".join(map(str, columns))
    changes = rest.pop("changes", ())
    for change in changes[:MOST_PARTS]:
        pair = " and ".join(map(str, change["logits"]))
        exact = change.get("l1")
        told = f"at most {rounded_up(from_text(change['at_most']))}" if exact is None else _number(exact)
        yield f"maps of logits {pair} differ in L1 by", told
    if len(changes) > MOST_PARTS:
        yield "further pairs of logits", f"{len(changes) - MOST_PARTS:,}"


_OWN: Mapping[str, Callable[[dict[str, Any]], Iterator[Part]]] = {
    "c1": _together,
    "c2": _roots,
    "c4": _derivatives,
    "c7": _bound,
}
"""What takes parts of a witness away that are told in their own way."""


def _told(value: Any) -> str:
    """A value of any kind that witnesses have."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        return _number(value) if RATIONAL.fullmatch(value) else SHORT.get(value, value)
    if isinstance(value, Mapping) and set(value) <= set(SHORT):
        return ", ".join(f"{SHORT[name]} {times:,}" for name, times in value.items())
    if isinstance(value, list) and all(isinstance(entry, (str, int)) for entry in value):
        return _vector(value)
    return json.dumps(value)


def _vector(entries: Sequence[Any]) -> str:
    """The first entries of many."""
    shown = ", ".join(_number(str(entry), LONGEST_ENTRY) for entry in entries[:MOST_ENTRIES])
    return f"({shown})" if len(entries) <= MOST_ENTRIES else f"({shown}, ...: {len(entries):,} numbers)"


def _number(exact: str, longest: int = LONGEST_NUMBER) -> str:
    """The fraction; only its nearest float where that is shorter by far."""
    return exact if len(exact) <= longest else f"≈ {nearest_float(from_text(exact)):.6g}"
