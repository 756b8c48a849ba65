"""The terminal report: findings first and worst first, every number there, at any width."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from dtdsym.geometry.placement import PLACES
from dtdsym.network.network import sequential
from dtdsym.report.audit import Report, audit
from dtdsym.report.terminal import MEANINGS, SHORT
from dtdsym.survey.findings import InputCounts, RootRow
from dtdsym.survey.settings import Settings
from dtdsym.survey.tally import Tally


def made_up(**places: int) -> Report:
    network = sequential(([[1, 2]], [0]))
    settings = Settings.of(network, rules=["zplus", "w2"])
    worse, better = Tally(), Tally()
    worse.places.update(places)
    better.places["same_cell"] = 1000
    rows = [RootRow(settings.rules[1], 1, better), RootRow(settings.rules[0], 1, worse)]
    return Report(network, settings, "made up", 5, rows, InputCounts(12, 10, 1, 1), 1.5)


def text(report: Report, width: int) -> str:
    console = Console(width=width, file=StringIO(), record=True)
    console.print(report)
    return console.export_text()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_findings_come_first_and_the_worst_first(width):
    words = " ".join(text(made_up(outside=712, degenerate=143, same_cell=145), width).split())
    assert words.startswith("Findings")
    assert "zplus, layer 1: 712 of 1,000 (71.2 %) root points lie outside the input's linear region." in words
    assert "143 of 1,000 (14.3 %) are the input itself" in words
    assert "w2, layer 1: All 1,000 lie inside." in words
    assert words.index("zplus, layer 1") < words.index("w2, layer 1") < words.index("Where the root points lie")
    assert "10 audited of 12" in words
    assert "1 left out because their logit is not above 0; 1 because they sit on a hinge" in words


def test_no_line_is_wider_than_the_console():
    report = made_up(**dict.fromkeys((name for name in PLACES), 123456))
    assert all(len(line.rstrip()) <= 80 for line in text(report, 80).splitlines())


def test_every_place_has_a_meaning_and_only_those_met_are_explained():
    assert set(MEANINGS) == set(SHORT) == set(PLACES)
    shown = text(made_up(boundary=3), 100)
    assert "boundary: on the region's edge" in shown
    assert "no root:" not in shown


def test_a_share_is_never_rounded_to_all_or_nothing():
    shown = " ".join(text(made_up(outside=9999, same_cell=1), 200).split())
    assert "9,999 of 10,000 (> 99.9 %) root points lie outside" in shown


def test_reports_display_themselves_in_notebooks():
    report = audit(sequential(([[1, 2]], [0])), [[1, 1]], rules=["zplus"])
    assert "<pre" in report._repr_html_()
    assert "zplus" in report._repr_html_()


def test_where_nothing_was_audited_it_says_why():
    report = audit(sequential(([[1, 2]], [0])), [[-1, -1]], rules=["zplus"])
    assert "No input was audited: 1 left out because their logit is not above 0" in " ".join(text(report, 100).split())
