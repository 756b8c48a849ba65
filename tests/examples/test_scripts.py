"""The scripts of examples/ run, as a user would run them, and show what they promise."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import figure1
import forge
import pytest


def run(repository, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_table_1_reproduces_the_printed_first_row_to_the_last_digit(repository):
    rows = [line.split() for line in run(repository, "examples/table1.py").splitlines()]
    printed = next(row for row in rows if row[:2] == ["printed:", "same"])
    computed = next(row for row in rows if row[:3] == ["as", "computed:", "inputs,"])
    exactly = next(row for row in rows if row[:2] == ["the", "same,"])
    assert printed[-4:] == computed[-4:] == exactly[-4:] == ["41.20%", "38.70%", "37.70%", "41.10%"]


def test_the_readmes_picture_is_drawn(repository, tmp_path):
    pytest.importorskip("matplotlib")
    run(repository, "examples/audit_picture.py", str(tmp_path / "audit.png"))
    assert (tmp_path / "audit.png").read_bytes().startswith(b"\x89PNG")


def test_admissible_roots_exist_beside_those_that_rules_take(repository):
    """Samplers stay above the exact least relevance; the roots of LRP-0 are in no region of the first layer."""
    said = run(repository, "examples/admissible_roots.py", "1")
    assert said.count("an admissible root:") == 6
    assert "layer 1: 10 neurons, 0 left open" in said
    assert "layer 1: 32 neurons, 0 left open" in said
    assert said.count("explanations differ from that by nearest roots") == 2
    lowest = next(line for line in said.splitlines() if "lowest relevance" in line).split()
    interpolated, walked, exact = (float(word) for word in lowest if word[0].isdigit())
    assert 0 <= exact <= min(interpolated, walked) < 100


def test_any_picture_is_forged_by_admissible_roots(repository, tmp_path):
    """The script refuses roots that are not proven admissible; the picture is drawn, and is the relevance exactly."""
    said = run(repository, "examples/forge.py", str(tmp_path / "forged.png"))
    assert (tmp_path / "forged.png").read_bytes().startswith(b"\x89PNG")
    assert "relevance is the picture exactly: True" in said
    picture = forge.wanted(Fraction(7))
    assert sum(picture) == 7
    assert len(set(picture)) == 2


def test_figure_1_is_drawn_from_exact_geometry_as_shipped(repository, tmp_path):
    """The same network gives the same bytes; with non-positive biases the origin is never in the input's region."""
    run(repository, "examples/figure1.py", str(tmp_path / "figure1.svg"))
    assert (tmp_path / "figure1.svg").read_bytes() == (repository / "examples" / "figure1.svg").read_bytes()
    network = figure1.network(non_positive=True)
    assert network(figure1.INPUT)[0] > 0
    places = {place for rule, place, _ in figure1.root_points(network) if rule == "LRP-0"}
    assert places == {"outside"}
