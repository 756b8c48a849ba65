"""Certificates kept as files: valid ones by hand and by the engine, invalid ones named after what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from certified import said

FILES = Path(__file__).parent.parent / "certificates"
VALID = {path.stem: path for path in sorted((FILES / "valid").glob("*.jsonl"))}

INVALID = {
    "another_hash_of_the_network": (1, "the network's hash is"),
    "a_weight_changed": (1, "the network's hash is"),
    "another_hash_of_the_input": (2, "the input's hash is"),
    "an_input_too_short": (2, "values has 1 entries, 2 were expected"),
    "a_claim_about_another_network": (3, "names another network"),
    "a_claim_about_another_input": (3, "names another input"),
    "a_claim_before_any_input": (2, "no input stands above it"),
    "a_key_twice": (3, "key 'logit' stands twice"),
    "an_unknown_key": (3, "key 'note' is unknown"),
    "a_key_missing": (3, "logit is no integer"),
    "evidence_that_is_not_needed": (3, "input_cones: cones are given at a point of an open cell"),
    "a_float": (3, "number '0.0' is not exact"),
    "not_finite": (3, "number 'NaN' is not exact"),
    "a_negative_logit": (3, "logit -1 is out of range"),
    "no_such_logit": (3, "logit 1 is out of range"),
    "no_such_layer": (3, "layer 3 is out of range"),
    "no_such_neuron": (3, "neuron 1 is out of range"),
    "a_boolean_for_a_number": (3, "logit is no integer"),
    "not_in_lowest_terms": (3, "'2/2' is not in lowest terms"),
    "minus_zero": (3, "'-0' is no exact number"),
    "deep_nesting": (3, "nested deeper"),
    "a_line_cut_short": (3, "no JSON: Unterminated string"),
    "a_blank_line": (2, "no JSON"),
    "an_unknown_claim": (3, "claim 'trust' is unknown"),
    "an_unknown_place": (3, "'undecided' is unknown"),
    "an_unknown_rule": (3, "'gamma:-1': its parameters"),
    "a_rule_without_a_hinge_root": (4, "no hinge root"),
    "no_root_where_there_is_one": (3, "no_root is false"),
    "a_place_for_no_root": (3, "the rule has no root here"),
    "degenerate_but_another_point": (3, "the point is not the input"),
    "same_cell_but_across_a_hinge": (3, "not in the open cell"),
    "same_cell_but_on_its_edge": (3, "not in the open cell"),
    "outside_but_the_same_gradient": (3, "has the input's gradient"),
    "a_segment_that_leaves": (3, "the gradient is another one at stop 0"),
    "a_segment_with_a_breakpoint_left_out": (3, "another breakpoint beside stop 0"),
    "a_segment_in_one_cell": (3, "the point is in the cell of the input"),
    "a_list_that_is_not_closed": (3, "beyond wall 5 is not in the list"),
    "a_list_without_the_inputs_cell": (3, "does not hold the cell that it is said to start from"),
    "a_list_that_holds_both": (3, "the list holds both cells"),
    "a_pattern_twice": (3, "stands twice"),
    "a_pattern_that_is_not_sound": (3, "a pattern is unsound"),
    "a_pattern_too_long": (3, "another length"),
    "a_cone_left_out": (3, "beyond wall 0 is not in the list"),
    "bends_that_do_not_differ": (3, "cells of one gradient"),
    "boundary_that_is_regular": (3, "cells of one gradient"),
    "a_path_that_stops_short": (3, "does not hold the point"),
    "a_path_permuted": (3, "path[0]: not on one wall"),
    "a_path_through_a_corner": (3, "path[0]: not on one wall"),
    "a_path_across_a_bend": (3, "path[0]: the gradient changes"),
    "a_segment_that_does_not_leave": (3, "does not leave the region"),
}
"""Invalid file -> the line that is refused, and words of the reason."""


def answers(path):
    return said(path.read_text().splitlines(keepends=True))


@pytest.mark.parametrize("name", VALID)
def test_valid_file_is_accepted(name):
    found = answers(VALID[name])
    assert found
    assert [what for _, accepted, what in found if not accepted] == []


@pytest.mark.parametrize("name", INVALID)
def test_invalid_file_is_refused_at_its_line_by_name(name):
    line, words = INVALID[name]
    refused = [
        (number, what) for number, accepted, what in answers(FILES / "invalid" / f"{name}.jsonl") if not accepted
    ]
    assert refused[0][0] == line
    assert words in refused[0][1]
    assert all("\n" not in what for _, what in refused)


def test_no_invalid_file_is_forgotten():
    assert {path.stem for path in (FILES / "invalid").glob("*.jsonl")} == set(INVALID)


def test_valid_files_hold_every_place_and_kind_of_evidence():
    claims = [json.loads(line) for path in VALID.values() for line in path.read_text().splitlines() if "claim" in line]
    assert {claim["place"] for claim in claims} == {
        "no_root", "degenerate", "same_cell", "same_region_segment", "same_region", "boundary",
        "same_gradient_elsewhere", "outside",
    }  # fmt: skip
    assert {key for claim in claims for key in claim["evidence"]} == {
        "segment", "leaves", "path", "bends", "cells", "from", "input_cones", "point_cones"
    }  # fmt: skip
    assert {claim["rule"].split(":")[0] for claim in claims if "rule" in claim} == {
        "zplus", "gamma", "w2", "x", "flat", "zbox", "lrp0", "epsilon", "alpha_beta", "pinv"
    }  # fmt: skip
