"""Every field of every kind of certificate, changed in turn, is refused with its reason, never by a traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from certified import certificates, claim_lines, nearest_lines, refusals
from networks import EVIDENCE, SEPARATIONS, sequential

from dtdsym.claims.decide import CLAIMS

OTHER_PLACES = (
    "no_root", "degenerate", "same_cell", "same_region_segment", "same_region", "boundary", "same_gradient_elsewhere",
    "outside", "somewhere", "undecided",
)  # fmt: skip


SHARED = sequential(([[1, 2], [3, 1], [1, -2]], [0, 1, 0]), ([[1, 1, 2], [2, 1, 1]], [0, 0]), ([[1, 1]], [0]))
"""a_2 = (4, 8, 0): the third neuron carries nothing under z+."""


def kinds() -> dict[str, list[str]]:
    """One file for every place and every kind of evidence."""
    found = {
        name: certificates(example.network, example.x, points=[example.other])
        for name, example in {**SEPARATIONS, **EVIDENCE}.items()
    }
    example = SEPARATIONS["same component, segment leaves it: [[x1] - [x1-x2]]"]
    found["roots of rules"] = certificates(example.network, example.x, rules=["zplus", "w2", "gamma:1", "lrp0", "pinv"])
    no_root = sequential(([[1, -2]], [3]), final_relu=True)  # w.v = 0 along gamma's v = (2, 1)
    found["no root"] = certificates(no_root, (1, 1), rules=["gamma:1"])
    two = sequential(([[1, -1], [0, 1]], [0, 1]), ([[1, 1]], [0]))
    bent = sequential(([[1, 0], [1, -1]], [0, 0]), ([[1, -1]], [0]))
    split = sequential(([[1, 2], [1, 0], [1, 0]], [0, -2, -2]), ([[1, 1, -1]], [0]))
    doubled = sequential(([[1], [1], [1]], [0, -2, -2]), ([[1, 1, -1]], [0]))
    chain = sequential(([[1]], [0]), ([[1]], [0]))
    for name, lines in {
        "c1 refuted": claim_lines(two, (3, 1), ["c1"], []),
        "c1 proved": claim_lines(chain, (1,), ["c1"], []),
        "c2": claim_lines(two, (3, 1), ["c2"], []),
        "c3 proved": claim_lines(two, (3, 1), ["c3"], [], target=(Fraction(-5), Fraction(9, 2))),
        "c3 refuted": claim_lines(sequential(([[1, 0]], [0]), ([[1]], [0])), (1, 1), ["c3"], [], target=(0, 3)),
        "c4": claim_lines(two, (3, 1), ["c4"], []),
        "c5": claim_lines(bent, (3, -1), ["c5"], ["w2", "lrp0"]),
        "c6": claim_lines(bent, (3, -1), ["c6"], ["w2", "lrp0"]),
        "c7": claim_lines(SHARED, (2, 1), ["c7"], ["zplus", "w2", "zbox:-1:5"]),
        "nonpositive_bias": claim_lines(bent, (3, -1), ["nonpositive_bias"], []),
        "conservation": claim_lines(two, (3, 1), ["conservation"], ["w2", "lrp0"]),
        "admissible_root": claim_lines(bent, (3, -1), ["admissible_root"], []),
        "no admissible_root": claim_lines(sequential(([[1]], [0]), ([[1]], [1])), (2,), ["admissible_root"], []),
        "nearest_root in l2": nearest_lines(bent, (3, 1)),
        "nearest_root in l1 of a neuron": nearest_lines(two, (3, 1), 0, norm="l1"),
        "nearest_root in linf from 0 on": nearest_lines(two, (3, 1), 1, norm="linf", domain="nonnegative"),
        "nearest_root in a cell": nearest_lines(two, (3, 1), 0, within="cell"),
        "nearest_root over two cells": nearest_lines(split, (3, 1), domain="nonnegative"),
        "no nearest_root": nearest_lines(doubled, (3,), within="cell"),
        "no nearest_root from 0 on": nearest_lines(sequential(([[1]], [1])), (3,), domain="nonnegative"),
        "assumption_1": claim_lines(two, (3, 1), ["assumption_1"], ["w2", "lrp0", "zbox:-1:5"]),
    }.items():
        found[name] = lines
    return found


KINDS = kinds()


def mutations(line: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what was changed, the line with that change)."""
    for path, value in list(leaves(line)):
        for name, other in changed(path, value):
            mutant = copy.deepcopy(line)
            parent = mutant
            for key in path[:-1]:
                parent = parent[key]
            if other is REMOVED:
                del parent[path[-1]]
            else:
                parent[path[-1]] = other
            yield f"{'.'.join(map(str, path))}: {name}", mutant
    for path, value in list(objects(line)):
        mutant = copy.deepcopy(line)
        parent = mutant
        for key in path:
            parent = parent[key]
        parent["more"] = value and 1
        yield f"{'.'.join(map(str, path))}: a key more", mutant


REMOVED = object()


def changed(path: tuple, value: Any) -> Iterator[tuple[str, Any]]:
    yield "removed", REMOVED
    if value is not None:
        yield "null", None
    yield "wrong kind", {} if not isinstance(value, dict) else []
    if isinstance(value, str) and value.lstrip("-").replace("/", "").isdigit():
        yield "sign", value[1:] if value.startswith("-") else "-" + value
        yield "not in lowest terms", f"{value}/1"
        yield "huge", "9" * 300_000
        yield "no number", "NaN"
        yield "a float", 0.5
    elif isinstance(value, str) and set(value) <= set("+-0") and value:
        yield "bit", ("-" if value[0] != "-" else "+") + value[1:]
        yield "bit to 0", "0" + value[1:] if value[0] != "0" else "+" + value[1:]
        yield "shorter", value[1:]
        yield "longer", value + "+"
    elif isinstance(value, int) and not isinstance(value, bool):
        yield "negative", -1 - value
        yield "out of range", 10**9
        yield "huge", 10**30
    elif isinstance(value, list) and len(value) > 1 and value[0] != value[-1]:
        yield "permuted", value[::-1]
    if isinstance(value, list) and value:
        yield "one dropped", value[1:]
        yield "one twice", [value[0], *value]
    if path[-1] in ("network", "input"):
        yield "another hash", "0" * 64
    if path[-1] == "place":
        yield from ((name, name) for name in OTHER_PLACES if name != value)
    if path[-1] == "from":
        yield "the other", "point" if value == "input" else "input"
    if path[-1] == "rule":
        yield "unknown", "rule"
        yield "with a parameter more", f"{value}:7"
    if path[-1] in ("norm", "within", "domain"):
        yield "unknown", "some"
    if path[-1] == "root":
        yield "unknown", "origin"


def leaves(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    if path:
        yield path, value
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from leaves(entry, (*path, key))


def objects(value: Any, path: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    if isinstance(value, dict):
        yield path, value
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from objects(entry, (*path, key))


# Statements that remain true when they are changed in this way: another way to say, or to prove, the same.
STILL_TRUE = (
    "point",
    "leaves",
    "bends",
    "t",
    "multipliers",
    "wall",
    "cells",
    "input_cones",
    "point_cones",
    "cones",
    "no_facet",
    "regions",
    "roots",
    "target",
    "root",
)


@pytest.mark.parametrize("name", KINDS)
def test_no_mutation_is_accepted_unless_it_is_true(name):
    lines = KINDS[name]
    assert refusals(lines) == []
    accepted = []
    for number, line in enumerate(lines):
        for what, mutant in mutations(json.loads(line)):
            if not refusals([*lines[:number], json.dumps(mutant), *lines[number + 1 :]]):
                accepted.append((json.loads(line).get("place"), what))
    assert [entry for entry in accepted if not may_be_true(*entry)] == []


def may_be_true(place: str | None, what: str) -> bool:
    """Changes of where a point or a witness is, which need not make a true statement false."""
    path, change = what.split(": ")
    if change == "one twice":
        return path.endswith("path")
    return change in ("sign", "permuted") and any(part in STILL_TRUE for part in path.split("."))


def test_every_place_and_every_kind_of_evidence_is_mutated():
    claims = [line for lines in KINDS.values() for line in map(json.loads, lines) if "claim" in line]
    assert {claim["claim"] for claim in claims} == {"place", "nearest_root", *CLAIMS}
    claims = [claim for claim in claims if claim["claim"] == "place"]
    assert {claim["place"] for claim in claims} == set(OTHER_PLACES) - {"somewhere", "undecided"}
    named = {key for claim in claims for _, entry in objects(claim) for key in entry}
    assert named >= {"path", "segment", "cones", "cells", "from", "leaves", "bends", "input_cones", "point_cones"}
    assert {claim["evidence"]["from"] for claim in claims if "from" in claim["evidence"]} == {"input", "point"}
    assert max(len(claim["evidence"].get("path", ())) for claim in claims) > 1
    proofs = [entry["no_facet"] for claim in claims for _, entry in objects(claim) if "no_facet" in entry]
    assert sum(map(bool, proofs)) > 5
