"""The terminal report: findings first, in the order of the rules, every number there, at any width."""

from __future__ import annotations

from fractions import Fraction
from io import StringIO

import pytest
from rich.console import Console

from dtdsym.geometry.placement import PLACES
from dtdsym.network.network import sequential
from dtdsym.report.audit import Report, audit
from dtdsym.report.labels import MEANINGS, SHORT
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
def test_findings_come_first_in_the_order_of_the_rules_and_name_the_worst(width):
    words = " ".join(text(made_up(outside=712, degenerate=143, same_cell=145), width).split())
    assert words.startswith("Findings")
    assert "zplus, layer 1: 712 of 1,000 (71.2 %) root points lie outside the input's linear region." in words
    assert "143 of 1,000 (14.3 %) are the input itself" in words
    assert "w2, layer 1: All 1,000 lie inside." in words
    assert "Worst is zplus at layer 1." in words
    assert words.index("w2, layer 1") < words.index("zplus, layer 1") < words.index("Where the root points lie")
    assert "10 audited of 12" in words
    assert "1 left out because its logit is not above 0; 1 because it sits on a hinge" in words


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
    assert "<table>" in report._repr_html_()
    assert "zplus" in report._repr_html_()


def test_where_nothing_was_audited_it_says_why():
    report = audit(sequential(([[1, 2]], [0])), [[-1, -1]], rules=["zplus"])
    assert "No input was audited: 1 left out because its logit is not above 0" in " ".join(text(report, 100).split())


@pytest.mark.parametrize("width", [60, 72, 80, 100, 200])
def test_no_number_and_no_header_is_broken(width):
    """What does not fit goes into a table below, under the same rules."""
    report = made_up(**{name: 111_111 * number for number, name in enumerate(PLACES, start=1)})
    for row in report.rows:
        row.tally.residuals.maximum = Fraction(7812, 10**7)
    shown = text(report, width)
    cells = [word for line in shown.split("Where the root points lie")[1].splitlines() for word in line.split()]
    for number in range(1, len(PLACES) + 1):
        assert f"{111_111 * number:,}" in cells
    assert cells.count("0.0007812") == 2
    for header in ("gradient", "residual", "undecided", "elsewhere"):
        assert header in cells
    assert "…" not in shown


def test_what_the_budget_left_open_is_not_called_decided():
    report = made_up(undecided=7, outside=3)
    report.rows[1].tally.decided_by.update(enclosure=2, rational=1)
    words = " ".join(text(report, 100).split())
    assert "2 places by enclosures with proven bounds, 1 by exact rationals; 7 not time" in words
    assert "so for at least" in words


def test_inputs_outside_the_domain_are_told():
    report = made_up(outside=3)
    report.inputs.outside_domain = 4
    assert "domain nonnegative; 4 of the inputs lie outside the domain" in " ".join(text(report, 100).split())
    assert report.to_json()["inputs"]["outside_domain"] == 4
