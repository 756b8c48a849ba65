"""A sanity check in plain words, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from rich.table import Table

from dtdsym.arithmetic.written import counted
from dtdsym.report.labels import over_lines
from dtdsym.survey.sanity import CONTROL, Measurement, Row

FORMAT = "dtdsym-sanity/1"
"""Of the command line's document, which holds checks."""
MEASURED = "Measured in float64 on these inputs: nothing here is proved."
SCALED = (
    "Every map is clipped to its 0.5 and 99.5 percentiles and scaled to [0, 1]. A pixel has changed where two maps "
    "differ by more than 1/4."
)
TURNED = {
    "one": "relevance that starts from 1 is in shares of the output, so that rules which divide by it, as lrp0 and "
    "epsilon do, turn against gradient x input there",
    "output": "relevance that starts from the output's value turns there, even where nothing else changes",
}


def sentences(found: Measurement) -> Iterator[str]:
    """What was done, what came out, rule by rule, and what to know about it."""
    yield _done(found)
    yield SCALED
    control = [row for row in found.rows if row.rule == CONTROL]
    for label in found.asked.labels:
        rows = [row for row in found.rows if row.rule == label]
        name = f"{label} (the control)" if label == CONTROL else label
        yield f"{name}: {_over_steps(found, rows, control)}."
    yield from _provisos(found)


def _done(found: Measurement) -> str:
    asked = found.asked
    which = f"{counted(len(asked.points), 'input')} of {asked.network.source}, each explained for one output"
    drawn = "" if found.seed is None else f", drawn with seed {found.seed}"
    if found.others is not None:
        where = " of its category" if "category" in found.check else ""
        return f"{which} and for another{where}{drawn}."
    what = "and all layers above" if found.check.startswith("cascading") else "and no other"
    law = "permuted" if found.law == "permuted" else "replaced by normal ones as large"
    return f"{which}, before and after the weights of a layer {what} are {law}{drawn}."


def _over_steps(found: Measurement, rows: list[Row], control: list[Row]) -> str:
    """The one step; or the first and last step of a cascade; or the least and the most of independent ones."""
    told = [(row, _moved(row, beside)) for row, beside in zip(rows, control, strict=True) if row.measured]
    if not told:
        return "every map is flat, so nothing was measured"
    if len(rows) == 1:
        return told[0][1]
    if found.check.startswith("cascading"):
        return "; ".join(f"{row.step}, {moved}" for row, moved in dict.fromkeys((told[0], told[-1])))
    told.sort(key=lambda pair: pair[0].difference)
    (least, little), (most, much) = told[0], told[-1]
    return f"least for {least.step}, {little}; most for {most.step}, {much}"


def _moved(row: Row, control: Row) -> str:
    """What one step did, also as a share of what it did to the control."""
    share = ""
    if row.rule != CONTROL and control.difference > 0:
        share = f" ({row.difference / control.difference:.2f} of the control's)"
    return (
        f"mean difference {row.difference:.3g}{share}, {row.changed:.1%} of the pixels changed, rank correlation "
        f"{row.rank_correlation:.3f}"
    )


def _provisos(found: Measurement) -> Iterator[str]:
    flat = {
        label: int(found.difference[rule].isnan().any(0).sum())
        for rule, label in enumerate(found.asked.labels)
        if bool(found.difference[rule].isnan().any())
    }
    if flat:
        told = ", ".join(f"{count:,} by {label}" for label, count in flat.items())
        yield f"Inputs with a flat map, which has no scale, are left out where it is flat: {told}."
    if found.unchanged:
        yield f"Nothing changed, since the drawn weights equal the old ones: {', '.join(found.unchanged)}."
    turned = int((found.outputs * found.other_outputs < 0).any(0).sum())
    if turned:
        yield f"The explained output changes its sign for {counted(turned, 'input')}: {TURNED[found.asked.start]}."
    yield MEASURED


def table(found: Measurement) -> Table:
    """All means, a line for each step and rule."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    made.add_column("changed" if found.others is None else "explained instead")
    made.add_column("rule", min_width=len(CONTROL), overflow="fold")
    for title in ("difference", "changed", "rank correlation", "inputs"):
        made.add_column(title, justify="right")
    for step in found.steps:
        for row in (row for row in found.rows if row.step == step):
            numbers = [f"{row.difference:.4f}", f"{row.changed:.2%}", f"{row.rank_correlation:.3f}"]
            told = numbers if row.measured else ["-"] * 3
            made.add_row(
                step if row.rule == found.asked.labels[0] else "", over_lines(row.rule), *told, f"{row.measured:,}"
            )
    return made


def to_json(found: Measurement) -> dict[str, Any]:
    """As `SanityCheck.to_json` says."""
    asked = found.asked
    return {
        "check": found.check,
        "measured": MEASURED,
        "network": {"source": asked.network.source, "function_sha256": asked.network.sha256},
        "inputs": len(asked.points),
        "maps": {"start": asked.start, "absolute": asked.maps.absolute, "channels": asked.maps.channels},
        "seed": found.seed,
        "weights": found.law,
        "logits": asked.logits.tolist(),
        "others": None if found.others is None else list(found.others),
        "outputs": found.outputs.tolist(),
        "unchanged": list(found.unchanged),
        "sentences": list(sentences(found)),
        "rows": [_row(found, number, row) for number, row in enumerate(found.rows)],
    }


def _row(found: Measurement, number: int, row: Row) -> dict[str, Any]:
    rule, step = divmod(number, len(found.steps))
    return {
        "rule": row.rule,
        "control": row.rule == CONTROL,
        "step": row.step,
        "measured": row.measured,
        **{name: _number(getattr(row, name)) for name in ("difference", "changed", "rank_correlation")},
        "of_inputs": {
            name: _numbers(getattr(found, name)[rule, step]) for name in ("difference", "changed", "rank_correlation")
        },
        "other_outputs": found.other_outputs[step].tolist(),
        "histogram": found.counts[rule, step].tolist(),
    }


def _numbers(column: torch.Tensor) -> list[float | None]:
    return [_number(entry) for entry in column.tolist()]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
