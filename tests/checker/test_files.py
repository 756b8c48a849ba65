"""Certificates kept as files: valid ones, by hand and by the engine, and invalid ones named after what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from certified import claims_of, lines_of, refusals

FILES = Path(__file__).parent.parent / "certificates"
VALID = {path.stem: path for path in sorted((FILES / "valid").glob("*.jsonl"))}
INVALID = {
    "a_blank_line": (2, "no JSON"),
    "a_boolean_for_a_number": (3, "logit is no integer"),
    "a_claim_about_another_input": (3, "another input"),
    "a_claim_about_another_network": (3, "another network"),
    "a_claim_before_any_input": (2, "no input stands above it"),
    "a_column_that_becomes_negative": (3, "relevance of neuron 0 becomes negative at an input"),
    "a_cone_left_out": (3, "not in the list"),
    "a_float": (3, "'0.0' is not exact"),
    "a_key_missing": (3, "key 'logit' is missing"),
    "a_key_twice": (3, "key 'logit' stands twice"),
    "a_line_cut_short": (3, "no JSON: Unterminated string"),
    "a_list_that_holds_both": (3, "the list holds both cells"),
    "a_list_that_is_not_closed": (3, "not in the list, and the wall is not ruled out"),
    "a_list_without_the_inputs_cell": (3, "does not hold the cell that it is said to start from"),
    "a_negative_logit": (3, "logit -1 is out of range"),
    "a_neuron_that_carries_nothing": (3, "columns: one of these neurons does not count"),
    "a_path_across_a_bend": (3, "path[0]: the gradient changes there"),
    "a_path_permuted": (3, "path[0]: not on one wall"),
    "a_path_that_stops_short": (3, "the last cell's closure does not hold the point"),
    "a_path_through_a_corner": (3, "path[0]: not on one wall"),
    "a_pattern_that_is_not_sound": (3, "a pattern is unsound"),
    "a_pattern_too_long": (3, "a pattern has another length"),
    "a_pattern_twice": (3, "cells[1]: the pattern stands twice"),
    "a_place_for_no_root": (3, "the rule has no root here"),
    "a_refuted_class_insensitivity": (3, "c7 is never refuted"),
    "a_rule_without_a_hinge_root": (4, "'epsilon' has no hinge root"),
    "a_segment_in_one_cell": (3, "the point is in the cell of the input"),
    "a_segment_that_does_not_leave": (3, "the segment does not leave the region there"),
    "a_segment_that_leaves": (3, "segment: the gradient is another one"),
    "a_segment_with_a_breakpoint_left_out": (3, "segment: there is another breakpoint"),
    "a_skip_around_the_layer": (3, "a skip carries values around the layer's input"),
    "a_state_of_a_neuron_on_its_hinge": (3, "the input of a layer lies on a hinge"),
    "a_tau_of_nothing": (3, "no relevance of the layer's input reaches the network's input"),
    "a_tau_that_is_too_small": (3, "tau is another number: the greatest distance is 0.5"),
    "a_weight_changed": (1, "the network's hash is"),
    "an_input_too_short": (2, "values has 1 entries, 2 were expected"),
    "an_unknown_claim": (3, "claim 'trust' is unknown"),
    "an_unknown_key": (3, "key 'note' is unknown here"),
    "an_unknown_place": (3, "place 'undecided' is unknown"),
    "an_unknown_rule": (3, "its parameters are not allowed"),
    "another_hash_of_the_input": (2, "the input's hash is"),
    "another_hash_of_the_network": (1, "the network's hash is"),
    "bends_that_do_not_differ": (3, "both directions lead into cells of one gradient"),
    "boundary_that_is_regular": (3, "both directions lead into cells of one gradient"),
    "columns_of_a_smaller_distance": (3, "columns: these two do not attain it, or are out of order"),
    "columns_out_of_order": (3, "columns: these two do not attain it, or are out of order"),
    "deep_nesting": (3, "nested deeper than 16"),
    "degenerate_but_another_point": (3, "the point is not the input"),
    "evidence_that_is_not_needed": (3, "cones are given at a point of an open cell"),
    "minus_zero": (3, "'-0' is no exact number"),
    "no_root_where_there_is_one": (3, "no_root is false"),
    "no_such_layer": (3, "layer 3 is out of range"),
    "no_such_logit": (3, "logit 1 is out of range"),
    "no_such_neuron": (3, "neuron 1 is out of range"),
    "not_finite": (3, "'NaN' is not exact"),
    "not_in_lowest_terms": (3, "'2/2' is not in lowest terms"),
    "outside_but_the_same_gradient": (3, "the point has the input's gradient"),
    "same_cell_but_across_a_hinge": (3, "not in the open cell of the input"),
    "same_cell_but_on_its_edge": (3, "not in the open cell of the input"),
}
"""Invalid file -> the line that is refused, and words of the reason."""


@pytest.mark.parametrize("name", VALID)
def test_a_valid_file_is_accepted(name):
    lines = lines_of(VALID[name])
    assert claims_of(lines)
    assert refusals(lines) == []


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_file_is_refused_at_its_line_by_name(name):
    line, words = INVALID[name]
    told = refusals(lines_of(FILES / "invalid" / f"{name}.jsonl"))[0]
    assert told.startswith(f"line {line}: refused: ")
    assert words in told


def test_no_file_is_forgotten():
    assert {path.stem for path in (FILES / "invalid").glob("*.jsonl")} == set(INVALID)
    assert len(VALID) > 20
