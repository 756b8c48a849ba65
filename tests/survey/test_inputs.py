"""Inputs: read exactly or refused in one line; samples depend on the seed alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from dtdsym.errors import InputError
from dtdsym.network.builder import Builder
from dtdsym.network.network import sequential
from dtdsym.survey.inputs import SampledInputs, as_inputs, read_inputs
from dtdsym.survey.settings import Domain

ROWS = np.array([[0.5, 1.0], [2.0, 0.25], [3.0, 0.1]], dtype=np.float32)


@pytest.fixture
def network():
    return sequential(([[1, 2], [3, -1]], [0, 0]), ([[1, 1], [1, -2]], [0, 0]), final_relu=False)


def save(path, kind: str):
    match kind:
        case "npy":
            np.save(path, ROWS)
        case "npz":
            np.savez(path, inputs=ROWS, labels=np.arange(3))
        case "csv":
            np.savetxt(path, ROWS.astype(np.float64), delimiter=",", fmt="%.17g")
        case "pt":
            torch.save(torch.from_numpy(ROWS), path)
    return path


@pytest.mark.parametrize("kind", ["npy", "npz", "csv", "pt"])
def test_every_format_gives_the_same_rows(network, tmp_path, kind):
    given = read_inputs(save(tmp_path / f"x.{kind}", kind), network)
    assert given.count == 3
    assert (given.batch(1, 3).points == ROWS[1:].astype(np.float64)).all()


@pytest.mark.parametrize(
    "rows",
    [ROWS, torch.from_numpy(ROWS), ROWS.tolist(), [[Fraction(1, 2), 1], [2, Fraction(1, 4)], [3, float(ROWS[2, 1])]]],
    ids=["array", "tensor", "list", "fractions"],
)
def test_rows_in_memory_are_read_exactly(network, rows):
    assert (as_inputs(rows, network).batch(0, 3).points == ROWS.astype(np.float64)).all()


def test_images_are_flattened_row_by_row():
    wide = sequential(([[1] * 4], [0]))
    assert (as_inputs(np.arange(8.0).reshape(2, 1, 2, 2), wide).batch(1, 2).points == [[4, 5, 6, 7]]).all()


BAD = {
    "wrong width": (np.zeros((2, 3)), r"shape \(2, 3\); this network needs \(n, 2\)"),
    "one point without a batch": (np.zeros(2), r"shape \(2,\)"),
    "no rows": (np.zeros((0, 2)), r"shape \(0, 2\)"),
    "nan": (np.array([[0, 1], [np.nan, 1]]), "row 1, column 0 is nan"),
    "inf": (np.array([[0, np.inf]]), "row 0, column 1 is inf"),
    "complex": (np.zeros((1, 2), dtype=complex), "complex128"),
    "text": (np.array([["a", "b"]]), "type <U1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_refused_in_one_line(network, tmp_path, name):
    rows, message = BAD[name]
    np.save(tmp_path / "x.npy", rows)
    with pytest.raises(InputError, match=message) as caught:
        read_inputs(tmp_path / "x.npy", network)
    assert "\n" not in str(caught.value)
    assert "x.npy" in str(caught.value)


FILES = {
    "missing": (None, "No such file"),
    "empty": (b"", "the file is empty"),
    "broken zip": (b"PK\x03\x04 and then nothing", "x.npz: "),
    "no arrays": ("empty npz", r"holds the arrays \(none\)"),
    "large integers": ("large", "an integer beyond 2\\^53"),
    "a header without numbers": (b"\x93NUMPY\x01\x00v\x00{'descr'", "cannot be read as inputs"),
    "prose": (b"hello", "not a file of inputs"),
    "objects": ("objects", "cannot be read as inputs"),
    "state_dict": ("state_dict", "save one tensor"),
    "two arrays": ("npz", "holds the arrays a, b"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_files_are_refused_in_one_line(network, tmp_path, name):
    content, message = FILES[name]
    path = tmp_path / "x"
    match content:
        case bytes():
            path = path.with_suffix(".npz") if content.startswith(b"PK") else path
            path.write_bytes(content)
        case "empty npz":
            path = tmp_path / "x.npz"
            np.savez(path)
        case "large":
            path = tmp_path / "x.npy"
            np.save(path, np.full((1, 2), 2**53 + 1))
        case "objects":
            path = tmp_path / "x.npy"
            np.save(path, np.array([[{}, {}]], dtype=object), allow_pickle=True)
        case "state_dict":
            torch.save({"a": torch.zeros(1)}, path)
        case "npz":
            path = tmp_path / "x.npz"
            np.savez(path, a=ROWS, b=ROWS)
        case None:
            assert not path.exists()
    with pytest.raises(InputError, match=message) as caught:
        read_inputs(path, network)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("domain", ["nonnegative", "real", "box:-1:2"])
def test_samples_do_not_depend_on_batches_and_keep_to_domain_and_logit(network, domain):
    drawn = SampledInputs(network, Domain.parse(domain), 1, 0.5, 9, 4)
    whole = drawn.batch(0, 9)
    parts = [drawn.batch(start, start + 3) for start in (0, 3, 6)]
    assert (whole.points == np.concatenate([part.points for part in parts])).all()
    assert whole.rejected == sum(part.rejected for part in parts)
    bounds = Domain.parse(domain)
    for point in whole.points.tolist():
        assert network(point)[1] > Fraction(1, 2)
        assert all((bounds.low is None or bounds.low <= x) and (bounds.high is None or x <= bounds.high) for x in point)
    assert not (whole.points == SampledInputs(network, bounds, 1, 0.5, 9, 5).batch(0, 9).points).any()


def test_a_sample_is_the_first_draw_whose_logit_is_above():
    """With f(x) = x_1 - x_2 about half of the draws are rejected, and the count of these is reported."""
    difference = sequential(([[1, -1]], [0]), final_relu=False)
    batch = SampledInputs(difference, Domain.parse("real"), 0, 0.0, 200, 0).batch(0, 200)
    assert (batch.points[:, 0] > batch.points[:, 1]).all()
    assert 100 < batch.rejected < 320


def test_where_no_draw_is_above_the_message_says_what_was_tried():
    never = sequential(([[0, 0]], [-1]))
    with pytest.raises(InputError, match=r"no input with logit 0 above 0 found in 1000 draws \(seed 7, domain real\)"):
        SampledInputs(never, Domain.parse("real"), 0, 0.0, 1, 7).batch(0, 1)


@pytest.mark.parametrize("text", ["", "box", "box:1", "box:1:0", "box:a:b", "positive", "box:0:1:2"])
def test_unknown_domains_are_refused(text):
    with pytest.raises(InputError, match="domain"):
        Domain.parse(text)


def images(channels=3):
    """A network that takes (channels, 5, 4)."""
    builder = Builder((channels, 5, 4))
    made = builder.linear(builder.reshape(builder.input, (channels * 20,)), np.ones((1, channels * 20)), None)
    return builder.network(made)


def test_images_must_be_laid_out_as_the_network_takes_them():
    """Numbers in another order would be another input, audited without a word."""
    for shape in ((2, 3, 5, 4), (2, 60)):
        assert as_inputs(np.zeros(shape), images()).count == 2
    for shape in ((2, 1, 5, 4), (2, 5, 4), (2, 20)):
        assert as_inputs(np.zeros(shape), images(1)).count == 2
    for shape, hint in {
        (2, 5, 4, 3): r"its channels come last: np.moveaxis\(array, -1, 1\) puts them first",
        (2, 5, 3, 4): r"needs \(n, 60\) or \(n, 3, 5, 4\)",
        (3, 5, 4): r"one input without a batch dimension: add one, array\[None\]",
    }.items():
        with pytest.raises(InputError, match=hint) as caught:
            as_inputs(np.zeros(shape), images())
        assert "\n" not in str(caught.value)


def test_a_domain_knows_what_lies_outside_exactly():
    points = np.array([[0.0, 1.0], [-(2.0**-1074), 1.0], [0.5, 1 / 3], [0.1, 0.3]])
    assert Domain.parse("nonnegative").outside(points) == 1
    assert Domain.parse("real").outside(points) == 0
    assert Domain.parse("box:0:1").outside(points) == 1
    third = float(Fraction(1, 3))  # below 1/3
    assert third < Fraction(1, 3)
    assert Domain.parse("box:1/3:2").outside(np.array([[third], [np.nextafter(third, 1)]])) == 1
    assert Domain.parse("box:0:1/3").outside(np.array([[third], [np.nextafter(third, 1)]])) == 1
