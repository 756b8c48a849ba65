"""What an audit found in plain words: the same sentences and tables on the terminal and on the page, rule by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from dtdsym.arithmetic.written import counted, plural
from dtdsym.claims.decide import CLAIMS
from dtdsym.geometry.placement import VALID
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.report.deciders import caveat, expanded, how_decided, of_all
from dtdsym.report.labels import MEANINGS, OF_NEAREST, SHORT, claim_order, over_lines, row_label
from dtdsym.survey.findings import Findings, RootRow
from dtdsym.survey.tally import FACTS

Told = tuple[str, str]
"""(what it is about, what is said of it); the first may be empty."""


@dataclass(frozen=True)
class Columns:
    """A table: a title, headers, and rows of text, one line of a cell below the other."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def findings(found: Findings) -> Iterator[Told]:
    """What was found, and which rule and layer is worst; then each of them."""
    if not found.inputs.audited:
        yield "", f"No input was audited: {left_out(found)}."
        return
    yield "", _opening(found)
    for row in found.rows:
        yield _finding(found, row)


def sections(found: Findings) -> dict[str, list[Told]]:
    """Everything beyond the root table, by title; what was not asked for is empty."""
    return {
        "What the paper claims": list(_claims(found)),
        "For all inputs of the box": list(_in_box(found)),
        "Why it does not sum": list(_ledgers(found)),
        "What the tool does": list(_tool(found)),
        "What the given explanation is": list(_compared(found)),
        "What admissible roots would explain": list(_apart(found)),
    }


def _opening(found: Findings) -> str:
    total = sum(row.tally.total for row in found.rows)
    if isinstance(found.settings.root, Nearest):
        missing = ("no_root", "undecided", "degenerate")
        have = total - sum(row.tally.places[name] for row in found.rows for name in missing)
        bound = " without negative coordinates" if found.settings.root.domain else ""
        return (
            f"For {have:,} of {counted(total, 'neuron')} there is an admissible root{bound}: a point of the neuron's "
            "hinge in the network's closed linear region around the layer's input, where the expansion is valid with "
            "the gradient from the input's side. The nearest of them are audited here."
        )
    good = sum(row.tally.places[name] for row in found.rows for name in VALID)
    return (
        f"{expanded(found, total)} The expansion is valid where the root lies in the input's linear region and is not "
        f"the input itself: so for {'at least ' * found.undecided_roots}{good:,} ({percent(good, total)})."
        f"{_worst(found)}{caveat(found)}"
    )


def _worst(found: Findings) -> str:
    """Which of several rules and layers has the largest share of violations."""
    worst = max(found.rows, key=_badness)
    if len(found.rows) == 1 or not worst.violations:
        return ""
    return f" Worst is {row_label(found, worst)} at layer {worst.layer}."


def _badness(row: RootRow) -> float:
    return row.violations / row.tally.total if row.tally.total else 0.0


def _finding(found: Findings, row: RootRow) -> Told:
    tally = row.tally
    head = f"{row_label(found, row)}, layer {row.layer}: "
    if not tally.total:
        return head, "no roots: the function of this layer's input bends at every input."
    return head, " ".join([*_sentences(row), *of_all(row)])


def _sentences(row: RootRow) -> Iterator[str]:
    tally, places = row.tally, row.tally.places
    inside = sum(places[name] for name in VALID)
    away = places["outside"] + places["same_gradient_elsewhere"]
    if away:
        what = f"{plural(tally.total, 'root point')} {plural(away, 'lies', 'lie')}"
        yield f"{_share(away, tally.total)} {what} outside the input's linear region."
    if places["boundary"]:
        lie = plural(places["boundary"], "lies", "lie")
        edge = f"{lie} on its edge" if away else f"{plural(tally.total, 'root point')} {lie} on the region's edge"
        yield f"{_share(places['boundary'], tally.total)} {edge}."
    if places["no_root"]:
        which = "the rule has no root at all"
        if isinstance(row.rule, Nearest):
            which = f"no admissible root {'without negative coordinates ' * bool(row.rule.domain)}exists"
        yield f"For {_share(places['no_root'], tally.total)} {plural(tally.total, 'neuron')} {which}."
    if places["degenerate"]:
        are = plural(places["degenerate"], "is", "are")
        yield f"{_share(places['degenerate'], tally.total)} {are} the input itself."
    if places["undecided"]:
        yield f"{_share(places['undecided'], tally.total)} {plural(places['undecided'], 'is', 'are')} undecided."
    if inside:
        yield f"{'All ' * (inside == tally.total > 1)}{counted(inside, 'lies', 'lie')} inside."
    else:
        yield "None is shown to be inside." if places["undecided"] else "None is inside."
    if tally.residuals.largest:
        yield f"The Taylor identity is off by up to {tally.residuals.largest:.4g}."


def places(found: Findings) -> Columns:
    """Roots by place, a row a rule and layer."""
    shown = [name for name in MEANINGS if any(row.tally.places[name] for row in found.rows)]
    headers = ("rule", "layer", "roots", *(SHORT[name] for name in shown))
    rows = []
    for row in found.rows:
        counts = (f"{row.tally.places[name]:,}" for name in shown)
        rows.append((over_lines(row_label(found, row)), str(row.layer), f"{row.tally.total:,}", *counts))
    return Columns("Where the root points lie", headers, tuple(rows))


def facts(found: Findings) -> Columns:
    """Gradients, outputs, domain and residuals at the roots."""
    headers = ("rule", "layer", "equal gradient", "inputs, all equal", "equal output", "zero output", "in domain",
               "residual max", "median")  # fmt: skip
    rows = []
    for row in found.rows:
        tally, total = row.tally, row.tally.total
        measured = tally.places["no_root"] < total
        counted = {name: getattr(tally, name) for name in FACTS}
        rows.append((
            over_lines(row_label(found, row)),
            str(row.layer),
            _between(tally.equal_gradient, tally.places["undecided"], total),
            "sampled" if row.sampled else f"{tally.inputs_all_equal_gradient:,} of {_inputs(row):,}",
            *(_between(number, tally.open[name], total) for name, number in counted.items()),
            *((f"{tally.residuals.largest:.4g}", f"{tally.residuals.median:.3g}") if measured else ("-", "-")),
        ))  # fmt: skip
    return Columns("What holds at the root points", headers, tuple(rows))


def _inputs(row: RootRow) -> int:
    tally = row.tally
    return tally.inputs_all_equal_gradient + tally.inputs_any_different_gradient + tally.inputs_unresolved


def legend(found: Findings) -> Iterator[Told]:
    """What the places that were met mean."""
    nearest = isinstance(found.settings.root, Nearest)
    for name, meaning in (MEANINGS | (OF_NEAREST if nearest else {})).items():
        if any(row.tally.places[name] for row in found.rows):
            yield f"{SHORT[name]}: ", meaning


def _ledgers(found: Findings) -> Iterator[Told]:
    """Where the explained logit of the first inputs went that no input received."""
    for made in found.ledgers:
        yield f"{made.rule.label}, input {made.input}, logit {made.logit}: ", " ".join(made.ledger.sentences())


def _claims(found: Findings) -> Iterator[Told]:
    """The claims that were decided input by input, one sentence a claim, rule and layer."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for claim in sorted(found.decided, key=partial(claim_order, found)):
        about = [f", {claim['rule']}"] * bool(claim["rule"]) + [f", layer {claim['layer']}"] * bool(claim["layer"])
        groups.setdefault((claim["claim"], "".join(about)), []).append(claim)
    for (name, about_what), made in groups.items():
        verdicts = Counter(claim["verdict"] for claim in made)
        told = ", ".join(f"{verdict} for {times:,}" for verdict, times in sorted(verdicts.items()))
        worst = next((claim for claim in made if claim["bad_news"]), made[0])
        first = f"Input {worst['input']}, {worst['verdict']}: {worst['reason']}"
        text = f"{told} of {counted(len(made), 'input')}. {first}"
        yield f"{name}{about_what}: ", f"{CLAIMS[name][0].upper()}{CLAIMS[name][1:]}: {text}"


def _in_box(found: Findings) -> Iterator[Told]:
    """One sentence a claim and rule."""
    for claim in found.in_box:
        head = f"{claim['claim']}{', ' + claim['rule'] if claim['rule'] else ''}, {claim['verdict']}: "
        yield head, f"{claim['statement']} {claim['reason']}"


def _tool(found: Findings) -> Iterator[Told]:
    """The rules that were read from a tool, one sentence for the layers that share one."""
    if found.tool is not None:
        yield f"{found.tool.name} {found.tool.version}", ""
        yield from (("", sentence) for sentence in found.tool.sentences())


def _compared(found: Findings) -> Iterator[Told]:
    if found.compared is not None:
        yield "", " ".join(found.compared.sentences())


def _apart(found: Findings) -> Iterator[Told]:
    """How far train-free explanations are from those of nearest admissible roots, one sentence a rule."""
    for row in found.apart:
        tally = row.tally
        told = "no input could be compared"
        if tally.median is not None:
            told = (
                f"over {counted(tally.count, 'input')} its explanation differs from that of nearest admissible roots "
                f"by {tally.median:.2f} (median) and up to {tally.maximum:.2f} (input {tally.input}), where 0 is the "
                "same picture and 1 shares no pixel of the same sign"
            )
        if tally.losing:
            where = counted(tally.losing, "input")
            told += f"; at {where} a neuron that matters has no root in that region, so its share is lost"
        if tally.open:
            left = counted(tally.open, "input")
            told += f"; {left} left open (budget, a network that is not plain, or no relevance at all)"
        yield f"{row.rule.label}: ", f"{told}."


def asked(found: Findings) -> Iterator[Told]:
    """What was asked, and how it was decided."""
    network, settings = found.network, found.settings
    widths = "-".join(map(str, network.widths))
    yield "network", f"{network.source}, {widths}, {counted(network.parameters, 'parameter')}"
    yield "sha256 of f", network.sha256
    if network.file_sha256:
        yield "of the file", network.file_sha256
    yield "inputs", f"{found.inputs.audited:,} audited of {found.inputs.count:,} ({found.source}); {left_out(found)}"
    logit = "each input's largest output" if settings.logit is None else str(settings.logit)
    yield "explained", f"logit {logit}, above {settings.min_logit:g}" if settings.logit is not None else logit
    outside = found.inputs.outside_domain
    left_domain = f"; {outside:,} of the inputs {plural(outside, 'lies', 'lie')} outside the domain" if outside else ""
    root = settings.root
    yield (
        "roots",
        f"{root.label if isinstance(root, Nearest) else root} roots; domain {settings.domain.name}{left_domain}"
        + _seed(found),
    )
    budget = settings.budget
    asked_for = ((budget.seconds, "second"), (budget.cells, "cell"))
    bounds = [counted(bound, thing) for bound, thing in asked_for if bound]
    yield "budget", " and ".join(bounds) + " a decision" if bounds else "none"
    yield from how_decided(found)
    if found.certificates is not None:
        made = found.certificates
        without = f"; {made.without:,} decided without one, within the budget" if made.without else ""
        foreign = counted(made.foreign, "speaks", "speak")
        without += f"; {foreign} of rules that it does not know" if made.foreign else ""
        yield "certificates", f"{made.written:,} in {made.file}{without}; a stranger checks them:"
        yield "", f"python -m dtdsym.checker {made.file} --expect {made.network}"
    yield "time", f"{found.seconds:.2f} s"


def _seed(found: Findings) -> str:
    return "" if found.seed is None else f"; seed {found.seed}"


def left_out(found: Findings) -> str:
    """How many inputs, and functions of layers' inputs, were not audited, and why."""
    inputs = found.inputs
    theirs, they_sit = plural(inputs.below_min_logit, "its", "their"), plural(inputs.on_hinge, "it sits", "they sit")
    below = f"{inputs.below_min_logit:,} left out because {theirs} logit is not above {found.settings.min_logit:g}"
    hinge = f"{inputs.on_hinge:,} because {they_sit} on a hinge, where there is no gradient"
    reasons = [below] * bool(inputs.below_min_logit) + [hinge] * bool(inputs.on_hinge)
    layers = [f"{row.tally.on_hinge:,} at layer {row.layer}" for row in found.rows if row.tally.on_hinge]
    bent = [f"the function of a layer's input bends for {', '.join(dict.fromkeys(layers))}"] * bool(layers)
    return "; ".join(reasons + bent) or "none left out"


def _share(part: int, total: int) -> str:
    return f"{part:,} of {total:,} ({percent(part, total)})"


def _between(part: int, perhaps: int, total: int) -> str:
    """The share, or from which to which it is where some are open."""
    return f"{percent(part, total)} to {percent(part + perhaps, total)}" if perhaps else percent(part, total)


def percent(part: int, total: int) -> str:
    """To one decimal; never 0 % or 100 % where it is not exactly that."""
    if not total:
        return "-"
    share = f"{100 * part / total:.1f}"
    if share == "100.0" and part < total:
        share = "> 99.9"
    if share == "0.0" and part:
        share = "< 0.1"
    return f"{share} %"
