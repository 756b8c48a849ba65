"""The report for people: findings in plain words, worst first; the table; what was asked, and how it was decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dtdsym.claims.decide import CLAIMS
from dtdsym.geometry.placement import VALID
from dtdsym.relevance.nearest_root import Nearest
from dtdsym.report.deciders import caveat, expanded, how_decided, of_all
from dtdsym.report.labels import over_lines, row_label
from dtdsym.survey.findings import Findings, RootRow
from dtdsym.survey.tally import FACTS

MEANINGS = {
    "degenerate": "the root is the input itself, which Definition 3 forbids: it explains nothing",
    "same_cell": "inside the input's linear region: every neuron keeps its state",
    "same_region_segment": "inside: some neurons change, but the gradient is the same all the way to the root",
    "same_region": "inside: connected with the input, though the straight way leaves the region",
    "boundary": "on the region's edge: the identity holds there only with the gradient from the input's side",
    "same_gradient_elsewhere": "the gradient is equal, but in another region: the identity need not hold",
    "outside": "in another linear region, where the network computes another function",
    "no_root": "the rule has no root: the neuron does not change along its search direction",
    "undecided": "no proof was found within the budget, or within what is done for networks of this size",
}
OF_NEAREST = {
    "degenerate": "the input lies on the neuron's hinge: its relevance is zero already",
    "no_root": "no point of the closed linear region (that the domain allows) lies on the neuron's hinge",
}
SHORT = {
    "degenerate": "is input",
    "same_cell": "same cell",
    "same_region_segment": "region, segment",
    "same_region": "region",
    "boundary": "boundary",
    "same_gradient_elsewhere": "elsewhere",
    "outside": "outside",
    "no_root": "no root",
    "undecided": "undecided",
}


def render(found: Findings) -> RenderableType:
    """Everything, for a rich console of any width."""
    parts: list[RenderableType] = [Text("Findings", style="bold"), *_findings(found), Text()]
    parts += [_places(found), Text(), _facts(found), Text(), *_legend(found), Text()]
    sections = {
        "What the paper claims": _claims(found),
        "For all inputs of the box": _in_box(found),
        "Why it does not sum": _ledgers(found),
        "What the tool does": _tool(found),
        "What the given explanation is": _compared(found),
        "What admissible roots would explain": _apart(found),
    }
    for title, lines in sections.items():
        told = [Padding(line, (0, 0, 0, 2)) for line in lines]
        parts += [Text(title, style="bold"), *told, Text()] if told else []
    parts += [Text("What was asked", style="bold"), *_asked(found)]
    return Group(*parts)


def to_html(found: Findings) -> str:
    """The same as HTML, for notebooks."""
    console = Console(record=True, width=110, file=StringIO())
    console.print(render(found))
    return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


def _findings(found: Findings) -> Iterator[RenderableType]:
    if not found.inputs.audited:
        yield Padding(f"No input was audited: {_left_out(found)}.", (0, 0, 0, 2))
        return
    yield Padding(_opening(found), (0, 0, 0, 2))
    for row in sorted(found.rows, key=_badness, reverse=True):
        yield Padding(_finding(found, row), (0, 0, 0, 2))


def _opening(found: Findings) -> str:
    total = sum(row.tally.total for row in found.rows)
    if isinstance(found.settings.root, Nearest):
        missing = ("no_root", "undecided", "degenerate")
        have = total - sum(row.tally.places[name] for row in found.rows for name in missing)
        bound = " without negative coordinates" if found.settings.root.domain else ""
        return (
            f"For {have:,} of {total:,} neurons there is an admissible exact root{bound}: a point of the network's "
            "closed linear region around the layer's input, where the expansion is valid with the gradient from the "
            "input's side, on the neuron's hinge. These are the nearest ones."
        )
    good = sum(row.tally.places[name] for row in found.rows for name in VALID)
    return (
        f"{expanded(found, total)} The expansion is valid where the root lies in the input's linear region and is not "
        f"the input itself: so for {'at least ' * found.undecided_roots}{good:,} ({_percent(good, total)})."
        f"{caveat(found)}"
    )


def _badness(row: RootRow) -> float:
    return row.violations / row.tally.total if row.tally.total else 0.0


def _finding(found: Findings, row: RootRow) -> Text:
    tally = row.tally
    text = Text(f"{row_label(found, row)}, layer {row.layer}: ", style="bold")
    if not tally.total:
        return text.append("no roots: the function of this layer's input bends at every input.", style="not bold")
    return text.append(" ".join([*_sentences(row), *of_all(row)]), style="not bold")


def _sentences(row: RootRow) -> Iterator[str]:
    tally, places = row.tally, row.tally.places
    inside = sum(places[name] for name in VALID)
    away = places["outside"] + places["same_gradient_elsewhere"]
    if away:
        yield f"{_share(away, tally.total)} root points lie outside the input's linear region."
    if places["boundary"]:
        yield f"{_share(places['boundary'], tally.total)} lie on its edge."
    if places["no_root"]:
        which = "the rule has no root at all"
        if isinstance(row.rule, Nearest):
            which = f"no admissible exact root {'without negative coordinates ' * bool(row.rule.domain)}exists"
        yield f"For {_share(places['no_root'], tally.total)} neurons {which}."
    if places["degenerate"]:
        yield f"{_share(places['degenerate'], tally.total)} are the input itself."
    if places["undecided"]:
        yield f"{_share(places['undecided'], tally.total)} are undecided."
    if inside:
        yield f"All {inside:,} lie inside." if inside == tally.total else f"{inside:,} lie inside."
    else:
        yield "None is shown to be inside." if places["undecided"] else "None is inside."
    if tally.residuals.largest:
        yield f"The Taylor identity is off by up to {tally.residuals.largest:.4g}."


def _places(found: Findings) -> _Columns:
    shown = [name for name in MEANINGS if any(row.tally.places[name] for row in found.rows)]
    headers = ("rule", "layer", "roots", *(SHORT[name] for name in shown))
    rows = []
    for row in found.rows:
        counts = (f"{row.tally.places[name]:,}" for name in shown)
        rows.append((over_lines(row_label(found, row)), str(row.layer), f"{row.tally.total:,}", *counts))
    return _Columns("Where the root points lie", headers, tuple(rows))


def _facts(found: Findings) -> _Columns:
    headers = ("rule", "layer", "equal gradient", "inputs, all equal", "equal output", "zero output", "in domain",
               "residual max", "median")  # fmt: skip
    rows = []
    for row in found.rows:
        tally, total = row.tally, row.tally.total
        counted = {name: getattr(tally, name) for name in FACTS}
        rows.append((
            over_lines(row_label(found, row)),
            str(row.layer),
            _between(tally.equal_gradient, tally.places["undecided"], total),
            "sampled" if row.sampled else f"{tally.inputs_all_equal_gradient:,} of {_inputs(row):,}",
            *(_between(number, tally.open[name], total) for name, number in counted.items()),
            f"{tally.residuals.largest:.4g}",
            f"{tally.residuals.median:.3g}",
        ))  # fmt: skip
    return _Columns("What holds at the root points", headers, tuple(rows))


def _inputs(row: RootRow) -> int:
    tally = row.tally
    return tally.inputs_all_equal_gradient + tally.inputs_any_different_gradient + tally.inputs_unresolved


def _legend(found: Findings) -> Iterator[RenderableType]:
    nearest = isinstance(found.settings.root, Nearest)
    for name, meaning in (MEANINGS | (OF_NEAREST if nearest else {})).items():
        if any(row.tally.places[name] for row in found.rows):
            yield Padding(Text.assemble((f"{SHORT[name]}: ", "bold"), meaning), (0, 0, 0, 2))


def _ledgers(found: Findings) -> Iterator[Text]:
    """Where the explained logit of the first inputs went that no input received."""
    for made in found.ledgers:
        head = f"{made.rule.label}, input {made.input}, logit {made.logit}: "
        yield Text(head, style="bold").append(" ".join(made.ledger.sentences()), style="not bold")


def _claims(found: Findings) -> Iterator[Text]:
    """The claims that were decided input by input, one sentence a claim, rule and layer."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for claim in found.decided:
        about = [f", {claim['rule']}"] * bool(claim["rule"]) + [f", layer {claim['layer']}"] * bool(claim["layer"])
        groups.setdefault((claim["claim"], "".join(about)), []).append(claim)
    for (name, about_what), made in groups.items():
        verdicts = Counter(claim["verdict"] for claim in made)
        told = ", ".join(f"{verdict} for {times:,}" for verdict, times in sorted(verdicts.items()))
        worst = next((claim for claim in made if claim["bad_news"]), made[0])
        head = Text(f"{name}{about_what}: ", style="bold")
        text = f"{told} of {len(made):,} inputs. Input {worst['input']}, {worst['verdict']}: {worst['reason']} "
        yield head.append(f"{CLAIMS[name][0].upper()}{CLAIMS[name][1:]}: {text}", style="not bold")


def _in_box(found: Findings) -> Iterator[Text]:
    """One sentence a claim and rule."""
    for claim in found.in_box:
        head = f"{claim['claim']}{', ' + claim['rule'] if claim['rule'] else ''}, {claim['verdict']}: "
        yield Text(head, style="bold").append(f"{claim['statement']} {claim['reason']}", style="not bold")


def _tool(found: Findings) -> Iterator[Text]:
    """The rules that were read from a tool, one sentence for the layers that share one."""
    if found.tool is not None:
        yield Text(f"{found.tool.name} {found.tool.version}", style="bold")
        yield from (Text(sentence) for sentence in found.tool.sentences())


def _compared(found: Findings) -> Iterator[Text]:
    if found.compared is not None:
        yield Text(" ".join(found.compared.sentences()))


def _apart(found: Findings) -> Iterator[Text]:
    """How far train-free explanations are from those of nearest admissible roots, one sentence a rule."""
    for row in found.apart:
        tally = row.tally
        told = "no input could be compared"
        if tally.median is not None:
            told = (
                f"over {tally.count:,} inputs its explanation differs from that of nearest admissible roots by "
                f"{tally.median:.2f} (median) and up to {tally.maximum:.2f} (input {tally.input}), where 0 is the same "
                "picture and 1 shares no pixel of the same sign"
            )
        if tally.losing:
            told += (
                f"; at {tally.losing:,} inputs a neuron that matters has no root in that region, so its share is lost"
            )
        if tally.open:
            told += f"; {tally.open:,} inputs left open (budget, a network that is not plain, or no relevance at all)"
        yield Text(f"{row.rule.label}: ", style="bold").append(f"{told}.", style="not bold")


def _asked(found: Findings) -> Iterator[RenderableType]:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _settings(found):
        grid.add_row(name, value)
    yield Padding(grid, (0, 0, 0, 2))


def _settings(found: Findings) -> Iterator[tuple[str, str]]:
    network, settings = found.network, found.settings
    yield "network", f"{network.source}, {'-'.join(map(str, network.widths))}, {network.parameters:,} parameters"
    yield "sha256 of f", network.sha256
    if network.file_sha256:
        yield "of the file", network.file_sha256
    yield "inputs", f"{found.inputs.audited:,} audited of {found.inputs.count:,} ({found.source}); {_left_out(found)}"
    logit = "each input's largest output" if settings.logit is None else str(settings.logit)
    yield "explained", f"logit {logit}, above {settings.min_logit:g}" if settings.logit is not None else logit
    outside = found.inputs.outside_domain
    left_domain = f"; {outside:,} of the inputs lie outside the domain" if outside else ""
    root = settings.root
    yield (
        "roots",
        f"{root.label if isinstance(root, Nearest) else root} roots; domain {settings.domain.name}{left_domain}"
        + _seed(found),
    )
    budget = settings.budget
    bounds = [f"{budget.seconds:g} seconds" if budget.seconds else "", f"{budget.cells} cells" if budget.cells else ""]
    yield "budget", " and ".join(filter(None, bounds)) + " a decision" if any(bounds) else "none"
    yield from how_decided(found)
    if found.certificates is not None:
        made = found.certificates
        without = f"; {made.without:,} decided without one, within the budget" if made.without else ""
        without += f"; {made.foreign:,} speak of rules that it does not know" if made.foreign else ""
        yield "certificates", f"{made.written:,} in {made.file}{without}; a stranger checks them:"
        yield "", f"python -m dtdsym.checker {made.file} --expect {made.network}"
    yield "time", f"{found.seconds:.2f} s"


def _seed(found: Findings) -> str:
    return "" if found.seed is None else f"; seed {found.seed}"


def _left_out(found: Findings) -> str:
    inputs = found.inputs
    below = f"{inputs.below_min_logit:,} left out because their logit is not above {found.settings.min_logit:g}"
    hinge = f"{inputs.on_hinge:,} because they sit on a hinge, where there is no gradient"
    reasons = [below] * bool(inputs.below_min_logit) + [hinge] * bool(inputs.on_hinge)
    layers = [f"{row.tally.on_hinge:,} at layer {row.layer}" for row in found.rows if row.tally.on_hinge]
    bent = [f"the function of a layer's input bends for {', '.join(dict.fromkeys(layers))}"] * bool(layers)
    return "; ".join(reasons + bent) or "none left out"


@dataclass(frozen=True)
class _Columns:
    """A table whose numbers and words are never broken: what does not fit beside the first `keys` columns goes on in a
    further table below, which repeats them."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = list(range(self.keys, len(self.headers)))
        while columns:
            shown = list(range(self.keys))
            while columns and (len(shown) == self.keys or self._width([*shown, columns[0]]) <= options.max_width):
                shown.append(columns.pop(0))
            yield self._table(shown, self.title if shown[self.keys] == self.keys else "")

    def _width(self, shown: Sequence[int]) -> int:
        """Of a table of these columns, each two wider than its longest line."""
        return sum(2 + max(len(line) for text in self._texts(column) for line in text.split("\n")) for column in shown)

    def _texts(self, column: int) -> list[str]:
        return [self.headers[column].replace(" ", "\n"), *(row[column] for row in self.rows)]

    def _table(self, shown: Sequence[int], title: str) -> Table:
        table = Table(
            title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1)
        )
        for column in shown:
            justify: Literal["left", "right"] = "right" if column else "left"
            table.add_column(self._texts(column)[0], justify=justify, no_wrap=True, vertical="bottom")
        for row in self.rows:
            table.add_row(*(row[column] for column in shown))
        return table


def _share(part: int, total: int) -> str:
    return f"{part:,} of {total:,} ({_percent(part, total)})"


def _between(part: int, perhaps: int, total: int) -> str:
    """The share, or from which to which it is where some are open."""
    return f"{_percent(part, total)} to {_percent(part + perhaps, total)}" if perhaps else _percent(part, total)


def _percent(part: int, total: int) -> str:
    """To one decimal; never 0 % or 100 % where it is not exactly that."""
    if not total:
        return "-"
    share = f"{100 * part / total:.1f}"
    if share == "100.0" and part < total:
        share = "> 99.9"
    if share == "0.0" and part:
        share = "< 0.1"
    return f"{share} %"
