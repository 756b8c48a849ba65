"""What the checker accepts is true, whatever the evidence: the engine, which it knows nothing of, says so too."""

from __future__ import annotations

import copy
import json

from builders import at_points, conv_networks
from certified import certificates, said
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from networks import sequential
from strategies import PLANE_POINTS, layers

from dtdsym.errors import OnHinge

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
PLACES = (
    "degenerate",
    "same_cell",
    "same_region_segment",
    "same_region",
    "boundary",
    "same_gradient_elsewhere",
    "outside",
)


LONGEST = 4000
"""Characters of a line; the copies of longer evidence with one entry left out would fill the memory."""
POINTS = st.lists(PLANE_POINTS, min_size=2, max_size=5, unique=True)


def false_statements(claims):
    """Every claim with the place and the evidence of every other one whose place is another."""
    for one in claims:
        for other in claims:
            if one["place"] != other["place"] and "point" in one:
                yield {**one, "place": other["place"], "evidence": other["evidence"]}
                yield {**one, "place": other["place"], "evidence": {**other["evidence"], **one["evidence"]}}
        for place in PLACES:
            if place != one["place"]:
                yield {**one, "place": place}


def weakened(claim):
    """The claim with a cell, a proof or a point of its lists left out."""
    for path in lists(claim["evidence"]):
        mutant = copy.deepcopy(claim)
        found = mutant["evidence"]
        for key in path:
            found = found[key]
        for k in range(len(found)):
            less = copy.deepcopy(mutant)
            holder = less["evidence"]
            for key in path:
                holder = holder[key]
            del holder[k]
            yield less


def lists(value, path=()):
    if isinstance(value, list) and path:
        yield path
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from lists(entry, (*path, key))


def accepted(lines, claims):
    """The claims among these that the checker accepts, after the lines of network and input."""
    found = said([*lines[:2], *(json.dumps(claim) + "\n" for claim in claims)])
    assert len(found) == len(claims)
    return [claim for claim, (_, good, _) in zip(claims, found, strict=True) if good]


def check(lines):
    assume(max(map(len, lines)) < LONGEST)
    claims = [json.loads(line) for line in lines[2:]]
    assert accepted(lines, claims) == claims
    for claim in claims:
        event(claim["place"])
    wrong = list(false_statements(claims))
    for one in claims:  # a list that is no longer closed must not prove the place of a point in it
        for other in claims:
            if one["place"] != other["place"]:
                wrong += [{**one, "place": other["place"], "evidence": weak["evidence"]} for weak in weakened(other)]
    assert accepted(lines, wrong) == []


@settings(SLOW, max_examples=60)
@given(
    pairs=layers(),
    points=POINTS,
    x=PLANE_POINTS,
    relu=st.booleans(),
)
def test_no_false_place_of_a_point_is_accepted(pairs, points, x, relu):
    try:
        lines = certificates(sequential(*pairs, final_relu=relu), x, points=[*points, (0, 0), x])
    except OnHinge:
        assume(False)
    check(lines)


@settings(SLOW, max_examples=15)
@given(at=at_points(conv_networks()), data=st.data())
def test_no_false_place_is_accepted_in_networks_with_convolutions_pools_and_skips(at, data):
    network, x = at
    moved = [[n + data.draw(st.sampled_from([0, 0, -1, 1, 2])) for n in x] for _ in range(3)]
    try:
        lines = certificates(network, x, points=[*moved, [0] * len(x), x])
    except OnHinge:
        assume(False)
    check(lines)


@settings(SLOW, max_examples=60)
@given(pairs=layers(), points=POINTS, x=PLANE_POINTS, data=st.data())
def test_lists_with_cells_of_another_network_prove_nothing_false(pairs, points, x, data):
    """Patterns drawn at random beside, or instead of, those of true lists."""
    try:
        lines = certificates(sequential(*pairs), x, points=points)
    except OnHinge:
        assume(False)
    claims = [json.loads(line) for line in lines[2:]]
    size = sum(len(weight) for weight, _ in pairs)
    patterns = st.lists(st.text("+-0", min_size=size, max_size=size), max_size=6, unique=True)
    drawn = [{"pattern": pattern, "no_facet": []} for pattern in data.draw(patterns)]
    wrong = []
    for claim in claims:
        for key in ("input_cones", "point_cones", "cells"):
            evidence = {**claim["evidence"], key: drawn + claim["evidence"].get(key, [])}
            for place in ("same_gradient_elsewhere", "outside"):
                for start in ("input", "point"):
                    more = {"from": start} if key == "cells" else {}
                    wrong.append({**claim, "place": place, "evidence": {**evidence, **more}})
    assert [claim for claim in accepted(lines, wrong) if claim["place"] != truth(claim, claims)] == []


def truth(claim, claims):
    return next(one["place"] for one in claims if one["point"] == claim["point"])
