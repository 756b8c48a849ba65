"""The report as one page that needs nothing else: no network, no script, no font; from page.html.jinja beside this."""

from __future__ import annotations

import base64
import platform
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dtdsym._version import __version__
from dtdsym.arithmetic.rational import from_text, nearest_float
from dtdsym.arithmetic.written import counted, plural
from dtdsym.geometry.placement import PLACES
from dtdsym.relevance.ledger import CAUSES
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.report.charts import Step, flow, place_bars, value_bars
from dtdsym.report.expansions import MOST_WALKS, WorstRoot, worst_roots
from dtdsym.report.heatmap import as_image
from dtdsym.report.insensitivity import MOST_INPUTS as MOST_CURVES
from dtdsym.report.insensitivity import curves, shown, upwards
from dtdsym.report.labels import MEANINGS, OF_NEAREST, SHORT, row_label
from dtdsym.report.pictures import MOST_INPUTS, MOST_RULES, Picture, Shown, shown_inputs
from dtdsym.report.pixels import block, plain_png, signed_png
from dtdsym.report.slices import RegionPicture, region_picture
from dtdsym.report.svg import Line, line_chart
from dtdsym.report.verdicts import MOST_GROUPS, alike, families, witness
from dtdsym.report.witnesses import as_json
from dtdsym.report.words import asked, facts, findings, percent, sections
from dtdsym.survey.findings import Findings
from dtdsym.survey.sizes import is_large

MOST_ROWS, MOST_FLOWS, MOST_PIECES = 120, 12, 40
SHOWN_APART = ("What the paper claims", "For all inputs of the box", "Why it does not sum")
"""What the terminal tells in a sentence each, and the page has chapters for."""


def page(found: Findings, command: str = "") -> str:
    """The whole page. command: that made the audit, where there was one. The same audit gives the same page, but for
    the time that it took; with a budget in seconds drawings may differ, too."""
    environment = Environment(
        loader=PackageLoader("dtdsym", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"percent": percent, "float": nearest_float, "counted": counted, "coded": _coded}
    document, regions = found.to_json(), _regions(found)
    return environment.get_template("page.html.jinja").render(
        document=document,
        title=f"Audit of {found.network.source or 'a network'}",
        verdict=_verdict(found),
        findings=list(findings(found)),
        rules=list(_rules(found, document["roots"])),
        facts=facts(found),
        met=[name for name in PLACES if any(row.tally.places[name] for row in found.rows)],
        short=SHORT,
        meanings=MEANINGS | (OF_NEAREST if document["roots"] and document["roots"][0]["root"] == "nearest" else {}),
        causes=CAUSES,
        flows=[_flow(ledger) for ledger in document["ledger"][:MOST_FLOWS]],
        inputs=[_input(found, each) for each in shown_inputs(found)],
        walks=[_walk(worst) for worst in worst_roots(found)] if found.given is not None else [],
        most_pieces=MOST_PIECES,
        regions=regions,
        region_uri="" if isinstance(regions, str) else _svg_uri(regions.svg),
        curves=list(curves(document["claims"])),
        shown=shown,
        upwards=upwards,
        families=list(families(found, document["claims"], command)),
        witness=witness,
        as_json=as_json,
        further={title: told for title, told in sections(found).items() if told and title not in SHOWN_APART},
        asked=list(asked(found)),
        command=command,
        versions=_versions(),
        limits=list(_limits(found, document)),
    )


def _coded(text: str) -> Markup:
    """What stands between backticks, as code."""
    return Markup("").join(
        Markup("<code>{}</code>" if odd % 2 else "{}").format(part) for odd, part in enumerate(text.split("`"))
    )


def _verdict(found: Findings) -> str:
    if not found.inputs.audited:
        return "No input was audited."
    if found.violated:
        nearest = isinstance(found.settings.root, Nearest)
        roots = "neurons without an admissible root" if nearest else "Taylor expansions that are not valid"
        told = [roots] * found.roots_violated + ["a claim that is bad news"] * found.bad_news
        return f"Violations were found: {', and '.join(told)}."
    if found.undecided:
        return "No violation was found, but something stayed undecided."
    return "All is decided, and no violation was found."


def _rules(found: Findings, rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """For each rule its rows, with a chart of places."""
    kept: dict[str, list[Mapping[str, Any]]] = {}
    for row, told in list(zip(found.rows, rows, strict=True))[:MOST_ROWS]:
        kept.setdefault(row.rule.label, []).append({**told, "label": row_label(found, row)})
    for label, members in kept.items():
        yield {"label": label, "rows": members, "chart": place_bars(f"Where the root points of {label} lie", members)}


def _flow(ledger: Mapping[str, Any]) -> dict[str, Any]:
    """One ledger of the JSON report, node by node from the logit down."""
    output, left = from_text(ledger["output"]), from_text(ledger["output"])
    steps: list[Step] = []
    by_node: dict[tuple[Any, str, str], list[Mapping[str, Any]]] = {}
    for row in ledger["rows"]:
        by_node.setdefault((row["layer"], row["name"], row["kind"]), []).append(row)
    for (layer, name, kind), rows in by_node.items():
        left -= sum((from_text(row["amount"]) for row in rows), Fraction(0))
        where = f"below layer {layer}" if layer is not None else f"below {kind} {name}"
        steps.append(
            Step(where, nearest_float(left), tuple((row["cause"].replace("_", " "), row["float"]) for row in rows))
        )
    steps.append(Step("the inputs", nearest_float(from_text(ledger["relevance"])), ()))
    rule = ":".join([ledger["rule"], *ledger["parameter"]])
    title = f"{rule}, input {ledger['input']}, logit {ledger['logit']}"
    stages = "; ".join(f"{step.name} {step.left:.5g}" for step in steps)
    words = f"{title}: f(x) = {nearest_float(output):.5g}; what is left of it: {stages}."
    chart = flow((f"logit {ledger['logit']}", nearest_float(output)), steps, words)
    return {"title": title, "chart": chart, "ledger": ledger, "output": nearest_float(output), "left": steps[-1].left}


def _input(found: Findings, each: Shown) -> dict[str, Any]:
    shape = found.network.input_shape
    return {
        "number": each.number,
        "logit": each.logit,
        "pictures": [_picture(picture, shape) for picture in each.pictures],
        "failures": each.failures,
    }


def _picture(picture: Picture, shape: tuple[int, ...]) -> dict[str, Any]:
    floats, numbers = picture.floats, picture.numbers
    told = ", ".join(f"{name} {value}" for name, value in numbers.items())
    words = f"{picture.title}: {told}"
    image = as_image(floats, shape, signed=picture.signed)
    made: dict[str, Any] = {"title": picture.title, "words": words, "numbers": numbers, "note": picture.note}
    if image is None:
        return {**made, "bars": value_bars(floats.tolist(), words), "uri": None, "block": 1}
    uri = signed_png(image) if picture.signed else plain_png(image)
    return {**made, "uri": Markup(uri), "bars": None, "block": block(image.shape)}


def _walk(worst: WorstRoot) -> dict[str, Any]:
    title = f"{worst.rule}, layer {worst.layer}: neuron {worst.neuron} at input {worst.input}"
    if isinstance(worst.walk, str):
        return {"title": title, "failure": worst.walk}
    pieces, breaks = worst.pieces, len(worst.walk.times)
    there = [(nearest_float(t), nearest_float(at.there)) for at in pieces for t in (at.start, at.end)]
    ends = [(pieces[0].start, pieces[0].here[0]), *((at.end, at.here[1]) for at in pieces)]
    here = [(nearest_float(t), nearest_float(missed)) for t, missed in ends]
    words = (
        f"{title}: the expansion at the root misses {there[-1][1]:.5g} at the input; the one at the input misses "
        f"{here[-1][1]:.5g} at the root; {counted(breaks, 'breakpoint')} {plural(breaks, 'lies', 'lie')} between"
    )
    lines = [
        Line("expansion made at t, at the input", tuple(there)),
        Line("expansion made at the input, at t", tuple(here)),
    ]
    chart = line_chart(lines, words, across="t: from the layer's input (0) to the root (1)", up="missed")
    return {"title": title, "failure": "", "chart": chart, "words": words, "pieces": pieces, "breaks": breaks}


def _regions(found: Findings) -> RegionPicture | str:
    if found.given is None:
        return "The inputs are not at hand, so that no linear regions are drawn."
    return region_picture(found)


def _svg_uri(svg: bytes) -> Markup:
    return Markup("data:image/svg+xml;base64,") + base64.b64encode(svg).decode()


def _versions() -> dict[str, str]:
    return {
        "dtdsym": __version__,
        "Python": platform.python_version(),
        "torch": version("torch"),
        "python-flint": version("python-flint"),
    }


def _limits(found: Findings, document: Mapping[str, Any]) -> Iterator[str]:
    """What the page leaves out, a sentence each."""
    rows, flows = len(found.rows) - MOST_ROWS, len(document["ledger"]) - MOST_FLOWS
    groups = len(alike(document["claims"])) - MOST_GROUPS
    if rows > 0:
        yield f"Charts show the first {MOST_ROWS} rules and layers; {counted(rows, 'is', 'are')} left out."
    if flows > 0:
        yield f"Of the ledgers the first {MOST_FLOWS} are drawn; {counted(flows, 'is', 'are')} left out."
    if groups > 0:
        left = counted(groups, "is", "are")
        yield f"Of claims by rule, layer and box the first {MOST_GROUPS} are shown; {left} left out."
    if found.inputs.audited > MOST_INPUTS:
        yield f"Pictures show the first {MOST_INPUTS} of {found.inputs.audited:,} audited inputs."
    if len(found.settings.rules) > MOST_RULES:
        yield f"Explanations are drawn for the first {MOST_RULES} of {len(found.settings.rules)} rules."
    if is_large(found.network):
        yield "In a network of this size explanations are drawn as torch computes them in float64; no ledger is kept."
    yield f"Expansions are drawn for the worst root of at most {MOST_WALKS} rules, and curves for {MOST_CURVES} inputs."
    yield "Numbers are rounded for reading; the JSON report (--json, .to_json()) holds all of them, exactly."
