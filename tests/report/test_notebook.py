"""Reports, places, regions, arrangements, verdicts and explanations show themselves in notebooks, in words too."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser

import pytest
from networks import sequential

import dtdsym
from dtdsym.claims.verdict import Proved
from dtdsym.geometry.budget import Budget
from dtdsym.report import notebook
from dtdsym.report.card import Card
from dtdsym.report.words import Columns

SMALL = sequential(
    ([[1, 0], [1, -1], [-0.5, 1]], [0, 0, 0.25]), ([[1, -1, 1], [0.5, 1, -1]], [0, 0.5]), ([[1, -1]], [0]),
    final_relu=False,
)  # fmt: skip
WIDE = sequential(([[1] * 16, [-1] * 8 + [1] * 8], [0, 1]), ([[1, 2]], [0]))
HOSTILE = "<script>alert('net')</script>&amp;"
VOID = ("img", "br", "hr", "meta", "path", "use")


class Read(HTMLParser):
    """Reads HTML; every element that is opened is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.met: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.met.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.met.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def elements(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.met if name == tag]


def shown() -> dict[str, object]:
    """One of everything that shows itself."""
    root = next(root for root in dtdsym.roots(SMALL, (1, 0.5), rule="w2") if not isinstance(root, dtdsym.NoRoot))
    return {
        "report": dtdsym.audit(SMALL, [[1, 0.5], [0.25, 1]], rules=["w2", "zplus"], claims=["conservation"]),
        "place": dtdsym.place(SMALL, (1, 0.5), root),
        "place by a search": dtdsym.place(SMALL, (1, 0.5), (-1, 2)),
        "region": dtdsym.region(SMALL, (1, 0.5)),
        "region of a hidden layer": dtdsym.region(SMALL, (1, 0.5), layer=2),
        "arrangement": dtdsym.arrangement(SMALL, box=[(-2, 2), (-1, 3)], logit=0),
        "arrangement on a line": dtdsym.arrangement(WIDE, points=[[0] * 16, [1] * 16], box=[(0, 1)]),
        "arrangement without bounds": dtdsym.arrangement(SMALL),
        "verdict": dtdsym.decide("c5", SMALL, (1, 0.5)),
        "explanation": dtdsym.explain(SMALL, (1, 0.5)),
        "recursion": dtdsym.recursion(SMALL, (1, 0.5), [dtdsym.rule_root("w2")] * 3, check=False),
        "recursion that was checked": dtdsym.recursion(WIDE, range(1, 17), dtdsym.forge(WIDE, range(1, 17), [1] * 16)),
        "explanation of a picture": dtdsym.explain(WIDE, range(1, 17)),
    }


OBJECTS = shown()
DRAWN = {
    "region": "svg",
    "arrangement": "svg",
    "arrangement on a line": "svg",
    "explanation of a picture": "img",
    "recursion that was checked": "img",
}


@pytest.mark.parametrize("name", OBJECTS)
def test_it_shows_itself_as_html_and_as_text(name):
    value = OBJECTS[name]
    bundle = value._repr_mimebundle_()
    page = Read(bundle["text/html"])
    assert value._repr_html_() == bundle["text/html"]
    assert set(bundle) == {"text/plain", "text/html"}
    if name != "report":
        for line in bundle["text/plain"].splitlines():
            assert " ".join(line.split()) in page.text
    assert "<" not in bundle["text/plain"].replace(" < ", "")


@pytest.mark.parametrize("name", OBJECTS)
def test_pictures_say_in_words_what_they_show_and_the_rest_has_no_colours(name):
    """Text, lists and tables are in the notebook's own colours, light or dark."""
    page = Read(OBJECTS[name]._repr_html_())
    pictures = [(tag, attributes) for tag, attributes in page.met if tag in ("svg", "img")]
    assert [tag for tag, _ in pictures] == ([DRAWN[name]] if name in DRAWN else [])
    for tag, attributes in pictures:
        words = attributes["alt"] if tag == "img" else attributes["aria-label"]
        assert any(character.isdigit() for character in words)
        assert tag == "img" or attributes["role"] == "img"
    if DRAWN.get(name) != "svg":
        assert not any({"style", "color", "bgcolor"} & set(attributes) for _, attributes in page.met)
        assert page.elements("style") == []


def test_what_a_report_shows_are_its_findings_and_tables():
    page = Read(OBJECTS["report"]._repr_html_())
    rows = OBJECTS["report"].rows
    assert f"{sum(row.tally.total for row in rows):,} root points" in page.text
    assert len(page.elements("table")) == len(page.elements("caption")) == 2
    assert all(cell["scope"] in ("row", "col") for cell in page.elements("th"))
    assert "What the paper claims" in page.text
    assert "conservation" in page.text
    assert len(repr(OBJECTS["report"])) < 100
    assert "Where the root points lie" in OBJECTS["report"]._repr_mimebundle_()["text/plain"]


def test_what_comes_from_outside_is_escaped():
    network = sequential(([[1, 2]], [0]), ([[1]], [0]))
    object.__setattr__(network, "source", HOSTILE)
    report = dtdsym.audit(network, [[1, 1]], rules=["zplus"])
    verdict = Proved(HOSTILE, HOSTILE, HOSTILE, True, {HOSTILE: HOSTILE})
    table = Card(HOSTILE, [(HOSTILE, HOSTILE)], tables=[Columns(HOSTILE, (HOSTILE,), ((HOSTILE, HOSTILE),))])
    for html in (report._repr_html_(), verdict._repr_html_(), str(table.to_html())):
        page = Read(html)
        assert page.elements("script") == []
        assert HOSTILE in page.text


def test_a_recursion_says_whether_its_roots_were_decided():
    assert "roots: not looked at" in Read(OBJECTS["recursion"]._repr_html_()).text
    assert "roots: 3 admissible" in Read(OBJECTS["recursion that was checked"]._repr_html_()).text


def test_an_empty_report_shows_why_it_is_empty():
    report = dtdsym.audit(SMALL, [[0, 0]], min_logit=1000)
    assert "No input was audited" in Read(report._repr_html_()).text


def test_looking_at_a_region_does_not_start_a_long_search(monkeypatch):
    """[[x1] - [x1-x2]] has three cells of one gradient around (3, -1)."""
    network = sequential(([[1, 0], [1, -1]], [0, 0]), ([[1, -1]], [0]))
    region = dtdsym.region(network, (3, -1))
    monkeypatch.setattr(notebook, "LOOKING", Budget(cells=1))
    assert "at least 2; .cells lists all of them" in region._repr_html_()
    monkeypatch.undo()
    assert f"cells: {len(region.cells)}, and no more" in Read(region._repr_html_()).text


def test_without_matplotlib_the_words_remain(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in ("region", "arrangement"):
        page = Read(OBJECTS[name]._repr_html_())
        assert page.elements("svg") == []
        assert "cells" in page.text


def test_many_cells_are_counted_and_not_drawn(monkeypatch):
    monkeypatch.setattr(notebook, "MOST_CELLS", 3)
    page = Read(OBJECTS["arrangement"]._repr_html_())
    assert page.elements("svg") == []
    assert f"{len(OBJECTS['arrangement'].cells)}: open cells" in page.text


def test_a_picture_leaves_a_notebooks_backend_alone():
    matplotlib = pytest.importorskip("matplotlib")
    before = matplotlib.get_backend()
    matplotlib.use("svg")
    try:
        OBJECTS["arrangement"]._repr_html_()
        assert matplotlib.get_backend() == "svg"
    finally:
        matplotlib.use(before)


def test_what_shows_nothing_of_itself_is_refused_by_name():
    with pytest.raises(TypeError, match="int does not show itself"):
        notebook.card(3)


@pytest.mark.parametrize("name", OBJECTS)
def test_ipython_takes_both_forms(name):
    """As a kernel does, for the last value of a cell; of a tuple, such as an explanation, it takes the repr as text."""
    formatters = pytest.importorskip("IPython.core.formatters", reason="IPython is not installed")
    data, _ = formatters.DisplayFormatter().format(OBJECTS[name])
    value = OBJECTS[name]
    assert data == value._repr_mimebundle_() | ({"text/plain": repr(value)} if isinstance(value, tuple) else {})


def test_geometry_loads_no_report_until_something_is_shown():
    code = (
        "import sys, dtdsym; dtdsym.place, dtdsym.region, dtdsym.decide; "
        "print([name for name in sys.modules if name.startswith('dtdsym.report')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
