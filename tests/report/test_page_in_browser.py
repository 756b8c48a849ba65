"""The page in a real browser: nothing is fetched or complained of; text has contrast; keys and paper show all of it."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
from collections.abc import Iterator

import pytest
from page_audits import inputs, network, pictured

from dtdsym.claims.decide import CLAIMS
from dtdsym.report.audit import audit

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install 'dtdsym[test]'")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium here: apt-get install chromium chromium-driver"
)

CONTRAST = """
const channel = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const parts = colour => (colour.match(/[0-9.]+/g) || [0, 0, 0, 0]).map(Number);
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = parts(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll('body *')) {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  const ink = parts(element.closest('svg') ? style.fill : style.color);
  const [a, b] = [light(ink), light(behind(element))].sort((x, y) => y - x);
  found.push([element.tagName, element.textContent.trim().slice(0, 40), (a + 0.05) / (b + 0.05)]);
}
return found;
"""
BEYOND = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll('body *')].filter(each =>
  !each.closest('.wide *, pre *, .skip') && each.checkVisibility()
  && each.getBoundingClientRect().right > width + 0.5
).map(each => each.outerHTML.slice(0, 80));
"""
NAMED = """
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT), found = [];
while (walk.nextNode()) {
  const at = walk.currentNode;
  if (/^H[1-6]$/.test(at.tagName) && at.checkVisibility()) found.push([at.tagName, at.textContent.trim()]);
}
return found;
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield made
    made.quit()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    pictured().write_html(path, "python -m dtdsym.verify net.pt")
    return path.as_uri()


@pytest.fixture
def shown(driver, file):
    """The page, freshly opened in light colours."""
    look(driver, "light")
    driver.get(file)
    return driver


def look(driver, scheme: str, media: str = "") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    driver.execute_async_script("const [done] = arguments; requestAnimationFrame(() => requestAnimationFrame(done));")


def test_nothing_is_complained_of_and_nothing_fetched(shown, file):
    assert shown.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in shown.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert {url for url in asked if not url.startswith("data:")} == {file}
    assert shown.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")


def test_headings_are_seen_in_order(shown):
    headings = shown.execute_script(NAMED)
    levels = [int(tag[1]) for tag, _ in headings]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert "Where the logit goes" in [words for _, words in headings]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(shown, scheme):
    """4.5 to 1, as WCAG 2.2 asks at level AA, opened details included."""
    look(shown, scheme)
    shown.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    ratios = shown.execute_script(CONTRAST)
    assert len(ratios) > 300
    assert [found for found in ratios if found[2] < 4.5] == []
    page = shown.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
    assert (page == "rgb(255, 255, 255)") == (scheme == "light")


def test_who_cannot_see_it_is_told_the_numbers(shown):
    """As the browser hands the page to a screen reader."""
    nodes = shown.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    kept = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    pictures = [name for role, name in kept if role == "image"]
    assert len(pictures) == 3 * 6 + 1 + 3 + 6 + 3
    assert all(any(sign.isdigit() for sign in name) for name in pictures)
    roles = [role for role, _ in kept]
    assert {"main", "navigation", "banner", "contentinfo", "table", "columnheader", "rowheader"} <= set(roles)
    unnamed = [role for role, name in kept if role in ("link", "region", "table", "heading", "image") and not name]
    assert unnamed == []


def test_keys_alone_reach_and_open_every_detail(shown):
    from selenium.webdriver.common.keys import Keys

    focused = "return document.activeElement.matches(arguments[0])"
    details = shown.execute_script("return document.querySelectorAll('details').length")
    body = shown.switch_to.active_element
    body.send_keys(Keys.TAB)
    assert shown.execute_script(focused, ".skip"), "the first key leads to the skip link"
    assert shown.execute_script("return document.activeElement.getBoundingClientRect().left >= 0")
    shown.switch_to.active_element.send_keys(Keys.ENTER)
    assert shown.execute_script(focused, "#main")
    opened = 0
    for _ in range(20 * details):
        shown.switch_to.active_element.send_keys(Keys.TAB)
        if shown.execute_script("return document.activeElement === document.body"):
            break
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        assert shown.execute_script(outline) != "none", "where the keys are can be seen"
        if shown.execute_script(focused, "summary"):
            shown.switch_to.active_element.send_keys(Keys.ENTER)
            opened += 1
    assert opened == details > 10
    assert shown.execute_script("return document.querySelectorAll('details[open]').length") == details


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with long names of rules and of the network, bars, all claims, and exact numbers of many digits."""
    net = network(3, 4, 4, 2, source="/a/long/folder/without/any/space/in/its/name/network.pt")
    rules = ["first=zbox:0:1,conv=zplus,linear=epsilon:1e-6", "zplus"]
    asked = {"rules": rules, "claims": list(CLAIMS), "target": [1, -1, 0], "logit": 0, "min_logit": -9}
    path = tmp_path_factory.mktemp("wide") / "report.html"
    audit(net, inputs(2, 3), layers="all", **asked).write_html(
        path, "python -m dtdsym.verify net.pt " + "--rule w2 " * 40
    )
    return path.as_uri()


@pytest.mark.parametrize("mobile", [True, False])
@pytest.mark.parametrize("width", [320, 380])
@pytest.mark.parametrize("which", ["file", "wide"])
def test_a_narrow_screen_scrolls_one_way_only(driver, request, which, width, mobile):
    """Charts and tables that are wider scroll in a box of their own, which keys reach."""
    wanted = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", wanted)
    driver.get(request.getfixturevalue(which))
    driver.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    root = "document.documentElement"
    seen, whole = driver.execute_script(f"return [{root}.clientWidth, {root}.scrollWidth]")
    beyond = driver.execute_script(BEYOND)
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert whole <= seen <= width
    assert beyond == []


def test_paper_breaks_no_box_and_keeps_headings_with_what_follows(shown):
    look(shown, "light", "print")
    value = "return [...document.querySelectorAll(arguments[0])].map(each => getComputedStyle(each)[arguments[1]])"
    for boxes in ("figure", "table", "tr", "details", ".instance", ".key"):
        assert set(shown.execute_script(value, boxes, "breakInside")) == {"avoid"}, boxes
    for heads in ("h2", "h3", "summary", "caption", "thead"):
        assert set(shown.execute_script(value, heads, "breakAfter")) == {"avoid"}, heads


def test_paper_shows_what_is_folded_away_and_is_light(shown):
    """Also where the screen is dark."""
    folded = (
        "return [...document.querySelectorAll('details td, details code, details p')]"
        ".filter(each => each.checkVisibility({contentVisibilityAuto: true}) && each.getClientRects().length).length"
    )
    assert shown.execute_script(folded) == 0
    look(shown, "dark", "print")
    assert shown.execute_script(folded) > 100
    assert shown.execute_script("return getComputedStyle(document.documentElement).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    assert not shown.execute_script("return document.querySelector('nav').checkVisibility()")
    printed = base64.b64decode(shown.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")
