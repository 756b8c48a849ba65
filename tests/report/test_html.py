"""The page: well formed, self-contained, escaped, the same again; its numbers are those of the JSON report."""

from __future__ import annotations

import itertools
import re
import tomllib
from dataclasses import replace
from fnmatch import fnmatch
from fractions import Fraction
from io import StringIO

import pytest
from page_audits import HOSTILE, TARGET, Page, inputs, network, pictured
from rich.console import Console

import dtdsym
from dtdsym.claims import told as claims
from dtdsym.claims.decide import CLAIMS
from dtdsym.errors import InputError
from dtdsym.geometry.budget import Budget
from dtdsym.network.network import sequential
from dtdsym.report import html, region_plot
from dtdsym.report.audit import audit
from dtdsym.report.expansions import worst_roots
from dtdsym.report.html import page
from dtdsym.report.insensitivity import curves, shown, upwards
from dtdsym.report.pictures import shown_inputs

LINE = sequential(([[1]], [1]), ([[1]], [1]))
"""[[x + 1] + 1]: its first hinge is at -1."""
PLURAL = re.compile(
    r"(?<!layer )(?<![\w.,-])1 (inputs|root points|roots|neurons|places|signs|cells|pairs|facets|parameters|"
    r"breakpoints|lie|are|leave|have|do)\b"
)


@pytest.fixture(scope="module")
def report():
    return pictured()


@pytest.fixture(scope="module")
def text(report):
    return page(report, "python -m dtdsym.verify net.pt")


@pytest.fixture(scope="module")
def read(text):
    return Page(text)


@pytest.fixture
def undrawn(monkeypatch):
    """Without the picture of linear regions, which takes the longest."""
    monkeypatch.setattr(html, "region_picture", lambda found: "Not drawn here.")


def test_it_is_well_formed(read):
    assert read.flaws == []
    names = [attributes["id"] for _, attributes, _ in read.elements if "id" in attributes]
    assert len(names) == len(set(names))
    targets = [a["href"] for tag, a, _ in read.elements if tag == "a"]
    assert {target.removeprefix("#") for target in targets} <= set(names)
    assert len(targets) == len(read.all("h2")) + 1


def test_headings_are_in_order_and_landmarks_are_there(read):
    levels = [int(tag[1]) for tag, _, _ in read.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert [tag for tag, _, _ in read.all("header", "nav", "main", "footer")] == ["header", "nav", "main", "footer"]


def test_what_is_drawn_is_said_with_its_numbers(read):
    pictures = read.all("img")
    charts = [found for found in read.all("svg") if found[1].get("aria-hidden") != "true"]
    assert len(pictures) == 3 * 6 + 1
    assert len(charts) == 3 + 6 + 3
    for _, attributes, _ in pictures:
        assert re.search(r"\d", attributes["alt"])
    for _, attributes, _ in charts:
        assert attributes["role"] == "img"
        assert re.search(r"\d", attributes["aria-label"])
    assert len(read.all("caption")) == len(read.all("table")) > 10
    assert all(attributes.get("scope") in ("row", "col") for _, attributes, _ in read.all("th"))


def test_it_needs_nothing_else(text, read):
    assert read.all("script", "iframe", "object") == []
    places = [a.get(name, "") for _, a, _ in read.elements for name in ("src", "href")]
    assert [place for place in places if place and not place.startswith(("data:", "#"))] == []
    style = "".join(words for _, _, words in read.all("style"))
    assert "@import" not in style
    assert set(re.findall(r"url\(.", text)) == {"url(#"}
    assert "default-src 'none'" in text


def test_what_comes_from_files_is_escaped(text, read, undrawn):
    assert "<script" not in text
    assert f"Audit of {HOSTILE}" in [words for _, _, words in read.all("h1", "title")]
    hostile = audit(network(2, 3, 1), inputs(3, 2), rules=["w2"], logit=0)
    hostile.decided = [
        made_up("c4", 0, None, reason='</details><img src=x onerror="alert(1)">', witness={"</p>": "<b>"})
    ]
    told = Page(page(hostile, "python <b>"))
    assert told.flaws == []
    assert [a for _, a, _ in told.all("img") if "onerror" in a] == []
    assert told.all("b") == []


def made_up(name, number, layer, *, reason="So.", witness=None, bad=False):
    return {
        "claim": name, "input": number, "logit": 0, "rule": None, "layer": layer, "verdict": "proved", "bad_news": bad,
        "statement": "It holds.", "reason": reason, "witness": witness or {}, "certificate": False, "seconds": 0.1,
    }  # fmt: skip


def test_the_same_audit_gives_the_same_page(report):
    def timeless(made):
        made.seconds = 1.0
        return page(made)

    assert timeless(pictured()) == timeless(report)


def test_places_are_drawn_as_wide_as_they_are_many(report, read):
    bars = [a for _, a, _ in read.all("rect") if "data-count" in a]
    drawn = {}
    for bar in bars:
        drawn.setdefault(bar["data-layer"], []).append((bar["data-place"], int(bar["data-count"]), float(bar["width"])))
    rows = report.to_json()["roots"]
    for layer in (1, 2, 3):
        counts = [(name, n) for row in rows if row["layer"] == layer for name, n in row["places"].items() if n]
        assert [(name, count) for name, count, _ in drawn[str(layer)]] == counts
        full = sum(width for _, _, width in drawn[str(layer)]) / 3
        total = next(row["total"] for row in rows if row["layer"] == layer)
        for _, count, width in drawn[str(layer)]:
            assert width == pytest.approx(full * count / total, abs=0.05)
    cells = [words for _, _, words in read.all("td")]
    for row in rows:
        assert all(any(cell.startswith(f"{n:,} ") for cell in cells) for n in row["places"].values() if n)


def test_what_the_ledger_loses_is_drawn_with_its_sign(report, read):
    amounts = [a["data-amount"] for _, a, _ in read.all("text") if "data-amount" in a]
    rows = [row for ledger in report.to_json()["ledger"] for row in ledger["rows"]]
    assert [float(amount) for amount in amounts] == [row["float"] for row in rows]
    assert min(map(float, amounts)) < 0 < max(map(float, amounts))
    words = [text for _, a, text in read.all("text") if "data-amount" in a]
    for row, told in zip(rows, words, strict=True):
        assert ("lost" in told) == (row["float"] > 0)
        assert ("made" in told) == (row["float"] < 0)


def test_pictures_are_the_explanations_gradient_x_input_and_the_forged_one(report):
    net = network(16, 8, 6, 3)
    for each in shown_inputs(report):
        x = [Fraction(entry) for entry in inputs(4, 16)[each.number]]
        step = Fraction(1, 10**9)
        at = net(x)[each.logit]
        slopes = [(net([*x[:i], x[i] + step, *x[i + 1 :]])[each.logit] - at) / step for i in range(16)]
        expected = {
            f"input {each.number}": x,
            **{rule: dtdsym.explain(net, x, rule, each.logit) for rule in ("lrp0", "zplus", "w2")},
            "gradient x input": [slope * entry for slope, entry in zip(slopes, x, strict=True)],
            "forged": TARGET,
        }
        assert [picture.title for picture in each.pictures] == list(expected)
        for picture in each.pictures:
            exact = expected[picture.title]
            assert picture.floats.tolist() == [float(entry) for entry in exact]
            assert picture.total == float(sum(exact))
            assert picture.signs == tuple(sum(map(test, exact)) for test in (_above, _below, _zero))
        assert each.failures == ()


def _above(value):
    return value > 0


def _below(value):
    return value < 0


def _zero(value):
    return value == 0


def test_an_expansion_misses_at_the_root_what_the_table_says(report):
    """And nothing in the input's own piece."""
    rows = {(row.rule.label, row.layer): row.tally.residuals for row in report.rows}
    found = list(worst_roots(report))
    assert {worst.rule for worst in found} == {label for (label, _), rest in rows.items() if rest.maximum}
    for worst in found:
        largest = max(rest.maximum for (label, _), rest in rows.items() if label == worst.rule)
        assert abs(worst.pieces[-1].there) == largest == rows[worst.rule, worst.layer].maximum > 0
        assert (worst.pieces[0].there, worst.pieces[0].here) == (0, (0, 0))
        assert [piece.end for piece in worst.pieces[:-1]] == [piece.start for piece in worst.pieces[1:]]
        assert worst.pieces[-1].here[1] == worst.walk.residual(1)


def test_nearest_roots_are_drawn_where_they_were_asked_for(undrawn):
    report = audit(network(3, 4, 2), inputs(2, 3), rules=["zplus"], root="nearest:linf", logit=0, min_logit=-9)
    each = next(shown_inputs(report))
    made = dtdsym.explain_by_nearest_roots(report.network, inputs(2, 3)[each.number], norm="linf", logit=0)
    assert each.pictures[-1].title == "admissible roots (nearest:linf)"
    assert each.pictures[-1].floats.tolist() == [float(entry) for entry in made.relevance]
    assert "no point of the closed linear region" in page(report) or not report.rows[0].tally.places["no_root"]


def test_what_cannot_be_drawn_is_told_in_a_sentence(monkeypatch):
    """A forged explanation that is not reached, a budget that ends, and no matplotlib."""
    report = pictured(target=[1] * 16)
    for claim in report.decided:
        if claim["claim"] == "c3":
            claim |= {"verdict": "refuted", "reason": "Nothing reaches it."}
    monkeypatch.setattr(region_plot, "_matplotlib", _no_plots)
    told = [words for _, a, words in Page(page(report)).all("p") if a.get("class") == "failure"]
    assert told == ["Not drawn: the forged explanation. Refuted: Nothing reaches it."] * 3
    assert "No linear regions are drawn. Pictures need matplotlib." in page(report)
    report.settings = replace(report.settings, budget=Budget(cells=1))
    told = [words for _, a, words in Page(page(report)).all("p") if a.get("class") == "failure"]
    assert [words for words in told if words.startswith("Not drawn. The budget of 1 cell ran out.")]


def _no_plots():
    raise InputError("pictures need matplotlib")


def test_where_nothing_was_audited_it_says_so(undrawn):
    told = page(audit(sequential(([[1, 2]], [0])), [[-1, -1]], rules=["zplus"]))
    assert Page(told).flaws == []
    assert "No input was audited: 1 left out because its logit is not above 0" in told
    assert "There is no audited input to draw." in told


def test_inputs_that_are_no_pictures_have_bars_and_two_inputs_their_regions():
    report = audit(network(2, 5, 1), inputs(3, 2), rules=["w2"], logit=0, min_logit=-9)
    read = Page(page(report))
    values = [float(a["data-value"]) for _, a, _ in read.all("rect") if "data-value" in a]
    assert values == [value for each in shown_inputs(report) for p in each.pictures for value in p.floats]
    (regions,) = [a["alt"] for _, a, _ in read.all("img")]
    found = dtdsym.arrangement(report.network, box=[(-4, 4)] * 2, logit=0)
    assert re.search(r"around input 0: \d+ cells, \d+ regions, \d+ gradients", regions)
    assert len(found.cells) > 1


def test_a_large_audit_has_a_small_page_that_says_what_it_leaves_out(undrawn):
    report = pictured(claims=[], target=None)
    report.decided = [
        made_up("c4", number, None, witness={"numbers": ["1/3"] * 400}, bad=number == 1999) for number in range(2000)
    ] + [made_up("c1", 0, layer) for layer in range(1, 200)]
    report.rows = report.rows * 20
    told = page(report)
    assert len(told) < 1_500_000
    read = Page(told)
    assert len([words for _, _, words in read.all("text") if words.startswith("layer ")]) == 120
    words = " ".join(read.all("main")[0][2].split())
    assert "Charts show the first 120 rules and layers; 60 are left out." in words
    assert "1,997 more of the same are in the JSON report." in words
    assert "Proved, input 1999, logit 0. It holds." in words, "bad news comes first"
    assert "the first 100 are shown; " in words
    assert "all of it is in the JSON report" in words


def test_changes_of_relevance_with_the_logit_are_drawn_over_layers(undrawn):
    report = audit(network(16, 8, 6, 3), inputs(2, 16), rules=["zplus"], layers="all", claims=["c7"])
    (first, _) = found = list(curves(report.claims))
    assert [curve.title for curve in found] == ["Input 0, zplus", "Input 1, zplus"]
    decided = [claim for claim in report.decided if claim["input"] == 0]
    assert [(at.layer, at.verdict) for at in first.layers] == [(c["layer"], c["verdict"]) for c in decided]
    for at, claim in zip(first.layers, decided, strict=True):
        assert at.bound == Fraction(claim["witness"]["l1_bound"])
        assert at.largest == max(Fraction(change["l1"]) for change in claim["witness"]["changes"]) <= at.bound
    read = Page(page(report))
    assert read.flaws == []
    assert "Class-insensitivity over layers" in [words for _, _, words in read.all("h2")]
    labels = " ".join(a["aria-label"] for _, a, _ in read.all("svg") if "aria-label" in a)
    told = (f"layer {at.layer}: largest {shown(at.largest)}, bound {upwards(at.bound)}" for at in first.layers)
    assert f"Input 0, zplus. {'; '.join(told)}." in labels


def test_layers_at_which_nothing_is_known_are_left_open():
    """And a change may be known by bounds only."""
    sizes = {3: {"at_least": "5/7", "at_most": "6/7"}, 1: {"l1": "2/7"}}
    claims = [
        made_up("c7", 2, layer, witness={"l1_bound": "9/7", "changes": [{"logits": [0, 1], **size}]})
        for layer, size in sizes.items()
    ]
    (curve,) = curves([*claims, made_up("c7", 2, 2), made_up("c4", 2, None)])
    assert [(at.layer, at.largest, at.bound) for at in curve.layers] == [
        (1, Fraction(2, 7), Fraction(9, 7)),
        (2, None, None),
        (3, Fraction(6, 7), Fraction(9, 7)),
    ]
    assert [(at.pairs, shown(at.bound)) for at in curve.layers][:2] == [("0 and 1: 0.2857", "1.286"), ("", "open")]
    assert next(curves([made_up("c7", 2, 2)])).chart is None


def test_rules_stand_in_the_order_in_which_they_were_given_everywhere(undrawn):
    """Though the last one is worst; and claims in the order of their names."""
    rules = ["w2", "zplus", "lrp0"]
    report = pictured(rules=rules, claims=["conservation", "c7"], target=None)
    read = Page(page(report))
    headings = [words for _, _, words in read.all("h3")]
    assert [words for words in headings if words in rules] == rules
    assert [words.split(",")[0] for words in headings if ", layer " in words] == rules, "expansions"
    assert [words.split(",")[0] for words in headings if "input 0, logit" in words] == rules, "ledgers"
    summaries = [words for tag, attributes, words in read.all("span") if attributes.get("class") == "name"]
    expected = [f"{claim}, {rule}, layer {k}" for claim in ("c5", "c6", "c7") for rule in rules for k in (1, 2, 3)]
    assert summaries == [*expected, *(f"conservation, {rule}" for rule in rules)]
    told = Console(width=4000, file=StringIO(), record=True)
    told.print(report)
    lines = [line.strip() for line in told.export_text().splitlines()]
    pairs = [f"{rule}, layer {k}:" for rule in rules for k in (1, 2, 3)]
    assert [line.split(":")[0] + ":" for line in lines if line.startswith(tuple(pairs))] == pairs
    assert [line.split(":")[0] for line in lines if line.startswith("c7, ")] == [f"c7, {pair[:-1]}" for pair in pairs]


def test_one_of_a_kind_is_told_in_the_singular(undrawn):
    """One input, one neuron a layer, one pair of logits, on the page and on the terminal."""
    asked = {"rules": ["w2", "zplus"], "layers": "all", "logit": 0, "claims": sorted({*CLAIMS} - {"c3", "c5", "c6"})}
    for net, root in itertools.product((LINE, network(1, 1, 2, source="net.pt")), ("relevance", "nearest")):
        report = audit(net, [[1]], root=root, min_logit=-9, **asked)
        told = Console(width=4000, file=StringIO(), record=True)
        told.print(report)
        for text in (told.export_text(), " ".join(Page(page(report)).all("body")[0][2].split())):
            assert not PLURAL.search(text), PLURAL.search(text)


def test_nearest_roots_that_do_not_exist_are_no_invalid_expansions(undrawn):
    report = audit(LINE, [[1]], root="nearest:l2:nonnegative")
    assert report.roots_violated
    assert "Violations were found: neurons without an admissible root." in page(report)


def test_every_claim_stands_with_its_source(read):
    headings = [words for _, _, words in read.all("h3")]
    told = [words for _, _, words in read.all("p") if words.startswith("Source: ")]
    for claim in ("c3", "c5", "c6", "conservation"):
        assert claims.told(claim).title in headings
        assert f"Source: {claims.told(claim).parts['Printed']}" in told
    assert len(told) == 4


def test_certificates_are_checked_by_the_command_on_the_page(tmp_path, undrawn):
    from dtdsym.checker.__main__ import main

    file = tmp_path / "my evidence.jsonl"
    report = pictured(rules=["zplus"], certificates=str(file))
    commands = {words for _, _, words in Page(page(report)).all("pre")}
    (check,) = commands
    assert check.startswith("python -m dtdsym.checker '")
    *_, expected = check.split()
    assert main([str(file), "--expect", expected]) == 0
    other = {words for _, _, words in Page(page(pictured(), "python -m dtdsym.verify n.pt")).all("pre")}
    assert other == {
        "python -m dtdsym.verify n.pt",
        "python -m dtdsym.verify n.pt --certificates evidence.jsonl",
        f"python -m dtdsym.checker evidence.jsonl --expect {expected}",
    }


def test_the_template_goes_into_wheels(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["dtdsym"]
    files = [path.name for path in (repository / "dtdsym" / "report").iterdir() if path.suffix not in (".py", "")]
    assert sorted(files) == ["page.css", "page.html.jinja"]
    assert all(any(fnmatch(f"report/{name}", pattern) for pattern in patterns) for name in files)


def test_it_is_written_as_utf_8(tmp_path, undrawn):
    report = audit(sequential(([[1, 2]], [0])), [[1, 1]], rules=["zplus"])
    report.write_html(tmp_path / "r.html", "ü")
    assert (tmp_path / "r.html").read_bytes().decode("utf-8") == report.to_html("ü")
    assert "ü" in report.to_html("ü")
