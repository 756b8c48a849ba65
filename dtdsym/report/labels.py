"""Labels of rules, as they fit into columns and titles."""

from __future__ import annotations

from dtdsym.relevance.composite import Composite
from dtdsym.survey.findings import Findings, RootRow

LONGEST = 24


def over_lines(label: str) -> str:
    """A long composite's label, one selector a line."""
    return label.replace(",", ",\n") if len(label) > LONGEST else label


def row_label(found: Findings, row: RootRow) -> str:
    """The row's rule; of a composite that was read from a tool, and is long, the rule at the row's layer."""
    if found.tool is None or not isinstance(row.rule, Composite):
        return row.rule.label
    return row.rule.rule(found.network.layer(row.layer), found.network).label
