"""Table 1 of Sixt & Landgraf 2022: as printed, as the published analysis computes it, and decided exactly.

    python examples/table1.py

Needs nothing but this folder and dtdsym.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Any

from paper_network import PRINTED, RULES, PublishedColumn, paper_inputs, paper_network, published_table

import dtdsym
from dtdsym.geometry.placement import INSIDE

Entry = dict[str, Any]
"""One entry of the JSON report's `roots`: what was counted for one rule."""

COUNTS = {
    "equal_gradient": "gradient equal to the input's",
    "equal_output": "output equal to the input's",
    "zero_relevance": "output exactly zero",
    "in_domain": "no negative entry",
}


def main() -> None:
    """Print the three tables and what separates them."""
    published = published_table()
    exact = {rule: _audit(rule, rule) for rule in RULES}
    zplus = {rule: _audit("zplus", rule) if rule != "zplus" else exact["zplus"] for rule in RULES}
    print_published(published, zplus)
    print_exact(exact)
    print(explanation(published, zplus, exact))


def _audit(rule: str, column: str) -> Entry:
    """The exact audit of `rule`, for logit 0 and the first layer, on the inputs drawn for `column`."""
    inputs = paper_inputs(column)
    network = dtdsym.from_module(paper_network(), inputs[:1])
    entry: Entry
    (entry,) = dtdsym.audit(network, inputs, rules=[rule], logit=0).to_json()["roots"]
    return entry


def print_published(published: dict[str, PublishedColumn], zplus: dict[str, Entry]) -> None:
    """Printed digits beside the published analysis and its exact counterpart (`zplus`: z+ audited on each column)."""
    rows = [
        ("printed: same local linear region", [PRINTED[rule][0] for rule in RULES]),
        ("  as computed: inputs, a gradient differs", [published[rule].first_row for rule in RULES]),
        ("  the same, exactly", [_inputs_share(zplus[rule], "inputs_any_different_gradient") for rule in RULES]),
        ("printed: same network output", [PRINTED[rule][1] for rule in RULES]),
        ("  as computed: roots, output within 1e-6", [published[rule].second_row for rule in RULES]),
        ("  equal exactly", [_share(zplus[rule]["equal_output"], zplus[rule]["total"]) for rule in RULES]),
    ]
    _print_table("1. As the published analysis computes it: z+ roots in every column", rows)


def print_exact(exact: dict[str, Entry]) -> None:
    """Every count of the audit for the rule that each column names, per root and per input."""
    entries = [exact[rule] for rule in RULES]
    rows = [("roots", [str(entry["total"]) for entry in entries])]
    for name in entries[0]["places"]:
        rows.append((f"  place: {name}", [_counted(entry["places"][name], entry["total"]) for entry in entries]))
    for name, meaning in COUNTS.items():
        rows.append((f"  {meaning}", [_counted(entry[name], entry["total"]) for entry in entries]))
    rows.append(("inputs", [str(_inputs(entry)) for entry in entries]))
    for name in ("inputs_all_equal_gradient", "inputs_any_different_gradient", "inputs_unresolved"):
        meaning = name.removeprefix("inputs_").replace("_", " ")
        rows.append((f"  {meaning}", [_counted(entry[name], _inputs(entry)) for entry in entries]))
    _print_table("2. The rules really applied, every place decided exactly", rows)


def explanation(published: dict[str, PublishedColumn], zplus: dict[str, Entry], exact: dict[str, Entry]) -> str:
    """What separates table 1 from table 2, in the numbers of this run; lists follow the order of the columns."""
    column = exact["zplus"]
    moved = max(abs(published[rule].roots_equal_output - _printed_roots(published[rule], rule)) for rule in RULES)
    degenerate = sum(entry["places"]["degenerate"] for entry in zplus.values())
    equal_output = sum(entry["equal_output"] for entry in zplus.values())
    return fill(
        "3. What differs, and why. In the code that computed the printed table, the root finder is built with the z+ "
        "rule in all four columns, so the columns differ in their random inputs alone; and the row printed as 'same "
        "local linear region' is the share of inputs at least one of whose ten roots has a different gradient. For "
        f"z+, {_inputs_share(column, 'inputs_all_equal_gradient')} of the inputs keep their gradient at all ten roots "
        f"(printed: {PRINTED['zplus'][0]}), and {_share(column['equal_gradient'], column['total'])} of the single "
        f"roots do. With the rules really applied, the inputs that keep it are {_inputs_shares(exact)}. Equal gradient "
        "is necessary only: of the roots that have it, "
        f"{_listed(entry['equal_gradient'] - _inside(entry) for entry in exact.values())} are not in the input's "
        f"region. The second row counts output differences below 1e-6 in float32: at most {moved} of "
        f"{column['total']} roots a column separates the print from float64. Of the {equal_output} z+ roots whose "
        f"output is exactly equal, {degenerate} are degenerate: their neuron receives no relevance, so the root is "
        "the input itself. The paper concludes from the table that the rules put roots outside the region of their "
        "input. That needs one such root a rule; roots not in the region, rules really applied: "
        f"{_listed(entry['total'] - _inside(entry) - entry['places']['undecided'] for entry in exact.values())} of "
        f"{column['total']} each.",
        width=110,
    )


def _inside(entry: Entry) -> int:
    return sum(entry["places"][name] for name in INSIDE)


def _inputs(entry: Entry) -> int:
    return sum(entry[f"inputs_{name}"] for name in ("all_equal_gradient", "any_different_gradient", "unresolved"))


def _inputs_share(entry: Entry, name: str) -> str:
    return _share(entry[name], _inputs(entry))


def _inputs_shares(exact: dict[str, Entry]) -> str:
    return _listed(_inputs_share(entry, "inputs_all_equal_gradient") for entry in exact.values())


def _printed_roots(column: PublishedColumn, rule: str) -> int:
    """The number of roots that the printed second entry stands for."""
    return round(float(PRINTED[rule][1].rstrip("%")) / 100 * column.roots)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}"


def _counted(part: int, whole: int) -> str:
    return f"{part} ({_share(part, whole)})"


def _listed(items: Iterable[object]) -> str:
    return " / ".join(str(item) for item in items)


def _print_table(title: str, rows: Sequence[tuple[str, list[str]]]) -> None:
    print(title)
    print(f"{'':44}" + "".join(f"{rule:>16}" for rule in RULES))
    for name, cells in rows:
        print(f"{name:44}" + "".join(f"{cell:>16}" for cell in cells))
    print()


if __name__ == "__main__":
    main()
